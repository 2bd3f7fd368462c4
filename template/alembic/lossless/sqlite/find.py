"""Which constraint of a table is meant by a name that a revision gives.

SQLite's constraints often have no name, and revisions name them all the same: by the project's
naming convention, which Alembic renders into them, or by the convention that was given to
batch_alter_table ("Dropping Unnamed or Named Foreign Keys" in Alembic's documentation of batch
migrations). Knows names and contents of constraints; knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Constraint,
    Dialect,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from ..naming import DEFAULT_CONVENTION, conventional_name
from . import statement
from .constructs import constraint_definition
from .tokens import fold, same_name, significant, tokenize, unquote

_KINDS: Mapping[type[Constraint], type[statement.Constraint]] = {
    PrimaryKeyConstraint: statement.PrimaryKey,
    UniqueConstraint: statement.Unique,
    ForeignKeyConstraint: statement.ForeignKey,
    CheckConstraint: statement.Check,
}
DROPPABLE = tuple(_KINDS.values())  # what drop_constraint() can mean


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
        wanted: its name counts first; without one, or where nothing has that name, its content.
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
        unnamed = [constraint for constraint in candidates if constraint.name is None]
        for convention in (*conventions, DEFAULT_CONVENTION):
            for constraint in unnamed:
                if name == _name(table, constraint, convention):
                    return constraint
    return find_content(dialect, table, wanted, named=False)


def find_content(
    dialect: Dialect, table: statement.CreateTable, wanted: Constraint, *, named: bool
) -> statement.Constraint | None:
    """The constraint that asks for the same as `wanted`; one with a name only if `named`."""
    candidates = (c for c in table.constraints if named or c.name is None)
    return next((c for c in candidates if same_content(dialect, c, wanted)), None)


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
    return None


def same_content(dialect: Dialect, constraint: statement.Constraint, wanted: Constraint) -> bool:
    """Whether two constraints ask for the same, whatever their names."""
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
        return _same_names(wanted.column_keys, constraint.columns) and same_name(
            target, constraint.table
        )
    if isinstance(wanted, UniqueConstraint) and isinstance(constraint, statement.Unique):
        return _same_names([str(column.name) for column in wanted.columns], constraint.columns)
    return False


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
