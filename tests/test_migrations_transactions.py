"""What is left of a revision that is refused, or that meddles with its own transaction."""

from __future__ import annotations

import sqlite3
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from lossless.sqlite import tokens
from lossless.sqlite.foreign_keys import ForeignKeyWatch
from lossless.sqlite.lock import is_lock_error
from lossless.sqlite.opening import explain
from migrating import Environment, migrate

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


def test_a_transaction_of_the_caller_takes_back_all_of_a_failed_run(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.create_table('t', sa.Column('x', sa.Integer))")
    environment.revision("op.add_column('t', sa.Column('y', sa.Integer))\nraise ValueError")
    with engine_for(environment) as engine:
        with pytest.raises(ValueError), engine.begin() as connection:  # noqa: PT011
            environment.upgrade(connection=connection)
        assert environment.query("SELECT name FROM sqlite_master") == []
        with engine.begin() as connection:
            environment.upgrade("r001", connection=connection)
    assert environment.query("SELECT x FROM t") == []
    assert environment.heads() == ["r001"]


class InterruptedCursor(sqlite3.Cursor):
    """SQLite is interrupted while it drops a column, and rolls back the transaction."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.connection.set_progress_handler(lambda: "DROP COLUMN" in sql, 1)
        return super().execute(sql, *parameters)


class InterruptedConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return super().cursor(InterruptedCursor)


@pytest.mark.parametrize("caught", [True, False])
def test_what_sqlite_rolled_back_itself_is_not_tried_another_way(
    tmp_path: Path, caught: bool
) -> None:
    schema = "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 2, 3);"
    revision = "op.execute('INSERT INTO t VALUES (4, 5, 6)')\n"
    revision += f"try: op.drop_column('t', 'b')\nexcept {'Exception' if caught else '()'}: pass"
    environment = environment_with(tmp_path, schema, revision)
    made = {"connect_args": {"factory": InterruptedConnection}}
    with (
        engine_for(environment, **made) as engine,
        pytest.raises(CommandError, match=r"rolled back .* is undone"),
    ):
        environment.upgrade(connection=engine)
    assert environment.query("SELECT a, b, c FROM t") == [(1, 2, 3)]
    assert environment.heads() == ["r001"]


@pytest.mark.parametrize("purge", [True, False])
def test_several_branches_are_stamped_in_one_transaction(tmp_path: Path, purge: bool) -> None:
    environment = Environment(tmp_path / "migrations")
    for name in ("one", "two"):
        (environment.folder / "versions" / f"{name}.py").write_text(
            f"revision = {name!r}\ndown_revision = None\n"
        )
    with engine_for(environment) as engine, engine.connect() as connection:
        commits: list[sa.Connection] = []
        sa.event.listen(connection, "commit", commits.append)
        command.stamp(environment.config(connection=connection), "heads", purge=purge)
    assert len(commits) == 1
    assert sorted(environment.heads()) == ["one", "two"]


def test_a_full_disk_is_reported_and_the_revision_undone(tmp_path: Path) -> None:
    revision = "op.execute('DELETE FROM c')\nop.execute('INSERT INTO x VALUES (zeroblob(1000000))')"
    environment = environment_with(tmp_path, FAMILY + "CREATE TABLE x (n);", revision)
    with engine_for(environment) as engine:
        sa.event.listen(engine, "connect", lambda it, _: it.execute("PRAGMA max_page_count = 9"))
        with pytest.raises(CommandError, match="no room left"):
            environment.upgrade(connection=engine)
    assert environment.query("SELECT count(*) FROM c") == [(1,)]
    assert environment.heads() == ["r001"]


def test_a_change_of_a_table_is_not_blamed_for_trouble_with_the_file(tmp_path: Path) -> None:
    schema = "CREATE TABLE x AS SELECT zeroblob(20000) AS n;"
    revision = "with op.batch_alter_table('x', recreate='always') as batch: pass"
    environment = environment_with(tmp_path, schema, revision)
    with engine_for(environment) as engine:
        sa.event.listen(engine, "connect", lambda it, _: it.execute("PRAGMA max_page_count = 9"))
        with pytest.raises(CommandError, match="no room left"):
            environment.upgrade(connection=engine)
    with pytest.raises(CommandError, match="may only be read"):
        environment.upgrade(url=f"sqlite:///file:{environment.database}?mode=ro&uri=true")
    assert environment.heads() == ["r001"]


@pytest.mark.parametrize("given", [{}, {"destination_rev": "head"}])
def test_a_run_of_revisions_must_say_where_to(tmp_path: Path, given: dict[str, str]) -> None:
    environment = environment_with(tmp_path, "CREATE TABLE t (a)", "op.drop_table('t')")
    config = environment.config()
    script = ScriptDirectory.from_config(config)
    steps: Any = lambda heads, _: script._upgrade_revs("head", heads)  # noqa: E731
    refused = pytest.raises(CommandError, match="give EnvironmentContext a destination_rev")
    with nullcontext() if given else refused, EnvironmentContext(config, script, fn=steps, **given):
        script.run_env()
    assert environment.heads() == (["r002"] if given else ["r001"])
    assert len(environment.query("PRAGMA table_info(t)")) == (0 if given else 1)


@pytest.mark.parametrize(
    ("run", "at"), [(command.upgrade, "base"), (partial(command.stamp, purge=True), "r001")]
)
def test_what_alembic_says_outside_of_a_revision_is_what_one_reads(
    tmp_path: Path, run: Callable[..., None], at: str
) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("pass")
    environment.upgrade(at)
    heads = environment.heads()
    with engine_for(environment) as engine, engine.connect() as connection:
        config = environment.config(connection=connection)
        with pytest.raises(CommandError, match="Can't locate revision identified by 'typo'"):
            run(config, "typo")
        connection.exec_driver_sql("CREATE TABLE later (a)")
        connection.commit()
    assert environment.query("SELECT count(*) FROM later") == [(0,)]
    assert environment.heads() == heads


class StoppedCursor(sqlite3.Cursor):
    """Ctrl+C stops it at one statement."""

    at = ""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if self.at and self.at in sql:
            raise KeyboardInterrupt
        return super().execute(sql, *parameters)


class StoppedConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return super().cursor(StoppedCursor)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version",
        "writable_schema = OFF",
        "ignore_check_constraints = OFF",
        "legacy_alter_table = OFF",
    ],
)
def test_a_connection_goes_on_as_before_when_a_migration_was_stopped_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    schema = "CREATE TABLE t (x TEXT CHECK (x <> 1))"
    revision = "op.alter_column('t', 'x', type_=sa.Integer())"
    environment = environment_with(tmp_path, schema, revision)
    names = ("foreign_keys", "writable_schema", "ignore_check_constraints", "legacy_alter_table")
    made = {"connect_args": {"factory": StoppedConnection}}
    with engine_for(environment, **made) as engine, engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute("PRAGMA foreign_keys = ON")
        monkeypatch.setattr(StoppedCursor, "at", statement)
        with pytest.raises(KeyboardInterrupt):
            environment.upgrade(connection=connection)
        monkeypatch.undo()
        assert connection.connection.driver_connection is driver
        assert driver.isolation_level == ""
        settings = [driver.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
        assert settings == [1, 0, 0, 0]
        environment.execute("CREATE TABLE later (a)")  # nothing has the file locked
    assert environment.query("SELECT sql FROM sqlite_master WHERE name = 't'") == [(schema,)]
    assert environment.heads() == ["r001"]


ROLLING_BACK = FAMILY + "CREATE TABLE x (n UNIQUE ON CONFLICT ROLLBACK); INSERT INTO x VALUES (1);"


@pytest.mark.parametrize(
    "ending",
    [
        "op.execute('/* done */ COMMIT')",
        "op.execute('; End Transaction')",
        "op.execute('ROLLBACK')",
        "op.get_bind().commit()",
        "op.get_bind().rollback()",
        "op.get_bind().get_transaction().commit()",
        "try: op.get_bind().get_transaction().commit()\nexcept Exception: pass",
        "op.get_bind().get_transaction().rollback()",
        "try: op.execute('INSERT INTO x VALUES (1)')\nexcept sa.exc.IntegrityError: pass",
        "op.get_bind().connection.rollback()",
        "op.get_bind().connection.commit()",
        "op.get_bind().connection.executescript('INSERT INTO p VALUES (3)')",
        "op.get_bind().connection.cursor().execute('COMMIT')",
        "op.get_bind().connection.cursor().execute('END TRANSACTION')",
        "with op.get_bind().connection.driver_connection: pass",
        "op.get_bind().connection.driver_connection.isolation_level = None\n"
        "op.get_bind().connection.commit()",
        "try: op.get_bind().connection.commit()\nexcept Exception: pass",
        "try: op.get_bind().connection.rollback()\nexcept Exception: pass\nraise ValueError",
        "try: op.execute('INSERT INTO x VALUES (1)')\nexcept sa.exc.IntegrityError: pass\n"
        "op.get_bind().connection.cursor().execute('BEGIN')",
    ],
)
@pytest.mark.parametrize("after", ["", "op.execute('INSERT INTO p VALUES (3)')"])
def test_a_revision_that_would_end_its_transaction_is_undone(
    tmp_path: Path, ending: str, after: str
) -> None:
    revision = f"op.execute('INSERT INTO p VALUES (2)')\n{ending}\n{after}"
    environment = environment_with(tmp_path, ROLLING_BACK, revision)
    with pytest.raises(CommandError, match=r"is undone.*autocommit_block"):
        environment.upgrade()
    assert environment.query("SELECT id FROM p") == [(1,)]
    assert environment.heads() == ["r001"]


@pytest.mark.skipif(
    not hasattr(sa.Dialect, "detect_autocommit_setting"), reason="an option since SQLAlchemy 2.0.43"
)
@pytest.mark.parametrize("after", ["", "op.execute('INSERT INTO p VALUES (3)')"])
def test_what_sqlalchemy_would_not_roll_back_is_rolled_back(tmp_path: Path, after: str) -> None:
    revision = f"op.execute('INSERT INTO p VALUES (2)')\nop.get_bind().rollback()\n{after}"
    environment = environment_with(tmp_path, FAMILY, revision)
    with (
        engine_for(environment, skip_autocommit_rollback=True) as engine,
        pytest.raises(CommandError, match="is undone"),
    ):
        environment.upgrade(connection=engine)
    assert environment.query("SELECT id FROM p") == [(1,)]
    assert environment.heads() == ["r001"]


def test_what_a_revision_committed_behind_alembic_s_back_is_said(tmp_path: Path) -> None:
    revision = (
        "op.execute('INSERT INTO p VALUES (2)')\n"
        "op.get_bind().connection.set_authorizer(lambda *_: 0)\n"
        "op.get_bind().connection.commit()\n"
        "op.add_column('p', sa.Column('a', sa.Text))"
    )
    environment = environment_with(tmp_path, FAMILY, revision)
    with pytest.raises(CommandError, match=r"REMAINS in the database.*autocommit_block"):
        environment.upgrade()
    assert environment.query("SELECT count(*) FROM pragma_table_info('p')") == [(1,)]
    assert environment.heads() == ["r001"]


def test_a_revision_may_use_savepoints_and_sessions_and_autocommit_blocks(tmp_path: Path) -> None:
    environment = environment_with(
        tmp_path,
        FAMILY,
        """
        from sqlalchemy.orm import Session
        op.execute("SAVEPOINT s")
        op.execute("DELETE FROM p")
        op.execute("ROLLBACK TO s")
        op.execute("RELEASE s")
        with op.get_bind().begin_nested() as nested:
            op.execute("DELETE FROM p")
            nested.rollback()
        with Session(op.get_bind()) as session:
            session.execute(sa.text("INSERT INTO p VALUES (2)"))
            session.commit()
        with op.get_context().autocommit_block():
            op.execute("BEGIN")
            op.execute("INSERT INTO p VALUES (3)")
            op.execute("COMMIT")
        op.execute("INSERT INTO p VALUES (4)")
        """,
    )
    environment.revision("op.execute('INSERT INTO p VALUES (5)')")
    environment.upgrade()
    assert environment.query("SELECT id FROM p") == [(1,), (2,), (3,), (4,), (5,)]
    assert environment.heads() == ["r003"]


def test_a_commit_that_the_driver_has_prepared_already_is_prevented(tmp_path: Path) -> None:
    environment = environment_with(
        tmp_path,
        FAMILY,
        """
        with op.get_context().autocommit_block():
            for statement in ("BEGIN", "COMMIT"):
                op.execute(statement)
        op.execute("INSERT INTO p VALUES (2)")
        op.get_bind().connection.cursor().execute("COMMIT")
        """,
    )
    with pytest.raises(CommandError, match="is undone"):
        environment.upgrade()
    assert environment.query("SELECT id FROM p") == [(1,)]


@pytest.mark.parametrize("ending", ["", "op.get_bind().connection.commit()"])
def test_the_driver_may_commit_again_after_the_migrations(tmp_path: Path, ending: str) -> None:
    environment = environment_with(
        tmp_path, FAMILY, f"op.execute('INSERT INTO p VALUES (2)')\n{ending}"
    )
    with engine_for(environment) as engine, engine.connect() as connection:
        with pytest.raises(CommandError) if ending else nullcontext():
            environment.upgrade(connection=connection)
        driver = connection.connection
        for number, end in ((3, "COMMIT"), (4, "ROLLBACK")):
            driver.cursor().execute(f"INSERT INTO p VALUES ({number})")
            driver.cursor().execute(end)
        driver.executescript("BEGIN; INSERT INTO p VALUES (5); COMMIT")
    inserted = [] if ending else [(2,)]
    assert environment.query("SELECT id FROM p") == [(1,), *inserted, (3,), (5,)]


def test_a_long_comment_hides_no_statement_from_the_foreign_key_check(tmp_path: Path) -> None:
    revision = f"op.execute('/* {'why ' * 500} */ DELETE FROM p')"
    environment = environment_with(tmp_path, FAMILY, revision)
    with pytest.raises(CommandError, match="no parent in p"):
        environment.upgrade()
    assert environment.query("SELECT id FROM p") == [(1,)]


def test_a_long_statement_is_read_no_further_than_to_see_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tokens.Token] = []
    scan = tokens._scan

    def counted(sql: str) -> Iterator[tokens.Token]:
        for token in scan(sql):
            read.append(token)
            yield token

    monkeypatch.setattr(tokens, "_scan", counted)
    revision = f"""
    for number in range(2, 100):
        op.execute(f"INSERT INTO p VALUES ({{number}}) /* {"why " * 500} */")
        op.execute(f"/* {"why " * 500} */ UPDATE p SET id = id WHERE id IN (1{", 1" * 500})")
    """
    environment_with(tmp_path, FAMILY, revision).upgrade()
    assert len(read) < 1500


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('/* v */ INSERT INTO "Of ""Mine""" VALUES (1)', True),
        ('DELETE FROM [of "mine"]', True),
        ("UPDATE `OF \"mine\"` SET version_num = 'é'", True),
        ("INSERT INTO p VALUES ('of \"mine\"')", False),
    ],
)
def test_the_version_table_is_known_however_it_is_written(sql: str, expected: bool) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert ForeignKeyWatch(connection, 'of "mine"').names_version(sql) is expected


