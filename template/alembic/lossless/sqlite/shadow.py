"""Which tables belong to a virtual table, and which are only called as if they did.

SQLite goes by the name ("The Virtual Table Mechanism Of SQLite", the xShadowName method): beside a full-text table `mail` it
takes any table `mail_content` for the module's own, also one that somebody made and named in `content=`. What a virtual
table makes by itself shows where there is nothing else: in an empty database. Knows nothing of models or migrations.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from .tokens import fold, quote_name

NO_SUCH_TABLE = re.compile(r"no such table: (?:main\.)?(.+)", re.DOTALL)


@dataclass(frozen=True)
class ShadowTables:
    """Tables that are left to virtual tables."""

    made: set[str]  # by the statement of their virtual table
    claimed: set[str]  # by name; that statement cannot be run here


def find_shadow_tables(
    connection: sqlite3.Connection, called_so: Iterable[str], virtual_tables: Mapping[str, str]
) -> ShadowTables:
    """Tell a virtual table's own tables from others of such a name.

    Args:
        connection: where the tables are; only names of columns are asked of it.
        called_so: the tables that SQLite calls shadow tables.
        virtual_tables: the statement of each virtual table.
    """
    made, claimed = set[str](), set[str]()
    candidates = {fold(name): name for name in called_so}
    for virtual, statement in virtual_tables.items() if candidates else ():
        own = {name for name in candidates if name.startswith(f"{fold(virtual)}_")}
        tables = made_by(statement, connection) if own else set()
        if tables is None:
            claimed |= {candidates[name] for name in own}
        else:
            made |= {candidates[name] for name in own & tables}
    return ShadowTables(made, claimed - made)


def made_by(statement: str, connection: sqlite3.Connection) -> set[str] | None:
    """The tables, by folded name, that a CREATE VIRTUAL TABLE makes; None if it cannot be run here."""
    lent: set[str] = set()
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.text_factory = connection.text_factory
        while True:
            try:
                empty.execute(statement)
                break
            except (sqlite3.Error, UnicodeError) as error:
                needed = NO_SUCH_TABLE.fullmatch(str(error))
                if needed is None or needed[1] in lent or not lend(empty, connection, needed[1]):
                    return None
                lent.add(needed[1])
        rows = empty.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage")
        return {fold(name) for (name,) in rows} - {fold(name) for name in lent}


def lend(empty: sqlite3.Connection, connection: sqlite3.Connection, name: str) -> bool:
    """Make a table or view available that a statement asks for its columns; false if there is none."""
    columns = [
        quote_name(column)
        for (column,) in connection.execute(
            "SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1", (name,)
        )
    ]
    if columns:
        empty.execute(f"CREATE TABLE {quote_name(name)} ({', '.join(columns)})")
    return bool(columns)
