"""How long operations take beside Alembic's own batch mode, in one run.

    python tests/benchmarks/sqlite_migrations.py [--rows 10000 100000 ...] [--output FILE]

For each size a table is filled once; each operation then runs on a copy of the file, by Alembic's
own implementation for SQLite and by this project's. Timed is the operation inside of the process:
the body of the revision and its commit, not the start of Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.ddl import impl as registry
from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

sys.path[:0] = [str(Path(__file__).parents[2] / "template" / "alembic")]

from lossless.sqlite.backend import SQLiteBackend  # noqa: E402

PARENTS = 100

SCHEMA = """
CREATE TABLE parent (id INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE item (
    id INTEGER NOT NULL,
    name VARCHAR(20) NOT NULL,
    price NUMERIC(10, 2) DEFAULT 1,
    parent_id INTEGER,
    note VARCHAR(40),
    PRIMARY KEY (id),
    CONSTRAINT ck_price CHECK (price >= 0)
);
CREATE INDEX ix_item_name ON item (name);
"""


def fill(database: Path, rows: int) -> None:
    """Make the table with that many rows."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO parent SELECT i FROM n",
            (PARENTS,),
        )
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO item SELECT i, 'item ' || i, i % 1000, i % ? + 1, 'a note on ' || i FROM n",
            (rows, PARENTS),
        )
        connection.commit()


def batch(work: Callable[[Any], Any]) -> Callable[[Operations], None]:
    """An operation inside of batch_alter_table."""

    def run(op: Operations) -> None:
        with op.batch_alter_table("item") as operations:
            work(operations)

    return run


def add_column_and_widen_type(operations: Any) -> None:
    operations.add_column(sa.Column("extra", sa.String(10)))
    operations.alter_column("name", type_=sa.String(80))


def add_column_that_refers(operations: Any) -> None:
    operations.add_column(sa.Column("owner_id", sa.Integer, nullable=True))
    operations.create_foreign_key("fk", "parent", ["owner_id"], ["id"])


# Name, what is promised of it, the operation.
OPERATIONS: list[tuple[str, str, Callable[[Operations], Any]]] = [
    ("rename column", "flat", batch(lambda b: b.alter_column("note", new_column_name="remark"))),
    ("widen type", "flat", batch(lambda b: b.alter_column("name", type_=sa.String(80)))),
    ("change default", "flat", batch(lambda b: b.alter_column("price", server_default="2"))),
    ("drop NOT NULL", "flat", batch(lambda b: b.alter_column("name", nullable=True))),
    ("drop CHECK", "flat", batch(lambda b: b.drop_constraint("ck_price", type_="check"))),
    # For the first of these alone batch mode does not copy: it leaves the column to SQLite, too. It does
    # with a default as autogenerate writes it, or with anything beside the column.
    (
        "add nullable column",
        "flat",
        batch(lambda b: b.add_column(sa.Column("extra", sa.String(10)))),
    ),
    (
        "the same, default",
        "flat",
        batch(lambda b: b.add_column(sa.Column("n", sa.Integer, server_default=sa.text("0")))),
    ),
    ("the same, foreign key", "flat", batch(add_column_that_refers)),
    ("the same, widen type", "flat", batch(add_column_and_widen_type)),
    ("add NOT NULL", "scan", batch(lambda b: b.alter_column("note", nullable=False))),
    ("add CHECK", "scan", batch(lambda b: b.create_check_constraint("ck", "price < 5000"))),
    (
        "add foreign key",
        "scan",
        batch(lambda b: b.create_foreign_key("fk", "parent", ["parent_id"], ["id"])),
    ),
    (
        "change type",
        "copy",
        batch(lambda b: b.alter_column("parent_id", type_=sa.String(10))),
    ),
    ("drop column", "copy", batch(lambda b: b.drop_column("note"))),
    ("add UNIQUE", "copy", batch(lambda b: b.create_unique_constraint("uq", ["id", "name"]))),
]


def run_plain(database: Path, operation: Callable[[Operations], Any]) -> float:
    """By Alembic's own implementation, as its documentation shows it."""
    ours = registry._impls["sqlite"]
    registry._impls["sqlite"] = SQLiteImpl
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            started = time.perf_counter()
            with connection.begin():
                operation(Operations(context))
            return time.perf_counter() - started
    finally:
        engine.dispose()
        registry._impls["sqlite"] = ours


def run_lossless(database: Path, operation: Callable[[Operations], Any]) -> float:
    """By this project's."""
    backend = SQLiteBackend()
    url = sa.URL.create("sqlite", database=str(database))
    with backend.migration_connection(url, lock_timeout=10) as connection:
        options = {"destination_rev": "head", **backend.configure_options()}
        context = MigrationContext.configure(connection, opts=options)
        context.impl.start_migrations()
        started = time.perf_counter()
        with context.begin_transaction(_per_migration=True):
            operation(Operations(context))
        return time.perf_counter() - started


def measure(
    run: Callable[[Path, Callable[[Operations], Any]], float],
    filled: Path,
    operation: Callable[[Operations], Any],
    repeat: int,
) -> float:
    """The best of some runs, each on a fresh copy whose pages are in memory."""
    best = float("inf")
    for _ in range(repeat):
        work = filled.with_name("work.db")
        shutil.copy(filled, work)
        with work.open("rb+") as copied:
            os.fsync(copied.fileno())  # else the commit would wait for the copy
        if hasattr(os, "sync"):
            os.sync()  # and for what was removed before
        best = min(best, run(work, operation))
        work.unlink()
    return best


def main() -> int:
    """Measure, print a table as Markdown; the exit status says whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--output", type=Path, help="write the table to this file too")
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = ["| rows | operation | promised | batch mode, s | here, s | ratio |", "|" + "---|" * 6]
    print("\n".join(lines), flush=True)
    kept = True
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for rows in options.rows:
            filled = Path(folder) / "filled.db"
            filled.unlink(missing_ok=True)
            fill(filled, rows)
            for name, promised, operation in OPERATIONS:
                plain = measure(run_plain, filled, operation, 3 if rows <= 10**6 else 1)
                many = promised == "flat" or rows <= 10**6
                here = measure(run_lossless, filled, operation, 3 if many else 1)
                line = f"| {rows} | {name} | {promised} | {plain:.4f} | {here:.4f} | "
                lines.append(f"{line}{plain / here:.1f} |")
                print(lines[-1], flush=True)
                kept = kept and (promised != "flat" or here < 0.1)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", "utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
