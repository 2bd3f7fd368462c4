"""Every operation on tables of real schemas: `pytest --databases=DIR`, each *.sql of the folder.

`CORPUS_TABLES` in the environment sets on how many tables of each database (2 by default, 0: all).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.util import CommandError

from migrating import Declared, migrate, quoted
from sqlite_shape import differences, row_hashes, shadow_tables, shape, words

TABLES = int(os.environ.get("CORPUS_TABLES", "2"))
Revision = Callable[[Operations], Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder: Path | None = metafunc.config.getoption("--databases")
    scripts = sorted(folder.glob("*.sql")) if folder else []
    metafunc.parametrize("script", scripts, ids=[script.stem for script in scripts])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_operation_on_tables_of_a_real_schema(script: Path, tmp_path: Path) -> None:
    chance = random.Random(script.stem)
    original, work = tmp_path / "original.db", tmp_path / "work.db"
    with closing(sqlite3.connect(original)) as connection:
        connection.executescript(script.read_text("utf-8"))
        tables = fill(connection, chance, shadow_tables(original))
    shutil.copy(original, work)
    before = Snapshot(original)
    outcome: Counter[str] = Counter()
    for table in chance.sample(tables, min(TABLES or len(tables), len(tables))):
        for name, there, back in operations(original, table, chance):
            label = f"{name} on {table}"
            try:
                migrate(work, there)
            except CommandError:
                assert not Snapshot(work).differences(before), f"{label}: refused, and yet changed"
                outcome["refused"] += 1
                continue
            changed = Snapshot(work)
            if not name.startswith("rename"):
                allowed = before.of(table) | changed.of(table)
                assert changed.changed_objects(before) <= allowed, label
            assert changed.other_rows(table) == before.other_rows(table), label
            if back is not None:
                migrate(work, back)
                assert not Snapshot(work).differences(before), label
            outcome["done"] += 1
            shutil.copy(original, work)
    print(f"{script.stem}: {dict(outcome)}")


class Snapshot:
    """A database at one moment: its statements, and on demand what they promise."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            self.statements = {
                (kind, name): (table, sql)
                for kind, name, table, sql in connection.execute(
                    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"
                )
            }
        self.rows = row_hashes(path)
        self._shape: dict[str, Any] | None = None

    @property
    def shape(self) -> dict[str, Any]:
        if self._shape is None:
            self._shape = shape(self.path)
        return self._shape

    def differences(self, other: Snapshot) -> list[str]:
        """What is not the same; the shape is looked at only where a statement is another one."""
        found = [
            f"rows of {table}"
            for table in self.rows.keys() | other.rows.keys()
            if self.rows.get(table) != other.rows.get(table) and table != "sqlite_sequence"
        ]
        if self.statements == other.statements:
            return found
        return found + differences(other.shape, self.shape)

    def changed_objects(self, other: Snapshot) -> set[str]:
        """The objects that promise something else."""
        lines = [] if self.statements == other.statements else differences(other.shape, self.shape)
        return {re.split(r", [a-z ]+: |: ", line)[0] for line in lines}

    def of(self, table: str) -> set[str]:
        """The table and its indexes: one that is about a column alone goes with the column."""
        return {
            f"{kind} {name.lower()}"
            for (kind, name), (owner, _) in self.statements.items()
            if owner.lower() == table.lower()
        }

    def other_rows(self, table: str) -> dict[str, str]:
        ignored = {table, "zz new", "sqlite_sequence"}
        return {name: rows for name, rows in self.rows.items() if name not in ignored}


def fill(connection: sqlite3.Connection, chance: random.Random, shadows: set[str]) -> list[str]:
    """Put some rows into each table that takes them; the names of all tables."""
    names = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "AND name <> 'alembic_version' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    ).fetchall()
    tables = []
    for name, sql in names:
        if name.lower() in shadows:
            continue
        tables.append(name)
        words = re.findall(r"'([^'\s]{1,20})'", sql)
        columns = [
            row
            for row in connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
            if row[6] == 0
        ]
        listed = ", ".join(quoted(row[1]) for row in columns)
        marks = ", ".join("?" * len(columns))
        for number in range(6):
            values = [value(row, number, words, chance) for row in columns]
            try:
                connection.execute(
                    f"INSERT INTO {quoted(name)} ({listed}) VALUES ({marks})", values
                )
            except sqlite3.Error:
                continue  # this table takes other values
    connection.commit()
    return tables


