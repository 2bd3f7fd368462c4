"""What hangs on a table that is changed: views, triggers, and what an application brings along."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.util import CommandError

from migrating import migrate, script_of

Revision = Callable[[Operations], Any]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


def teach(connection: sqlite3.Connection, _: object = None) -> None:
    """What an application teaches SQLite on each of its connections."""
    connection.create_function("likes", 2, lambda one, other: one == other, deterministic=True)
    connection.create_collation("nordic", lambda one, other: (one > other) - (one < other))


def fill(path: Path, script: str) -> None:
    """Make a database that is at revision "r1"."""
    run(path, script)
    run(
        path,
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('r1')",
    )


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        teach(connection)
        connection.executescript(script)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_table_that_needs_the_application_can_be_changed(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a CHECK (likes(a, 1)), b COLLATE nordic, c); CREATE INDEX i ON t (b);"
        "CREATE VIEW v AS SELECT a FROM t WHERE likes(a, 2)",
    )
    revision: Revision = lambda op: op.drop_column("t", "c")  # noqa: E731
    assert "DROP COLUMN" in script_of(database, revision)
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", teach)
    migrate(database, revision, engine=engine)
    assert "c" not in [row[1] for row in query(database, "PRAGMA table_info(t)")]


def test_a_table_may_have_the_name_of_a_trigger(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a); CREATE TRIGGER u AFTER INSERT ON t BEGIN SELECT 1; END;"
        "CREATE INDEX i ON t (a)",
    )
    with pytest.raises(CommandError, match="There is an index called i already"):
        migrate(database, lambda op: op.rename_table("t", "i"))
    migrate(database, lambda op: op.rename_table("t", "u"))
    assert query(database, "SELECT tbl_name FROM sqlite_master WHERE name = 'u'") == [("u",)] * 2


@pytest.mark.parametrize("option", ["", "WITHOUT ROWID"])
def test_statistics_follow_a_renamed_table(database: Path, option: str) -> None:
    fill(database, f"CREATE TABLE T (a, b UNIQUE, PRIMARY KEY (a)) {option}")
    run(database, "INSERT INTO t VALUES (1, 2), (3, 4); ANALYZE")
    migrate(database, lambda op: op.rename_table("t", "other"))
    statistics = query(database, "SELECT * FROM sqlite_stat1 ORDER BY idx")
    run(database, "ANALYZE")
    assert query(database, "SELECT * FROM sqlite_stat1 ORDER BY idx") == statistics
