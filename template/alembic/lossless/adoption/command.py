"""`python alembic/adopt.py`: the command line, the order of the steps, the exit status."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import URL, MetaData, make_url
from sqlalchemy.exc import ArgumentError

from ..metadata import find_metadata
from ..native import Native, Source, differences, native_for
from . import revision
from .progress import Progress
from .project import EXAMPLE_REVISION, Changes, Project, dotenv, ini_with_version_table
from .report import Report

if TYPE_CHECKING:
    from types import ModuleType

ADOPTED, MISTAKE, NOT_PROVED = 0, 1, 2
GENERATORS = ("declarative", "dataclasses", "tables", "sqlmodels")
EPILOG = """\
exit status: 0 adopted and proved; 1 a mistake or trouble, nothing written; 2 something cannot be proved the
same: the report says what, the files are there for you to look at, the database is not stamped.
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
    try:
        return Adoption(Project(root, package), options, Progress()).run()
    except CommandError as error:
        print(f"adopt: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("\nadopt: interrupted; nothing was written.", file=sys.stderr)
        return MISTAKE


def parse(generator: str, arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
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

    def run(self) -> int:
        self.check_owner()
        self.check_generator()
        self.url = self.find_url()
        self.native: Native = native_for(self.url.get_backend_name())
        if self.options.url is not None:
            self.url = self.native.absolute(self.url)
        self.report = Report(self.url.render_as_string(hide_password=True))
        self.progress.note(f"Adopting {self.report.database}")
        with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
            self.work = Path(folder)
            with self.native.look(self.url) as source:
                self.look(source)
                metadata = self.write_models(source)
                self.write_baseline(source)
                self.prove(source, metadata)
            self.finish()
        if self.options.report is not None:
            self.options.report.write_text(self.report.markdown(metadata), encoding="utf-8")
        self.progress.note(self.report.text())
        self.progress.note(self.last_words())
        return NOT_PROVED if self.report.failures else ADOPTED

    # -- before anything is read --------------------------------------------------------------------------------------

    def check_owner(self) -> None:
        """See that nothing of the owner's would be lost.

        Raises:
            CommandError: something would.
        """
        models = self.project.models
        if not models.parent.is_dir():
            raise CommandError(
                f"{models.parent} is not there: is {self.project.root} the project's folder?"
            )
        if models.with_suffix("").is_dir():
            raise CommandError(
                f"The models are a package here ({models.with_suffix('')}), which adoption does not replace; "
                "move it away first."
            )
        if models.exists() and not self.project.is_untouched(models) and not self.options.force:
            raise CommandError(
                f"{models} is yours: it was edited. With --force it is replaced, and a copy is kept beside it."
            )
        if self.project.revisions():
            raise CommandError(
                f"{self.project.versions} holds revisions already: {self.project.revisions()[0].name} and so on. "
                "An adoption begins a history; move them away first."
            )

    def check_generator(self) -> None:
        if self.options.generator == "sqlmodels":
            try:
                import_module("sqlmodel")
            except ImportError:
                raise CommandError(
                    "SQLModel classes need the package sqlmodel: `poetry add sqlmodel`, or add it to pyproject.toml "
                    "and install it; then run this again."
                ) from None

    def find_url(self) -> URL:
        """The database's address: the argument, or what the application uses.

        Raises:
            CommandError: it is no URL.
        """
        if self.options.url is not None:
            try:
                return make_url(self.options.url.strip())
            except (ArgumentError, ValueError):
                raise CommandError(
                    "That is no database URL. It should look like sqlite:///data.db; an absolute path has four "
                    "slashes: sqlite:////home/me/data.db"
                ) from None
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

    def look(self, source: Source) -> None:
        with self.progress.phase("Look"):
            counts = Counter(found.kind for found in source.objects)
            self.progress.result = ", ".join(
                f"{number} {plural(kind, number)}" for kind, number in counts.items()
            )
        if not source.objects:
            raise CommandError(
                f"{self.report.database} has no tables: there is nothing to adopt. "
                "Write models, autogenerate a revision and migrate it instead."
            )
        self.report.notes += source.notes
        self.version_table = self.choose_version_table(source)

    def choose_version_table(self, source: Source) -> str:
        taken = [name for name in source.version_tables if name.lower() == "alembic_version"]
        if not taken:
            return "alembic_version"
        own = f"alembic_version_{self.project.package}"
        if own in source.version_tables:
            raise CommandError(
                f"The database has a table {own} already, from an earlier adoption. Drop it first."
            )
        self.report.notes.append(
            f"another project's {taken[0]} is in the database: it is left alone and is in no model; "
            f"this project keeps its revision in {own}"
        )
        return own

    def write_models(self, source: Source) -> MetaData:
        from . import models

        with self.progress.phase("Models"):
            metadata = models.reflect(source, self.options.schemas or [None])
            self.report.notes += models.choose_types(metadata, source, self.native)
            text = models.generate(metadata, source, self.options.generator)
            name = f"src/{self.project.package}/models.py"
            path = self.work / "models.py"
            path.write_bytes(models.format_source(text, name, self.project.root).encode("utf-8"))
            described = find_metadata(models.load(path))
            self.progress.result = f"{len(described.tables)} tables, {self.options.generator}"
        return described

    def write_baseline(self, source: Source) -> None:
        with self.progress.phase("Baseline"):
            (self.work / "versions").mkdir()
            self.revision = revision.write(source, self.native, self.work / "versions")
            self.progress.result = f"revision {self.revision}, {len(source.objects)} statements"

    def prove(self, source: Source, metadata: MetaData) -> None:
        from . import proof

        with self.progress.phase("Prove"):
            with self.native.scratch() as scratch:
                proof.run_baseline(scratch, self.work / "versions", "head")
                with scratch.connect() as connection:
                    found = differences(source.schema, self.native.schema(connection))
                    self.report.failures += [
                        f"the baseline builds another schema: {line}" for line in found
                    ]
                    found = proof.compare_models(connection, metadata)
                    self.report.failures += [f"`alembic check` finds: {line}" for line in found]
                proof.run_baseline(scratch, self.work / "versions", "base")
                with scratch.connect() as connection:
                    left = self.native.schema(connection)
                    self.report.failures += [
                        f"downgrading the baseline leaves {kind} {name}" for kind, name in left
                    ]
            with self.native.scratch() as scratch:
                metadata.create_all(scratch)
                with scratch.connect() as connection:
                    self.tell_apart(source, self.native.schema(connection))
            rows, failures = proof.read_rows(source, metadata, 1000)
            self.report.failures += failures
            self.progress.result = f"schemas compared, {rows} rows read"
        self.state = source.state

    def tell_apart(self, source: Source, built: object) -> None:
        """What the models say by themselves, and what only the baseline does."""
        found = differences(source.schema, built)  # type: ignore[arg-type]
        self.report.baseline_only = [line.replace(" is missing", "") for line in found]
        kinds = Counter(item.kind for item in source.objects)
        in_models = Counter(
            item.kind
            for item in source.objects
            if item.kind == "index" or (item.kind, item.name.lower()) in built  # type: ignore[operator]
        )
        self.report.rows = [
            (plural(kind, 2), number, in_models[kind], number - in_models[kind])
            for kind, number in kinds.items()
        ]

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Put the files in place and stamp the database: both or none."""
        changes = self.changes()
        if self.report.failures or not self.options.stamp:
            with changes.applied():
                return
        with self.progress.phase("Stamp"):
            with changes.applied(), self.native.writing(self.url) as connection:
                if self.native.state(connection) != self.state:
                    raise CommandError(
                        "Somebody changed the database's schema meanwhile. Nothing was written; run this again."
                    )
                context = MigrationContext.configure(
                    connection, opts={"version_table": self.version_table}
                )
                context._ensure_version_table()
                connection.execute(context._version.insert().values(version_num=self.revision))
            self.progress.result = f"{self.version_table} is at {self.revision}"

    def changes(self) -> Changes:
        project, changes = self.project, Changes()
        changes.write[project.models] = (self.work / "models.py").read_bytes()
        if project.models.exists() and not project.is_untouched(project.models):
            changes.keep[project.models] = free_name(project.models.with_suffix(".py.bak"))
        for path in sorted(p for p in (self.work / "versions").iterdir() if p.is_file()):
            changes.write[project.versions / path.name] = path.read_bytes()
        example = [
            project.root / "tests" / "test_item.py",
            *project.versions.glob(f"{EXAMPLE_REVISION}_*.py"),
        ]
        changes.remove = [path for path in example if path.exists() and project.is_untouched(path)]
        if self.options.url is not None:
            env = project.root / ".env"
            before = env.read_text(encoding="utf-8") if env.exists() else ""
            address = self.url.render_as_string(hide_password=False)
            changes.write[env] = dotenv(before, address).encode()
            changes.secret.add(env)
            if os.environ.get("DATABASE_URL", address) != address:
                self.report.notes.append(
                    "DATABASE_URL in the environment wins over .env, and names another database"
                )
        if self.version_table != "alembic_version":
            ini = project.root / "alembic.ini"
            changes.write[ini] = ini_with_version_table(
                ini.read_text(encoding="utf-8"), self.version_table
            ).encode()
        return changes

    def last_words(self) -> str:
        stamp = f"alembic stamp {self.revision}"
        if self.report.failures:
            return f"\nNot proved, so the database is not stamped. Look at the files; when they are right: {stamp}"
        if not self.options.stamp:
            return f"\nProved the same. The database is as it was; to put it under Alembic: {stamp}"
        return '\nAdopted, and proved the same. Next: change a model, then alembic revision --autogenerate -m "what changed"'


def free_name(path: Path) -> Path:
    """The path, or one with a number behind it if it is taken."""
    taken = [path, *(path.with_name(f"{path.name}{number}") for number in range(1, 1000))]
    return next(candidate for candidate in taken if not candidate.exists())


def plural(kind: str, number: int) -> str:
    if number == 1:
        return kind
    return {"index": "indexes"}.get(kind, f"{kind}s")
