"""One database as the migrating code sees it: ask it something, or change it.

The same code runs a change on a live connection or, for `--sql`, on a copy of the schema while the
statements are written down; `Database` is what it may rely on in both cases. Knows what is in
sqlite_schema ("The Schema Table" of the documentation); knows nothing of how a table is changed.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from .statement import CreateTable, ForeignKey, NotACreateTable, parse
from .tokens import first_word, fold, quote_name, quote_string, same_name
from .transactions import driver_connection, transactions_of

_SHOWN = 40  # characters or bytes of a value in a message
NO_UTF8 = "\ufffd"  # what `in_utf8` writes for a byte that is none
_SHOWN_OF_SQL = 200  # characters of a statement in one


class Mismatch(CommandError):
    """The database has no table or column of a name, or has one already.

    Args:
        message: what is wrong, for a person.
        sqlite: how SQLite says it, which a revision that expects it may look for.
        also: the error that Alembic's own batch mode raises, which a revision may expect as well.
    """

    def __init__(self, message: str, sqlite: str, also: type[Exception] | None = None) -> None:
        super().__init__(f"{message} ({sqlite})")
        self.sqlite = sqlite
        self.also = also


@dataclass(frozen=True)
class SchemaObject:
    """One row of sqlite_schema."""

    kind: str  # "table", "index", "view", "trigger"
    name: str
    table: str
    sql: str | None  # None for the index of a UNIQUE or PRIMARY KEY


def read_objects(
    query: Callable[[str], Iterable[Sequence[Any]]], catalogue: str = "main.sqlite_master"
) -> list[SchemaObject]:
    """Everything in a schema, in the order in which it was made.

    Args:
        query: asks the database.
        catalogue: the schema's table of objects.
    """
    rows = query(f"SELECT type, name, tbl_name, sql FROM {catalogue} ORDER BY rowid")
    return [SchemaObject(*row) for row in rows]


def unused_name(objects: Iterable[SchemaObject], wanted: str) -> str:
    """A name that stands in no statement of a schema; the wanted one if it can be."""
    written = [fold(text) for found in objects for text in (found.name, found.sql or "")]
    name, number = wanted, 1
    while any(fold(name) in text for text in written):
        number += 1
        name = f"{wanted}_{number}"
    return name


class Database(ABC):
    """A database that can be asked and changed. All names are looked up in one schema of it."""

    live: bool  # whether the rows can be asked too
    schema: str = "main"

    @abstractmethod
    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask something."""

    @abstractmethod
    def run(self, sql: str) -> None:
        """Change something."""

    @abstractmethod
    def refuse_if_any(self, query: str, message: str) -> None:
        """See that a query finds no row.

        Args:
            query: selects what identifies a row, in its first columns.
            message: what is wrong if it finds some; their keys are added to it.

        Raises:
            CommandError: it found some, and this database is live. Otherwise the script that is
                written stops at this place if it finds some.
        """

    def find_keys(self, query: str) -> str:
        """The first five of the keys that a query selects, for a message; empty if there are none."""
        rows = self.query(f"{query} LIMIT 6")
        return show_keys(rows) if rows else ""

    def note(self, text: str) -> None:  # noqa: B027 - a live database needs no comments
        """Say what the next statements do, where somebody will read them."""

    @abstractmethod
    def can_edit_schema(self) -> bool:
        """Whether the schema table may be written.

        Builds or connections in defensive mode (SQLITE_DBCONFIG_DEFENSIVE) do not let it.
        """

    @abstractmethod
    def touch_schema(self) -> None:
        """Count the schema's version up, so that every connection reads it again."""

    def before_change(self) -> None:  # noqa: B027 - only a live database has transactions to watch
        """Something is about to change, by several statements perhaps."""

    def before_change_of_keys(self) -> None:  # noqa: B027 - only a live database has keys to watch
        """What others may refer to is about to change."""

    @property
    def checks_keys_again(self) -> bool:
        """Whether a foreign key that SQLite cannot check is found before the revision is committed."""
        return False

    def table_renamed(self, old: str, new: str) -> None:  # noqa: B027
        """A table has another name now."""

    @contextmanager
    def rows_moving(self, table: str, before: str, now: str) -> Iterator[None]:
        """A table is made anew inside, and its rows get another rowid or key.

        Args:
            table: its name.
            before: SQL for what a row is known by, see `foreign_keys.Violation`.
            now: SQL, over the table as it was, for what it will be known by.
        """
        yield

    # -- names

    @property
    def prefix(self) -> str:
        """The schema's name as it stands before a table's."""
        return quote_name(self.schema) + "."

    @property
    def catalogue(self) -> str:
        """The schema table; its older name, which every SQLite knows."""
        return f"{self.prefix}sqlite_master"

    def qualified(self, name: str) -> str:
        """A table's name with its schema, quoted."""
        return self.prefix + quote_name(name)

    # -- what is there

    def objects(self) -> list[SchemaObject]:
        """Everything in the schema, in the order in which it was made."""
        return read_objects(self.query, self.catalogue)

    def find(self, kind: str, name: str) -> SchemaObject | None:
        """The object of that kind and name."""
        rows = self.query(
            f"SELECT type, name, tbl_name, sql FROM {self.catalogue} "
            f"WHERE type = {quote_string(kind)} AND name = {quote_string(name)} COLLATE NOCASE"
        )
        return SchemaObject(*rows[0]) if rows else None

    def create_table(self, name: str) -> CreateTable:
        """The CREATE TABLE statement of a table.

        Raises:
            CommandError: there is no such table, or it is a virtual one.
        """
        found = self.find("table", name)
        if found is None:
            raise Mismatch(self._no_such_table(name), f"no such table: {name}", NoSuchTableError)
        sql = found.sql or ""
        if in_utf8(sql) != sql:
            raise CommandError(
                f"Table {name} cannot be changed, its statement is not UTF-8: {_readable(sql)}. "
                "Drop it and create it anew in the revision"
            )
        try:
            return parse(sql)
        except NotACreateTable as error:
            reason = f"its statement cannot be read ({error})"
            if sql.upper().startswith("CREATE VIRTUAL"):
                reason = "it is a virtual table: its module decides what it consists of"
            raise CommandError(
                f"Table {name} cannot be changed, {reason}. Drop it and create it anew in the "
                "revision"
            ) from error

    def _no_such_table(self, name: str) -> str:
        leftover = self.find("table", f"_alembic_tmp_{name}"[:50])
        if leftover is None:
            return f"There is no table {name} in this database"
        return (
            f"There is no table {name}, but a table {leftover.name}: another tool stopped after it "
            f"had dropped the one and before it had renamed the other. Look whether its rows are "
            "all there, then run "
            f"`ALTER TABLE {quote_name(leftover.name)} RENAME TO {quote_name(name)}`"
        )

    def of_table(self, kind: str, table: str) -> list[SchemaObject]:
        """Indexes or triggers of a table that were made by a statement of their own."""
        return [
            found
            for found in self.objects()
            if found.kind == kind and same_name(found.table, table) and found.sql is not None
        ]

    def references_to(self, table: str) -> list[tuple[str, ForeignKey]]:
        """Who refers to a table: the name of the table that does, and its foreign key."""
        found = []
        for other in self.objects():
            if other.kind != "table" or "REFERENCES" not in (other.sql or "").upper():
                continue
            try:
                keys = parse(other.sql or "").foreign_keys
            except NotACreateTable:
                continue
            found += [(other.name, key) for key in keys if same_name(key.table, table)]
        return found

    def has_rows(self, table: str) -> bool:
        """Whether there is a row in a table; assumed, where the rows cannot be asked."""
        if not self.live:
            return True
        return bool(self.query(f"SELECT 1 FROM {self.qualified(table)} LIMIT 1"))

    def unused_name(self, wanted: str) -> str:
        """A name that nothing in the schema has yet, for a table or a column."""
        return unused_name(self.objects(), wanted)

    # -- all or nothing

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All of the block's changes, or none."""
        self.before_change()
        self.run("SAVEPOINT lossless")
        try:
            yield
        except BaseException:
            self.undo()
            raise
        self.run("RELEASE lossless")

    def undo(self) -> None:
        """Go back to the savepoint; SQLite reads its schema again."""
        # After some errors (a full disk) SQLite has rolled back the whole transaction already.
        with suppress(sqlite3.Error):
            self.run("ROLLBACK TO lossless")
            self.run("RELEASE lossless")
        self.run("PRAGMA writable_schema = RESET")


