"""The backend interface for SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from ..backend import Backend


class SQLiteBackend(Backend):
    """A database in a file."""

    @contextmanager
    def migration_connection(
        self, url: URL, connection: Connection | Engine | None = None, *, lock_timeout: float
    ) -> Iterator[Connection]:
        if isinstance(connection, Connection):
            yield connection
            return
        engine = connection or create_engine(url, poolclass=NullPool)
        with engine.connect() as opened:
            yield opened

    def configure_options(self) -> dict[str, Any]:
        return {}
