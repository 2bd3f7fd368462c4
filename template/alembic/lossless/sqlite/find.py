"""Which constraint of a table is meant by a name that a revision gives.

SQLite's constraints often have no name, and revisions name them all the same: by the project's
naming convention, which Alembic renders into them, or by the convention that was given to
batch_alter_table ("Dropping Unnamed or Named Foreign Keys" in Alembic's documentation of batch
migrations). Knows names and contents of constraints; knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.exc import SQLAlchemyError

from . import statement
from .tokens import fold, same_name, significant, tokenize, unquote

# Names for constraints where a project has no convention of its own.
DEFAULT_CONVENTION: Mapping[str, str] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_KINDS: Mapping[type[Constraint], type[statement.Constraint]] = {
    PrimaryKeyConstraint: statement.PrimaryKey,
    UniqueConstraint: statement.Unique,
    ForeignKeyConstraint: statement.ForeignKey,
    CheckConstraint: statement.Check,
}


def find_constraint(
    table: statement.CreateTable,
    wanted: Constraint,
    conventions: Iterable[Mapping[str, Any]],
) -> statement.Constraint | None:
    """The constraint of a table that SQLAlchemy's constraint means.

    Args:
        table: where to look.
        wanted: its name counts first; without one, or where nothing has that name, its content.
        conventions: naming conventions, tried in order on the constraints without names.
    """
    kind = next((kind for of, kind in _KINDS.items() if isinstance(wanted, of)), None)
    candidates = [
        constraint
        for constraint in table.constraints
        if isinstance(constraint, kind or tuple(_KINDS.values()))
    ]
    name = str(wanted.name) if isinstance(wanted.name, str) else None
    if name is not None:
        for constraint in candidates:
            if constraint.name is not None and same_name(constraint.name, name):
                return constraint
        unnamed = [constraint for constraint in candidates if constraint.name is None]
        for convention in (*conventions, DEFAULT_CONVENTION):
            for constraint in unnamed:
                if name == conventional_name(table, constraint, convention):
                    return constraint
    return next((c for c in candidates if c.name is None and same_content(c, wanted)), None)


def conventional_name(
    table: statement.CreateTable,
    constraint: statement.Constraint,
    convention: Mapping[str, Any],
) -> str | None:
    """The name that a naming convention gives to a constraint; None if it gives none."""
    try:
        made = Table(
            table.name,
            MetaData(naming_convention=dict(convention)),
            *(Column(column.name) for column in table.columns),
        )
        named = _as_sqlalchemy(constraint)
        if named is None:
            return None
        made.append_constraint(named)
    except (SQLAlchemyError, KeyError):
        return None  # the convention asks for something that this constraint does not have
    return str(named.name) if isinstance(named.name, str) else None


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


def same_content(constraint: statement.Constraint, wanted: Constraint) -> bool:
    """Whether two constraints without names ask for the same."""
    if isinstance(wanted, CheckConstraint) and isinstance(constraint, statement.Check):
        text = str(wanted.sqltext.compile(compile_kwargs={"literal_binds": True}))
        return normal(text) == normal(constraint.expression)
    if isinstance(wanted, ForeignKeyConstraint) and isinstance(constraint, statement.ForeignKey):
        columns = [fold(name) for name in wanted.column_keys]
        if not columns:
            return False
        target = wanted.elements[0].target_fullname.rsplit(".", 1)[0]
        return columns == [fold(n) for n in constraint.columns] and same_name(
            target, constraint.table
        )
    if isinstance(wanted, UniqueConstraint) and isinstance(constraint, statement.Unique):
        columns = [fold(str(column.name)) for column in wanted.columns]
        return bool(columns) and columns == [fold(name) for name in constraint.columns]
    # A table has one primary key: whatever name it is given, it is that one.
    return isinstance(wanted, PrimaryKeyConstraint) and isinstance(constraint, statement.PrimaryKey)


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
