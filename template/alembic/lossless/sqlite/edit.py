"""Change what sqlite_schema says of a table, and nothing of what is stored.

The second procedure of "Making Other Kinds Of Table Schema Changes" (lang_altertable.html, section
7): for changes that leave the content of the file as it is. Which changes those are is decided
elsewhere, save for one: whether every row holds its own value of a column, or may read it from the
column's default.

`ALTER TABLE ADD COLUMN` writes no row: rows that are older than the column have no value of it, and
SQLite reads the default from the schema instead ("Record Format" in the documentation of the file
format: missing values). To write another default into the schema would change all of those rows.
Nor does it help that a table was made anew: `INSERT INTO new SELECT * FROM old` copies the records of
a table with the same columns as they are. So a default is edited only where no row depends on it.

Certain, because `ALTER TABLE ADD COLUMN` cannot have made the column, or one behind it, neither here
nor in a table from which records can be copied as they are:
  - NOT NULL without a default, the INTEGER PRIMARY KEY, in the key of a WITHOUT ROWID table, or
    STORED, which it refuses;
  - the first column: where all before it have been dropped, one of them had rows to be rewritten.
Otherwise the rows are asked, which takes one scan. Where the schema has never been changed except by
adding whole objects to it, records that lack a value can only have come from another file, as they
are; they come in numbers, and a sample of the rows is asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from .database import Database
from .rows import rowid_name
from .statement import Column, CreateTable
from .tokens import fold, quote_name, quote_string

SAMPLE_AT_EACH_END, SAMPLE_BETWEEN = 2_000, 500  # rows


def write_schema(database: Database, statements: Mapping[tuple[str, str], str]) -> None:
    """Put other statements in the place of those that are there.

    Args:
        database: one whose schema can be edited, inside a transaction.
        statements: the new statement for each kind and name of an object.
    """
    database.run("PRAGMA writable_schema = ON")
    for (kind, name), sql in statements.items():
        database.run(
            f"UPDATE {database.catalogue} SET sql = {quote_string(sql)} "
            f"WHERE type = {quote_string(kind)} AND name = {quote_string(name)}"
        )
    database.touch_schema()
    database.run("PRAGMA writable_schema = RESET")


def is_stored_everywhere(database: Database, table: CreateTable, name: str) -> bool:
    """Whether no row of a table reads a column from its default.

    Args:
        database: one that can edit its schema, in a savepoint.
        table: the table as it is now.
        name: the column.
    """
    if not database.has_rows(table.name):
        return True
    place = [fold(column.name) for column in table.columns].index(fold(name))
    if any(_cannot_have_been_added(table, column) for column in table.columns[place:]):
        return True
    if not database.live:
        return False
    sampled = not table.without_rowid and _only_ever_grown(database)
    return not _some_row_reads_default(database, table, name, sampled=sampled)


def _cannot_have_been_added(table: CreateTable, column: Column) -> bool:
    """Whether a column's definition shows that it is as old as its table."""
    if column.generated is not None:
        return column.generated.stored
    if fold(column.name) == fold(table.rowid_alias or ""):
        return True
    key = table.primary_key
    if table.without_rowid and key is not None and key.has(column.name):
        return True
    if column.not_null is not None and column.default is None:
        return True
    return column is table.columns[0]


def _only_ever_grown(database: Database) -> bool:
    """Whether each change that the schema cookie counts was one CREATE that is still there."""
    objects = database.objects()
    if any((found.sql or "")[:14].upper() == "CREATE VIRTUAL" for found in objects):
        return False
    made = sum(not fold(found.name).startswith("sqlite_") for found in objects)
    cookie = database.query(f"PRAGMA {quote_name(database.schema)}.schema_version")[0][0]
    return bool(cookie <= made)


def _some_row_reads_default(
    database: Database, table: CreateTable, name: str, *, sampled: bool
) -> bool:
    """Give the column an unmistakable default for a moment, and look for rows that show it.

    Args:
        sampled: whether to look at a sample of the rows instead of all.
    """
    mark = f"x'{secrets.token_hex(16)}'"
    write_schema(database, {("table", table.name): table.with_default(name, mark).sql})
    source = f"{database.qualified(table.name)} {_past_other_indexes(database, table)}"
    rowid = rowid_name(table)
    if sampled and rowid is not None:
        source = f"({_sample(source, quote_name(name), rowid)})"
    found = database.query(
        # The mark is no text, and a collation of an application may not be here.
        f"SELECT 1 FROM {source} WHERE +{quote_name(name)} IS {mark} COLLATE BINARY LIMIT 1"
    )
    write_schema(database, {("table", table.name): table.sql})
    return bool(found)


def _sample(source: str, column: str, rowid: str) -> str:
    """A query for a column of the first and the last rows, and of some all over the table."""
    ends = [
        f"SELECT * FROM (SELECT {column} FROM {source} ORDER BY {rowid} {order} LIMIT {SAMPLE_AT_EACH_END})"
        for order in ("ASC", "DESC")
    ]
    lowest, highest = (f"(SELECT {edge}({rowid}) FROM {source})" for edge in ("min", "max"))
    place = f"{lowest} + CAST((1.0 * {highest} - {lowest}) * number / {SAMPLE_BETWEEN} AS INTEGER)"
    return (
        f"WITH RECURSIVE place(number) AS "
        f"(SELECT 1 UNION ALL SELECT number + 1 FROM place WHERE number < {SAMPLE_BETWEEN}) "
        f"{ends[0]} UNION ALL {ends[1]} UNION ALL SELECT "
        f"(SELECT {column} FROM {source} WHERE {rowid} >= {place} ORDER BY {rowid} LIMIT 1) FROM place"
    )


def _past_other_indexes(database: Database, table: CreateTable) -> str:
    """The words after a table's name that let SQLite read the rows, and not an index that has the values, too.

    NOT INDEXED does (lang_indexedby.html), but not for a WITHOUT ROWID table: that is an index itself.
    """
    if not table.without_rowid:
        return "NOT INDEXED"
    names = f"{quote_string(table.name)}, {quote_string(database.schema)}"
    key = database.query(f"SELECT name FROM pragma_index_list({names}) WHERE origin = 'pk'")
    return f"INDEXED BY {quote_name(key[0][0])}"
