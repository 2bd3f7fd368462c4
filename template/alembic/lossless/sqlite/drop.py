"""Drop a column by SQLite's own ALTER TABLE, which rewrites the rows in their place.

Faster than a rebuild, and indexes stay as they are. What it refuses (lang_altertable.html, section
5) is known beforehand; where it refuses more, for a broken view for instance, the rebuild does it.
"""

from __future__ import annotations

import sqlite3

from .database import Database
from .edit import write_schema
from .statement import CreateTable
from .tokens import fold, quote_name

_SINCE = (3, 35, 5)
_AT_ONCE = 2  # each column costs a pass over the table; more of them are done better in a rebuild


def can_be_dropped(database: Database, old: CreateTable, new: CreateTable) -> bool:
    """Whether `new` is `old` without a column or two that SQLite drops.

    The column of a VIRTUAL expression is left to the rebuild: SQLite would drop it without writing
    the rows, and `stored.py` relies on that nobody does.
    """
    gone = [column for column in old.columns if new.find_column(column.name) is None]
    if not 0 < len(gone) <= _AT_ONCE or _version(database) < _SINCE:
        return False
    rest = old
    for column in gone:
        virtual = column.generated is not None and not column.generated.stored
        if column.primary_key or column.uniques or column.foreign_keys or virtual:
            return False
        rest = rest.without_column(column.name)
    return rest.sql == new.sql


def _version(database: Database) -> tuple[int, ...]:
    return tuple(map(int, database.query("SELECT sqlite_version()")[0][0].split(".")))


def drop_columns(database: Database, old: CreateTable, new: CreateTable) -> bool:
    """Drop the columns of `old` that `new` has not. False: SQLite refuses, nothing has changed."""
    before = {(found.kind, fold(found.name)): found.sql for found in database.objects()}
    try:
        with database.savepoint():
            for column in old.columns:
                if new.find_column(column.name) is None:
                    database.run(
                        f"ALTER TABLE {database.qualified(old.name)} "
                        f"DROP COLUMN {quote_name(column.name)}"
                    )
    except sqlite3.DatabaseError:
        return False
    before["table", fold(old.name)] = new.sql
    restored = {
        (found.kind, found.name): sql
        for found in database.objects()
        if (sql := before.get((found.kind, fold(found.name)))) is not None and sql != found.sql
    }
    if restored and database.can_edit_schema():
        write_schema(database, restored)  # "strings" as they were, which it writes 'strings'
    return True
