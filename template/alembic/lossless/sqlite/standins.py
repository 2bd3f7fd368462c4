"""Stand-ins for what an application teaches SQLite: its own functions and collations.

SQLite checks at CREATE TABLE that functions exist and at CREATE INDEX that collations do, though it needs them only
when rows change. A stand-in lets the statement pass, on this connection; called with a row it raises.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

MISSING = re.compile(r"no such (function|collation sequence): (.+)", re.DOTALL)


def execute_with_standins(connection: Connection, statement: str) -> list[str]:
    """Run a statement; where a function or collation is missing, put a stand-in there and run it again.

    Returns:
        What was missing.
    """
    raw = cast(sqlite3.Connection, connection.connection.driver_connection)
    missing: list[str] = []
    while True:
        try:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
        except DBAPIError as error:
            found = MISSING.fullmatch(str(error.orig))
            if found is None or f"{found[1]} {found[2]}" in missing:
                raise
            missing.append(f"{found[1]} {found[2]}")
            stand_in(raw, found[1], found[2])
        else:
            return missing


def stand_in(connection: sqlite3.Connection, kind: str, name: str) -> None:
    """Give a connection a function or collation of that name."""
    if kind == "function":

        def refuse(*_: Any) -> None:
            raise NotImplementedError(f"the function {name}() belongs to an application")

        connection.create_function(name, -1, refuse, deterministic=True)
    else:
        connection.create_collation(name, lambda one, other: (one > other) - (one < other))
