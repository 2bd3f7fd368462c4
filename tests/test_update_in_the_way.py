"""What Copier would stop half-way at: it is said before anything is written, with the way on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rendering
from rendering import REPOSITORY
from updating import NEW, SHARED, begin, edit, refused, state, update

UPDATE = ["update", "--defaults", "--trust", "--vcs-ref", NEW]
LINKS = pytest.mark.skipif("sys.platform == 'win32'", reason="links and such need rights there")


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "shop-list"))


def link_out(place: Path) -> None:
    """Move a folder out of the project, and leave a link to it."""
    elsewhere = Path(str(place).partition("shop-list")[0], "elsewhere")
    shutil.move(place, elsewhere)
    place.symlink_to(elsewhere)


def folder_for(place: Path) -> None:
    place.unlink()
    place.mkdir()
    (place / "mine").write_text("mine\n")


def link_to_itself(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(place.name)


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        ("LICENSE", folder_for, "brings LICENSE, and LICENSE is in the way"),
        pytest.param("alembic/lossless", link_out, "alembic/lossless is a link out", marks=LINKS),
        pytest.param("src/shop_list", link_out, "src/shop_list is a link out", marks=LINKS),
        pytest.param(".github", link_to_itself, ".github is a link", marks=LINKS),
        pytest.param("Makefile", os.__dict__.get("mkfifo"), "Makefile is in the way", marks=LINKS),
    ],
)
def test_a_place_where_copier_cannot_write_a_file(
    place: str, change: Callable[[Path], None], reason: str, project: Path
) -> None:
    change(project / place)
    rendering.commit(project, "Mine")
    refused(project, reason)


def test_a_folder_of_a_name_that_only_other_answers_bring(history: Path, tmp_path: Path) -> None:
    project = begin(history, tmp_path / "shop-list", license="none")
    for name in ("LICENSE", ".gitlab-ci.yml"):
        (project / name).mkdir()
        (project / name / "mine").write_text("mine\n")
    rendering.commit(project, "Mine")
    refused(project, "LICENSE is in the way", "--data", "license=MIT")
    update(project)
    assert (project / "LICENSE" / "mine").read_text() == "mine\n"
    assert (project / ".gitlab-ci.yml" / "mine").read_text() == "mine\n"


@pytest.mark.skipif("sys.platform != 'linux'", reason="names are always text there")
@pytest.mark.parametrize("name", [b"src/caf\xe9.txt", b"caf\xe9.bak"], ids=["tracked", "ignored"])
def test_a_name_that_is_not_utf_8(name: bytes, project: Path) -> None:
    with (project / ".gitignore").open("a") as file:
        file.write("*.bak\n")
    Path(os.fsdecode(os.fsencode(project / "x")[:-1] + name)).touch()
    rendering.commit(project, "Mine")
    printable = name.decode("utf-8", "backslashreplace")
    refused(project, f"the name of the file {printable} is not UTF-8")


def test_names_that_are_not_ascii_are_not_in_the_way(project: Path) -> None:
    for name in ("src/é.txt", "買い物.md", "ignoré.bak"):
        (project / name).write_text("mine\n", "utf-8")
    (project / ".git" / "info" / "exclude").write_text("*.bak\n")
    rendering.commit(project, "Mine")
    update(project)
    assert SHARED["alembic.ini"] in (project / "alembic.ini").read_text()
    assert (project / "src" / "é.txt").read_text("utf-8") == "mine\n"


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such names there")
def test_an_ignored_name_that_is_a_pattern_of_a_file_of_the_templates(project: Path) -> None:
    with (project / ".gitignore").open("a") as file:
        file.write("/alem*[[]i]*\n")
    edit(project / "alembic.ini", "[alembic]\n", "[alembic]\n# Mine.\n")
    rendering.commit(project, "Mine")
    name = project / "alembic.[i]n*"
    name.touch()
    refused(project, "would be lost. Rename or move it")
    name.rename(project / "alembic.[i]n* ~")  # as it says; this one does no harm
    update(project)
    assert "# Mine." in (project / "alembic.ini").read_text()


def advised(said: str) -> dict[str, str]:
    """The variables that a refusal names."""
    found = said.partition("in front of the command: ")[2].splitlines()[0].split()
    return dict(variable.split("=", 1) for variable in found)


def test_a_setting_with_which_copier_cannot_read_names(project: Path) -> None:
    rendering.git("config", "core.quotePath", "no", cwd=project)
    (project / "src" / "é.txt").write_text("mine\n")
    rendering.commit(project, "Mine")
    said = refused(project, "your git has core.quotePath=no")
    update(project, **advised(said))  # as it says
    assert SHARED["alembic.ini"] in (project / "alembic.ini").read_text()


def test_a_setting_with_which_git_does_not_take_what_copier_writes(
    project: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings"
    settings.write_text("[core]\n\tautocrlf = true\n\tsafecrlf = true\n")
    variables = {"GIT_CONFIG_GLOBAL": str(settings)}
    said = refused(project, "line ends as Copier writes them", **variables)
    update(project, **variables, **advised(said))  # as it says


@LINKS
def test_a_hook_for_all_folders_that_lets_nobody_commit(project: Path, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "prepare-commit-msg"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho No ticket. >&2\nexit 1\n")
    hook.chmod(0o755)
    setting = {"COUNT": "1", "KEY_0": "core.hooksPath", "VALUE_0": str(hook.parent)}
    variables = {f"GIT_CONFIG_{name}": value for name, value in setting.items()}
    said = refused(
        project, "cannot commit in a new folder, as Copier has to: No ticket.", **variables
    )
    assert "GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null" in said


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such names there")
def test_a_path_with_a_line_break(project: Path) -> None:
    refused(project.rename(project.with_name("shop\nlist")), "has a line break in it")


def test_objects_that_copiers_git_cannot_read(project: Path) -> None:
    shutil.rmtree(project / ".git")
    rendering.git("init", "--quiet", "--object-format=sha256", cwd=project)
    rendering.commit(project, "Begin")
    refused(project, "in front of the command: GIT_DEFAULT_HASH=sha256")
    update(project, GIT_DEFAULT_HASH="sha256")  # as it says


def test_a_partial_clone_that_lacks_files(project: Path, tmp_path: Path) -> None:
    rendering.git("config", "uploadpack.allowFilter", "true", cwd=project)
    partial = tmp_path / "partial"
    options = ["--quiet", "--filter=blob:none", "--sparse"]
    rendering.git("clone", *options, project.as_uri(), str(partial), cwd=tmp_path)
    rendering.git("sparse-checkout", "set", "--no-cone", "/*", "!/tests/", cwd=partial)
    said = refused(partial, "this clone is a partial one")
    advised = said.partition("Get the rest with git ")[2].partition(" (")[0].split()
    rendering.git(*advised, cwd=partial)
    update(partial)


def test_a_sparse_checkout_that_lacks_files_of_the_templates(project: Path) -> None:
    rendering.git("status", cwd=project)
    rendering.git("sparse-checkout", "set", "--cone", "src", "tests", cwd=project)
    assert not (project / "alembic").exists()
    said = refused(project, "this checkout is a sparse one, without .github/workflows/ci.yml")
    advised = said.partition("Get all of it with git ")[2].partition(",")[0].split()
    rendering.git(*advised, cwd=project)
    update(project)


def test_a_repository_without_a_commit(project: Path) -> None:
    shutil.rmtree(project / ".git")
    rendering.git("init", "--quiet", cwd=project)
    (project / ".git" / "info" / "exclude").write_text("*\n")  # or Copier would call it dirty
    refused(project, "git has no commit here yet.")


def test_git_at_work(project: Path) -> None:
    (project / ".git" / "index.lock").touch()
    refused(project, "git is at work here, or was interrupted.")


def test_an_index_for_all_repositories(project: Path) -> None:
    """Copier has overwritten it before it runs anything of the template's."""
    before = rendering.files(project)
    index = str(project / ".git" / "index")
    said = rendering.python("copier", *UPDATE, cwd=project, status=1, GIT_INDEX_FILE=index)
    assert "No file was changed, but git's index" in said
    (project / ".git" / "index").unlink()  # as it says
    rendering.git("reset", "--quiet", cwd=project)
    assert rendering.files(project) == before
    update(project)


