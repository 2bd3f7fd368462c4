"""Python source for values: whatever a value holds, the source is a literal of it and nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, TextClause
from sqlalchemy.sql.elements import ColumnClause

LONGEST = 88


def string(value: str) -> str:
    """A string literal; a long one or one of many lines as several that Python joins."""
    pieces = [piece for line in value.splitlines(keepends=True) for piece in _pieces(line)]
    if len(pieces) < 2:
        return repr(value)
    return "(" + "\n".join(map(repr, pieces)) + ")"


def _pieces(line: str) -> Iterable[str]:
    while len(line) > LONGEST:
        at = line.rfind(" ", LONGEST // 2, LONGEST) + 1 or LONGEST
        yield line[:at]
        line = line[at:]
    if line:
        yield line


def call(name: str, arguments: Iterable[str], keywords: Mapping[str, str] | None = None) -> str:
    """A call, from the source of its arguments."""
    named = [f"{keyword}={value}" for keyword, value in (keywords or {}).items()]
    return f"{name}({', '.join([*arguments, *named])})"


def sql(clause: object) -> str:
    """An SQL expression as SQLAlchemy takes it: `text()`, or `literal_column()` where text cannot carry it."""
    if isinstance(clause, TextClause):
        return f"text({string(clause.text)})"
    if isinstance(clause, ColumnClause) and clause.is_literal:
        return f"literal_column({string(clause.name)})"
    raise TypeError(f"no SQL from a database: {clause!r}")


def sql_or_string(clause: object) -> str:
    """The same where a plain string is read as `text()`, too."""
    return string(clause.text) if isinstance(clause, TextClause) else sql(clause)


def sql_function(clause: TextClause | ColumnElement[object]) -> str:
    """Which of SQLAlchemy's functions `sql` needs."""
    return "text" if isinstance(clause, TextClause) else "literal_column"
