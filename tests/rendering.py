"""Render projects the way a person does: a real Copier, a real template repository, a real git.

The template is the working tree with its uncommitted changes, committed and tagged in a clone, as
Copier takes the newest tag and no dirty tree.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy

REPOSITORY = Path(__file__).resolve().parents[1]
NO_SHELL = "no sqlite3 shell on the PATH: most systems have it in a package called sqlite3"

# What a person's own settings would change is left out of the tests' processes.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name
    not in (
        "DATABASE_URL",
        "ALEMBIC_LOCK_TIMEOUT",
        "VIRTUAL_ENV",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTEST_ADDOPTS",
    )
    and not name.startswith(("COPIER_", "GIT_"))
} | {
    "XDG_CONFIG_HOME": os.devnull,
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@example.com",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "NO_COLOR": "1",
}


def run(*command: str | Path, cwd: Path, status: int | None = 0, **environment: str) -> str:
    """Run a command; give its output and errors together.

    Args:
        status: the exit status that is expected; None for any.
        environment: variables to add.
    """
    # A project's pytest takes any warning for an error, and warns if another run clears away the
    # same folders of earlier runs. So each has a place of its own for them.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        ended = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=ENVIRONMENT | {"PYTEST_DEBUG_TEMPROOT": own} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
    if status is not None:
        assert ended.returncode == status, f"{command}: {ended.returncode}\n{ended.stdout}"
    return ended.stdout


def sqlite3_shell(*arguments: str | Path, cwd: Path) -> str:
    """Run SQLite's own shell; the test is skipped on a machine without it."""
    if shutil.which("sqlite3") is None:
        pytest.skip(NO_SHELL)
    return run("sqlite3", *arguments, cwd=cwd)


def git(*arguments: str, cwd: Path) -> str:
    return run("git", *arguments, cwd=cwd)


def python(
    module: str, *arguments: str, cwd: Path, status: int | None = 0, **environment: str
) -> str:
    """Run one of the tools of the tests' own environment, such as alembic, in a project."""
    return run(sys.executable, "-m", module, *arguments, cwd=cwd, status=status, **environment)


def tagged_clone(destination: Path, tag: str) -> Path:
    """Clone the repository, add what is not committed yet, and tag the result."""
    git("clone", "--quiet", "--no-local", str(REPOSITORY), str(destination), cwd=REPOSITORY)
    changed = git("ls-files", "--modified", "--others", "--exclude-standard", "-z", cwd=REPOSITORY)
    for name in filter(None, changed.split("\0")):
        source, target = REPOSITORY / name, destination / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
        else:
            target.unlink(missing_ok=True)
    commit(destination, f"Version {tag}")
    git("tag", tag, cwd=destination)
    return destination


def commit(repository: Path, message: str) -> None:
    """Commit everything there is, ignored files left out; begin a repository if there is none."""
    if not (repository / ".git").exists():
        git("init", "--quiet", "--initial-branch=main", cwd=repository)
    git("add", "--all", cwd=repository)
    git("commit", "--quiet", "--allow-empty", "--message", message, cwd=repository)


def render(template: Path, destination: Path, **answers: Any) -> Path:
    """Render the template without running its tasks; give the project's folder."""
    run_copy(str(template), destination, data=answers, defaults=True, quiet=True, skip_tasks=True)
    return destination


def used(project: Path) -> Path:
    """A project as its first commands leave it, with bytecode; copies need not compile it again."""
    compileall.compile_dir(project / "alembic", quiet=1)
    return project


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, git's own and caches left out."""
    left_out = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not left_out & set(path.relative_to(folder).parts)
    }
