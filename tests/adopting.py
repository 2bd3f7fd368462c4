"""Adopting databases in tests: loading them, running adopt.py, and trying the adopted project out."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import rendering

TESTS = Path(__file__).parent
SCHEMAS = sorted((TESTS / "schemas").glob("*.sql"))
GENERATORS = ("declarative", "dataclasses", "tables", "sqlmodels")


def build(database: Path, sql: str) -> Path:
    """Make a database from SQL, or add to one."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(sql)
    return database


def load(script: Path, database: Path) -> Path:
    """Make a database from an SQL script."""
    return build(database, script.read_bytes().decode("utf-8"))


def adopt(project: Path, *arguments: str | Path, status: int = 0) -> str:
    """Run the project's adopt.py; give what it prints."""
    return rendering.run(sys.executable, "alembic/adopt.py", *arguments, cwd=project, status=status)


def try_out(project: Path, original: Path, adopted: Path, work: Path) -> list[str]:
    """Use an adopted project as its owner would; give what went wrong.

    Args:
        original: the database before its adoption.
        adopted: the same afterwards.
        work: an empty folder.
    """
    script = TESTS / "try_adopted_project.py"
    printed = rendering.run(
        sys.executable,
        "-W",
        "error",
        script,
        original,
        adopted,
        work,
        cwd=project,
        status=None,
        PYTHONPATH=os.pathsep.join(["src", "alembic", str(TESTS)]),
    )
    try:
        return list(json.loads(printed.splitlines()[-1]))
    except (ValueError, IndexError):
        return [printed[-2000:]]


def snapshot(database: Path) -> dict[str, bytes]:
    """A database file and the files beside it, byte for byte."""
    return {path.name: path.read_bytes() for path in database.parent.glob(f"{database.name}*")}
