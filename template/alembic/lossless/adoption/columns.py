"""A type for each column that all its stored values fit.

SQLite stores any value in any column ("Datatypes In SQLite"); SQLAlchemy's DateTime, Numeric and so on raise on a
value they do not expect, or read another one than was stored. So the data decide. Knows types and values, no SQL.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, types
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

# What a name says about the values that a column is meant to hold, where SQLAlchemy has no type of that name: the
# first word found decides ("Determination Of Column Affinity" of SQLite's documentation uses the same way).
MEANINGS: tuple[tuple[str, TypeEngine[Any]], ...] = (
    ("BOOL", types.Boolean()),
    ("DATETIME", types.DateTime()),
    ("TIMESTAMP", types.DateTime()),
    ("DATE", types.Date()),
    ("INTERVAL", types.Text()),
    ("INT", types.Integer()),
    ("SERIAL", types.Integer()),
    ("TIME", types.Time()),
    ("JSON", types.JSON()),
    ("CHAR", types.Text()),
    ("CLOB", types.Text()),
    ("TEXT", types.Text()),
    ("STRING", types.Text()),
    ("UUID", types.Text()),
    ("GUID", types.Text()),
    ("BLOB", types.LargeBinary()),
    ("BYTEA", types.LargeBinary()),
    ("BINARY", types.LargeBinary()),
    ("REAL", types.Float()),
    ("FLOA", types.Float()),
    ("DOUB", types.Float()),
    ("DEC", types.Numeric()),
    ("NUM", types.Numeric()),
    ("MONEY", types.Numeric()),
)
# What values of one kind are handled as; SQLAlchemy passes these kinds on as they are.
PLAIN: dict[type, TypeEngine[Any]] = {
    int: types.Integer(),
    float: types.Float(),
    str: types.Text(),
    bytes: types.LargeBinary(),
}

# The ways to write a date, a time or both that every Python reads, and SQLAlchemy writes again with the same meaning.
# Others lose something, such as an offset or the last digits; a day alone is its first moment, as it is for SQLite.
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{3}([0-9]{3})?)?)?"
MOMENTS: tuple[tuple[type[TypeEngine[Any]], re.Pattern[str]], ...] = (
    (types.DateTime, re.compile(rf"{DAY}([ T]{TIME})?")),
    (types.Date, re.compile(DAY)),
    (types.Time, re.compile(TIME)),
)


class AsStored(types.UserDefinedType[Any]):
    """Values of any kind, as they are stored."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""


class UndecodedText(types.Text):
    """Text of which some is not UTF-8, so that Python's driver would not read it."""


class UndecodedAny(AsStored):
    """Values of several kinds, among them such text."""


class TooMany(Exception):
    """There are more values than can be looked at in reasonable time."""


@dataclass(frozen=True)
class Fit:
    """How a column is written in models.py."""

    type: TypeEngine[Any]  # how values are handled
    declaration: str | None  # the declared text, where the type alone would not give it
    python: str  # the annotation
    misfit: bool = False  # the declared type is about something else than the values


def fit(
    column: Column[Any], sample: Sequence[Any], rest: Callable[[], Iterable[Any]], dialect: Dialect
) -> Fit:
    """Choose how a column's values are handled.

    Args:
        column: as reflected.
        sample: values that are stored in it.
        rest: gives the others; asked only for a type that converts what it reads, and may raise `TooMany`.
        dialect: the engine's, with its way to read values.
    """
    declared = getattr(column.type, "declaration", None)
    wanted = column.type if declared is None else meaning(declared)
    found = kinds(sample)
    handled = (
        wanted if wanted is not None and reads_all(wanted, sample, dialect) else as_they_are(found)
    )
    if handled is wanted and converts(handled, dialect):
        try:
            if not reads_all(handled, rest(), dialect):
                handled = AsStored()
        except TooMany:
            handled = AsStored()
    written = (
        column.type.compile(dialect) if declared is not None or handled is not wanted else None
    )
    return Fit(handled, written, annotation(handled), handled is not wanted and wanted is not None)


def fit_undecoded(column: Column[Any], found: set[type], dialect: Dialect) -> Fit:
    """Choose how a column's values are handled if some of them are text that is not UTF-8.

    Args:
        column: as reflected.
        found: the kinds of all values in it.
        dialect: the engine's.
    """
    declared = getattr(column.type, "declaration", None)
    wanted = column.type if declared is None else meaning(declared)
    handled = UndecodedText() if found == {str} else UndecodedAny()
    misfit = wanted is not None and not (found == {str} and isinstance(wanted, types.String))
    return Fit(handled, column.type.compile(dialect), annotation(handled), misfit)


def is_utf8(text: str) -> bool:
    """Whether text was read without lone surrogates for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def meaning(declared: str) -> TypeEngine[Any] | None:
    """What a declared type that SQLAlchemy does not have is about."""
    text = declared.upper()
    for word, type_ in MEANINGS:
        if re.match(word, text) or (word in text and word not in ("DATE", "TIME", "NUM", "DEC")):
            return type_
    return None


def converts(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether a type makes something else of what is stored."""
    return type_.dialect_impl(dialect).result_processor(dialect, None) is not None


def reads_all(type_: TypeEngine[Any], values: Iterable[Any], dialect: Dialect) -> bool:
    """Whether a type reads these values, and reads them for what they are."""
    known = (value for value in values if value is not None)
    if isinstance(type_, types.Boolean):
        return all(isinstance(value, int) and value in (0, 1) for value in known)
    read = type_.dialect_impl(dialect).result_processor(dialect, None)
    if read is None:
        return kinds(known) <= accepted_kinds(type_)
    keeps = same_again(type_, dialect)
    try:
        for value in known:
            if not keeps(value, read(value)):
                return False
    except Exception:  # whatever a processor raises, it is not for these values
        return False
    return True


def same_again(type_: TypeEngine[Any], dialect: Dialect) -> Callable[[Any, Any], bool]:
    """A way to tell whether what was read from a stored value is written as what was stored."""
    for kind, written in MOMENTS:
        if isinstance(type_, kind):
            matches = written.fullmatch
            return lambda value, _: matches(value) is not None
    write = type_.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(type_, types.Numeric) and write is not None:
        return lambda value, result: bool(write(result) == value)
    return lambda value, result: True


def accepted_kinds(type_: TypeEngine[Any]) -> set[type]:
    """The kinds of value that a type without conversion promises."""
    if isinstance(type_, types.Integer):
        return {int}
    if isinstance(type_, types.Numeric | types.Float):
        return {int, float}
    if isinstance(type_, types.String):
        return {str}
    if isinstance(type_, types.LargeBinary | types.BINARY | types.VARBINARY):
        return {bytes}
    return {int, float, str, bytes}


def kinds(values: Iterable[Any]) -> set[type]:
    """The kinds of value that SQLite stores: int, float, str, bytes."""
    return {type(value) for value in values if value is not None}


def as_they_are(found: set[type]) -> TypeEngine[Any]:
    """A type that changes nothing, named after the kind of values that are there."""
    if len(found) == 1:
        return PLAIN[next(iter(found))]
    return types.Float() if found == {int, float} else AsStored()


def annotation(type_: TypeEngine[Any]) -> str:
    """The Python type of a column's values."""
    if isinstance(type_, AsStored | types.JSON):
        return "Any"
    python = type_.python_type
    if python in (datetime.datetime, datetime.date, datetime.time, decimal.Decimal):
        return f"{python.__module__}.{python.__name__}"
    return python.__name__
