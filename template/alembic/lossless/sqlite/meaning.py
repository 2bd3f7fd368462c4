"""What a name means: in an expression of a table, and in views and triggers when a column is called so.

SQLite takes a name for the nearest thing that is called so: "name" is a string until there is such
a column, a name in a subquery is the outer table's until the inner one has it, `rowid` is the row's
number until a column is called that, and NATURAL JOIN compares whatever has one name. A view then
works on, and gives other rows.

So the schema is compiled twice, with two names of the column and everything else the same. Where
SQLite makes two programs of a view or trigger, it does not mean the same. Knows nothing of changes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from alembic.util import CommandError

from .database import Database, SchemaObject, unused_name
from .replica import CopiedDatabase, copy_schema, run_on_copy, statements_of
from .statement import ROWID_NAMES, CreateTable
from .tokens import (
    KEYWORDS,
    RESERVED,
    Kind,
    Token,
    fold,
    quote_name,
    same_name,
    significant,
    tokenize,
)

# Instructions whose fourth operand is the text of a statement or of a message.
_TELLING = ("Init", "Trace", "Explain", "Halt", "HaltIfNull")

# Keywords where an operand can stand, and no names there.
_TIMES = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP")

Programs = dict[str, list[tuple[Any, ...]]]


class OtherMeaning(CommandError):
    """A change of names lets views or triggers mean something else.

    Args:
        problem: what cannot be changed how, for a person.
        affected: the views and triggers.
    """

    def __init__(self, problem: str, affected: list[str]) -> None:
        super().__init__(
            f"{problem}: {'; '.join(affected)} would quietly mean something else. "
            "Drop that with op.execute() first, and create it anew afterwards, with the table's name "
            "before the column's, and strings in single quotes"
        )
        self.affected = affected


def refuse_other_meaning_of_new(
    objects: list[SchemaObject], table: str, columns: Collection[str]
) -> None:
    """See that no view and no trigger comes to use a new column by chance.

    Args:
        objects: the schema, with the new columns.
        table: the table that gets them.
        columns: their names.

    Raises:
        CommandError: one worked without them and would mean something else with them.
    """
    affected = _depending_on_names(objects, table, columns)
    if affected:
        raise OtherMeaning(
            f"Column {', '.join(columns)} cannot be added to table {table}", affected
        )


def refuse_other_meaning_without(
    objects: list[SchemaObject], table: str, columns: Collection[str]
) -> None:
    """See that no NATURAL JOIN compares columns that are dropped; other uses are found elsewhere.

    Raises:
        CommandError: one does, and would go on without.
    """
    joins = columns and any(_joins_by_name(found) for found in users_of(objects, table))
    affected = _depending_on_names(objects, table, columns) if joins else []
    if affected:
        raise OtherMeaning(
            f"Column {', '.join(columns)} cannot be dropped from table {table}", affected
        )


def refuse_other_meaning_by_rename(database: Database, table: str, old: str, new: str) -> None:
    """See that no view and no trigger means something else once a column is renamed.

    Raises:
        CommandError: one does.
    """
    objects = database.objects()
    views = [found.name for found in objects if found.kind == "view"]
    if not any(
        _may_depend(found, [new]) or _may_read_a_result(found, old, views)
        for found in users_of(objects, table)
    ):
        return
    affected = _affected_by(objects, _renaming(table, old, new))
    if affected:
        raise OtherMeaning(f"Column {old} cannot be renamed to {new} in table {table}", affected)


def refuse_other_meaning_by_new_name(database: Database, table: str, new: str) -> None:
    """See that no view and no trigger means something else once a table is renamed.

    One may use the new name already, for a common table expression or for another table.

    Raises:
        CommandError: one does.
    """
    objects = database.objects()
    if not any(found.kind in ("view", "trigger") and mentions(found, new) for found in objects):
        return
    statement = f"ALTER TABLE {quote_name(table)} RENAME TO {quote_name(new)}"
    affected = _affected_by(objects, statement)
    if affected:
        raise OtherMeaning(f"Table {table} cannot be renamed to {new}", affected)


def names_lost(objects: list[SchemaObject], view: str, table: str, column: str) -> set[str]:
    """The names (folded) of a view's columns that it has no more once a column is called otherwise."""
    statement = _renaming(table, column, unused_name(objects, "_lossless"))
    with contextlib.closing(copy_schema(objects)) as copy:
        before = _results(copy).get(view, {})
        _alter(copy, statement)
        return set(before) - set(_results(copy).get(view, {}))


