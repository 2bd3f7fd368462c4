"""Names for constraints that have none.

A constraint without a name can be added, but not dropped again by a revision. Knows SQLAlchemy's
naming conventions ("Configuring a Naming Convention for a MetaData Collection"); knows no engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column, Constraint, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError

# Where a project has no convention of its own.
DEFAULT_CONVENTION: Mapping[str, str] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def conventional_name(
    table: str, columns: Iterable[str], constraint: Constraint, convention: Mapping[str, Any]
) -> str | None:
    """The name that a naming convention gives to a constraint; None if it gives none.

    Args:
        table: the table's name.
        columns: the names of its columns.
        constraint: without a name, and not yet part of a table.
        convention: as in `MetaData(naming_convention=...)`.
    """
    metadata = MetaData(naming_convention=dict(convention))
    try:
        Table(table, metadata, *(Column(name) for name in columns)).append_constraint(constraint)
    except (SQLAlchemyError, KeyError):
        return None  # the convention asks for something that this constraint does not have
    return str(constraint.name) if isinstance(constraint.name, str) else None
