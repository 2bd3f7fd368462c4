"""Text from a database is data: hostile schemas, made up by hypothesis, are adopted, and nothing in them is ever run."""

from __future__ import annotations

import builtins
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import sqlite_shape
from lossless.adoption import command

BOOM = "__import__('builtins').adoption_ran_code(1)"
HOSTILE = [
    BOOM,
    f"'); {BOOM}; ('",
    f'"); {BOOM}; ("',
    f'""" + {BOOM} + """',
    f"'''\n{BOOM}\n'''",
    f"\\'; {BOOM} #",
    f"x\n{BOOM}",
    f"{{{BOOM}}} %s %(a)s :p \\:q",
    f"lambda: {BOOM}",
    "'); DROP TABLE sqlite_schema; --",
    "/* ' \" */ -- ;",
    "class",
    "metadata",
    "Base",
    "Mapped",
    "text",
    "Optional",
    "self",
    "__table__",
    "a.b",
    "%",
    "😀",
    "ﬁ",
    "²",
    "x" * 200,
    "tab\tcr\rnul?",
]
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12
    ),
)
NAMES = TEXT.filter(lambda name: not name.lower().startswith("sqlite_"))
TYPES = st.one_of(
    st.sampled_from(
        [
            "INTEGER",
            "TEXT",
            "",
            "VARCHAR(10)",
            "DATETIME",
            "DECIMAL(10,2)",
            "BOOLEAN",
            "BLOB",
            "JSON",
            "UUID",
        ]
    ),
    NAMES.map(lambda name: quote(name)),
)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def distinct(names: list[str]) -> list[str]:
    return list({name.lower(): name for name in names}.values())


@st.composite
def schemas(draw: st.DrawFn) -> list[str]:
    """Statements that make a hostile database."""
    tables = distinct(draw(st.lists(NAMES, min_size=1, max_size=4)))
    statements, columns = [], {}
    for table in tables:
        columns[table] = distinct(draw(st.lists(NAMES, min_size=1, max_size=4)))
        parts = []
        for name in columns[table]:
            words = [quote(name), draw(TYPES)]
            if draw(st.booleans()):
                words.append(f"DEFAULT {string(draw(TEXT))}")
            if draw(st.booleans()):
                words.append(f"CHECK ({quote(name)} <> {string(draw(TEXT))})")
            if draw(st.booleans()):
                words.append("NOT NULL")
            if draw(st.booleans()):
                other = draw(st.sampled_from(tables))
                target = draw(st.sampled_from(columns.get(other) or columns[table]))
                words.append(f"REFERENCES {quote(other)} ({quote(target)}) ON DELETE CASCADE")
            parts.append(" ".join(words))
        if draw(st.booleans()):
            parts.append(f"PRIMARY KEY ({quote(columns[table][0])})")
        if draw(st.booleans()):
            parts.append(
                f"CONSTRAINT {quote(draw(NAMES))} UNIQUE ({', '.join(map(quote, columns[table]))})"
            )
        statements.append(f"CREATE TABLE {quote(table)} ({', '.join(parts)})")
    for name in distinct(draw(st.lists(NAMES, max_size=3))):
        table = draw(st.sampled_from(tables))
        column = quote(columns[table][0])
        kind = draw(st.sampled_from(["INDEX", "EXPRESSION", "VIEW", "TRIGGER"]))
        text = string(draw(TEXT))
        statements.append(
            {
                "INDEX": f"CREATE INDEX {quote(name)} ON {quote(table)} ({column}) WHERE {column} <> {text}",
                "EXPRESSION": f"CREATE INDEX {quote(name)} ON {quote(table)} ({column} || {text})",
                "VIEW": f"CREATE VIEW {quote(name)} AS SELECT {column}, {text} AS {quote(name)} FROM {quote(table)}",
                "TRIGGER": f"CREATE TRIGGER {quote(name)} AFTER INSERT ON {quote(table)} BEGIN SELECT {text}; END",
            }[kind]
        )
    return statements


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import rendering

    answers: dict[str, Any] = {"existing_database_url": "sqlite:////nowhere/data.db"}
    return rendering.render(template, tmp_path_factory.mktemp("hostile") / "shop", **answers)


@pytest.fixture(autouse=True)
def watch_for_code() -> Iterator[list[int]]:
    """What hostile text would call if it were ever run as code."""
    ran: list[int] = []
    builtins.adoption_ran_code = ran.append  # type: ignore[attr-defined]
    yield ran
    del builtins.adoption_ran_code  # type: ignore[attr-defined]
    assert ran == []


@pytest.mark.slow
@settings(
    max_examples=int(os.environ.get("ADOPTION_EXAMPLES", "50")),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)
@given(
    statements=schemas(),
    generator=st.sampled_from(["declarative", "dataclasses", "tables", "sqlmodels"]),
)
def test_hostile_text_is_carried_and_never_run(
    project: Path, watch_for_code: list[int], statements: list[str], generator: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "hostile.db")
        with closing(sqlite3.connect(database)) as connection:
            for statement in statements:
                try:
                    connection.execute(statement)
                except sqlite3.DatabaseError:
                    assume(False)
        copy = Path(shutil.copytree(project, Path(folder, "project")))
        forget_sqlmodels()
        before = sqlite_shape.shape(database)
        status = command.main(copy, "shop", generator, [f"sqlite:///{database}"])
        assert status == 0
        assert watch_for_code == []
        after = sqlite_shape.shape(database)
        assert sqlite_shape.differences(before, after) == []
        for path in copy.glob("**/*.py"):
            compile(path.read_bytes(), path.name, "exec")


def forget_sqlmodels() -> None:
    """SQLModel keeps all classes of a process in one registry."""
    if "sqlmodel" in sys.modules:
        sqlmodel = sys.modules["sqlmodel"]
        sqlmodel.SQLModel.metadata.clear()
        sqlmodel.main.default_registry._class_registry.clear()