def beginning_by_itself(environment: Environment) -> sa.Engine:
    """An engine whose driver is in a transaction always (Python 3.12)."""
    if sys.version_info < (3, 12):
        pytest.skip("the driver knows autocommit since Python 3.12")
    return sa.create_engine(f"sqlite:///{environment.database}", connect_args={"autocommit": False})


def beginning_by_listener(environment: Environment) -> sa.Engine:
    """An engine as SQLAlchemy's documentation of SQLite has it for transactional DDL."""
    engine = sa.create_engine(f"sqlite:///{environment.database}")

    @sa.event.listens_for(engine, "connect")
    def leave_transactions_to_us(driver: Any, _: Any) -> None:
        driver.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def beginning_nothing(environment: Environment) -> sa.Engine:
    """An engine that was asked to commit each statement."""
    engine = sa.create_engine(f"sqlite:///{environment.database}")
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@pytest.mark.parametrize("made", [beginning_by_itself, beginning_by_listener, beginning_nothing])
def test_an_engine_with_transactions_of_its_own_is_taken_over(tmp_path: Path, made: Any) -> None:
    environment = environment_with(
        tmp_path, FAMILY, "with op.get_context().autocommit_block():\n    op.execute('VACUUM')"
    )
    environment.revision("op.execute('DELETE FROM p')")
    engine = made(environment)
    with engine.connect() as connection:
        for given in (engine, connection):
            with pytest.raises(CommandError, match="no parent in p"):
                environment.upgrade(connection=given)
        connection.exec_driver_sql("INSERT INTO p VALUES (2)")
        connection.commit()
    engine.dispose()
    assert environment.query("SELECT id FROM p") == [(1,), (2,)]
    assert environment.heads() == ["r002"]


