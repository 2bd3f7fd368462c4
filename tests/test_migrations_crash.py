"""Migrations that are killed, that run at the same time, that have to wait.

`CRASH_KILLS` and `MIGRATOR_ROUNDS` in the environment set how often (200 and 3 by default).
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event

from lossless.sqlite import transactions
from lossless.sqlite.lock import be_patient
from migrating import Environment
from sqlite_shape import differences, is_sound, row_hashes, shape

KILLS = int(os.environ.get("CRASH_KILLS", "200"))
ROUNDS = int(os.environ.get("MIGRATOR_ROUNDS", "3"))

FIRST = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(20), nullable=False))
op.create_table("child", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
                sa.Column("amount", sa.Integer), sqlite_autoincrement=True)
op.execute("CREATE VIEW amounts AS SELECT parent_id, sum(amount) FROM child GROUP BY 1")
op.execute("CREATE TRIGGER after_parent AFTER DELETE ON parent BEGIN DELETE FROM child; END")
op.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
           "INSERT INTO parent SELECT i, 'name ' || i FROM n")
op.execute("INSERT INTO child (parent_id, amount) SELECT id, id * 3 FROM parent")
"""

# Each kind of way: an edit of the schema, native ALTERs, rebuilds, rows.
STEPS = [
    (
        "op.alter_column('parent', 'name', type_=sa.String(50), server_default='x')",
        "op.alter_column('parent', 'name', type_=sa.String(20), server_default=None)",
    ),
    (
        "op.create_unique_constraint('uq_name', 'parent', ['name'])",
        "op.drop_constraint('uq_name', 'parent', type_='unique')",
    ),
    (
        "op.alter_column('child', 'amount', new_column_name='cents')",
        "op.alter_column('child', 'cents', new_column_name='amount')",
    ),
    (
        "op.add_column('child', sa.Column('at', sa.DateTime, server_default=sa.text('(1+1)')))",
        "op.drop_column('child', 'at')",
    ),
    (
        "op.execute('UPDATE child SET cents = cents * 100')",
        "op.execute('UPDATE child SET cents = cents / 100')",
    ),
    (
        "with op.batch_alter_table('parent', recreate='always') as batch:\n"
        "    batch.create_check_constraint('ck_name', 'length(name) > 1')",
        "op.drop_constraint('ck_name', 'parent', type_='check')",
    ),
]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("alembic").setLevel(logging.ERROR)


