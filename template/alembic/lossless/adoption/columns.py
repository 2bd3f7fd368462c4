"""A type for each column that all its stored values fit.

SQLite stores any value in any column ("Datatypes In SQLite"); SQLAlchemy's DateTime, Numeric and so on raise on a
value they do not expect, or read another one than was stored. So the data decide. Knows types and values, and how to
ask an engine for them; knows no SQL.
"""

from __future__ import annotations

import datetime
import decimal
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Column, MetaData, Table, and_, func, select, types
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from ..native import Native, Source

# What a name says about the values that a column is meant to hold, where SQLAlchemy has no type of that name: the
# first pattern found decides ("Determination Of Column Affinity" of SQLite's documentation uses the same way).
MEANINGS: tuple[tuple[str, TypeEngine[Any]], ...] = (
    ("BOOL", types.Boolean()),
    (r"^BIT(\(1\))?$", types.Boolean()),
    # Geometries of GeoPackage and SpatiaLite ("POINT" would be an INT to SQLite).
    (r"^(MULTI)?(POINT|LINESTRING|POLYGON|CURVE|SURFACE|CURVEPOLYGON)\b", types.LargeBinary()),
    (r"^GEOMETRY", types.LargeBinary()),
    ("DATETIME", types.DateTime()),
    ("TIMESTAMP", types.DateTime()),
    ("^DATE", types.Date()),
    ("INTERVAL", types.Text()),
    ("INT", types.Integer()),
    ("SERIAL", types.Integer()),
    ("^TIME", types.Time()),
    ("JSON", types.JSON()),
    ("CHAR", types.Text()),
    ("CLOB", types.Text()),
    ("TEXT", types.Text()),
    ("STRING", types.Text()),
    ("UUID", types.Text()),
    ("GUID", types.Text()),
    ("UNIQUEIDENTIFIER", types.Text()),
    ("BLOB", types.LargeBinary()),
    ("BYTEA", types.LargeBinary()),
    ("BINARY", types.LargeBinary()),
    ("REAL", types.Float()),
    ("FLOA", types.Float()),
    ("DOUB", types.Float()),
    ("^DEC", types.Numeric()),
    ("^NUM", types.Numeric()),
    ("MONEY", types.Numeric()),
)
# A name for what is stored as text by some applications and as bytes by others.
TEXT_OR_BYTES = re.compile("UUID|GUID|UNIQUEIDENTIFIER")
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

# Why a column's values are handled as they are stored, though its declared type has a meaning.
NO_FIT = "holds values that are no {declared}"
NOT_KEPT = "holds values that SQLAlchemy's {declared} would not give back unchanged"
NOT_FOUND = "is in a key whose values SQLAlchemy's {declared} would not find again"
NOT_SEEN = "holds more values than could be looked at in time, of which any may be no {declared}"
NOT_SHARED = "is in a foreign key whose ends have types for different values"
# What else is to be said of a column.
TWO_WAYS = (
    "holds times with a T before them and times with a blank, as SQLAlchemy writes them: "
    "comparisons in SQL, and the order of rows, are those of text"
)

SAMPLE = 1000  # rows of each table whose values are looked at in any case
CHUNK = 10_000  # rows looked at together
MEMORY = 10_000_000  # bytes of values kept at a time, and one row
PATIENCE = 30.0  # seconds for looking at the others, where a type must fit them all


class AsStored(types.UserDefinedType[Any]):
    """Values of any kind, as they are stored."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""


class UndecodedText(types.Text):
    """Text of which some is not UTF-8, so that Python's driver would not read it."""


class UndecodedAny(AsStored):
    """Values of several kinds, among them such text."""


class MomentWithT(types.DateTime):
    """Moments that all have a T before the time, and must be written so to be compared: SQLite compares text."""


class TooMany(Exception):
    """There are more values than can be looked at in reasonable time."""


