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
from updating import NEW, edit, owned, refused, update

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
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(
        '#!/bin/sh\ncase "$*" in *"apply --reject"*) kill -9 $PPID; exit 1;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    git.chmod(0o755)
    update(project, status=-9, PATH=f"{git.parent}{os.pathsep}{rendering.ENVIRONMENT['PATH']}")
    assert "The owner's line" not in (project / "alembic.ini").read_text()
    rendering.run("sh", "-c", "git add -u && git stash && git stash -u", cwd=project)
    return project


@pytest.mark.skipif("sys.platform == 'win32'", reason="processes end otherwise there")
@pytest.mark.parametrize("times", [1, 2])
def test_what_git_does_not_have_is_merged_after_an_interruption_as_without(
    times: int, interrupted: Path, tmp_path: Path
) -> None:
    if times == 2:
        kill = f"{tmp_path / 'bin'}{os.pathsep}{rendering.ENVIRONMENT['PATH']}"
        update(interrupted, status=-9, PATH=kill)
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
