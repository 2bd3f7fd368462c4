"""Constraints that come into a table: which rows and which definitions they are refused for."""

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
from alembic.operations import Operations
from alembic.util import CommandError

from lossless.sqlite.tokens import quote_name
from migrating import migrate, script_of
from sqlite_shape import differences, shape
from test_migrations_sqlite import Revision, fill, in_batch, query, refused

LETTER = sa.Enum("a", "b", name="letter", create_constraint=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


def key_to_parent(op: Operations) -> None:
    op.create_foreign_key("fk", "t", "p", ["x"], ["a"])


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("CREATE TABLE p (a); CREATE UNIQUE INDEX u ON p (a COLLATE NOCASE)", "nor unique"),
        ("CREATE TABLE p (a, UNIQUE (a COLLATE NOCASE))", "nor unique"),
        ("CREATE TABLE p (a); CREATE UNIQUE INDEX u ON p (a) WHERE a > 1", "nor unique"),
        ("CREATE VIEW p AS SELECT 1 AS a", "it is a view"),
        ("CREATE TABLE p (a PRIMARY KEY); INSERT INTO p VALUES ('1')", "no parent for the rows: 5"),
    ],
)
def test_a_foreign_key_that_sqlite_would_not_hold_up_is_refused(
    path: Path, parent: str, message: str
) -> None:
    fill(path, f"{parent}; CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)")
    fill(path, "INSERT INTO t VALUES (5, 1)")
    assert message in refused(path, key_to_parent)


def test_a_foreign_key_may_refer_to_what_its_revision_makes_unique_after_it(path: Path) -> None:
    def child_first(op: Operations) -> None:
        key_to_parent(op)
        with op.batch_alter_table("p") as batch:
            batch.create_primary_key("pk", ["a"])

    fill(
        path,
        "CREATE TABLE p (a, b, PRIMARY KEY (a, b)); INSERT INTO p VALUES (2, 3);"
        "CREATE TABLE t (x); INSERT INTO t VALUES (2); CREATE TABLE alembic_version (version_num);"
        "INSERT INTO alembic_version VALUES ('r1')",
    )
    assert "FOREIGN KEY" in script_of(path, child_first)
    shutil.copy(path, other := path.with_name("other.db"))
    migrate(path, child_first)
    assert query(path, 'SELECT "from", "to" FROM pragma_foreign_key_list(\'t\')') == [("x", "a")]
    fill(other, "INSERT INTO t VALUES (9)")
    assert "row 2 of table t has no parent in p" in refused(other, child_first)


@pytest.mark.parametrize("name", ["CONSTRAINT uq ", ""])
@pytest.mark.parametrize(
    "twice", ["UNIQUE (x)", "CHECK (x > 1)", "FOREIGN KEY (x) REFERENCES p (a) ON DELETE CASCADE"]
)
def test_a_constraint_that_stands_there_twice_is_dropped_altogether(
    path: Path, twice: str, name: str
) -> None:
    rest = "CONSTRAINT other UNIQUE (x), CONSTRAINT up UNIQUE (x, y)"
    fill(path, f"CREATE TABLE t (x, y, {name}{twice}, {rest}, {name}{twice})")
    convention = {"uq": "uq", "fk": "uq", "ck": "uq"}
    if not name and twice.startswith("CHECK"):
        return  # nothing gives it a name
    metadata = sa.MetaData(naming_convention=convention)
    migrate(path, lambda op: op.drop_constraint("uq", "t"), target_metadata=metadata)
    ((sql,),) = query(path, "SELECT sql FROM sqlite_master WHERE name = 't'")
    assert " ".join(sql.split()).replace(" )", ")") == f"CREATE TABLE t (x, y, {rest})"


def owner(*about: Any) -> sa.Column[int]:
    return sa.Column("owner", sa.Integer, *about)


def add_owner_then_key(batch: Any) -> None:
    batch.add_column(owner())
    batch.create_foreign_key("fk", "p", ["owner"], ["id"], ondelete="CASCADE")


