"""SQLite's own SQL, for baselines and adoption: what a database holds, and a baseline's script of it.

Puts together what the modules on catalogue, schema and stand-ins know; knows nothing of models.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from ..native import Native, NativeObject, Schema, Source
from .catalogue import Catalogue, read_catalogue
from .opening import check_file, database_path, explain, read_only
from .reflection import CatalogueInspector, foreign_key_target, is_version_table
from .schema import describe
from .standins import execute_with_standins, missing_things
from .statement import ForeignKey
from .tokens import Kind, created_kind, created_name, fold, quote_name, significant, tokenize
from .tokens import split_script as split


class SQLiteNative(Native):
    """SQLite."""

    default_schema = "main"

    def split_script(self, script: str) -> Sequence[str]:
        return split_script(script)

    def join_script(self, objects: list[NativeObject]) -> str:
        return join_script(objects)

    def undo(self, statement: str) -> list[str]:
        return undo(statement)

    def execute(self, connection: Connection, statement: str) -> None:
        execute_with_standins(connection, statement)

    def absolute(self, url: URL) -> URL:
        if url.get_driver_name() not in ("", "pysqlite"):
            raise CommandError(
                f"Adoption uses Python's own driver; write the URL as sqlite:///{url.database}"
            )
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            return url
        return url.set(database=str(Path(url.database).resolve()))

    @contextmanager
    def look(self, url: URL) -> Iterator[Source]:
        path = database_path(url)
        check_file(path)
        with read_only(path) as raw:
            engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
            engine.dialect.inspector = CatalogueInspector  # type: ignore[attr-defined]
            # SQLite's header and log say whether anybody changed the schema meanwhile.
            state = schema_version(raw)
            catalogue = read_catalogue(raw)
            versions = {
                name: [
                    str(row[0])
                    for row in raw.execute(f"SELECT version_num FROM {quote_name(name)}")
                ]
                for name, table in catalogue.tables.items()
                if is_version_table(table)
            }
            adopted = without(catalogue, set(versions))
            check_names(adopted)
            found = objects(adopted)
            yield Source(
                engine,
                found,
                describe(adopted),
                versions,
                state,
                other_encoding(adopted) + dangling_keys(adopted),
                {(item.kind, fold(item.name)): item.name for item in found},
                adopted.encoding,
            )

    def schemas(self, source: Source) -> set[str]:
        return {self.default_schema}

    def rows(
        self, source: Source, table: str, columns: list[str], limit: int | None
    ) -> Iterator[tuple[Any, ...]]:
        names = ", ".join(map(quote_name, columns))
        bound = "" if limit is None else f" LIMIT {limit}"
        raw = driver(source.engine.connect())
        before = raw.text_factory
        raw.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
        try:
            with damage_explained(table):
                yield from raw.execute(f"SELECT {names} FROM main.{quote_name(table)}{bound}")
        finally:
            raw.text_factory = before

    def decodes(self, source: Source, table: str, columns: list[str]) -> bool:
        # Only text is fetched: whatever else there is, such as pictures, need not leave the file.
        texts = ", ".join(
            f"CASE WHEN typeof({name}) = 'text' THEN {name} END"
            for name in map(quote_name, columns)
        )
        raw = driver(source.engine.connect())
        raw.text_factory = str
        try:
            with damage_explained(table):
                for _ in raw.execute(f"SELECT {texts} FROM main.{quote_name(table)}"):
                    pass
        except sqlite3.OperationalError as error:
            if "Could not decode" in str(error):
                return False
            raise
        return True

    @contextmanager
    def scratch(self) -> Iterator[Engine]:
        with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
            engine = create_engine(f"sqlite:///{Path(folder, 'scratch.db')}", poolclass=NullPool)
            event.listen(engine, "connect", _in_no_hurry_to_disk)
            yield engine

    def schema(self, connection: Connection) -> Schema:
        catalogue = read_catalogue(driver(connection))
        versions = {name for name, table in catalogue.tables.items() if is_version_table(table)}
        return describe(without(catalogue, versions))

    @contextmanager
    def writing(self, url: URL) -> Iterator[Connection]:
        path = database_path(url)
        engine = create_engine(
            url.set(drivername="sqlite"),
            poolclass=NullPool,
            connect_args={"isolation_level": None, "timeout": 10},
        )
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                # What is not committed ends with its connection.
                connection.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            raise CommandError(explain(error.orig or error, path, writing=True)) from error
        finally:
            engine.dispose()

    def missing(self, connection: Connection) -> list[str]:
        raw = driver(connection)
        return missing_things(raw, read_catalogue(raw))

    def state(self, connection: Connection) -> Any:
        return schema_version(driver(connection))


@contextmanager
def damage_explained(table: str) -> Iterator[None]:
    """Say in a person's words that a table's pages are broken."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "disk image is malformed" in str(error):  # not "malformed JSON"
            raise CommandError(
                f"Table {table!r} is damaged: {error}. Nothing was written."
            ) from error
        raise


def _in_no_hurry_to_disk(connection: sqlite3.Connection, _: Any) -> None:
    # A scratch database need not survive a power failure.
    connection.execute("PRAGMA synchronous = OFF")


