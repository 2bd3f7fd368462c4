"""Operations on SQLite tables, one promise each."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.util import CommandError

from migrating import Environment, migrate
from sqlite_shape import differences, is_sound, row_hashes, shape

RICH = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
CREATE TABLE t (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- counted, "forever"
  name VARCHAR(20) COLLATE NOCASE NOT NULL ON CONFLICT FAIL DEFAULT 'it''s' CHECK (t.name <> "never"),
  [up] INT REFERENCES parent (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  n NUMERIC UNIQUE ON CONFLICT IGNORE, double AS (n * 2) STORED, CHECK (n > 0) CHECK (n < 1000)
);
CREATE UNIQUE INDEX ix_expression ON t (lower(name), n DESC) WHERE n > 1;
CREATE INDEX ix_up ON t ("up" COLLATE RTRIM);
CREATE VIEW v (name, [the n]) AS SELECT name, n FROM t;
CREATE VIEW over_v AS SELECT * FROM v;
CREATE TABLE child (t_id REFERENCES t ON DELETE CASCADE);
CREATE TABLE log (x);
CREATE TRIGGER own AFTER UPDATE OF n ON t BEGIN INSERT INTO log VALUES (new.n); END;
CREATE TRIGGER far AFTER INSERT ON log BEGIN UPDATE t SET n = n WHERE name = new.x; END;
CREATE TRIGGER on_view INSTEAD OF INSERT ON v BEGIN INSERT INTO t (name) VALUES (new.name); END;
INSERT INTO parent VALUES (1, 'a'), (2, 'b');
INSERT INTO t (id, name, up, n) VALUES (3, 'one', 1, 1), (7, 'two', 2, 2.5), (9, 'gone', NULL, 9);
DELETE FROM t WHERE id = 9;
INSERT INTO child VALUES (3), (7);
ANALYZE;
"""

Revision = Callable[[Operations], Any]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "test.db"
    fill(path, RICH)
    return path


def fill(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def in_batch(work: Callable[[Any], Any], **options: Any) -> Revision:
    def run(op: Operations) -> None:
        with op.batch_alter_table("t", **options) as batch:
            work(batch)

    return run


def changed(path: Path, revision: Revision) -> list[str]:
    """What a revision makes different in the schema."""
    before = shape(path)
    migrate(path, revision)
    assert is_sound(path)
    return differences(before, shape(path))


def refused(path: Path, revision: Revision) -> str:
    """The message of a revision that is refused, and leaves everything as it is."""
    before = shape(path), row_hashes(path)
    with pytest.raises(CommandError) as caught:
        migrate(path, revision)
    assert (shape(path), row_hashes(path)) == before
    return str(caught.value)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (in_batch(lambda b: None, recreate="always"), lambda op: None),
        (
            lambda op: op.alter_column("t", "n", new_column_name="select"),
            lambda op: op.alter_column("t", "select", new_column_name="n"),
        ),
        (
            lambda op: op.alter_column("t", "name", type_=sa.String(50)),
            lambda op: op.alter_column("t", "name", type_=sa.String(20)),
        ),
        (
            lambda op: op.alter_column("t", "up", nullable=True, server_default="1"),
            lambda op: op.alter_column("t", "up", server_default=None),
        ),
        (
            lambda op: op.add_column("t", sa.Column("extra", sa.Integer, index=True, unique=True)),
            lambda op: op.drop_column("t", "extra"),
        ),
        (
            in_batch(
                lambda b: b.add_column(
                    sa.Column("made", sa.Integer, sa.Computed("n + 1", persisted=True)),
                    insert_before="name",
                )
            ),
            in_batch(lambda b: b.drop_column("made")),
        ),
        (
            in_batch(
                lambda b: b.add_column(
                    sa.Column("at", sa.DateTime, nullable=False, server_default=sa.func.now()),
                    insert_after="id",
                )
            ),
            in_batch(lambda b: b.drop_column("at")),
        ),
        (
            lambda op: op.create_check_constraint("small", "t", "n < 100"),
            lambda op: op.drop_constraint("small", "t", type_="check"),
        ),
        (
            lambda op: op.create_unique_constraint("pair", "t", ["name", "n"]),
            lambda op: op.drop_constraint("pair", "t", type_="unique"),
        ),
        (
            lambda op: op.create_foreign_key("fk", "t", "parent", ["up"], ["id"]),
            lambda op: op.drop_constraint("fk", "t", type_="foreignkey"),
        ),
        (
            lambda op: op.rename_table("t", "order"),
            lambda op: op.rename_table("order", "t"),
        ),
        (
            lambda op: op.create_index("ix", "t", [sa.text("upper(name)")]),
            lambda op: op.drop_index("ix", "t"),
        ),
        (
            lambda op: op.alter_column("t", "name", new_column_name="NAME"),
            lambda op: op.alter_column("t", "NAME", new_column_name="name"),
        ),
    ],
)
def test_what_an_operation_did_its_inverse_undoes(
    database: Path, there: Revision, back: Revision
) -> None:
    before = shape(database), row_hashes(database)
    migrate(database, there)
    assert is_sound(database)
    migrate(database, back)
    assert not differences(before[0], shape(database))
    assert row_hashes(database) == before[1]


