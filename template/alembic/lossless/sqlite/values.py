"""The values in a script's statements, as the driver would store them.

SQLAlchemy writes values into statements for people to read; the driver is given something else for
some of them. Knows SQLAlchemy's types and compiler, and the driver; knows nothing of scripts.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.types import TypeEngine

from .tokens import quote_string


class ValueCompiler(SQLiteCompiler):
    """Writes values into statements as the driver would store them.

    What SQLAlchemy has for literals is not the same: it takes bytes for text, None for NULL where JSON
    means null, and knows of some types nothing at all.
    """

    def render_literal_bindparam(self, bindparam: Any, *arguments: Any, **options: Any) -> Any:
        own: Any = super()
        given = options.pop("given", {})  # `with_values` says so
        if bindparam.key in given:
            return own.render_literal_bindparam(
                bindparam, render_literal_value=given[bindparam.key], **options
            )
        elsewhere = getattr(self, "_collected_params", {})  # by SQLAlchemy since 2.1
        if (
            bindparam.value is None
            and bindparam.callable is None
            and bindparam.key not in elsewhere
        ):
            if bindparam.required:
                raise CommandError(
                    f"A value is required for the parameter :{bindparam.key}. If it is none, "
                    "write a backslash before the colon"
                )
            if self._bound(None, bindparam.type) is not None:
                return self.render_literal_value(None, bindparam.type)
        return own.render_literal_bindparam(bindparam, *arguments, **options)

    def render_literal_value(self, value: Any, type_: TypeEngine[Any]) -> str:
        if self.statement is None:  # a part of DDL, in which SQLAlchemy always writes literals
            return super().render_literal_value(value, type_)
        return stored_literal(self._bound(value, type_))

    def _bound(self, value: Any, type_: TypeEngine[Any]) -> Any:
        processor = type_._cached_bind_processor(self.dialect)
        return processor(value) if processor else value


def stored_literal(value: Any) -> str:
    """What SQLite stores of a value that is bound to a parameter, as SQL.

    Raises:
        CommandError: the driver does not know how to store it.
    """
    stored = value if type(value) in (str, bytes) else _through_the_driver(value)
    if stored is None:
        return "NULL"
    if isinstance(stored, bytes):
        return f"X'{stored.hex()}'"
    if isinstance(stored, str):
        parts = [quote_string(part) for part in stored.split("\0")]
        return parts[0] if len(parts) == 1 else f"({' || char(0) || '.join(parts)})"
    if isinstance(stored, float) and math.isinf(stored):
        return "9e999" if stored > 0 else "-9e999"
    return repr(stored)


def _through_the_driver(value: Any) -> Any:
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as nowhere:
            return nowhere.execute("SELECT ?", (value,)).fetchone()[0]
    except (sqlite3.Error, OverflowError) as error:
        raise CommandError(f"SQLite cannot store {value!r}: {error}") from error


def with_values(statement: Any, dialect: Dialect, parameters: Mapping[str, Any]) -> str:
    """A statement with all the values that the driver would be given.

    Args:
        statement: what SQLAlchemy would execute.
        dialect: one that scripts are written by.
        parameters: what is executed with it.

    Raises:
        CommandError: there is no value for a parameter.
    """

    def compiled(given: Mapping[str, Any]) -> Any:
        options = {"literal_binds": True, "given": given}
        return statement.compile(dialect=dialect, column_keys=list(given), compile_kwargs=options)

    found = compiled(parameters)
    # Those that Python makes for each row: SQLAlchemy asks for them when it executes.
    defaults = [(column.key, column.default) for column in found.insert_prefetch]
    defaults += [(column.key, column.onupdate) for column in found.update_prefetch]
    if defaults:
        found = compiled({**{key: _made(key, default) for key, default in defaults}, **parameters})
    return str(found)


def _made(column: str, default: Any) -> Any:
    try:
        return default.arg(None) if default.is_callable else default.arg
    except Exception as error:  # a function of the application, which wants to know the execution
        raise CommandError(
            f"--sql cannot ask for the default of column {column} ({error}): give its value"
        ) from error


def with_values_as_stored(dialect: Dialect) -> None:
    """Let a dialect that scripts are written by write values as SQLite stores them."""
    dialect.statement_compiler = ValueCompiler
