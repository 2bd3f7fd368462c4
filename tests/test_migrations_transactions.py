"""What is left of a revision that is refused, or that meddles with its own transaction."""

from __future__ import annotations

import sqlite3
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError

from migrating import Environment

FAMILY = """
    CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE c (p REFERENCES p);
    INSERT INTO p VALUES (1);
    INSERT INTO c VALUES (1);
"""


def environment_with(folder: Path, schema: str, revision: str) -> Environment:
    """A database with a schema, and one revision to be run on it."""
    environment = Environment(folder / "migrations")
    environment.execute(schema)
    environment.revision("pass")
    environment.upgrade()
    environment.revision(revision)
    return environment


@contextmanager
def engine_for(environment: Environment, **options: Any) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{environment.database}", **options)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}])
def test_what_was_refused_is_not_committed_by_the_caller(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    environment = environment_with(tmp_path, FAMILY, "op.execute('DELETE FROM p')")
    with engine_for(environment, **options) as engine, engine.connect() as connection:
        with pytest.raises(CommandError, match="no parent in p"):
            environment.upgrade(connection=connection)
        connection.exec_driver_sql("CREATE TABLE later (a)")
        connection.commit()
    assert environment.query("SELECT id FROM p") == [(1,)]
    assert environment.heads() == ["r001"]


def test_what_a_reader_kept_from_being_written_is_not_committed_later(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, FAMILY, "op.execute('INSERT INTO p VALUES (2)')")
    with engine_for(environment) as engine, engine.connect() as connection:
        with closing(sqlite3.connect(environment.database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM p").fetchall()
            config = environment.config(connection=connection)
            config.cmd_opts = Namespace(x=["lock_timeout=0.1"])
            with pytest.raises(CommandError, match="still reading"):
                command.upgrade(config, "head")
        connection.exec_driver_sql("CREATE TABLE later (a)")
        connection.commit()
    assert environment.query("SELECT id FROM p") == [(1,)]
    assert environment.heads() == ["r001"]
