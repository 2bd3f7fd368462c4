"""What is in a SQLite database: its own catalogue, read whole.

Reads `sqlite_schema` and the PRAGMA functions ("PRAGMA functions" of SQLite's documentation) in a fixed number of
statements, whatever the number of tables, and takes from each CREATE TABLE what no PRAGMA tells. Knows nothing of
SQLAlchemy, Alembic or models.

Which tables belong to a virtual table, and which are only called as if they did, SQLite does not say: it goes by the
name ("The Virtual Table Mechanism Of SQLite", the xShadowName method), and beside a full-text table `mail` it takes any
table `mail_content` for the module's own, also one that somebody made and named in `content=`. What a virtual table
makes by itself shows where there is nothing else: in an empty database.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from .statement import Column as WrittenColumn
from .statement import CreateTable, parse
from .tokens import Token, fold, quote_name, significant, tokenize

Kind = Literal["table", "index", "view", "trigger", "virtual"]
NO_SUCH_TABLE = re.compile(r"no such table: (?:main\.)?(.+)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One object of the database with the statement that made it."""

    kind: Kind
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Column:
    """A column as `PRAGMA table_xinfo` gives it."""

    name: str
    declared: str
    not_null: bool
    default: str | None
    key: int  # place in the primary key, counted from 1; 0 outside of it
    hidden: int  # 0 ordinary, 1 hidden, 2 generated, 3 generated and stored

    @property
    def generated(self) -> bool:
        return self.hidden in (2, 3)


@dataclass(frozen=True)
class IndexPart:
    """A column of an index; `column` is None for an expression, -1 as `number` for the rowid."""

    number: int
    column: str | None
    descending: bool
    collation: str


@dataclass(frozen=True)
class Index:
    """An index as `PRAGMA index_list` and `index_xinfo` give it."""

    name: str
    unique: bool
    origin: Literal["c", "u", "pk"]  # CREATE INDEX, UNIQUE, PRIMARY KEY
    partial: bool
    parts: tuple[IndexPart, ...]
    sql: str | None


@dataclass
class Table:
    """An ordinary table."""

    name: str
    sql: str
    without_rowid: bool = False
    strict: bool = False
    columns: list[Column] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)

    @cached_property
    def statement(self) -> CreateTable:
        """The table's CREATE statement, taken apart."""
        return _parse(self.sql)

    @cached_property
    def written(self) -> dict[str, WrittenColumn]:
        """Each column's definition in the statement, by the column's name."""
        # In the same order: the statement is what SQLite made the columns from.
        return {
            column.name: definition
            for column, definition in zip(self.columns, self.statement.columns, strict=True)
        }

    @cached_property
    def _by_folded_name(self) -> dict[str, Column]:
        return {fold(column.name): column for column in self.columns}

    @property
    def primary_key(self) -> list[Column]:
        return sorted(
            (column for column in self.columns if column.key), key=lambda column: column.key
        )

    @property
    def rowid_alias(self) -> Column | None:
        """The column that is another name of the rowid ("ROWIDs and the INTEGER PRIMARY KEY")."""
        key = self.primary_key
        if self.without_rowid or len(key) != 1 or fold(key[0].declared) != "integer":
            return None
        # A key with an index of its own is none: INTEGER PRIMARY KEY DESC on a column, for one.
        return None if any(index.origin == "pk" for index in self.indexes) else key[0]

    def column(self, name: str) -> Column | None:
        """The column of that name, compared as SQLite compares names."""
        return self._by_folded_name.get(fold(name))


@dataclass
class Catalogue:
    """Everything a database file declares, in the order in which it was created."""

    tables: dict[str, Table]
    virtual_tables: dict[str, Entry]
    views: dict[str, Entry]
    triggers: dict[str, Entry]
    entries: list[Entry]  # all that has to be made; the rest comes with virtual tables or SQLite
    shadow_tables: set[str]  # which virtual tables keep their content in; none of `tables`
    user_version: int
    application_id: int
    encoding: str

    def find_table(self, name: str) -> Table | None:
        """A table by its name as SQLite compares names."""
        return self.tables.get(name) or self._by_folded_name.get(fold(name))

    @cached_property
    def _by_folded_name(self) -> dict[str, Table]:
        return {fold(name): table for name, table in self.tables.items()}


# One statement is looked at many times: in a database, in a scratch copy of it, before and after a change.
_parse = lru_cache(maxsize=4096)(parse)


def read_catalogue(connection: sqlite3.Connection, ignore: Iterable[str] = ()) -> Catalogue:
    """Read the main database of a connection.

    Args:
        connection: an open connection; nothing is written.
        ignore: tables that are left out, with everything that belongs to them.

    Raises:
        sqlite3.DatabaseError: the file is no readable database.
    """
    ignored = {fold(name) for name in ignore}
    with _names_that_are_no_unicode(connection):
        rows = _rows(connection, ignored)
        kinds = {
            row[1]: row[2:]
            for row in connection.execute("PRAGMA main.table_list")
            if row[0] == "main"
        }
        shadows = find_shadow_tables(
            connection,
            [
                name
                for name, (kind, *_) in kinds.items()
                if kind == "shadow" and fold(name) not in ignored
            ],
            {name: sql for kind, name, _, root, sql in rows if kind == "table" and not root},
        )
        catalogue = Catalogue(
            {}, {}, {}, {}, [], shadows.made | shadows.claimed, *_header(connection)
        )
        for kind, name, table, root, sql in rows:
            if kind != "table" or name not in shadows.made:
                virtual = kind == "table" and not root
                _enter(
                    catalogue,
                    Entry("virtual" if virtual else kind, name, table, sql),
                    kinds.get(name),
                )
        _read_columns(connection, catalogue)
        _read_indexes(connection, catalogue, {row[1]: row[4] for row in rows if row[0] == "index"})
    return catalogue