def add_owner_then_check(batch: Any) -> None:
    batch.add_column(owner())
    batch.create_check_constraint("ck_owner", "owner <> x")
    batch.create_check_constraint("ck_x", "x > 0")


@pytest.mark.parametrize(
    "added",
    [
        lambda batch: batch.add_column(owner(sa.ForeignKey("p.id", name="fk"))),
        add_owner_then_key,
        add_owner_then_check,
    ],
)
def test_a_new_column_and_constraints_about_it_leave_the_rows_where_they_are(
    path: Path, added: Revision
) -> None:
    fill(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (x INTEGER, y, CHECK (y <> 2));"
        "INSERT INTO t VALUES (1, 1)",
    )
    rebuilt = Path(shutil.copy(path, path.with_name("rebuilt.db")))
    before = query(path, "SELECT name, rootpage FROM sqlite_schema")
    migrate(path, in_batch(added, recreate="never"))
    assert query(path, "SELECT name, rootpage FROM sqlite_schema") == before
    migrate(rebuilt, in_batch(added, recreate="always"))
    assert query(path, "SELECT * FROM t") == [(1, 1, None)]
    assert not differences(shape(path), shape(rebuilt))


def test_a_new_column_without_values_still_needs_a_parent_that_can_be_referred_to(
    path: Path,
) -> None:
    fill(path, "CREATE TABLE p (id); CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    assert "nor unique" in refused(path, in_batch(add_owner_then_key))


def test_a_new_column_with_a_value_needs_a_parent_for_it(path: Path) -> None:
    fill(path, "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (x)")
    fill(path, "INSERT INTO t VALUES (5)")
    key = sa.ForeignKey("p.id", name="fk")
    column = sa.Column("owner", sa.Integer, key, server_default="7")
    assert "no parent for the rows: " in refused(path, in_batch(lambda b: b.add_column(column)))


@pytest.mark.parametrize(
    "parent",
    [
        "CREATE TABLE p (a TEXT PRIMARY KEY); INSERT INTO p VALUES ('1')",
        "CREATE TABLE p (a TEXT COLLATE NOCASE); CREATE UNIQUE INDEX u ON p (a);"
        "INSERT INTO p VALUES ('1')",
        "CREATE TABLE p (a INTEGER PRIMARY KEY); INSERT INTO p VALUES (1)",
    ],
)
def test_a_foreign_key_compares_as_the_parent_does(path: Path, parent: str) -> None:
    fill(path, f"{parent}; CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (NULL)")
    migrate(path, key_to_parent)
    assert query(path, "PRAGMA foreign_key_check") == []
    assert len(query(path, "PRAGMA foreign_key_list(t)")) == 1


def test_a_reference_that_was_broken_before_may_get_other_actions(path: Path) -> None:
    fill(path, "CREATE TABLE p (a INTEGER PRIMARY KEY); CREATE TABLE t (x REFERENCES p (a))")
    fill(path, "INSERT INTO t VALUES (7)")

    def replace(batch: Any) -> None:
        batch.drop_constraint("fk_t_x_p", type_="foreignkey")
        batch.create_foreign_key("fk", "p", ["x"], ["a"], ondelete="CASCADE")

    migrate(path, in_batch(replace))
    assert [row[6] for row in query(path, "PRAGMA foreign_key_list(t)")] == ["CASCADE"]
    another = refused(path, lambda op: op.create_foreign_key("also", "t", "p", ["x"], ["a"]))
    assert "no parent for the rows: 1" in another


def test_a_foreign_key_from_one_database_to_another_is_refused(path: Path, tmp_path: Path) -> None:
    fill(path, "CREATE TABLE p (id INTEGER PRIMARY KEY)")
    fill(tmp_path / "other.db", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (x)")
    engine = sa.create_engine(f"sqlite:///{path}")
    attach = f"ATTACH '{tmp_path / 'other.db'}' AS other"
    sa.event.listen(engine, "connect", lambda driver, _: driver.execute(attach))

    def revision(op: Operations, **options: Any) -> None:
        with op.batch_alter_table("t", schema="other") as batch:
            batch.create_foreign_key("fk", "p", ["x"], ["id"], **options)

    with pytest.raises(CommandError, match="referent_schema"):
        migrate(path, revision, engine=engine)
    migrate(path, lambda op: revision(op, referent_schema="other"), engine=engine)
    engine.dispose()
    assert len(query(tmp_path / "other.db", "PRAGMA foreign_key_list(t)")) == 1


def test_a_foreign_key_is_refused_for_two_schemas_and_taken_for_one(path: Path) -> None:
    fill(path, "CREATE TABLE p (a INTEGER PRIMARY KEY); CREATE TABLE t (x)")

    def revision(op: Operations, **schemas: str) -> None:
        op.create_foreign_key("fk", "t", "p", ["x"], ["a"], **schemas)

    alone = refused(path, lambda op: revision(op, referent_schema="main"))
    assert "give source_schema and referent_schema alike, or neither" in alone
    migrate(path, lambda op: revision(op, source_schema="main", referent_schema="main"))
    assert len(query(path, "PRAGMA foreign_key_list(t)")) == 1


@pytest.mark.parametrize("index_first", [True, False])
def test_a_foreign_key_may_refer_to_what_the_same_batch_makes_unique(
    path: Path, index_first: bool
) -> None:
    fill(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, email, parent)")
    fill(path, "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', 'c')")

    def work(batch: Any) -> None:
        if index_first:
            batch.create_index("u", ["email"], unique=True)
        batch.create_foreign_key("fk", "t", ["parent"], ["email"])
        if not index_first:
            batch.create_index("u", ["email"], unique=True)

    assert "no parent for the rows: 2" in refused(path, in_batch(work))
    fill(path, "UPDATE t SET parent = 'a' WHERE id = 2")
    migrate(path, in_batch(work))
    assert query(path, "PRAGMA foreign_key_check") == []
    assert [row[1] for row in query(path, "PRAGMA index_list(t)")] == ["u"]


@pytest.mark.parametrize("name", ["Status", "status", "my status", "in"])
@pytest.mark.parametrize("batch", [True, False])
def test_the_check_of_a_type_is_about_the_column_s_new_name(
    path: Path, name: str, batch: bool
) -> None:
    fill(path, f'CREATE TABLE t (id INTEGER PRIMARY KEY, "{name}" VARCHAR(10))')
    change: dict[str, Any] = {
        "new_column_name": "State",
        "existing_type": sa.String(10),
        "type_": LETTER,
    }
    if batch:
        migrate(path, in_batch(lambda b: b.alter_column(name, **change)))
    else:
        migrate(path, lambda op: op.alter_column("t", name, **change))
    fill(path, "INSERT INTO t VALUES (1, 'a')")
    with pytest.raises(sqlite3.IntegrityError, match="letter"):
        fill(path, "INSERT INTO t VALUES (2, 'c')")


def test_a_check_of_a_column_that_is_not_there_is_refused(path: Path) -> None:
    fill(path, "CREATE TABLE t (x)")
    missing = sa.column("Missing") > 3
    assert "has no column Missing" in refused(
        path, lambda op: op.create_check_constraint("ck", "t", missing)
    )


def test_a_string_that_somebody_wrote_in_double_quotes_is_one(path: Path) -> None:
    fill(path, "CREATE TABLE t (x CHECK (x <> 'no')); INSERT INTO t VALUES ('yes')")
    migrate(path, lambda op: op.create_check_constraint("ck", "t", 'x IN ("yes", "no")'))
    fill(path, "INSERT INTO t VALUES ('yes')")
    with pytest.raises(sqlite3.IntegrityError, match="ck"):
        fill(path, "INSERT INTO t VALUES ('perhaps')")


def test_other_names_in_double_quotes_are_none_of_a_column(path: Path) -> None:
    fill(path, 'CREATE TABLE t ("My X")')
    text = '"t"."My X" COLLATE "nocase" <> CAST("abs"(1) AS "TEXT") AND "rowid" < 9'
    migrate(path, lambda op: op.create_check_constraint("ck", "t", text))
    fill(path, "INSERT INTO t VALUES ('2')")
    with pytest.raises(sqlite3.IntegrityError, match="ck"):
        fill(path, "INSERT INTO t VALUES ('1')")


AS_THEY_WILL_BE = {
    "the type of a checked column": lambda b: (
        b.alter_column("x", type_=sa.Integer()),
        b.create_check_constraint("ck", "x > 3"),
    ),
    "a column in the place of another": lambda b: (
        b.drop_column("x"),
        b.add_column(
            sa.Column(
                "x", sa.Integer, sa.CheckConstraint("x = 70"), nullable=False, server_default="70"
            )
        ),
    ),
    "a reference of a column in the place of another": lambda b: (
        b.drop_column("x"),
        b.add_column(sa.Column("x", sa.Integer, sa.ForeignKey("p.id", name="fk"))),
    ),
    "a column that comes and goes": lambda b: (
        b.add_column(sa.Column("y", sa.Integer, sa.CheckConstraint("y > 1"), server_default="0")),
        b.drop_column("y"),
    ),
    "constraints that come and go": lambda b: (
        b.create_check_constraint("ck", "n > 1"),
        b.create_foreign_key("fk", "p", ["x"], ["id"]),
        b.drop_constraint("fk", type_="foreignkey"),
        b.drop_constraint("ck", type_="check"),
    ),
    "NOT NULL that comes and goes": lambda b: (
        b.alter_column("n", nullable=False),
        b.alter_column("n", nullable=True),
    ),
    "NOT NULL of a column that goes": lambda b: (
        b.alter_column("n", nullable=False),
        b.drop_column("n"),
    ),
    "a default after NOT NULL": lambda b: (
        b.add_column(sa.Column("y", sa.Integer, nullable=False)),
        b.alter_column("y", server_default="7"),
    ),
}


@pytest.mark.parametrize("work", AS_THEY_WILL_BE.values(), ids=AS_THEY_WILL_BE.keys())
def test_a_batch_is_judged_by_the_rows_as_they_will_be(path: Path, work: Any) -> None:
    fill(path, "CREATE TABLE p (id INTEGER PRIMARY KEY)")
    fill(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(10), n INT)")
    fill(path, "INSERT INTO t VALUES (1, '10', NULL), (2, '5', NULL)")
    migrate(path, in_batch(work))
    assert query(path, "SELECT id FROM t") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda b: b.alter_column("x", type_=sa.Integer()), "would not hold for the rows: 1"),
        (
            lambda b: (
                b.drop_column("n"),
                b.add_column(sa.Column("n", sa.Integer, nullable=False)),
            ),
            "no value for the rows: 1",
        ),
        (
            lambda b: (b.add_column(sa.Column("y", sa.Text)), b.alter_column("y", nullable=False)),
            "no value for the rows: 1",
        ),
        (
            lambda b: (
                b.drop_column("n"),
                b.add_column(
                    sa.Column("n", sa.Integer, sa.CheckConstraint("n > 0"), server_default="0")
                ),
            ),
            "would not hold for the rows: 1",
        ),
    ],
)
def test_a_batch_that_would_break_a_constraint_is_refused(
    path: Path, work: Any, message: str
) -> None:
    columns = "id INTEGER PRIMARY KEY, x TEXT CHECK (typeof(x) = 'text'), n INT"
    fill(path, f"CREATE TABLE t ({columns}); INSERT INTO t VALUES (1, '7', 1)")
    assert message in refused(path, in_batch(work))