BROKEN = FAMILY + "INSERT INTO c VALUES (7);"


@pytest.mark.parametrize(
    "deletion",
    [
        "op.get_bind().connection.cursor().execute('DELETE FROM p')",
        "op.get_bind().connection.cursor().execute('DELETE FROM p')\nop.execute('SELECT 1')",
        "op.get_bind().connection.cursor().execute('DELETE FROM p')\nop.execute('DELETE FROM p')",
        "op.get_bind().connection.cursor().execute('DROP TABLE p')",
        "op.get_bind().connection.cursor().execute('DROP TABLE p')\nop.execute('SELECT 1')",
        "try: op.execute('SELECT * FROM nowhere')\nexcept Exception: pass\n"
        "op.get_bind().connection.cursor().execute('DROP TABLE p')",
    ],
)
def test_rows_deleted_through_the_driver_are_noticed(tmp_path: Path, deletion: str) -> None:
    environment = environment_with(tmp_path, BROKEN, deletion)
    with pytest.raises(CommandError, match="row 1 of table c has no parent in p") as error:
        environment.upgrade()
    assert "row 2" not in str(error.value)  # it had none before
    assert environment.query("SELECT id FROM p") == [(1,)]


def test_rows_changed_through_the_driver_may_be_next_to_old_violations(tmp_path: Path) -> None:
    insertion = "op.get_bind().connection.cursor().execute('INSERT INTO p VALUES (2)')"
    environment = environment_with(tmp_path, BROKEN, insertion)
    environment.upgrade()
    assert environment.query("SELECT id FROM p") == [(1,), (2,)]


