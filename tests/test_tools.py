"""A project in the hands of Poetry, uv and pip, as their users know them; and on every Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

import rendering
from rendering import python, run

# Some package registries lack the interface that Poetry's resolver asks for; its plugin uses the plain one.
MIRROR = {"POETRY_PYPI_MIRROR_URL": PyPI.simple_url}
BIN = "Scripts" if os.name == "nt" else "bin"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def interpreter(version: str) -> str:
    """A Python of this version; the test is skipped if the machine has none."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    installed = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    for found in (shutil.which(f"python{version}"), *installed):
        # pyenv's own `python3.x` on the PATH may stand for a version that is switched off.
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return str(found)
    pytest.skip(f"no python{version} on the PATH: `uv python install {version}` brings it")


@pytest.mark.slow
def test_poetry_locks_installs_adds_runs_and_builds(project: Path) -> None:
    def poetry(*arguments: str) -> str:
        return python("poetry", "--no-interaction", *arguments, cwd=project, **MIRROR)

    run(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=project)
    poetry("lock")
    poetry("install")
    assert "(head)" in poetry("run", "alembic", "current")
    poetry("add", "click")
    assert '"click' in (project / "pyproject.toml").read_text()
    assert poetry("check", "--strict").strip() == "All set!"
    assert "passed" in poetry("run", "pytest", "-q")
    poetry("build")
    assert {path.suffix for path in (project / "dist").iterdir()} == {".whl", ".gz"}


@pytest.mark.slow
def test_uv_syncs_and_runs(project: Path) -> None:
    python("uv", "sync", "--quiet", "--python", sys.executable, cwd=project)
    assert "passed" in python("uv", "run", "pytest", "-q", cwd=project)
    assert "(head)" in python("uv", "run", "alembic", "current", cwd=project)


