"""Column types as SQLite declares them, for SQLAlchemy.

SQLite keeps whatever text stands behind a column's name ("Datatypes In SQLite", section 3); SQLAlchemy has a class for
some of these texts. Knows which, how the others are carried along, and what SQLite itself reads from such a text: the
affinity. Knows nothing of tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import types
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from .statement import parse
from .tokens import fold, quote_name

Make = Callable[..., TypeEngine[Any]]

# The types whose DDL on SQLite is the very text they were declared with, by that text; with parentheses behind it they
# take numbers: none, at most one, or at most two.
STOCK: dict[str, tuple[Make, int]] = {
    "BIGINT": (types.BigInteger, 0),
    "BINARY": (types.BINARY, 1),
    "BLOB": (types.LargeBinary, 0),
    "BOOLEAN": (types.Boolean, 0),
    "CHAR": (types.CHAR, 1),
    "DATE": (types.Date, 0),
    "DATETIME": (types.DateTime, 0),
    "DECIMAL": (types.DECIMAL, 2),
    "DOUBLE": (types.Double, 0),
    "DOUBLE PRECISION": (types.DOUBLE_PRECISION, 0),
    "FLOAT": (types.Float, 0),
    "INTEGER": (types.Integer, 0),
    "JSON": (types.JSON, 0),
    "NCHAR": (types.NCHAR, 1),
    "NUMERIC": (types.Numeric, 2),
    "NVARCHAR": (types.NVARCHAR, 1),
    "REAL": (types.REAL, 0),
    "SMALLINT": (types.SmallInteger, 0),
    "TEXT": (types.Text, 0),
    "TIME": (types.Time, 0),
    "TIMESTAMP": (types.TIMESTAMP, 0),
    "VARBINARY": (types.VARBINARY, 1),
    "VARCHAR": (types.String, 1),
}
_TEXTS = (types.String,)
_NUMBER = r"\s*[+-]?\s*[\d.][\w.]*\s*"
_PLAIN = re.compile(rf"[^()]*(\({_NUMBER}(,{_NUMBER})?\)\s*)?")
_DECLARATION = re.compile(r"\s*(.*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.DOTALL)


class DeclaredType(types.UserDefinedType[Any]):
    """A column type known by the text of its declaration alone; values pass as they are stored."""

    cache_ok = True

    def __init__(self, declaration: str = "", collation: str | None = None) -> None:
        self.declaration = declaration
        self.collation = collation

    def get_col_spec(self, **_: Any) -> str:
        """What stands behind the column's name in CREATE TABLE."""
        return with_collation(self.declaration, self.collation)


def with_collation(declaration: str, collation: str | None) -> str:
    """A declared type with the column's COLLATE clause behind it."""
    clause = f"COLLATE {quote_name(collation)}" if collation else ""
    return f"{declaration} {clause}".strip()


def stock_type(declared: str, collation: str | None = None) -> TypeEngine[Any] | None:
    """SQLAlchemy's own type for a declaration; None if it has none that SQLite would declare with the same text."""
    found = _DECLARATION.fullmatch(declared)
    if found is None:
        return None
    name = " ".join(found[1].upper().split())
    numbers = [number for number in found.groups()[1:] if number is not None]
    arguments = list(map(int, numbers))
    make, most = STOCK.get(name, (None, 0))
    if make is None or len(arguments) > most or list(map(str, arguments)) != numbers:
        return None
    if arguments[:1] == [0]:  # to SQLAlchemy the same as none
        return None
    made = make(*arguments)
    if collation:
        if not isinstance(made, _TEXTS):
            return None
        made = make(*arguments, collation=collation)
    return made


def reflected_type(declared: str, collation: str | None = None) -> TypeEngine[Any]:
    """The type of a column in a database."""
    return stock_type(declared, collation) or DeclaredType(writable(declared), collation)


@lru_cache
def writable(declared: str) -> str:
    """A declared type as it can stand behind a column's name: in quotes, if SQLite found it in some.

    Of `[nvarchar](30)` SQLite keeps `nvarchar](30`.
    """
    try:
        (column,) = parse(f"CREATE TABLE x (x {declared})").columns
    except ValueError:
        return quote_name(declared)
    plain = _PLAIN.fullmatch(declared) and column.declared_type == declared
    return declared if plain and not column.constraints else quote_name(declared)


def declaration(type_: TypeEngine[Any], dialect: Dialect) -> str:
    """The text with which a type would be declared, fit for comparison: letter case, white space and quotes do not count."""
    return re.sub(r'[\s"]+', "", type_.compile(dialect)).upper()


def affinity(declared: str) -> str:
    """A type's affinity ("Determination Of Column Affinity", datatype3.html, section 3.1)."""
    text = fold(declared)
    if "int" in text:
        return "integer"
    if any(part in text for part in ("char", "clob", "text")):
        return "text"
    if "blob" in text or not text:
        return "blob"
    if any(part in text for part in ("real", "floa", "doub")):
        return "real"
    return "numeric"
