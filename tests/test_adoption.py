"""adopt.py: what it does with databases in every state, with the owner's files, and with mistakes."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import Column, MetaData, Table, create_engine, make_url, types
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.exc import OperationalError

import rendering
import sqlite_shape
from adopting import GENERATORS, adopt, build, load, snapshot
from lossless.adoption.columns import TooMany, choose_types, fit
from lossless.adoption.generators import Corrections
from lossless.adoption.models import generate, reflect
from lossless.adoption.project import (
    UNTOUCHED,
    Changes,
    dotenv,
    fingerprint,
    ini_with_version_table,
)
from lossless.adoption.proof import read_rows
from lossless.adoption.report import Progress, Report, diagram
from lossless.native import Schema, differences
from lossless.sqlite.catalogue import read_catalogue
from lossless.sqlite.native import SQLiteNative
from lossless.sqlite.schema import describe
from lossless.sqlite.standins import execute_with_standins

SCHEMA = """
CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE album (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title VARCHAR(100) NOT NULL DEFAULT '100% "new"',
  artist_id INTEGER NOT NULL REFERENCES artist ON DELETE CASCADE
);
CREATE INDEX recent ON album (title COLLATE NOCASE, id DESC) WHERE title <> '';
CREATE VIEW titles AS SELECT title FROM album;
INSERT INTO artist VALUES (1, 'one');
INSERT INTO album (title, artist_id) VALUES ('first', 1);
"""


@pytest.fixture(scope="session")
def unadopted(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {"existing_database_url": "sqlite:////nowhere/data.db"}
    made = rendering.render(template, tmp_path_factory.mktemp("unadopted") / "shop-list", **answers)
    (made / ".env").unlink(missing_ok=True)
    return rendering.used(made)


@pytest.fixture
def project(unadopted: Path, tmp_path: Path) -> Path:
    """A project that is to adopt a database, to change at will."""
    return Path(shutil.copytree(unadopted, tmp_path / "project"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small database in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return build(folder / "music.db", SCHEMA)


def models(project: Path) -> Path:
    return next(project.glob("src/*/models.py"))


def run(project: Path, *command: str, status: int = 0) -> str:
    return rendering.python(command[0], *command[1:], cwd=project, status=status)


def generated(sql: str, folder: Path, generator: str = "declarative") -> tuple[str, list[str]]:
    """The models of a database, not formatted, and what is told of its columns."""
    database = folder / "generated.db"
    if not database.exists():
        build(database, sql)
    native = SQLiteNative()
    with native.look(make_url(f"sqlite:///{database}")) as source:
        metadata = reflect(source)
        notes = choose_types(metadata, metadata.tables.values(), source, native)
        return generate(metadata, source, generator), notes


@contextmanager
def another_program(database: Path, *statements: str) -> Iterator[None]:
    """Another process that runs statements and keeps its connection open."""
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: connection.execute(statement)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(database), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        yield
        other.communicate()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UNIQUE (a) ON CONFLICT FAIL, UNIQUE (b)", "UNIQUE (a), UNIQUE (b) ON CONFLICT FAIL"),
        ("c NOT NULL ON CONFLICT FAIL, d NOT NULL", "c NOT NULL, d NOT NULL ON CONFLICT FAIL"),
        ("FOREIGN KEY (a) REFERENCES absent (x)", "FOREIGN KEY (a) REFERENCES absent (y)"),
        ("CONSTRAINT u UNIQUE (a)", "CONSTRAINT v UNIQUE (a)"),
        ("CONSTRAINT k PRIMARY KEY (a)", "PRIMARY KEY (a)"),
    ],
)
def test_declarations_that_differ_are_told_apart(one: str, other: str) -> None:
    def schema(columns: str) -> Schema:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE t ({columns})")
            return describe(read_catalogue(connection))

    assert differences(schema(f"a, b, {one}"), schema(f"a, b, {other}"))
    assert not differences(schema(f"a, b, {one}"), schema(f'"A", [b], {one} -- as before\n'))


# -- what an adoption gives ---------------------------------------------------------------------------------------------


def test_an_adopted_project_is_green_and_migrates_on(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}", "--report", "report.md")
    for command in (
        ["alembic", "check"],
        ["pytest", "-q"],
        ["ruff", "check"],
        ["ruff", "format", "--check"],
    ):
        run(project, *command)
    text = models(project).read_text()
    models(project).write_text(
        text.replace("    name: Mapped[str]", "    born: Mapped[int | None]\n    name: Mapped[str]")
    )
    run(project, "alembic", "revision", "--autogenerate", "-m", "births")
    run(project, "alembic", "upgrade", "head")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name, born FROM artist").fetchall() == [("one", None)]


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["declarative", "dataclasses", "tables", "sqlmodels"])
def test_an_adopted_project_passes_mypy(
    generator: str, project: Path, database: Path, tool_cache: Path
) -> None:
    adopt(project, f"sqlite:///{database}", "--generator", generator)
    run(project, "mypy", "--cache-dir", str(tool_cache))


def test_models_say_what_the_table_says(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}")
    text = re.sub(r"\s+", " ", models(project).read_text())
    assert 'ForeignKey("artist.id", ondelete="CASCADE")' in text
    assert """server_default=text("'100% \\"new\\"'")""" in text
    assert '{"sqlite_autoincrement": True}' in text
    assert (
        'text("title COLLATE NOCASE"), text("id DESC"), sqlite_where=text("title <> \'\'")' in text
    )


def test_only_the_version_table_is_written(project: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        before = list(connection.iterdump())
    adopt(project, f"sqlite:///{database}")
    with closing(sqlite3.connect(database)) as connection:
        assert [line for line in connection.iterdump() if "alembic_version" not in line] == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_without_a_stamp_the_file_stays_byte_for_byte(
    mode: str, project: Path, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    before, time = snapshot(database), database.stat().st_mtime_ns
    adopt(project, f"sqlite:///{database}", "--no-stamp")
    assert (snapshot(database), database.stat().st_mtime_ns) == (before, time)


def test_a_setting_of_pythons_that_hides_modules_beside_a_program(project: Path) -> None:
    rendering.run(sys.executable, "alembic/adopt.py", "--help", cwd=project, PYTHONSAFEPATH="1")


def test_the_address_is_kept_for_its_owner_alone(project: Path, database: Path) -> None:
    (project / ".env").write_text("OTHER=1\nDATABASE_URL=old\n")
    rendering.run(
        sys.executable, project / "alembic/adopt.py", "sqlite:///music.db", cwd=database.parent
    )
    assert (
        project / ".env"
    ).read_text() == f"OTHER=1\nDATABASE_URL='sqlite:///{database.resolve()}'\n"
    assert (project / ".env").stat().st_mode & 0o777 == 0o600


def test_the_report_has_a_table_and_a_diagram(project: Path, database: Path) -> None:
    printed = adopt(project, f"sqlite:///{database}", "--report", "report.md")
    assert re.search(r"views +1 +0 +1", printed)
    report = (project / "report.md").read_text()
    assert "| views | 1 | 0 | 1 |" in report
    assert 't0 ||--o{ t1 : "artist_id"' in report


def test_a_single_row_is_counted_as_one(project: Path, tmp_path: Path) -> None:
    database = build(tmp_path / "one.db", "CREATE TABLE a (b INT); INSERT INTO a VALUES (1);")
    assert "the same, 1 row read" in adopt(project, f"sqlite:///{database}", "--no-stamp")


def test_nobody_need_read_what_an_adoption_prints(project: Path, database: Path) -> None:
    command = [sys.executable, "alembic/adopt.py", f"sqlite:///{database}"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=-1) as adoption:
        assert adoption.stdout is not None
        assert adoption.stderr is not None
        adoption.stdout.close()
        assert adoption.stderr.read() == b""
    assert adoption.returncode == 0
    run(project, "alembic", "check")


def test_a_terminal_shows_trouble_on_a_line_of_its_own() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with pytest.raises(CommandError), Progress(terminal).phase("Stamp"):
        raise CommandError("locked")
    assert terminal.getvalue().endswith("Stamp       ...\r\x1b[K")


def test_names_that_mermaid_would_stumble_over_are_drawn() -> None:
    metadata = MetaData()
    Table(
        '50% "off" #1 \\',
        metadata,
        Column("pk", types.Integer(), primary_key=True),
        Column("Uk"),
        Column("größer als", types.String(5, collation="NOCASE")),
    )
    assert diagram(metadata) == [
        "erDiagram",
        '    t0["50#37; #34;off#34; #35;1 #92;"] {',
        '        INTEGER c_pk PK "pk"',
        '        NULL c_Uk "Uk"',
        '        VARCHAR_5 gr_er_als "größer als"',
        "    }",
    ]


def test_a_diagram_too_large_to_be_drawn_shows_keys_only() -> None:
    metadata = MetaData()
    for number in range(250):
        others = [Column(f"a_long_enough_name_{n}", types.Text()) for n in range(10)]
        Table(f"t{number}", metadata, Column("id", types.Integer(), primary_key=True), *others)
    text = Report("sqlite:///x.db").markdown(metadata)
    assert "Columns of keys only" in text
    assert len(text) < 50_000
    assert text.count("INTEGER id PK") == 250


def test_the_baseline_can_be_written_as_sql(project: Path, database: Path, tmp_path: Path) -> None:
    adopt(project, f"sqlite:///{database}")
    script = rendering.python("alembic", "upgrade", "head", "--sql", cwd=project)
    script = "".join(
        line for line in script.splitlines(keepends=True) if not line.startswith(("INFO", "."))
    )
    with (
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
        closing(sqlite3.connect(database)) as old,
    ):
        new.executescript(script)
        ask = "SELECT sql FROM sqlite_schema WHERE name NOT LIKE '%alembic%' ORDER BY name"
        assert new.execute(ask).fetchall() == old.execute(ask).fetchall()


def test_the_example_of_a_new_project_makes_way(
    plain_project: Path, database: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(plain_project, tmp_path / "plain"))
    adopt(project, f"sqlite:///{database}")
    left = [
        *project.glob("tests/test_item.py"),
        *project.glob("shoplist.db"),
        *project.glob("alembic/versions/5d0c*"),
    ]
    assert left == []
    assert "class Item" not in models(project).read_text()
    run(project, "pytest", "-q")


def test_the_files_of_the_example_are_recognised(plain_project: Path, unadopted: Path) -> None:
    files = [
        *plain_project.glob("src/*/models.py"),
        *unadopted.glob("src/*/models.py"),
        plain_project / "tests/test_item.py",
        *plain_project.glob("alembic/versions/*.py"),
    ]
    unknown = [
        path.name for path in files if fingerprint(path.read_bytes(), "shop_list") not in UNTOUCHED
    ]
    assert unknown == [], "add their fingerprints to UNTOUCHED in lossless/adoption/project.py"
    windows = files[0].read_bytes().replace(b"\n", b"\r\n")
    assert fingerprint(windows, "shop_list") in UNTOUCHED


# -- again --------------------------------------------------------------------------------------------------------------


def test_adopting_again_does_nothing(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}")
    before = rendering.files(project), snapshot(database)
    assert "Nothing to do" in adopt(project)
    assert (rendering.files(project), snapshot(database)) == before
    assert "report.md is not written" in adopt(project, "--report", "report.md")
    assert (rendering.files(project), snapshot(database)) == before


@pytest.mark.parametrize(
    "option",
    [
        "file_template = %%(year)d_%%(rev)s_%%(slug)s",
        "version_locations = %(here)s/migrations",
    ],
)
def test_revisions_are_known_whatever_their_files_are_called_and_wherever_they_are(
    option: str, project: Path, database: Path
) -> None:
    ini = project / "alembic.ini"
    ini.write_text(ini.read_text().replace("[alembic]\n", f"[alembic]\n{option}\n"))
    adopt(project, f"sqlite:///{database}")
    run(project, "alembic", "revision", "-m", "next")
    run(project, "alembic", "upgrade", "head")
    before = rendering.files(project), snapshot(database)
    assert "Nothing to do" in adopt(project)
    assert (rendering.files(project), snapshot(database)) == before


def test_edited_models_are_replaced_by_force_only(project: Path, database: Path) -> None:
    mine = models(project).read_text() + "\n# mine\n"
    models(project).write_text(mine)
    assert "--force" in adopt(project, f"sqlite:///{database}", status=1)
    assert models(project).read_text() == mine
    adopt(project, f"sqlite:///{database}", "--force")
    assert "class Album" in models(project).read_text()
    assert models(project).with_suffix(".py.bak").read_text() == mine


def test_models_can_be_written_anew_with_another_generator(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}")
    before = snapshot(database)
    adopt(project, "--force", "--generator", "tables")
    assert "t_album" in models(project).read_text()
    assert snapshot(database) == before


def test_a_database_changed_behind_alembics_back_is_reported(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE artist ADD COLUMN born INTEGER")
    printed = adopt(project, status=1)
    assert "table 'artist': columns" in printed
    assert "its adoption belongs in a project without revisions" in printed


def test_a_colleague_stamps_a_copy_of_the_database(project: Path, database: Path) -> None:
    adopt(project, f"sqlite:///{database}", "--no-stamp")
    assert "stamped now" in adopt(project)
    run(project, "alembic", "check")


def test_another_projects_version_table_is_left_alone(project: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
        connection.commit()
    adopt(project, f"sqlite:///{database}")
    for command in (["alembic", "check"], ["pytest", "-q"]):
        run(project, *command)
    assert "Nothing to do" in adopt(project)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("theirs",)
        ]


def test_a_table_that_only_has_the_version_tables_name_is_a_table(
    project: Path, database: Path
) -> None:
    build(
        database,
        "CREATE TABLE Alembic_Version (id INTEGER PRIMARY KEY, version_num TEXT, note TEXT);"
        "INSERT INTO Alembic_Version VALUES (1, 'theirs', 'mine');",
    )
    printed = adopt(project, f"sqlite:///{database}")
    assert "this project uses alembic_version_shop_list" in printed
    assert "nother project" not in printed + (project / "alembic.ini").read_text()
    assert "class AlembicVersion(Base)" in models(project).read_text()
    for command in (["alembic", "check"], ["pytest", "-q"]):
        run(project, *command)
    assert "Nothing to do" in adopt(project)


def test_files_that_cannot_be_written_stop_all_of_it(project: Path, database: Path) -> None:
    (project / ".env").mkdir()
    before = rendering.files(project), snapshot(database)
    printed = adopt(project, f"sqlite:///{database}", status=1)
    assert "Nothing was written" in printed
    assert "Traceback" not in printed
    assert (rendering.files(project), snapshot(database)) == before


@pytest.mark.parametrize(
    ("trouble", "step", "status", "words"),
    [
        ("KeyboardInterrupt", "write_models", 1, "Nothing was written."),
        ("KeyboardInterrupt", "write_report", 0, "Adopted, and proved"),
        ("OSError('no space')", "write_report", 0, "Adopted, and proved"),
    ],
)
def test_whoever_is_interrupted_is_told_what_was_done(
    trouble: str, step: str, status: int, words: str, project: Path, database: Path
) -> None:
    program = (
        "import sys; from lossless.adoption import command\n"
        f"def stopped(*_): raise {trouble}\n"
        f"command.Adoption.{step} = stopped; sys.argv[0] = 'alembic/adopt.py'\n"
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    arguments = (f"sqlite:///{database}", "--report", "report.md")
    printed = rendering.run(
        sys.executable, "-c", program, *arguments, cwd=project, status=status, PYTHONPATH="alembic"
    )
    assert words in printed.partition("adopt: ")[2]
    with closing(sqlite3.connect(database)) as connection:
        asked = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'")
        assert len(asked.fetchall()) == (status == 0)


def moved_behind_a_link(path: Path, folder: Path) -> Path:
    """Move a file, and leave a symbolic link in its place."""
    target = Path(shutil.move(path, folder / f"my{path.name}"))
    path.symlink_to(target)
    return target


def test_symbolic_links_are_written_through(project: Path, database: Path, tmp_path: Path) -> None:
    build(database, "CREATE TABLE alembic_version (note TEXT)")
    (project / ".env").write_text("A=1\n")
    names = (models(project), project / "alembic.ini", project / ".env")
    ours, ini, env = (moved_behind_a_link(path, tmp_path) for path in names)
    ini.chmod(0o640)
    adopt(project, f"sqlite:///{database}")
    assert [path.is_symlink() for path in names] == [True, True, True]
    assert "class Album" in ours.read_text()
    assert "version_table = alembic_version_shop_list" in ini.read_text()
    assert env.read_text() == f"A=1\nDATABASE_URL='sqlite:///{database}'\n"
    assert [path.stat().st_mode & 0o777 for path in (ini, env)] == [0o640, 0o600]
    assert not list(tmp_path.rglob("*.new"))


def test_symbolic_links_are_as_they_were_when_changes_are_taken_back(tmp_path: Path) -> None:
    for name in ("written", "removed"):
        (tmp_path / name).write_text("mine")
        moved_behind_a_link(tmp_path / name, tmp_path)
    (tmp_path / "empty").symlink_to("nothing")
    changes = Changes(
        write={tmp_path / "written": b"new", tmp_path / "empty": b"new"},
        remove=[tmp_path / "removed"],
    )
    with pytest.raises(CommandError), changes.applied():
        raise CommandError("locked")
    assert all((tmp_path / name).is_symlink() for name in ("written", "removed", "empty"))
    assert [(tmp_path / name).read_text() for name in ("written", "removed")] == ["mine", "mine"]
    assert not (tmp_path / "nothing").exists()


# -- databases in every state -------------------------------------------------------------------------------------------


def test_a_database_that_another_program_has_open_in_wal_mode_is_read_to_its_last_change(
    project: Path, database: Path
) -> None:
    with another_program(database, "PRAGMA journal_mode = WAL", "CREATE TABLE newest (a)"):
        adopt(project, f"sqlite:///{database}")
    assert "newest" in models(project).read_text()


def test_a_log_that_nobody_has_open_is_read_and_left_as_it_is(
    project: Path, database: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "music.db"
    copy.parent.mkdir()
    with another_program(database, "PRAGMA journal_mode = WAL", "CREATE TABLE newest (a)"):
        for end in ("", "-wal"):
            shutil.copy(f"{database}{end}", f"{copy}{end}")
    before = snapshot(copy)
    adopt(project, f"sqlite:///{copy}", "--no-stamp")
    assert "newest" in models(project).read_text()
    assert snapshot(copy) == before


def test_a_database_in_the_midst_of_another_programs_transaction_is_adopted_as_it_was(
    project: Path, database: Path
) -> None:
    with another_program(database, "BEGIN IMMEDIATE", "CREATE TABLE unfinished (a)"):
        adopt(project, f"sqlite:///{database}", "--no-stamp")
    assert "unfinished" not in models(project).read_text()


@pytest.mark.slow
def test_a_locked_database_is_waited_for_and_then_reported(project: Path, database: Path) -> None:
    before = rendering.files(project)
    with another_program(database, "BEGIN EXCLUSIVE"):
        assert "locked by another program" in adopt(project, f"sqlite:///{database}", status=1)
    with another_program(database, "BEGIN IMMEDIATE"):
        assert "locked by another program" in adopt(project, f"sqlite:///{database}", status=1)
    assert rendering.files(project) == before


def test_an_interrupted_transaction_must_be_recovered_first(project: Path, database: Path) -> None:
    program = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 1'); connection.execute('BEGIN')\n"
        "connection.executemany('INSERT INTO artist VALUES (?, ?)', [(n, 'x' * 900 + str(n)) for n in range(2, 900)])\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, database], check=True)
    before = snapshot(database)
    assert "must be recovered first" in adopt(project, f"sqlite:///{database}", status=1)
    assert snapshot(database) == before


def spoil(database: Path, how: str) -> None:
    content = database.read_bytes()
    spoiled = {
        "empty": b"",
        "random": os.urandom(8192),
        "text": b"no database at all\n" * 20,
        "truncated": content[: len(content) // 2],
        "cut in the header": content[:50],
        "overwritten": content[:100] + b"\xff" * (len(content) - 100),
    }
    database.write_bytes(spoiled[how])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "is empty"),
        ("random", "not an SQLite database, or it is encrypted"),
        ("text", "not an SQLite database, or it is encrypted"),
        ("truncated", "is truncated"),
        ("cut in the header", "is truncated"),
        ("overwritten", "is damaged"),
    ],
)
def test_a_file_that_is_no_whole_database_is_refused(
    how: str, message: str, project: Path, database: Path
) -> None:
    spoil(database, how)
    before = rendering.files(project), snapshot(database)
    printed = adopt(project, f"sqlite:///{database}", status=1)
    assert message in printed
    assert "Traceback" not in printed
    assert (rendering.files(project), snapshot(database)) == before


def test_a_database_without_tables_is_nothing_to_adopt(project: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "bare.db")) as connection:
        connection.execute("PRAGMA user_version = 5")
    assert "nothing to adopt" in adopt(project, f"sqlite:///{tmp_path / 'bare.db'}", status=1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///nothing.db", "There is no file"),
        ("sqlite:///src", "is a folder"),
        ("sqlite://", "in memory"),
        ("alembic.ini", "Did you mean sqlite:///alembic.ini ?"),
        ("", "no database URL"),
        ("sqlite:/data.db", "no database URL"),
        ("postgresql://me:hunter2@host:port/x", "no database URL"),
        ("oracle://me:hunter2@host/x", "no adoption for oracle"),
        ("sqlite+aiosqlite:///alembic.ini", "write the URL as sqlite:///"),
    ],
)
def test_a_wrong_url_is_explained_and_nothing_is_written(
    url: str, message: str, project: Path
) -> None:
    before = rendering.files(project)
    printed = adopt(project, url, status=1)
    assert message in printed
    assert "hunter2" not in printed
    assert "Traceback" not in printed
    assert rendering.files(project) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bogus",), "unrecognized arguments: --bogus"),
        (("--generator", "foo"), "invalid choice: 'foo'"),
        (("sqlite:///a.db", "sqlite:///b.db"), "unrecognized arguments: sqlite:///b.db"),
    ],
)
def test_a_mistyped_command_line_is_a_mistake(
    arguments: tuple[str, ...], message: str, project: Path
) -> None:
    printed = adopt(project, *arguments, status=1)
    assert "usage: python alembic/adopt.py" in printed
    assert message in printed


def test_a_driver_that_no_later_command_could_load_is_refused(
    project: Path, database: Path
) -> None:
    (project / ".env").write_text(f"DATABASE_URL='sqlite+foo:///{database}'\n")
    before = rendering.files(project), snapshot(database)
    assert "The driver of sqlite+foo:// cannot be loaded" in adopt(project, status=1)
    assert (rendering.files(project), snapshot(database)) == before


def test_what_an_application_must_bring_is_named(project: Path, tmp_path: Path) -> None:
    database = tmp_path / "theirs.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.create_function("slug", 1, str, deterministic=True)
        connection.create_collation("house", lambda one, other: (one > other) - (one < other))
        connection.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT COLLATE house CHECK (slug(name) <> ''));"
            "CREATE INDEX by_name ON a (name);"
            "CREATE INDEX by_slug ON a (slug(name));"
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT rank_of(new.id); END;"
        )
    printed = adopt(project, f"sqlite:///{database}")
    for what in ("function slug()", "collation sequence house", "function rank_of()"):
        assert f"{what} is not here" in printed
    run(project, "pytest", "-q")


def test_a_virtual_table_whose_module_is_missing_is_named_and_kept(
    project: Path, database: Path
) -> None:
    statement = "CREATE VIRTUAL TABLE words USING spellfix1"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'words', 'words', 0, ?)", (statement,)
        )
        connection.commit()
    assert "no such module: spellfix1" in adopt(project, f"sqlite:///{database}")
    run(project, "alembic", "-x", "url=sqlite:///new.db", "upgrade", "head")
    with closing(sqlite3.connect(project / "new.db")) as connection:
        assert (statement,) in connection.execute("SELECT sql FROM sqlite_schema").fetchall()


def test_a_table_called_like_a_virtual_tables_own_is_adopted(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "mail.db",
        "CREATE TABLE mail_content (id INTEGER PRIMARY KEY, subject TEXT);"
        "CREATE VIRTUAL TABLE mail USING fts5(subject, content='mail_content', content_rowid='id');"
        "CREATE TRIGGER filed AFTER INSERT ON mail_content BEGIN INSERT INTO mail (rowid) VALUES (new.id); END;"
        "CREATE INDEX by_subject ON mail_content (subject);"
        "CREATE TABLE Note_Content (id INTEGER PRIMARY KEY, body TEXT);"
        "CREATE VIRTUAL TABLE note USING fts4(content='note_content');"
        "CREATE VIRTUAL TABLE page USING fts4(title);"
        "CREATE INDEX Of_Shadow ON page_content (c0title);"
        "CREATE TRIGGER on_shadow AFTER INSERT ON page_content BEGIN SELECT 1; END;",
    )
    printed = adopt(project, f"sqlite:///{database}")
    classes = re.findall(r"class (\w+)\(Base\)", models(project).read_text())
    assert sorted(classes) == ["MailContent", "NoteContent"]
    assert "index 'Of_Shadow'" in printed
    run(project, "alembic", "check")
    run(project, "alembic", "-x", "url=sqlite:///new.db", "upgrade", "head")
    assert sqlite_shape.shape(project / "new.db") == sqlite_shape.shape(database)
    run(project, "alembic", "-x", "url=sqlite:///new.db", "downgrade", "base")
    assert sqlite_shape.shape(project / "new.db") == {}


def test_a_database_without_virtual_tables_is_not_looked_through_for_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE mail_content (a)")
        monkeypatch.setattr(sqlite3, "connect", None)
        assert list(read_catalogue(connection).tables) == ["mail_content"]


@pytest.mark.parametrize("generator", ["declarative", "sqlmodels"])
def test_names_that_style_or_pydantic_minds_are_adopted(
    generator: str, project: Path, tmp_path: Path
) -> None:
    database = build(
        tmp_path / "names.db",
        'CREATE TABLE "I" (id INTEGER PRIMARY KEY, l TEXT, O TEXT, model_dump TEXT, model_validate_all INT);'
        'CREATE TABLE other (l_id INTEGER REFERENCES "I", id INTEGER PRIMARY KEY, I INT);',
    )
    adopt(project, f"sqlite:///{database}", "--generator", generator)
    run(project, "alembic", "check")
    run(project, "ruff", "check")
    assert ("field_model_dump:" in models(project).read_text()) == (generator == "sqlmodels")


@pytest.mark.parametrize(
    ("table", "advice"),
    [
        ('t (id INTEGER PRIMARY KEY, "" TEXT)', 'ALTER TABLE "t" RENAME COLUMN "" TO'),
        ('"" (id INTEGER PRIMARY KEY)', 'ALTER TABLE "" RENAME TO'),
    ],
)
def test_an_empty_name_is_to_be_changed_first(
    table: str, advice: str, project: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute(f"CREATE TABLE {table}")
    printed = adopt(project, f"sqlite:///{tmp_path / 'empty.db'}", status=1)
    assert advice in printed
    assert "Traceback" not in printed


def test_a_full_text_table_whose_tokenizer_is_missing_is_named_and_kept(
    project: Path, tmp_path: Path
) -> None:
    statements = {
        "ft4": "CREATE VIRTUAL TABLE ft4 USING fts4(t, tokenize=nowhere)",
        "ft5": "CREATE VIRTUAL TABLE ft5 USING fts5(t, tokenize='nowhere')",
    }
    database = tmp_path / "text.db"
    with closing(sqlite3.connect(database)) as connection:
        for name, statement in statements.items():
            connection.execute(re.sub(r", tokenize=\S+(?=\))", "", statement))
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (statement, name))
        connection.commit()
    printed = adopt(project, f"sqlite:///{database}")
    assert "unknown tokenizer: nowhere" in printed
    assert "no such tokenizer: nowhere" in printed
    run(project, "alembic", "check")
    run(project, "alembic", "-x", "url=sqlite:///new.db", "upgrade", "head")
    assert sqlite_shape.shape(project / "new.db") == sqlite_shape.shape(database)
    run(project, "alembic", "-x", "url=sqlite:///new.db", "downgrade", "base")
    assert sqlite_shape.shape(project / "new.db") == {}


def test_what_cannot_be_proved_the_same_is_put_aside(project: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        # A view of bytes that are no text: nothing can run that statement again.
        connection.execute(
            "INSERT INTO sqlite_schema VALUES ('view', 'bad', 'bad', 0, CAST(x'435245415445205649455720626164204153"
            "2053454c4543542027ff2720' AS TEXT))"
        )
        connection.commit()
    before, stored = rendering.files(project), snapshot(database)
    printed = adopt(project, f"sqlite:///{database}", status=2)
    assert "Not proved" in printed
    assert "CREATE VIEW bad AS SELECT" in printed
    assert "is not UTF-8, at " in printed
    assert "Traceback" not in printed
    assert "baseline only" not in printed, "a table without rows"
    after = rendering.files(project)
    assert {name for name in after if "not-proved" not in name} == set(before)
    assert snapshot(database) == stored
    assert "class Album" in (project / "not-proved" / "models.py.txt").read_text()


def test_types_of_this_database_only_are_migrated_by_their_declaration(
    project: Path, tmp_path: Path
) -> None:
    database = tmp_path / "odd.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b MONEY(3), c TEXT DEFAULT ':x %')"
        )
        before = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
    adopt(project, f"sqlite:///{database}")
    text = models(project).read_text()
    models(project).write_text(
        "".join(
            line for line in text.splitlines(keepends=True) if not re.match(r"    [bc]: ", line)
        )
    )
    run(project, "alembic", "revision", "--autogenerate", "-m", "fewer")
    run(project, "alembic", "upgrade", "head")
    run(project, "alembic", "downgrade", "-1")
    models(project).write_text(text)
    run(project, "alembic", "stamp", "head")
    run(project, "alembic", "check")
    run(project, "ruff", "check")
    with closing(sqlite3.connect(database)) as connection:
        assert len(
            connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'a'").fetchall()
        ) == len(before)
        columns = {row[1:3] for row in connection.execute("PRAGMA table_info(a)")}
        assert columns == {("id", "INTEGER"), ("b", "MONEY(3)"), ("c", "TEXT")}


def test_a_value_that_does_not_fit_is_found_among_many_rows(project: Path, tmp_path: Path) -> None:
    database = tmp_path / "many.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, good DATETIME, bad DATETIME)")
        days = [
            ("2020-01-02 03:04:05", "2020-01-02 03:04:05" if n < 4999 else "yesterday")
            for n in range(5000)
        ]
        connection.executemany("INSERT INTO a (good, bad) VALUES (?, ?)", days)
        connection.commit()
    printed = adopt(project, f"sqlite:///{database}")
    assert "a.bad holds values that SQLAlchemy's DATETIME would not give back unchanged" in printed
    text = models(project).read_text()
    assert "good: Mapped[datetime.datetime | None]" in text
    assert "bad: Mapped[Any]" in text


def test_names_of_other_engines_say_what_columns_hold(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "names.db",
        "CREATE TABLE stop (id INTEGER PRIMARY KEY, place POINT, way MULTILINESTRING, any_shape GEOMETRY,"
        " score FLOATING POINT, open BIT, mask BIT(8), device GUID, owner UUID, later UNIQUEIDENTIFIER);"
        "INSERT INTO stop VALUES (1, x'01', x'02', x'03', 2, 1, 5, x'0123456789abcdef', 'a-b', NULL);",
    )
    assert "stop." not in adopt(project, f"sqlite:///{database}")
    text = models(project).read_text()
    for annotation in (
        "place: Mapped[bytes | None]",
        "way: Mapped[bytes | None]",
        "any_shape: Mapped[bytes | None]",
        "score: Mapped[int | None]",
        "open: Mapped[bool | None]",
        "mask: Mapped[int | None]",
        "device: Mapped[bytes | None]",
        "owner: Mapped[str | None]",
        "later: Mapped[str | None]",
    ):
        assert annotation in text


def test_a_key_that_leads_nowhere_is_told_with_the_reason(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "nowhere.db",
        "CREATE TABLE pair (a INT, b INT, PRIMARY KEY (a, b));"
        "CREATE TABLE bare (a INT);"
        "CREATE VIEW seen AS SELECT a FROM pair;"
        "CREATE TABLE child (w REFERENCES seen (a), x REFERENCES pair (c), y REFERENCES pair, z REFERENCES bare);",
    )
    printed = adopt(project, f"sqlite:///{database}")
    for reason in (
        "'seen' (a), which is no table",
        "'pair' (c), which has no column 'c'",
        "'pair', whose primary key has another number of columns",
        "'bare', which has no primary key",
    ):
        assert reason in printed


def test_odd_declarations_are_in_the_models_as_they_were_written(
    project: Path, tmp_path: Path
) -> None:
    database = build(
        tmp_path / "odd.db",
        "CREATE TABLE a (b CHAR(0), c VARCHAR(007), d BINARY(0), e DECIMAL(5,0));"
        'CREATE TABLE quoted (a [nvarchar](30), b [int], c "SET", d "ENUM(x,)", e [date](3), f "a)(b");',
    )
    adopt(project, f"sqlite:///{database}", "--report", "report.md")
    assert "Not in the models" not in (project / "report.md").read_text()
    run(project, "alembic", "check")


def test_a_partial_index_that_says_its_defaults_is_in_the_models(
    project: Path, tmp_path: Path
) -> None:
    database = build(
        tmp_path / "partial.db",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT, c TEXT);"
        "CREATE INDEX by_b ON a (b COLLATE BINARY ASC, c ASC) WHERE c IS NOT NULL;",
    )
    adopt(project, f"sqlite:///{database}", "--report", "report.md")
    assert "table 'a': indexes" not in (project / "report.md").read_text()


def test_rows_are_found_again_by_keys_of_any_type(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "keys.db",
        "CREATE TABLE measure (sensor INTEGER, at DATETIME, day DATE, value REAL, PRIMARY KEY (sensor, at));"
        "INSERT INTO measure VALUES (1, '2020-01-02 03:04:05', '2020-01-02', 1.5);"
        "CREATE TABLE made (at DATETIME PRIMARY KEY, value REAL);"
        "INSERT INTO made VALUES ('2020-01-02 03:04:05.000000', 1.5);"
        "CREATE TABLE document (path JSON PRIMARY KEY, body JSON);"
        """INSERT INTO document VALUES ('["a"]', '{"b": 1}');"""
        "CREATE TABLE note (id INTEGER PRIMARY KEY, path JSON REFERENCES document);"
        """INSERT INTO note VALUES (1, '["a"]');""",
    )
    printed = adopt(project, f"sqlite:///{database}")
    assert "measure.at is in a key whose values SQLAlchemy's DATETIME would not find" in printed
    text = models(project).read_text()
    assert "at: Mapped[datetime.datetime]" in text.partition("class Made")[2]
    assert "day: Mapped[datetime.date | None]" in text
    use = f"""