@pytest.mark.parametrize(
    ("revision", "facets"),
    [
        (lambda op: op.alter_column("t", "name", type_=sa.Text()), ["columns"]),
        (lambda op: op.alter_column("t", "name", nullable=True), ["columns", "conflict"]),
        (lambda op: op.alter_column("t", "n", comment="ignored"), []),
        (lambda op: op.create_table_comment("t", "ignored"), []),
        (lambda op: op.drop_constraint("fk_t_up_parent", "t"), ["deferral", "keys"]),
        (lambda op: op.drop_constraint("uq_t_n", "t"), ["automatic indexes", "conflict"]),
    ],
)
def test_nothing_is_different_but_what_was_asked(
    database: Path, revision: Revision, facets: list[str]
) -> None:
    found = changed(database, revision)
    assert sorted(line.split(":")[0] for line in found) == [f"table t, {name}" for name in facets]


def test_several_operations_in_one_batch_need_one_rebuild(database: Path) -> None:
    statements: list[str] = []

    def revision(op: Operations) -> None:
        sa.event.listen(op.get_bind(), "before_cursor_execute", lambda *a: statements.append(a[2]))
        with op.batch_alter_table("t") as batch:
            batch.alter_column("name", new_column_name="title", nullable=True)
            batch.add_column(sa.Column("a", sa.Integer, unique=True))
            batch.alter_column("n", type_=sa.Float())
            batch.create_check_constraint("ck", "a > 0")
            batch.drop_column("double")

    migrate(database, revision)
    assert sum(sql.startswith("INSERT OR ABORT") for sql in statements) == 1
    assert query(database, "SELECT id, title, n, a FROM t") == [
        (3, "one", 1, None),
        (7, "two", 2.5, None),
    ]


