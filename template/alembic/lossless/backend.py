"""What differs from one database engine to another, behind one small interface.

env.py and adopt.py work through a `Backend` and know no engine by name. This module knows which
engines there are, and nothing of what any of them does.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from configparser import RawConfigParser
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import NullPool

BACKENDS = {
    "sqlite": "lossless.sqlite.backend:SQLiteBackend",
    "postgresql": "lossless.server:PostgreSQLBackend",
    "mariadb": "lossless.server:MariaDBBackend",
    "mysql": "lossless.server:MariaDBBackend",
}


class Backend(ABC):
    """One database engine: how a migration reaches it and what keeps the migration safe."""

    @abstractmethod
    def migration_connection(
        self, url: URL, connection: Connection | Engine | None = None, *, lock_timeout: float
    ) -> AbstractContextManager[Connection]:
        """Give the connection on which the migration environment runs.

        Args:
            url: the database's address; not used when `connection` is given.
            connection: one that Alembic's caller brings along, as tests do
                (Alembic's cookbook, "Sharing a Connection across one or more programmatic commands").
            lock_timeout: seconds to wait for another migrator or writer, where a backend has a lock.

        Raises:
            CommandError: the database cannot be reached.
        """

    @abstractmethod
    def configure_options(self) -> dict[str, Any]:
        """Keyword arguments for `context.configure` that this engine needs."""

    def offline_options(self, url: URL, version_table: str | None = None) -> dict[str, Any]:
        """Keyword arguments for `context.configure` besides those, when writing SQL (`--sql`).

        Args:
            url: the database's address.
            version_table: where the database's revision is, if not where alembic.ini says.
        """
        return {}

    def run_migrations(self) -> None:
        """Run the migrations of the configured context, as env.py does by Alembic's example."""
        with context.begin_transaction():
            context.run_migrations()


def backend_for(url: URL) -> Backend:
    """The backend of the database that `url` points at.

    Raises:
        CommandError: no backend for this engine.
    """
    name = url.get_backend_name()
    if name not in BACKENDS:
        raise CommandError(
            f"This project's migrations know no database engine called '{name}'; "
            f"use a URL that starts with one of: {', '.join(sorted(BACKENDS))}"
        )
    module, _, backend = BACKENDS[name].partition(":")
    found = getattr(import_module(module), backend)()
    assert isinstance(found, Backend)
    return found


def engine_for(url: URL) -> Engine:
    """An engine for one command: each of its connections is closed after use.

    Raises:
        CommandError: SQLAlchemy does not know the driver, it is not installed, or it is asynchronous.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
    except (NoSuchModuleError, ImportError) as error:
        raise CommandError(
            f"The driver of {url.drivername}:// cannot be loaded: {error}. "
            "Install it, or name another after the + in the URL"
        ) from error
    if engine.dialect.is_async:
        raise CommandError(
            f"{url.drivername}:// is an asynchronous driver, which Alembic cannot use. "
            "Name another after the + in the URL, or none"
        )
    return engine


def stated_url(config: Config, arguments: Mapping[str, str], root: Path) -> str | None:
    """The database that was named for this run; None if it is the application's.

    Behind `-x url=`; or with `config.set_main_option("sqlalchemy.url", ...)` by a program, in another
    file (`-c`), or in another section (`--name`): whatever is not what the project's alembic.ini says.

    Args:
        config: Alembic's configuration.
        arguments: what stands behind `alembic -x`.
        root: the project's folder.
    """
    if arguments.get("url"):
        return arguments["url"]
    # Without interpolation: a password may hold a percent sign, single or doubled.
    options, name = config.file_config, "sqlalchemy.url"
    stated = options.get(config.config_ini_section, name, raw=True, fallback=None)
    project = RawConfigParser()
    project.read(root / "alembic.ini", encoding="utf-8")
    if not stated or stated == project.get("alembic", name, fallback=None):
        return None
    return stated.replace("%(here)s", options.defaults().get("here", "")).replace("%%", "%")


def lock_timeout(arguments: Mapping[str, str]) -> float:
    """Seconds to wait for another migrator: `-x lock_timeout=`, else ALEMBIC_LOCK_TIMEOUT, else 60.

    Args:
        arguments: what stands behind `alembic -x`.

    Raises:
        CommandError: it is no number of seconds.
    """
    given = arguments.get("lock_timeout") or os.environ.get("ALEMBIC_LOCK_TIMEOUT") or "60"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise CommandError(f"lock_timeout is a number of seconds, such as 300, not {given!r}")
    return seconds
