"""SQL that a database gave us, as a literal for SQLAlchemy.

`text()` reads a colon and the word behind it as a parameter; text from a database has none. Knows that one rule of
SQLAlchemy ("Using Textual SQL", escaping) and nothing of any engine.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, TextClause, literal_column, text

_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")


def escape(sql: str) -> str:
    """Write a backslash before each colon that `text()` would take for the start of a parameter."""
    return _PARAMETER.sub(r"\\:", sql)


def literal(sql: str) -> TextClause | ColumnElement[Any]:
    """An SQL expression that says exactly `sql`.

    Usually a `text()`; a `literal_column()` for the few strings that `text()` cannot carry.
    """
    clause = text(escape(sql))
    if (":" not in sql and "\\" not in sql) or str(clause) == sql:
        return clause
    return literal_column(sql)
