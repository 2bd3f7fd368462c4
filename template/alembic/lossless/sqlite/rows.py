"""Questions to the rows for a constraint or a type: whether they have what it asks of them.

Each `RowCheck` is a query that finds the rows a new constraint would not allow; what it found is
shown by key. What types and collations make of values is asked by letting SQLite store them in a
temporary table. Knows SQL of one table; knows nothing of when it is asked, nor of how the
constraint is added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .database import Database
from .statement import ROWID_NAMES, Check, Column, CreateTable, ForeignKey, Key
from .tokens import fold, quote_name
from .types import affinity

_VALUES = "temp.lossless_values"


@dataclass(frozen=True)
class RowCheck:
    """Rows that a change would not allow."""

    message: str
    condition: str  # SQL over the table's columns: true for a row that must not be there

    def run(self, database: Database, table: CreateTable) -> None:
        """Look for such rows.

        Raises:
            CommandError: there are some, with the keys of the first five.
        """
        database.refuse_if_any(
            f"SELECT {key_of(table)} FROM {database.qualified(table.name)} WHERE {self.condition}",
            self.message,
        )


def key_of(table: CreateTable) -> str:
    """What identifies a row for a person, as the columns of a SELECT."""
    return ", ".join(key_columns(table))


def key_columns(table: CreateTable) -> list[str]:
    """The columns of the primary key, else the rowid, else all columns; quoted."""
    key = table.primary_key
    if key is not None:
        return [quote_name(name) for name in key.columns]
    rowid = rowid_name(table)
    return [rowid] if rowid else [quote_name(column.name) for column in table.columns]


def rowid_name(table: CreateTable) -> str | None:
    """A name under which the rowid can be reached; None if columns have taken all three."""
    if table.without_rowid:
        return None
    return next((name for name in ROWID_NAMES if table.find_column(name) is None), None)


def null_check(table: CreateTable, column: str) -> RowCheck:
    """Rows without a value in a column that needs one by its NOT NULL, or by the primary key."""
    wanted = "be in the primary key" if table.column(column).not_null is None else "become NOT NULL"
    return RowCheck(
        f"Column {column} of table {table.name} cannot {wanted}: it is NULL in the rows",
        f"{quote_name(column)} IS NULL",
    )


def value_check(table: CreateTable, column: str) -> RowCheck:
    """All rows: a new NOT NULL column without default is for tables without rows."""
    return RowCheck(
        f"Column {column} cannot be added to table {table.name} as NOT NULL without a "
        "server_default: there would be no value for the rows",
        "1",
    )


def never_null(table: CreateTable) -> list[str]:
    """The columns (folded) that cannot be NULL, in the table's order."""
    known = {fold(table.rowid_alias)} if table.rowid_alias is not None else set()
    if table.primary_key is not None and (table.without_rowid or table.strict):
        known |= set(map(fold, table.primary_key.columns))
    return [
        fold(column.name)
        for column in table.columns
        if column.not_null is not None or fold(column.name) in known
    ]


def condition_check(table: CreateTable, check: Check) -> RowCheck:
    """Rows for which a CHECK is false; NULL is allowed, as in SQL it is."""
    named = f" {check.name}" if check.name else ""
    return RowCheck(
        f"CHECK{named} ({check.expression.strip()}) of table {table.name} would not hold for the rows",
        f"NOT ({check.expression}\n)",  # a comment may be the last of it
    )


def parent_check(
    database: Database, table: CreateTable, key: ForeignKey, targets: Sequence[str]
) -> RowCheck:
    """Rows without a parent. `targets` are the parent's columns."""
    columns = [quote_name(name) for name in key.columns]
    message = (
        f"A foreign key from {table.name} ({', '.join(key.columns)}) to {key.table} "
        "cannot be added: there is no parent for the rows"
    )
    present = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    if not targets:  # the parent is missing altogether
        return RowCheck(message, present)
    # The child's columns get the table's name: the parent may have columns of the same name. Behind
    # "+" they have no affinity: the parent's alone counts for a key (foreignkeys.html, section 3).
    child = quote_name(table.name)
    alias = "lossless_parent"
    equal = " AND ".join(
        f"{alias}.{quote_name(target)} = +{child}.{name}"
        for target, name in zip(targets, columns, strict=True)
    )
    return RowCheck(
        message,
        f"{present} AND NOT EXISTS "
        f"(SELECT 1 FROM {database.qualified(key.table)} AS {alias} WHERE {equal})",
    )


def is_not_kept(column: str, old: str, new: str) -> str | None:
    """SQL that is true for a value which does not come back as it was from a column of another affinity.

    Texts that are numbers become some, and '007' is 7 then; a real number has fewer digits than a large
    integer, and as text fewer than it has itself ("Type Affinity", datatype3.html, section 3).

    Args:
        column: the column's name, quoted.
        old: the affinity it has.
        new: the affinity that it gets.

    Returns:
        The condition; None if every value is kept.
    """
    lost = []
    if new in ("integer", "real", "numeric") and old in ("text", "blob"):
        lost.append(_becomes_other_number(column, new))
    if new == "real" and old != "real":
        lost.append(f"typeof({column}) = 'integer' AND CAST({column} AS REAL) <> {column}")
    if new == "text" and old not in ("text", "integer"):
        lost.append(
            f"typeof({column}) = 'real' AND CAST(CAST({column} AS TEXT) AS REAL) <> {column}"
        )
    return " OR ".join(f"({condition})" for condition in lost) or None


def _becomes_other_number(column: str, affinity: str) -> str:
    """SQL that is true for text which a column of an affinity stores as a number, read otherwise.

    A number in a comparison makes a number of text that is one throughout ("Type Conversions Prior
    To Comparison", datatype3.html), as such a column does.
    """
    kind, same = "NUMERIC", column
    if affinity == "real":
        kind, same = "REAL", f"{column}, {column} || '.0'"  # which is all that it makes of '3'
    return (
        f"typeof({column}) = 'text' AND CAST({column} AS NUMERIC) = {column} AND "
        f"CAST(CAST({column} AS {kind}) AS TEXT) COLLATE BINARY NOT IN ({same})"
    )


# --- Which rows did not fit into a table that was built anew ----------------------------------


def explain_unfit(
    database: Database,
    old: CreateTable,
    new: CreateTable,
    sources: Collection[str],
    reason: str,
) -> str:
    """Say which rows do not fit: when a rebuild has failed, and of the rows as they were.

    Args:
        database: where the table is, still as it was.
        old: the table as it is.
        new: the table as it was asked for.
        sources: the columns (folded) of the new table that get values of the old one.
        reason: what SQLite said.
    """
    problem = f"The rows of table {old.name} do not fit what is asked of it: {reason}"
    with suppress(sqlite3.Error):  # a collation may be the application's own
        if "UNIQUE" not in reason:
            return problem + _told_types(database, old, new, sources)
        told = _told_duplicates(database, old, new, sources)
        return problem + (told or _told_default(database, old, new, sources, reason))
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


def _told_default(
    database: Database, old: CreateTable, new: CreateTable, sources: Collection[str], reason: str
) -> str:
    for column in new.columns:
        added = column.generated is None and fold(column.name) not in sources
        if added and reason.endswith(f": {old.name}.{column.name}"):
            rows = database.find_keys(f"SELECT {key_of(old)} FROM {database.qualified(old.name)}")
            return f". Column {column.name} is new, and would have its default in each of the rows: {rows}"
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
