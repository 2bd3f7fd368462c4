"""models.py: from a database's tables to a formatted module that imports.

Knows the order of the work; types are chosen in `columns.py`, source is written in `generators.py` and `classes.py`.
"""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.orm import clear_mappers, configure_mappers
from sqlalchemy.types import TypeEngine

from ..metadata import find_metadata
from ..native import Source
from .classes import CLASSES

HEADER = '''"""The application's models: what the database holds.

After a change: `alembic revision --autogenerate -m "what changed"`, then `alembic upgrade head`.
"""

'''


def reflect(source: Source, schemas: Iterable[str | None] = (None,)) -> MetaData:
    """All tables that models are to be written for."""
    metadata = MetaData()
    inspector = inspect(source.engine)
    for schema in schemas:
        names = inspector.get_table_names(schema)
        info = inspector._get_reflection_info(schema, filter_names=names, available=names)
        for name in names:
            table = Table(name, metadata, schema=schema)
            inspector.reflect_table(table, None, resolve_fks=False, _reflect_info=info)
    return metadata


def generate(metadata: MetaData, source: Source, generator: str) -> str:
    """The source of models.py, before formatting."""
    made = CLASSES[generator](
        metadata, source.engine, ["nojoined"] if generator != "tables" else []
    )
    return HEADER + made.generate()


def format_source(source: str, name: str, root: Path) -> str:
    """Sort imports and lay out lines as the project's ruff does.

    Args:
        source: Python source.
        name: the file's place in the project, which decides the rules.
        root: the project's folder.

    Raises:
        CommandError: the source is no Python. Names that ruff's rules do not like come from the database.
    """
    if importlib.util.find_spec("ruff") is None:
        return source
    for command in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", name, "-"],
            input=source,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=root,
        )
        if ran.returncode:
            raise CommandError(
                f"ruff {command[0]} refuses the generated {name}:\n{ran.stderr or ran.stdout}"
            )
        source = ran.stdout
    return source


def load(path: Path) -> MetaData:
    """Import a models module as strictly as can be: a warning is an error, and the mappers must fit together.

    Returns:
        What it describes; the classes are let go, they take more memory than all the rest.
    """
    gc.collect()
    spec = importlib.util.spec_from_file_location("adopted_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    clear_mappers()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
            configure_mappers()
        finally:
            del sys.modules[spec.name]
    metadata = find_metadata(module)
    # What a type's methods need must stay with them.
    for name, value in list(vars(module).items()):
        own = isinstance(value, type) and value.__module__ == spec.name
        if own and not issubclass(value, TypeEngine):
            delattr(module, name)
    clear_mappers()
    gc.collect()
    return metadata