from shop_list.models import Document, Made, Measure, Note
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

with Session(create_engine("sqlite:///{database}")) as session:
    for model in (Made, Measure):
        found = session.scalars(select(model)).one()
        found.value = 2
        session.commit()
        assert found.value == 2
    document = session.scalars(select(Document)).one()
    assert document.body == {{"b": 1}}
    assert session.scalars(select(Note)).one().document is document
"""
    rendering.run(sys.executable, "-c", use, cwd=project, PYTHONPATH="src")


def test_a_key_that_sqlite_gives_no_numbers_to_must_be_given(project: Path, tmp_path: Path) -> None:
    tables = ["K", "Big", "Down"]
    database = build(
        tmp_path / "keys.db",
        "CREATE TABLE k (id INT PRIMARY KEY, v TEXT); INSERT INTO k VALUES (NULL, 'lost'), (1, '');"
        "CREATE TABLE big (id BIGINT PRIMARY KEY, v TEXT);"
        "CREATE TABLE down (id INTEGER PRIMARY KEY DESC, v TEXT);"
        "CREATE TABLE alias (id INTEGER PRIMARY KEY, v TEXT);"
        "CREATE TABLE word (id TEXT PRIMARY KEY, k_id INT REFERENCES k);"
        "CREATE TABLE pair (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO pair VALUES (1, NULL);",
    )
    printed = adopt(project, f"sqlite:///{database}")
    assert printed.count("NULL for the primary key") == 1
    assert "1 row has NULL for the primary key in table 'k'" in printed
    assert models(project).read_text().count("autoincrement=False") == len(tables)
    use = f"""
