"""The models' metadata: where it is found, and what it calls constraints that have no name.

Knows the three shapes that models come in (a declarative `Base`, a bare `metadata`, SQLModel
classes), that they may be one module or a package, and SQLAlchemy's naming conventions
("Configuring a Naming Convention for a MetaData Collection"): a constraint without a name can be
added, but not dropped again by a revision. Knows nothing of databases or migrations.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

from alembic.util import CommandError
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


def find_metadata(models: ModuleType) -> MetaData:
    """The metadata that all models share.

    Every submodule of a models package is imported first: a table whose module nobody imported
    would look to autogenerate like one that should be dropped. What the package itself does not
    hold may be in one of them.

    Args:
        models: the project's `models` module or package.

    Raises:
        CommandError: there is neither a `Base`, nor a `metadata`, nor any SQLModel class; or
            submodules have several.
    """
    submodules = import_submodules(models)
    own = metadata_in(models)
    if own is not None:
        return own
    held = {module.__name__: metadata_in(module) for module in submodules}
    names = {found: name for name, found in held.items() if found is not None}
    if len(names) > 1:
        raise CommandError(
            f"{' and '.join(names.values())} hold different metadata; "
            f"import the `Base` of all models into {models.__file__}"
        )
    if names:
        return next(iter(names))
    sqlmodel = sys.modules.get("sqlmodel")
    if sqlmodel is not None and isinstance(sqlmodel.SQLModel.metadata, MetaData):
        return sqlmodel.SQLModel.metadata
    raise CommandError(
        f"{models.__name__} ({models.__file__}) has no `Base` and no `metadata`, so there is nothing "
        "to compare a database with; define one there, or import it into the package's __init__.py"
    )


def metadata_in(module: ModuleType) -> MetaData | None:
    """The metadata of a module's `Base`, or its `metadata`; None if it has neither."""
    base = getattr(module, "Base", None)
    for found in (getattr(base, "metadata", None), getattr(module, "metadata", None)):
        if isinstance(found, MetaData):
            return found
    return None


def import_submodules(package: ModuleType) -> list[ModuleType]:
    """Import everything below a package; a plain module has nothing below it."""
    found = walk_packages(getattr(package, "__path__", []), package.__name__ + ".")
    return [import_module(below.name) for below in found]


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
