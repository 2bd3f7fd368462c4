"""models.py: from a database's tables to a formatted module that imports.

Knows the order of the work; types are chosen in `columns.py`, source is written in `generators.py`.
"""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.orm import clear_mappers, configure_mappers
from sqlalchemy.types import String, TypeEngine

from ..metadata import find_metadata
from ..native import Native, Source
from .columns import TooMany, UndecodedAny, UndecodedText, fit, fit_undecoded, is_utf8, kinds
from .generators import CLASSES

SAMPLE = 1000  # rows of each table whose values are looked at in any case
PATIENCE = 10.0  # seconds for looking at the others, where a type must fit them all

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


def choose_types(tables: Iterable[Table], source: Source, native: Native) -> list[str]:
    """Give each column a type that its values fit; they are kept in the column's `info`.

    Returns:
        What is worth knowing about it.
    """
    dialect = source.engine.dialect
    deadline = time.monotonic() + PATIENCE
    notes = []
    undecoded: dict[Column[Any], Undecoded] = {}
    for table in tables:
        names = [column.name for column in table.columns]
        rows: list[tuple[Any, ...]] = []
        odd: dict[str, Undecoded] = {}
        try:
            rows = list(native.rows(source, table.name, names, SAMPLE))
            began = time.monotonic()
            odd = look_for_undecoded(table.name, names, source, native) if rows else {}
            deadline += time.monotonic() - began  # it cannot be left out, however long it takes
        except CommandError:
            raise
        except Exception as error:  # a generated column whose function is missing, for one
            notes.append(f"rows of table {table.name!r} cannot be read here: {error}")
        samples = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        for column, sample in zip(table.columns, samples, strict=True):

            def rest(
                name: str = column.name,
                table: Table = table,
                all_: bool = len(rows) < SAMPLE,
                deadline: float = deadline,
            ) -> Iterator[Any]:
                if not all_:
                    values = native.rows(source, table.name, [name], None)
                    for count, (value,) in enumerate(values):
                        if count % 10_000 == 0 and time.monotonic() > deadline:
                            raise TooMany
                        yield value

            if column.name in odd:
                chosen = fit_undecoded(column, odd[column.name].kinds, dialect)
                undecoded[column] = odd[column.name]
            else:
                chosen = fit(column, sample, rest, dialect)
            column.info["fit"] = chosen
            if chosen.misfit:
                notes.append(
                    f"{table.name}.{column.name} holds values that are no {column.type.compile(dialect)}: "
                    "the model reads them as they are stored"
                )
    notes += told_undecoded(undecoded)
    follow_keys(undecoded, source, native)
    return notes


@dataclass
class Undecoded:
    """What is stored in a column of which some text is not UTF-8."""

    number: int = 0  # of such texts
    kinds: set[type] = field(default_factory=set)  # of all values


def told_undecoded(undecoded: Mapping[Column[Any], Undecoded]) -> list[str]:
    """What a person should know of text that is not UTF-8: where it is, how much, and what the models do with it."""
    places: dict[type[TypeEngine[Any]], list[str]] = defaultdict(list)
    for column, found in undecoded.items():
        values = "value" if found.number == 1 else "values"
        place = f"{column.table.name}.{column.name} ({found.number} {values})"
        places[type(column.info["fit"].type)].append(place)
    written = {
        UndecodedText: "and writes the same bytes again",
        UndecodedAny: "and cannot write them, since the column holds other values than text, too",
    }
    return [
        f"text that is not UTF-8 is stored in {', '.join(names)}: {type_.__name__} in models.py "
        f"reads it with lone surrogates for the bytes that are not, {written[type_]}"
        for type_, names in places.items()
    ]


def look_for_undecoded(
    table: str, names: list[str], source: Source, native: Native
) -> dict[str, Undecoded]:
    """The columns of a table that hold text which is not UTF-8.

    Raises:
        UnicodeError: there is such text, and no way to read it.
    """
    if native.decodes(source, table, names):
        return {}
    if source.encoding != "UTF-8":
        # A cast to bytes would give UTF-16 there, but UTF-8 in a database that the baseline builds.
        raise UnicodeError(f"some text in it is not {source.encoding}")
    found = {name: Undecoded() for name in names}
    for row in native.rows(source, table, names, None):
        for value, column in zip(row, found.values(), strict=True):
            if value is not None:
                column.kinds.add(type(value))
                column.number += isinstance(value, str) and not is_utf8(value)
    return {name: column for name, column in found.items() if column.number}


def follow_keys(undecoded: Iterable[Column[Any]], source: Source, native: Native) -> None:
    """Give the text at the other ends of foreign keys the same type: a relationship looks there for the same values."""
    waiting = [column for column in undecoded if isinstance(column.info["fit"].type, UndecodedText)]
    if not waiting:
        return
    ends: dict[Column[Any], list[Column[Any]]] = defaultdict(list)
    for table in waiting[0].table.metadata.tables.values():
        for key in table.foreign_keys:
            ends[key.parent].append(key.column)
            ends[key.column].append(key.parent)
    while waiting:
        for column in ends[waiting.pop()]:
            if not is_plain_text(column):
                continue
            values = native.rows(source, column.table.name, [column.name], None)
            if kinds(value for (value,) in values) <= {str}:
                column.info["fit"] = fit_undecoded(column, {str}, source.engine.dialect)
                waiting.append(column)


def is_plain_text(column: Column[Any]) -> bool:
    type_ = column.info["fit"].type
    return isinstance(type_, String) and not isinstance(type_, UndecodedText)


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
