"""Alembic's own commands in a project, as its documentation has them, from the root and from elsewhere."""

from __future__ import annotations

import re
import sqlite3
import sys
from pathlib import Path

import pytest

from rendering import python, run, sqlite3_shell

ADDED = "    price: Mapped[float | None]\n"


def add_a_column(project: Path) -> None:
    models = project / "src" / "shop_list" / "models.py"
    models.write_text(models.read_text() + ADDED)


def columns(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    found = [row[1] for row in connection.execute("PRAGMA table_info(item)")]
    connection.close()
    return found


def alembic(project: Path, *arguments: str, status: int = 0, **environment: str) -> str:
    return python("alembic", *arguments, cwd=project, status=status, **environment)


def test_a_change_of_the_models_becomes_a_revision_and_goes_up_and_down(project: Path) -> None:
    add_a_column(project)
    assert "add_column" in alembic(project, "check", status=255)
    alembic(project, "revision", "--autogenerate", "-m", "add a price")
    (revision,) = (project / "alembic" / "versions").glob("*_add_a_price.py")
    assert "batch_alter_table" in revision.read_text()

    alembic(project, "upgrade", "+1")
    assert columns(project / "shoplist.db") == ["id", "name", "quantity", "price"]
    assert "No new upgrade operations detected." in alembic(project, "check")
    assert "(head)" in alembic(project, "current")
    alembic(project, "downgrade", "-1")
    assert columns(project / "shoplist.db") == ["id", "name", "quantity"]
    alembic(project, "downgrade", "base")
    assert columns(project / "shoplist.db") == []
    alembic(project, "upgrade", "head")
    assert columns(project / "shoplist.db") == ["id", "name", "quantity", "price"]

    assert python("ruff", "check", cwd=project).strip() == "All checks passed!"
    assert "already formatted" in python("ruff", "format", "--check", cwd=project)


def test_an_empty_revision_can_be_written_by_hand(project: Path) -> None:
    alembic(project, "revision", "-m", "fill in prices")
    (revision,) = (project / "alembic" / "versions").glob("*_fill_in_prices.py")
    assert python("ruff", "check", cwd=project).strip() == "All checks passed!"
    work = "op.add_column('item', sa.Column('price', sa.Float()))"
    revision.write_text(revision.read_text().replace("pass", work, 1))
    alembic(project, "upgrade", "head")
    assert columns(project / "shoplist.db")[-1] == "price"
    assert len(alembic(project, "heads").splitlines()) == 1
    assert "(head), fill in prices" in alembic(project, "history")
    assert "(current)" in alembic(project, "history", "-i")
    alembic(project, "stamp", "head")
    assert "(head)" in alembic(project, "current")


def test_an_empty_revision_keeps_its_imports_in_another_folder(project: Path) -> None:
    ini = project / "alembic.ini"
    location = "script_location = %(here)s/alembic\n"
    both = "version_locations =\n    %(here)s/alembic/versions\n    %(here)s/billing\n"
    ini.write_text(ini.read_text().replace(location, location + both))
    folder = ["--version-path", str(project / "billing"), "--head", "base"]
    alembic(project, "revision", "-m", "begin", *folder)
    (revision,) = (project / "billing").glob("*.py")
    assert "from alembic import op\n" in revision.read_text()


def test_a_first_revision_is_written_without_complaints(project: Path) -> None:
    for path in (project / "shoplist.db", *(project / "alembic" / "versions").glob("*.py")):
        path.unlink()
    output = alembic(project, "revision", "--autogenerate", "-m", "begin")
    assert "Running post write hook 'format' ...\n  done" in output
    python("ruff", "check", cwd=project)
    python("ruff", "format", "--check", cwd=project)


def test_a_revision_can_be_written_without_the_development_tools(project: Path) -> None:
    hidden = project / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['ruff'] = None\n")
    add_a_column(project)
    alembic(project, "revision", "-m", "empty", PYTHONPATH=str(hidden))
    alembic(project, "upgrade", "head")
    alembic(project, "revision", "--autogenerate", "-m", "price", PYTHONPATH=str(hidden))
    alembic(project, "upgrade", "head")
    assert "price" in columns(project / "shoplist.db")


def test_autogenerate_without_a_change_writes_no_file(project: Path) -> None:
    before = sorted((project / "alembic" / "versions").iterdir())
    assert "no revision is needed" in alembic(
        project, "revision", "--autogenerate", "-m", "nothing"
    )
    assert sorted((project / "alembic" / "versions").glob("*.*")) == [
        path for path in before if path.is_file()
    ]


def test_the_next_revision_can_be_written_as_sql_and_run_by_the_sqlite3_shell(
    project: Path,
) -> None:
    add_a_column(project)
    alembic(project, "revision", "--autogenerate", "-m", "add a price")
    log = re.compile(r"^INFO .*\n", re.MULTILINE)
    script = log.sub("", alembic(project, "upgrade", "+1", "--sql"))
    (project / "next.sql").write_text(script)
    sqlite3_shell("-bail", "shoplist.db", ".read next.sql", cwd=project)
    assert columns(project / "shoplist.db") == ["id", "name", "quantity", "price"]
    assert "(head)" in alembic(project, "current")
    assert "No new upgrade operations detected." in alembic(project, "check")


def test_a_script_finds_the_version_table_that_env_py_names(project: Path) -> None:
    env = project / "alembic" / "env.py"
    asked = 'config.get_main_option("version_table", "alembic_version")'
    named = env.read_text().replace(asked, '"mine"')
    env.write_text(named)
    (project / "shoplist.db").unlink()
    alembic(project, "upgrade", "head")
    add_a_column(project)
    alembic(project, "revision", "--autogenerate", "-m", "add a price")
    assert "CREATE TABLE" not in alembic(project, "upgrade", "head", "--sql")


def test_everything_works_from_another_folder_too(project: Path, tmp_path: Path) -> None:
    add_a_column(project)
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    ini = ["-c", "../shop-list/alembic.ini"]
    alembic(elsewhere, *ini, "revision", "--autogenerate", "-m", "add a price")
    alembic(elsewhere, *ini, "upgrade", "head")
    assert columns(project / "shoplist.db") == ["id", "name", "quantity", "price"]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("init", ["", "from .base import Base as Base\n"])
def test_models_may_become_a_package(project: Path, init: str) -> None:
    source = project / "src" / "shop_list" / "models.py"
    text = source.read_text()
    base, item = text.split("class Item(Base)")
    source.unlink()
    package = project / "src" / "shop_list" / "models"
    package.mkdir()
    (package / "__init__.py").write_text(init)
    (package / "base.py").write_text(base)
    (package / "item.py").write_text(
        "from sqlalchemy import String\nfrom sqlalchemy.orm import Mapped, mapped_column\n\n"
        f"from .base import Base\n\n\nclass Item(Base){item}"
    )
    # Nobody imports item.py, yet its table must not look like one to drop.
    assert "No new upgrade operations detected." in alembic(project, "check")


def test_models_of_two_metadata_are_reported(project: Path) -> None:
    source = project / "src" / "shop_list" / "models.py"
    package = project / "src" / "shop_list" / "models"
    package.mkdir()
    source.rename(package / "item.py")
    (package / "__init__.py").touch()
    (package / "other.py").write_text("from sqlalchemy import MetaData\n\nmetadata = MetaData()\n")
    output = alembic(project, "check", status=255)
    assert "models.item and shop_list.models.other hold different metadata" in output
    assert "Traceback" not in output


def test_models_may_be_tables_without_classes(project: Path) -> None:
    (project / "src" / "shop_list" / "models.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, String, Table, UniqueConstraint\n\n"
        "metadata = MetaData()\n"
        't_item = Table("item", metadata, Column("id", Integer, primary_key=True),\n'
        '    Column("name", String(200), nullable=False),\n'
        '    Column("quantity", Integer, nullable=False, server_default="1"),\n'
        '    UniqueConstraint("name", name="uq_item_name"))\n'
    )
    assert "No new upgrade operations detected." in alembic(project, "check")


def test_models_without_metadata_are_reported(project: Path) -> None:
    (project / "src" / "shop_list" / "models.py").write_text("x = 1\n")
    output = alembic(project, "check", status=255)
    assert "has no `Base` and no `metadata`" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("generator", ["declarative", "tables", "dataclasses"])
def test_what_sqlacodegen_writes_can_be_the_models(project: Path, generator: str) -> None:
    code = run(
        Path(sys.executable).parent / "sqlacodegen", "--generator", generator,
        "sqlite:///shoplist.db", cwd=project,
    )  # fmt: skip
    assert "alembic_version" not in code
    assert re.search(r"item.*name.*quantity", code, re.DOTALL | re.IGNORECASE)
    (project / "src" / "shop_list" / "models.py").write_text(code)
    assert "No new upgrade operations detected." in alembic(project, "check")


@pytest.mark.parametrize("where", ["alembic.ini", ".env", "environment"])
def test_a_program_says_which_database(project: Path, where: str) -> None:
    (project / "shoplist.db").unlink()
    if where == ".env":
        (project / ".env").write_text("DATABASE_URL=sqlite:///shoplist.db\n")
    environment = {"DATABASE_URL": "sqlite:///shoplist.db"} if where == "environment" else {}
    program = (
        "from alembic import command; from alembic.config import Config; c = Config('alembic.ini')\n"
        "c.set_main_option('sqlalchemy.url', 'sqlite:///100%%.db'); command.upgrade(c, 'head')"
    )
    run(sys.executable, "-c", program, cwd=project, **environment)
    assert columns(project / "100%.db") == ["id", "name", "quantity"]
    assert not (project / "shoplist.db").exists()


@pytest.mark.parametrize("where", ["file", "section"])
def test_another_file_or_section_has_its_own_database(project: Path, where: str) -> None:
    (project / "shoplist.db").unlink()
    ini = project / "alembic.ini"
    other = ini.read_text().replace("shoplist.db", "%(here)s/other.db")
    if where == "file":
        option = ["-c", "other.ini"]
        (project / "other.ini").write_text(other)
    else:
        option = ["--name", "other"]
        section = other.partition("[post_write_hooks]")[0].replace("[alembic]", "[other]")
        ini.write_text(section + ini.read_text())
    alembic(project, *option, "upgrade", "head", DATABASE_URL="sqlite:///shoplist.db")
    assert columns(project / "other.db") == ["id", "name", "quantity"]
    assert not (project / "shoplist.db").exists()


def test_a_copy_of_alembic_ini_has_the_application_s_database(project: Path) -> None:
    (project / "copy.ini").write_text((project / "alembic.ini").read_text())
    alembic(project, "-c", "copy.ini", "upgrade", "head", DATABASE_URL="sqlite:///other.db")
    assert columns(project / "other.db") == ["id", "name", "quantity"]


def test_the_sqlite3_shell_shows_the_schema(project: Path) -> None:
    assert sqlite3_shell("shoplist.db", ".tables", cwd=project).split() == [
        "alembic_version",
        "item",
    ]
    assert "CONSTRAINT pk_item PRIMARY KEY" in sqlite3_shell(
        "shoplist.db", ".schema item", cwd=project
    )