@pytest.mark.parametrize("in_memory", [True, False])
def test_old_violations_are_blamed_on_a_revision_only_with_a_doubt(
    tmp_path: Path, in_memory: bool
) -> None:
    insertion = "op.get_bind().connection.cursor().execute('INSERT INTO c VALUES (8)')"
    environment = environment_with(tmp_path, BROKEN, insertion)
    engine = sa.create_engine("sqlite://" if in_memory else f"sqlite:///{environment.database}")
    with engine.connect() as connection:
        if in_memory:
            with closing(sqlite3.connect(environment.database)) as file:
                file.backup(connection.connection.driver_connection)
        with pytest.raises(CommandError, match="row 3 of table c") as error:
            environment.upgrade(connection=connection)
    engine.dispose()
    assert ("or they were there before" in str(error.value)) is in_memory


def test_rows_that_the_very_first_revision_writes_through_the_driver_are_noticed(
    tmp_path: Path,
) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.execute(FAMILY)
    environment.revision("op.get_bind().connection.cursor().execute('INSERT INTO c VALUES (7)')")
    with pytest.raises(CommandError, match="row 2 of table c has no parent in p"):
        environment.upgrade()
    assert environment.query("SELECT p FROM c") == [(1,)]


def test_a_second_connection_of_a_revision_that_writes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})

    def create_beside(op: Operations) -> None:
        op.execute("CREATE TABLE t (a)")
        sa.MetaData().create_all(op.get_bind().engine)  # which reads, and may
        with op.get_bind().engine.begin() as other:
            other.exec_driver_sql("CREATE TABLE u (a)")

    with pytest.raises(CommandError, match="through a second connection"):
        migrate(path, create_beside, engine=engine)
    engine.dispose()


