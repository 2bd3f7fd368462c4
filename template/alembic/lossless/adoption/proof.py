"""Is what was written the same as the database? Everything is tried on scratch databases."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from ..backend import backend_for
from ..native import Source

# A name that no database is likely to have: it may hold a table called alembic_version that is no such thing.
VERSION_TABLE = "alembic_version_of_proof"
ROWS = 1000  # read of each table; that all values fit was seen when types were chosen


def scripts(folder: Path) -> ScriptDirectory:
    """The revisions in a folder."""
    return ScriptDirectory(str(folder), version_locations=[str(folder)])


def run_revisions(scratch: Engine, script: ScriptDirectory, target: str) -> None:
    """Let Alembic run revisions: up to one of them or `heads`, or down to `base`."""

    def steps(revision: Any, _: Any) -> Any:
        return (
            script._upgrade_revs(target, revision)
            if target != "base"
            else script._downgrade_revs(target, revision)
        )

    backend = backend_for(scratch.url)
    with (
        EnvironmentContext(Config(), script, fn=steps, destination_rev=target) as environment,
        backend.migration_connection(scratch.url, scratch, lock_timeout=60) as connection,
    ):
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, **backend.configure_options()
        )
        with environment.begin_transaction():
            environment.run_migrations()


def compare_models(connection: Connection, metadata: MetaData) -> list[str]:
    """What `alembic check` would say."""
    backend = backend_for(connection.engine.url)
    options = {
        "compare_type": True,
        "render_as_batch": True,
        "version_table": VERSION_TABLE,
        **backend.configure_options(),
    }
    context = MigrationContext.configure(connection, opts=options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [describe(difference) for difference in compare_metadata(context, metadata)]


def describe(difference: Any) -> str:
    """One of Alembic's differences in a line."""
    return (
        " ".join(map(str, difference))
        if isinstance(difference, tuple)
        else "; ".join(map(describe, difference))
    )


def create_tables(scratch: Engine, metadata: MetaData) -> list[str]:
    """Let the models create their tables, each by itself: one that they cannot create keeps no other back.

    Returns:
        What went wrong.
    """
    failures = []
    with scratch.connect() as connection:
        for table in metadata.tables.values():
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            statements: list[tuple[str, ExecutableDDLElement]] = [("", CreateTable(table))]
            statements += [(f" with index {index.name!r}", CreateIndex(index)) for index in indexes]
            for what, statement in statements:
                try:
                    connection.execute(statement)
                    connection.commit()
                except DBAPIError as error:
                    connection.rollback()
                    failures.append(
                        f"the models alone cannot create table {table.name!r}{what}: {error.orig}"
                    )
                    if isinstance(statement, CreateTable):
                        break
    return failures


def read_rows(source: Source, metadata: MetaData) -> tuple[int, list[str]]:
    """Read rows of every table through the models.

    Returns:
        How many were read, and what went wrong.
    """
    read, failures = 0, []
    with source.engine.connect() as connection:
        for table in metadata.tables.values():
            try:
                rows = connection.execute(select(table).limit(ROWS))
                read += sum(1 for _ in rows)  # one at a time: they can be large
            except Exception as error:  # whatever it is, it would meet the application as well
                cause = getattr(error, "orig", error)
                failures.append(
                    f"rows of {table.name!r} cannot be read through the models here: {cause}"
                )
    return read, failures