def value(column: tuple[Any, ...], number: int, words: list[str], chance: random.Random) -> Any:
    kind = column[2].upper()
    if column[5] and "INT" in kind:
        return number * 3 + 1
    if not column[3] and chance.random() < 0.15:
        return None
    if words and chance.random() < 0.3:
        return chance.choice(words)
    if "INT" in kind:
        return chance.choice([0, 1, number])
    if any(part in kind for part in ("REAL", "DOUB", "FLOA", "NUM", "DEC")):
        return chance.choice([1.5, 0, number])
    return bytes([number, 1]) if "BLOB" in kind else chance.choice([f"a{number}", "007", ""])


def operations(
    path: Path, table: str, chance: random.Random
) -> Iterator[tuple[str, Revision, Revision | None]]:
    """Operations on a table with their inverses; None where values go with the operation."""
    with closing(sqlite3.connect(path)) as connection:
        info = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
        ask = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        written = " ".join(words(connection.execute(ask, (table,)).fetchone()[0]))
    # What takes NULL away and gives it back knows no name for it.
    has_named_not_null = re.search(r"constraint \S+ not null", written) is not None

    def batch(*work: Callable[[Any], Any], **options: Any) -> Revision:
        def run(op: Operations) -> None:
            with op.batch_alter_table(table, **options) as operations:
                for each in work:
                    each(operations)

        return run

    def added(**options: Any) -> Callable[[Any], Any]:
        return lambda b: b.add_column(sa.Column("zz new", sa.String(5), **options))

    own = [row for row in info if row[6] == 0]
    first = info[0][1]
    drop_added = batch(lambda b: b.drop_column("zz new"))
    yield "rebuild", batch(lambda b: None, recreate="always"), lambda op: None
    yield (
        "rename table",
        lambda op: op.rename_table(table, "zz new"),
        lambda op: op.rename_table("zz new", table),
    )
    yield "add", lambda op: op.add_column(table, sa.Column("zz new", sa.Integer)), drop_added
    yield (
        "add with a CHECK",
        batch(added(), lambda b: b.create_check_constraint("zz", '"zz new" > 1')),
        batch(lambda b: b.drop_constraint("zz"), lambda b: b.drop_column("zz new")),
    )
    yield "add NOT NULL", batch(added(nullable=False, server_default="x")), drop_added
    yield (
        "add with a computed default",
        batch(lambda b: b.add_column(sa.Column("zz new", sa.Date, server_default=sa.func.now()))),
        drop_added,
    )
    yield (
        "check",
        lambda op: op.create_check_constraint("zz new", table, f"{quoted(first)} IS NULL OR 1"),
        lambda op: op.drop_constraint("zz new", table, type_="check"),
    )
    yield (
        "unique",
        batch(lambda b: b.create_unique_constraint("zz new", [row[1] for row in own])),
        batch(lambda b: b.drop_constraint("zz new", type_="unique")),
    )
    yield (
        "foreign key",
        lambda op: op.create_foreign_key("zz new", table, table, [own[-1][1]], [first]),
        lambda op: op.drop_constraint("zz new", table, type_="foreignkey"),
    )
    yield (
        "index",
        lambda op: op.create_index(f"zz {table}", table, [first]),
        lambda op: op.drop_index(f"zz {table}", table),
    )
    for row in chance.sample(info, min(2, len(info))):
        yield f"drop {row[1]}", batch(lambda b, row=row: b.drop_column(row[1])), None
        yield (
            f"rename {row[1]}",
            lambda op, row=row: op.alter_column(table, row[1], new_column_name="zz new"),
            lambda op, row=row: op.alter_column(table, "zz new", new_column_name=row[1]),
        )
    for row in chance.sample(own, min(2, len(own))):
        default = None if row[4] is None else sa.text(in_parentheses(row[4]))
        yield (
            f"default of {row[1]}",
            lambda op, row=row: op.alter_column(table, row[1], server_default="it's"),
            lambda op, row=row, default=default: op.alter_column(
                table, row[1], server_default=default
            ),
        )
        if not row[5] and not has_named_not_null:
            yield (
                f"NULL in {row[1]}",
                lambda op, row=row: op.alter_column(table, row[1], nullable=bool(row[3])),
                lambda op, row=row: op.alter_column(table, row[1], nullable=not row[3]),
            )
        if "CHAR" in row[2].upper():
            yield (
                f"type of {row[1]}",
                lambda op, row=row: op.alter_column(table, row[1], type_=sa.String(999)),
                lambda op, row=row: op.alter_column(table, row[1], type_=Declared(row[2])),
            )


def in_parentheses(default: str) -> str:
    """A default as an expression; a lone word or name stays as it is: in parentheses it would be a column."""
    return default if len(words(default)) == 1 else f"({default})"