@LINKS
@pytest.mark.parametrize("within", [True, False], ids=["in its repository", "elsewhere"])
@pytest.mark.parametrize("options", [[], ["--quiet"]], ids=" ".join)
def test_a_path_that_leads_through_a_link(
    options: list[str], within: bool, project: Path, tmp_path: Path
) -> None:
    """From elsewhere Copier ends with a traceback, of which it is said before what it is."""
    if within:
        shutil.rmtree(project / ".git")
        rendering.commit(tmp_path, "Begin")
    (tmp_path / "app").symlink_to("shop-list")
    rendering.commit(tmp_path if within else project, "Link")
    before = state(project)
    said = rendering.python("copier", *UPDATE, *options, "app", cwd=tmp_path, status=1)
    assert state(project) == before
    assert ("Traceback" in said) != within
    assert (f"through a link. In {project}, run copier update" in said) or (options and not within)
    update(project)  # as it says


def update_as_a_user(project: Path, *, status: int) -> str:
    return as_a_user("-m", "copier", *UPDATE, project=project, status=status)


def as_a_user(*arguments: str | Path, project: Path, status: int = 0) -> str:
    """Run Python without root's right to write everywhere."""
    command = [sys.executable, *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to take that right")
        rights = "--bounding-set=-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", rights, *command]
    return rendering.run(*command, cwd=project, status=status)


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such file modes")
@pytest.mark.parametrize(
    ("place", "mode", "reason"),
    [
        (
            "alembic.ini",
            0o444,
            "would write alembic.ini, and you may not read or write alembic.ini",
        ),
        ("alembic/lossless", 0o555, "may not read or write alembic/lossless. Allow it"),
        ("tools", 0o555, "would write tools/plain.sh, and you may not read or write tools."),
        (".git", 0o555, "you may not write to git's folder .git."),
    ],
)
def test_a_file_or_folder_that_may_not_be_written(
    place: str, mode: int, reason: str, project: Path
) -> None:
    before = state(project)
    usual = (project / place).stat().st_mode
    (project / place).chmod(mode)
    said = update_as_a_user(project, status=1)
    (project / place).chmod(usual)
    assert reason in said
    assert "Traceback" not in said
    assert state(project) == before


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such file modes")
def test_a_file_that_may_not_be_written_nor_needs_to_be(project: Path) -> None:
    (project / "LICENSE").chmod(0o444)
    store = project / ".git" / "copier-update"  # as an update left it that was interrupted
    (store / "files" / "owner").mkdir(parents=True)
    (store / "files" / "owner" / "alembic.ini").write_text("# Mine.\n")
    update_as_a_user(project, status=0)
    assert (project / "LICENSE").stat().st_mode & 0o777 == 0o444
    assert (store / "earlier" / "alembic.ini").read_text() == "# Mine.\n"


