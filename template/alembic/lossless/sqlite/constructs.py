"""What SQLAlchemy's objects are as SQL of SQLite.

Knows SQLAlchemy's compiler, and asks it for whole column definitions and constraints; what is
needed of a definition is read from there with the statement parser, never composed by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.ddl import base
from alembic.util import CommandError
from sqlalchemy import (
    Column,
    Dialect,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.schema import Computed, Constraint
from sqlalchemy.types import NullType, TypeEngine

from . import statement
from .tokens import RESERVED, Kind, same_name, tokenize, write_name


def column_definition(dialect: Dialect, column: Column[Any], **options: Any) -> str:
    """A column's definition as it stands in CREATE TABLE.

    Args:
        dialect: SQLite's.
        column: attached to a table.
        options: Alembic's `inline_references` and `inline_primary_key`.
    """
    make_compiler: Any = dialect.ddl_compiler  # SQLAlchemy 2.0 and 2.1 type it differently
    compiler = make_compiler(dialect, None)
    text = base.add_column(compiler, column, **options)
    return text.removeprefix("ADD COLUMN ").strip()


def constraint_definition(dialect: Dialect, constraint: Constraint) -> str:
    """A constraint as it stands at the end of CREATE TABLE; empty if SQLite has nothing for it."""
    make_compiler: Any = dialect.ddl_compiler  # SQLAlchemy 2.0 and 2.1 type it differently
    compiler = make_compiler(dialect, None)
    return str(compiler.process(constraint) or "").strip()


def with_column_called(definition: str, old: str, new: str) -> str:
    """A CHECK's definition with a column's name now in the place of an earlier one."""
    start = (
        "CREATE TABLE t (x, "  # the statement parser reads whole statements, with a column first
    )
    table = statement.parse(f"{start}{definition})")
    for check in table.checks:
        place = table.sql.index(check.expression, check.start)
        for token in reversed(tokenize(check.expression)):
            name = token.kind is Kind.QUOTED or (
                token.kind is Kind.WORD and token.word not in RESERVED
            )
            if name and same_name(token.name, old):
                span = statement.Span(place + token.start, place + token.end)
                table = table.replace(span, write_name(new))
    return table.sql[len(start) : -1]


def attached_constraint(constraint: Constraint, table: str, columns: Sequence[str]) -> Constraint:
    """A constraint that belongs to a table: itself if it does, else to one made for it."""
    if getattr(constraint, "parent", None) is not None:
        return constraint
    metadata = MetaData()
    if isinstance(constraint, ForeignKeyConstraint):
        for element in constraint.elements:
            target, _, column = element.target_fullname.rpartition(".")
            Table(target, metadata, Column(column, Integer()), extend_existing=True)
    Table(
        table,
        metadata,
        *(Column(name, Integer()) for name in columns),
        constraint,
        extend_existing=True,
    )
    return constraint


def declared_type(dialect: Dialect, type_: TypeEngine[Any]) -> tuple[str, str | None]:
    """A type as SQLite declares it, and the collation that belongs to it, if any."""
    if isinstance(type_, NullType):
        return "", None
    column = _column(dialect, type_=type_)
    return column.declared_type, column.collation


def default_expression(dialect: Dialect, type_: TypeEngine[Any] | None, default: Any) -> str:
    """A server default as it stands behind DEFAULT, with parentheses where SQLite needs them.

    Raises:
        CommandError: it is no default that a database can have.
    """
    column = _column(dialect, type_=type_, server_default=default)
    if column.default_sql is None:
        raise CommandError(f"This is no default for a column: {default!r}")
    return column.default_sql


def generated_clause(dialect: Dialect, computed: Computed) -> str:
    """GENERATED ALWAYS AS (...) of a computed column."""
    table = _table(dialect, Column("x", Integer(), Computed(computed.sqltext, computed.persisted)))
    generated = table.columns[0].generated
    assert generated is not None
    return table.text(generated)


def _column(
    dialect: Dialect, type_: TypeEngine[Any] | None, server_default: Any = None
) -> statement.Column:
    column: Column[Any] = Column("x", type_ or Text(), server_default=server_default)
    return _table(dialect, column).columns[0]


def _table(dialect: Dialect, column: Column[Any]) -> statement.CreateTable:
    Table("t", MetaData(), column)
    make_compiler: Any = dialect.ddl_compiler  # SQLAlchemy 2.0 and 2.1 type it differently
    compiler = make_compiler(dialect, None)
    return statement.parse(f"CREATE TABLE t ({compiler.get_column_specification(column)})")
