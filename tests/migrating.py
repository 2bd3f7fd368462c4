"""Migrating SQLite databases in tests, in this process and through Alembic's own parts."""

from __future__ import annotations

import sqlite3
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Engine, MetaData

from lossless.sqlite.backend import SQLiteBackend

SUPPORT = Path(__file__).parents[1] / "template" / "alembic"


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


class Declared(sa.types.UserDefinedType[Any]):
    """Any type, as it was declared."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


def migrate(
    database: Path,
    revision: Callable[[Operations], Any],
    *,
    target_metadata: MetaData | None = None,
    engine: Engine | None = None,
    lock_timeout: float = 10,
) -> None:
    """Run one revision's function on a database, in a transaction of its own."""
    backend = SQLiteBackend()
    url = URL.create("sqlite", database=str(database))
    with backend.migration_connection(url, engine, lock_timeout=lock_timeout) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "destination_rev": "head",
                "target_metadata": target_metadata,
                **backend.configure_options(),
            },
        )
        context.impl.start_migrations()
        with context.begin_transaction(_per_migration=True):
            revision(Operations(context))


def script_of(database: Path, revision: Callable[[Operations], Any]) -> str:
    """What `--sql` writes for a revision's function, for a database that is at revision "r1"."""
    output = StringIO()
    backend = SQLiteBackend()
    context = MigrationContext.configure(
        dialect_name="sqlite",
        opts={
            "as_sql": True,
            "literal_binds": True,
            "output_buffer": output,
            "starting_rev": "r1",
            "script": OneRevision(),
            "lossless_url": URL.create("sqlite", database=str(database)),
            **backend.configure_options(),
        },
    )
    with context.begin_transaction(_per_migration=True):
        revision(Operations(context))
    return output.getvalue()


class OneRevision:
    """Stands for a script directory with the one revision "r1"."""

    def get_revisions(self, _: str) -> list[Namespace]:
        return [Namespace(revision="r1")]


ENV_PY = """
from alembic import context
from lossless.backend import backend_for
from sqlalchemy import make_url

config = context.config
url = make_url(config.attributes.get("url") or config.get_main_option("sqlalchemy.url"))
backend = backend_for(url)
settings = config.attributes.get("settings", {})
if context.is_offline_mode():
    context.configure(
        url=url,
        literal_binds=True,
        **settings,
        **backend.configure_options(),
        **backend.offline_options(url),
    )
    backend.run_migrations()
else:
    given = config.attributes.get("connection")
    timeout = float(context.get_x_argument(as_dictionary=True).get("lock_timeout", 60))
    with backend.migration_connection(url, given, lock_timeout=timeout) as connection:
        context.configure(connection=connection, **settings, **backend.configure_options())
        backend.run_migrations()
"""


class Environment:
    """A folder of revisions, and a database for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "test.db"
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENV_PY, "utf-8")
        (folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {folder}\n"
            f"path_separator = os\nprepend_sys_path = {SUPPORT}\n"
            f"sqlalchemy.url = sqlite:///{self.database}\n",
            "utf-8",
        )
        self.revisions: list[str] = []

    @classmethod
    def upgraded(cls, folder: Path, first: str) -> Environment:
        """One whose database is at its first revision, of which the body is given."""
        made = cls(folder)
        made.revision(first)
        made.upgrade()
        return made

    def revision(self, upgrade: str, downgrade: str = "pass") -> str:
        """Add a revision behind the last one; the bodies of its two functions are given."""
        name = f"r{len(self.revisions) + 1:03}"
        before = repr(self.revisions[-1]) if self.revisions else "None"
        (self.folder / "versions" / f"{name}.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\n\n"
            f"revision = {name!r}\ndown_revision = {before}\n\n"
            f"def upgrade():\n{indent(dedent(upgrade), '    ')}\n\n"
            f"def downgrade():\n{indent(dedent(downgrade), '    ')}\n",
            "utf-8",
        )
        self.revisions.append(name)
        return name

    def config(self, **attributes: Any) -> Config:
        """Alembic's configuration for this folder."""
        config = Config(str(self.folder / "alembic.ini"), stdout=StringIO())
        config.attributes.update(attributes)
        return config

    def upgrade(self, revision: str = "head", **attributes: Any) -> None:
        """Run `alembic upgrade`."""
        command.upgrade(self.config(**attributes), revision)

    def downgrade(self, revision: str = "-1", **attributes: Any) -> None:
        """Run `alembic downgrade`."""
        command.downgrade(self.config(**attributes), revision)

    def script(self, revision: str, *, down: bool = False) -> str:
        """What `--sql` writes."""
        output = StringIO()
        config = Config(str(self.folder / "alembic.ini"), output_buffer=output)
        (command.downgrade if down else command.upgrade)(config, revision, sql=True)
        return output.getvalue()

    def execute(self, script: str) -> None:
        """Run SQL on the database, outside of any migration."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(script)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchall()

    def heads(self) -> list[str]:
        """The revisions the database is at."""
        return [row[0] for row in self.query("SELECT version_num FROM alembic_version")]