from shop_list import models
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import FlushError

engine = create_engine("sqlite:///{database}")
for name in {tables}:
    with Session(engine) as session:
        session.add(getattr(models, name)(v="x"))
        try:
            session.commit()
        except FlushError as error:
            assert "NULL identity key" in str(error)
        else:
            raise AssertionError(name)
with Session(engine) as session:
    session.add_all([models.Alias(v="x"), models.K(id=2, v="x")])
    session.commit()
"""
    rendering.run(sys.executable, "-W", "error", "-c", use, cwd=project, PYTHONPATH="src")
    run(project, "alembic", "check")


def test_both_ends_of_a_key_take_the_same_values(tmp_path: Path) -> None:
    text, notes = generated(
        "CREATE TABLE p (at DATETIME PRIMARY KEY); INSERT INTO p VALUES ('never');"
        "CREATE TABLE c (at DATETIME PRIMARY KEY REFERENCES p (at));"
        "CREATE TABLE d (id INTEGER PRIMARY KEY, at DATETIME REFERENCES c (at));"
        "INSERT INTO d VALUES (1, '2020-01-02 03:04:05.000000');"
        "CREATE TABLE number (id INTEGER PRIMARY KEY);"
        "CREATE TABLE uses (id INTEGER PRIMARY KEY, number_id NUMERIC REFERENCES number, at DATETIME REFERENCES number);"
        "INSERT INTO uses (at) VALUES ('2020-01-02 03:04:05.000000');"
        "CREATE TABLE day (at DATETIME PRIMARY KEY, other DATETIME REFERENCES day (at));"
        "CREATE TABLE token (id UUID PRIMARY KEY, parent UUID REFERENCES token (id));"
        "INSERT INTO token VALUES (x'00', NULL);",
        tmp_path,
    )
    written = re.findall(
        r"^    (?:at|id|number_id|other|parent): Mapped\[.*?\]", text, re.MULTILINE
    )
    assert sorted(line.strip() for line in written) == sorted(
        ["at: Mapped[str]"] * 2
        + ["at: Mapped[str | None]", "at: Mapped[Any]", "number_id: Mapped[Any]"]
        + ["at: Mapped[datetime.datetime]", "other: Mapped[datetime.datetime | None]"]
        + ["id: Mapped[bytes]", "parent: Mapped[bytes | None]"]
        + ["id: Mapped[int]"] * 3
    )
    assert [note.split()[0] for note in notes if "whose ends have types" in note] == [
        "c.at",
        "d.at",
        "token.parent",
        "uses.at",
        "uses.number_id",
    ]


WITH_T = """
CREATE TABLE e (id INTEGER PRIMARY KEY, at DATETIME, done TIMESTAMP, mixed DATETIME);
INSERT INTO e (at, done, mixed) VALUES
  ('2020-01-02T03:04:05', '2020-01-02T03:04', '2020-01-02T03:04:05'), ('2020-01-02T08:00:01.500', NULL, '2020-01-02 03:04:05');