def test_rows_that_broke_a_check_before_do_not_stop_a_rebuild(path: Path) -> None:
    fill(path, 'CREATE TABLE t (a CHECK (a > 0 AND a <> "z"), b)')
    fill(path, "PRAGMA ignore_check_constraints = 1; INSERT INTO t VALUES (-1, 1)")
    migrate(path, in_batch(lambda b: b.alter_column("b", type_=sa.Integer())))
    column = sa.Column("z", sa.Integer, sa.CheckConstraint("z > 1"), server_default="5")
    migrate(path, lambda op: op.add_column("t", column))
    assert query(path, "SELECT * FROM t") == [(-1, 1, 5)]
    with pytest.raises(sqlite3.IntegrityError):
        fill(path, "INSERT INTO t VALUES (-1, 1, 5)")
    assert "rows: 1" in refused(path, lambda op: op.create_check_constraint("ck", "t", "a > 0"))


def test_a_check_may_end_in_a_comment(path: Path) -> None:
    fill(path, "CREATE TABLE t (x); INSERT INTO t VALUES ('a')")
    migrate(path, lambda op: op.create_check_constraint("ck", "t", "x <> 'z' -- really\n"))
    message = refused(path, lambda op: op.create_check_constraint("no", "t", "x <> 'a' -- never\n"))
    assert message.endswith("for the rows: 1")