def mentions(found: SchemaObject, name: str) -> bool:
    """Whether a name occurs in an object's statement, whatever it means there."""
    sql = found.sql or ""
    if '"' not in name and name.casefold() not in _casefolded(sql):
        return False  # the usual case, found out without cutting the statement into tokens
    return fold(name) in _names_in(sql)


def users_of(objects: Iterable[SchemaObject], table: str) -> list[SchemaObject]:
    """Views and triggers that name a table, or a view that does, and so on."""
    others = [found for found in objects if found.kind in ("view", "trigger")]
    users, names = [], [table]
    while names:
        name = names.pop()
        remaining = []
        for found in others:
            if not mentions(found, name):
                remaining.append(found)
                continue
            users.append(found)
            if found.kind == "view":
                names.append(found.name)
        others = remaining
    return users


@lru_cache(maxsize=1024)
def _casefolded(sql: str) -> str:
    return sql.casefold()


@lru_cache(maxsize=1024)  # asked of each view and trigger for one name after the other
def _names_in(sql: str) -> frozenset[str]:
    return frozenset(fold(token.name) for token in tokenize(sql) if token.can_be_name)


def _depending_on_names(
    objects: list[SchemaObject], table: str, columns: Collection[str]
) -> list[str]:
    """What would be compiled otherwise if these columns were called something else."""
    if not columns or not any(_may_depend(found, columns) for found in users_of(objects, table)):
        return []
    tables = [found for found in objects if found.kind in ("table", "index")]
    others = [found for found in objects if found.kind not in ("table", "index")]
    with (
        contextlib.closing(copy_schema(tables)) as present,
        contextlib.closing(copy_schema(tables)) as renamed,
    ):
        for number, column in enumerate(columns):
            _alter(renamed, _renaming(table, column, unused_name(objects, f"_lossless_{number}")))
        for copy in (present, renamed):
            for found in others:
                with contextlib.suppress(sqlite3.Error):
                    run_on_copy(copy, found.sql or "")
        return _different(_programs(renamed), _programs(present)) or _other_results(
            renamed, present
        )


def _renaming(table: str, old: str, new: str) -> str:
    """The statement that renames a column."""
    return f"ALTER TABLE {quote_name(table)} RENAME COLUMN {quote_name(old)} TO {quote_name(new)}"


def _affected_by(objects: list[SchemaObject], statement: str) -> list[str]:
    """The views and triggers that would be compiled otherwise after an ALTER TABLE."""
    with (
        contextlib.closing(copy_schema(objects)) as present,
        contextlib.closing(copy_schema(objects)) as altered,
    ):
        _alter(altered, statement)
        return _different(_programs(present), _programs(altered)) or _other_results(
            present, altered
        )


def _alter(copy: sqlite3.Connection, statement: str) -> None:
    """Run an ALTER TABLE; what is broken, or hinders it, is dropped from the copy."""
    while True:
        try:
            run_on_copy(copy, statement)
        except sqlite3.Error as error:
            if not _drop_hindrance(copy, str(error)):
                return
        else:
            return


def _drop_hindrance(copy: sqlite3.Connection, message: str) -> bool:
    """Drop the view or trigger that an error message names; false if it names none."""
    objects = copy.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger') "
        "ORDER BY length(name) DESC"
    )
    for kind, name in objects.fetchall():
        if message.startswith(f"error in {kind} {name}"):
            copy.execute(f"DROP {kind} {quote_name(name)}")
            return True
    return False


def _may_depend(found: SchemaObject, columns: Iterable[str]) -> bool:
    """Whether the text of what uses a table lets a name of the table's columns mean anything."""
    return (
        _joins_by_name(found)
        or _gives_all_columns(found)
        or any(mentions(found, column) for column in columns)
    )


def _joins_by_name(found: SchemaObject) -> bool:
    return mentions(found, "natural")


def _gives_all_columns(found: SchemaObject) -> bool:
    """Whether it is a view that may give columns of several tables under the names they have there.

    Of two with one name, only the first keeps it.
    """
    sql = found.sql or ""
    if found.kind != "view" or "*" not in sql or not ("," in sql or mentions(found, "join")):
        return False
    return bool(all_columns_at(significant(tokenize(sql))))


def all_columns_at(tokens: Sequence[Token]) -> list[int]:
    """Where a `*` stands for all columns: not in count(*), and not for a product."""
    return [
        place
        for place, token in enumerate(tokens)
        if token.text == "*" and tokens[place - 1].word in ("SELECT", "DISTINCT", "ALL", ",", ".")
    ]