@dataclass(frozen=True)
class Fit:
    """How a column is written in models.py."""

    type: TypeEngine[Any]  # how values are handled
    declaration: str | None  # the declared text, where the type alone would not give it
    python: str  # the annotation
    misfit: str = ""  # why the declared type is not taken: what is to be said of the column
    note: str = ""  # what else is to be said of it


def fit(
    column: Column[Any],
    sample: Callable[[], Iterable[Any]],
    rest: Callable[[], Iterable[Any]],
    dialect: Dialect,
    *,
    in_key: bool = False,
) -> Fit:
    """Choose how a column's values are handled.

    Args:
        column: as reflected.
        sample: gives values that are stored in it.
        rest: gives the others; asked only for a type that converts what it reads, and may raise `TooMany`.
        dialect: the engine's, with its way to read values.
        in_key: whether rows are found by the column's values.
    """
    declared = getattr(column.type, "declaration", None)
    found = kinds(sample())
    separators: set[str] = set()
    wanted = column.type if declared is None else meaning(declared, found)
    if wanted is None:
        handled, why = as_they_are(found), ""
    elif why := misfit(wanted, lambda: note_separators(sample(), separators), dialect, in_key):
        handled = as_they_are(found)
    else:
        if converts(wanted, dialect):
            why = misfit(wanted, lambda: note_separators(rest(), separators), dialect, in_key)
        handled = AsStored() if why else wanted
    note = ""
    if isinstance(handled, types.DateTime) and "T" in separators:
        if " " in separators:
            note = TWO_WAYS
        else:
            handled = MomentWithT()
    text = column.type.compile(dialect)
    same = declared is None and (handled is wanted or handled.compile(dialect) == text)
    return Fit(handled, None if same else text, annotation(handled), why, note)


def note_separators(values: Iterable[Any], found: set[str]) -> Iterator[Any]:
    """The values, and in a set what stands between the days and the times among them."""
    for value in values:
        if isinstance(value, str):
            found.add(value[10:11])
        yield value


def misfit(
    type_: TypeEngine[Any], values: Callable[[], Iterable[Any]], dialect: Dialect, in_key: bool
) -> str:
    """Why a type is not for these values; nothing if it is."""
    try:
        if reads_all(type_, values(), dialect, in_key=in_key):
            return ""
        if in_key and reads_all(type_, values(), dialect):
            return NOT_FOUND
        return NOT_KEPT if converts(type_, dialect) else NO_FIT
    except TooMany:
        return NOT_SEEN


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
    fits = wanted is None or (found == {str} and isinstance(wanted, types.String))
    why = "" if fits else NO_FIT
    return Fit(handled, column.type.compile(dialect), annotation(handled), why)


def is_utf8(text: str) -> bool:
    """Whether text was read without lone surrogates for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def meaning(declared: str, found: Collection[type] = ()) -> TypeEngine[Any] | None:
    """What a declared type that SQLAlchemy does not have is about.

    Args:
        declared: its name.
        found: the kinds of value in the column.
    """
    text = declared.upper().strip('"')
    if TEXT_OR_BYTES.search(text) and set(found) == {bytes}:
        return types.LargeBinary()
    for pattern, type_ in MEANINGS:
        if re.search(pattern, text):
            return type_
    return None


def converts(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether a type makes something else of what is stored."""
    return type_.dialect_impl(dialect).result_processor(dialect, None) is not None