def test_adding_columns_stays_quick_in_a_table_of_many_checks(path: Path) -> None:
    checks = ", ".join(f"CHECK (a <> {number})" for number in range(300))
    fill(path, f"CREATE TABLE t (a, {checks})")

    def add(batch: Any) -> None:
        for number in range(10):
            batch.add_column(sa.Column(f"x{number}", sa.Integer))

    before = process_time()
    migrate(path, in_batch(add))
    assert process_time() - before < 5
    assert len(query(path, "PRAGMA table_info(t)")) == 11


def test_keys_in_messages_are_short_and_readable(path: Path) -> None:
    fill(path, "CREATE TABLE t (k PRIMARY KEY, x)")
    fill(path, "INSERT INTO t VALUES (zeroblob(3000), 1), (CAST(x'ff41' AS TEXT), 1)")
    message = refused(path, lambda op: op.create_check_constraint("ck", "t", "x > 1"))
    assert "would not hold" in message
    assert "xffA'" in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda b: b.create_primary_key("pk", ["i"]), "Column i is no INTEGER in the rows: 2"),
        (
            lambda b: b.alter_column("n", type_=sa.Integer()),
            "More than one row has n = 1",
        ),
        (
            lambda b: b.alter_column("c", type_=sa.Text(collation="NOCASE")),
            "More than one row has c = 'A'",
        ),
    ],
)
def test_rows_that_do_not_fit_a_rebuilt_table_are_shown(
    path: Path, work: Any, message: str
) -> None:
    fill(path, "CREATE TABLE t (i INTEGER, n TEXT UNIQUE, c TEXT UNIQUE)")
    fill(path, "INSERT INTO t VALUES (1, '1', 'a'), ('x', '01', 'A')")
    assert message in refused(path, in_batch(work))


