"""The post-generation hook: what it sets up, and what it leaves behind when something fails."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import rendering
from rendering import REPOSITORY, run

HOOK = REPOSITORY / "hooks" / "post_generation.py"
TOOLS = Path(sys.executable).parent


def path_with(folder: Path, *programs: str) -> str:
    """A PATH with the system's programs and these, but no other installer of Python packages."""
    folder.mkdir()
    system = {
        program.name: program
        for directory in os.defpath.split(os.pathsep)
        for program in Path(directory).glob("*")
    }
    for name in system.keys() - {"uv", "poetry"}:
        (folder / name).symlink_to(system[name])
    for name in programs:
        found = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
        assert found, f"{name} is missing: the README's test command installs it"
        (folder / name).symlink_to(found)
    return str(folder)


def copy(template: Path, destination: Path, *options: str, **environment: str) -> str:
    """`copier copy --trust` as a person types it; what is printed."""
    return run(
        sys.executable, "-m", "copier", "copy", "--trust", "--defaults", *options, template,
        destination, cwd=destination.parent, **environment,
    )  # fmt: skip


def by_hand(output: str) -> list[str]:
    """The commands that the hook prints for a person to go on with."""
    after = output.split("To go on")[1]
    return [line.strip() for line in after.splitlines() if line.startswith("  ")]


def in_project(project: Path, program: str) -> Path:
    return project / ".venv" / ("Scripts" if os.name == "nt" else "bin") / program


def test_the_hook_needs_nothing_but_the_standard_library() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(HOOK.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_the_hook_is_short_enough_to_be_read_before_it_is_trusted() -> None:
    assert len(HOOK.read_text("utf-8").splitlines()) <= 240


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_new_project_is_installed_and_migrated(
    template: Path, tmp_path: Path, installer: str
) -> None:
    programs = ["uv"] if installer == "uv" else []
    project = tmp_path / "shop-list"
    output = copy(template, project, PATH=path_with(tmp_path / "bin", *programs))

    assert f"Installing with {installer}" in output
    assert len(by_hand(output)) == 3
    assert "(head)" in run(in_project(project, "alembic"), "current", cwd=project)
    assert "passed" in run(in_project(project, "pytest"), "-q", cwd=project)


def test_setup_false_renders_files_only(template: Path, tmp_path: Path) -> None:
    copy(template, tmp_path / "shop-list", "--data", "setup=false")
    assert not (tmp_path / "shop-list" / ".venv").exists()
    with sqlite3.connect(tmp_path / "shop-list" / "shoplist.db") as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)
    connection.close()