def is_choosy(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether a type makes something else of some values, read or written, and may raise on others."""
    writes = type_.dialect_impl(dialect).bind_processor(dialect) is not None
    return writes or converts(type_, dialect)


def reads_all(
    type_: TypeEngine[Any], values: Iterable[Any], dialect: Dialect, *, in_key: bool = False
) -> bool:
    """Whether a type reads these values, and reads them for what they are.

    What is read of a key finds its row again: it can be the key of a dictionary, such as a session keeps its objects
    in, and is written as what is stored. SQLite finds no '10:20:30' when it is asked for '10:20:30.000000'.
    """
    if in_key and isinstance(type_, types.JSON):
        return False
    known = (value for value in values if value is not None)
    if isinstance(type_, types.Boolean):
        return all(isinstance(value, int) and value in (0, 1) for value in known)
    read = type_.dialect_impl(dialect).result_processor(dialect, None)
    if read is None:
        return kinds(known) <= accepted_kinds(type_)
    keeps = same_again(type_, dialect, exactly=in_key)
    try:
        for value in known:
            if not keeps(value, read(value)):
                return False
    except TooMany:
        raise
    except Exception:  # whatever a processor raises, it is not for these values
        return False
    return True


def same_again(
    type_: TypeEngine[Any], dialect: Dialect, *, exactly: bool = False
) -> Callable[[Any, Any], bool]:
    """A way to tell whether what was read from a stored value is written as what was stored, or means the same."""
    write = type_.dialect_impl(dialect).bind_processor(dialect)
    if (exactly or isinstance(type_, types.Numeric)) and write is not None:
        return lambda value, result: bool(write(result) == value)
    for kind, written in MOMENTS:
        if isinstance(type_, kind):
            matches = written.fullmatch
            return lambda value, _: matches(value) is not None
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


# --- The values that are stored -----------------------------------------------------------------------------------


def choose_types(
    metadata: MetaData, tables: Iterable[Table], source: Source, native: Native
) -> list[str]:
    """Give each column a type that its values fit; they are kept in the column's `info`.

    Args:
        metadata: as reflected.
        tables: its tables, which may be counted as they pass.
        source: where their rows are.
        native: the way to read them.

    Returns:
        What is worth knowing about it.
    """
    ends = ends_of_keys(metadata)
    look = Look(source, native, ends)
    notes = []
    undecoded: dict[Column[Any], Undecoded] = {}
    for table in tables:
        look.at(table)
        for column in table.columns:
            chosen = column.info["fit"] = look.choose(column)
            if column.name in look.undecoded:
                undecoded[column] = look.undecoded[column.name]
            if chosen.misfit:
                why = chosen.misfit.format(declared=column.type.compile(look.dialect))
                notes.append(
                    f"{table.name}.{column.name} {why}: the model reads them as they are stored"
                )
            if chosen.note:
                notes.append(f"{table.name}.{column.name} {chosen.note}")
    notes += look.notes + told_undecoded(undecoded)
    notes += share_types(ends, look.kinds, look.dialect)
    follow_keys(undecoded, ends, source, native)
    return notes


class Look:
    """A look at the values of one table after the other, with patience for all of them together."""

    def __init__(self, source: Source, native: Native, ends: Collection[Column[Any]]) -> None:
        self.source = source
        self.native = native
        self.ends = ends  # of foreign keys
        self.dialect = source.engine.dialect
        self.deadline = time.monotonic() + PATIENCE
        self.notes: list[str] = []
        # Some values, by column; None if they are too large to be kept.
        self.samples: dict[str, list[Any] | None] = {}
        self.has_all = True  # whether these are all
        self.undecoded: dict[str, Undecoded] = {}
        self.kinds: dict[Column[Any], set[type]] = {}  # of values at the ends of foreign keys

    def at(self, table: Table) -> None:
        """Read some rows of a table, and see whether all of its text can be read."""
        names = [column.name for column in table.columns]
        self.undecoded, self.samples, number = {}, {name: [] for name in names}, 0
        try:
            number = self.take_sample(table.name, names)
            if number:
                self.notes += told_null_keys(table, self.source)
            began = time.monotonic()
            if number:
                self.undecoded = look_for_undecoded(table.name, names, self.source, self.native)
            self.deadline += (
                time.monotonic() - began
            )  # it cannot be left out, however long it takes
        except CommandError:
            raise
        except Exception as error:  # a generated column whose function is missing, for one
            self.notes.append(f"rows of table {table.name!r} cannot be read here: {error}")
            if not number:
                self.samples = {name: [] for name in names}
        self.has_all = number < SAMPLE

    def take_sample(self, table: str, names: list[str]) -> int:
        """Keep values of all columns, but for those whose values are large; give the number of rows."""
        room = dict.fromkeys(names, MEMORY // len(names))
        number = 0
        for row in self.native.rows(self.source, table, names, SAMPLE):
            number += 1
            for name, value in zip(names, row, strict=True):
                if (kept := self.samples[name]) is None:
                    continue
                kept.append(value)
                room[name] -= size(value)
                if room[name] < 0:
                    self.samples[name] = None
        return number

    def sample(self, column: Column[Any]) -> Iterator[Any]:
        """Some values of a column of that table."""
        kept = self.samples[column.name]
        if kept is not None:
            yield from kept
            return
        for (value,) in self.native.rows(self.source, column.table.name, [column.name], SAMPLE):
            yield value

    def choose(self, column: Column[Any]) -> Fit:
        """The type for a column of that table."""
        if column in self.ends:
            self.kinds[column] = kinds(self.sample(column))
        if column.name in self.undecoded:
            return fit_undecoded(column, self.undecoded[column.name].kinds, self.dialect)
        return fit(
            column,
            lambda: self.sample(column),
            lambda: self.rest(column),
            self.dialect,
            in_key=column.primary_key or column in self.ends,
        )

    def rest(self, column: Column[Any]) -> Iterator[Any]:
        """All different values of a column, if there are more than the sample.

        Raises:
            TooMany: patience is at its end.
        """
        if self.has_all:
            return
        rows = self.native.rows(self.source, column.table.name, [column.name], None)
        for chunk in chunks(value for (value,) in rows):
            if time.monotonic() > self.deadline:
                raise TooMany
            yield from chunk


def told_null_keys(table: Table, source: Source) -> list[str]:
    """What a person should know of rows that no class can read, since their key is NULL."""
    key = table.primary_key.columns
    if not key or any(not column.nullable for column in key):
        return []
    null = and_(*(column.is_(None) for column in key))
    with source.engine.connect() as connection:
        number = connection.scalar(select(func.count()).select_from(table).where(null))
    if not number:
        return []
    rows = "row has" if number == 1 else "rows have"
    return [
        f"{number} {rows} NULL for the primary key in table {table.name!r}: "
        "queries for objects give None instead of them"
    ]


def chunks(values: Iterable[Any]) -> Iterator[set[Any]]:
    """Values, each once in a while: the same again says nothing new."""
    chunk: set[Any] = set()
    room = MEMORY
    for number, value in enumerate(values, 1):
        if value not in chunk:
            chunk.add(value)
            room -= size(value)
        if room < 0 or number % CHUNK == 0:
            yield chunk
            chunk, room = set(), MEMORY
    yield chunk


def size(value: Any) -> int:
    """How many bytes a value takes, more or less: those of text and bytes count."""
    return len(value) if isinstance(value, str | bytes) else 0


@dataclass
class Undecoded:
    """What is stored in a column of which some text is not UTF-8."""

    number: int = 0  # of such texts
    kinds: set[type] = field(default_factory=set)  # of all values


def told_undecoded(undecoded: Mapping[Column[Any], Undecoded]) -> list[str]:
    """What a person should know of text that is not UTF-8: where it is, how much, and what the models do with it."""
    places: dict[type[TypeEngine[Any]], list[str]] = defaultdict(list)
    for column, found in undecoded.items():
        values = "value" if found.number == 1 else "values"
        place = f"{column.table.name}.{column.name} ({found.number} {values})"
        places[type(column.info["fit"].type)].append(place)
    written = {
        UndecodedText: "and writes the same bytes again",
        UndecodedAny: "and cannot write them, since the column holds other values than text, too",
    }
    return [
        f"text that is not UTF-8 is stored in {', '.join(names)}: {type_.__name__} in models.py "
        f"reads it with lone surrogates for the bytes that are not, {written[type_]}"
        for type_, names in places.items()
    ]


def look_for_undecoded(
    table: str, names: list[str], source: Source, native: Native
) -> dict[str, Undecoded]:
    """The columns of a table that hold text which is not UTF-8.

    Raises:
        UnicodeError: there is such text, and no way to read it.
    """
    if native.decodes(source, table, names):
        return {}
    if source.encoding != "UTF-8":
        # A cast to bytes would give UTF-16 there, but UTF-8 in a database that the baseline builds.
        raise UnicodeError(f"some text in it is not {source.encoding}")
    found = {name: Undecoded() for name in names}
    for row in native.rows(source, table, names, None):
        for value, column in zip(row, found.values(), strict=True):
            if value is not None:
                column.kinds.add(type(value))
                column.number += isinstance(value, str) and not is_utf8(value)
    return {name: column for name, column in found.items() if column.number}


def ends_of_keys(metadata: MetaData) -> dict[Column[Any], list[Column[Any]]]:
    """The columns at both ends of foreign keys, each with those at the other ends."""
    ends: dict[Column[Any], list[Column[Any]]] = defaultdict(list)
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            ends[key.parent].append(key.column)
            ends[key.column].append(key.parent)
    return ends


def follow_keys(
    undecoded: Iterable[Column[Any]],
    ends: Mapping[Column[Any], Sequence[Column[Any]]],
    source: Source,
    native: Native,
) -> None:
    """Give the text at the other ends of foreign keys the same type: a relationship looks there for the same values."""
    waiting = [column for column in undecoded if isinstance(column.info["fit"].type, UndecodedText)]
    while waiting:
        for column in ends.get(waiting.pop(), ()):
            if not is_plain_text(column):
                continue
            values = native.rows(source, column.table.name, [column.name], None)
            if kinds(value for (value,) in values) <= {str}:
                column.info["fit"] = fit_undecoded(column, {str}, source.engine.dialect)
                waiting.append(column)


def share_types(
    ends: Mapping[Column[Any], Sequence[Column[Any]]],
    found: Mapping[Column[Any], set[type]],
    dialect: Dialect,
) -> list[str]:
    """Give the ends of foreign keys types that take each other's values: a relationship carries them over.

    Args:
        ends: of foreign keys, each with those at the other ends.
        found: the kinds of value that they hold.
        dialect: the engine's.

    Returns:
        What is worth knowing about it.
    """
    notes = []
    for together in connected(ends):
        chosen = {column: column.info["fit"] for column in together}
        converted = {column for column, fit in chosen.items() if is_choosy(fit.type, dialect)}
        if not converted or len({fit.python for fit in chosen.values()}) == 1:
            continue
        # What takes any value of the driver's stays: a key that SQLite gives numbers to must remain a number.
        free = {
            column
            for column in together
            if column in converted or (is_plain_text(column) and not found[column])
        }
        held = set().union(*(found[column] for column in together))
        held |= {
            kind for kind in PLAIN if kind.__name__ in {chosen[c].python for c in together - free}
        }
        shared = as_they_are(held or ({str} if free - converted else set()))
        for column in free:
            if annotation(shared) == chosen[column].python:
                continue
            declared = column.type.compile(dialect)
            column.info["fit"] = Fit(shared, declared, annotation(shared), NOT_SHARED)
            notes.append(
                f"{column.table.name}.{column.name} {NOT_SHARED}: the model reads them as they are stored"
            )
    return sorted(notes)  # columns come in sets


def connected(ends: Mapping[Column[Any], Sequence[Column[Any]]]) -> Iterator[set[Column[Any]]]:
    """Columns that foreign keys connect, directly or by way of others."""
    seen: set[Column[Any]] = set()
    for start in ends:
        together, waiting = set(), [start] if start not in seen else []
        while waiting:
            column = waiting.pop()
            if column not in together:
                together.add(column)
                waiting += ends[column]
        if together:
            seen |= together
            yield together


def is_plain_text(column: Column[Any]) -> bool:
    type_ = column.info["fit"].type
    return isinstance(type_, types.String) and not isinstance(type_, UndecodedText)
