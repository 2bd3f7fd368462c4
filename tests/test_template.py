"""A rendered project: complete, clean, and working with the tools its owner knows."""

from __future__ import annotations

import re
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import rendering
from rendering import REPOSITORY, files, python

# Each value of each question at least once; the pairs that share code together.
COMBINATIONS: dict[str, dict[str, object]] = {
    "defaults": {},
    "postgresql": {"database": "postgresql", "license": "BSD-3-Clause", "ci": "gitlab"},
    "mariadb": {"database": "mariadb", "license": "Apache-2.0", "ci": "none"},
    "nobody, nothing": {"license": "none", "ci": "gitlab", "user_name": "", "setup": False},
    "somebody": {"user_name": "Ada L.", "user_email": "ada@example.com", "license": "BSD-3-Clause"},
    "long name": {"package_name": "a" * 50, "ci": "github", "database": "mariadb"},
    "short name": {"package_name": "z", "database": "postgresql", "ci": "github"},
    "capitals": {"package_name": "Shop_List", "project_description": "", "license": "Apache-2.0"},
    "hard name": {
        "project_name": 'O\'Neil "q" \\ {{ x }} 🛒',
        "project_description": "%(a)s {# #}",
    },
    "to adopt": {"existing_database_url": "sqlite:////nowhere/old.db"},
    "to adopt, dataclasses": {
        "existing_database_url": "sqlite:////nowhere/old.db",
        "sqlacodegen_generator": "dataclasses",
    },
    "to adopt, sqlmodels": {
        "existing_database_url": "postgresql://me:pw@host/old",
        "sqlacodegen_generator": "sqlmodels",
    },
    "to adopt, tables": {
        "existing_database_url": "mysql://me:pw@host/old",
        "sqlacodegen_generator": "tables",
    },
}

WINDOWS_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{d}{n}" for d in ("com", "lpt") for n in range(10)),
}