@pytest.mark.slow
def test_pip_installs_what_the_application_needs_and_alembic_runs(project: Path) -> None:
    run(sys.executable, "-m", "venv", ".venv", cwd=project)
    run(project / ".venv" / BIN / "python", "-m", "pip", "install", "-q", "-e", ".", cwd=project)
    assert "(head)" in run(project / ".venv" / BIN / "alembic", "current", cwd=project)
    listed = run(project / ".venv" / BIN / "python", "-m", "pip", "freeze", cwd=project)
    installed = {line.split("==")[0].lower() for line in listed.splitlines()}
    assert {"alembic", "sqlalchemy"} <= installed
    assert not {"mypy", "pytest", "ruff", "sqlacodegen"} & installed


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the line is for a POSIX shell")
def test_the_readme_s_line_for_pip_works_with_the_pip_of_the_oldest_python(
    project: Path, tmp_path: Path
) -> None:
    (line,) = re.findall(r"^python3 -m venv .*", (project / "README.md").read_text(), re.MULTILINE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{interpreter(PYTHONS[0])}" "$@"\n')
    (tmp_path / "bin" / "python3").chmod(0o755)
    run("sh", "-c", line, cwd=project, PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}")
    assert "passed" in run(project / ".venv" / BIN / "pytest", "-q", cwd=project)


@pytest.mark.slow
def test_an_installed_wheel_needs_the_url_only(project: Path, tmp_path: Path) -> None:
    python("poetry", "build", "--format", "wheel", cwd=project)
    (wheel,) = (project / "dist").glob("*.whl")
    venv = tmp_path / "deployed"
    python("uv", "venv", "--quiet", "--python", sys.executable, str(venv), cwd=tmp_path)
    python("uv", "pip", "install", "-q", "-p", str(venv / BIN / "python"), wheel, cwd=tmp_path)
    program = (
        "from sqlalchemy import select\nfrom shop_list.database import session\n"
        "from shop_list.models import Item\n"
        "with session() as opened:\n    print(opened.scalars(select(Item)).all())"
    )
    command = (venv / BIN / "python", "-c", program)
    url = f"sqlite:///{project / 'shoplist.db'}"
    assert run(*command, cwd=tmp_path, DATABASE_URL=url).strip() == "[]"
    assert "set the environment variable DATABASE_URL" in run(
        *command, cwd=tmp_path, status=1
    ).replace("Set", "set")
    # Its Alembic migrates, from the project's folder.
    new = {"DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    alembic = (venv / BIN / "alembic", "-c", project / "alembic.ini")
    run(*alembic, "upgrade", "head", cwd=tmp_path, **new)
    assert "No new upgrade operations detected." in run(*alembic, "check", cwd=tmp_path, **new)
    assert run(*command, cwd=tmp_path, **new).strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "resolution"),
    [*((version, "highest") for version in PYTHONS), (PYTHONS[0], "lowest-direct")],
)
def test_a_project_works_on_every_python_and_with_the_oldest_libraries_that_it_names(
    project: Path, tmp_path: Path, version: str, resolution: str
) -> None:
    python("uv", "venv", "--quiet", "--python", interpreter(version), cwd=project)
    python(
        "uv", "pip", "install", "--quiet", "--python", str(project / ".venv" / BIN / "python"),
        "--resolution", resolution, "--editable", ".", "--group", "dev", cwd=project,
    )  # fmt: skip

    def tool(name: str, *arguments: str) -> str:
        return run(project / ".venv" / BIN / name, *arguments, cwd=project)

    assert f"Python {version}" in tool("python", "--version")
    models = project / "src" / "shop_list" / "models.py"
    models.write_text(models.read_text() + "    price: Mapped[float | None]\n")
    tool("alembic", "revision", "--autogenerate", "-m", "add a price")
    tool("alembic", "upgrade", "head")
    tool("alembic", "downgrade", "-1")
    tool("alembic", "upgrade", "head")
    assert "passed" in tool("pytest", "-q")
    tool("mypy")
    old = tmp_path / "old.db"
    shutil.copy(project / "shoplist.db", old)
    shutil.rmtree(project / "alembic" / "versions")
    (project / "alembic" / "versions").mkdir()
    tool("python", "alembic/adopt.py", f"sqlite:///{old}", "--force")
    assert "No new upgrade operations detected." in tool("alembic", "check")


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_migrations_lose_nothing_on_every_python(tmp_path: Path, version: str) -> None:
    executable = tmp_path / "venv" / BIN / "python"
    python("uv", "venv", "--quiet", "--python", interpreter(version), "venv", cwd=tmp_path)
    packages = ["alembic", "copier", "hypothesis", "pytest"]
    python("uv", "pip", "install", "-q", "-p", str(executable), *packages, cwd=tmp_path)
    tests = ["tests/test_migrations_sqlite.py", "tests/test_migrations_property.py"]
    outcome = run(
        executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests,
        cwd=rendering.REPOSITORY, PROPERTY_EXAMPLES="15", PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    assert "passed" in outcome
    assert "failed" not in outcome


def test_the_versions_tried_are_those_that_the_project_names(plain_project: Path) -> None:
    workflow = (plain_project / ".github" / "workflows" / "ci.yml").read_text()
    assert all(f'"{version}"' in workflow for version in PYTHONS)
    assert f'requires-python = ">={PYTHONS[0]}"' in (plain_project / "pyproject.toml").read_text()


def test_no_two_runs_of_pytest_in_projects_clear_the_same_folders_away(tmp_path: Path) -> None:
    tests = "def test(tmp_path):\n    print(tmp_path.parents[2])\n"
    (tmp_path / "test_it.py").write_text(tests)
    first, second = (python("pytest", "-qs", "-n0", cwd=tmp_path).split()[0] for _ in range(2))
    assert first != second
    assert not Path(first).exists()


def test_the_repository_s_own_python_is_clean() -> None:
    assert "All checks passed!" in python("ruff", "check", ".", cwd=rendering.REPOSITORY)
    formatted = python("ruff", "format", "--check", ".", cwd=rendering.REPOSITORY)
    assert "already formatted" in formatted
    assert "no issues found" in python("mypy", cwd=rendering.REPOSITORY)
