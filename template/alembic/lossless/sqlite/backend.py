"""The backend interface for SQLite: how a migration reaches a database in a file.

The work is in the modules beside it; this one only puts them together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..backend import Backend, engine_for
from . import offline
from .impl import LosslessSQLiteImpl, is_writing
from .transactions import (
    HeadsMoved,
    MigrationTransactions,
    begins_by_itself,
    driver_connection,
    transactions_of,
)


class SQLiteBackend(Backend):
    """A database in a file."""

    implementation = LosslessSQLiteImpl

    @contextmanager
    def migration_connection(
        self, url: URL, connection: Connection | Engine | None = None, *, lock_timeout: float
    ) -> Iterator[Connection]:
        if isinstance(connection, Connection):
            with governed(connection, lock_timeout) as given:
                yield given
            return
        engine = connection or engine_for(url)
        try:
            with reported(engine.url), engine.connect() as opened, governed(opened, lock_timeout):
                yield opened
        finally:
            if connection is None:
                engine.dispose()

    def configure_options(self) -> dict[str, Any]:
        # One transaction for each revision; transactions.py says why.
        return {"transaction_per_migration": True}

    def offline_options(self, url: URL, version_table: str | None = None) -> dict[str, Any]:
        return offline.options(url, version_table)

    def run_migrations(self) -> None:
        migration = context.get_context()
        connection = migration.connection
        transactions = transactions_of(connection) if isinstance(connection, Connection) else None
        if transactions is not None:
            transactions.know_blocks_of(migration)
            if "purge" in migration.opts:  # only `alembic stamp` has that, be it true or false
                write_all_or_nothing(migration)
        if isinstance(connection, Connection) and not is_writing(migration.opts):
            refuse_steps(migration)
        while True:
            try:
                super().run_migrations()
            except HeadsMoved:
                continue
            break
        if transactions is not None:
            transactions.end_run()


def write_all_or_nothing(migration: MigrationContext) -> None:
    """Let a run have one transaction, ended with its connection's, and none for each step.

    `alembic stamp` of several branches is one thing, though Alembic takes a step for each.
    """
    migration.begin_transaction = lambda *_, **__: nullcontext()  # type: ignore[method-assign]


def refuse_steps(migration: MigrationContext) -> None:
    """Let a run that was taken for one that only reads stop before its first step.

    It has no write lock, and nobody would look at its foreign keys.
    """
    begin = migration.begin_transaction

    def begin_no_step(_per_migration: bool = False) -> Any:
        if _per_migration:
            raise CommandError(
                "There are revisions to run, but where to was not said when the run began: give "
                "EnvironmentContext a destination_rev, as Alembic's own commands do. Nothing was changed"
            )
        return begin()

    migration.begin_transaction = begin_no_step  # type: ignore[method-assign]


@contextmanager
def governed(connection: Connection, lock_timeout: float) -> Iterator[Connection]:
    """A connection whose transactions are ours, until the end of the block.

    One that is in a transaction already keeps it: whoever began it commits it.

    Raises:
        CommandError: a revision tried to end its transaction through the driver.
    """
    driver = driver_connection(connection)
    begun = driver.in_transaction and not begins_by_itself(driver)
    if begun or connection.in_transaction():
        yield connection
        return
    transactions = MigrationTransactions(connection, lock_timeout)
    try:
        transactions.attach()
        yield connection
        if connection.in_transaction():
            connection.commit()  # what a command did outside of any revision: `alembic ensure_version`
    except Exception as error:  # the driver says no more than "not authorized"
        if transactions.refused and not isinstance(error, CommandError):
            raise CommandError(transactions.refused) from error
        raise
    finally:
        transactions.detach()


@contextmanager
def reported(url: URL) -> Iterator[None]:
    """Turn the ordinary troubles of opening a file into a message.

    Raises:
        CommandError: the file cannot be opened, or is no database.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        message = str(cause)
        if "unable to open database file" in message:
            raise CommandError(
                f"Cannot open {url.database}: {message}. Does its folder exist, and may you write there?"
            ) from error
        if "file is not a database" in message:
            raise CommandError(
                f"{url.database} is not an SQLite database, or it is encrypted"
            ) from error
        if message == "database is locked":  # a table is locked by the revision itself
            raise CommandError(
                f"Another process is writing to {url.database}, or to a database attached to it, "
                "and has it locked. Try again when it is done"
            ) from error
        if "disk is full" in message:
            raise CommandError(
                f"There is no room left to write {url.database}. The revision is undone; make room, "
                "and run the command again"
            ) from error
        if "readonly database" in message:
            raise CommandError(f"{url.database} may only be read, not written") from error
        raise
