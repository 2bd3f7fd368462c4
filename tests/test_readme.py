"""The README: its picture is really produced, its commands work as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rendering
from rendering import REPOSITORY, run

README = (REPOSITORY / "README.md").read_text("utf-8")


def commands() -> list[str]:
    """The commands of the section "Try it"."""
    section = README.split("## Try it")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)


def test_there_are_two_commands_to_try_it() -> None:
    assert len(commands()) == 2
    assert all("\n" not in command for command in commands())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason=rendering.NO_SHELL)
def test_the_picture_is_what_a_new_project_looks_like(template: Path) -> None:
    run(sys.executable, template / "scripts" / "picture.py", "--check", cwd=template)


@pytest.mark.slow
def test_the_first_command_makes_a_working_project_on_a_fresh_machine(
    template: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    rendering.git("clone", "--quiet", str(template), str(checkout), cwd=tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "LANG"))}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    subprocess.run(
        commands()[0],
        shell=True,
        cwd=checkout,
        env=kept | {"HOME": str(home), "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}"},
        check=True,
    )
    project = tmp_path / "shop-list"
    assert "(head)" in run(project / ".venv" / "bin" / "alembic", "current", cwd=project)


def test_the_second_command_is_the_one_ci_runs() -> None:
    """It is what runs this very test, so only its end is looked at here."""
    assert commands()[1].endswith(".venv/bin/pytest -n auto")
    assert "pip install --quiet --group test" in commands()[1]