class LiveDatabase(Database):
    """The database behind a migration's connection."""

    live = True

    def __init__(self, connection: Connection, schema: str | None = None) -> None:
        self.connection = connection
        self.schema = schema or "main"
        self.transactions = transactions_of(connection)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Also for text that is not UTF-8, which is in the schema if a statement had it."""
        driver = driver_connection(self.connection)
        if driver.text_factory is not str:
            return self._query(sql)
        driver.text_factory = read_any_text
        try:
            return self._query(sql)
        finally:
            driver.text_factory = str

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._execute(sql, fetch=True)]

    def run(self, sql: str) -> None:
        try:
            self._execute(sql)
        except sqlite3.Error as error:
            if "no such collation sequence" not in str(error) or first_word(sql) != "ALTER":
                raise
            # Here, because most runs have no use for the module and all would wait for its import.
            from .standins import alter_with_standins

            alter_with_standins(driver_connection(self.connection), lambda: self._execute(sql))

    def _execute(self, sql: str, *, fetch: bool = False) -> Sequence[Any]:
        """Execute a statement.

        Raises:
            CommandError: SQLite rolled back the transaction. What comes next would be committed at
                once, so nothing may catch this to try another way.
            sqlite3.Error: the statement failed.
        """
        within = self._in_transaction()
        try:
            if self.transactions is None:
                result = self.connection.exec_driver_sql(sql)
            else:
                with self.transactions.own():
                    result = self.connection.exec_driver_sql(sql)
            return result.fetchall() if fetch else []
        except DBAPIError as error:
            if within and not self._in_transaction():
                raise CommandError(
                    f"SQLite rolled back the transaction: {error.orig}. Everything that was done in "
                    "it is undone"
                ) from error
            if isinstance(error.orig, sqlite3.Error):
                raise error.orig from error
            raise
        except UnicodeEncodeError as error:
            raise not_utf8(sql) from error

    def _in_transaction(self) -> bool:
        driver = self.connection.connection.driver_connection
        return bool(getattr(driver, "in_transaction", False))

    def refuse_if_any(self, query: str, message: str) -> None:
        keys = self.find_keys(query)
        if keys:
            raise CommandError(f"{message}: {keys}")

    def find_keys(self, query: str) -> str:
        """Also of text that is not UTF-8, which SQLite keeps and Python refuses to read."""
        driver = driver_connection(self.connection)
        before, driver.text_factory = driver.text_factory, _read_text
        try:
            return super().find_keys(query)
        finally:
            driver.text_factory = before

    def can_edit_schema(self) -> bool:
        self.run("PRAGMA writable_schema = ON")
        try:
            self.query(f"EXPLAIN UPDATE {self.catalogue} SET sql = sql")
        except sqlite3.DatabaseError:
            return False
        finally:
            self.run("PRAGMA writable_schema = OFF")
        return True

    def touch_schema(self) -> None:
        pragma = f"PRAGMA {quote_name(self.schema)}.schema_version"
        version = self.query(pragma)[0][0]
        self.run(f"{pragma} = {(version + 1) & 0x7FFFFFFF}")

    def before_change(self) -> None:
        if self.transactions is not None:
            self.transactions.before_change()

    def before_change_of_keys(self) -> None:
        if self.transactions is not None:
            self.transactions.keys.before_change(fold(self.schema))

    @property
    def checks_keys_again(self) -> bool:
        return self.transactions is not None and self.transactions.checks_keys

    def table_renamed(self, old: str, new: str) -> None:
        if self.transactions is not None:
            self.transactions.keys.table_renamed(old, new)

    @contextmanager
    def rows_moving(self, table: str, before: str, now: str) -> Iterator[None]:
        if self.transactions is None:
            yield
            return
        query = f"SELECT {before}, {now} FROM {self.qualified(table)}"
        with self.transactions.keys.rows_moving(fold(self.schema), table, query):
            yield


def read_any_text(content: bytes) -> str:
    """Text of a schema; `in_utf8` makes of it what SQLite can be given."""
    return content.decode("utf-8", "surrogateescape")


def in_utf8(text: str) -> str:
    """A text with another character for each byte that is not UTF-8: to be tried, not to be kept."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def not_utf8(sql: str) -> CommandError:
    """What to say of a statement that cannot be written again as it was."""
    return CommandError(
        f"This has text that is not UTF-8, which cannot be written again: {_readable(sql)}. "
        "Drop that with op.execute() first, and create it anew afterwards, in UTF-8"
    )


def _readable(text: str) -> str:
    """The beginning of a statement, for a message."""
    shown = text if len(text) <= _SHOWN_OF_SQL else f"{text[:_SHOWN_OF_SQL]}..."
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _read_text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def show_keys(rows: Sequence[Sequence[Any]]) -> str:
    """Up to five keys, for a message."""
    shown = [", ".join(_show(value) for value in row) for row in rows[:5]]
    keys = "; ".join(f"({key})" if len(rows[0]) > 1 else key for key in shown)
    return keys + (" and more" if len(rows) > 5 else "")


def _show(value: Any) -> str:
    """A value, or the beginning of a long one."""
    if isinstance(value, (str, bytes)) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}..."
    return repr(value)
