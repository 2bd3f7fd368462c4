"""An update that cannot be, or is interrupted: it says why, and nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rendering
from updating import NEW, SHARED, edit, owned, refused, update

KILLS = int(os.environ.get("UPDATE_KILLS", "4"))
ANSWERS = ".copier-answers.yml"


@pytest.fixture
def project(lived_in: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in, tmp_path / "shop-list"))


def test_changes_that_are_not_committed(project: Path) -> None:
    (project / "README.md").write_text("Mine\n")
    refused(project, "Please commit or stash your local changes and retry.")


def test_a_left_over_rejection_that_git_ignores(project: Path) -> None:
    with (project / ".gitignore").open("a") as file:
        file.write("*.rej\n")
    rendering.commit(project, "Ignore")
    (project / "mine.rej").write_text("mine\n")
    refused(project, "Nothing was changed: mine.rej is left over from a merge")


def test_not_in_git(project: Path) -> None:
    shutil.rmtree(project / ".git")
    refused(project, "Updating is only supported in git-tracked subprojects.")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda answers: answers.unlink(), "cannot obtain old template references"),
        (lambda answers: edit(answers, "\n_src_path", "\n_source"), "cannot obtain old template"),
        (lambda answers: edit(answers, "_commit", "_revision"), "cannot obtain old template"),
        (lambda answers: edit(answers, "license: MIT", "license: GPL"), '"GPL" is none of MIT'),
        (lambda answers: edit(answers, "ci: github", "ci: 3"), '"3" is none of github'),
        (lambda answers: edit(answers, "license: MIT", "license:"), "license: it has no value"),
        (lambda answers: edit(answers, "name: Shop List", "name: [a, b]"), "not several values"),
        (lambda answers: edit(answers, "adopted: false", "adopted: maybe"), "neither true nor"),
        (lambda answers: edit(answers, "name: shop_list", "name: 1 x"), "no Python package name"),
        (lambda answers: edit(answers, "_path: ", "_path: /gone"), "git-tracked templates"),
    ],
)
def test_an_answers_file_that_was_edited_or_lost(
    project: Path, change: Callable[[Path], None], reason: str
) -> None:
    change(project / ANSWERS)
    rendering.commit(project, "Edited")
    refused(project, reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda answers: edit(answers, "ci: ", "ci: ["), f'{ANSWERS}", line '),
        (lambda answers: edit(answers, "_commit: ", "_commit: 8"), "Unknown revision: '8"),
    ],
)
def test_an_answers_file_that_copier_cannot_use_at_all(
    project: Path, change: Callable[[Path], None], reason: str
) -> None:
    """Copier ends with a traceback before it has seen the template; its last lines name the place."""
    change(project / ANSWERS)
    rendering.commit(project, "Edited")
    refused(project, reason, traceback=True)


def test_answers_that_are_gone_are_taken_from_the_defaults(project: Path) -> None:
    answers = project / ANSWERS
    kept = [line for line in answers.read_text().splitlines() if line.startswith(("_", "project"))]
    answers.write_text("\n".join(kept) + "\n")
    rendering.commit(project, "Edited")
    before = owned(project)
    update(project)
    assert owned(project) == before
    rendering.python("alembic", "check", cwd=project)


def test_a_template_that_moved_is_found_by_its_new_address(
    project: Path, history: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(history, tmp_path / "moved")
    edit(project / ANSWERS, f"_src_path: {history}", f"_src_path: {moved}")
    rendering.commit(project, "The template has moved")
    update(project)
    assert f"_src_path: {moved}" in (project / ANSWERS).read_text()


def test_an_older_version_is_refused(project: Path) -> None:
    refused(project, "Downgrades are not supported.", version="0.1.0")


def started(project: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--trust", "-r", NEW]
    return subprocess.Popen(
        command,
        cwd=project,
        env=rendering.ENVIRONMENT,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def before_update(lived_in: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with conflicts to come, and an ignored file of a name that comes."""
    project = Path(shutil.copytree(lived_in, tmp_path_factory.mktemp("killed") / "shop-list"))
    with (project / "alembic.ini").open("a") as file:
        file.write("# My new line.\n")
    with (project / ".gitignore").open("a") as file:
        file.write("notes.txt\n")
    rendering.commit(project, "Mine")
    (project / "notes.txt").write_text("mine\n")
    return project


