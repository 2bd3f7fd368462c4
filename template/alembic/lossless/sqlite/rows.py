"""Questions to the rows for a constraint: whether they have what it asks of them.

Each `RowCheck` is a query that finds the rows a new constraint would not allow; what it found is
shown by key. Knows SQL of one table, and its columns in an expression; knows nothing of when it is
asked, nor of how the constraint is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .database import Database
from .statement import Check, CreateTable, ForeignKey
from .tokens import Kind, Token, fold, quote_name, significant, tokenize

_ROWIDS = ("rowid", "_rowid_", "oid")


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
    return next((name for name in _ROWIDS if table.find_column(name) is None), None)


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


def mentioned_columns(table: CreateTable, expression: str) -> frozenset[str]:
    """The table's columns that an expression names (folded).

    A word before "(" is a function; a name in double quotes counts if there is such a column.
    """
    tokens = significant(tokenize(expression))
    found = set()
    for place, token in enumerate(tokens):
        follows = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if token.kind is Kind.WORD and follows == "(":
            continue
        if token.kind in (Kind.WORD, Kind.QUOTED) and table.find_column(token.name):
            found.add(fold(token.name))
    return frozenset(found)


def unknown_name(table: CreateTable, expression: str) -> str | None:
    """A name in double quotes where a column's must stand, that no column has; None without one."""
    tokens = significant(tokenize(expression))
    for place, token in enumerate(tokens):
        follows = tokens[place + 1].text if place + 1 < len(tokens) else ""
        before = tokens[place - 1].word if place else ""
        if follows in ("(", ".") or before in ("COLLATE", "AS"):
            continue  # a function, a table, a collation, a type
        if fold(token.name) in _ROWIDS:
            continue
        if _in_double_quotes(token) and table.find_column(token.name) is None:
            return token.name
    return None


def meaning(table: CreateTable, expression: str) -> tuple[tuple[str, str], ...]:
    """An expression in a form that is equal where the same is meant.

    A name in double quotes is a string if the table has no such column.
    """
    found = []
    for token in significant(tokenize(expression)):
        unknown = _in_double_quotes(token) and table.find_column(token.name) is None
        if token.kind is Kind.STRING or unknown:
            found.append(("string", token.name))
        else:
            found.append(("name" if token.can_be_name else "other", fold(token.name)))
    return tuple(found)


def _in_double_quotes(token: Token) -> bool:
    return token.kind is Kind.QUOTED and token.text[0] == '"'
