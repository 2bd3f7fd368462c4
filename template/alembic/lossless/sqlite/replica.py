"""A copy of a database's schema in memory, without rows, to try things on.

Knows how to make one and how to ask which views and triggers of it work; knows nothing of changes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from alembic.util import CommandError

from .database import Database, SchemaObject
from .tokens import quote_name, same_name, tokenize


class CopiedDatabase(Database):
    """A copy of a schema, as something that can be asked and changed."""

    live = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.execute(sql)]

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
            return copy.execute(sql)
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


def broken_objects(copy: sqlite3.Connection) -> dict[str, str]:
    """What does not work in a schema: views, and the statements that fire triggers; with reasons."""
    found: dict[str, str] = {}
    for label, statement in statements_of(copy):
        error = _error(copy, statement)
        if error is not None:
            found[label] = error
    return found


def statements_of(copy: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """What SQLite compiles all views and triggers for: a name for each, and an EXPLAIN of it."""
    objects = copy.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for name in (name for kind, name, *_ in objects if kind == "view"):
        yield f"view {name}", f"EXPLAIN SELECT * FROM {quote_name(name)}"
    triggers = [row[1:] for row in objects if row[0] == "trigger"]
    for target in dict.fromkeys(table for _, table, _ in triggers):
        for event, statement in _firing_statements(copy, target):
            names = [
                name
                for name, table, sql in triggers
                if same_name(table, target) and _event(sql) == event
            ]
            if names:
                several = "s" if len(names) > 1 else ""
                yield f"trigger{several} {', '.join(names)} on {event} of {target}", statement


def _event(trigger: str) -> str:
    """What fires a trigger: the first of these words, which are nobody's name without quotes."""
    words = (token.word for token in tokenize(trigger))
    return next((word for word in words if word in ("INSERT", "DELETE", "UPDATE")), "")


def _firing_statements(copy: sqlite3.Connection, target: str) -> Iterator[tuple[str, str]]:
    """A statement for each event, which SQLite compiles with all triggers it would fire."""
    name = quote_name(target)
    try:
        rows = copy.execute(f"PRAGMA table_xinfo({name})").fetchall()
    except sqlite3.Error:
        rows = []
    columns = [quote_name(row[1]) for row in rows if row[6] == 0]
    yield "INSERT", f"EXPLAIN INSERT INTO {name} DEFAULT VALUES"
    yield "DELETE", f"EXPLAIN DELETE FROM {name}"
    if columns:
        assignments = ", ".join(f"{column} = {column}" for column in columns)
        yield "UPDATE", f"EXPLAIN UPDATE {name} SET {assignments}"


def _error(copy: sqlite3.Connection, statement: str) -> str | None:
    try:
        run_on_copy(copy, statement).fetchall()
    except sqlite3.Error as error:
        return str(error)
    return None
