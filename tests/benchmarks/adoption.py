"""How long adoption with proof takes, beside sqlacodegen alone, which only writes models and proves nothing.

    python tests/benchmarks/adoption.py [SCHEMA.sql ...]

Without arguments it makes schemas of 250 to 2,000 tables. Times are those of whole processes, the best of three (one for
schemas of more than 500 tables); memory is the largest that a process held. Ratios are within one run.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import rendering
from adopting import load


def made_up(tables: int, folder: Path) -> Path:
    """A schema with foreign keys, indexes, CHECKs and defaults."""
    path = folder / f"{tables} tables.db"
    with closing(sqlite3.connect(path)) as connection:
        for number in range(tables):
            parent = number - number % 10  # groups of ten around one table
            connection.execute(
                f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL DEFAULT 'x' UNIQUE, "
                f"made DATETIME, amount DECIMAL(10, 2) CHECK (amount > 0), "
                f"parent_id INTEGER REFERENCES t{parent} (id) ON DELETE CASCADE)"
            )
            connection.execute(f"CREATE INDEX i{number} ON t{number} (name, made)")
        connection.commit()
    return path


def measure(*command: str | Path, cwd: Path) -> tuple[float, float]:
    """Seconds and megabytes of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    return (seconds if status == 0 else float("nan")), usage.ru_maxrss / 1024


def compare(database: Path, project: Path, folder: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        ask = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND rootpage AND name NOT LIKE 'sqlite_%'"
        (tables,) = connection.execute(ask).fetchone()
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    memory = {"plain": 0.0, "ours": 0.0}
    for _ in range(3 if tables <= 500 else 1):
        copy = Path(shutil.copytree(project, folder / "copy"))
        for name, command in {
            "plain": [
                "-W",
                "ignore",
                "-m",
                "sqlacodegen",
                f"sqlite:///{database}",
                "--outfile",
                folder / "models.py",
            ],
            "ours": ["alembic/adopt.py", f"sqlite:///{database}", "--no-stamp"],
        }.items():
            seconds, megabytes = measure(sys.executable, *command, cwd=copy)
            times[name].append(seconds)
            memory[name] = max(memory[name], megabytes)
        shutil.rmtree(copy)
    plain, ours = min(times["plain"]), min(times["ours"])
    print(
        f"{database.stem:<24}{tables:>7}{plain:>13.2f} s{ours:>9.2f} s{ours / plain:>8.2f}"
        f"{(ours - 1) / plain:>14.2f}{memory['plain']:>9.0f} MB{memory['ours']:>6.0f} MB{memory['ours'] / memory['plain']:>8.2f}"
        f"{ours / tables * 1000:>12.1f} ms"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = rendering.tagged_clone(folder / "template", "9000.0.0")
        project = rendering.render(
            template, folder / "project", existing_database_url="sqlite:////nowhere/x.db"
        )
        scripts = [Path(argument) for argument in sys.argv[1:]]
        databases = [load(script, folder / f"{script.stem}.db") for script in scripts]
        print(
            f"{'':<24}{'tables':>7}{'sqlacodegen':>15}{'adoption':>11}{'ratio':>8}{'less 1 s':>14}"
            f"{'memory':>12}{'':>9}{'ratio':>8}{'a table':>15}"
        )
        for database in databases or (made_up(tables, folder) for tables in (250, 500, 1000, 2000)):
            compare(database, project, folder)


if __name__ == "__main__":
    main()
