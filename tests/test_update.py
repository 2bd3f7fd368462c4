"""`copier update` of a project that was lived in: each file goes as its owner would have it."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import rendering
from updating import NEW, OLD, SHARED, begin, edit, owned, update


@pytest.fixture
def project(lived_in: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in, tmp_path / "shop-list"))


def ignored(project: Path, _: ExitStack) -> None:
    assert rendering.git("check-ignore", "shoplist.db", cwd=project)


def tracked(project: Path, _: ExitStack) -> None:
    rendering.git("add", "--force", "shoplist.db", cwd=project)


def moved(project: Path, _: ExitStack) -> None:
    (project / "data").mkdir()
    shutil.move(project / "shoplist.db", project / "data" / "shop.db")
    edit(project / "alembic.ini", "sqlite:///shoplist.db", "sqlite:///data/shop.db")
    (project / ".env").write_text("SECRET='s3cr3t'\n")


def deleted(project: Path, _: ExitStack) -> None:
    (project / "shoplist.db").unlink()
    (project / ".env").unlink()


def in_wal_mode(project: Path, open_until_the_end: ExitStack) -> None:
    connection = open_until_the_end.enter_context(closing(sqlite3.connect(project / "shoplist.db")))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("INSERT INTO note1 (id) VALUES (7)")
    connection.commit()
    assert (project / "shoplist.db-wal").stat().st_size
    assert (project / "shoplist.db-shm").exists()


def with_a_models_package(project: Path, _: ExitStack) -> None:
    models = project / "src" / "shop_list" / "models"
    models.mkdir()
    shutil.move(models.with_suffix(".py"), models / "__init__.py")
    (models / "more.py").write_text("from . import Base as Base\n")


@pytest.fixture(
    params=[ignored, tracked, moved, deleted, in_wal_mode, with_a_models_package],
    ids=lambda change: change.__name__,
)
def updated(
    request: pytest.FixtureRequest, project: Path
) -> Iterator[tuple[Path, dict[str, bytes], str]]:
    """A project after the update, its owner's files before it, and what the update printed."""
    change: Callable[[Path, ExitStack], None] = request.param
    with ExitStack() as stack:
        change(project, stack)
        rendering.commit(project, change.__name__)
        before = owned(project)
        yield project, before, update(project)


def test_each_file_goes_as_its_owner_would_have_it(
    updated: tuple[Path, dict[str, bytes], str], new_render: Path
) -> None:
    project, before, printed = updated
    assert owned(project) == before
    for path in templates_own(new_render):
        assert (project / path).read_bytes() == (new_render / path).read_bytes(), path
    for path, line in SHARED.items():
        text = (project / path).read_text("utf-8")
        assert line in text, path
        assert "owner" in text.lower() or "3.2.1" in text, path
        assert "<<<<<<<" not in text, path
    pyproject = (project / "pyproject.toml").read_text("utf-8")
    assert 'version = "3.2.1"' in pyproject
    assert '"idna>=3"' in pyproject
    assert "UU" not in rendering.git("status", "--short", cwd=project)
    assert "tests/test_added.py" in printed  # not brought, so told
    if "shoplist.db" in before or "data/shop.db" in before:
        assert "No new upgrade operations" in rendering.python("alembic", "check", cwd=project)


@pytest.fixture(scope="session")
def new_render(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(history, tmp_path_factory.mktemp("new") / "shop-list", NEW)


def templates_own(project: Path) -> list[str]:
    return [
        path
        for path in rendering.files(project)
        if path.startswith("alembic/lossless/")
        or path in ("alembic/adopt.py", "alembic/script.py.mako")
    ]


@pytest.mark.parametrize("options", [(), ("--conflict", "rej")], ids=" ".join)
def test_the_templates_own_files_become_the_new_ones_also_where_they_were_changed(
    options: tuple[str, ...], project: Path, new_render: Path
) -> None:
    changed = ["alembic/lossless/native.py", "alembic/adopt.py", "alembic/script.py.mako"]
    for path in changed:
        with (project / path).open("a") as file:
            file.write("# Mine.\n")
    (project / "alembic" / "lossless" / "mine.py").write_text("MINE = 1\n")
    rendering.commit(project, "Mine")
    before = rendering.files(project)
    update(project, version=OLD)
    assert rendering.files(project) == before
    printed = update(project, *options)
    for path in templates_own(new_render):
        assert (project / path).read_bytes() == (new_render / path).read_bytes(), path
        assert (f"{path}: the new version's; what you had changed" in printed) == (path in changed)
    assert (project / "alembic" / "lossless" / "mine.py").read_text() == "MINE = 1\n"
    assert "-# Mine." in rendering.git("diff", "alembic/lossless/native.py", cwd=project)
    assert not list(project.rglob("*.rej"))
    assert not rendering.git("ls-files", "--unmerged", cwd=project)


def test_an_adopted_database_its_models_and_its_address_stay(history: Path, tmp_path: Path) -> None:
    database = tmp_path / "old.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE)")
    url = f"sqlite:///{database}"
    project = begin(history, tmp_path / "things", existing_database_url=url)
    rendering.run(sys.executable, "alembic/adopt.py", cwd=project)
    rendering.commit(project, "Adopt")
    before, content = owned(project), database.read_bytes()
    assert ".env" in before
    assert any("thing" in path or b"thing" in text for path, text in before.items())
    update(project)
    assert owned(project) == before
    assert database.read_bytes() == content
    assert not (project / "shoplist.db").exists()
    assert "adopted: true" in (project / ".copier-answers.yml").read_text()
    assert "No new upgrade operations" in rendering.python("alembic", "check", cwd=project)


def test_the_projects_own_checks_pass_and_its_owner_is_told_what_to_do(project: Path) -> None:
    printed = update(project)
    for part in (
        "left alone   src/",
        "git add -u && git stash && git stash -u",
        "alembic check",
        "pytest",
    ):
        assert part in printed
    rendering.python("pytest", "-q", cwd=project)