@pytest.fixture(scope="module")
def undisturbed(
    before_update: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The project after an update, and how long that took."""
    project = shutil.copytree(before_update, tmp_path_factory.mktemp("whole") / "shop-list")
    start = time.monotonic()
    update(Path(project))
    return Path(project), time.monotonic() - start


@pytest.mark.slow
@pytest.mark.skipif("sys.platform == 'win32'", reason="processes end otherwise there")
@pytest.mark.parametrize("number", range(KILLS))
def test_an_interrupted_update_can_be_put_away_and_repeated(
    number: int,
    before_update: Path,
    undisturbed: tuple[Path, float],
    tmp_path: Path,
) -> None:
    whole, duration = undisturbed
    project = Path(shutil.copytree(before_update, tmp_path / "shop-list"))
    before = owned(project)
    # Spread over the whole update, with a fixed seed so that a failure can be repeated.
    moment = (number + random.Random(number).random()) / KILLS * duration
    process = started(project)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT if number == 2 else signal.SIGKILL)
    process.wait()
    assert owned(project) == before, moment
    (project / ".git" / "index.lock").unlink(missing_ok=True)  # git says that one has to
    if rendering.git("status", "--porcelain", cwd=project):
        again = update(project, status=1)
        assert "Please commit or stash your local changes" in again
        # Twice, as .gitignore may be half written: .env must not get into the stash.
        rendering.run("sh", "-c", "git add -u && git stash && git stash -u", cwd=project)
    update(project)
    assert owned(project) == before, moment
    kept = {path.name for path in project.glob("notes.txt*") if path.read_text() == "mine\n"}
    assert kept, moment
    after, expected = rendering.files(project), rendering.files(whole)
    for path in expected.keys() - {"notes.txt"}:
        assert after[path] == expected[path], f"{path}, interrupted after {moment:.2f} s"


def ended_by(folder: Path, words: str, signal: str) -> dict[str, str]:
    """Variables with which who calls git with these words gets a signal."""
    folder.mkdir(exist_ok=True)
    (folder / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *"{words}"*) kill -{signal} $PPID; exit 1;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{rendering.ENVIRONMENT['PATH']}"}


@pytest.fixture
def interrupted(project: Path, tmp_path: Path) -> Path:
    """A project with lines that git does not have, updated as far as Copier's merge, put away."""
    with (project / ".gitignore").open("a") as file:
        file.write("/alembic.ini\n/notes.txt\n")
    rendering.git("rm", "--quiet", "--cached", "alembic.ini", cwd=project)
    rendering.commit(project, "Ignore")
    (project / "notes.txt").write_text("mine\n")
    for path, mark in {"README.md": "skip-worktree", "pyproject.toml": "assume-unchanged"}.items():
        with (project / path).open("a") as file:
            file.write("# Mine, and secret.\n")
        rendering.git("update-index", f"--{mark}", path, cwd=project)
    shutil.copytree(project, tmp_path / "whole")
    update(project, status=-9, **ended_by(tmp_path / "bin", "apply --reject", "KILL"))
    assert "The owner's line" not in (project / "alembic.ini").read_text()
    rendering.run("sh", "-c", "git add -u && git stash && git stash -u", cwd=project)
    return project


@pytest.mark.skipif("sys.platform == 'win32'", reason="processes end otherwise there")
@pytest.mark.parametrize("times", [1, 2])
def test_what_git_does_not_have_is_merged_after_an_interruption_as_without(
    times: int, interrupted: Path, tmp_path: Path
) -> None:
    if times == 2:
        update(interrupted, status=-9, **ended_by(tmp_path / "bin", "apply --reject", "KILL"))
        rendering.run("sh", "-c", "git add -u && git stash && git stash -u", cwd=interrupted)
    update(interrupted)
    update(tmp_path / "whole")
    expected = rendering.files(tmp_path / "whole")
    assert b"The owner's line" in expected["alembic.ini"]
    assert rendering.files(interrupted) == expected
    index = ["ls-files", "-v", "README.md", "pyproject.toml"]
    assert rendering.git(*index, cwd=interrupted) == rendering.git(*index, cwd=tmp_path / "whole")


@pytest.mark.skipif("sys.platform == 'win32'", reason="processes end otherwise there")
@pytest.mark.parametrize("ignored", [True, False])
def test_work_since_an_interruption_is_not_undone(ignored: bool, interrupted: Path) -> None:
    files = interrupted / ".git" / "copier-update" / "files" / "owner"
    shutil.copyfile(files / "alembic.ini", interrupted / "alembic.ini")
    edit(interrupted / "alembic.ini", "# The owner's line.\n", "# Newer work.\n")
    if not ignored:
        edit(interrupted / ".gitignore", "/alembic.ini\n", "")
        rendering.commit(interrupted, "Newer")
    assert "is in .git/copier-update/earlier/alembic.ini\n" in update(interrupted)
    text = (interrupted / "alembic.ini").read_text()
    assert "# Newer work.\n" in text
    assert "The owner's line" not in text
    earlier = interrupted / ".git" / "copier-update" / "earlier" / "alembic.ini"
    assert "# The owner's line.\n" in earlier.read_text()


@pytest.mark.skipif("sys.platform == 'win32'", reason="processes end otherwise there")
def test_what_an_interruption_left_is_no_base_of_a_later_update(
    project: Path, tmp_path: Path
) -> None:
    """Its owner took it for done: at the end of an update all that is theirs is back already."""
    with (project / ".gitignore").open("a") as file:
        file.write("/alembic.ini\n")
    rendering.git("rm", "--quiet", "--cached", "alembic.ini", cwd=project)
    rendering.commit(project, "Ignore")
    said = update(project, status=1, **ended_by(tmp_path / "bin", "--diff-filter=U", "INT"))
    assert "The update stopped half-way: interrupted.\nTake it back: git add -u && " in said
    assert "Traceback" not in said.partition("half-way")[0]
    merged = (project / "alembic.ini").read_text()
    assert "# The owner's line." in merged
    assert SHARED["alembic.ini"] in merged
    rendering.commit(project, "Take it for done")
    assert "alembic.ini: changed since" in update(project)
    assert (project / "alembic.ini").read_text() == merged


def test_a_store_that_was_written_in_part_is_put_away(project: Path) -> None:
    store = project / ".git" / "copier-update" / "files"
    (store / "owner").mkdir(parents=True)
    (store / "owner" / "alembic.ini").write_text("# Mine.\n")
    (store / "memory.json").write_text('{"answers_file": ".cop')
    kept = ".git/copier-update/earlier/alembic.ini"
    assert (
        f"alembic.ini: changed since an update was interrupted; what it was before is in {kept}"
        in (update(project))
    )
    assert (project / kept).read_text() == "# Mine.\n"


@pytest.mark.skipif("sys.platform == 'win32'", reason="one cannot ask for processes there")
def test_another_update_at_the_same_time_is_refused(project: Path, tmp_path: Path) -> None:
    note = project / ".git" / "copier-update" / "files" / "at-work"
    note.parent.mkdir(parents=True)
    note.write_text(f"{os.getpid()} {tmp_path}")
    refused(project, f"another update is at work here, process {os.getpid()}.")
    note.write_text(f"{os.getpid()} {tmp_path / 'gone'}")  # that number is another program's now
    update(project)


def test_another_update_in_between_ends_this_one(project: Path) -> None:
    hook = rendering.REPOSITORY / "hooks" / "update.py"
    versions = {f"VERSION_{end}": "HEAD" for end in ("FROM", "TO")}
    rendering.run(sys.executable, hook, "before", ANSWERS, "True", cwd=project, **versions)
    (project / ".git" / "copier-update" / "files" / "at-work").write_text("1 another")
    said = rendering.run(sys.executable, hook, "after", ANSWERS, "True", cwd=project, status=1)
    assert said.startswith("Another update was at work here at the same time")
    assert (project / ".git" / "copier-update" / "files" / "memory.json").exists()


def test_what_a_system_refuses_is_said_in_a_line(project: Path) -> None:
    (project / ".git" / "copier-update" / "files" / "answers.yml").mkdir(parents=True)
    said = refused(project, "No file was changed: [Errno ")
    assert "answers.yml" in said


def test_a_setting_of_pythons_that_hides_modules_beside_a_program(project: Path) -> None:
    update(project, PYTHONSAFEPATH="1")


def test_another_package_or_database_leaves_work_that_is_told(project: Path) -> None:
    printed = update(project, "--data", "package_name=other", "--data", "database=postgresql")
    assert "git mv src/shop_list src/other " in printed
    assert "The database is now postgresql, was sqlite;" in printed


def test_a_comment_behind_an_answer_is_no_part_of_it(project: Path) -> None:
    edit(project / ANSWERS, "package_name: shop_list", "package_name: 'shop_list'  # the package")
    rendering.commit(project, "Say what it is")
    assert "The package is now" not in update(project)


def test_news_are_told_where_not_all_letters_can_be(project: Path) -> None:
    assert "- Old \\u2192 new." in update(project, PYTHONIOENCODING="cp1252")
