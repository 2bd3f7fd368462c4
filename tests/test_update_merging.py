"""What Copier's own merge would lose: files that git holds otherwise than they are here."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

import rendering
from updating import NEW, SHARED, refused, update

MINE = "# Secret: my line.\n"


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "shop-list"))


def prepend(path: Path, line: bytes = MINE.encode()) -> None:
    path.write_bytes(line + path.read_bytes())


def update_with(project: Path, name: str, value: str, *, status: int = 0) -> str:
    """Update with a setting of git's that holds everywhere, as in a person's own."""
    setting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": name, "GIT_CONFIG_VALUE_0": value}
    command = ["update", "--defaults", "--trust", "--vcs-ref", NEW]
    return rendering.python("copier", *command, cwd=project, status=status, **setting)


def test_files_of_which_git_has_other_content_or_none_are_merged(project: Path) -> None:
    prepend(project / "alembic.ini")  # tracked, though git would ignore it
    (project.parent / "ignored").write_text("*.ini\n")
    prepend(project / "pyproject.toml", b"# Secret: my line\xe9.\n")  # not UTF-8
    (project / ".git" / "info" / "attributes").write_text("/.gitignore filter=hide\n")
    rendering.git("config", "filter.hide.clean", "sed s/Secret/Hidden/", cwd=project)
    prepend(project / ".gitignore")
    rendering.commit(project, "Mine")
    for path, mark in {"README.md": "skip-worktree", "alembic/env.py": "assume-unchanged"}.items():
        prepend(project / path)
        rendering.git("update-index", f"--{mark}", path, cwd=project)
    assert rendering.git("status", "--porcelain", cwd=project) == ""
    printed = update_with(project, "core.excludesFile", str(project.parent / "ignored"))
    for path, line in SHARED.items():
        merged = (project / path).read_bytes()
        assert b"# Secret: my line" in merged, path
        assert line.encode() in merged, path
        assert b"<<<<<<<" not in merged, path
        assert f"{path}: merged, though " in printed
    assert b"my line\xe9.\n" in (project / "pyproject.toml").read_bytes()
    assert not list(project.rglob("*.rej"))


@pytest.mark.parametrize("by", ["core.autocrlf", "attributes", "commit"])
def test_files_with_other_line_ends_keep_them_and_are_merged_by_line(
    by: str, project: Path
) -> None:
    if by == "core.autocrlf":
        rendering.git("config", "core.autocrlf", "true", cwd=project)
    elif by == "attributes":
        (project / ".git" / "info" / "attributes").write_text("* text=auto eol=crlf\n")
    prepend(project / "README.md")
    with (project / "alembic.ini").open("a") as file:
        file.write(MINE)
    rendering.commit(project, "Mine")
    for path in [*SHARED, "tools/rendered.txt", ".pre-commit-config.yaml"]:
        text = (project / path).read_bytes()
        (project / path).write_bytes(text.replace(b"\n", b"\r\n"))
    rendering.commit(project, "Line ends")
    printed = update(project)
    for path, line in SHARED.items():
        text = (project / path).read_bytes()
        assert text.count(b"\n") == text.count(b"\r\n"), path
        assert line.encode().strip() in text, path
    assert "README.md: merged, though" in printed
    assert "pyproject.toml: " not in printed
    assert MINE.encode().strip() in (project / "README.md").read_bytes()
    assert printed.count("  alembic.ini:") == 2  # how it was merged, and one conflict
    assert len(re.findall(r"[<>|=]{7}", (project / "alembic.ini").read_text())) == 3
    assert "UU alembic.ini" in rendering.git("status", "--short", cwd=project)
    assert not (project / "tools").exists()


@pytest.mark.parametrize("setting", ["error", "error-all", "fix", "strip"])
def test_a_setting_with_which_git_changes_or_refuses_lines_is_refused(
    setting: str, project: Path
) -> None:
    rendering.git("config", "apply.whitespace", setting, cwd=project)
    prepend(project / "alembic.ini", b"# My line.   \n")
    rendering.commit(project, "Mine")
    refused(project, f"your git has apply.whitespace={setting}")
    if setting == "error":
        update_with(project, "apply.whitespace", "nowarn")  # as it says
        text = (project / "alembic.ini").read_text()
        assert "# My line.   \n" in text
        assert SHARED["alembic.ini"] in text


@pytest.mark.parametrize("everywhere", [False, True])
def test_text_that_git_is_to_take_for_binary(everywhere: bool, project: Path) -> None:
    """Copier's git does not know the project's attributes, only those that hold everywhere."""
    prepend(project / "README.md")
    if not everywhere:
        with (project / ".gitattributes").open("a") as file:
            file.write("*.md -diff\n")
    rendering.commit(project, "Mine")
    attributes = project.parent / "attributes"
    attributes.write_text("*.md -diff\n" if everywhere else "")
    printed = update_with(project, "core.attributesFile", str(attributes))
    text = (project / "README.md").read_text()
    assert text.startswith(MINE)
    assert (SHARED["README.md"] in text) == (not everywhere)
    assert ("README.md: yours stays; git takes it for binary" in printed) == everywhere


@pytest.mark.skipif("sys.platform == 'win32'", reason="permissions and links are others there")
def test_rights_and_links_stay(project: Path) -> None:
    (project / "README.md").chmod(0o600)
    (project / "alembic.ini").chmod(0o640)
    (project / "pyproject.toml").chmod(0o700)
    with (project / ".gitignore").open("a") as file:
        file.write("/notes.txt\n")
    (project / "mine.txt").write_text("mine\n")
    (project / "notes.txt").symlink_to("mine.txt")
    rendering.commit(project, "Mine")
    assert "notes.txt: yours stays; it is a link" in update(project)
    assert os.readlink(project / "notes.txt") == "mine.txt"
    assert (project / "mine.txt").read_text() == "mine\n"
    for path, mode in {"README.md": 0o600, "alembic.ini": 0o640, "pyproject.toml": 0o700}.items():
        assert (project / path).stat().st_mode & 0o777 == mode, path
        assert SHARED[path] in (project / path).read_text()


@pytest.mark.skipif("sys.platform == 'win32'", reason="links are others there")
@pytest.mark.parametrize(
    "lines", ["", "<<<<<<< before updating\n=======\n>>>>>>> after updating\n"]
)
def test_nothing_is_written_to_a_file_behind_a_link(lines: str, project: Path) -> None:
    outside = project.parent / "shared.ini"
    shutil.move(project / "alembic.ini", outside)
    outside.write_text(outside.read_text() + lines)
    (project / "alembic.ini").symlink_to(outside)
    rendering.commit(project, "Link")
    os.utime(outside, (0, 0))
    assert "alembic.ini: yours stays; it is a link" in update(project)
    assert outside.stat().st_mtime == 0


@pytest.mark.parametrize("mark", ["skip-worktree", "assume-unchanged"])
def test_a_file_that_git_is_not_to_look_at_stays_so_though_both_changed_it(
    mark: str, project: Path
) -> None:
    with (project / "README.md").open("a") as file:
        file.write("Mine, committed.\n")
    rendering.commit(project, "Mine")
    prepend(project / "README.md")
    rendering.git("update-index", f"--{mark}", "README.md", cwd=project)
    index = rendering.git("ls-files", "-v", "-s", "README.md", cwd=project)
    assert "\n  README.md:" in update(project)
    text = (project / "README.md").read_text()
    assert text.startswith(MINE)
    assert "<<<<<<< before updating\nMine, committed.\n" in text
    assert rendering.git("ls-files", "-v", "-s", "README.md", cwd=project) == index
    assert "README.md" not in rendering.git("status", "--porcelain", cwd=project)


@pytest.mark.parametrize("mark", ["skip-worktree", "assume-unchanged"])
def test_of_files_that_git_is_not_to_look_at_committed_lines_are_merged_and_deleted_ones_stay_so(
    mark: str, project: Path
) -> None:
    gone = ["alembic.ini", "tools/rendered.txt", "alembic/lossless/sqlite/__init__.py"]
    paths = ["README.md", *gone]
    for path in paths:
        with (project / path).open("a") as file:
            file.write("# Mine, committed.\n")
    rendering.commit(project, "Mine")
    rendering.git("update-index", f"--{mark}", *paths, cwd=project)
    for path in gone:
        (project / path).unlink()
    index = rendering.git("ls-files", "-v", "-s", *paths, cwd=project)
    assert "\n  README.md:" in update(project)
    text = (project / "README.md").read_text()
    assert "<<<<<<< before updating\n# Mine, committed.\n" in text
    assert not [path for path in gone if (project / path).exists()]
    assert rendering.git("ls-files", "-v", "-s", *paths, cwd=project) == index


def test_a_setting_with_which_copier_finds_no_conflict_is_refused(project: Path) -> None:
    rendering.git("config", "status.showUntrackedFiles", "no", cwd=project)
    refused(project, "your git has status.showUntrackedFiles=no")
