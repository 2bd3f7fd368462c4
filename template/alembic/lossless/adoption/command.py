"""`python alembic/adopt.py`: the command line, the order of the steps, the exit status."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import URL, MetaData, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from .. import baseline
from ..backend import backend_for, engine_for
from ..native import Native, Schema, Source, differences, native_for
from .project import Changes, Project, dotenv, ini_with_version_table
from .report import Progress, Report

if TYPE_CHECKING:
    from types import ModuleType

    from alembic.script import ScriptDirectory

ADOPTED, MISTAKE, NOT_PROVED = 0, 1, 2
GENERATORS = ("declarative", "dataclasses", "tables", "sqlmodels")
EPILOG = """\
exit status: 0 adopted and proved, or nothing to do; 1 a mistake or trouble, nothing written; 2 something cannot be
proved the same: the report says what, what was made lies in the folder not-proved/, nothing is stamped.
"""


@dataclass(frozen=True)
class Options:
    """What stands on the command line."""

    url: str | None
    generator: str
    schemas: list[str]
    stamp: bool
    force: bool
    report: Path | None


def main(root: Path, package: str, generator: str, arguments: Sequence[str] | None = None) -> int:
    """Adopt a database.

    Args:
        root: the project's folder.
        package: the application's package.
        generator: the default of `--generator`.
        arguments: the command line; that of the program if not given.

    Returns:
        The exit status.
    """
    options = parse(generator, arguments)
    for stream in (sys.stdout, sys.stderr):  # names of any script, on a terminal of any kind
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Models of hundreds of tables are many objects that stay: looking for garbage among them again and again is in vain.
    gc.set_threshold(100_000, 50, 50)
    adoption = Adoption(Project(root, package), options, Progress())
    try:
        adoption.run()
    except CommandError as error:
        print(f"adopt: {error}", file=sys.stderr)
    except OSError as error:  # the project's files: what was written of them is taken back
        print(f"adopt: {error}. {adoption.outcome}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nadopt: interrupted. {adoption.outcome}", file=sys.stderr)
    return adoption.status


class Parser(argparse.ArgumentParser):
    """A parser to which a wrong argument is a mistake: its usual exit status, 2, says something else here."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(MISTAKE, f"adopt: {message}\n")


def parse(generator: str, arguments: Sequence[str] | None) -> Options:
    parser = Parser(
        prog="python alembic/adopt.py",
        description="Write models and a baseline revision from an existing database, and prove that they are the same.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "url", nargs="?", help="the database, such as sqlite:///data.db; as in .env if not given"
    )
    parser.add_argument(
        "--generator",
        choices=GENERATORS,
        default=generator,
        help="what models to write (%(default)s)",
    )
    parser.add_argument(
        "--schemas", default="", help="schemas of the database, with commas between them"
    )
    parser.add_argument(
        "--no-stamp", action="store_true", help="do not even open the database for writing"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace models.py though you edited it; a copy is kept",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the report as Markdown, with a diagram"
    )
    given = parser.parse_args(arguments)
    schemas = [name.strip() for name in given.schemas.split(",") if name.strip()]
    return Options(
        given.url, given.generator, schemas, not given.no_stamp, given.force, given.report
    )