"""


@pytest.mark.slow
@pytest.mark.parametrize("generator", GENERATORS)
def test_times_with_a_t_are_compared_and_written_with_it(
    generator: str, project: Path, tmp_path: Path, tool_cache: Path
) -> None:
    database = build(tmp_path / "times.db", WITH_T)
    printed = adopt(project, f"sqlite:///{database}", "--generator", generator)
    assert re.findall(r"(\w+\.\w+) holds times with a T before them and", printed) == ["e.mixed"]
    use = f"""
from datetime import datetime
from lossless.metadata import find_metadata
from shop_list import models
from sqlalchemy import create_engine, select

e = find_metadata(models).tables["e"]
early = select(e.c.at).where(e.c.at < datetime(2020, 1, 2, 8))
found = [datetime(2020, 1, 2, 3, 4, 5)]
with create_engine("sqlite:///{database}").begin() as connection:
    assert connection.scalars(early).all() == found
    literal = early.compile(connection, compile_kwargs=dict(literal_binds=True))
    assert connection.exec_driver_sql(str(literal)).all() == [("2020-01-02T03:04:05",)]
    connection.execute(e.insert().values(at=datetime(2021, 1, 1), done=datetime(2021, 1, 1)))
    connection.execute(e.insert().values(at=None))
"""
    rendering.run(sys.executable, "-c", use, cwd=project, PYTHONPATH="src:alembic")
    with closing(sqlite3.connect(database)) as connection:
        (written,) = connection.execute("SELECT at, done FROM e WHERE id = 3")
    assert written == ("2021-01-01T00:00:00.000000", "2021-01-01T00:00:00.000000")
    run(project, "alembic", "check")
    run(project, "mypy", "--cache-dir", str(tool_cache))
    run(project, "ruff", "check")


NOT_UTF8 = """
CREATE TABLE p (code VARCHAR(9) COLLATE NOCASE PRIMARY KEY NOT NULL, mixed, day DATE);
CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT REFERENCES p, note VARCHAR);
INSERT INTO p VALUES
  (CAST(x'FF4100C3' AS TEXT), CAST(x'80' AS TEXT), CAST(x'FE' AS TEXT)), ('b', x'80', NULL), ('B2', 5, NULL);
