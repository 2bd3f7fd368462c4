"""Is what was written the same as the database? Everything is tried on scratch databases."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, select

from ..backend import backend_for
from ..native import Source


@dataclass
class Proof:
    """What was found; `failures` empty means proved."""

    failures: list[str] = field(default_factory=list)
    not_in_models: list[str] = field(default_factory=list)
    rows: int = 0


def run_baseline(scratch: Engine, folder: Path, target: str) -> None:
    """Let Alembic run the revisions in a folder, up to `head` or down to `base`."""
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: Any) -> Any:
        return (
            script._upgrade_revs(target, revision)
            if target != "base"
            else script._downgrade_revs(target, revision)
        )

    backend = backend_for(scratch.url)
    with (
        EnvironmentContext(config, script, fn=steps, destination_rev=target) as environment,
        backend.migration_connection(scratch.url, scratch, lock_timeout=60) as connection,
    ):
        environment.configure(connection=connection, **backend.configure_options())
        with environment.begin_transaction():
            environment.run_migrations()


def compare_models(connection: Connection, metadata: MetaData) -> list[str]:
    """What `alembic check` would say."""
    backend = backend_for(connection.engine.url)
    options = {"compare_type": True, "render_as_batch": True, **backend.configure_options()}
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


def read_rows(source: Source, metadata: MetaData, limit: int) -> tuple[int, list[str]]:
    """Read rows of every table through the models."""
    read, failures = 0, []
    with source.engine.connect() as connection:
        for table in metadata.tables.values():
            try:
                read += len(connection.execute(select(table).limit(limit)).all())
            except Exception as error:
                failures.append(
                    f"rows of {table.name!r} cannot be read through the models: {error}"
                )
    return read, failures