def test_a_named_not_null_is_told_from_a_constraint_that_is_not_there(path: Path) -> None:
    fill(path, "CREATE TABLE t (x CONSTRAINT nn NOT NULL, y CONSTRAINT ck CHECK (y > 1))")
    message = refused(path, lambda op: op.drop_constraint("nn", "t"))
    assert message.startswith("nn is CONSTRAINT nn NOT NULL of column x of table t")
    assert refused(path, lambda op: op.drop_constraint("no", "t")).endswith("it has: ck")


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        (lambda op: op.create_index("i", "t", ["b"]), "index i already exists"),
        (lambda op: op.create_index("j", "v", ["a"]), "views may not be indexed"),
        (lambda op: op.create_index("j", "f", ["a"]), "virtual tables may not be indexed"),
        (lambda op: op.create_index("j", "t", [sa.text("nope(a)")]), "no such function: nope"),
        (lambda op: op.drop_index("none", "t"), "no such index"),
        (lambda op: op.drop_index("sqlite_autoindex_t_1", "t"), "UNIQUE or PRIMARY KEY"),
        (lambda op: op.drop_table("none"), "no such table"),
        (lambda op: op.create_table("t", sa.Column("a", sa.Integer)), "table t already exists"),
    ],
)
def test_what_sqlite_refuses_of_indexes_and_tables_is_told(
    path: Path, revision: Revision, message: str
) -> None:
    fill(path, "CREATE TABLE t (a UNIQUE, b); CREATE INDEX i ON t (a)")
    fill(path, "CREATE VIEW v AS SELECT * FROM t; CREATE VIRTUAL TABLE f USING fts5 (a)")
    assert message in refused(path, revision)


