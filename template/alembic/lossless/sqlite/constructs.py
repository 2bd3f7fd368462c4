"""What SQLAlchemy's objects are as SQL of SQLite, and which constraint of a table one of them means.

Knows SQLAlchemy's compiler, and asks it for whole column definitions and constraints; what is
needed of a definition is read from there with the statement parser, never composed by hand.

SQLite's constraints often have no name, and revisions name them all the same: by the project's
naming convention, which Alembic renders into them, or by the convention that was given to
batch_alter_table ("Dropping Unnamed or Named Foreign Keys" in Alembic's documentation of batch
migrations). Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from alembic.ddl import base
from alembic.util import CommandError
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.exc import InvalidRequestError, NoReferenceError, UnsupportedCompilationError
from sqlalchemy.schema import Computed
from sqlalchemy.types import NullType, TypeEngine

from ..metadata import DEFAULT_CONVENTION, conventional_name
from . import statement
from .tokens import RESERVED, Kind, fold, same_name, significant, tokenize, unquote, write_name

_KINDS: Mapping[type[Constraint], type[statement.Constraint]] = {
    PrimaryKeyConstraint: statement.PrimaryKey,
    UniqueConstraint: statement.Unique,
    ForeignKeyConstraint: statement.ForeignKey,
    CheckConstraint: statement.Check,
}
DROPPABLE = tuple(_KINDS.values())  # what drop_constraint() can mean


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
    try:
        return str(compiler.process(constraint) or "").strip()
    except UnsupportedCompilationError:
        return ""
    except InvalidRequestError:
        if isinstance(constraint.name, str) or constraint.name is None:
            raise
        # The naming convention builds on a name, and an Enum or Boolean has none. Alembic's batch
        # mode leaves such a CHECK without a name, too.
        unnamed = copy(constraint)
        unnamed.name = None
        return constraint_definition(dialect, unnamed)


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
    """A constraint that belongs to a table: itself if it does, else to one made for it.

    A foreign key's table may know nothing of the one that it refers to; then a copy of the key does.
    """
    if getattr(constraint, "parent", None) is not None:
        if not isinstance(constraint, ForeignKeyConstraint) or _knows_its_targets(constraint):
            return constraint
        constraint = constraint._copy()
    keys = constraint.elements if isinstance(constraint, ForeignKeyConstraint) else ()
    _table_of(table, keys, (*(Column(name, Integer()) for name in columns), constraint))
    return constraint


def _knows_its_targets(key: ForeignKeyConstraint) -> bool:
    try:
        return key.referred_table is not None
    except NoReferenceError:
        return False


def attached_column(column: Column[Any], table: str) -> tuple[Column[Any], list[Constraint]]:
    """A copy of a column that belongs to a table, and the constraints that come with it."""
    same = column._copy()
    constraints = _table_of(table, column.foreign_keys, (same,)).constraints
    return same, [c for c in constraints if not isinstance(c, PrimaryKeyConstraint)]


def attach_index(index: Index, table: str, columns: Sequence[str]) -> None:
    """Let an index belong to a table."""
    _table_of(table, (), (*(Column(name, Integer()) for name in columns), index))


def _table_of(table: str, keys: Iterable[ForeignKey], items: Iterable[Any]) -> Table:
    """A table made of these, beside those that its foreign keys refer to."""
    metadata = MetaData()
    for key in keys:
        target, _, column = key.target_fullname.rpartition(".")
        Table(target, metadata, Column(column, Integer()), extend_existing=True)
    return Table(table, metadata, *items, extend_existing=True)


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


# --- Which constraint a revision means --------------------------------------------------------


def find_constraint(
    dialect: Dialect,
    table: statement.CreateTable,
    wanted: Constraint,
    conventions: Iterable[Mapping[str, Any]],
) -> statement.Constraint | None:
    """The constraint of a table that SQLAlchemy's constraint means.

    Args:
        dialect: SQLite's.
        table: where to look.
        wanted: its name counts first, then its kind; without a name, or where nothing has that name,
            its content.
        conventions: naming conventions, tried in order on the constraints without names.
    """
    kind = next((kind for of, kind in _KINDS.items() if isinstance(wanted, of)), None)
    candidates = [
        constraint for constraint in table.constraints if isinstance(constraint, kind or DROPPABLE)
    ]
    name = str(wanted.name) if isinstance(wanted.name, str) else None
    if name is not None:
        for constraint in candidates:
            if constraint.name is not None and same_name(constraint.name, name):
                return constraint
        unnamed = [c for c in candidates if c.name is None and not _says_what_it_checks(wanted)]
        for convention in (*conventions, DEFAULT_CONVENTION):
            called = [c for c in unnamed if name == _name(table, c, convention)]
            # Conventions don't tell CHECKs of one table apart; which of them is meant is unknown.
            if len(called) == 1 or (called and not isinstance(called[0], statement.Check)):
                return called[0]
        if not getattr(wanted, "_type_bound", False):  # the name tells, also if the kind is wrong
            for constraint in table.constraints:
                named = isinstance(constraint, DROPPABLE) and constraint.name is not None
                if named and same_name(str(constraint.name), name):
                    return constraint
    return find_meant(dialect, table, wanted, named=False)


def _says_what_it_checks(wanted: Constraint) -> bool:
    """Whether this is a CHECK of which more than the name is known, as that of an Enum or Boolean."""
    return isinstance(wanted, CheckConstraint) and str(getattr(wanted.sqltext, "text", "?")) != ""


def names_by_convention(
    table: statement.CreateTable, convention: Mapping[str, Any]
) -> list[tuple[statement.Constraint, str]]:
    """The constraints that have no name and get one by a naming convention, from last to first.

    A name for more than one constraint is for none of them.
    """
    found = [
        (constraint, name)
        for constraint in table.constraints
        if isinstance(constraint, DROPPABLE)
        and constraint.name is None
        and (name := _name(table, constraint, convention)) is not None
    ]
    taken = [fold(c.name) for c in table.constraints if c.name is not None]
    taken += [fold(name) for _, name in found]
    alone = [(constraint, name) for constraint, name in found if taken.count(fold(name)) == 1]
    return sorted(alone, key=lambda each: each[0].start, reverse=True)


def find_meant(
    dialect: Dialect, table: statement.CreateTable, wanted: Constraint, *, named: bool
) -> statement.Constraint | None:
    """The constraint that `wanted` means, whatever its name; one with a name only if `named`."""
    candidates = (c for c in table.constraints if named or c.name is None)
    return next((c for c in candidates if means(dialect, wanted, c)), None)


def _name(
    table: statement.CreateTable,
    constraint: statement.Constraint,
    convention: Mapping[str, Any],
) -> str | None:
    """The name that a naming convention gives to a constraint, if it gives one."""
    same = _as_sqlalchemy(constraint)
    if same is None:
        return None
    columns = [column.name for column in table.columns]
    return conventional_name(table.name, columns, same, convention)


def _as_sqlalchemy(constraint: statement.Constraint) -> Constraint | None:
    if isinstance(constraint, statement.PrimaryKey):
        return PrimaryKeyConstraint(*constraint.columns)
    if isinstance(constraint, statement.Unique):
        return UniqueConstraint(*constraint.columns)
    if isinstance(constraint, statement.ForeignKey):
        targets = constraint.target_columns or constraint.columns
        return ForeignKeyConstraint(
            constraint.columns, [f"{constraint.table}.{target}" for target in targets]
        )
    if isinstance(constraint, statement.Check):
        return CheckConstraint(text(constraint.expression))
    return None


def means(dialect: Dialect, wanted: Constraint, constraint: statement.Constraint) -> bool:
    """Whether a revision that drops `wanted` may mean this constraint, whatever their names.

    Of a foreign key it says no more than its columns and the table that they refer to.
    """
    if isinstance(wanted, PrimaryKeyConstraint):
        # A table has one primary key: whatever name it is given, it is that one.
        return isinstance(constraint, statement.PrimaryKey)
    if isinstance(wanted, CheckConstraint):
        if not isinstance(constraint, statement.Check):
            return False
        check = statement.parse(f"CREATE TABLE t (x, {constraint_definition(dialect, wanted)})")
        return normal(check.checks[0].expression) == normal(constraint.expression)
    if isinstance(wanted, ForeignKeyConstraint) and isinstance(constraint, statement.ForeignKey):
        target = wanted.elements[0].target_fullname.rsplit(".", 1)[0] if wanted.elements else ""
        of_same = _same_names(wanted.column_keys, constraint.columns)
        return of_same and same_name(target, constraint.table)
    if isinstance(wanted, UniqueConstraint) and isinstance(constraint, statement.Unique):
        return _same_names([str(column.name) for column in wanted.columns], constraint.columns)
    return False


def same_key(
    wanted: ForeignKeyConstraint,
    key: statement.ForeignKey,
    targets: Sequence[str],
    *,
    exact: bool,
) -> bool:
    """Whether two foreign keys that `means` finds alike have the same targets and do the same.

    Args:
        wanted: one of them.
        key: the other.
        targets: the columns that this one refers to; none if that is unknown.
        exact: whether what `wanted` does not say is the default; otherwise it can be anything.
    """
    names = [
        element.target_fullname.rpartition(".")[2] if "." in element.target_fullname else name
        for element, name in zip(wanted.elements, wanted.column_keys, strict=True)
    ]
    deferrable = None if wanted.deferrable is None else str(wanted.deferrable)
    pairs = (
        (wanted.ondelete, key.on_delete, "NO ACTION"),
        (wanted.onupdate, key.on_update, "NO ACTION"),
        (deferrable, str(bool(key.deferrable)), "FALSE"),
        (wanted.initially, key.initially, "IMMEDIATE"),
        (wanted.match, key.match, "SIMPLE"),
    )
    return (not targets or _same_names(names, targets)) and all(
        (said is None and not exact) or (said or default).upper() == (there or default).upper()
        for said, there, default in pairs
    )


def _same_names(one: Sequence[str], other: Sequence[str]) -> bool:
    return bool(one) and [fold(name) for name in one] == [fold(name) for name in other]


def normal(expression: str) -> list[str]:
    """An expression in a form to compare: no comments, quotes of names, outer parentheses, case."""
    tokens = [
        token.text if token.text.startswith("'") else fold(unquote(token.text))
        for token in significant(tokenize(expression))
    ]
    while _enclosed(tokens):
        tokens = tokens[1:-1]
    return tokens


def _enclosed(tokens: list[str]) -> bool:
    """Whether the first parenthesis is closed by the last token."""
    if len(tokens) < 2 or tokens[0] != "(" or tokens[-1] != ")":
        return False
    depth = 0
    for token in tokens[:-1]:
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return False
    return True
