"""Transactions that are transactions: one for each revision, begun under the write lock.

Python's driver begins none before DDL, so that a failed revision leaves half a schema. Here the
driver is in autocommit mode and every BEGIN is our own ("Transaction control" in the documentation
of Python's sqlite3; "Serializable isolation / Savepoints / Transactional DDL" in SQLAlchemy's
documentation of its SQLite dialect).

Why a transaction for each revision and not one for the run: a run that is killed or fails in its
tenth revision keeps the nine before it, each complete; and locks are held no longer than needed.
The price is that another migrator can come in between two revisions. The heads are therefore
compared under the lock before each revision; when they have moved, `HeadsMoved` is raised, and
whoever runs the migrations runs what is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, event

from .foreign_keys import ForeignKeyWatch
from .lock import begin_immediate, file_of, is_lock_error
from .tokens import quote_name

_KEY = "lossless_transactions"
_CACHE_SIZE = -64 * 1024  # in KiB, hence negative: room to rebuild large tables and their indexes


class HeadsMoved(CommandError):
    """Another process has migrated the database between two revisions of this run."""


class MigrationTransactions:
    """Governs BEGIN and COMMIT on one connection, from `attach` to `detach`."""

    def __init__(self, connection: Connection, lock_timeout: float) -> None:
        self.connection = connection
        self.lock_timeout = lock_timeout
        self.driver = driver_connection(connection)
        self.version_table = "alembic_version"
        self.keys = ForeignKeyWatch(self.driver, self.version_table)
        self.own_statements = False  # whether statements now come from the machinery itself
        self._writing = False
        self._heads: set[str] | None = None
        self._pragmas = {"foreign_keys": 0, "cache_size": 0, "busy_timeout": 0}
        self._settings: tuple[Any, Any] = (None, None)

    # -- attached to a connection

    def attach(self) -> None:
        """Take over: no implicit transactions, no enforcement of foreign keys."""
        self._settings = (self.driver.isolation_level, getattr(self.driver, "autocommit", None))
        take_over(self.driver)
        for name in self._pragmas:
            self._pragmas[name] = int(self.driver.execute(f"PRAGMA {name}").fetchone()[0])
        self.driver.execute("PRAGMA foreign_keys = OFF")
        self.driver.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")
        self.connection.info[_KEY] = self
        for name, listener in self._listeners():
            event.listen(self.connection, name, listener)

    def detach(self) -> None:
        """Give the connection back as it was."""
        for name, listener in self._listeners():
            event.remove(self.connection, name, listener)
        self.connection.info.pop(_KEY, None)
        if self.connection.in_transaction():
            self.connection.rollback()
        self._undo()  # before the driver's settings: it commits when they change
        for name, value in self._pragmas.items():
            self.driver.execute(f"PRAGMA {name} = {value}")
        self.driver.isolation_level = self._settings[0]
        if self._settings[1] is not None:
            set_autocommit(self.driver, self._settings[1])

    def _listeners(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("begin", self._on_begin),
            ("commit", self._on_commit),
            ("before_cursor_execute", self._on_statement),
        )

    # -- what Alembic's run tells

    def peek_at_heads(self, version_table: str) -> tuple[str, ...]:
        """The database's revisions, without a lock; none, too, while another process keeps readers out."""
        self.driver.execute("PRAGMA busy_timeout = 0")
        try:
            return tuple(read_heads(self.driver, version_table))
        except sqlite3.OperationalError as error:
            if not is_lock_error(error):
                raise
            return ()
        finally:
            self.driver.execute(f"PRAGMA busy_timeout = {self._pragmas['busy_timeout']}")

    def start_run(self, version_table: str, *, writing: bool) -> None:
        """Migrations start. A run that only reads never asks for the write lock."""
        self.version_table = version_table
        self.keys = ForeignKeyWatch(self.driver, version_table)
        self._writing = writing
        self._heads = None

    # -- events

    def _on_begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return  # Alembic's autocommit_block()
        take_over(self.driver)
        if not self._writing:
            self.driver.execute("BEGIN")
            return
        begin_immediate(self.driver, self.lock_timeout)
        try:
            self._check_heads()
        except BaseException:
            self._undo()
            raise
        self.keys.begin()

    def _on_commit(self, _: Connection) -> None:
        if not self.driver.in_transaction:
            return
        try:
            self.keys.check()
            self._heads = read_heads(self.driver, self.version_table) if self._writing else None
            self._commit()
        except BaseException:
            self._undo()  # SQLAlchemy takes the transaction for ended, whatever happens here
            raise

    def _commit(self) -> None:
        try:
            self.driver.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if not is_lock_error(error):
                raise
            raise CommandError(
                f"{file_of(self.driver)} could not be written: another process was still reading "
                f"it after {self.lock_timeout:g} seconds. Nothing was changed; try again"
            ) from error

    def _undo(self) -> None:
        if self.driver.in_transaction:
            self.driver.execute("ROLLBACK")

    def _on_statement(self, *arguments: Any) -> None:
        if self._writing and not self.own_statements and self.driver.in_transaction:
            self.keys.before_statement(arguments[2])

    def _check_heads(self) -> None:
        if self._heads is not None:
            found = read_heads(self.driver, self.version_table)
            if found != self._heads:
                raise HeadsMoved(
                    "Another process migrated this database at the same time; "
                    "run the command again for what is left"
                )

    @contextmanager
    def own(self) -> Iterator[None]:
        """Statements inside come from the machinery, which looks after foreign keys itself."""
        before, self.own_statements = self.own_statements, True
        try:
            yield
        finally:
            self.own_statements = before


def transactions_of(connection: Connection) -> MigrationTransactions | None:
    """What governs a connection, if anything does."""
    found = connection.info.get(_KEY)
    return found if isinstance(found, MigrationTransactions) else None


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Python's own connection below SQLAlchemy's.

    Raises:
        CommandError: it is another driver's.
    """
    found = connection.connection.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise CommandError(
            f"Migrations need Python's own sqlite3 driver, not {type(found).__module__}; "
            "use a URL that begins with sqlite://"
        )
    return found


def take_over(driver: sqlite3.Connection) -> None:
    """Put the driver into autocommit mode, in which it begins nothing by itself."""
    if getattr(driver, "autocommit", -1) != -1:  # the other way to say it, since Python 3.12
        set_autocommit(driver, -1)
    driver.isolation_level = None


def set_autocommit(driver: Any, mode: bool | int) -> None:
    """Set the attribute that connections have since Python 3.12; -1 leaves it to the older one."""
    driver.autocommit = mode


def read_heads(driver: sqlite3.Connection, version_table: str) -> set[str]:
    """The revisions that the database is at; none if it was never migrated."""
    known = driver.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
        (version_table,),
    ).fetchone()
    if not known:
        return set()
    return {
        row[0] for row in driver.execute(f"SELECT version_num FROM {quote_name(version_table)}")
    }