@pytest.mark.parametrize(
    "change",
    [
        lambda op: op.drop_table("t"),
        lambda op: op.drop_index("i", "t"),
        lambda op: op.create_unique_constraint("u", "t", ["b"]),
    ],
)
def test_a_revision_that_changes_what_it_reads_is_told(path: Path, change: Revision) -> None:
    fill(path, "CREATE TABLE t (a UNIQUE, b); CREATE INDEX i ON t (a)")
    fill(path, "INSERT INTO t VALUES (1, 1), (2, 2)")
    messages = []

    def revision(op: Operations) -> None:
        rows = op.get_bind().execute(sa.text("SELECT * FROM t"))
        rows.fetchone()
        with pytest.raises(CommandError) as error:
            change(op)
        messages.append(str(error.value))
        rows.close()

    migrate(path, revision)
    assert "fetch all rows" in messages[0]


@pytest.mark.parametrize("renamed", [["p"], ["c"], ["p", "c"]])
def test_a_reference_that_never_could_be_checked_stops_no_renaming(
    path: Path, renamed: list[str]
) -> None:
    fill(path, "CREATE TABLE p (a, b, PRIMARY KEY (a, b)); CREATE TABLE c (x REFERENCES p)")
    fill(path, "INSERT INTO c VALUES (1)")

    def revision(op: Operations) -> None:
        op.execute("UPDATE c SET x = 2")
        for table in renamed:
            op.rename_table(table, f'{table} "new"')

    migrate(path, revision)
    called = 'c "new"' if "c" in renamed else "c"
    assert query(path, f"SELECT x FROM {quote_name(called)}") == [(2,)]


@pytest.mark.parametrize("as_script", [False, True])
def test_rows_that_move_to_a_successor_of_their_table_are_no_new_violations(
    path: Path, as_script: bool
) -> None:
    fill(
        path,
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('r1')",
    )
    fill(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t (id))")
    fill(path, "INSERT INTO t VALUES (1, 99)")

    def revision(op: Operations) -> None:
        op.rename_table("t", "old")
        op.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t (id), new)")
        op.execute("INSERT INTO t (id, up) SELECT * FROM old")
        op.drop_table("old")

    if as_script:
        with closing(sqlite3.connect(path)) as connection:
            script = script_of(path, revision).splitlines(keepends=True)
            connection.executescript("".join(line for line in script if line[0] != "."))
    else:
        migrate(path, revision)
    assert query(path, "SELECT * FROM t") == [(1, 99, None)]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_rows_without_rowids_are_known_and_named_in_every_encoding(
    path: Path, encoding: str
) -> None:
    fill(path, f"PRAGMA encoding = '{encoding}'; CREATE TABLE p (id TEXT PRIMARY KEY)")
    fill(path, "CREATE TABLE c (n INT, k TEXT, up REFERENCES p, PRIMARY KEY (n, k)) WITHOUT ROWID")
    fill(path, "INSERT INTO p VALUES ('x'); INSERT INTO c VALUES (1, 'é', 'none'), (2, 'ü', 'x')")
    migrate(path, lambda op: op.alter_column("c", "n", type_=sa.Text()))  # wrong before
    message = refused(path, lambda op: op.execute("DELETE FROM p"))
    assert "rows which do not exist: row '2', 'ü' of table c has no parent in p. " in message


def test_a_reference_that_cannot_be_checked_any_more_is_called_that(path: Path) -> None:
    fill(
        path,
        "CREATE TABLE t (a); CREATE UNIQUE INDEX u ON t (a); CREATE TABLE c (x REFERENCES t (a))",
    )
    message = refused(path, lambda op: op.drop_index("u", "t"))
    assert "foreign key mismatch" in message
    assert "rows that refer to rows" not in message


def test_statistics_stay_with_the_key_they_are_of(path: Path) -> None:
    fill(path, "CREATE TABLE t (a, b, c, CONSTRAINT one UNIQUE (a), UNIQUE (b, c))")
    fill(path, "INSERT INTO t VALUES (1, 1, 1), (2, 1, 2); ANALYZE")
    migrate(path, lambda op: op.drop_constraint("one", "t", type_="unique"))
    assert query(path, "SELECT idx, stat FROM sqlite_stat1") == [("sqlite_autoindex_t_1", "2 2 1")]


