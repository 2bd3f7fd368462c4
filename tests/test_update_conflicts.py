"""Where owner and template changed the same lines: Copier's marks, and Alembic says where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import rendering
from updating import SHARED, update

MINE = "# My new line.\n"


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "shop-list"))


def conflict(project: Path, *paths: str) -> str:
    for path in paths:
        with (project / path).open("a") as file:
            file.write(MINE)
    rendering.commit(project, "Mine")
    return update(project)


def test_alembic_names_file_and_line_until_the_conflict_is_resolved(project: Path) -> None:
    paths = ["alembic/env.py", "alembic.ini", "pyproject.toml"]
    printed = conflict(project, *paths)
    for path in paths:
        text = (project / path).read_text()
        place = 1 + text.splitlines().index("# <<<<<<< before updating")
        assert f"{path}:{place}\n" in printed
        assert MINE in text
        assert SHARED[path] in text
        assert f"UU {path}" in rendering.git("status", "--short", cwd=project)
    for path in sorted(paths, key=["alembic.ini", "pyproject.toml", "alembic/env.py"].index):
        said = rendering.python("alembic", "check", cwd=project, status=255)
        assert f"FAILED: {path}, line " in said
        assert "Traceback" not in said
        resolve(project / path)
    rendering.python("alembic", "check", cwd=project)


def resolve(path: Path) -> None:
    """Keep both sides, as a person would: delete the marks."""
    marks = ("# <<<<<<<", "# =======", "# >>>>>>>")
    lines = [line for line in path.read_text().splitlines(True) if not line.startswith(marks)]
    path.write_text("".join(lines))


def test_the_owners_side_is_in_force_until_then(project: Path) -> None:
    (project / "alembic.ini").write_text(
        (project / "alembic.ini").read_text() + "[mine]\nkey = 1\n"
    )
    rendering.commit(project, "Mine")
    rendering.git("config", "merge.conflictStyle", "diff3", cwd=project)
    update(project)
    text = (project / "alembic.ini").read_text()
    assert "\n[mine]\nkey = 1\n# ||||||| last update\n# =======\n# # The template's" in text
    said = rendering.python("alembic", "current", cwd=project, status=255)
    assert "FAILED: alembic.ini, line " in said


def test_other_files_and_unreadable_ones_have_the_marks_as_copier_sets_them(project: Path) -> None:
    env = project / "alembic" / "env.py"
    env.write_text(env.read_text() + "if True:\n    LAST = '''\n")  # broken by the owner
    printed = conflict(project, "README.md")
    assert "\n<<<<<<< before updating\n" in (project / "README.md").read_text()
    assert "README.md:" in printed
    assert "\n<<<<<<< before updating\n" in env.read_text()
    (project / "alembic" / "script.py.mako").write_text("<<<<<<< HEAD\n")  # of a merge of branches
    rendering.git("checkout", "--quiet", "--theirs", "alembic/env.py", cwd=project)
    said = rendering.python("alembic", "revision", "-m", "next", "--autogenerate", cwd=project, status=255)  # fmt: skip
    assert "FAILED: alembic/script.py.mako, line 1" in said


def test_a_line_that_only_begins_like_a_mark_is_the_owners(project: Path) -> None:
    mine = '"""\n========\nMine\n========\n"""\n'
    with (project / "alembic" / "env.py").open("a") as file:
        file.write(mine)
    rendering.commit(project, "Mine")
    update(project)
    text = (project / "alembic" / "env.py").read_text()
    assert f"{mine}# =======\n# # The template's" in text


def test_lines_are_counted_as_editors_do(project: Path) -> None:
    readme = project / "README.md"
    readme.write_text("\f\u2028\x85\n" + readme.read_text("utf-8"), "utf-8")
    printed = conflict(project, "README.md")
    lines = readme.read_text("utf-8").split("\n")
    assert f"README.md:{1 + lines.index('<<<<<<< before updating')}\n" in printed


def test_rejections_are_named_if_they_were_asked_for(project: Path) -> None:
    with (project / "README.md").open("a") as file:
        file.write(MINE)
    rendering.commit(project, "Mine")
    printed = update(project, "--conflict", "rej")
    assert "\n  README.md.rej\n" in printed
    assert MINE in (project / "README.md.rej").read_text()