@pytest.mark.parametrize("told", [True, False])
def test_a_name_in_a_message_is_no_lock(told: bool) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT locked_at")
        name = caught.value
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
        reading = connection.execute("SELECT a FROM t")
        reading.fetchone()
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("DROP TABLE t")
        lock = caught.value
    if not told:  # as before Python 3.11
        name, lock = (sqlite3.OperationalError(str(error)) for error in (name, lock))
    assert is_lock_error(lock)
    assert "locked" in str(name)
    assert not is_lock_error(name)
    assert "no such column: locked_at" in explain(name, Path("test.db"))


def test_a_failure_of_a_second_connection_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})

    def revision(op: Operations) -> None:
        op.execute("CREATE TABLE t (a)")
        with op.get_bind().engine.connect() as other:
            other.exec_driver_sql("SELECT locked_at FROM sqlite_master")

    with pytest.raises(sa.exc.OperationalError, match="no such column: locked_at"):
        migrate(path, revision, engine=engine)
    engine.dispose()


def test_the_wait_of_another_thread_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})

    def work() -> None:
        with engine.begin() as other:
            other.exec_driver_sql("CREATE TABLE u (a)")

    def revision(op: Operations) -> None:
        op.execute("CREATE TABLE t (a)")
        with ThreadPoolExecutor() as pool, pytest.raises(sa.exc.OperationalError):
            pool.submit(work).result()

    migrate(path, revision, engine=engine)
    engine.dispose()