def _rows(connection: sqlite3.Connection, ignored: set[str]) -> list[tuple[Any, ...]]:
    """The rows of sqlite_schema that have a statement: kind, name, table, root page, statement."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid"
    )
    # Without a statement: the index of a constraint. SQLite's own: sqlite_sequence, sqlite_stat1 ...
    return [
        row
        for row in rows.fetchall()
        if row[4] and not row[1].startswith("sqlite_") and fold(row[2]) not in ignored
    ]


def _enter(catalogue: Catalogue, entry: Entry, listed: tuple[Any, ...] | None) -> None:
    """Enter an object; `listed` is what PRAGMA table_list says of it."""
    catalogue.entries.append(entry)
    if entry.kind == "virtual":
        catalogue.virtual_tables[entry.name] = entry
    elif entry.kind == "view":
        catalogue.views[entry.name] = entry
    elif entry.kind == "trigger":
        catalogue.triggers[entry.name] = entry
    elif entry.kind == "table" and entry.name not in catalogue.shadow_tables:
        _, _, without_rowid, strict = listed or ("table", 0, 0, 0)
        table = Table(entry.name, entry.sql, bool(without_rowid), bool(strict))
        catalogue.tables[entry.name] = table


def _header(connection: sqlite3.Connection) -> tuple[int, int, str]:
    def pragma(name: str) -> Any:
        return connection.execute(f"PRAGMA main.{name}").fetchone()[0]

    return pragma("user_version"), pragma("application_id"), pragma("encoding")


# Virtual tables have no root page; asking for their columns would call a module that may be missing.
_FROM_TABLES = "FROM main.sqlite_schema AS t JOIN pragma_{}(t.name, 'main') AS p WHERE t.type = 'table' AND t.rootpage"


def _read_columns(connection: sqlite3.Connection, catalogue: Catalogue) -> None:
    for table, *row in connection.execute(
        'SELECT t.name, p.name, p.type, p."notnull", p.dflt_value, p.pk, p.hidden '
        + _FROM_TABLES.format("table_xinfo")
        + " ORDER BY t.rowid, p.cid"
    ):
        if table in catalogue.tables:
            name, declared, not_null, default, key, hidden = row
            catalogue.tables[table].columns.append(
                Column(name, declared, bool(not_null), default, key, hidden)
            )


def _read_indexes(
    connection: sqlite3.Connection, catalogue: Catalogue, statements: dict[str, str]
) -> None:
    parts: dict[tuple[str, str], list[IndexPart]] = defaultdict(list)
    indexes: dict[tuple[str, str], tuple[Any, ...]] = {}
    for (
        table,
        name,
        unique,
        origin,
        partial,
        number,
        column,
        descending,
        collation,
    ) in connection.execute(
        'SELECT t.name, p.name, p."unique", p.origin, p.partial, x.cid, x.name, x."desc", x.coll '
        + _FROM_TABLES.format("index_list").replace(
            " WHERE", " JOIN pragma_index_xinfo(p.name, 'main') AS x WHERE"
        )
        # The PRAGMA counts from the last one made.
        + " AND x.key ORDER BY t.rowid, p.seq DESC, x.seqno"
    ):
        indexes[table, name] = (bool(unique), origin, bool(partial))
        parts[table, name].append(IndexPart(number, column, bool(descending), collation))
    for (table, name), (unique, origin, partial) in indexes.items():
        if table in catalogue.tables:
            catalogue.tables[table].indexes.append(
                Index(
                    name, unique, origin, partial, tuple(parts[table, name]), statements.get(name)
                )
            )


@contextmanager
def _names_that_are_no_unicode(connection: sqlite3.Connection) -> Iterator[None]:
    """Let text that is no valid UTF-8 be read, too: SQLite stores whatever bytes it was given."""
    before = connection.text_factory
    connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = before


# --- A virtual table's own tables -------------------------------------------------------------


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


def index_terms(sql: str) -> tuple[list[str], str | None]:
    """What stands between the commas of a CREATE INDEX, and its WHERE."""
    tokens = significant(tokenize(sql))
    start = next(at for at, token in enumerate(tokens) if token.text == "(")
    terms, depth, begin = [], 0, start + 1
    for at, depth in _depths(tokens, start):
        if (depth == 1 and tokens[at].text == ",") or depth == 0:
            terms.append(sql[tokens[begin].start : tokens[at - 1].end])
            begin = at + 1
        if depth == 0:
            break
    rest = tokens[begin:]
    where = sql[rest[1].start :].rstrip() if len(rest) > 1 and rest[0].word == "WHERE" else None
    return terms, where


def _depths(tokens: tuple[Token, ...], start: int) -> Iterator[tuple[int, int]]:
    """Each token's place from `start` on, with the number of parentheses open behind it."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        yield at, depth
