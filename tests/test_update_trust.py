"""What --trust allows is all in README, and there is a way without."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

import rendering
from rendering import REPOSITORY
from test_ownership import CONFIG

HOOKS = list((REPOSITORY / "hooks").glob("*.py"))


def commands() -> list[str]:
    """Every command of copier.yml that Copier runs, as README names it."""
    found = []
    for entry in [*CONFIG["_tasks"], *CONFIG["_migrations"]]:
        python, script, *arguments = entry["command"]
        assert python == "{{ _copier_python }}"
        words = [script.removeprefix("{{ _copier_conf.src_path }}/")]
        found.append(" ".join(words + [word for word in arguments if "{" not in word]))
    return found


def test_readme_lists_every_command_and_no_other() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    listed = text.partition("<!-- trust -->")[2].partition("<!-- /trust -->")[0]
    assert re.findall(r"^\|[^|]*\| `(hooks/[^`]+)` \|", listed, flags=re.M) == commands()
    assert "_jinja_extensions" not in CONFIG
    assert {path.name for path in HOOKS} == set(re.findall(r"`hooks/([^ `]+)", listed))


def test_what_runs_is_short_enough_to_be_read() -> None:
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in HOOKS}
    assert max(lines.values()) <= 300, lines


def test_without_trust_nothing_is_run_and_nothing_written(template: Path, tmp_path: Path) -> None:
    options = ["copy", "--defaults", str(template), str(tmp_path / "shop-list")]
    assert "--trust" in rendering.python("copier", *options, cwd=tmp_path, status=4)
    assert not (tmp_path / "shop-list").exists()


@pytest.mark.slow
def test_two_commands_do_what_the_hook_does(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "shop-list"
    options = ["copy", "--defaults", "--skip-tasks", str(template), str(project)]
    printed = rendering.python("copier", *options, cwd=tmp_path)
    assert not (project / ".venv").exists()
    said = re.findall(r"^ +poetry (install|run .*?)(?: {2,}.*)?$", printed, flags=re.M)
    assert said == ["install", "run alembic upgrade head"]
    rendering.python("uv", "sync", "--quiet", "--python", sys.executable, cwd=project)
    rendering.python("uv", *said[1].split(), cwd=project)
    assert "(head)" in rendering.python("uv", "run", "alembic", "current", cwd=project)


def test_an_update_without_trust_is_refused_and_recopying_needs_none(
    lived_in: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(lived_in, tmp_path / "shop-list"))
    before = rendering.files(project)
    said = rendering.python("copier", "update", "--defaults", cwd=project, status=4)
    assert "--trust" in said
    assert rendering.files(project) == before
    options = ["--defaults", "--overwrite", "--skip-tasks"]
    said = rendering.python("copier", "recopy", *options, cwd=project)
    assert f"To do it, in {project}:" in " ".join(said.split())