@pytest.mark.slow
def test_without_a_network_the_project_stays_and_the_printed_commands_finish_it(
    template: Path, tmp_path: Path
) -> None:
    project, path = tmp_path / "shop-list", path_with(tmp_path / "bin", "uv")
    output = copy(
        template, project, PATH=path, UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache")
    )

    assert "Installing with uv failed" in output
    assert "Traceback" not in output
    assert rendering.files(project).keys() >= {"pyproject.toml", "alembic.ini", "shoplist.db"}
    for command in by_hand(output):
        subprocess.run(
            command, shell=True, cwd=project, check=True, env=os.environ | {"PATH": path}
        )
    assert "(head)" in run(in_project(project, "alembic"), "current", cwd=project)


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_hook_says_how_to_go_on(project: Path, tmp_path: Path, kill: int) -> None:
    """Its exit status is 0: Copier deletes a new project whose task fails."""
    slow = tmp_path / "bin" / "uv"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\necho started > started\nexec sleep 60\n")
    slow.chmod(0o755)
    running = subprocess.Popen(
        [sys.executable, str(HOOK), "migrate"],
        cwd=project,
        env=rendering.ENVIRONMENT | {"PATH": f"{slow.parent}{os.pathsep}{os.defpath}"},
        stdout=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not (project / "started").exists():
        assert running.poll() is None
    running.send_signal(kill)
    output, _ = running.communicate(timeout=10)

    assert running.returncode == 0
    assert "Interrupted." in output
    assert by_hand(output)[-1].endswith("alembic upgrade head")


def hook(project: Path, *arguments: str, **environment: str) -> tuple[str, list[str]]:
    """Run the hook with a uv that only notes its arguments; what is printed, and those."""
    uv = project.parent / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text('#!/bin/sh\necho "$@" >> uv-was-called-with\n')
    uv.chmod(0o755)
    path = f"{uv.parent}{os.pathsep}{os.defpath}"
    output = run(sys.executable, HOOK, *arguments, cwd=project, PATH=path, **environment)
    noted = project / "uv-was-called-with"
    return output, noted.read_text().splitlines() if noted.exists() else []


def test_a_path_is_told_where_not_all_letters_can_be(project: Path) -> None:
    output, _ = hook(project.rename(project.with_name("Λ")), "install", PYTHONIOENCODING="cp1252")
    assert "\\u039b" in output
    assert "Traceback" not in output


def test_words_of_an_installer_that_are_no_text_here_do_not_end_the_hook(project: Path) -> None:
    """An exception in it would have Copier delete the project."""
    uv = project.parent / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\nprintf 'no network \\351\\n'\nexit 1\n")
    uv.chmod(0o755)
    output = run(
        sys.executable, HOOK, "install", cwd=project, PATH=f"{uv.parent}{os.pathsep}{os.defpath}"
    )
    assert "no network" in output
    assert by_hand(output)


def test_an_environment_that_works_is_kept(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    _, calls = hook(project, "install")
    assert [call.split()[0] for call in calls] == ["pip"]


def test_an_environment_that_was_left_half_made_is_completed(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "pyvenv.cfg").write_text("version = 3\n")
    _, calls = hook(project, "install")
    assert [call.split()[0] for call in calls] == ["venv", "pip"]


def test_a_new_project_is_not_taken_for_half_a_one(project: Path) -> None:
    assert "there is no" not in hook(project, "install")[0]


def test_an_old_pip_that_cannot_be_upgraded_is_the_reason_that_is_named(project: Path) -> None:
    """`pip install --upgrade pip` succeeds without a network; only what it must become tells."""
    program = (
        "import runpy, sys; hook = runpy.run_path(sys.argv[1]); install = hook['install_commands'];"
        "install.__globals__.update(knows_dependency_groups=lambda: False);"
        "install.__globals__['shutil'].which = lambda _: None;"
        "print([command[-1] for _, command, _ in install()])"
    )
    output = run(sys.executable, "-c", program, HOOK, cwd=project)
    assert ast.literal_eval(output)[-2] == "pip>=25.1"


def test_a_copy_that_was_stopped_half_way_is_noticed(project: Path) -> None:
    for test in (project / "tests").glob("*.py"):
        test.unlink()
    output, _ = hook(project, "install")
    assert "there is no test in tests/" in output
    assert "copy again into an empty folder" in output


def test_without_git_the_project_is_made_and_told_what_an_update_needs(
    template: Path, tmp_path: Path
) -> None:
    project, path = tmp_path / "shop-list", path_with(tmp_path / "bin")
    (tmp_path / "bin" / "git").unlink()
    told = "before the first update, copy the template"
    assert told in copy(template, project, "--skip-tasks", PATH=path)
    answers = project / ".copier-answers.yml"
    assert "_commit" not in answers.read_text("utf-8")
    again = copy(template, project, "--skip-tasks", "--overwrite")
    assert told not in again
    assert "_commit" in answers.read_text("utf-8")


def test_a_project_copied_again_keeps_what_its_owner_wrote(template: Path, project: Path) -> None:
    models = project / "src" / "shop_list" / "models.py"
    models.write_text("# mine\n")
    (project / ".env").write_text("DATABASE_URL='sqlite:///mine.db'\n")
    (project / "shoplist.db").write_bytes(b"mine")
    (project / "alembic" / "versions" / "5d0c1f7a9e34_create_item.py").unlink()
    (project / "tests" / "test_item.py").unlink()
    before = rendering.files(project)

    output = copy(template, project, "--overwrite", "--skip-tasks")

    assert rendering.files(project) == before
    assert "Look at `git diff`" in output
    assert "git init" not in output


def test_recopy_keeps_what_the_owner_wrote_and_renews_the_rest(
    template: Path, project: Path
) -> None:
    models = project / "src" / "shop_list" / "models.py"
    models.write_text("# mine\n")
    (project / "alembic" / "lossless" / "backend.py").write_text("# broken\n")
    before = rendering.files(project)

    run(
        sys.executable, "-m", "copier", "recopy", "--skip-tasks", "--overwrite", "--defaults",
        cwd=project,
    )  # fmt: skip

    after = rendering.files(project)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"alembic/lossless/backend.py"}


def test_a_folder_with_files_of_its_own_is_not_overwritten(template: Path, tmp_path: Path) -> None:
    mine = tmp_path / "shop-list" / "README.md"
    mine.parent.mkdir()
    mine.write_text("mine")
    output = run(
        sys.executable, "-m", "copier", "copy", "--defaults", "--skip-tasks", template,
        mine.parent, cwd=tmp_path, status=1,
    )  # fmt: skip
    assert "README.md" in output
    assert mine.read_text() == "mine"


@pytest.mark.slow
def test_a_new_project_whose_server_is_not_there_is_installed_and_says_how_to_go_on(
    template: Path, tmp_path: Path
) -> None:
    project = tmp_path / "shop-list"
    path = path_with(tmp_path / "bin", "uv")
    output = copy(template, project, "--data", "database=mariadb", PATH=path, MYSQL_TCP_PORT="9")
    assert "Cannot connect to mariadb" in output
    assert "yours belongs in .env" in output
    assert "Traceback" not in output
    assert by_hand(output)[-1].endswith("alembic upgrade head")
    assert "passed" in run(in_project(project, "pytest"), "-q", cwd=project)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///missing.db", "missing.db"),
        ("sqlite:///text.db", "not an SQLite database"),
    ],
)
def test_a_database_that_cannot_be_adopted_leaves_a_working_project_and_the_way_on(
    template: Path, tmp_path: Path, url: str, words: str
) -> None:
    (tmp_path / "text.db").write_text("just some text, longer than a header would be" * 9)
    before = sorted(path.name for path in tmp_path.iterdir())
    project = tmp_path / "shop-list"
    path = path_with(tmp_path / "bin", "uv")
    output = copy(template, project, "--data", f"existing_database_url={url}", PATH=path)

    assert words in output
    assert "Traceback" not in output
    assert re.search(r"alembic.adopt\.py --generator declarative", by_hand(output)[-1])
    assert "correct it there, or write another behind the command" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "bin", "shop-list"])
    assert run(in_project(project, "alembic"), "history", cwd=project) == ""


