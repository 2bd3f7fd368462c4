"""The application's database: its address, its engine, its sessions.

Migrations use the same address: Alembic's env.py asks `database_url`, too.
"""

import os
from collections.abc import Iterator
from configparser import Error as ConfigError
from configparser import RawConfigParser
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dotenv import dotenv_values
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def database_url(given: str | None = None) -> URL:
    """The database's address.

    The first of these that is there: `given`; the environment variable DATABASE_URL; DATABASE_URL
    in the file `.env`; `sqlalchemy.url` in `alembic.ini`. A relative path to an SQLite file starts
    at the project's root, wherever the program was started.

    Raises:
        ValueError: none of them is there, or it is no database URL.
    """
    found = given or os.environ.get("DATABASE_URL") or _from_dotenv() or _from_alembic_ini()
    if not found:
        raise ValueError(
            "No database URL. Set the environment variable DATABASE_URL, or write it to .env; "
            "an example: DATABASE_URL=sqlite:///data.db"
        )
    try:
        url = make_url(found.strip())
    except (ArgumentError, ValueError):
        raise ValueError(
            "That is no database URL. It should look like sqlite:///data.db or "
            "postgresql://user:password@host/database; characters of a password such as @ : / "
            "are written %40 %3A %2F. Look at -x url=, DATABASE_URL, .env and alembic.ini"
        ) from None  # the cause would show the password
    return _from_project_root(url)


def _from_dotenv() -> str | None:
    # Without interpolation: a password may hold a dollar sign.
    return dotenv_values(PROJECT_ROOT / ".env", interpolate=False).get("DATABASE_URL")


def _from_alembic_ini() -> str | None:
    # Without interpolation: a password may hold a percent sign, single or doubled.
    parser = RawConfigParser()
    try:
        parser.read(PROJECT_ROOT / "alembic.ini", encoding="utf-8")
        found = parser.get("alembic", "sqlalchemy.url", fallback=None)
    except ConfigError as error:
        raise ValueError(f"alembic.ini cannot be read: {error}") from error
    return found and found.replace("%(here)s", PROJECT_ROOT.as_posix()).replace("%%", "%")


def _from_project_root(url: URL) -> URL:
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:":
        return url
    if path.startswith("file:"):  # an SQLite URI says itself where it is
        return url
    return url.set(database=str(PROJECT_ROOT / path))


@cache
def engine() -> Engine:
    """The application's one engine."""
    created = create_engine(database_url())
    if created.dialect.name == "sqlite":
        event.listen(created, "connect", _enforce_foreign_keys)
    return created


def _enforce_foreign_keys(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # SQLite leaves foreign keys unchecked unless each connection asks for it.
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@contextmanager
def session() -> Iterator[Session]:
    """A session that commits at the end of a `with` block, and rolls back on an error."""
    with Session(engine()) as opened, opened.begin():
        yield opened