def _may_read_a_result(found: SchemaObject, column: str, views: Iterable[str]) -> bool:
    """Whether a view or trigger may use a column's name for what another view or a subquery gives.

    SQLite gives the result a new name, and leaves the use as it is: it finds another column of that name then, or
    takes a name in double quotes for a string.
    """
    if not mentions(found, column):
        return False
    selects = sum(token.word == "SELECT" for token in significant(tokenize(found.sql or "")))
    return selects > 1 or any(mentions(found, view) for view in views if view != found.name)


def _programs(copy: sqlite3.Connection) -> Programs:
    """What SQLite compiles each view and trigger to; those that do not work are left out."""
    database = CopiedDatabase(copy)
    found: Programs = {}
    for label, statement in statements_of(database):
        with contextlib.suppress(sqlite3.Error):
            rows = database.query(statement)
            found[label] = [_meant(row) for row in rows if row[1] != "Transaction"]
    return found


def _other_results(before: sqlite3.Connection, after: sqlite3.Connection) -> list[str]:
    """The views in which a name is another column's: of two with one name, the first keeps it."""
    known = _results(before)
    return [
        f"view {view}"
        for view, names in _results(after).items()
        if any(known.get(view, names).get(name, place) != place for name, place in names.items())
    ]


def _results(copy: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """The place of each column in each view that works, by its name."""
    database = CopiedDatabase(copy)
    found = {}
    for (view,) in database.query("SELECT name FROM sqlite_master WHERE type = 'view'"):
        with contextlib.suppress(sqlite3.Error):
            rows = database.query(f"PRAGMA table_xinfo({quote_name(view)})")
            found[view] = {fold(row[1]): row[0] for row in rows}
    return found


def _meant(instruction: tuple[Any, ...]) -> tuple[Any, ...]:
    """An instruction without what may differ where the same is meant."""
    _, code, one, two, three, four, five, *_ = instruction
    if code in _TELLING or str(four).startswith("vtab:"):  # where in memory a virtual table is
        four = None
    return code, one, two, three, four, five


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [label for label, found in before.items() if after.get(label, found) != found]


# --- In an expression of a table --------------------------------------------------------------


def mentioned_columns(table: CreateTable, expression: str) -> frozenset[str]:
    """The table's columns that an expression names (folded).

    A name in double quotes counts if there is such a column.
    """
    return frozenset(name for name in possible_columns(expression) if table.find_column(name))


def possible_columns(expression: str) -> set[str]:
    """The names in an expression (folded) that are columns' where a table has such ones."""
    return {fold(token.name) for token in _possible_columns(expression)}


def _possible_columns(expression: str) -> Iterator[Token]:
    """The names in an expression that can be a column's: not a type's, a collation's and so on.

    A keyword that may be a name is one where an operand must stand, and only there: the second of
    `CASE WHEN a THEN end END` is none.
    """
    tokens = significant(tokenize(expression))
    operand, in_type, before = True, False, ""
    for place, token in enumerate(tokens):
        follows = tokens[place + 1].text if place + 1 < len(tokens) else ""
        word, name = token.word, token.kind in (Kind.WORD, Kind.QUOTED)
        in_type = (in_type or before == "AS") and name  # CAST (a AS LONG INTEGER)
        if word in RESERVED or token.kind is Kind.OPERATOR:
            if word != "NOT":  # it stands before an operand, or before LIKE
                operand = word not in (")", "NULL", "ISNULL", "NOTNULL")
        elif word in KEYWORDS and before != "." and (not operand or word in _TIMES):
            operand = word in ("LIKE", "GLOB", "REGEXP", "MATCH")
        else:
            if name and not in_type and before != "COLLATE" and follows not in ("(", "."):
                yield token
            operand = False
        before = word


def names_something_else(table: CreateTable, expression: str, name: str) -> bool:
    """Whether an expression names the rowid, or TRUE or FALSE, by a name that no column has yet.

    The rowid in any quotes of a name, the constants without quotes only (`lookupName` of SQLite's
    resolve.c); once a column has the name, it is the column's.
    """
    numbers_rows = fold(name) in ROWID_NAMES and not table.without_rowid
    if not numbers_rows and fold(name) not in ("true", "false"):
        return False
    kinds = (Kind.WORD, Kind.QUOTED) if numbers_rows else (Kind.WORD,)
    return any(
        token.kind in kinds and same_name(token.name, name)
        for token in _possible_columns(expression)
    )


def unknown_name(table: CreateTable, expression: str) -> str | None:
    """A name in double quotes where a column's must stand, that no column has; None without one."""
    for token in _possible_columns(expression):
        if fold(token.name) in ROWID_NAMES:
            continue
        if _in_double_quotes(token) and table.find_column(token.name) is None:
            return token.name
    return None


def meaning_of(table: CreateTable, expression: str) -> tuple[tuple[str, str], ...]:
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