class Adoption:
    """One run of the command."""

    def __init__(self, project: Project, options: Options, progress: Progress) -> None:
        self.project = project
        self.options = options
        self.progress = progress
        self.rows_read = 0
        self.revision: str | None = (
            None  # the baseline's; None when the project has revisions already
        )
        # What is true should nothing else be done: until all is written, nothing is.
        self.status, self.outcome = MISTAKE, "Nothing was written."

    def run(self) -> None:
        self.check_project()
        self.url = self.find_url()
        self.native: Native = native_for(self.url.get_backend_name())
        if self.options.url is not None:
            self.url = self.native.absolute(self.url)
        backend_for(self.url)  # which tells Alembic how this engine migrates and compares
        engine_for(self.url)  # whose driver every later command will need
        self.report = Report(self.url.render_as_string(hide_password=True))
        self.progress.note(f"Adopting {self.report.database}")
        with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
            self.work = Path(folder)
            began = time.perf_counter()
            with self.native.look(self.url) as source:
                self.look(source, began)
                if self.project.revisions() and not self.revisit(source):
                    return
                self.check_owner()
                metadata = self.write_models(source)
                if not self.project.revisions():
                    self.write_baseline(source)
                self.prove(source, metadata)
            self.finish()
            self.status = NOT_PROVED if self.report.failures else ADOPTED
            self.outcome = self.last_words()
        self.progress.note(self.report.text())
        if self.options.report is not None:
            self.write_report(self.options.report, metadata)
        self.progress.note(f"\n{self.outcome}")

    # -- before anything is done --------------------------------------------------------------------------------------

    def check_project(self) -> None:
        """See that this is a project, and that it has what the generator's models will need.

        Raises:
            CommandError: it is not, or has not.
        """
        if not self.project.models.parent.is_dir():
            raise CommandError(
                f"{self.project.models.parent} is not there: is {self.project.root} the project's folder?"
            )
        if self.options.report is not None:
            check_writable(self.options.report)
        if self.options.generator == "sqlmodels" and find_spec("sqlmodel") is None:
            raise CommandError(
                "SQLModel classes need the package sqlmodel: `poetry add sqlmodel`, or add it to pyproject.toml "
                "and install it; then run this again."
            )

    def check_owner(self) -> None:
        """See that nothing of the owner's would be lost.

        Raises:
            CommandError: something would.
        """
        models = self.project.models
        if models.with_suffix("").is_dir():
            raise CommandError(
                f"The models are a package here ({models.with_suffix('')}), which adoption does not replace; "
                "move it away first."
            )
        if models.exists() and not self.project.is_untouched(models) and not self.options.force:
            raise CommandError(
                f"{models} is yours: it was edited. With --force it is replaced, and a copy is kept beside it."
            )

    def find_url(self) -> URL:
        """The database's address: the argument, or what the application uses.

        Raises:
            CommandError: it is no URL.
        """
        if self.options.url is not None:
            given = self.options.url.strip()
            try:
                return make_url(given)
            except (ArgumentError, ValueError):
                hint = f" Did you mean sqlite:///{given} ?" if Path(given).is_file() else ""
                raise CommandError(
                    "That is no database URL. It should look like sqlite:///data.db; an absolute path has four "
                    f"slashes: sqlite:////home/me/data.db.{hint}"
                ) from None  # the cause would show a password
        database = self.database_module()
        try:
            found = database.database_url()
        except ValueError as error:
            raise CommandError(str(error)) from error
        assert isinstance(found, URL)
        return found

    def database_module(self) -> ModuleType:
        source = str(self.project.root / "src")
        if source not in sys.path:
            sys.path.insert(0, source)
        return import_module(f"{self.project.package}.database")

    # -- the steps ----------------------------------------------------------------------------------------------------

    def look(self, source: Source, began: float) -> None:
        if set(self.options.schemas) - self.native.schemas(source):
            raise CommandError(
                f"There is no schema {', '.join(self.options.schemas)} in this database."
            )
        with self.progress.phase("Look", began):
            counts = Counter(found.kind for found in source.objects)
            self.progress.result = ", ".join(
                f"{number} {plural(kind, number)}" for kind, number in counts.items()
            )
        if not source.of_kind("table", "view", "virtual table"):
            raise CommandError(
                f"{self.report.database} has no tables: there is nothing to adopt. "
                "Write models, autogenerate a revision and migrate it instead."
            )
        self.report.notes += source.notes
        if self.options.generator == "sqlmodels" and not self.project.depends_on("sqlmodel"):
            self.report.notes.append(
                "pyproject.toml does not name sqlmodel, which the models need: poetry add sqlmodel"
            )
        self.version_table = self.choose_version_table(source)

    def choose_version_table(self, source: Source) -> str:
        """The table for this project's revision; that of another project is left alone.

        Raises:
            CommandError: there is no name left.
        """
        configured = self.project.version_table()
        known = {script.revision for script in self.project.scripts.walk_revisions()}
        found = {name.lower(): revisions for name, revisions in source.version_tables.items()}
        taken = {name for kind, name in source.schema if kind in ("table", "view", "virtual table")}
        if configured not in taken | found.keys():
            return configured
        held = found.get(configured)
        if held is not None and set(held) <= known and (held or self.project.revisions()):
            if not self.project.revisions():
                raise CommandError(
                    "This is the example's database, made by this project: there is nothing to adopt."
                )
            return configured
        own = f"alembic_version_{self.project.package.lower()}"
        if found.get(own):
            raise CommandError(
                f"The table {own} in this database holds the revision {found[own][0]}, which this project does not "
                "have. Was the database adopted by another copy of it?"
            )
        if own in taken:
            raise CommandError(
                f"This database has something of its own called {own}. Write another name for the table of this "
                "project's revision into alembic.ini: version_table = alembic_version_..."
            )
        whose = (
            f"another project keeps its revision in the table {configured}"
            if held is not None
            else f"this database has something of its own called {configured}"
        )
        self.report.notes.append(f"{whose}: it is left alone, and this project uses {own}")
        return own

    def revisit(self, source: Source) -> bool:
        """Look at a database that the project's revisions may build already.

        Returns:
            Whether there is something left to do.

        Raises:
            CommandError: the database is another one than the revisions build.
        """
        from . import proof

        stamped = source.version_tables.get(self.version_table, [])
        with self.progress.phase("Compare"), self.native.scratch() as scratch:
            proof.run_revisions(scratch, self.project.scripts, stamped[0] if stamped else "heads")
            with scratch.connect() as connection:
                found = differences(source.schema, self.native.schema(connection), source.written)
            self.progress.result = "with what the project's revisions build"
        if found:
            shown = "".join(f"\n  {line}" for line in found[:5])
            raise CommandError(
                f"The database is not what the project's revisions build:{shown}\n"
                "If it was changed without a revision, change the models the same way and write one. "
                "If this is another database, its adoption belongs in a project without revisions."
            )
        if self.options.force:
            return True
        if stamped or not self.options.stamp:
            with self.address_changes().applied():
                pass
            outcome = "Nothing to do: the database is what the project's revisions build."
        else:
            self.state = source.state
            self.stamp(self.address_changes(), self.project.scripts.get_heads())
            outcome = "The database is what the project's revisions build; it is stamped now."
        self.status, self.outcome = ADOPTED, outcome
        self.progress.note(f"\n{outcome}")
        if self.options.report is not None:
            self.progress.note(
                f"There is no adoption to report, so {self.options.report} is not written; "
                "--force writes the models anew, and a report."
            )
        return False

    def write_models(self, source: Source) -> MetaData:
        from . import models

        with self.progress.phase("Models"):
            schemas = self.native.reflected_schemas(self.options.schemas)
            text, count = self.generate(source, schemas)
            name = f"src/{self.project.package}/models.py"
            path = self.work / "models.py"
            path.write_bytes(models.format_source(text, name, self.project.root).encode("utf-8"))
            self.progress.result = f"{count} {plural('table', count)}, {self.options.generator}"
            try:
                return models.load(path)
            except Exception as error:  # whatever is wrong with them, the report says it
                self.report.failures.append(f"the models cannot be imported: {error}")
                return models.reflect(source, schemas)

    def generate(self, source: Source, schemas: list[str | None]) -> tuple[str, int]:
        """The source of models.py, and for how many tables; what it is made from is let go."""
        from . import columns, models

        metadata = models.reflect(source, schemas)
        tables = self.progress.counted(metadata.tables.values(), len(metadata.tables))
        self.report.notes += columns.choose_types(metadata, tables, source, self.native)
        return models.generate(metadata, source, self.options.generator), len(metadata.tables)

    def write_baseline(self, source: Source) -> None:
        with self.progress.phase("Baseline"):
            (self.work / "versions").mkdir()
            self.revision = baseline.write(source, self.native, self.work / "versions")
            number = len(source.objects)
            self.progress.result = (
                f"revision {self.revision}, {number} {plural('statement', number)}"
            )

    def prove(self, source: Source, metadata: MetaData) -> None:
        from . import proof

        script = proof.scripts(self.work / "versions") if self.revision else self.project.scripts
        with self.progress.phase("Prove"):
            try:
                self.prove_baseline(source, metadata, script)
            except (DBAPIError, UnicodeError) as error:
                cause = error.orig if isinstance(error, DBAPIError) else error
                self.report.failures.append(f"the baseline cannot be run: {cause}")
            if not self.report.failures:
                self.prove_models(source, metadata)
            same = "not the same" if self.report.failures else "the same"
            rows = f"{self.rows_read} {plural('row', self.rows_read)}"
            self.progress.result = f"schemas are {same}, {rows} read"
        self.state = source.state

    def prove_baseline(self, source: Source, metadata: MetaData, script: ScriptDirectory) -> None:
        """The baseline builds the same schema, the models describe it, and undone it leaves nothing."""
        from . import proof

        with self.native.scratch() as scratch:
            proof.run_revisions(scratch, script, "heads")
            with scratch.connect() as connection:
                found = differences(source.schema, self.native.schema(connection), source.written)
                self.report.failures += [
                    f"the baseline builds another schema: {line}" for line in found
                ]
                found = [] if self.report.failures else proof.compare_models(connection, metadata)
                self.report.failures += [f"`alembic check` finds: {line}" for line in found]
                self.report.notes += self.native.missing(connection)
            proof.run_revisions(scratch, script, "base")
            with scratch.connect() as connection:
                left = self.native.schema(connection)
                self.report.failures += [
                    f"downgrading the baseline leaves {kind} {name}" for kind, name in left
                ]

    def prove_models(self, source: Source, metadata: MetaData) -> None:
        """See what the models say by themselves, and that they read what is stored."""
        from . import proof

        with self.native.scratch() as scratch:
            self.report.notes += proof.create_tables(scratch, metadata)
            with scratch.connect() as connection:
                self.tell_apart(source, metadata, self.native.schema(connection))
        self.rows_read, failures = proof.read_rows(source, metadata)
        self.report.notes += failures

    def tell_apart(self, source: Source, metadata: MetaData, built: Schema) -> None:
        """What the models say by themselves, and what only the baseline does."""
        found = differences(source.schema, built, source.written)
        self.report.baseline_only = [line.replace(" is missing", "") for line in found]
        here = Counter(item.kind for item in source.objects)
        missing = Counter(kind for kind, name in source.schema if (kind, name) not in built)
        for key, name in source.written.items():
            table = metadata.tables.get(name) if key[0] == "table" and key not in built else None
            indexes = (
                sorted(str(index.name) for index in table.indexes) if table is not None else []
            )
            self.report.baseline_only += [f"index {index!r}" for index in indexes]
            missing["index"] += len(indexes)
        self.report.rows = [
            (plural(kind, 2), number, number - missing[kind], missing[kind])
            for kind, number in here.items()
        ]

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Put the files in place and stamp the database: both or none."""
        if self.report.failures:
            self.put_aside()
        elif self.revision is None or not self.options.stamp:
            with self.changes().applied():
                pass
        else:
            self.stamp(self.changes(), [self.revision])

    def stamp(self, changes: Changes, revisions: list[str]) -> None:
        """Change the project's files and write the revision into the database.

        Raises:
            CommandError: the schema is not the one that was looked at any more.
        """
        with (
            self.progress.phase("Stamp"),
            changes.applied(),
            self.native.writing(self.url) as connection,
        ):
            if self.native.state(connection) != self.state:
                raise CommandError(
                    "Somebody changed the database's schema meanwhile. Nothing was written; run this again."
                )
            context = MigrationContext.configure(
                connection, opts={"version_table": self.version_table}
            )
            context._ensure_version_table()
            for number in revisions:
                connection.execute(context._version.insert().values(version_num=number))
            self.progress.result = f"{self.version_table} is at {', '.join(revisions)}"

    def put_aside(self) -> None:
        """Keep what could not be proved where a person can look at it and nothing uses it."""
        folder = self.project.root / "not-proved"
        folder.mkdir(exist_ok=True)
        for path in (self.work / "models.py", *(self.work / "versions").glob("*_baseline.*")):
            # Not as Python files: they belong to nothing yet.
            (folder / f"{path.name}.txt").write_bytes(path.read_bytes())

    def changes(self) -> Changes:
        """The files that an adoption writes and removes."""
        project, changes = self.project, Changes()
        changes.write[project.models] = (self.work / "models.py").read_bytes()
        if project.models.exists() and not project.is_untouched(project.models):
            changes.keep[project.models] = free_name(project.models.with_suffix(".py.bak"))
        if self.revision is None:
            return changes
        for path in sorted((self.work / "versions").glob("*_baseline.*")):
            changes.write[project.versions / path.name] = path.read_bytes()
        changes.remove = project.untouched_example()
        changes.merge(self.address_changes())
        if self.version_table != project.version_table():
            ini = project.root / "alembic.ini"
            changes.write[ini] = ini_with_version_table(
                ini.read_bytes().decode(), self.version_table
            ).encode()
        return changes

    def address_changes(self) -> Changes:
        """Remember an address that was given as an argument."""
        changes = Changes()
        if self.options.url is not None:
            env = self.project.root / ".env"
            before = env.read_bytes().decode() if env.exists() else ""
            address = self.url.render_as_string(hide_password=False)
            changes.write[env] = dotenv(before, address).encode()
            changes.secret.add(env)
            if os.environ.get("DATABASE_URL", address) != address:
                self.report.notes.append(
                    "DATABASE_URL in the environment wins over .env, and names another database"
                )
        return changes

    def write_report(self, path: Path, metadata: MetaData) -> None:
        text = self.report.markdown(metadata)
        try:
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:  # all else is done
            self.progress.note(f"\nThe report cannot be written to {path}: {error.strerror}")

    def last_words(self) -> str:
        if self.report.failures:
            return "Not proved: nothing is stamped, and the project is as it was. Look into not-proved/."
        if self.revision is None:
            return "The models are written anew; the revisions and the database are as they were."
        if not self.options.stamp:
            stamp = f"alembic stamp {self.revision}"
            return f"Proved the same. The database is as it was; to put it under Alembic: {stamp}"
        return (
            "Adopted, and proved the same. Next: change a model, then "
            'alembic revision --autogenerate -m "what changed"'
        )


def check_writable(path: Path) -> None:
    """See that a file can be written, and leave no trace of it.

    Raises:
        CommandError: it cannot.
    """
    there = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise CommandError(
            f"The report cannot be written to {path}: {error.strerror}. Nothing was done."
        ) from error
    if not there:
        path.unlink()


def free_name(path: Path) -> Path:
    """The path, or one with a number behind it if it is taken."""
    numbered = (path.with_name(f"{path.name}{number}") for number in count(1))
    return (
        path
        if not path.exists()
        else next(candidate for candidate in numbered if not candidate.exists())
    )


def plural(kind: str, number: int) -> str:
    if number == 1:
        return kind
    return {"index": "indexes"}.get(kind, f"{kind}s")