@pytest.fixture(params=COMBINATIONS, scope="module")
def combination(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project of each combination of answers. Shared: tests must not change it."""
    folder = tmp_path_factory.mktemp("combination") / "shop-list"
    return rendering.render(template, folder, **COMBINATIONS[request.param])


def test_no_jinja_marker_is_left(combination: Path) -> None:
    answers = yaml.safe_load((combination / ".copier-answers.yml").read_text("utf-8"))
    for name, content in files(combination).items():
        # GitHub's workflows and Mako's templates have marks of their own, and so may answers.
        text = re.sub(r"\$\{\{ [\w.]+ \}\}", "", content.decode("utf-8", "replace"))
        text = text.replace("\\", "")
        for answer in ("project_name", "project_description"):
            text = text.replace(answers[answer].replace("\\", ""), "")
        if not name.endswith((".mako", ".db", ".copier-answers.yml")):
            assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|#\}", text), name


def test_file_names_are_safe_on_windows(combination: Path) -> None:
    names = list(files(combination))
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        for part in name.split("/"):
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), name
            assert part.split(".")[0].lower() not in WINDOWS_DEVICES, name


def test_its_own_checks_pass(combination: Path, tool_cache: Path) -> None:
    assert python("ruff", "check", cwd=combination).strip() == "All checks passed!"
    assert "already formatted" in python("ruff", "format", "--check", cwd=combination)
    assert "no issues found" in python("mypy", "--cache-dir", str(tool_cache), cwd=combination)
    outcome = python("pytest", "-q", "-rs", "-p", "pytest_alembic", cwd=combination)
    assert re.search(r"^\d+ passed", outcome, re.MULTILINE), outcome
    skipped = set(re.findall(r"SKIPPED .*?: (.*?):", outcome))
    assert skipped <= {"no test server", "there is no revision yet"}, outcome
    assert python("poetry", "check", "--strict", cwd=combination).strip() == "All set!"


def test_yaml_files_can_be_read(combination: Path) -> None:
    for name, content in files(combination).items():
        if name.endswith((".yml", ".yaml")):
            assert yaml.safe_load(content), name


def test_rendering_twice_gives_the_same(
    template: Path, plain_project: Path, tmp_path: Path
) -> None:
    assert files(rendering.render(template, tmp_path / "shop-list")) == files(plain_project)


def test_server_projects_write_their_migrations_as_sql(render: Callable[..., Path]) -> None:
    assert "SERIAL" in python(
        "alembic", "upgrade", "head", "--sql", cwd=render(into="p", database="postgresql")
    )
    assert "AUTO_INCREMENT" in python(
        "alembic", "upgrade", "head", "--sql", cwd=render(into="m", database="mariadb")
    )


def test_a_server_project_s_readme_offers_no_adoption_that_is_yet_to_come(
    render: Callable[..., Path],
) -> None:
    for database in ("postgresql", "mariadb"):
        text = (render(into=database, database=database) / "README.md").read_text("utf-8")
        adopting = text.split("## Adopt a database")[1].split("## ")[0]
        assert "SQLite databases only" in adopting
        assert "python alembic/adopt.py" not in adopting
        assert "alembic stamp head" in adopting


def test_an_absent_server_is_reported_in_plain_words(render: Callable[..., Path]) -> None:
    for database, scheme in (("postgresql", "postgresql+psycopg"), ("mariadb", "mariadb+pymysql")):
        project = render(into=database, database=database)
        output = python(
            "alembic", "current", cwd=project, status=255,
            DATABASE_URL=f"{scheme}://me:hunter2@127.0.0.1:9/shop",
        )  # fmt: skip
        assert "Cannot connect to" in output
        assert "Traceback" not in output
        assert "hunter2" not in output


def test_shoplist_db_is_what_the_first_revision_builds(project: Path) -> None:
    def content(database: Path) -> list[str]:
        with sqlite3.connect(database) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            dump = list(connection.iterdump())
        connection.close()
        return dump

    shipped = content(project / "shoplist.db")
    (project / "shoplist.db").unlink()
    python("alembic", "upgrade", "head", cwd=project)
    assert shipped == content(project / "shoplist.db")
    assert any("CREATE TABLE item" in line for line in shipped)


def test_its_test_of_the_models_allows_rows_and_no_other_columns(project: Path) -> None:
    python("alembic", "revision", "-m", "first items", cwd=project)
    (revision,) = (project / "alembic" / "versions").glob("*_first_items.py")
    insert = """op.execute("INSERT INTO item (name) VALUES ('milk')")"""
    revision.write_text(revision.read_text().replace("pass", insert, 1))
    assert "2 passed" in python("pytest", "-q", "tests/test_models.py", cwd=project)
    models = project / "src" / "shop_list" / "models.py"
    models.write_text(re.sub("    quantity: .*\n", "", models.read_text()))
    outcome = python("pytest", "-q", "tests/test_models.py", cwd=project, status=1)
    assert "AssertionError: item" in outcome


def test_the_wheel_holds_the_package_only(project: Path) -> None:
    python("poetry", "build", "--format", "wheel", cwd=project)
    (wheel,) = (project / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"shop_list", "shop_list-0.1.0.dist-info"}
    assert "shop_list/models.py" in names


def test_no_file_of_the_template_itself_lands_in_a_project(plain_project: Path) -> None:
    own = {name.split("/")[0] for name in rendering.git("ls-files", cwd=REPOSITORY).splitlines()}
    theirs = {name.split("/")[0] for name in files(plain_project)}
    both = {".github", ".gitignore", "LICENSE", "README.md", "pyproject.toml", "tests"}
    assert own & theirs == both  # the project's own, of the same names


def test_no_machine_s_own_path_is_in_the_repository() -> None:
    tracked = rendering.git("ls-files", "-z", cwd=REPOSITORY).split("\0")
    for name in filter(None, tracked):
        path = REPOSITORY / name
        if path.exists():
            assert str(Path.home()).encode() + b"/" not in path.read_bytes(), name
