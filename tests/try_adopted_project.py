"""Run inside of an adopted project: is it what the adoption promised? Prints a list of what went wrong, as JSON.

    python try_adopted_project.py ORIGINAL ADOPTED WORK     (src, alembic and this folder in PYTHONPATH)

Shares no code with the adoption: databases are compared by sqlite_shape.py, models are used through SQLAlchemy, and
migrations run through Alembic's commands.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, configure_mappers

import sqlite_shape

ORIGINAL, ADOPTED, WORK = (Path(argument).resolve() for argument in sys.argv[1:4])
MODELS = next(path for path in Path("src").glob("*/models.py"))
PACKAGE = MODELS.parent.name
ADDED = "added_later"


def main() -> None:
    problems = []
    for check in (
        models_describe_all_tables_and_read_all_rows,
        nothing_but_the_version_table_was_added,
        alembic_finds_no_difference,
        baseline_builds_the_same_schema,
        baseline_can_be_undone,
        create_all_differs_only_as_reported,
        life_goes_on,
    ):
        try:
            problems += [f"{check.__name__}: {problem}" for problem in check()]
        except Exception:
            problems.append(f"{check.__name__}: {traceback.format_exc()[-1500:]}")
    print()
    print(json.dumps(problems))


def import_models() -> ModuleType:
    """Import the models, as if for the first time."""
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    if "sqlmodel" in sys.modules:
        sqlmodel = sys.modules["sqlmodel"]
        sqlmodel.SQLModel.metadata.clear()
        sqlmodel.main.default_registry._class_registry.clear()
    return import_module(f"{PACKAGE}.models")


def config(database: Path | None = None, **options: bool) -> Config:
    """Alembic's configuration; of another database than the project's, if given."""
    arguments = Namespace(x=[f"url=sqlite:///{database}"] if database else [], **options)
    return Config("alembic.ini", cmd_opts=arguments, stdout=io.StringIO())


def alembic(
    run: Callable[..., Any], *arguments: Any, database: Path | None = None, **options: Any
) -> None:
    import_models()
    run(config(database, **options), *arguments, **options)


def shape(database: Path) -> sqlite_shape.Shape:
    """A database's schema without version tables."""
    found = sqlite_shape.shape(database)
    return {
        name: what for name, what in found.items() if not re.search(r"alembic_version\w*$", name)
    }


def differences(before: Path, after: Path) -> list[str]:
    return sqlite_shape.differences(shape(before), shape(after))


def models_describe_all_tables_and_read_all_rows() -> list[str]:
    from lossless.metadata import find_metadata

    models = import_models()
    configure_mappers()
    metadata = find_metadata(models)
    engine = create_engine(f"sqlite:///{ADOPTED}")
    report = Path(WORK / "report.md").read_text(encoding="utf-8")
    problems = []
    with engine.connect() as connection, Session(engine) as session:
        for table in metadata.tables.values():
            stored = connection.exec_driver_sql(
                f"SELECT name FROM pragma_table_xinfo({quote(table.name)})"
            )
            if [row[0] for row in stored] != [column.name for column in table.columns]:
                problems.append(f"{table.name} has other columns in the models")
            try:
                connection.execute(select(table)).all()
            except Exception as error:
                if "cannot be read" not in report:
                    problems.append(f"{table.name} cannot be read: {error}")
        for model in vars(models).values():
            if (
                isinstance(model, type)
                and hasattr(model, "__mapper__")
                and "cannot be read" not in report
            ):
                session.scalars(select(model)).all()
        tables = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage"
        )
        shadows = sqlite_shape.shadow_tables(ADOPTED)
        for (name,) in tables:
            known = name in metadata.tables or name.lower() in shadows
            if not name.startswith(("sqlite_", "alembic_version")) and not known:
                problems.append(f"{name} is in no model")
    return problems


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def nothing_but_the_version_table_was_added() -> list[str]:
    problems = differences(ORIGINAL, ADOPTED)
    before, after = sqlite_shape.row_hashes(ORIGINAL), sqlite_shape.row_hashes(ADOPTED)
    return problems + [
        f"rows of {table} changed" for table in before if before[table] != after[table]
    ]


def alembic_finds_no_difference() -> list[str]:
    alembic(command.check)
    return []


def baseline_builds_the_same_schema() -> list[str]:
    alembic(command.upgrade, "head", database=WORK / "built.db")
    alembic(command.check, database=WORK / "built.db")
    return differences(ORIGINAL, WORK / "built.db")


