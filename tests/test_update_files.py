"""Files that a later version ships, renames or removes, where the owner has one of that name."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import rendering
from updating import NEW, OLD, begin, edit, refused, update


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "shop-list"))


def ignore(project: Path, *paths: str) -> None:
    with (project / ".gitignore").open("a") as file:
        file.writelines(f"/{path}\n" for path in paths)


def test_a_retired_file_goes_if_nobody_changed_it(project: Path) -> None:
    ignore(project, "tools/plain.sh")
    rendering.git("rm", "--quiet", "--cached", "tools/plain.sh", cwd=project)
    rendering.commit(project, "Ignore")
    update(project)
    assert not (project / "tools").exists()
    assert not (project / "alembic" / "lossless" / "retired.py").exists()


def test_modules_called_like_pythons_own_are_not_imported(project: Path) -> None:
    for module in ("types.py", "yaml.py"):
        (project / module).write_text("raise SystemExit('imported')\n")
    rendering.commit(project, "Mine")
    command = Path(sys.executable).with_name("copier")  # python -m would import them itself
    options = ["update", "--defaults", "--trust", "--vcs-ref", NEW]
    assert "tools/plain.sh" not in rendering.run(command, *options, cwd=project)
    assert not (project / "tools").exists()


@pytest.mark.parametrize("kept_by_git", [True, False], ids=["tracked", "ignored"])
def test_a_retired_file_stays_if_its_owner_changed_it(project: Path, kept_by_git: bool) -> None:
    paths = ["tools/plain.sh", "tools/rendered.txt", "alembic/lossless/retired.py"]
    for path in paths:
        (project / path).write_text("mine\n")
    if not kept_by_git:
        ignore(project, *paths)
        rendering.git("rm", "--quiet", "--cached", *paths, cwd=project)
    rendering.commit(project, "Mine")
    printed = update(project)
    for path in paths:
        assert (project / path).read_text() == "mine\n"
        assert f"{path}: " in printed


def test_a_tracked_file_of_a_name_that_comes_is_merged(project: Path) -> None:
    (project / "Makefile").write_text("mine:\n\ttrue\n")
    rendering.commit(project, "Mine")
    assert "Makefile:1" in update(project)
    merged = (project / "Makefile").read_text()
    assert "mine:\n\ttrue\n" in merged
    assert "check:\n\talembic check\n" in merged
    assert "<<<<<<< before updating\n" in merged


def test_binary_and_ignored_files_of_names_that_come_stay(project: Path) -> None:
    mine = {"logo.png": b"\x89PNG\0mine", "notes.txt": b"mine\n", "Makefile": b"\0mine"}
    for path, content in mine.items():
        (project / path).write_bytes(content)
    mine[".env.example"] = b"SECRET='s3cr3t'\n"
    (project / ".env.example").write_bytes(mine[".env.example"])
    rendering.git("rm", "--quiet", "--cached", ".env.example", cwd=project)
    ignore(project, "notes.txt", "Makefile", ".env.example")
    rendering.commit(project, "Mine")
    printed = update(project)
    for path, content in mine.items():
        assert (project / path).read_bytes() == content
        assert f"{path}: yours stays" in printed or path == ".env.example"  # unchanged by NEW


def test_a_tracked_database_that_is_in_use_meanwhile_stays(project: Path) -> None:
    """Copier's steps cannot be stopped in between, so the migration is run by itself."""
    rendering.git("add", "--force", "shoplist.db", cwd=project)
    rendering.commit(project, "Track")
    hook = rendering.REPOSITORY / "hooks" / "update.py"
    versions = {f"VERSION_{end}": "HEAD" for end in ("FROM", "TO")}
    versions |= {f"VERSION_PEP440_{end}": "1.0.0" for end in ("FROM", "TO")}
    options = [".copier-answers.yml", "False"]
    rendering.run(sys.executable, hook, "before", *options, cwd=project, **versions)
    with (project / "shoplist.db").open("ab") as file:
        file.write(b"\0a row more")
    (project / "src" / "shop_list" / "models.py").unlink()
    rendering.run(sys.executable, hook, "after", *options, cwd=project, **versions)
    assert (project / "shoplist.db").read_bytes().endswith(b"\0a row more")
    assert not (project / "src" / "shop_list" / "models.py").exists()