@pytest.mark.skipif("sys.platform == 'win32' or os.geteuid()", reason="only root can give away")
def test_files_of_somebody_else_that_may_be_written_but_not_given_permissions(
    project: Path,
) -> None:
    (project / ".env").write_text("SECRET='s3cr3t'\n")
    for path in ("alembic.ini", ".env"):
        (project / path).chmod(0o666)
        os.chown(project / path, 1234, -1)
    update_as_a_user(project, status=0)
    assert SHARED["alembic.ini"] in (project / "alembic.ini").read_text()
    assert (project / "alembic.ini").stat().st_mode & 0o777 == 0o666
    hook = REPOSITORY / "hooks" / "migrate_1_0_0.py"
    assert "others can read it, and you may not" in as_a_user(hook, project=project)


@LINKS
def test_links_within_the_project_stay_and_it_is_told_what_is_not_merged(project: Path) -> None:
    (project / "docs").mkdir()
    for place in ("README.md", "LICENSE", "alembic/lossless"):
        link = project / place
        shutil.move(link, project / "docs" / link.name)
        link.symlink_to(os.path.relpath(project / "docs" / link.name, link.parent))
    edit(project / "docs" / "lossless" / "native.py", '"""', '"""Mine. ')
    rendering.commit(project, "Mine")
    readme = (project / "docs" / "README.md").read_text()
    said = update(project)
    assert "README.md: yours stays; it is a link, so nothing was merged" in said
    assert "LICENSE" not in said
    assert all((project / place).is_symlink() for place in ("README.md", "alembic/lossless"))
    assert (project / "docs" / "README.md").read_text() == readme
    assert "Mine. " in (project / "docs" / "lossless" / "native.py").read_text()
    assert (project / "docs" / "lossless" / "added.py").exists()


def test_a_retired_file_goes_where_git_gives_files_other_line_ends(project: Path) -> None:
    setting = {"COUNT": "1", "KEY_0": "core.autocrlf", "VALUE_0": "true"}
    variables = {f"GIT_CONFIG_{name}": value for name, value in setting.items()}
    rendering.git("rm", "-r", "--quiet", "--cached", ".", cwd=project)
    rendering.run("git", "reset", "--quiet", "--hard", cwd=project, **variables)
    rendering.python("copier", *UPDATE, cwd=project, **variables)
    assert not (project / "tools").exists()
