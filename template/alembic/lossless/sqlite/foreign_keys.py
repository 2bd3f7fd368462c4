"""Foreign keys while migrations run: enforcement off, and a check before each commit.

Enforcement must be off, because SQLite's own procedure for changing a table drops it on the way
("Making Other Kinds Of Table Schema Changes", lang_altertable.html, section 7), which would delete
the rows of every ON DELETE CASCADE child. What a migration itself breaks is found before it is
committed; what was broken before it does not stop it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from alembic.util import CommandError

from .tokens import Token, fold, quote_name, significant, tokenize

SHOWN = 5  # violations named in a message

# Statements that cannot leave a row without its parent.
HARMLESS = ("SELECT", "PRAGMA", "EXPLAIN", "ANALYZE", "REINDEX", "VALUES", "SAVEPOINT", "RELEASE")


@dataclass(frozen=True)
class Violation:
    """One row whose parent is missing; `rowid` is None in a table without rowids."""

    table: str
    rowid: int | None
    parent: str


class ForeignKeyWatch:
    """Watches one transaction: remembers the violations before its first change of rows."""

    def __init__(self, connection: sqlite3.Connection, version_table: str) -> None:
        self._connection = connection
        self._version_table = version_table
        self._before: Counter[Violation] | None = None
        self._renamed: dict[str, str] = {}

    def begin(self) -> None:
        """A transaction begins."""
        self._before = None
        self._renamed = {}

    def before_change(self) -> None:
        """Rows, or keys that others refer to, are about to change."""
        if self._before is None:
            self._before = violations(self._connection)

    def before_statement(self, sql: str) -> None:
        """A statement of a revision is about to run."""
        if self._before is None and self._can_break_a_reference(sql):
            self.before_change()

    def table_renamed(self, old: str, new: str) -> None:
        """A table has got another name; the violations known before are its own still."""
        for before, now in list(self._renamed.items()):
            if now == fold(old):
                self._renamed[before] = fold(new)
        self._renamed.setdefault(fold(old), fold(new))

    def check(self) -> None:
        """Look for violations that were not there before.

        Raises:
            CommandError: there are some.
        """
        if self._before is None:
            return
        known = Counter({self._now_called(key): count for key, count in self._before.items()})
        caused = list((violations(self._connection) - known).elements())
        if caused:
            raise CommandError(explain(caused))

    def _now_called(self, violation: Violation) -> Violation:
        return Violation(
            self._renamed.get(violation.table, violation.table),
            violation.rowid,
            self._renamed.get(violation.parent, violation.parent),
        )

    def writes_version(self, sql: str) -> bool:
        """Whether a statement is about the version table, by which Alembic says what is done."""
        names = {fold(token.name) for token in start_of(sql)[:4] if token.can_be_name}
        return fold(self._version_table) in names

    def _can_break_a_reference(self, sql: str) -> bool:
        tokens = start_of(sql)
        words = [token.word for token in tokens[:6]]
        if not words or words[0] in HARMLESS or self.writes_version(sql):
            return False
        if words[0] == "CREATE" or words[:2] in (["DROP", "VIEW"], ["DROP", "TRIGGER"]):
            return False
        return words[:2] != ["DROP", "INDEX"] or self._has_unique_index(tokens)

    def _has_unique_index(self, tokens: Sequence[Token]) -> bool:
        """Whether a statement names a unique index, which a foreign key may rely on."""
        return any(
            self._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ? COLLATE NOCASE "
                "AND sql LIKE 'CREATE UNIQUE%'",
                (token.name,),
            ).fetchone()
            for token in tokens[2:]
        )


@lru_cache(maxsize=16)
def start_of(sql: str) -> tuple[Token, ...]:
    """The first tokens of a statement, ten at least if it has so many; comments are left out."""
    tokens: tuple[Token, ...] = ()
    for length in (100, 1000, len(sql)):  # values may follow that are long
        tokens = significant(tokenize(sql[:length]))
        while tokens and tokens[0].text == ";":
            tokens = tokens[1:]
        if length >= len(sql) or len(tokens) > 10:
            break
    return tokens


def violations(connection: sqlite3.Connection) -> Counter[Violation]:
    """All rows without their parent, and all foreign keys that SQLite cannot check.

    A foreign key whose parent columns are not unique makes `PRAGMA foreign_key_check` fail; it
    counts as one violation, so that it does not hide what other tables have.
    """
    found: Counter[Violation] = Counter()
    candidates = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%REFERENCES%'"
    ).fetchall()
    for (table,) in candidates:
        try:
            rows = connection.execute(f"PRAGMA foreign_key_check({quote_name(table)})").fetchall()
        except sqlite3.DatabaseError as error:
            if "foreign key mismatch" not in str(error):
                raise
            found[Violation(fold(table), None, str(error))] += 1
        else:
            found.update(Violation(fold(row[0]), row[1], fold(row[2])) for row in rows)
    return found


def explain(caused: list[Violation]) -> str:
    """A message that names table, row and parent of each violation, the first few of them."""
    told = list(dict.fromkeys(_tell(violation) for violation in caused))
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    mismatch = any(_is_mismatch(violation) for violation in caused)
    what = (
        "foreign keys that SQLite cannot check"
        if mismatch
        else "rows that refer to rows which do not exist"
    )
    return (
        f"The migration would leave {what}: {'; '.join(told[:SHOWN])}{more}. "
        "Everything it did is undone; correct the rows, or the revision"
    )


def _is_mismatch(violation: Violation) -> bool:
    return violation.parent.startswith("foreign key mismatch")


def _tell(violation: Violation) -> str:
    if _is_mismatch(violation):
        return f"{violation.parent} (what it refers to is no longer a primary key or unique)"
    row = f"row {violation.rowid}" if violation.rowid is not None else "a row"
    return f"{row} of table {violation.table} has no parent in {violation.parent}"