INSERT INTO c VALUES (1, 'b', 'well');
"""


def test_text_that_is_not_utf8_is_read_and_written_as_the_same_bytes(
    project: Path, tmp_path: Path
) -> None:
    database = build(tmp_path / "bytes.db", NOT_UTF8)
    printed = adopt(project, f"sqlite:///{database}")
    assert "is stored in p.code (1 value), p.day (1 value): UndecodedText" in printed
    assert "is stored in p.mixed (1 value): UndecodedAny" in printed
    assert "cannot be read" not in printed
    assert "note: Mapped[str | None] = mapped_column(String())" in models(project).read_text()
    use = f"""
import json
from shop_list.models import C, P
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

bad = b"\\xFFA\\0\\xC3".decode("utf-8", "surrogateescape")
with Session(create_engine("sqlite:///{database}")) as session:
    codes = select(P.code).order_by(P.code)
    assert session.scalars(codes).all() == ["b", "B2", bad]
    assert session.scalars(codes.where(P.code.in_([bad, "b2"]))).all() == ["B2", bad]
    assert session.scalars(codes.where(P.code.startswith("b"))).all() == ["b", "B2"]
    assert session.scalars(select(func.max(P.code))).one() == bad
    assert set(session.scalars(select(P.code).union(select(C.code)))) == {{"b", "B2", bad}}
    assert str(codes.where(P.code == "it's").compile(compile_kwargs=dict(literal_binds=True)))
    found = session.get_one(P, bad)
    assert (found.mixed, found.day) == ("\\udc80", "\\udcfe")
    assert session.scalars(select(P.mixed).order_by(P.code)).all() == [b"\\x80", 5, "\\udc80"]
    assert found.c == []
    found.c = [C(note="later")]
    found.day += bad
    session.commit()
    assert session.scalars(select(C).join(C.p).where(P.code == bad)).one().p is found
