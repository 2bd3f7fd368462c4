"""Which tables the models describe.

Knows the three shapes that models come in (a declarative `Base`, a bare `metadata`, SQLModel
classes) and that they may be one module or a package; knows nothing of databases or migrations.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

from alembic.util import CommandError
from sqlalchemy import MetaData


def find_metadata(models: ModuleType) -> MetaData:
    """The metadata that all models share.

    Every submodule of a models package is imported first: a table whose module nobody imported
    would look to autogenerate like one that should be dropped.

    Args:
        models: the project's `models` module or package.

    Raises:
        CommandError: the module holds neither a `Base`, nor a `metadata`, nor SQLModel classes.
    """
    import_submodules(models)
    base = getattr(models, "Base", None)
    for found in (getattr(base, "metadata", None), getattr(models, "metadata", None)):
        if isinstance(found, MetaData):
            return found
    sqlmodel = sys.modules.get("sqlmodel")
    if sqlmodel is not None and isinstance(sqlmodel.SQLModel.metadata, MetaData):
        return sqlmodel.SQLModel.metadata
    raise CommandError(
        f"{models.__name__} ({models.__file__}) has no `Base` and no `metadata`, so there is nothing "
        "to compare a database with; define one there, or import it into the package's __init__.py"
    )


def import_submodules(package: ModuleType) -> None:
    """Import everything below a package; a plain module has nothing below it."""
    for found in walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        import_module(found.name)
