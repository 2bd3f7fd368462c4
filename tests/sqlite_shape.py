"""What a SQLite database promises, in a form to compare. Shares no code with the migrations.

White space, comments, letter case and the quoting of names make no difference; everything else does. A name in single
quotes is a name, too, where SQLite takes it for one ("SQLite Keywords" of its documentation).
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

_PIECES = re.compile(
    r"""('(?:[^']|'')*') | "((?:[^"]|"")*)" | `((?:[^`]|``)*)` | \[([^\]]*)\]
        | (--[^\n]*|/\*.*?(?:\*/|\Z)) | ([^\W\d][\w$]*|\d[\w.]*|[^\s])""",
    re.VERBOSE | re.DOTALL,
)
Shape = dict[str, Any]


def words(sql: str | None) -> list[str]:
    """The words of a statement: strings as they are, everything else in lower case, unquoted."""
    found = []
    for string, double, back, bracket, comment, other in _PIECES.findall(sql or ""):
        if string or not comment:
            found.append(string or (double or back or bracket or other).lower())
    return found


_BEFORE_NAMES = {
    "index",
    "trigger",
    "view",
    "exists",
    "on",
    "into",
    "update",
    "of",
    "from",
    "collate",
}
_BEHIND_MEMBERS = {",", ")", "collate", "asc", "desc"}


def statement(sql: str) -> list[str]:
    """The words of a CREATE INDEX, TRIGGER or VIEW: those for names without single quotes, too."""
    found = words(sql)
    depth, is_index, where = 0, "index" in found[1:3], False
    for at, word in enumerate(found):
        depth += (word == "(") - (word == ")")
        where = where or (is_index and word == "where" and depth == 0)
        if not word.startswith("'") or where:
            continue
        before, behind = found[at - 1], found[at + 1 : at + 2]
        is_member = is_index and depth == 1 and before in ("(", ",")
        if before in _BEFORE_NAMES or (is_member and behind and behind[0] in _BEHIND_MEMBERS):
            found[at] = word[1:-1].replace("''", "'").lower()
    return found


def bodies(sql: list[str], keyword: str) -> list[str]:
    """What stands in the parentheses behind each occurrence of a keyword, sorted."""
    found = []
    for at, word in enumerate(sql[:-1]):
        if word == keyword and sql[at + 1] == "(":
            depth, end = 0, at + 1
            while True:
                depth += (sql[end] == "(") - (sql[end] == ")")
                if depth == 0:
                    break
                end += 1
            found.append(" ".join(_bare(sql[at + 2 : end])))
    return sorted(found)


def _bare(expression: list[str]) -> list[str]:
    while expression[:1] == ["("] and expression[-1:] == [")"]:
        depth = 0
        for at, word in enumerate(expression):
            depth += (word == "(") - (word == ")")
            if depth == 0 and at < len(expression) - 1:
                return expression
        expression = expression[1:-1]
    return expression


def shape(path: Path) -> Shape:
    """Everything that the schema of a database promises, by object."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        objects = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master"
        ).fetchall()
        return {
            f"{kind} {name.lower()}": (
                _table(connection, name, sql)
                if kind == "table"
                else [table.lower(), statement(sql)]
            )
            for kind, name, table, sql in objects
            if sql is not None and not name.startswith("sqlite_") and name != "alembic_version"
        }


def shadow_tables(path: Path) -> set[str]:
    """The tables that virtual tables make by themselves, in lower case: they appear where only the others are made.

    Of a virtual table that cannot be made here, those that SQLite would take for its own.
    """
    found: set[str] = set()
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as original,
        closing(sqlite3.connect(":memory:")) as copy,
    ):
        ask = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"
        called_so = {
            row[1].lower() for row in original.execute("PRAGMA table_list") if row[2] == "shadow"
        }
        for name, sql in original.execute(ask):
            before = {row[0].lower() for row in copy.execute(ask)}
            if name.lower() in before:
                continue
            try:
                copy.execute(sql)
                found |= {row[0].lower() for row in copy.execute(ask)} - before - {name.lower()}
            except sqlite3.Error:
                if "virtual" in words(sql)[:2]:
                    found |= {one for one in called_so if one.startswith(f"{name.lower()}_")}
    return found


def _table(connection: sqlite3.Connection, name: str, sql: str) -> Shape:
    def ask(pragma: str, argument: str = name) -> list[tuple[Any, ...]]:
        return connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (argument,)).fetchall()

    text = words(sql)
    if text[1] == "virtual":
        return {"virtual": text}
    opening = text.index("(")
    tail = text[len(text) - 1 - text[::-1].index(")") :]
    columns = ask("table_xinfo")
    keys: dict[int, list[Any]] = {}
    for number, _, target, column, parent, *rest in ask("foreign_key_list"):
        keys.setdefault(number, [target.lower(), rest]).append(
            (column.lower(), (parent or "").lower())
        )
    return {
        "columns": [
            (column.lower(), kind.lower(), bool(null), _bare(words(default)), key, hidden)
            for _, column, kind, null, default, key, hidden in columns
        ],
        "keys": sorted(map(repr, keys.values())),
        "automatic indexes": sorted(
            repr([row[2:] for row in ask("index_xinfo", index[1])])
            for index in ask("index_list")
            if index[3] != "c"
        ),
        "checks": bodies(text, "check"),
        "generated": bodies(text, "as"),
        "collations": sorted(_after(text[opening:], "collate")),
        "conflict": sorted(_after(text, "conflict")),
        "deferral": sorted(
            word for word in text if word in ("deferrable", "initially", "deferred")
        ),
        "options": sorted(word for word in tail if word in ("strict", "without", "rowid")),
        "autoincrement": "autoincrement" in text,
        "names": sorted(_after(text, "constraint")),
    }


def _after(text: list[str], keyword: str) -> Iterable[str]:
    return (text[at + 1] for at, word in enumerate(text[:-1]) if word == keyword)


def differences(before: Shape, after: Shape) -> list[str]:
    """One line for each thing that is not the same."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += [
                f"{name}, {facet}: {old.get(facet)} became {new.get(facet)}"
                for facet in old.keys() | new.keys()
                if old.get(facet) != new.get(facet)
            ]
        else:
            found.append(f"{name}: {old} became {new}")
    return found


def row_hashes(path: Path) -> dict[str, str]:
    """A hash of all rows of each table, with their rowids and the types of their values."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version' "
            "AND name NOT LIKE 'sqlite_stat%' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall()
        return {name.decode(): _hash(connection, name.decode()) for (name,) in names}


def _hash(connection: sqlite3.Connection, table: str) -> str:
    quoted = '"' + table.replace('"', '""') + '"'
    try:
        rows = connection.execute(f"SELECT rowid, * FROM {quoted} ORDER BY rowid").fetchall()
    except sqlite3.OperationalError:  # WITHOUT ROWID
        rows = sorted(connection.execute(f"SELECT * FROM {quoted}").fetchall(), key=repr)
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file, its indexes and its foreign keys."""
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return False
        try:
            return connection.execute("PRAGMA foreign_key_check").fetchall() == []
        except sqlite3.OperationalError:  # a foreign key to what is not unique
            return False
