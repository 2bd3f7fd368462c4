"""Stand-ins for what an application teaches SQLite: its own functions and collations.

SQLite checks at CREATE TABLE that functions exist and at CREATE INDEX that collations do, though it needs them only
when rows change. A stand-in lets the statement pass, on this connection; called with a row it raises. Knows nothing of
what the statement is for.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .catalogue import Catalogue
from .replica import event_of
from .tokens import created_name, fold, quote_name, significant, tokenize

MISSING = re.compile(
    r"(?:error in (?:view|trigger|index|table) .*?: )?"
    r"(?:no such|unknown) (function|collation sequence): (.+?)(?:\(\))?",
    re.DOTALL,
)

# What keeps SQLite from opening a virtual table: its module, or a tokenizer of its module, is not here.
UNUSABLE = re.compile("no such module|no such tokenizer|unknown tokenizer")


def execute_with_standins(connection: Connection, statement: str) -> None:
    """Run a statement; where a function or collation is missing, put a stand-in there and run it again."""
    raw = driver_of(connection)
    tried: set[tuple[str, str]] = set()
    while True:
        try:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
        except DBAPIError as error:
            if supply(raw, str(error.orig), tried):
                continue
            words = [token.word for token in significant(tokenize(statement))[:2]]
            if words == ["CREATE", "VIRTUAL"] and "already exists" not in str(error.orig):
                record(connection, statement)
            elif words == ["DROP", "TABLE"] and UNUSABLE.search(str(error.orig)):
                erase(connection, statement)
            else:
                raise
        return


def driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def supply(connection: sqlite3.Connection, message: str, supplied: set[tuple[str, str]]) -> bool:
    """Supply what an error message says is missing; false if it says nothing of the kind, or again the same."""
    found = MISSING.fullmatch(message)
    if found is None or (found[1], found[2]) in supplied:
        return False
    supplied.add((found[1], found[2]))
    stand_in(connection, found[1], found[2])
    return True


def stand_in(connection: sqlite3.Connection, kind: str, name: str) -> None:
    """Give a connection a function or collation of that name."""
    if kind == "function":

        def refuse(*_: Any) -> None:
            raise RuntimeError(f"the function {name}() belongs to an application")

        connection.create_function(name, -1, refuse, deterministic=True)
    else:
        connection.create_collation(name, lambda one, other: (one > other) - (one < other))


def alter_with_standins(connection: sqlite3.Connection, alter: Callable[[], Any]) -> None:
    """Run an ALTER TABLE that needs collations of an application, but only to read the schema.

    SQLite reads all of the schema for it, and stops at any index whose collation is not here, whatever table the index
    is of. A stand-in lets it go on, as long as this statement takes.

    Raises:
        sqlite3.Error: something else is wrong, or values had to be compared: in whose order, only the application
            knows. What the statement did is to be undone then.
    """
    supplied: set[tuple[str, str]] = set()
    compared = []

    def compare(*values: str) -> int:
        compared.append(values)
        return 0

    try:
        while True:
            try:
                alter()
                break
            except sqlite3.Error as error:
                found = MISSING.fullmatch(str(error))
                if found is None or found[1] == "function" or found.groups() in supplied:
                    raise
                supplied.add((found[1], found[2]))
                connection.create_collation(found[2], compare)
    finally:
        for _, name in supplied:
            connection.create_collation(name, None)
    if compared:
        names = ", ".join(sorted(name for _, name in supplied))
        raise sqlite3.OperationalError(f"no such collation sequence: {names}")


def where_to_get_it(error: sqlite3.Error) -> str:
    """What to do about an error, if it says that something of an application is missing."""
    if MISSING.fullmatch(str(error)) is None:
        return ""
    return (
        ". It is the application's own: give it to Alembic's connections, too, by listening to "
        '"connect" of sqlalchemy.Engine in alembic/env.py'
    )


def record(connection: Connection, statement: str) -> None:
    """Enter a virtual table whose module is not here into the schema, as the sqlite3 shell's `.dump` does.

    Its shadow tables are made by statements of their own then.
    """
    name = created_name(statement)
    edit_schema(
        connection,
        "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)",
        (name, name, statement),
    )


def erase(connection: Connection, statement: str) -> None:
    """Take a virtual table whose module is not here out of the schema."""
    name = significant(tokenize(statement))[2].name
    edit_schema(
        connection,
        "DELETE FROM sqlite_schema WHERE name = ? AND rootpage = 0 AND type = 'table'",
        (name,),
    )


def edit_schema(connection: Connection, statement: str, values: tuple[str, ...]) -> None:
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        connection.exec_driver_sql(statement, values)
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def missing_things(connection: sqlite3.Connection, catalogue: Catalogue) -> list[str]:
    """What views, triggers, constraints and indexes use and this Python's SQLite does not have.

    Statements that would use them are compiled (EXPLAIN), not run; whatever is missing gets a stand-in, so that the
    next thing missing shows.
    """
    supplied: set[tuple[str, str]] = set()
    found: dict[str, str] = {}
    for what, statement in probes(catalogue):
        while True:
            before = set(supplied)
            try:
                connection.execute(f"EXPLAIN {statement}").close()
            except sqlite3.Error as error:
                if supply(connection, str(error), supplied):
                    (new,) = supplied - before
                    kind, name = new
                    found[f"{kind} {name}"] = (
                        f"{kind} {name}{'()' if kind == 'function' else ''} is not here; {what} needs it"
                    )
                    continue
                found[what] = f"{what} cannot be used here: {error}"
            break
    return list(found.values())


def probes(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Statements that use all there is of the schema."""
    with_triggers = {fold(trigger.table) for trigger in catalogue.triggers.values()}
    for table in catalogue.tables.values():
        name = quote_name(table.name)
        yield f"inserting into {table.name!r}", f"INSERT INTO main.{name} DEFAULT VALUES"
        if fold(table.name) in with_triggers:
            columns = [column for column in table.columns if not column.generated]
            settings = ", ".join(f"{quote_name(c.name)} = {quote_name(c.name)}" for c in columns)
            yield f"a trigger on {table.name!r}", f"UPDATE main.{name} SET {settings}"
            yield f"a trigger on {table.name!r}", f"DELETE FROM main.{name}"
    for virtual in catalogue.virtual_tables.values():
        yield f"virtual table {virtual.name!r}", f"SELECT * FROM main.{quote_name(virtual.name)}"
    for view in catalogue.views.values():
        yield f"view {view.name!r}", f"SELECT * FROM main.{quote_name(view.name)}"
        for trigger in catalogue.triggers.values():
            if fold(trigger.table) == fold(view.name):
                name, event = quote_name(view.name), event_of(trigger.sql)
                if event == "INSERT":
                    yield f"trigger {trigger.name!r}", f"INSERT INTO main.{name} DEFAULT VALUES"
                elif event == "DELETE":
                    yield f"trigger {trigger.name!r}", f"DELETE FROM main.{name}"