@pytest.mark.parametrize("dialect", ["postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("options", [(), ("--skip-tasks",)])
def test_a_database_on_a_server_is_not_adopted_but_the_steps_by_hand_are_named(
    template: Path, tmp_path: Path, dialect: str, options: tuple[str, ...]
) -> None:
    project, path = tmp_path / "shop-list", path_with(tmp_path / "bin")
    (tmp_path / "bin" / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "uv").chmod(0o755)
    url = f"existing_database_url={dialect}://me:hunter2@127.0.0.1:9/shop"
    output = copy(template, project, "--data", url, *options, PATH=path)

    assert "Traceback" not in output
    assert "hunter2" not in output
    assert not re.search(r"python\S* alembic.adopt", output)
    assert "--autogenerate" not in output
    assert 'README.md, under "Adopt a database"' in output
    assert "## Adopt a database" in (project / "README.md").read_text("utf-8")
    if not options:
        assert [command.split("/")[-1] for command in by_hand(output)] == ["shop-list", "pytest"]


@pytest.mark.slow
def test_an_existing_database_is_adopted_and_lives_on(template: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old shop.db") as connection:
        connection.executescript(
            """
            CREATE TABLE shelf (id INTEGER PRIMARY KEY, label TEXT NOT NULL COLLATE NOCASE);
            CREATE TABLE book (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                title VARCHAR(100) NOT NULL DEFAULT '100% ''new''' CHECK (title <> ''),
                shelf_id INTEGER REFERENCES shelf ON DELETE CASCADE
            );
            CREATE INDEX book_title ON book (title DESC);
            INSERT INTO shelf VALUES (1, 'Poetry');
            INSERT INTO book (title, shelf_id) VALUES ('Odes', 1);
            """
        )
    connection.close()
    project = tmp_path / "shop-list"
    output = copy(
        template, project, "--data", "existing_database_url=sqlite:///old shop.db",
        PATH=path_with(tmp_path / "bin", "uv"),
    )  # fmt: skip

    assert len(by_hand(output)) == 3, output
    if os.name == "posix":
        assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    alembic = in_project(project, "alembic")
    assert "No new upgrade operations" in run(alembic, "check", cwd=project)
    assert "passed" in run(in_project(project, "pytest"), "-q", cwd=project)
    models = project / "src" / "shop_list" / "models.py"
    text = models.read_text("utf-8")
    models.write_text(re.sub(r"( +)label: .*\n", r"\g<0>\1room: Mapped[str | None]\n", text))
    run(alembic, "revision", "--autogenerate", "-m", "add room", cwd=project)
    run(alembic, "upgrade", "head", cwd=project)
    with sqlite3.connect(tmp_path / "old shop.db") as connection:
        rows = connection.execute("SELECT title, label, room FROM book, shelf").fetchall()
    connection.close()
    assert rows == [("Odes", "Poetry", None)]
