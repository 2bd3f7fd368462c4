"""`--sql`: a script that the sqlite3 shell runs, and that does the same as the command."""

from __future__ import annotations

import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from migrating import Environment
from rendering import NO_SHELL
from sqlite_shape import differences, is_sound, row_hashes, shape

SHELL = shutil.which("sqlite3")
pytestmark = pytest.mark.skipif(SHELL is None, reason=NO_SHELL)

FIRST = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(10), nullable=False, unique=True))
op.create_table("t", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("up", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
                sa.Column("v", sa.String(5)), sqlite_autoincrement=True)
op.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE parent SET name = name || ';'; END")
op.execute("CREATE VIEW w AS SELECT v FROM t")
op.execute("INSERT INTO parent VALUES (1, 'a')")
op.execute("INSERT INTO t (up, v) VALUES (1, 'x;'), (NULL, 'y''z'), (1, NULL)")
"""
STEPS = [
    (
        "with op.batch_alter_table('t') as batch:\n"
        "    batch.alter_column('v', type_=sa.String(50), server_default='none')\n"
        "    batch.add_column(sa.Column('n', sa.Integer, nullable=False, server_default='4'))\n"
        "    batch.create_check_constraint('ck', 'n > 0')\n"
        "    batch.create_unique_constraint('uq', ['v'])",
        "with op.batch_alter_table('t') as batch:\n"
        "    batch.drop_constraint('uq')\n"
        "    batch.drop_constraint('ck')\n"
        "    batch.drop_column('n')\n"
        "    batch.alter_column('v', type_=sa.String(5), server_default=None)",
    ),
    (
        "op.alter_column('parent', 'name', nullable=True, new_column_name='title')\n"
        "op.bulk_insert(sa.table('t', sa.column('v', sa.String)), [{'v': \"it's\"}])",
        "op.execute(\"DELETE FROM t WHERE v LIKE 'it%'\")\n"
        "op.alter_column('parent', 'title', nullable=False, new_column_name='name')",
    ),
    (
        "op.rename_table('parent', 'parents')\nop.drop_constraint('fk_t_up_parents', 't')",
        "op.rename_table('parents', 'parent')\n"
        "op.create_foreign_key(None, 't', 'parent', ['up'], ['id'], ondelete='CASCADE')",
    ),
]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "migrations")
    made.revision(FIRST, "op.drop_table('t')\nop.drop_table('parent')")
    made.upgrade()
    for upgrade, downgrade in STEPS:
        made.revision(upgrade, downgrade)
    return made


def run(database: Path, script: str) -> subprocess.CompletedProcess[str]:
    assert SHELL is not None
    return subprocess.run(
        [SHELL, str(database)], input=script, text=True, capture_output=True, check=False
    )


def both_ways(environment: Environment, target: str, *, down: str | None = None) -> None:
    """Run a script on a copy and the command on the database; compare."""
    copy = environment.folder / "copy.db"
    shutil.copy(environment.database, copy)
    script = environment.script(down or target, down=down is not None)
    ended = run(copy, script)
    assert ended.returncode == 0, ended.stderr
    (environment.downgrade if down else environment.upgrade)(target)
    assert is_sound(copy)
    assert not differences(shape(environment.database), shape(copy))
    assert row_hashes(environment.database) == row_hashes(copy)
    assert run(copy, "SELECT version_num FROM alembic_version").stdout.split() == (
        environment.heads()
    )


def test_a_script_does_what_the_command_does(environment: Environment) -> None:
    for _ in STEPS:
        both_ways(environment, "+1")
    both_ways(environment, "r001", down="r004:r001")
    both_ways(environment, "head")  # later revisions build on what earlier ones make


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_script_leaves_no_trace_beside_the_database(environment: Environment, mode: str) -> None:
    environment.execute(f"PRAGMA journal_mode = {mode}")
    before = {path: path.read_bytes() for path in environment.folder.glob("test.db*")}
    assert "ALTER TABLE" in environment.script("head")
    after = {path: path.read_bytes() for path in environment.folder.glob("test.db*")}
    assert after == before


def test_line_ends_in_texts_are_kept(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations",
        "op.execute(\"CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT 'a\\r\\nb')\")",
    )
    environment.revision(
        "op.alter_column('t', 'a', type_=sa.Text)\n"
        "op.add_column('t', sa.Column('c', sa.Text, server_default='c\\r\\n\\r\\r\\nd'))\n"
        "op.bulk_insert(sa.table('t', sa.column('a', sa.Text)), [{'a': 'e\\r\\nf\\rg\\n'}])"
    )
    both_ways(environment, "head")


def test_values_are_written_as_they_are(tmp_path: Path) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", "pass")
    environment.revision(
        "op.create_table('t', sa.Column('a', sa.Text, server_default='a\\tb'))\n"
        "op.create_index('i', 't', ['a'], sqlite_where=sa.text(\"a <> '\\t'\"))\n"
        "op.execute(\"INSERT INTO t VALUES ('\\t')\")\n"
        "rows = [{'a': b'text'}, {'a': b'\\xff'}]\n"
        "op.bulk_insert(sa.table('t', sa.column('a', sa.LargeBinary)), rows)"
    )
    both_ways(environment, "head")


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("sa.JSON", "{'a': [1, \"it's\", ':b', None]}"),
        ("sa.JSON", "None"),
        ("sa.JSON(none_as_null=True)", "None"),
        ("sa.Interval", "datetime.timedelta(1, 2)"),
        ("sa.PickleType", "{'a': 1}"),
        ("sa.Float", "float('inf')"),
        ("sa.Numeric(10, 2)", "Decimal('1.50')"),
        ("sa.Text", "'a\\0b%'"),
        ("sa.types.NullType", "'text'"),
        ("sa.types.NullType", "-5"),
        ("sa.types.NullType", "b'bytes'"),
    ],
)
def test_a_script_stores_values_as_the_command_does(tmp_path: Path, type_: str, value: str) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations",
        "op.create_table('t', sa.Column('id', sa.Integer), sa.Column('a', sa.BLOB))",
    )
    environment.revision(
        "import datetime\nfrom decimal import Decimal\n"
        f"t = sa.table('t', sa.column('id', sa.Integer), sa.column('a', {type_}))\n"
        f"op.bulk_insert(t, [{{'id': 1, 'a': {value}}}])\n"
        f"op.execute(t.insert().values(id=2, a={value}))\n"
        f"op.execute(t.insert().values(id=3))\n"
        f"op.execute(t.update().where(t.c.id.in_([3, 4])).values(a={value}))"
    )
    both_ways(environment, "head")
    assert environment.query("SELECT count(*), count(DISTINCT a) <= 1 FROM t") == [(3, 1)]


def test_a_script_has_what_statements_are_executed_with(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations",
        "op.create_table('t', sa.Column('a', sa.JSON), sa.Column('b', sa.Text))",
    )
    environment.revision(
        "t = sa.table('t', sa.column('a', sa.JSON), sa.column('b', sa.Text))\n"
        "bind = op.get_bind()\n"
        "bind.execute(sa.text('INSERT INTO t VALUES (:a, :b)'), {'a': '3', 'b': None})\n"
        "bind.execute(t.insert(), [{'a': [1], 'b': \"it's\"}, {'a': None, 'b': 'y'}])\n"
        "named = t.update().where(t.c.b.in_(sa.bindparam('some', expanding=True)))\n"
        "bind.execute(named, {'some': ['x', 'y'], 'a': {}})\n"
        "bind.execute(t.insert())"
    )
    both_ways(environment, "head")


def test_a_script_has_the_defaults_that_python_makes(tmp_path: Path) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", "pass")
    environment.revision(
        "t = op.create_table('t', sa.Column('id', sa.Integer, primary_key=True),\n"
        "    sa.Column('a', sa.Text, default='a'), sa.Column('b', sa.JSON, default=list),\n"
        "    sa.Column('c', sa.Integer, onupdate=lambda: 7))\n"
        "op.bulk_insert(t, [{'id': 1}, {'id': 2}])\n"
        "op.execute(t.insert().values(id=3))\n"
        "op.execute(t.update().where(t.c.id == 2).values(a='z'))"
    )
    both_ways(environment, "head")


def test_a_script_misses_a_value_as_the_command_does(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t', sa.Column('a', sa.Text))"
    )
    environment.revision("op.execute(\"INSERT INTO t VALUES ('at :noon')\")")
    with pytest.raises(CommandError, match="required for the parameter :noon"):
        environment.script("head")


def test_a_script_says_which_value_sqlite_cannot_store(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t', sa.Column('a', sa.BLOB))"
    )
    environment.revision("op.bulk_insert(sa.table('t', sa.column('a')), [{'a': object}])")
    with pytest.raises(CommandError, match="SQLite cannot store <class 'object'>"):
        environment.script("head")


def test_a_line_break_in_a_name_ends_no_comment(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t\\nx', sa.Column('a', sa.Integer))"
    )
    environment.revision("op.create_unique_constraint('u', 't\\nx', ['a'])")
    both_ways(environment, "head")


def test_a_comment_at_the_end_of_a_statement_takes_nothing_along(tmp_path: Path) -> None:
    environment = Environment.upgraded(
        tmp_path / "migrations", "op.create_table('t', sa.Column('a', sa.Integer))"
    )
    environment.revision(
        "op.execute('INSERT INTO t VALUES (1) -- one')\n"
        "op.execute('INSERT INTO t VALUES (2); /* two')\n"
        "op.execute('-- nothing')"
    )
    both_ways(environment, "head")


def test_a_new_database_can_be_made_from_the_beginning(environment: Environment) -> None:
    environment.upgrade()
    new = environment.folder / "new.db"
    ended = run(new, environment.script("head"))
    assert ended.returncode == 0, ended.stderr
    assert not differences(shape(environment.database), shape(new))


def test_a_database_that_went_back_to_its_base_gets_a_script(environment: Environment) -> None:
    environment.execute("DROP VIEW w")
    environment.downgrade("base")  # the version table stays
    both_ways(environment, "+1")


def test_a_table_that_was_there_before_the_first_revision_is_known(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v <> ''))")
    environment.revision("op.alter_column('t', 'v', nullable=False)")
    both_ways(environment, "head")


def test_a_script_from_the_beginning_stops_where_a_revision_is(environment: Environment) -> None:
    environment.upgrade()
    environment.execute("DROP TABLE t; DROP TABLE parents")  # nothing else would stop it
    ended = run(environment.database, environment.script("head"))
    assert "this script is for a database without a revision" in ended.stderr
    assert environment.heads() == ["r004"]
    assert environment.query("SELECT name FROM sqlite_master WHERE name = 't'") == []


def test_a_script_for_another_revision_stops_at_once(environment: Environment) -> None:
    script = environment.script("+1")
    environment.upgrade()
    before = shape(environment.database), row_hashes(environment.database)
    ended = run(environment.database, script)
    assert ended.returncode != 0
    assert "this script is for a database at revision r001" in ended.stderr
    assert (shape(environment.database), row_hashes(environment.database)) == before


def test_rows_that_do_not_allow_a_change_stop_the_script(environment: Environment) -> None:
    script = environment.script("+1")
    environment.execute("INSERT INTO t (v) VALUES ('x;')")  # not unique any more
    before = shape(environment.database), row_hashes(environment.database)
    ended = run(environment.database, script)
    assert ended.returncode != 0
    assert "UNIQUE constraint failed" in ended.stderr
    assert (shape(environment.database), row_hashes(environment.database)) == before


def test_a_broken_reference_stops_the_script_if_it_is_new(tmp_path: Path) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", FIRST)
    environment.execute("INSERT INTO t (up) VALUES (77)")  # wrong before, and no hindrance
    environment.revision("op.execute(\"UPDATE t SET v = 'z'\")")
    environment.revision("op.execute('DELETE FROM parent')")
    ended = run(environment.database, environment.script("head"))
    assert ended.returncode != 0
    assert "rows refer to rows that do not exist" in ended.stderr
    assert environment.heads() == ["r002"]  # the revision before it is complete
    assert environment.query("SELECT count(*) FROM parent") == [(1,)]


@pytest.mark.parametrize(
    ("unique", "drop"),
    [
        ("p (a, CONSTRAINT uq UNIQUE (a))", "op.drop_constraint('uq', 'p', type_='unique')"),
        ("p (a, b, CONSTRAINT pk PRIMARY KEY (a))", "op.drop_constraint('pk', 'p')"),
        ("p (a); CREATE UNIQUE INDEX uq ON p (a)", "op.drop_index('uq', 'p')"),
    ],
)
def test_a_script_may_not_take_from_a_reference_what_it_refers_to(
    tmp_path: Path, unique: str, drop: str
) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", "pass")
    environment.execute(f"CREATE TABLE {unique}; CREATE TABLE child (x REFERENCES p (a))")
    environment.revision(drop)
    with pytest.raises(CommandError, match=r"key of table child .* in table p;"):
        environment.script("head")


def test_a_script_may_create_a_reference_that_cannot_be_checked(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("op.execute('CREATE TABLE p (a)')")
    environment.revision(
        "op.create_table('c', sa.Column('k', sa.Integer, sa.ForeignKey('p.a')))\nop.rename_table('c', 'd')"
    )
    ended = run(environment.database, environment.script("head"))
    assert ended.returncode == 0, ended.stderr


def test_a_reference_that_cannot_be_checked_hides_no_other(tmp_path: Path) -> None:
    environment = Environment.upgraded(tmp_path / "migrations", FIRST)
    environment.execute('CREATE TABLE "p""q" (a); CREATE TABLE wrong (x REFERENCES "p""q" (a))')
    environment.revision(
        "op.rename_table('wrong', 'as wrong')\nop.rename_table('p\"q', 'p')\n"
        "op.execute('UPDATE t SET v = 2')"
    )
    ended = run(environment.database, environment.script("head"))
    assert ended.returncode == 0, ended.stderr
    environment.execute("UPDATE alembic_version SET version_num = 'r002'")
    environment.revision("op.execute('DELETE FROM parent')")
    ended = run(environment.database, environment.script("head"))
    assert "rows refer to rows that do not exist" in ended.stderr


def test_a_database_is_found_by_its_uri(environment: Environment) -> None:
    ini = environment.folder / "alembic.ini"
    plain = f"sqlite:///{environment.database}"
    uri = f"sqlite:///file:{environment.database}?mode=rw&uri=true"
    by_path = environment.script("head")
    ini.write_text(ini.read_text("utf-8").replace(plain, uri), "utf-8")
    assert environment.script("head") == by_path


def test_a_script_for_a_database_at_the_head_is_for_a_new_one(environment: Environment) -> None:
    environment.upgrade()
    step, whole = environment.script("+1"), environment.script("head")
    assert "'r001'" in step
    assert "CREATE TABLE parent" in step
    assert "'r002'" not in step
    assert "'r002'" in whole
    ended = run(environment.database, step)
    assert "for a database without a revision" in ended.stderr
    assert ended.returncode != 0


def test_a_database_that_is_elsewhere_is_named(environment: Environment) -> None:
    with pytest.raises(CommandError, match=r"test\.db is at revision r001.* would start at r002"):
        environment.script("r002:r003")
    environment.database.unlink()
    with pytest.raises(CommandError, match=r"there is no file .*test\.db"):
        environment.script("r002:r003")
    assert not environment.database.exists()


def test_the_script_of_ensure_version_is_for_every_database(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "migrations")
    environment.revision("pass")
    written = StringIO()
    config = Config(str(environment.folder / "alembic.ini"), output_buffer=written)
    command.ensure_version(config, sql=True)
    for heads in ([], ["r001"]):
        done = run(environment.database, written.getvalue())
        assert (done.returncode, done.stderr) == (0, "")
        assert environment.heads() == heads
        environment.upgrade()