def driver(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA main.schema_version").fetchone()[0])


def without(catalogue: Catalogue, tables: set[str]) -> Catalogue:
    """The catalogue without some tables and what hangs on them."""
    if tables:
        catalogue.entries = [entry for entry in catalogue.entries if entry.table not in tables]
        catalogue.tables = {
            name: table for name, table in catalogue.tables.items() if name not in tables
        }
        catalogue.triggers = {
            name: entry for name, entry in catalogue.triggers.items() if entry.table not in tables
        }
    return catalogue


def check_names(catalogue: Catalogue) -> None:
    """See that everything a model is written for has a name.

    Raises:
        CommandError: a table or column has none; SQLite minds that as little as any other name.
    """
    for table in catalogue.tables.values():
        name = quote_name(table.name)
        if not table.name:
            raise CommandError(
                "A table's name is empty, which SQLAlchemy has no way to say. Nothing was written. "
                f"Give it one first: ALTER TABLE {name} RENAME TO new_name"
            )
        if table.column("") is not None:
            raise CommandError(
                f"Table {table.name!r} has a column whose name is empty, which SQLAlchemy has no way to say. "
                f'Nothing was written. Give it one first: ALTER TABLE {name} RENAME COLUMN "" TO new_name'
            )


ORDER = ("table", "virtual", "index", "view", "trigger")


def objects(catalogue: Catalogue) -> list[NativeObject]:
    """All objects in an order in which they can be made: each kind in the order of creation."""
    found = sorted(catalogue.entries, key=lambda entry: ORDER.index(entry.kind))
    settings = [
        NativeObject("setting", name, f"PRAGMA {name} = {value}")
        for name, value in (
            ("application_id", catalogue.application_id),
            ("user_version", catalogue.user_version),
        )
        if value
    ]
    names = {"virtual": "virtual table"}
    return settings + [
        NativeObject(names.get(entry.kind, entry.kind), entry.name, entry.sql) for entry in found
    ]


def other_encoding(catalogue: Catalogue) -> list[str]:
    """That text is not stored as UTF-8, which only a new file could be told."""
    if catalogue.encoding == "UTF-8":
        return []
    return [
        f"text is stored as {catalogue.encoding}; a database that the baseline builds stores it as UTF-8"
    ]


def dangling_keys(catalogue: Catalogue) -> list[str]:
    """Foreign keys that lead nowhere, which SQLAlchemy cannot express and SQLite minds only when rows change."""
    return [
        f"foreign key {table.name!r} ({', '.join(key.columns)}) refers to {key.table!r}"
        f"{f' ({joined})' if (joined := ', '.join(key.target_columns)) else ''}, "
        f"{dead_end(key, catalogue)}: it is in the baseline only"
        for table in catalogue.tables.values()
        for key in table.statement.foreign_keys
        if foreign_key_target(key, catalogue) is None
    ]


def dead_end(key: ForeignKey, catalogue: Catalogue) -> str:
    """Why a foreign key leads nowhere."""
    target = catalogue.find_table(key.table)
    if target is None:
        return "which is no table"
    for name in key.target_columns:
        if target.column(name) is None:
            return f"which has no column {name!r}"
    if not key.target_columns and len(target.primary_key) != len(key.columns):
        return (
            "whose primary key has another number of columns"
            if target.primary_key
            else "which has no primary key"
        )
    return "whose name SQLAlchemy cannot use"


HEAD = """\
-- What the database held when it was adopted: its own statements, in an order in which they can run.
-- The revision beside this file runs them. They are history: later changes belong in later revisions.
"""


def join_script(objects: list[NativeObject]) -> str:
    """One statement after the other, each under a heading."""
    return "".join(
        [
            HEAD,
            *(
                f"\n-- {found.kind} {heading(found.name)}\n{terminated(found.sql)}\n"
                for found in objects
            ),
        ]
    )


@lru_cache(maxsize=1)  # a script that is run in a proof is undone right afterwards
def split_script(script: str) -> tuple[str, ...]:
    """The statements, without headings."""
    return tuple(without_heading(statement) for statement in split(script))


def heading(name: str) -> str:
    """A name on one line."""
    return "".join(character if character.isprintable() else " " for character in name)


def terminated(sql: str) -> str:
    """A statement with its semicolon, which must not fall into a comment."""
    if "--" not in sql and "/*" not in sql:
        return f"{sql};"
    last = tokenize(sql)[-1]
    if last.kind is Kind.COMMENT and last.text.startswith("--"):
        return f"{sql}\n;"
    if last.kind is Kind.COMMENT and not last.text.endswith("*/"):
        return f"{sql}*/;"
    return f"{sql};"


def without_heading(statement: str) -> str:
    return statement[significant(tokenize(statement))[0].start :]


def undo(statement: str) -> list[str]:
    """What removes an object again. Indexes and triggers go with their tables and views."""
    tokens = significant(tokenize(statement))
    if tokens[0].word == "PRAGMA":
        return [f"PRAGMA {tokens[1].text} = 0"]
    kind = created_kind(tokens)
    if kind in ("INDEX", "TRIGGER"):
        return []
    return [f"DROP {kind} {quote_name(created_name(statement))}"]