def in_child(work: Callable[[], None]) -> int:
    """Run something in a process of its own; its exit status is 0 if nothing was raised."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - the process ends with it
            work()
            status = 0
        finally:
            os._exit(status)
    return process


def journal(environment: Environment, mode: str) -> None:
    environment.execute(f"PRAGMA journal_mode = {mode}")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_migration_is_at_one_revision_or_the_next(tmp_path: Path, mode: str) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision(FIRST)
    for upgrade, downgrade in STEPS:
        environment.revision(upgrade, downgrade)
    for upgrade, downgrade in reversed(STEPS):
        environment.revision(downgrade, upgrade)
    expected = {}
    for revision in environment.revisions:
        environment.upgrade(revision)
        expected[revision] = (shape(environment.database), row_hashes(environment.database))
    journal(environment, mode)
    first, last = environment.revisions[0], environment.revisions[-1]
    started = time.monotonic()
    environment.downgrade(first)
    duration = time.monotonic() - started
    moments = random.Random(mode)
    killed_between = set()
    upwards = True
    for _ in range(KILLS):
        work = environment.upgrade if upwards else environment.downgrade
        target = last if upwards else first
        process = in_child(lambda work=work, target=target: work(target))  # type: ignore[misc]
        time.sleep(moments.uniform(0, duration))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)

        assert is_sound(environment.database)
        (revision,) = environment.heads()
        there = (shape(environment.database), row_hashes(environment.database))
        assert not differences(expected[revision][0], there[0])
        assert there[1] == expected[revision][1], revision
        killed_between.add(revision)
        if revision in (first, last):
            upwards = revision == first
    assert len(killed_between) > len(expected) / 3  # the kills did hit the migrations


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_many_migrators_run_each_revision_once(tmp_path: Path, mode: str) -> None:
    for number in range(ROUNDS):
        environment = Environment(tmp_path / str(number))
        environment.revision("op.create_table('ran', sa.Column('revision', sa.String))")
        for upgrade, _ in [(FIRST, ""), *STEPS]:
            name = f"r{len(environment.revisions) + 1:03}"
            environment.revision(f"{upgrade}\nop.execute(\"INSERT INTO ran VALUES ('{name}')\")")
        journal(environment, mode)
        processes = [in_child(environment.upgrade) for _ in range(16)]
        stop = threading.Event()
        reading = Reader(environment.database, stop)
        reading.start()
        statuses = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes]
        stop.set()
        reading.join()
        assert statuses == [0] * 16
        assert reading.problems == []
        assert [row[0] for row in environment.query("SELECT * FROM ran")] == (
            environment.revisions[1:]
        )
        assert environment.heads() == environment.revisions[-1:]


def test_a_database_that_cannot_even_be_read_now_is_said_to_be_locked(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t', sa.Column('x', sa.Integer))"
    )
    config = environment.config(url=f"sqlite:///{environment.database}?timeout=0.1")
    with closing(sqlite3.connect(environment.database, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CommandError, match=r"writing to .*test\.db.* has it locked"):
            command.current(config)


def test_a_migrator_waits_also_for_one_that_keeps_readers_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t', sa.Column('x', sa.Integer))"
    )
    environment.revision("op.add_column('t', sa.Column('y', sa.Integer))")
    with closing(sqlite3.connect(environment.database, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        waited = threading.Timer(0.5, writer.rollback)
        waited.start()
        environment.upgrade(url=f"sqlite:///{environment.database}?timeout=0.1")
        waited.join()
    assert "Waiting up to 60 seconds" in capfd.readouterr().err
    assert environment.heads() == ["r002"]


def test_one_may_wait_for_a_month(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as connection:
        be_patient(connection, 31 * 24 * 3600)
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] > 24 * 24 * 3600 * 1000


def test_a_large_revision_does_not_wait_for_a_reader_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_CACHE_SIZE", 10)  # pages
    environment = Environment.upgraded(tmp_path / "migrations", "op.execute('CREATE TABLE t (x)')")
    environment.revision("op.execute('INSERT INTO t VALUES (randomblob(1000000))')")
    engine = create_engine(f"sqlite:///{environment.database}")
    with (
        closing(sqlite3.connect(environment.database, isolation_level=None)) as reader,
        engine.connect() as connection,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        event.listen(connection, "commit", lambda _: reader.execute("ROLLBACK"))
        config = environment.config(connection=connection)
        config.cmd_opts = Namespace(x=["lock_timeout=10"])
        start = time.monotonic()
        command.upgrade(config, "head")
        assert time.monotonic() - start < 10
    engine.dispose()
    assert environment.heads() == ["r002"]


@contextmanager
def before_each_begin(
    environment: Environment, interruptions: list[Callable[[], None]]
) -> Iterator[Connection]:
    """A connection before whose transactions something else is done, by a process of its own."""

    def interrupt(_: Connection) -> None:
        if interruptions:
            process = in_child(interruptions.pop(0))
            assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0

    engine = create_engine(f"sqlite:///{environment.database}")
    with engine.connect() as connection:
        event.listen(connection, "begin", interrupt)
        yield connection
    engine.dispose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_each_revision_runs_once_however_often_others_come_in_between(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.create_table('ran', sa.Column('revision', sa.String))")
    for name in ("r002", "r003", "r004", "r005", "r006", "r007"):
        environment.revision(f"op.execute(\"INSERT INTO ran VALUES ('{name}')\")")

    def another_migrator() -> None:
        environment.upgrade("+1")

    # Before the first of our transactions nobody comes; before each of the others one migrator.
    with before_each_begin(environment, [lambda: None, *[another_migrator] * 3]) as connection:
        environment.upgrade(connection=connection)
    assert environment.query("SELECT * FROM ran") == [(r,) for r in environment.revisions[1:]]
    assert environment.heads() == ["r007"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_downgrade_that_comes_in_between_does_not_let_the_upgrade_go_unchecked(
    tmp_path: Path,
) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.execute("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p);")
    environment.revision("pass")
    environment.revision("op.execute('DELETE FROM p')")
    environment.upgrade()
    environment.execute("INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)")
    with (
        before_each_begin(environment, [environment.downgrade]) as connection,
        pytest.raises(CommandError, match="no parent in p"),
    ):
        environment.upgrade(connection=connection)
    assert environment.heads() == ["r001"]
    assert environment.query("SELECT id FROM p") == [(1,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("direction", "target", "others", "left_at"),
    [
        (command.upgrade, "+1", 1, "r003"),
        (command.upgrade, "+2", 1, "r003"),
        (command.upgrade, "+2", 2, "r004"),  # the second other one comes after our first step
        (command.downgrade, "-1", 1, "r003"),
    ],
)
def test_a_relative_target_does_not_count_from_where_somebody_else_went(
    tmp_path: Path, direction: Callable[..., None], target: str, others: int, left_at: str
) -> None:
    environment = Environment(tmp_path / "migrations")
    for _ in range(6):
        environment.revision("pass")
    environment.upgrade("r002")
    interruptions = [lambda: None] * (others - 1) + [lambda: environment.upgrade("+1")]
    with (
        before_each_begin(environment, interruptions) as connection,
        pytest.raises(CommandError, match=r"counts from where it was before"),
    ):
        direction(environment.config(connection=connection), target)
    assert environment.heads() == [left_at]


def test_a_connection_whose_wait_was_in_vain_goes_on_as_before(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.create_table('t', sa.Column('x', sa.Integer))")
    with (
        closing(sqlite3.connect(environment.database, isolation_level=None)) as writer,
        before_each_begin(environment, []) as connection,
    ):
        writer.execute("BEGIN IMMEDIATE")
        config = environment.config(connection=connection)
        config.cmd_opts = Namespace(x=["lock_timeout=0.1"])
        with pytest.raises(CommandError, match="still locked"):
            command.upgrade(config, "head")
        writer.execute("ROLLBACK")
        connection.exec_driver_sql("CREATE TABLE later (a)")
        assert connection.in_transaction()


class Reader(threading.Thread):
    """Reads all the time, as an application would."""

    def __init__(self, database: Path, stop: threading.Event) -> None:
        super().__init__()
        self.database = database
        self.stop = stop
        self.problems: list[str] = []

    def run(self) -> None:
        while not self.stop.wait(0.005):
            try:
                with closing(sqlite3.connect(self.database)) as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            except sqlite3.Error as error:
                self.problems.append(str(error))


def test_a_waiting_migrator_says_so_and_gives_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.create_table('t', sa.Column('x', sa.Integer))")
    with closing(sqlite3.connect(environment.database, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE other (x)")
        writer.execute("BEGIN IMMEDIATE")
        config = environment.config()
        config.cmd_opts = Namespace(x=["lock_timeout=0.3"])
        started = time.monotonic()
        with pytest.raises(CommandError, match=r"test\.db was still locked by another process"):
            command.upgrade(config, "head")
        assert 0.2 < time.monotonic() - started < 5
        writer.execute("ROLLBACK")
    assert "Waiting up to 0.3 seconds for another process" in capsys.readouterr().err
    assert environment.query("SELECT name FROM sqlite_master") == [("other",)]


def test_a_failing_revision_leaves_the_one_before_it(tmp_path: Path) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", FIRST)
    before = shape(environment.database), row_hashes(environment.database)
    environment.revision(
        "op.execute('DELETE FROM child')\n"
        "op.create_unique_constraint('uq_name', 'parent', ['name'])\n"
        "op.create_table('new', sa.Column('x', sa.Integer))\n"
        "raise RuntimeError('stop')"
    )
    with pytest.raises(RuntimeError, match="stop"):
        environment.upgrade()
    assert environment.heads() == ["r001"]
    assert (shape(environment.database), row_hashes(environment.database)) == before
