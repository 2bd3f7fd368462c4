"""What a baseline and the adoption of a database need to know of an engine's own SQL, behind one small interface.

This module knows which engines there are, and nothing of what any of them does; and how SQL of any of them becomes a
literal for SQLAlchemy.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from alembic.util import CommandError
from sqlalchemy import URL, ColumnElement, Connection, Engine, TextClause, literal_column, text

ENGINES = {"sqlite": "lossless.sqlite.native:SQLiteNative"}
# `text()` reads a colon and the word behind it as a parameter ("Using Textual SQL"); SQL from a database has none.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")


# What a database declares: for each kind and name the facets by which two of them are compared.
Schema = Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class NativeObject:
    """One object of a database: what it is, its name, and the statement that makes it."""

    kind: str
    name: str
    sql: str


@dataclass
class Source:
    """A database that is being looked at; nothing can be written through it."""

    engine: Engine
    objects: list[NativeObject]  # in an order in which they can be made
    schema: Schema
    version_tables: dict[str, list[str]]  # Alembic's, with the revisions in them
    state: Any  # changes when somebody alters the schema
    notes: list[str] = field(default_factory=list)
    written: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # names, by key of `schema`
    encoding: str = "UTF-8"  # of text that is stored

    def of_kind(self, *kinds: str) -> list[NativeObject]:
        return [found for found in self.objects if found.kind in kinds]


class Native(ABC):
    """One engine's own SQL."""

    default_schema = ""  # the one whose tables are named without it

    # -- a baseline's script ------------------------------------------------------------------------------------------

    @abstractmethod
    def split_script(self, script: str) -> Sequence[str]:
        """The statements of a script, without what separates them."""

    @abstractmethod
    def join_script(self, objects: list[NativeObject]) -> str:
        """A readable script that makes the objects; `split_script` gives their statements back."""

    @abstractmethod
    def undo(self, statement: str) -> list[str]:
        """What removes that which a statement of a script made."""

    @abstractmethod
    def execute(self, connection: Connection, statement: str) -> None:
        """Run a statement as it is: no parameters, no escapes."""

    # -- adoption -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def absolute(self, url: URL) -> URL:
        """A URL typed by a person, with what is relative to the current folder made absolute."""

    @abstractmethod
    def look(self, url: URL) -> AbstractContextManager[Source]:
        """Open a database for reading only.

        Raises:
            CommandError: it is not there, cannot be read, or holds nothing.
        """

    @abstractmethod
    def schemas(self, source: Source) -> set[str]:
        """The names of the schemas that a database falls into."""

    def reflected_schemas(self, given: list[str]) -> list[str | None]:
        """Schemas as SQLAlchemy calls them: the default one has no name."""
        return [None if name == self.default_schema else name for name in given] or [None]

    @abstractmethod
    def rows(
        self, source: Source, table: str, columns: list[str], limit: int | None
    ) -> Iterator[tuple[Any, ...]]:
        """Stored values as the driver gives them; bytes of text that are not UTF-8 are lone surrogates."""

    @abstractmethod
    def decodes(self, source: Source, table: str, columns: list[str]) -> bool:
        """Whether the driver by itself reads all text that is stored in a table."""

    @abstractmethod
    def scratch(self) -> AbstractContextManager[Engine]:
        """An empty database of this engine, gone afterwards."""

    @abstractmethod
    def schema(self, connection: Connection) -> Schema:
        """All that a database declares, by kind and name: what two databases are compared by."""

    @abstractmethod
    def writing(self, url: URL) -> AbstractContextManager[Connection]:
        """The one connection that may write: for the stamp. Its transaction is open already."""

    @abstractmethod
    def missing(self, connection: Connection) -> list[str]:
        """What a database's objects need and the engine here does not have: functions, collations, extensions."""

    @abstractmethod
    def state(self, connection: Connection) -> Any:
        """Something that changes whenever the schema does."""


def native_for(dialect: str) -> Native:
    """The engine's own SQL.

    Raises:
        CommandError: there is no adoption for that engine.
    """
    if dialect not in ENGINES:
        raise CommandError(
            f"There is no adoption for {dialect} databases yet; it works for: {', '.join(sorted(ENGINES))}. "
            "By hand: write the models with sqlacodegen, a revision with their tables, and `alembic stamp head`."
        )
    module, _, name = ENGINES[dialect].partition(":")
    found = getattr(import_module(module), name)()
    assert isinstance(found, Native)
    return found


def differences(
    one: Schema, other: Schema, written: Mapping[tuple[str, str], str] | None = None
) -> list[str]:
    """One line for each difference between two schemas; empty if they are the same.

    Args:
        one: a schema.
        other: another one.
        written: names as a person wrote them, where known.
    """
    lines = []
    for key in sorted(one.keys() | other.keys()):
        label = f"{key[0]} {(written or {}).get(key, key[1])!r}"
        if key not in other:
            lines.append(f"{label} is missing")
        elif key not in one:
            lines.append(f"{label} is new")
        else:
            facets = [facet for facet, value in one[key].items() if value != other[key].get(facet)]
            lines += [f"{label}: {', '.join(facets)}"] if facets else []
    return lines


def escape_colons(sql: str) -> str:
    """Write a backslash before each colon that `text()` would take for the start of a parameter."""
    return _PARAMETER.sub(r"\\:", sql)


def literal(sql: str) -> TextClause | ColumnElement[Any]:
    """An SQL expression that says exactly `sql`.

    Usually a `text()`; a `literal_column()` for the few strings that `text()` cannot carry.
    """
    clause = text(escape_colons(sql))
    if (":" not in sql and "\\" not in sql) or str(clause) == sql:
        return clause
    return literal_column(sql)
