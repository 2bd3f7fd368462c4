"""Which database: the order of the four places, and addresses that are hard to get right."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rendering import python, run

ASK = "from shop_list.database import database_url as u; print(u().render_as_string(False))"


def asked(project: Path, **environment: str) -> str:
    """What the application takes for its database."""
    source = str(project / "src")
    return run(sys.executable, "-c", ASK, cwd=project, PYTHONPATH=source, **environment).strip()


def migrated(project: Path, *options: str, **environment: str) -> None:
    python("alembic", *options, "upgrade", "head", cwd=project, **environment)


def test_the_application_and_alembic_agree_on_the_order(project: Path) -> None:
    (project / "shoplist.db").unlink()
    assert asked(project) == f"sqlite:///{project / 'shoplist.db'}"
    (project / ".env").write_text("DATABASE_URL=sqlite:///dotenv.db\n")
    assert asked(project) == f"sqlite:///{project / 'dotenv.db'}"
    assert asked(project, DATABASE_URL="sqlite:///env.db") == f"sqlite:///{project / 'env.db'}"

    migrated(project, "-x", "url=sqlite:///x.db", DATABASE_URL="sqlite:///env.db")
    assert {path.name for path in project.glob("*.db")} == {"x.db"}
    migrated(project, DATABASE_URL="sqlite:///env.db")
    assert {path.name for path in project.glob("*.db")} == {"x.db", "env.db"}
    migrated(project)
    assert {path.name for path in project.glob("*.db")} == {"x.db", "env.db", "dotenv.db"}
    (project / ".env").unlink()
    migrated(project)
    assert (project / "shoplist.db").exists()


def test_a_relative_path_starts_at_the_project_wherever_the_command_is_started(
    project: Path, tmp_path: Path
) -> None:
    (project / "shoplist.db").unlink()
    python("alembic", "-c", project / "alembic.ini", "upgrade", "head", cwd=tmp_path)
    assert (project / "shoplist.db").exists()


@pytest.mark.parametrize("password", ["p%40ss%25", "$HOME${HOME}", "пароль", "a'b", "#x", "a=b c"])
def test_any_password_survives_each_place(project: Path, password: str) -> None:
    from sqlalchemy import URL, make_url

    url = URL.create("postgresql+psycopg", "me", password, "host", database="shop")
    text = url.render_as_string(hide_password=False)

    assert make_url(asked(project, DATABASE_URL=text)).password == password
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    (project / ".env").write_text(f"DATABASE_URL='{quoted}'\n", "utf-8")
    assert make_url(asked(project)).password == password
    (project / ".env").unlink()
    ini = project / "alembic.ini"
    shipped = ini.read_text("utf-8")
    for written in (text, text.replace("%", "%%")):
        ini.write_text(shipped.replace("sqlite:///shoplist.db", written), "utf-8")
        assert make_url(asked(project)).password == password
        output = python("alembic", "history", cwd=project)
        assert "create item" in output


def test_a_project_in_a_folder_with_a_hard_name_works(render: object, tmp_path: Path) -> None:
    project = render(into="ünï & y 'q' $x", package_name="shop_list")  # type: ignore[operator]
    add = "    price: Mapped[float | None]\n"
    models = project / "src" / "shop_list" / "models.py"
    models.write_text(models.read_text() + add)
    python("alembic", "revision", "--autogenerate", "-m", "add a price", cwd=project)
    migrated(project)
    assert "No new upgrade operations detected." in python("alembic", "check", cwd=project)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("shoplist", "no database URL"),
        ("sqlite:/shoplist.db", "no database URL"),
        ("postgresql://me:hunter2@host:port/x", "no database URL"),
        ("oracle://me:hunter2@host/x", "no database engine called 'oracle'"),
        ("sqlite+aiosqlite:///x.db", "aiosqlite"),
        ("postgresql+psycopg_async://me:hunter2@host/x", "asynchronous"),
        ("postgresql+nodriver://me:hunter2@host/x", "nodriver"),
        ("sqlite:////no/such/folder/x.db", "/no/such/folder"),
        ("sqlite:///pyproject.toml", "not an SQLite database"),
    ],
)
def test_a_wrong_url_is_reported_in_plain_words(project: Path, url: str, words: str) -> None:
    before = sorted(os.listdir(project))
    for command in (("current",), ("upgrade", "head"), ("check",)):
        output = python("alembic", *command, cwd=project, status=255, DATABASE_URL=url)
        assert words in output
        assert "Traceback" not in output
        assert "hunter2" not in output
    assert sorted(os.listdir(project)) == before


def test_a_lock_timeout_that_is_no_number_is_reported(project: Path) -> None:
    output = python(
        "alembic", "-x", "lock_timeout=soon", "upgrade", "head", cwd=project, status=255
    )
    assert "a number of seconds" in output
    assert "Traceback" not in output


def test_without_any_url_the_way_to_give_one_is_named(project: Path) -> None:
    ini = project / "alembic.ini"
    ini.write_text(ini.read_text().replace("sqlalchemy.url = sqlite:///shoplist.db", ""))
    assert "Set the environment variable DATABASE_URL" in python(
        "alembic", "current", cwd=project, status=255
    )
