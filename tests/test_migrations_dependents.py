"""What hangs on a table that is changed: views, triggers, and what an application brings along."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import CommandLine
from alembic.operations import BatchOperations, Operations
from alembic.util import CommandError

from lossless.sqlite.standins import alter_with_standins
from migrating import Environment, migrate, script_of
from sqlite_shape import shape
from test_migrations_sqlite import in_batch

Revision = Callable[[Operations], Any]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


def teach(connection: sqlite3.Connection, _: object = None) -> None:
    """What an application teaches SQLite on each of its connections."""
    connection.create_function("likes", 2, lambda one, other: one == other, deterministic=True)
    connection.create_collation("nordic", lambda one, other: (one < other) - (one > other))


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


def test_collations_of_the_application_keep_no_other_table_from_changing(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b COLLATE nordic, c, d); CREATE INDEX i ON t (b);"
        "INSERT INTO t VALUES (1, 'b', 'c', 'd'), (2, 'a', 'c', 'd');"
        "CREATE TABLE other (a, b NOT NULL, c); CREATE INDEX of_other ON other (a COLLATE nordic);"
        "INSERT INTO other VALUES (1, 2, 3);"
        "CREATE TABLE keyed (a PRIMARY KEY COLLATE nordic, b, c) WITHOUT ROWID;"
        "INSERT INTO keyed VALUES ('a', 1, 2), ('b', 3, 4), ('c', 5, 6)",
    )
    before = shape(database)
    for there, back in (
        (lambda op: op.rename_table("other", "o"), lambda op: op.rename_table("o", "other")),
        (
            lambda op: op.alter_column("other", "b", new_column_name="x"),
            lambda op: op.alter_column("other", "x", new_column_name="b"),
        ),
        (
            lambda op: op.alter_column("t", "b", new_column_name="x"),
            lambda op: op.alter_column("t", "x", new_column_name="b"),
        ),
        (
            lambda op: op.add_column("t", sa.Column("x", sa.Text)),
            lambda op: op.drop_column("t", "x"),
        ),
        (
            lambda op: op.alter_column("t", "b", server_default="x"),
            lambda op: op.alter_column("t", "b", server_default=None),
        ),
    ):
        migrate(database, there)
        assert shape(database) != before
        migrate(database, back)
        assert shape(database) == before
    migrate(database, lambda op: op.drop_column("t", "c"))
    migrate(database, lambda op: op.drop_column("keyed", "b"))
    with closing(sqlite3.connect(database)) as connection:
        teach(connection)
        rows = connection.execute("SELECT * FROM t UNION ALL SELECT *, 0 FROM keyed").fetchall()
        assert rows == [(1, "b", "d"), (2, "a", "d"), ("c", 6, 0), ("b", 4, 0), ("a", 2, 0)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    "keys",
    [
        "CREATE TABLE p (x PRIMARY KEY COLLATE nordic); CREATE TABLE c (y REFERENCES p)",
        "CREATE TABLE p (x PRIMARY KEY); CREATE TABLE c (y, z AS (likes(y, 1)) REFERENCES p)",
    ],
)
def test_a_reference_that_needs_the_application_stops_no_other_change(
    database: Path, keys: str
) -> None:
    fill(
        database,
        f"{keys}; INSERT INTO c (y) VALUES (1); CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    )
    migrate(database, lambda op: op.execute("UPDATE t SET a = 2"))
    migrate(database, lambda op: op.get_bind().connection.execute("UPDATE t SET a = a + 1"))
    assert query(database, "SELECT a FROM t") == [(3,)]
    run(database, "CREATE TABLE parent (a PRIMARY KEY); CREATE TABLE child (a REFERENCES parent)")
    with pytest.raises(CommandError, match="row 1 of table child has no parent in parent"):
        migrate(database, lambda op: op.execute("INSERT INTO child VALUES (1)"))


def test_what_is_missing_to_check_a_new_reference_is_named(database: Path) -> None:
    fill(database, "CREATE TABLE p (x PRIMARY KEY COLLATE nordic); CREATE TABLE c (y)")
    with pytest.raises(CommandError, match=r"cannot check: .*no such collation sequence: nordic"):
        migrate(database, lambda op: op.execute("ALTER TABLE c ADD x REFERENCES p"))


def test_rows_are_never_put_in_the_order_of_a_standin(database: Path) -> None:
    fill(database, "CREATE TABLE t (a COLLATE nordic, b); INSERT INTO t VALUES ('a', 1), ('b', 2)")
    before = shape(database)
    with pytest.raises(CommandError, match=r"nordic. It is the application's own: .*env\.py"):
        migrate(database, lambda op: op.create_unique_constraint("u", "t", ["a"]))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="no such collation sequence: nordic"):
            alter_with_standins(connection, lambda: connection.execute("CREATE INDEX i ON t (a)"))
        connection.rollback()
    assert shape(database) == before


@pytest.mark.parametrize(
    "views",
    [
        'CREATE VIEW v AS SELECT a, b FROM t; CREATE VIEW w AS SELECT "b" FROM v',
        "CREATE VIEW v AS SELECT * FROM t JOIN u; CREATE VIEW w AS SELECT b FROM v",
        "CREATE VIEW w AS SELECT b FROM (SELECT * FROM t, u)",
    ],
)
def test_a_result_whose_column_is_renamed_or_dropped_is_not_quietly_another(
    views: str, database: Path
) -> None:
    fill(
        database,
        f"CREATE TABLE t (a, b); CREATE TABLE u (x, b); {views};"
        "INSERT INTO t VALUES (1, 2); INSERT INTO u VALUES (3, 4)",
    )
    with pytest.raises(CommandError, match="view w would quietly mean something else"):
        migrate(database, lambda op: op.alter_column("t", "b", new_column_name="c"))
    with pytest.raises(CommandError, match="cannot be dropped, it is used by: view w"):
        migrate(database, lambda op: op.drop_column("t", "b"))
    assert query(database, "SELECT * FROM w") == [(2,)]


def test_a_table_is_not_quietly_given_the_name_of_an_alias(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO t VALUES (1); INSERT INTO u VALUES (2);"
        "CREATE VIEW v AS SELECT (SELECT t.a FROM u AS taken) AS a FROM t;"
        "CREATE VIEW w AS SELECT free.a FROM t AS free",
    )
    with pytest.raises(CommandError, match="Table t cannot be renamed to taken: view v would"):
        migrate(database, lambda op: op.rename_table("t", "taken"))
    migrate(database, lambda op: op.rename_table("t", "free"))
    assert query(database, "SELECT v.a, w.a FROM v, w") == [(1, 1)]


def test_a_view_that_says_where_a_renamed_column_is_from_goes_along(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);"
        "CREATE VIEW v AS SELECT a, b AS b FROM t WHERE b > (SELECT min(a) FROM t);"
        'CREATE VIEW w AS SELECT "b" FROM v',
    )
    migrate(database, lambda op: op.alter_column("t", "b", new_column_name="c"))
    assert query(database, "SELECT * FROM w") == [(2,)]


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


MEANINGS = """
CREATE TABLE t (id INTEGER PRIMARY KEY, x, y); CREATE TABLE u (q, u_id); CREATE TABLE log (a);
CREATE VIEW quoted AS SELECT id FROM t WHERE x = "four";
CREATE VIEW correlated AS SELECT (SELECT q FROM t WHERE t.id = u.u_id) FROM u;
CREATE VIEW numbered AS SELECT rowid FROM t;
CREATE VIEW everything AS SELECT * FROM t;
CREATE VIEW over_it AS SELECT (SELECT u_id FROM everything) FROM u;
CREATE VIEW alias AS SELECT id AS z FROM t WHERE z > 1;
CREATE TRIGGER audit AFTER INSERT ON t BEGIN INSERT INTO log SELECT "created" FROM t; END;
CREATE TRIGGER other AFTER UPDATE ON t BEGIN SELECT 1; END;
CREATE VIEW broken AS SELECT missing, u.missing, "id" FROM t JOIN u;
INSERT INTO t (x) VALUES ('four')
"""


def add(name: str) -> Revision:
    return lambda op: op.add_column("t", sa.Column(name, sa.Text))


def rename(old: str, new: str) -> Revision:
    return lambda op: op.alter_column("t", old, new_column_name=new)


@pytest.mark.parametrize(
    ("revision", "affected"),
    [
        (add("four"), "view quoted"),
        (add("created"), "trigger audit on INSERT of t"),
        (add("Q"), "view correlated"),
        (add("RowId"), "view numbered"),
        (add("u_id"), "view over_it"),
        (add("z"), "view alias"),
        (rename("y", "Q"), "view correlated"),
        (rename("y", "rowid"), "view numbered"),
        (rename("y", "u_id"), "view over_it"),
        (rename("y", "z"), "view alias"),
    ],
)
def test_a_name_that_changes_the_meaning_of_a_view_is_refused(
    database: Path, revision: Revision, affected: str
) -> None:
    fill(database, MEANINGS)
    before = query(database, "SELECT sql FROM sqlite_master")
    with pytest.raises(CommandError, match=f": {affected} would quietly mean something else"):
        migrate(database, revision)
    assert query(database, "SELECT sql FROM sqlite_master") == before
    with pytest.raises(CommandError, match=f": {affected} would quietly mean something else"):
        script_of(database, revision)


@pytest.mark.parametrize("change", [add, lambda name: rename("b", name)])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a, b); CREATE INDEX i ON t (a) WHERE rowid > 1", "rowid"),
        ("a, b); CREATE INDEX i ON t (a) WHERE [oid] > 1", "OID"),
        ("a, b); CREATE INDEX i ON t (a) WHERE a = TRUE", "true"),
        ("a, b); CREATE INDEX i ON t (a IS FALSE)", "false"),
        ("a, b, CHECK (_rowid_ < 100))", "_rowid_"),
        ('a, b, CHECK ("rowid" < 100))', "rowid"),
        ("a, b, c AS (a = true))", "true"),
    ],
)
def test_a_column_does_not_take_a_name_of_sqlite_s_own_that_the_table_uses(
    database: Path, content: str, name: str, change: Callable[[str], Revision]
) -> None:
    fill(database, f"CREATE TABLE t ({content}; INSERT INTO t (a) VALUES (1), (2)")
    before = shape(database)
    with pytest.raises(CommandError, match=f"{name} for what SQLite itself calls so"):
        migrate(database, change(name))
    assert shape(database) == before
    migrate(database, change("other"))


@pytest.mark.parametrize("change", [add, lambda name: rename("b", name)])
def test_a_name_of_sqlite_s_own_that_is_a_string_for_the_table_may_be_a_column_s(
    database: Path, change: Callable[[str], Revision]
) -> None:
    fill(database, """CREATE TABLE t (a, b, CHECK (a <> "true" AND a <> 'rowid'))""")
    migrate(database, change("rowid"))
    migrate(database, add("true"))
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        run(database, "INSERT INTO t (a, \"true\") VALUES ('true', 1)")


def test_a_string_stays_a_string_when_a_column_is_renamed_to_it(database: Path) -> None:
    fill(database, MEANINGS)
    migrate(database, rename("y", "four"))
    assert query(database, "SELECT * FROM quoted") == [(1,)]


@pytest.mark.parametrize(
    "view",
    [
        "SELECT x AS word FROM t WHERE word > 1 ORDER BY word",  # then it is the column itself
        "SELECT u.word FROM u JOIN t ON u.id = t.id",
        "SELECT rowid, 'word' FROM t",
        "SELECT (SELECT word FROM u) AS word, t.* FROM t",
        "WITH word AS (SELECT x FROM t) SELECT * FROM word",
    ],
)
def test_a_name_that_means_the_same_stays_allowed(database: Path, view: str) -> None:
    fill(
        database,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, x, CHECK (x > 0)); CREATE TABLE u (word, id);"
        f"CREATE VIEW v AS {view}; CREATE TABLE log (a); CREATE TRIGGER word AFTER INSERT ON u "
        "BEGIN INSERT INTO log VALUES (new.word); UPDATE t SET x = new.word; END",
    )
    run(
        database,
        "CREATE VIRTUAL TABLE f USING fts5 (word); CREATE VIEW w AS SELECT word FROM f;"
        "CREATE TRIGGER search AFTER INSERT ON u BEGIN INSERT INTO f VALUES (new.word); END",
    )
    migrate(database, rename("x", "word"))
    migrate(database, rename("word", "x"))
    if "WHERE word" not in view:
        migrate(database, add("word"))


def test_a_new_column_may_repair_a_view(database: Path) -> None:
    fill(database, MEANINGS)
    migrate(database, lambda op: op.add_column("u", sa.Column("missing", sa.Text)))
    assert query(database, "SELECT * FROM broken") == []


@pytest.mark.parametrize(
    "revision",
    [
        lambda op: op.drop_column("t", "k"),
        rename("k", "other"),
        rename("x", "y"),
        add("y"),
    ],
)
@pytest.mark.parametrize(
    ("views", "affected"),
    [
        ("CREATE VIEW v AS SELECT 1 FROM t NATURAL JOIN u", "view v"),
        (
            "CREATE VIEW a AS SELECT * FROM t; CREATE VIEW b AS SELECT * FROM a;"
            "CREATE VIEW v AS SELECT 1 FROM b NATURAL JOIN u",
            "view v",
        ),
        (
            "CREATE VIEW a AS SELECT * FROM t; CREATE TRIGGER r AFTER INSERT ON log BEGIN "
            "DELETE FROM u WHERE EXISTS (SELECT 1 FROM a NATURAL JOIN u); END",
            "trigger r on INSERT of log",
        ),
    ],
)
def test_a_natural_join_keeps_the_columns_it_compares(
    database: Path, views: str, affected: str, revision: Revision
) -> None:
    fill(
        database,
        f"CREATE TABLE t (k, x, z); CREATE TABLE u (k, y); CREATE TABLE log (l); {views}",
    )
    message = rf"{affected} would quietly mean something else|is used by: {affected}\."
    with pytest.raises(CommandError, match=message):
        migrate(database, revision)
    migrate(database, lambda op: op.drop_column("t", "z"))
    migrate(database, rename("x", "z"))
    migrate(database, add("other"))


@pytest.mark.parametrize("revision", [add("b"), rename("a", "b"), rename("x", "y")])
def test_a_name_in_a_view_of_all_columns_stays_the_same_column(
    database: Path, revision: Revision
) -> None:
    fill(
        database,
        "CREATE TABLE t (id, a, x); CREATE TABLE u (k, b, x);"
        "INSERT INTO t VALUES (1, 2, 3); INSERT INTO u VALUES (1, 4, 5);"
        "CREATE VIEW v AS SELECT * FROM t JOIN u ON k = id",
    )
    with pytest.raises(CommandError, match="view v would quietly mean something else"):
        migrate(database, revision)
    assert query(database, "SELECT b, x FROM v") == [(4, 3)]
    migrate(database, add("c"))
    migrate(database, rename("a", "d"))
    assert query(database, "SELECT b, d, x FROM v") == [(4, 2, 3)]


def put_another_in_its_place(batch: BatchOperations) -> None:
    batch.drop_column("b")
    batch.add_column(sa.Column("d", sa.Text), insert_before="c")


def put_another_behind(batch: BatchOperations) -> None:
    batch.drop_column("b")
    batch.add_column(sa.Column("d", sa.Text))


REORDERING = in_batch(lambda b: None, recreate="always", partial_reordering=[("b", "a")])
IN_FRONT = in_batch(lambda b: b.add_column(sa.Column("d", sa.Text), insert_before="a"))
AT_THE_END = in_batch(lambda b: b.add_column(sa.Column("d", sa.Text)))
WITHOUT_B = in_batch(lambda b: b.drop_column("b"))
REPLACING = (in_batch(put_another_in_its_place), in_batch(put_another_behind))


@pytest.mark.parametrize("revision", [REORDERING, *REPLACING])
@pytest.mark.parametrize(
    "user",
    [
        "TRIGGER r AFTER INSERT ON log BEGIN INSERT INTO t VALUES (new.x, new.y, new.z); END",
        "TRIGGER r AFTER INSERT ON log BEGIN REPLACE INTO t SELECT new.x, new.y, new.z; END",
        "TRIGGER r AFTER DELETE ON t BEGIN INSERT INTO log SELECT * FROM t; END",
        "VIEW r AS SELECT * FROM t UNION ALL SELECT * FROM log",
        "VIEW r (x, y, z) AS SELECT * FROM t",
        "VIEW r (x, y, z) AS SELECT * FROM v",
    ],
)
def test_what_tells_columns_by_their_place_does_not_quietly_get_others(
    database: Path, user: str, revision: Revision
) -> None:
    fill(
        database,
        "CREATE TABLE t (a, b, c); CREATE TABLE log (x, y, z); CREATE VIEW v AS SELECT t.* FROM t;"
        f"CREATE {user}",
    )
    before = shape(database)
    with pytest.raises(CommandError, match=r"cannot get other places: .*r would quietly take one"):
        migrate(database, revision)
    assert shape(database) == before


@pytest.mark.parametrize(
    ("view", "revision"),
    [
        ("SELECT * FROM t ORDER BY 2 LIMIT 1", WITHOUT_B),
        ("SELECT *, count(*) FROM t GROUP BY (2) HAVING 1", WITHOUT_B),
        ("SELECT * FROM t ORDER BY a, 3 COLLATE nocase DESC", WITHOUT_B),
        ("SELECT t.*, log.* FROM t, log ORDER BY 4", AT_THE_END),
    ],
)
def test_rows_are_not_quietly_put_in_the_order_of_another_column(
    database: Path, view: str, revision: Revision
) -> None:
    fill(database, f"CREATE TABLE t (a, b, c); CREATE TABLE log (x); CREATE VIEW v AS {view}")
    before = shape(database)
    with pytest.raises(CommandError, match="cannot get other places: view v would quietly take"):
        migrate(database, revision)
    assert shape(database) == before


@pytest.mark.parametrize(
    "view",
    [
        "SELECT * FROM t ORDER BY 1 LIMIT 1",
        "SELECT * FROM t ORDER BY a * 3, substr(a, 1, 3)",
        "SELECT c FROM t GROUP BY 1",
        "SELECT * FROM (SELECT * FROM t ORDER BY c LIMIT 3)",
    ],
)
def test_an_order_by_what_stays_stops_no_change(database: Path, view: str) -> None:
    fill(database, f"CREATE TABLE t (a, b, c); CREATE VIEW v AS {view}")
    for revision in (AT_THE_END, WITHOUT_B):
        migrate(database, revision)


@pytest.mark.parametrize("revision", [REORDERING, IN_FRONT])
def test_the_columns_of_a_view_keep_their_order(database: Path, revision: Revision) -> None:
    fill(database, "CREATE TABLE t (a, b, c); CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(CommandError, match="cannot get other places: view v would"):
        migrate(database, revision)


@pytest.mark.parametrize("revision", [REORDERING, IN_FRONT, *REPLACING])
def test_columns_that_are_told_by_their_names_may_get_other_places(
    database: Path, revision: Revision
) -> None:
    fill(
        database,
        "CREATE TABLE t (a, b, c); CREATE TABLE log (x, y, z); CREATE VIEW n AS SELECT a, c FROM t;"
        "CREATE VIEW v AS SELECT * FROM n; CREATE VIEW w AS SELECT count(*), a * c FROM t;"
        "CREATE VIEW e AS SELECT x FROM log WHERE EXISTS (SELECT * FROM t WHERE a = x);"
        "CREATE TRIGGER r AFTER INSERT ON log BEGIN INSERT INTO t (a, c) VALUES (new.x, new.z); END;"
        "CREATE TRIGGER s AFTER INSERT ON t BEGIN INSERT INTO other SELECT * FROM log; END;"
        "CREATE TABLE other (x, y, z)",
    )
    migrate(database, revision)
    run(database, "INSERT INTO log VALUES (1, 2, 3)")
    assert query(database, "SELECT a, c FROM v") == [(1, 3)]


def test_a_view_of_all_columns_follows_one_that_is_replaced(database: Path) -> None:
    fill(database, "CREATE TABLE t (a, b, c); CREATE VIEW v AS SELECT * FROM t")
    migrate(database, in_batch(put_another_behind))
    run(database, "INSERT INTO t (a, c, d) VALUES (1, 3, 'd')")
    assert query(database, "SELECT * FROM v") == [(1, 3, "d")]


def test_a_statement_that_is_not_utf_8_stops_only_what_would_write_it_again(
    database: Path,
) -> None:
    fill(
        database,
        "CREATE TABLE t (a, b); CREATE TABLE u (a, b); CREATE VIEW v AS SELECT 'café' AS x, a FROM t;"
        "CREATE TRIGGER tr AFTER INSERT ON u BEGIN SELECT 'café'; END",
    )
    database.write_bytes(database.read_bytes().replace("é".encode(), b"\xe9\xe9"))
    migrate(database, lambda op: op.drop_column("t", "b"))
    migrate(database, lambda op: op.alter_column("t", "a", type_=sa.Text()))
    assert query(database, "SELECT hex(x) FROM v") == []
    assert "DROP COLUMN" in script_of(database, lambda op: op.drop_column("u", "b"))
    for revision in (
        lambda op: op.rename_table("t", "other"),
        lambda op: op.alter_column("u", "a", type_=sa.Text()),
    ):
        for run_it in (script_of, migrate):
            with pytest.raises(CommandError, match=r"not UTF-8.*(TRIGGER tr|VIEW v).*Drop that"):
                run_it(database, revision)


def without_rowids(op: Operations) -> None:
    with op.batch_alter_table("t", table_kwargs={"sqlite_with_rowid": False}, recreate="always"):
        pass


@pytest.mark.parametrize(
    "user",
    [
        "CREATE VIRTUAL TABLE f USING fts5 (body, content = t)",
        "CREATE VIRTUAL TABLE f USING fts5 (body, content='t', content_rowid=\"rowid\")",
        "CREATE VIEW f AS SELECT _rowid_, body FROM T",
        "CREATE TRIGGER f AFTER INSERT ON t BEGIN DELETE FROM log WHERE x = new.oid; END",
    ],
)
@pytest.mark.parametrize(
    ("key", "revision"),
    [
        ("id INT PRIMARY KEY", lambda op: op.alter_column("t", "id", type_=sa.Integer())),
        ("id INTEGER", lambda op: op.create_primary_key("pk", "t", ["id"])),
        ("id INT PRIMARY KEY", without_rowids),
    ],
)
def test_rowids_that_something_goes_by_do_not_change_unnoticed(
    database: Path, key: str, revision: Revision, user: str
) -> None:
    fill(database, f"CREATE TABLE t ({key}, body); CREATE TABLE log (x); {user}")
    if revision is not without_rowids:
        run(database, "INSERT INTO t (rowid, id) VALUES (3, 3)")
        shutil.copy(database, database.with_suffix(".copy"))
        migrate(database.with_suffix(".copy"), revision)
    run(database, "INSERT INTO t (rowid, id) VALUES (1, 50)")
    with pytest.raises(CommandError, match=r"rowids.* used by: (virtual table|view|trigger) f\. "):
        migrate(database, revision)
    run(database, f"DROP {user.split()[1].replace('VIRTUAL', 'TABLE')} f")
    migrate(database, revision)


def test_an_index_of_content_by_a_column_of_its_own_goes_by_no_rowid(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (id INT PRIMARY KEY, body); INSERT INTO t VALUES (50, 'text');"
        "CREATE VIRTUAL TABLE f USING fts5 (body, content=t, content_rowid=id);"
        "INSERT INTO f (f) VALUES ('rebuild')",
    )
    migrate(database, lambda op: op.alter_column("t", "id", type_=sa.Integer()))
    assert query(database, "SELECT rowid FROM f WHERE f MATCH 'text'") == [(50,)]


UPSERT = """
    CREATE TABLE t (a INTEGER, b, c, CONSTRAINT uq UNIQUE (a)); CREATE UNIQUE INDEX i ON t (b);
    CREATE TABLE s (x);
    CREATE TRIGGER one AFTER INSERT ON s BEGIN
      INSERT INTO t (a, c) VALUES (new.x, 1) ON CONFLICT (a) DO UPDATE SET c = c + 1;
    END;
    CREATE TRIGGER two AFTER DELETE ON s BEGIN
      INSERT INTO t (b, c) VALUES (old.x, 1) ON CONFLICT (b) DO UPDATE SET c = c - 1;
    END;
