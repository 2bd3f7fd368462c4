"""Migrating SQLite databases in tests, in this process and through Alembic's own parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, MetaData

from lossless.sqlite.backend import SQLiteBackend


def migrate(
    database: Path,
    revision: Callable[[Operations], Any],
    *,
    target_metadata: MetaData | None = None,
    lock_timeout: float = 10,
) -> None:
    """Run one revision's function on a database, in a transaction of its own."""
    backend = SQLiteBackend()
    url = URL.create("sqlite", database=str(database))
    with backend.migration_connection(url, lock_timeout=lock_timeout) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "destination_rev": "head",
                "target_metadata": target_metadata,
                **backend.configure_options(),
            },
        )
        context.impl.start_migrations()
        with context.begin_transaction(_per_migration=True):
            revision(Operations(context))