def test_an_ignored_file_of_both_is_merged_as_a_tracked_one(project: Path) -> None:
    edit(project / "alembic.ini", "[alembic]\n", "[alembic]\n# The owner's line.\n")
    ignore(project, "alembic.ini")
    rendering.git("rm", "--quiet", "--cached", "alembic.ini", cwd=project)
    rendering.commit(project, "Ignore")
    assert "alembic.ini: merged" in update(project)
    merged = (project / "alembic.ini").read_text()
    assert "# The owner's line.\n" in merged
    assert "# The template's new line.\n" in merged
    assert "<<<" not in merged


def test_a_file_stays_deleted(project: Path) -> None:
    (project / "README.md").unlink()
    (project / "src" / "shop_list" / "database.py").unlink()
    rendering.commit(project, "Mine")
    update(project)
    assert not (project / "README.md").exists()
    assert not (project / "src" / "shop_list" / "database.py").exists()


@pytest.mark.parametrize("mine", ["notes.txt/mine", "alembic/lossless/added.py/mine"])
def test_a_folder_where_a_file_comes_is_refused_beforehand(project: Path, mine: str) -> None:
    (project / mine).parent.mkdir()
    (project / mine).write_text("mine\n")
    rendering.commit(project, "Mine")
    refused(project, f"brings {Path(mine).parent}, and {Path(mine).parent} is in the way")


def test_another_answer_takes_the_old_ones_files_away_unless_they_were_changed(
    project: Path,
) -> None:
    update(project, "--data", "ci=gitlab", "--data", "license=none", version=NEW)
    assert (project / ".gitlab-ci.yml").exists()
    assert not (project / ".github").exists()
    assert not (project / "LICENSE").exists()


def test_a_project_in_a_folder_of_a_larger_repository(history: Path, tmp_path: Path) -> None:
    (tmp_path / "README").write_text("Many projects\n")
    (tmp_path / ".gitignore").write_text("notes.txt\n")
    rendering.commit(tmp_path, "Begin")
    project = tmp_path / "shop-list"
    shutil.rmtree(begin(history, project) / ".git")
    (project / "tools" / "plain.sh").write_text("mine\n")
    (project / "notes.txt").write_text("mine\n")
    rendering.commit(tmp_path, "Mine")
    update(project)
    assert (project / "tools" / "plain.sh").read_text() == "mine\n"
    assert (project / "notes.txt").read_text() == "mine\n"
    assert not (project / "tools" / "rendered.txt").exists()


def test_a_template_on_the_network_is_no_different(history: Path, tmp_path: Path) -> None:
    """Copier keeps a mirror of it, in which the migrations must find both versions."""
    cache, project = str(tmp_path / "cache"), tmp_path / "shop-list"
    options = [
        "--defaults",
        "--skip-tasks",
        "--vcs-ref",
        OLD,
        f"git+file://{history}",
        project.name,
    ]
    rendering.python("copier", "copy", *options, cwd=tmp_path, COPIER_CACHE_DIR=cache)
    rendering.commit(project, "Begin")
    (project / "tools" / "rendered.txt").write_text("mine\n")
    rendering.commit(project, "Mine")
    options = ["update", "--defaults", "--trust", "--vcs-ref", NEW]
    said = rendering.python("copier", *options, cwd=project, COPIER_CACHE_DIR=cache)
    assert "tools/rendered.txt: the template no longer has it" in said
    assert (project / "tools" / "rendered.txt").read_text() == "mine\n"
    assert not (project / "tools" / "plain.sh").exists()
