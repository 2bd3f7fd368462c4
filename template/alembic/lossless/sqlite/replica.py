"""A copy of a database's schema in memory, without rows, to try things on.

Knows how to make one, and how to ask it, or another database, which views and triggers work; knows
nothing of changes.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from alembic.util import CommandError

from .database import Database, SchemaObject, in_utf8
from .tokens import Kind, fold, quote_name, start_of


class CopiedDatabase(Database):
    """A copy of a schema, as something that can be asked and changed."""

    live = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in run_on_copy(self.connection, sql)]

    def run(self, sql: str) -> None:
        run_on_copy(self.connection, sql)

    def refuse_if_any(self, query: str, message: str) -> None:
        if self.query(query):
            raise CommandError(message)

    def can_edit_schema(self) -> bool:
        return True

    def touch_schema(self) -> None:
        version = self.query("PRAGMA schema_version")[0][0]
        self.run(f"PRAGMA schema_version = {version + 1}")


def copy_schema(objects: Iterable[SchemaObject]) -> sqlite3.Connection:
    """A database in memory with these objects.

    What cannot be made here (it needs a module that is not loaded, or was broken before) is left
    out.
    """
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.execute("PRAGMA foreign_keys = OFF")
    made = set()
    for found in objects:
        if found.sql is None or found.name in made:
            continue
        if found.name.lower().startswith("sqlite_"):
            _make_internal(copy, found.name)
            continue
        before = _names(copy) if found.sql[:15].upper().startswith("CREATE VIRTUAL") else set()
        with contextlib.suppress(sqlite3.Error):
            run_on_copy(copy, found.sql)
        if before:
            made |= _names(copy) - before  # shadow tables came with their virtual table
    return copy


def run_on_copy(copy: sqlite3.Connection, sql: str) -> sqlite3.Cursor:
    """Run a statement on a copy, with stand-ins for functions and collations of an application."""
    supplied: set[tuple[str, str]] = set()
    while True:
        try:
            return copy.execute(in_utf8(sql))
        except sqlite3.Error as error:
            # Here, because most runs have no use for the module and all would wait for its import.
            from .standins import supply

            if not supply(copy, str(error), supplied):
                raise


def _make_internal(copy: sqlite3.Connection, name: str) -> None:
    if name.lower().startswith("sqlite_stat"):
        copy.execute("ANALYZE")
    elif name.lower() == "sqlite_sequence":
        copy.execute("CREATE TABLE lossless_sequence (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        copy.execute("DROP TABLE lossless_sequence")


def _names(copy: sqlite3.Connection) -> set[str]:
    return {row[0] for row in copy.execute("SELECT name FROM sqlite_master")} | {""}


def broken_objects(
    database: Database, objects: Iterable[SchemaObject] | None = None
) -> dict[str, str]:
    """What does not work of views and triggers; with reasons.

    Args:
        database: where they are; nothing is run there, only compiled.
        objects: those to look at, else all.
    """
    found: dict[str, str] = {}
    for label, statement in statements_of(database, objects):
        try:
            database.query(statement)
        except sqlite3.Error as error:
            found[label] = str(error)
    return found


def statements_of(
    database: Database, objects: Iterable[SchemaObject] | None = None
) -> Iterator[tuple[str, str]]:
    """What SQLite compiles views and triggers for: a name for each, and an EXPLAIN of it.

    No two statements are the same: to explain one again after an ALTER TABLE may crash SQLite 3.40.
    """
    triggers: dict[str, dict[str, list[SchemaObject]]] = {}
    for found in database.objects() if objects is None else objects:
        if found.kind == "view":
            yield (
                f"view {found.name}",
                _explain(f"SELECT * FROM {database.qualified(found.name)}"),
            )
        elif found.kind == "trigger":
            events = triggers.setdefault(fold(found.table), {})
            events.setdefault(event_of(found.sql or ""), []).append(found)
    for events in triggers.values():
        for event, fired in events.items():
            names = ", ".join(found.name for found in fired)
            label = f"trigger{'s' if len(fired) > 1 else ''} {names} on {event} of {fired[0].table}"
            statement = _firing_statement(database, fired[0].table, event)
            if statement is not None:
                yield label, _explain(statement)


def event_of(trigger: str) -> str:
    """INSERT, UPDATE or DELETE: what fires a trigger, by its statement.

    The first of these words, which are nobody's name without quotes.
    """
    words = (token.word for token in start_of(trigger) if token.kind is Kind.WORD)
    return next((word for word in words if word in ("INSERT", "UPDATE", "DELETE")), "")


_explained = itertools.count()


def _explain(statement: str) -> str:
    return f"EXPLAIN {statement} -- {next(_explained)}"


def _firing_statement(database: Database, target: str, event: str) -> str | None:
    """A statement that SQLite compiles with all triggers of an event; None if there can be none."""
    name = database.qualified(target)
    if event == "INSERT":
        return f"INSERT INTO {name} DEFAULT VALUES"
    if event == "DELETE":
        return f"DELETE FROM {name}"
    try:
        rows = database.query(f"PRAGMA {database.prefix}table_xinfo({quote_name(target)})")
    except sqlite3.Error:
        return None
    columns = [quote_name(row[1]) for row in rows if row[6] == 0]
    if not columns:
        return None
    return f"UPDATE {name} SET {', '.join(f'{column} = {column}' for column in columns)}"