def baseline_can_be_undone() -> list[str]:
    alembic(command.downgrade, "base", database=WORK / "built.db")
    return [f"{name} is left" for name in shape(WORK / "built.db")]


def create_all_differs_only_as_reported() -> list[str]:
    from lossless.metadata import find_metadata

    report = re.sub(r"\\(.)", r"\1", (WORK / "report.md").read_text(encoding="utf-8")).lower()
    database = WORK / "created.db"
    problems = []
    for table in find_metadata(import_models()).tables.values():
        try:
            table.create(create_engine(f"sqlite:///{database}"))
        except Exception as error:
            if f"cannot create table {table.name!r}".lower() not in report:
                problems.append(f"create_all: {error}")
    before, after = promises(ORIGINAL), promises(database)
    return problems + [
        f"create_all: {line}"
        for line in sqlite_shape.differences(before, after)
        if not any(name.split(" ", 1)[-1] in report for name in before if line.startswith(name))
    ]


def promises(database: Path) -> sqlite_shape.Shape:
    """A database's schema, without differences in wording that change nothing."""
    shadows = sqlite_shape.shadow_tables(database)
    found = {}
    for name, what in shape(database).items():
        if name.startswith("table ") and name[len("table ") :] in shadows:
            continue
        if not name.startswith("table "):
            found[name] = what[0]  # the table that it belongs to
        elif "virtual" not in what:
            key = [column for column in what["columns"] if column[4]]
            alias = key[0] if len(key) == 1 and key[0][1] == "integer" else None
            columns = [(*c[:2], c is not alias and c[2], *c[3:]) for c in what["columns"]]
            # REFERENCES t and REFERENCES t (its key) are the same; a key's name and place say nothing.
            found[name] = what | {"columns": columns, "names": [], "keys": len(what["keys"])}
    return found


def life_goes_on() -> list[str]:
    """Add a column to a model, autogenerate, upgrade, downgrade."""
    database = WORK / "later.db"
    shutil.copyfile(ADOPTED, database)
    source = MODELS.read_text(encoding="utf-8")
    MODELS.write_text(with_added_column(source), encoding="utf-8")
    try:
        alembic(command.revision, "add a column", autogenerate=True, database=database)
        with warnings.catch_warnings():
            # Right where a trigger of the application's says INSERT without columns; only its owner can change that.
            warnings.filterwarnings("ignore", "The new columns of table")
            alembic(command.upgrade, "head", database=database)
        problems = []
        columns = [name for name in re.findall(r"\w+", str(shape(database))) if name == ADDED]
        if not columns:
            problems.append("the column was not added")
        alembic(command.check, database=database)
        alembic(command.downgrade, "-1", database=database)
        problems += differences(ADOPTED, database)
        before, after = sqlite_shape.row_hashes(ADOPTED), sqlite_shape.row_hashes(database)
        # A table without rows may have a zero in sqlite_sequence or be missing there: that is the same.
        mutable = re.compile(r"alembic_version\w*|sqlite_sequence")
        problems += [
            f"rows of {table} changed"
            for table in before
            if not mutable.fullmatch(table) and before[table] != after[table]
        ]
        if sequences(ADOPTED) != sequences(database):
            problems.append("sqlite_sequence changed")
        return problems
    finally:
        MODELS.write_text(source, encoding="utf-8")
        for revision in Path("alembic/versions").glob("*_add_a_column.py"):
            revision.unlink()


def sequences(database: Path) -> set[tuple[str, int]]:
    """The highest numbers that AUTOINCREMENT has given away."""
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"
        ).fetchone():
            return set()
        return set(connection.execute("SELECT name, seq FROM sqlite_sequence WHERE seq"))


def with_added_column(source: str) -> str:
    """The models with one more column in the first of them."""
    column = f'Column("{ADDED}", LaterText())'
    for pattern, line in (
        (r"^    \w+: Mapped\[", f"    {ADDED}: Mapped[str | None] = mapped_column(LaterText())\n"),
        (
            r"^    \w+: [^=]* = Field\(",
            f"    {ADDED}: str | None = Field(default=None, sa_column={column})\n",
        ),
    ):
        if found := re.search(pattern, source, re.MULTILINE):
            source = source[: found.start()] + line + source[found.start() :]
            break
    else:
        end = re.search(r"= Table\(\s*.*?,\s*(?:\w+\.)?metadata,", source, re.DOTALL)
        assert end is not None, "no model found"
        source = source[: end.end()] + column + "," + source[end.end() :]
    return source.replace('"""\n\n', '"""\n\nfrom sqlalchemy import Text as LaterText\n', 1)


main()