def test_a_key_that_sqlite_cannot_check_may_be_created(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.execute('CREATE TABLE p (a)')")
    environment.revision("op.execute('CREATE TABLE c (k REFERENCES p (a))')")
    environment.revision("op.execute('CREATE TABLE d (k REFERENCES p (a))')")
    environment.revision(
        "op.execute('DELETE FROM p')\nop.execute('CREATE TABLE e (k REFERENCES p (a))')"
    )
    environment.upgrade()
    assert environment.heads() == ["r004"]


def test_what_an_autocommit_block_broke_is_told(tmp_path: Path) -> None:
    revision = "with op.get_context().autocommit_block():\n    op.execute('DELETE FROM p')"
    environment = environment_with(tmp_path, BROKEN, revision)
    with pytest.raises(CommandError, match=r"row 1 of table c .* REMAINS in the database") as error:
        environment.upgrade()
    assert "row 2" not in str(error.value)
    assert environment.heads() == ["r001"]


def test_what_an_autocommit_block_broke_may_be_put_right_after_it(tmp_path: Path) -> None:
    revision = (
        "with op.get_context().autocommit_block():\n    op.execute('DELETE FROM p')\n"
        "op.execute('DELETE FROM c WHERE p = 1')"
    )
    environment = environment_with(tmp_path, BROKEN, revision)
    environment.upgrade()
    assert environment.query("SELECT p FROM c") == [(7,)]


@pytest.mark.parametrize(
    "renaming",
    [
        "op.execute('ALTER TABLE c RENAME TO kid')",
        "op.execute('ALTER TABLE main.\"p\" RENAME TO parent')",
        "op.execute('ALTER TABLE c RENAME TO old')\n"
        "op.execute('CREATE TABLE c (p REFERENCES p)')\n"
        "op.execute('INSERT INTO c SELECT * FROM old')\n"
        "op.execute('DROP TABLE old')",
    ],
)
def test_old_violations_are_known_under_a_table_s_new_name(tmp_path: Path, renaming: str) -> None:
    environment = environment_with(
        tmp_path, BROKEN, f"op.execute('DELETE FROM c WHERE 0')\n{renaming}"
    )
    environment.upgrade()
    assert environment.heads() == ["r002"]


def run_script(environment: Environment) -> None:
    """Run what `--sql` writes, without what only the shell understands."""
    lines = environment.script("head").splitlines(keepends=True)
    script = "".join(line for line in lines if not line.startswith("."))
    with closing(sqlite3.connect(environment.database)) as connection:
        connection.executescript(script)


KEYED = """
    CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE c (k TEXT PRIMARY KEY, pid REFERENCES p) WITHOUT ROWID;
    CREATE TABLE two (a REFERENCES p, b REFERENCES p);
    CREATE TABLE number (id INT PRIMARY KEY, pid REFERENCES p);
    INSERT INTO number VALUES (50, 99), (49, 98), (1, 1), (2, 99);
    INSERT INTO p VALUES (1), (2);
    INSERT INTO c VALUES ('orphan', 99), ('good', 1);
    INSERT INTO two VALUES (99, 2);
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "op.execute(\"DELETE FROM c WHERE k = 'orphan'\")\n"
            "op.execute('DELETE FROM p WHERE id = 1')",
            "exist: row 'good' of table c has no parent in p. ",
        ),
        (
            "op.execute('DELETE FROM two')\nop.execute('DELETE FROM c')\n"
            "op.execute('DELETE FROM p WHERE id = 1')\n"
            "op.alter_column('number', 'id', type_=sa.Integer())",
            "exist: row 1 of table number has no parent in p. ",
        ),
        (
            "op.execute('UPDATE two SET a = 1')\nop.execute('DELETE FROM p WHERE id = 2')",
            "exist: row 1 of table two has no parent in p. ",
        ),
    ],
)
def test_a_violation_makes_up_for_no_other(tmp_path: Path, change: str, told: str) -> None:
    environment = environment_with(tmp_path, KEYED, change)
    with pytest.raises(CommandError, match=told):
        environment.upgrade()
    with pytest.raises(sqlite3.IntegrityError, match="rows refer to rows that do not exist"):
        run_script(environment)


@pytest.mark.parametrize(
    "change",
    [
        "op.alter_column('c', 'pid', new_column_name='parent')\n"
        "op.alter_column('two', 'a', new_column_name='one')",
        "op.alter_column('c', 'k', type_=sa.BLOB())",
        "with op.batch_alter_table('c') as batch:\n"
        "    batch.add_column(sa.Column('n', sa.Integer, server_default='1'))\n"
        "    batch.alter_column('pid', nullable=False)\n"
        "op.create_primary_key('pk', 'c', ['k', 'pid'])",
        "with op.batch_alter_table('number', table_kwargs={'sqlite_with_rowid': False},\n"
        "                          recreate='always'):\n    pass",
        "op.rename_table('number', 'row')\nop.alter_column('row', 'id', type_=sa.Integer())",
        "op.rename_table('c', 'kid')\nop.rename_table('p', 'parent')",
        "with op.batch_alter_table('two') as batch:\n"
        "    batch.create_foreign_key('fk', 'c', ['b'], ['k'])\n"
        "    batch.drop_column('b')",
    ],
)
@pytest.mark.parametrize("upgrade", [Environment.upgrade, run_script])
def test_a_violation_stays_known_whatever_its_key_is_called(
    tmp_path: Path, change: str, upgrade: Callable[[Environment], None]
) -> None:
    environment = environment_with(
        tmp_path, KEYED, f"op.execute('DELETE FROM p WHERE 0')\n{change}"
    )
    upgrade(environment)
    assert environment.heads() == ["r002"]


CASELESS = """
    CREATE TABLE p (id TEXT COLLATE NOCASE PRIMARY KEY);
    CREATE TABLE c (p TEXT REFERENCES p);
    INSERT INTO p VALUES ('a');
    INSERT INTO c VALUES ('A'), ('7');
"""


@pytest.mark.parametrize(
    ("schema", "change"),
    [
        (BROKEN, "op.execute('DELETE FROM p WHERE 0')\nop.execute('DELETE FROM \"Aux\".p')"),
        (
            "CREATE TABLE q (id INTEGER PRIMARY KEY); CREATE TABLE c (q REFERENCES q);"
            "INSERT INTO q VALUES (1); INSERT INTO c VALUES (1)",
            "op.execute('DELETE FROM Q')",
        ),
        (
            CASELESS,
            "with op.batch_alter_table('p', schema='Aux') as batch:\n"
            "    batch.alter_column('id', type_=sa.Text(collation='BINARY'))",
        ),
    ],
)
def test_an_attached_database_that_a_revision_changes_is_checked_too(
    tmp_path: Path, schema: str, change: str
) -> None:
    environment = environment_with(tmp_path, FAMILY, change)
    with closing(sqlite3.connect(tmp_path / "aux.db")) as attached:
        attached.executescript(schema)
    with engine_for(environment) as engine:

        @sa.event.listens_for(engine, "connect")
        def attach(driver: Any, _: Any) -> None:
            driver.execute("ATTACH ? AS aux", (str(tmp_path / "aux.db"),))

        with pytest.raises(
            CommandError, match=r"exist: row 1 of table aux\.c has no parent in [pq]\. "
        ):
            environment.upgrade(connection=engine)
    assert environment.heads() == ["r001"]


def test_a_revision_may_detach_a_database(tmp_path: Path) -> None:
    revision = (
        "with op.get_context().autocommit_block():\n"
        "    op.execute('DETACH aux')\n"
        "    op.execute('DELETE FROM c')\n"
        "op.execute('DELETE FROM p')"
    )
    environment = environment_with(tmp_path, FAMILY, revision)
    with engine_for(environment) as engine:
        sa.event.listen(engine, "connect", lambda it, _: it.execute("ATTACH ':memory:' AS aux"))
        environment.upgrade(connection=engine)
    assert environment.query("SELECT * FROM p") == []


def test_keys_are_checked_whatever_like_means_on_a_connection(tmp_path: Path) -> None:
    schema = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p references p (id));"
    schema += "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)"
    environment = environment_with(tmp_path, schema, "op.execute('DELETE FROM p')")
    with engine_for(environment) as engine:
        sa.event.listen(
            engine, "connect", lambda it, _: it.execute("PRAGMA case_sensitive_like = ON")
        )
        with pytest.raises(CommandError, match="row 1 of table c has no parent in p"):
            environment.upgrade(connection=engine)
    assert environment.query("SELECT * FROM p") == [(1,)]


def test_a_batch_without_a_transaction_has_its_own(tmp_path: Path) -> None:
    environment = environment_with(tmp_path, FAMILY, "pass")
    with engine_for(environment) as engine, engine.connect() as connection:
        with Operations(MigrationContext.configure(connection)).batch_alter_table("c") as batch:
            batch.alter_column("p", nullable=False)
        with connection.begin():  # which SQLAlchemy refuses inside of another transaction
            connection.execute(sa.text("INSERT INTO c VALUES (1)"))
    assert environment.query("SELECT * FROM c") == [(1,), (1,)]
    assert "NOT NULL" in environment.query("SELECT sql FROM sqlite_master WHERE name = 'c'")[0][0]


def test_transactional_ddl_is_believed_of_a_connection_that_is_not_governed(tmp_path: Path) -> None:
    with engine_for(environment_with(tmp_path, FAMILY, "pass")) as engine:
        for said, expected in ((None, False), (False, False), (True, True)):
            with engine.connect() as connection:
                options = {} if said is None else {"transactional_ddl": said}
                context = MigrationContext.configure(connection, opts=options)
                assert context.impl.transactional_ddl is expected
