"""The backend interface for database servers: PostgreSQL, MariaDB and MySQL.

They have in common a connection over the network that may be refused. What an engine has of its own
stands in its class; knows nothing of SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from .backend import Backend, engine_for


class ServerBackend(Backend):
    """A database behind a network address. Migrators do not wait for each other yet: there is no lock."""

    @contextmanager
    def migration_connection(
        self, url: URL, connection: Connection | Engine | None = None, *, lock_timeout: float
    ) -> Iterator[Connection]:
        if isinstance(connection, Connection):
            yield connection
            return
        engine = connection or engine_for(url)
        try:
            opened = engine.connect()
        except DBAPIError as error:
            raise CommandError(
                f"Cannot connect to {url.render_as_string(hide_password=True)}: {error.orig}. "
                "Is the server running, and are host, user, password and database name right?"
            ) from error
        with opened:
            yield opened

    def configure_options(self) -> dict[str, Any]:
        return {}


class PostgreSQLBackend(ServerBackend):
    """PostgreSQL: its DDL is transactional, and Alembic's own implementation knows it well."""


class MariaDBBackend(ServerBackend):
    """MariaDB and MySQL: each DDL statement commits by itself (MariaDB, "SQL statements that cause an implicit commit")."""
