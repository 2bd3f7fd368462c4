"""Write README's comparison: the plain recipe and this template, on the same SQLite databases.

    python scripts/comparison.py DIR [--write]

DIR holds `*.sql` schemas. Prints a line for each database and the table; with --write the table is put into README.md.
The plain recipe is what Alembic's and sqlacodegen's own documentation gives: `sqlacodegen > models.py`, `alembic init`,
`target_metadata` in env.py, autogenerate on an empty database, upgrade.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "template" / "alembic"))
import rendering
from adopting import adopt, load, try_out
from lossless.native import differences
from lossless.sqlite.catalogue import read_catalogue
from lossless.sqlite.schema import describe

REPOSITORY = Path(__file__).resolve().parents[1]
STEPS = {
    "generated": "models are generated",
    "imported": "models import and map",
    "checked": "`alembic check` is clean",
    "rebuilt": "a revision rebuilds a schema",
    "same": "a revision rebuilds the **same** schema",
    "living": "the next change of a model migrates up and down and touches nothing else",
}


def same_schema(one: Path, other: Path) -> bool:
    described = []
    for path in (one, other):
        with closing(sqlite3.connect(path)) as connection:
            described.append(describe(read_catalogue(connection, ["alembic_version"])))
    return not differences(*described)


def succeeds(*command: str | Path, cwd: Path) -> bool:
    arguments = [str(part) for part in command]
    return not subprocess.run(arguments, cwd=cwd, capture_output=True, check=False).returncode


def plain_recipe(database: Path, folder: Path) -> Iterator[str]:
    """The steps in which the plain recipe succeeds, each built on the one before."""
    folder.mkdir()
    python = (sys.executable, "-m")
    if not succeeds(
        *python, "sqlacodegen", f"sqlite:///{database}", "--outfile", "models.py", cwd=folder
    ):
        return
    yield "generated"
    if not succeeds(
        sys.executable,
        "-c",
        "import models; from sqlalchemy.orm import configure_mappers as c; c()",
        cwd=folder,
    ):
        return
    yield "imported"
    succeeds(*python, "alembic", "init", "migrations", cwd=folder)
    ini, env = folder / "alembic.ini", folder / "migrations" / "env.py"
    metadata = "models.Base.metadata if hasattr(models, 'Base') else models.metadata"
    env.write_text(
        env.read_text().replace(
            "target_metadata = None", f"import models\ntarget_metadata = {metadata}"
        )
    )
    text = re.sub(
        r"(?m)^sqlalchemy.url = .*$",
        f"sqlalchemy.url = sqlite:///{folder / 'new.db'}",
        ini.read_text(),
    )
    ini.write_text(text)
    made = succeeds(*python, "alembic", "revision", "--autogenerate", "-m", "all", cwd=folder)
    if made and succeeds(*python, "alembic", "upgrade", "head", cwd=folder):
        yield "rebuilt"
        if same_schema(database, folder / "new.db"):
            yield "same"
    ini.write_text(text.replace("new.db", "copy.db"))
    shutil.copyfile(database, folder / "copy.db")
    stamped = succeeds(*python, "alembic", "stamp", "--purge", "head", cwd=folder)
    if stamped and succeeds(*python, "alembic", "check", cwd=folder):
        yield "checked"


def ours(database: Path, folder: Path, project: Path) -> Iterator[str]:
    """The steps in which this template succeeds."""
    copy = Path(shutil.copytree(project, folder / "project"))
    adopted = Path(shutil.copyfile(database, folder / "adopted.db"))
    work = folder / "work"
    work.mkdir()
    try:
        adopt(copy, f"sqlite:///{adopted}", "--report", work / "report.md")
    except AssertionError:
        return
    problems = try_out(copy, database, adopted, work)
    failed = {problem.partition(":")[0] for problem in problems}
    yield "generated"
    for step, checks in {
        "imported": {"models_describe_all_tables_and_read_all_rows"},
        "checked": {"alembic_finds_no_difference"},
        "same": {"baseline_builds_the_same_schema", "baseline_can_be_undone"},
        "living": {"life_goes_on"},
    }.items():
        if not failed & checks:
            yield step
    if (work / "built.db").exists():
        yield "rebuilt"


def table(plain: Counter[str], mine: Counter[str], total: int) -> str:
    lines = [f"| {total} databases | the plain recipe | this template |", "|---|---:|---:|"]
    for step, title in STEPS.items():
        lines.append(f"| {title} | {'–' if step == 'living' else plain[step]} | {mine[step]} |")
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("sqlacodegen", "Alembic", "SQLAlchemy")
    )
    lines += [
        "",
        f"Measured by `scripts/comparison.py` with {versions}, SQLite {sqlite3.sqlite_version}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the plain recipe and this template.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    plain, mine = Counter[str](), Counter[str]()
    scripts = sorted(options.folder.glob("*.sql"))
    os.environ["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        template = rendering.tagged_clone(work / "template", "9000.0.0")
        project = rendering.render(
            template, work / "project", existing_database_url="sqlite:////nowhere/x.db"
        )
        for script in scripts:
            folder = work / script.stem
            folder.mkdir()
            database = load(script, folder / "original.db")
            found = (
                set(plain_recipe(database, folder / "plain")),
                set(ours(database, folder, project)),
            )
            plain.update(found[0])
            mine.update(found[1])
            print(
                f"{script.stem:<28}plain: {marks(found[0])}   ours: {marks(found[1])}", flush=True
            )
            shutil.rmtree(folder)
    written = table(plain, mine, len(scripts))
    print(written)
    if options.write:
        readme = REPOSITORY / "README.md"
        parts = re.split(r"(<!-- /?comparison -->)", readme.read_text(encoding="utf-8"))
        parts[2] = f"\n{written}\n"
        readme.write_text("".join(parts), encoding="utf-8")


def marks(steps: set[str]) -> str:
    return " ".join(step if step in steps else "-" * len(step) for step in STEPS)


if __name__ == "__main__":
    main()