def test_rows_older_than_a_column_keep_what_its_default_said(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(
        path,
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x');"
        "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'old'; ALTER TABLE t ADD COLUMN d INT;",
    )
    migrate(path, lambda op: op.alter_column("t", "c", server_default="new"))
    migrate(path, lambda op: op.alter_column("t", "d", server_default="5"))
    fill(path, "INSERT INTO t (a) VALUES (2)")
    assert query(path, "SELECT * FROM t") == [(1, "x", "old", None), (2, None, "new", 5)]


def test_the_counter_of_autoincrement_survives_a_rebuild(database: Path) -> None:
    migrate(database, in_batch(lambda b: b.alter_column("n", type_=sa.Integer())))
    fill(database, "INSERT INTO t (name, n) VALUES ('next', 50)")
    assert query(database, "SELECT max(id) FROM t") == [(10,)]


@pytest.mark.parametrize("names", ["rowid, _rowid_", "rowid, _rowid_, oid", "a, b"])
def test_rowids_survive_a_rebuild(tmp_path: Path, names: str) -> None:
    path = tmp_path / "test.db"
    fill(path, f"CREATE TABLE t ({names}); INSERT INTO t ({names.split(',')[0]}) VALUES (8), (6)")
    before = row_hashes(path)
    migrate(path, in_batch(lambda b: None, recreate="always"))
    assert row_hashes(path) == before


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        (lambda op: op.drop_column("t", "name"), "cannot be dropped: index ix_expression uses it"),
        (lambda op: op.drop_column("t", "n"), "cannot be dropped"),
        (lambda op: op.drop_column("t", "id"), "a foreign key of table child refers to it"),
        (lambda op: op.alter_column("t", "up", nullable=False), None),
        (lambda op: op.create_check_constraint("ck", "t", "n > 2"), "for the rows: 3"),
        (
            lambda op: op.create_foreign_key("fk", "t", "parent", ["n"], ["id"]),
            "there is no parent for the rows: 7",
        ),
        (
            lambda op: op.create_foreign_key("fk", "t", "log", ["n"], ["x"]),
            "neither its primary key nor unique",
        ),
        (
            lambda op: op.add_column("t", sa.Column("x", sa.Integer, nullable=False)),
            "there would be no value for the rows: 3; 7",
        ),
        (lambda op: op.alter_column("t", "nope", nullable=True), "has no column nope; it has: id"),
        (lambda op: op.alter_column("nope", "x", nullable=True), "There is no table nope"),
        (lambda op: op.drop_constraint("nope", "t"), "has no constraint nope"),
        (lambda op: op.drop_constraint("ix_up", "t"), "use drop_index"),
        (lambda op: op.alter_column("t", "n", new_column_name="name"), "has a column name already"),
        (lambda op: op.rename_table("t", "log"), "There is a table called log already"),
        (lambda op: op.create_check_constraint("ck", "t", "n > (SELECT 1)"), "subqueries"),
        (lambda op: op.execute("DELETE FROM t WHERE id = 3"), "row 1 of table child has no parent"),
        (lambda op: op.drop_table("parent"), "row 3 of table t has no parent in parent"),
        (lambda op: op.drop_constraint("uq_t_id", "t"), "has no constraint"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    database: Path, revision: Revision, message: str | None
) -> None:
    if message is None:
        migrate(database, revision)
    else:
        assert message in refused(database, revision)


def test_a_column_used_by_a_view_or_trigger_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE t (a, b, c); CREATE VIEW v AS SELECT b FROM t; CREATE TABLE u (x);")
    assert "view v (no such column: b)" in refused(path, lambda op: op.drop_column("t", "b"))
    fill(path, "CREATE TRIGGER tr AFTER UPDATE OF c ON t BEGIN SELECT 1; END")
    assert "UPDATE OF c" in refused(path, lambda op: op.drop_column("t", "c"))
    fill(path, "CREATE TRIGGER far AFTER INSERT ON u BEGIN DELETE FROM t WHERE a = new.x; END")
    assert "trigger far" in refused(path, lambda op: op.drop_column("t", "a"))


def test_five_keys_are_shown_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    fill(path, ";".join(f"INSERT INTO t VALUES ({number}, NULL)" for number in range(9)))
    message = refused(path, lambda op: op.alter_column("t", "b", nullable=False))
    assert message.endswith("in the rows: 0; 1; 2; 3; 4 and more")


def test_duplicates_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE t (a TEXT, b); INSERT INTO t VALUES ('x', 1), ('x', 2), ('y', 3)")
    constraint = refused(path, lambda op: op.create_unique_constraint("uq", "t", ["a"]))
    assert "More than one row has a = 'x'" in constraint
    index = refused(path, lambda op: op.create_index("ix", "t", ["a"], unique=True))
    assert "More than one row has a = 'x'" in index


def test_violations_from_before_do_not_stop_a_migration(database: Path) -> None:
    fill(database, "INSERT INTO child VALUES (99)")
    migrate(database, lambda op: op.execute("UPDATE t SET n = n + 1"))
    migrate(database, in_batch(lambda b: b.alter_column("n", type_=sa.Integer())))
    migrate(database, lambda op: op.rename_table("child", "kid"))
    assert query(database, "SELECT count(*) FROM kid") == [(3,)]


def test_an_enum_s_check_follows_its_values(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE t (k VARCHAR(1), CHECK (k IN ('a', 'b'))); INSERT INTO t VALUES ('a')")
    old, new = (sa.Enum(*values, create_constraint=True) for values in (["a", "b"], ["a", "c"]))
    migrate(path, in_batch(lambda b: b.alter_column("k", existing_type=old, type_=new)))
    assert shape(path)["table t"]["checks"] == ["k in ( 'a' , 'c' )"]


def test_constraints_are_found_by_the_batch_s_naming_convention(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (up REFERENCES p (id))")
    convention = {"fk": "%(table_name)s__%(column_0_name)s"}
    migrate(path, in_batch(lambda b: b.drop_constraint("t__up"), naming_convention=convention))
    assert shape(path)["table t"]["keys"] == []


def test_arguments_of_batch_alter_table_mean_what_alembic_documents(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b INT CHECK (b > 0))")
    same_and_new = [sa.CheckConstraint("b > 0"), sa.CheckConstraint("b < 9", name="ck")]
    migrate(path, in_batch(lambda b: None, recreate="always", table_args=same_and_new))
    assert shape(path)["table t"]["checks"] == ["b < 9", "b > 0"]

    order = [("b", "a")]
    migrate(path, in_batch(lambda b: None, recreate="always", partial_reordering=order))
    assert [column[0] for column in shape(path)["table t"]["columns"]] == ["id", "b", "a"]

    known = sa.Table(
        "t", sa.MetaData(), sa.Column("a", sa.Text), sa.UniqueConstraint("a", name="uq_a")
    )
    migrate(path, in_batch(lambda b: b.drop_constraint("uq_a"), copy_from=known))
    assert shape(path)["table t"]["automatic indexes"] == []
    assert len(shape(path)["table t"]["columns"]) == 3  # copy_from takes nothing away

    counted = {"sqlite_autoincrement": True}
    migrate(path, in_batch(lambda b: None, recreate="always", table_kwargs=counted))
    assert shape(path)["table t"]["autoincrement"]

    message = refused(path, in_batch(lambda b: b.drop_column("a"), recreate="never"))
    assert "recreate='never' forbids" in message


def test_broken_views_do_not_stop_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(
        path,
        'CREATE TABLE t (a, b CHECK (b <> "text")); CREATE VIEW broken AS SELECT x FROM nowhere;'
        'CREATE VIEW strings AS SELECT "text", a FROM t',
    )
    before = shape(path)
    migrate(path, lambda op: op.alter_column("t", "a", new_column_name="z"))
    after = shape(path)
    assert after["view broken"] == before["view broken"]
    assert query(path, "SELECT sql FROM sqlite_master WHERE name = 'strings'") == [
        ('CREATE VIEW strings AS SELECT "text", z FROM t',)
    ]


def test_a_string_in_double_quotes_stays_a_string_when_a_column_gets_its_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "test.db"
    fill(path, 'CREATE TABLE t (a CHECK (a <> "new"), b); CREATE VIEW v AS SELECT "other" FROM t')
    migrate(path, lambda op: op.add_column("t", sa.Column("new", sa.Text)))
    migrate(path, lambda op: op.alter_column("t", "b", new_column_name="other"))
    fill(path, "INSERT INTO t VALUES ('x', 'y', 'x')")
    assert query(path, "SELECT * FROM v") == [("other",)]
    fill(path, 'CREATE INDEX i ON t (a) WHERE a <> "third"')
    message = refused(path, lambda op: op.add_column("t", sa.Column("third", sa.Text)))
    assert 'index i holds the string "third" in double quotes' in message


def test_a_leftover_of_another_tool_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(path, "CREATE TABLE _alembic_tmp_t (a)")
    with pytest.warns(UserWarning, match="_alembic_tmp_t is a leftover"):
        migrate(path, lambda op: op.create_table("other", sa.Column("x", sa.Integer)))
    with (
        pytest.warns(UserWarning, match="leftover"),
        pytest.raises(CommandError, match="There is no table t, but a table _alembic_tmp_t"),
    ):
        migrate(path, lambda op: op.alter_column("t", "a", nullable=True))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Connection.setconfig is new in 3.12")
def test_a_defensive_connection_rebuilds_instead_of_editing(database: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{database}")

    @sa.event.listens_for(engine, "connect")
    def defend(connection: Any, _: Any) -> None:
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # type: ignore[attr-defined]

    before = shape(database), row_hashes(database)
    steps: list[tuple[Revision, Revision]] = [
        (
            lambda op: op.alter_column("t", "name", type_=sa.String(50)),
            lambda op: op.alter_column("t", "name", type_=sa.String(20)),
        ),
        (
            lambda op: op.create_check_constraint("ck", "t", "n > 0"),
            lambda op: op.drop_constraint("ck", "t"),
        ),
        (
            lambda op: op.add_column("t", sa.Column("x", sa.Integer)),
            lambda op: op.drop_column("t", "x"),
        ),
    ]
    try:
        for there, back in steps:
            migrate(database, there, engine=engine)
            migrate(database, back, engine=engine)
    finally:
        engine.dispose()
    # The name in front of the column cannot stay: t.name is written name.
    found = [line for line in differences(before[0], shape(database)) if "checks" not in line]
    assert found == []
    assert row_hashes(database) == before[1]


def test_the_caller_s_connection_is_given_back_as_it_was(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.create_table('t', sa.Column('x', sa.Integer))", "op.drop_table('t')")
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.rollback()
    environment.upgrade(connection=engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        connection.rollback()
        environment.downgrade("base", connection=connection)
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master").fetchall()
    assert [row[0] for row in tables if not row[0].startswith("sqlite_")] == ["alembic_version"]
    engine.dispose()


def test_a_rebuild_under_enforced_foreign_keys_is_refused(database: Path) -> None:
    from alembic.runtime.migration import MigrationContext

    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO log VALUES (1)")  # the driver begins a transaction
        op = Operations(MigrationContext.configure(connection))
        with pytest.raises(CommandError, match="would delete their rows"):
            op.alter_column("t", "n", type_=sa.Integer())
    engine.dispose()
    assert len(query(database, "SELECT * FROM child")) == 2