"""
    rendering.run(sys.executable, "-c", use, cwd=project, PYTHONPATH="src")
    with closing(sqlite3.connect(database)) as connection:
        ask = "SELECT hex(p.code), hex(day), typeof(day), hex(c.code) FROM p JOIN c USING (code) WHERE note = 'later'"
        assert connection.execute(ask).fetchall() == [
            ("FF4100C3", "FEFF4100C3", "text", "FF4100C3")
        ]


def test_text_that_is_not_utf8_is_migrated_by_its_declaration(
    project: Path, tmp_path: Path
) -> None:
    database = build(tmp_path / "bytes.db", NOT_UTF8)
    adopt(project, f"sqlite:///{database}")
    with models(project).open("a") as file:
        column = """code: Mapped[str] = mapped_column(Declared('VARCHAR(9)', UndecodedText()), primary_key=True)"""
        file.write(f"\n\nclass Copy(Base):\n    __tablename__ = 'copy'\n    {column}\n")
    run(project, "alembic", "revision", "--autogenerate", "-m", "copy")
    run(project, "alembic", "upgrade", "head")
    run(project, "alembic", "check")
    with closing(sqlite3.connect(database)) as connection:
        (column,) = connection.execute("PRAGMA table_info(copy)")
        assert column[1:4] == ("code", "VARCHAR(9)", 1)


def test_text_that_is_not_utf8_is_found_among_many_rows(project: Path, tmp_path: Path) -> None:
    database = tmp_path / "many.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT, c TEXT)")
        rows = (("\xe9", b"\xc3\xa9" if n < 2998 else b"\xe9") for n in range(3000))
        connection.executemany("INSERT INTO a (b, c) VALUES (?, CAST(? AS TEXT))", rows)
        connection.commit()
    assert "is stored in a.c (2 values): UndecodedText" in adopt(project, f"sqlite:///{database}")
    assert "b: Mapped[str | None] = mapped_column(Text())" in models(project).read_text()


def test_rows_are_looked_at_one_by_one_however_large_they_are(tmp_path: Path) -> None:
    database = build(
        tmp_path / "large.db",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, size INT, b BLOB AS (zeroblob(size)), c JSON AS ('\"' || hex(b) || '\"'));"
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 60)"
        "INSERT INTO a (size) SELECT 1000000 + n FROM n;",
    )
    native = SQLiteNative()
    with native.look(make_url(f"sqlite:///{database}")) as source:
        metadata = reflect(source)
        tracemalloc.start()
        notes = choose_types(metadata, metadata.tables.values(), source, native)
        assert read_rows(source, metadata) == (60, [])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40_000_000
    chosen = [column.info["fit"].python for column in metadata.tables["a"].columns]
    assert (chosen, notes) == (["int", "int", "bytes", "Any"], [])


def test_text_that_no_type_could_read_is_named(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "utf16.db",
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE a (b TEXT); INSERT INTO a VALUES (CAST(x'00D8' AS TEXT));",
    )
    printed = adopt(project, f"sqlite:///{database}")
    assert "rows of table 'a' cannot be read here: some text in it is not UTF-16le" in printed


def test_a_generated_column_that_fails_is_no_damage(project: Path, tmp_path: Path) -> None:
    database = build(
        tmp_path / "generated.db",
        "CREATE TABLE a (b TEXT); INSERT INTO a VALUES ('no JSON');"
        "ALTER TABLE a ADD COLUMN c TEXT AS (json_extract(b, '$.c'));",
    )
    assert "rows of table 'a' cannot be read here: malformed JSON" in adopt(
        project, f"sqlite:///{database}"
    )


def test_a_thousand_columns_are_adopted(project: Path, tmp_path: Path) -> None:
    database = tmp_path / "wide.db"
    with closing(sqlite3.connect(database)) as connection:
        columns = ", ".join(
            f"c{number} VARCHAR({number}) DEFAULT '{number}'" for number in range(1, 1001)
        )
        connection.execute(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
    adopt(project, f"sqlite:///{database}", "--schemas", "main")
    run(project, "alembic", "check")


def test_a_report_that_cannot_be_written_stops_before_anything_else(
    project: Path, database: Path
) -> None:
    before = snapshot(database)
    assert "cannot be written" in adopt(
        project, f"sqlite:///{database}", "--report", "no/such/r.md", status=1
    )
    assert "cannot be written" in adopt(
        project, f"sqlite:///{database}", "--report", "src", status=1
    )
    assert snapshot(database) == before


def test_a_table_that_the_models_cannot_create_keeps_no_other_back(
    project: Path, tmp_path: Path
) -> None:
    database = tmp_path / "defaults.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.create_collation("house", lambda one, other: (one > other) - (one < other))
        connection.executescript(
            "CREATE TABLE A (id INTEGER PRIMARY KEY, b TEXT COLLATE house);"
            "CREATE INDEX with_A ON A (b);"
            "CREATE TABLE Other (id TEXT COLLATE NOCASE, PRIMARY KEY (id DESC));"
            "CREATE TABLE third (id INTEGER PRIMARY KEY, b TEXT); CREATE INDEX ours ON third (b);"
            "CREATE INDEX theirs ON third (b COLLATE house);"
            "CREATE VIEW Open_Ones AS SELECT * FROM Other;"
        )
    printed = adopt(project, f"sqlite:///{database}")
    assert "cannot create table 'A':" in printed
    assert "cannot create table 'third' with index 'theirs':" in printed
    assert re.search(r"tables +3 +2 +1", printed)
    told = printed.partition("Not in the models")[2]
    assert "table 'A'\n" in told
    assert re.search(r"indexes +3 +2 +1", printed)
    assert "index 'with_A'\n" in told
    assert "table 'Other': PRIMARY KEY\n" in told
    assert "view 'Open_Ones'\n" in told


# -- what the models are called -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", GENERATORS)
def test_keys_over_the_same_columns_come_in_the_order_of_their_declaration(
    generator: str, tmp_path: Path
) -> None:
    targets = ["f", "b", "e", "a", "d", "c"]
    keys = "".join(f", FOREIGN KEY (x, y) REFERENCES {name}" for name in targets)
    sql = f"CREATE TABLE z (id INTEGER PRIMARY KEY, x INT, y INT{keys});" + "".join(
        f"CREATE TABLE {name} (x INT, y INT, PRIMARY KEY (x, y));" for name in targets
    )
    text, _ = generated(sql, tmp_path, generator)
    assert re.findall(r"ForeignKeyConstraint.*?'(\w)\.x'", text.replace("\n", "")) == targets
    found = re.findall(r"elationship\('(\w)'", text.partition("class Z")[2])
    assert found in ([], [name.upper() for name in targets])


@pytest.mark.parametrize("generator", GENERATORS)
def test_what_models_import_is_known_before_names_are_given(
    generator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imports(made: Corrections) -> dict[str, set[str]]:
        return {package: set(names) for package, names in made.imports.items()}

    def render_models(made: Corrections, models: list[Any]) -> str:
        before = imports(made)
        text = real(made, models)
        assert imports(made) == before
        return text

    real = Corrections.render_models
    monkeypatch.setattr(Corrections, "render_models", render_models)
    keys = "FOREIGN KEY (x, y) REFERENCES pair, FOREIGN KEY (y, x) REFERENCES pair"
    sql = (
        'CREATE TABLE "column" (id INTEGER PRIMARY KEY); CREATE TABLE log (line TEXT);'
        "CREATE TABLE pair (x INT, y INT, PRIMARY KEY (x, y));"
        f"CREATE TABLE two (id INTEGER PRIMARY KEY, x INT, y INT, {keys});"
        f"CREATE TABLE link (x INT, y INT, {keys});"
    )
    text, _ = generated(sql, tmp_path, generator)
    assert "class Column(" not in text


PASCAL_CASE = """
CREATE TABLE Employee (Id INTEGER PRIMARY KEY, Employee INT REFERENCES Employee(Id));
CREATE TABLE "Order" (Id INTEGER PRIMARY KEY, Item TEXT);
CREATE TABLE Item (Id INTEGER PRIMARY KEY, "Order" INT NOT NULL REFERENCES "Order"(Id));
CREATE TABLE Name (Id INTEGER PRIMARY KEY, Name TEXT);
"""


@pytest.mark.parametrize("generator", ["declarative", "dataclasses", "sqlmodels"])
def test_no_attribute_is_called_as_a_class_in_its_annotations(
    generator: str, tmp_path: Path
) -> None:
    text, _ = generated(PASCAL_CASE, tmp_path, generator)
    for body in re.split(r"^class ", text, flags=re.MULTILINE)[1:]:
        attributes = re.findall(r"^    (\w+):", body, re.MULTILINE)
        annotated = re.findall(r"^    \w+: (.*?) = ", body, re.MULTILINE)
        assert not {name for name in attributes for text in annotated if f"'{name}" in text}
    assert re.search(r"^    Name:", text, re.MULTILINE)


@pytest.mark.parametrize("generator", ["declarative", "dataclasses", "sqlmodels"])
def test_names_that_a_models_library_keeps_for_itself_can_be_adopted(
    generator: str, tmp_path: Path
) -> None:
    names = ["Config", "_sa_registry", "_sa_class_manager", "_sa_instance_state"]
    names += ["metadata", "registry", "model_config", "__table__", "__fields__", "_sa_anything"]
    columns = "".join(f', "{name}" TEXT' for name in names)
    text, _ = generated(f"CREATE TABLE a (id INTEGER PRIMARY KEY{columns})", tmp_path, generator)
    (tmp_path / "models.py").write_text(text)
    use = (
        "import models; from sqlalchemy.orm import configure_mappers;"
        "configure_mappers(); print([c.name for c in models.A.__table__.columns])"
    )
    printed = rendering.run(sys.executable, "-W", "error", "-c", use, cwd=tmp_path)
    assert all(repr(name) in printed for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["declarative", "dataclasses", "sqlmodels"])
def test_names_in_pascal_case_pass_mypy(
    generator: str, project: Path, tmp_path: Path, tool_cache: Path
) -> None:
    database = build(tmp_path / "pascal.db", PASCAL_CASE)
    adopt(project, f"sqlite:///{database}", "--generator", generator)
    run(project, "mypy", "--cache-dir", str(tool_cache))


# -- small parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "kept"),
    [
        (types.DateTime(), "2023-05-01", True),
        (types.DateTime(), "2023-05-01 10:20", True),
        (types.DateTime(), "2023-05-01 10:20:30", True),
        (types.DateTime(), "2023-05-01T10:20:30.123", True),
        (types.DateTime(), "2023-05-01 10:20:30.123456", True),
        (types.DateTime(), "2023-05-01 10:20:30+02:00", False),
        (types.DateTime(), "2023-05-01T10:20:30Z", False),
        (types.DateTime(), "2023-05-01T10:20:30.5", False),
        (types.TIMESTAMP(), "2023-05-01 10:20:30.1234567", False),
        (types.DateTime(), "20230501", False),
        (types.DateTime(), "2023-02-30", False),
        (types.DateTime(), "yesterday", False),
        (types.DateTime(), 1682936430, False),
        (types.Date(), "2023-05-01", True),
        (types.Date(), "2023-W01-1", False),
        (types.Date(), "2023-05-01 00:00:00", False),
        (types.Time(), "10:00", True),
        (types.Time(), "10:00:00.123456", True),
        (types.Time(), "10:00+02:00", False),
    ],
)
def test_a_moment_is_read_as_one_only_if_it_can_be_written_again(
    type_: types.TypeEngine[Any], value: object, kept: bool
) -> None:
    chosen = fit(Column("c", type_), lambda: [None, value], lambda: [], dialect())
    assert (isinstance(chosen.type, type(type_)), chosen.misfit == "") == (kept, kept)


@pytest.mark.parametrize("type_", [types.DateTime(), types.JSON(), types.DECIMAL(5, 2)])
def test_values_that_take_too_long_to_look_at_are_not_called_misfits(
    type_: types.TypeEngine[Any],
) -> None:
    def endless() -> Iterator[Any]:
        yield None
        raise TooMany

    chosen = fit(Column("c", type_), lambda: [None], endless, dialect())
    assert chosen.python == "Any"
    assert "looked at in time" in chosen.misfit


def test_dotenv_keeps_other_lines_and_every_character() -> None:
    from dotenv import dotenv_values

    url = r"postgresql://u:it's \a$HOME#%@h/d"
    text = dotenv("A=1\nexport DATABASE_URL=x\nB=2\n", url)
    assert dotenv_values(stream=StringIO(text), interpolate=False) == {
        "A": "1",
        "DATABASE_URL": url,
        "B": "2",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DATABASE_URL=a\nB=2\nDATABASE_URL=b\nC=3\n", "DATABASE_URL=a\nB=2\nNEW\nC=3\n"),
        ("DATABASE_URL = 'a'  # mine\n# DATABASE_URL=b\n", "NEW\n# DATABASE_URL=b\n"),
        ("  export DATABASE_URL=a\n", "  export NEW\n"),
        ("A=1\r\nDATABASE_URL=a\r\nB=2\r\n", "A=1\r\nNEW\r\nB=2\r\n"),
        ("DATABASE_URL=a\nDATABASE_URL\n", "DATABASE_URL=a\nNEW\n"),
        ("DATABASE_URL=a\n'DATABASE_URL'=b", "DATABASE_URL=a\nNEW"),
        ("DATABASE_URL_OF_TESTS=a\r\nA=1", "DATABASE_URL_OF_TESTS=a\r\nA=1\r\nNEW\r\n"),
        ("\ufeffDATABASE_URL=a\n", "\ufeffDATABASE_URL=a\nNEW\n"),
        ("", "NEW\n"),
    ],
)
def test_dotenv_replaces_the_address_that_counts(before: str, after: str) -> None:
    from dotenv import dotenv_values

    text = dotenv(before, "new")
    assert text == after.replace("NEW", "DATABASE_URL='new'")
    assert dotenv_values(stream=StringIO(text))["DATABASE_URL"] == "new"


def test_the_version_table_is_written_into_its_section() -> None:
    before = "[alembic]\nscript_location = x\n[loggers]\nkeys = root\n"
    after = ini_with_version_table(before, "mine")
    assert after.index("[alembic]") < after.index("version_table = mine") < after.index("[loggers]")
    assert ini_with_version_table(after, "other").count("version_table") == 1


def test_a_schema_of_our_own_is_adopted_by_a_project_named_like_a_table(
    template: Path, tmp_path: Path
) -> None:
    made = rendering.render(
        template,
        tmp_path / "album",
        package_name="album",
        existing_database_url="sqlite:////nowhere/x.db",
    )
    script = tmp_path / "schema.sql"
    script.write_text(SCHEMA)
    adopt(made, f"sqlite:///{load(script, tmp_path / 'data.db')}")
    run(made, "alembic", "check")


def test_an_error_that_ends_the_transaction_is_the_one_that_is_told(tmp_path: Path) -> None:
    database = build(tmp_path / "data.db", "CREATE TABLE x (n UNIQUE ON CONFLICT ROLLBACK)")
    with (
        pytest.raises(CommandError, match=r"UNIQUE constraint failed: x\.n"),
        SQLiteNative().writing(make_url(f"sqlite:///{database}")) as writing,
    ):
        writing.exec_driver_sql("INSERT INTO x VALUES (1), (1)")


def test_a_virtual_table_that_is_there_already_is_not_entered_again(tmp_path: Path) -> None:
    statement = "CREATE VIRTUAL TABLE f USING fts5(x)"
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
        with pytest.raises(OperationalError, match="table f already exists"):
            execute_with_standins(connection, statement)
        found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'f'")
        assert found.scalar() == 1
    engine.dispose()
