"""Which rows did not fit into a table that was built anew, for a message.

Asked only when the rebuild has failed, and of the rows as they were. Knows what types and
collations make of values, by letting SQLite store them in a temporary table; knows of the
rebuild only what it calls the new table, which SQLite's message names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from .database import Database
from .rebuild import TEMPORARY, affinity
from .rows import key_columns, key_of
from .statement import Column, CreateTable, Key
from .tokens import fold, quote_name

_VALUES = "temp.lossless_values"


def explain(
    database: Database,
    old: CreateTable,
    new: CreateTable,
    sources: Collection[str],
    error: sqlite3.IntegrityError,
) -> str:
    """Say which rows do not fit.

    Args:
        database: where the table is, still as it was.
        old: the table as it is.
        new: the table as it was asked for.
        sources: the columns (folded) of the new table that get values of the old one.
        error: what SQLite said.
    """
    reason = str(error).replace(f"{TEMPORARY}{old.name}", old.name)
    problem = f"The rows of table {old.name} do not fit what is asked of it: {reason}"
    with suppress(sqlite3.Error):  # a collation may be the application's own
        found = _told_duplicates if "UNIQUE" in reason else _told_types
        return problem + found(database, old, new, sources)
    return problem


def _told_duplicates(
    database: Database, old: CreateTable, new: CreateTable, sources: Collection[str]
) -> str:
    for key in (new.primary_key, *new.uniques):
        if key is None or any(fold(name) not in sources for name in key.columns):
            continue
        rows = _future_duplicates(database, old, new, key)
        if rows:
            return f". More than one row has {', '.join(key.columns)} = {rows}"
    return ""


def _told_types(
    database: Database, old: CreateTable, new: CreateTable, sources: Collection[str]
) -> str:
    for column in new.columns:
        typed = new.strict or column.name == new.rowid_alias
        if not typed or fold(column.name) not in sources:
            continue
        rows = _of_other_type(database, old, new, column)
        if rows:
            return f". Column {column.name} is no {column.declared_type} in the rows: {rows}"
    return ""


def find_duplicates(database: Database, table: str, columns: Sequence[str]) -> str:
    """Values that more than one row has in these columns; the first five, or an empty text.

    Args:
        database: where the table is.
        table: its name as SQL, with its schema's.
        columns: the columns' names.
    """
    names = ", ".join(quote_name(name) for name in columns)
    present = " AND ".join(f"{quote_name(name)} IS NOT NULL" for name in columns)
    return database.find_keys(
        f"SELECT {names} FROM {table} WHERE {present} GROUP BY {names} HAVING count(*) > 1"
    )


def _future_duplicates(database: Database, old: CreateTable, new: CreateTable, key: Key) -> str:
    """What more than one row will have in a key, by the key's types and collations."""
    columns = [new.column(part.name) for part in key.parts]
    collations = [
        part.collation or column.collation for part, column in zip(key.parts, columns, strict=True)
    ]
    with _values(database, old, new, columns, collations) as names:
        return find_duplicates(database, _VALUES, names)


def _of_other_type(database: Database, old: CreateTable, new: CreateTable, column: Column) -> str:
    """Keys of rows whose value cannot become the column's type; the first five, or an empty text."""
    kinds = {"integer": "integer", "real": "real", "text": "text", "blob": "blob"}
    kind = kinds.get(affinity(column.declared_type))
    if kind is None:
        return ""
    marks = ", ".join(f"k{number}" for number in range(len(key_columns(old))))
    with _values(database, old, new, [column], [None]) as (value,):
        return database.find_keys(
            f"SELECT {marks} FROM {_VALUES} WHERE typeof({value}) NOT IN ('{kind}', 'null')"
        )


@contextmanager
def _values(
    database: Database,
    old: CreateTable,
    new: CreateTable,
    columns: Sequence[Column],
    collations: Sequence[str | None],
) -> Iterator[list[str]]:
    """The rows' keys and the columns' values as they will be, in a table of their own.

    Yields the names under which the values are found there.
    """
    marks = [f"k{number}" for number in range(len(key_columns(old)))]
    names = [f"v{number}" for number in range(len(columns))]
    declared = [
        f"{name} {'' if new.strict and fold(column.declared_type) == 'any' else column.declared_type}"
        + (f" COLLATE {quote_name(collation)}" if collation else "")
        for name, column, collation in zip(names, columns, collations, strict=True)
    ]
    values = ", ".join(quote_name(column.name) for column in columns)
    database.run(f"CREATE TEMP TABLE lossless_values ({', '.join([*marks, *declared])})")
    try:
        database.run(
            f"INSERT INTO {_VALUES} SELECT {key_of(old)}, {values} "
            f"FROM {database.qualified(old.name)}"
        )
        yield names
    finally:
        database.run(f"DROP TABLE {_VALUES}")