"""


def test_a_key_that_a_trigger_asks_for_conflicts_does_not_vanish_unnoticed(database: Path) -> None:
    fill(database, UPSERT)
    drop: Revision = lambda op: op.drop_constraint("uq", "t", type_="unique")  # noqa: E731
    for run_it in (script_of, migrate):
        with pytest.raises(
            CommandError, match=r"used by: trigger one on INSERT of s \(ON CONFLICT"
        ):
            run_it(database, drop)
        with pytest.warns(UserWarning, match=r"i is dropped, .* trigger two on DELETE of s \(ON"):
            run_it(database, lambda op: op.drop_index("i", "t"))
    run(database, "INSERT INTO s VALUES (1)")


def test_a_key_may_get_another_name_or_become_an_index(database: Path) -> None:
    fill(database, UPSERT)

    def revision(op: Operations) -> None:
        with op.batch_alter_table("t") as batch:
            batch.drop_constraint("uq", type_="unique")
            batch.create_index("j", ["a"], unique=True)
            batch.create_unique_constraint("other", ["b"])
        op.drop_index("i", "t")
        with op.batch_alter_table("t") as batch:
            batch.drop_constraint("other", type_="unique")
            batch.create_unique_constraint("another", ["b"])

    migrate(database, revision)
    run(database, "INSERT INTO s VALUES (1), (1); DELETE FROM s")


def test_what_a_dropped_table_leaves_broken_is_named(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a); CREATE TABLE other (b REFERENCES t (a)); CREATE VIEW v AS SELECT a FROM t;"
        "CREATE VIEW over_v AS SELECT * FROM v; CREATE VIEW fine AS SELECT b AS t FROM other;"
        "CREATE VIEW broken AS SELECT missing FROM t;"
        "CREATE TRIGGER own AFTER INSERT ON t BEGIN DELETE FROM other; END;"
        "CREATE TRIGGER far AFTER DELETE ON other BEGIN DELETE FROM T; END;"
        "CREATE VIRTUAL TABLE f USING fts5 (a, content = 't')",
    )
    with pytest.warns(UserWarning, match="Table t is dropped"):
        script_of(database, lambda op: op.drop_table("t"))
    with pytest.warns(UserWarning, match="Table t is dropped") as caught:
        migrate(database, lambda op: op.drop_table("t"))
    told = str(caught[0].message)
    users = ["virtual table f", "view v (", "view over_v (", "trigger far on DELETE of other ("]
    assert all(user in told for user in users)
    assert told.count(";") == len(users) - 1


def test_a_table_that_nothing_uses_is_dropped_without_a_word(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t (a); CREATE TABLE u (t); CREATE VIEW v AS SELECT t FROM u;"
        "CREATE TRIGGER own AFTER INSERT ON t BEGIN DELETE FROM t; END",
    )
    migrate(database, lambda op: op.drop_table("t"))
    left = query(database, "SELECT name FROM sqlite_schema WHERE name <> 'alembic_version'")
    assert left == [("u",), ("v",)]


@pytest.mark.filterwarnings("ignore:Table .* is dropped")
def test_the_cost_of_many_drops_does_not_grow_with_the_schema_s_triggers(database: Path) -> None:
    fill(
        database,
        "CREATE TABLE t0 (a);"
        + "".join(
            f"CREATE TABLE t{number} (a); CREATE TRIGGER after_{number} AFTER INSERT ON t{number} "
            f"BEGIN DELETE FROM t{number - 1}; END;"
            for number in range(1, 100)
        ),
    )

    def revision(op: Operations) -> None:
        for number in range(100):
            op.drop_table(f"t{number}")

    start = process_time()
    migrate(database, revision)
    assert process_time() - start < 2


def test_an_index_that_writes_its_column_like_a_string_goes_with_the_column(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    fill(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT, y INT);"
        "CREATE INDEX one ON t ('x'); CREATE INDEX two ON t ('x' COLLATE NOCASE DESC);"
        "CREATE INDEX other ON t (y) WHERE y <> 'x';",
    )
    migrate(path, lambda op: op.drop_column("t", "x"))
    assert {name for name in shape(path) if name.startswith("index")} == {"index other"}


@pytest.mark.parametrize(
    ("expression", "word", "used"),
    [
        ("CAST(a AS text) <> ''", "text", False),
        ("CAST(a AS long text(9)) <> ''", "text", False),
        ("a <> 'x' COLLATE nocase", "nocase", False),
        ("CASE WHEN a THEN 1 ELSE NULL END > 0", "end", False),
        ("t.a NOT LIKE 'x'", "like", False),
        ("replace(a, 'x', 'y') <> ''", "replace", False),
        ("t.a > 0", "t", False),
        ("CAST(text AS text) <> a", "text", True),
        ("a <> 'x' COLLATE nocase OR nocase > a", "nocase", True),
        ("CASE WHEN a THEN end ELSE 1 END > 0", "end", True),
        ("a NOT LIKE like", "like", True),
        ("a > 0 AND key IS NOT NULL", "key", True),
        ('a > 0 AND "select" > 0', "select", True),
    ],
)
def test_a_word_in_a_check_is_a_column_only_where_one_can_stand(
    database: Path, expression: str, word: str, used: bool
) -> None:
    fill(database, f'CREATE TABLE t (a, "{word}", CHECK ({expression}))')
    if used:
        with pytest.raises(CommandError, match="uses it with other columns"):
            migrate(database, lambda op: op.drop_column("t", word))
    else:
        migrate(database, lambda op: op.drop_column("t", word))
        assert shape(database)["table t"]["checks"]


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        (
            "op.create_table('t', sa.Column('a', sa.Text))",
            "OperationalError",
            "Table t cannot be made: ",
        ),
        ("op.drop_table('missing')", "OperationalError", "Table missing cannot be dropped: "),
        ("op.create_index('i', 't', ['a'])", "OperationalError", "Index i cannot be made: "),
        ("op.drop_index('missing')", "OperationalError", "Index missing cannot be dropped: "),
        ("op.create_index('n', 't', ['z'])", "OperationalError", "Index n cannot be made: "),
        (
            "op.add_column('t', sa.Column('a', sa.Text))",
            "OperationalError",
            "Table t has a column a already (duplicate column name: a)",
        ),
        (
            "op.drop_column('t', 'z')",
            "OperationalError",
            "Table t has no column z; it has: a (no such ",
        ),
        ("op.drop_column('missing', 'z')", "OperationalError", "There is no table missing "),
        (
            "op.alter_column('t', 'z', new_column_name='y')",
            "OperationalError",
            "Table t has no column z",
        ),
        ("op.rename_table('missing', 'u')", "OperationalError", "There is no table missing "),
        (
            "op.rename_table('alembic_version', 't')",
            "OperationalError",
            "There is a table called t already",
        ),
        (
            "op.create_index('u', 't', ['a'], unique=True)",
            "IntegrityError",
            "Unique index u cannot be made: ",
        ),
    ],
)
def test_an_error_that_a_revision_expects_can_be_caught_as_the_database_s_own(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    statement: str,
    error: str,
    message: str,
) -> None:
    environment = Environment(tmp_path / "project")
    environment.execute(
        "CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1), (1)"
    )
    environment.revision(
        f"try:\n    {statement}\nexcept sa.exc.{error}:\n    op.execute('CREATE TABLE caught (a)')"
    )
    environment.upgrade()
    assert environment.query("SELECT * FROM caught") == []
    environment.revision(statement)
    with pytest.raises(SystemExit):
        CommandLine().main(["-c", str(environment.folder / "alembic.ini"), "upgrade", "head"])
    told = "".join(capsys.readouterr())
    assert f"FAILED: {message}" in told
    assert "Traceback" not in told
    assert environment.heads() == ["r001"]