def test_the_key_of_a_strict_table_has_no_null(path: Path) -> None:
    fill(path, "CREATE TABLE t (a TEXT, b TEXT) STRICT; INSERT INTO t VALUES (NULL, 'x')")
    message = refused(path, lambda op: op.create_primary_key("pk", "t", ["a", "b"]))
    assert "Column a of table t cannot be in the primary key: it is NULL in the rows: 1" in message


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        (lambda op: op.create_primary_key("pk", "t", ["b"]), "cannot be in the primary key"),
        (lambda op: op.alter_column("t", "b", nullable=False), "cannot become NOT NULL"),
    ],
)
def test_a_column_with_nulls_is_refused_for_what_it_was_to_become(
    path: Path, revision: Revision, message: str
) -> None:
    fill(path, "CREATE TABLE t (a, b INTEGER); INSERT INTO t (a) VALUES (1)")
    assert f"Column b of table t {message}: it is NULL" in refused(path, revision)


@pytest.mark.parametrize(
    ("definition", "again", "other"),
    [
        (
            "UNIQUE (a)",
            lambda batch: batch.create_unique_constraint("C", ["A"]),
            lambda batch: batch.create_unique_constraint("c", ["b"]),
        ),
        (
            "CHECK (a <> 'X')",
            lambda batch: batch.create_check_constraint("c", "(A <> 'X')"),
            lambda batch: batch.create_check_constraint("c", "a <> 'x'"),
        ),
        (
            "FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE",
            lambda batch: batch.create_foreign_key("c", "p", ["a"], ["id"], ondelete="CASCADE"),
            lambda batch: batch.create_foreign_key("c", "p", ["a"], ["id"]),
        ),
    ],
)
def test_a_constraint_that_is_there_may_be_asked_for_again(
    path: Path, definition: str, again: Callable[[Any], Any], other: Callable[[Any], Any]
) -> None:
    fill(path, "CREATE TABLE p (id TEXT PRIMARY KEY)")
    fill(path, f"CREATE TABLE t (a TEXT, b TEXT, CONSTRAINT c {definition})")
    before = query(path, "SELECT sql FROM sqlite_master")
    migrate(path, in_batch(again))
    assert query(path, "SELECT sql FROM sqlite_master") == before
    assert "has a constraint c already" in refused(path, in_batch(other))


def test_a_primary_key_that_is_there_may_be_asked_for_again(path: Path) -> None:
    fill(path, "CREATE TABLE t (id INTEGER, a, CONSTRAINT c PRIMARY KEY (id))")
    before = query(path, "SELECT sql FROM sqlite_master")
    migrate(path, in_batch(lambda batch: batch.create_primary_key("c", ["id"])))
    assert query(path, "SELECT sql FROM sqlite_master") == before


@pytest.mark.parametrize(
    ("table", "work", "kind"),
    [
        ("t", lambda batch: batch.drop_constraint("none"), ValueError),
        ("t", lambda batch: batch.drop_index("none"), ValueError),
        ("t", lambda batch: batch.drop_column("none"), KeyError),
        ("t", lambda batch: batch.alter_column("none", nullable=True), KeyError),
        ("none", lambda batch: batch.drop_column("a"), sa.exc.NoSuchTableError),
    ],
)
def test_a_revision_can_catch_what_alembic_s_batch_raises(
    path: Path, table: str, work: Callable[[Any], Any], kind: type[Exception]
) -> None:
    fill(path, "CREATE TABLE t (a)")

    def revision(op: Operations) -> None:
        with pytest.raises(kind), op.batch_alter_table(table, recreate="always") as batch:
            work(batch)
        op.add_column("t", sa.Column("b", sa.Integer))

    migrate(path, revision)
    assert query(path, "SELECT name FROM pragma_table_info('t')") == [("a",), ("b",)]
