"""Foreign keys while migrations run: enforcement off, and a check before each commit.

Enforcement must be off, because SQLite's own procedure for changing a table drops it on the way
("Making Other Kinds Of Table Schema Changes", lang_altertable.html, section 7), which would delete
the rows of every ON DELETE CASCADE child. What a migration itself breaks is found before it is
committed; what was broken before it does not stop it.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.util import CommandError

from .tokens import HARMLESS, Token, first_word, fold, quote_name, quote_string, same_name, start_of

SHOWN = 5  # violations named in a message
_CHANGING = ("INSERT", "UPDATE", "DELETE")  # by which Alembic writes the version
# Not by LIKE, which PRAGMA case_sensitive_like, or a function of an application, lets mean another thing.
MAY_HAVE_KEYS = "instr(upper(sql), 'REFERENCES')"
_NAME = '((?:[^"]|"")*)'
_MISMATCH = re.compile(f'foreign key mismatch - "{_NAME}" referencing "{_NAME}"')


@dataclass(frozen=True)
class Violation:
    """One row whose parent is missing, by one foreign key."""

    table: str
    row: int | str | None  # its rowid, or its primary key as `row_key` has it
    parent: str
    key: str = ""  # as `key_name` has it: SQLite's numbers of keys change when one comes or goes
    mismatch: bool = False  # whether SQLite cannot check the key at all, for no row
    missing: str = ""  # something of an application, without which no key of the table is checked


class ForeignKeyWatch:
    """Watches one transaction: remembers the violations before its first change of rows.

    Rows that were changed without SQLAlchemy are noticed by SQLite's count of changes, and tables
    that were dropped without it are told by `schema_changed_unseen`. Then the
    violations from before are asked for beside the transaction, where it is not committed yet. In an
    autocommit block it is too late for that; there, only SQLAlchemy's statements are watched.
    """

    def __init__(self, connection: sqlite3.Connection, version_table: str) -> None:
        self._connection = connection
        self._version_table = version_table
        # What stands in every statement that names it, however it is quoted.
        self._mention = max(re.split("[\"'`]", version_table), key=len).lower()
        self._before: dict[str, Counter[Violation]] = {}  # of each schema that is watched
        self._attached: set[str] = set()
        self._tables: set[str] = set()  # of the main schema, when the transaction began
        self._renamed: dict[str, str] = {}
        self._committing = False  # whether each statement is committed at once
        self._committed = False  # whether one that was may have broken something
        self._doubtful = False  # whether what was violated before could not be seen
        self._schema_changed = False  # whether the schema changed without SQLAlchemy
        self._changes = 0  # SQLite's count of changed rows after the last statement that was seen
        self._version_written = False  # whether that was Alembic's, of the version

    def begin(self, *, committing: bool = False) -> None:
        """A transaction begins, or an autocommit block."""
        self._before = {}
        self._attached = self._schemas() - {"main", "temp"}
        self._tables = self._tables_in("main")
        self._renamed = {}
        self._committing = committing
        self._committed = self._doubtful = self._schema_changed = False
        self.after_any_statement()

    def _schemas(self) -> set[str]:
        return {fold(row[1]) for row in self._connection.execute("PRAGMA database_list")}

    def resume(self) -> None:
        """A transaction begins after an autocommit block: what that broke is looked for at its end."""
        self._committing = False
        self.after_any_statement()

    def before_change(self, schema: str = "main") -> None:
        """Rows, or keys that others refer to, are about to change."""
        self._committed |= self._committing
        if schema not in self._before:
            self._before[schema] = violations(self._connection, schema)

    def before_any_statement(self) -> None:
        """A statement is about to run; did something change rows since the last one?"""
        if self._version_written:  # the row of INSERT ... RETURNING counts once it is fetched
            self.after_any_statement()
        unseen = self._schema_changed or self._connection.total_changes != self._changes
        if unseen and not self._committing and "main" not in self._before:
            beside = violations_beside(self._connection)
            # What is missing there may be here, and with it what was violated before.
            self._doubtful = beside is None or any(found.missing for found in beside)
            self._before["main"] = beside or Counter()

    def schema_changed_unseen(self) -> None:
        """A table or a key is dropped or altered by a statement that SQLAlchemy does not know of."""
        self._schema_changed = True

    def after_any_statement(self) -> None:
        """A statement has run."""
        self._changes = self._connection.total_changes
        self._version_written = False

    def before_statement(self, sql: str) -> None:
        """A statement of a revision is about to run.

        Of attached databases, those are watched that the statement names, or a table of them.
        """
        if self._before.keys() >= {"main", *self._attached} or not self._can_break_a_reference(sql):
            return
        self.before_change()
        names = {fold(token.name) for token in start_of(sql)}
        for schema in self._attached & self._schemas():  # an autocommit block may have detached one
            if schema in names or names & self._tables_in(schema):
                self.before_change(schema)

    def _tables_in(self, schema: str) -> set[str]:
        """The tables (folded) of a database; a statement may name them without the database's name."""
        catalogue = f"{quote_name(schema)}.sqlite_master"
        rows = self._connection.execute(f"SELECT name FROM {catalogue} WHERE type = 'table'")
        return {fold(row[0]) for row in rows}

    def after_statement(self, sql: str) -> None:
        """A statement of a revision has run."""
        self._version_written = first_word(sql) in _CHANGING and self.names_version(sql)
        names = _renaming(sql)
        if names is not None:
            self.table_renamed(*names)

    def table_renamed(self, old: str, new: str) -> None:
        """A table has got another name; the violations known before are its own still."""
        for before, now in list(self._renamed.items()):
            if now == fold(old):
                self._renamed[before] = fold(new)
        self._renamed.setdefault(fold(old), fold(new))

    @contextmanager
    def rows_moving(self, schema: str, table: str, query: str) -> Iterator[None]:
        """Rows get another rowid or key inside; the violations known before are theirs still.

        Args:
            schema: where the table is.
            table: its name.
            query: what each row is known by, and will be.
        """
        before = self._before.get(schema, Counter())
        concerned = {
            known
            for known in before
            if same_name(_called(known, self._renamed).table, table) and not known.mismatch
        }
        moved = dict(self._connection.execute(query).fetchall()) if concerned else {}
        yield
        if concerned:
            self._before[schema] = Counter(
                {
                    replace(known, row=moved.get(known.row)) if known in concerned else known: count
                    for known, count in before.items()
                }
            )

    def check(self) -> None:
        """Look for violations that were not there before.

        Raises:
            CommandError: there are some.
        """
        self.before_any_statement()
        caused: list[Violation] = []
        present = self._schemas()
        for schema, before in self._before.items():
            if schema in present:
                caused += self._caused(schema, before)
        if caused:
            encoding = self._connection.execute("PRAGMA encoding").fetchone()[0]
            raise CommandError(
                explain(caused, encoding, committed=self._committed, doubtful=self._doubtful)
            )

    def _caused(self, schema: str, before: Counter[Violation]) -> list[Violation]:
        # A table that was renamed may have a successor of its old name, with the same rows.
        earlier = ({now: old} for old, now in self._renamed.items())
        known = before.copy()
        for names in (self._renamed, *earlier):
            known |= Counter({_called(key, names): count for key, count in before.items()})
        found = self._not_by_other_keys(violations(self._connection, schema) - known, known, schema)
        if schema == "main":
            return [violation for violation in found if not self._came_with_its_table(violation)]
        return [replace(violation, table=f"{schema}.{violation.table}") for violation in found]

    def _not_by_other_keys(
        self, found: Counter[Violation], known: Counter[Violation], schema: str
    ) -> list[Violation]:
        """Leave out what is known of a key that is gone: its columns may have other names now."""
        present = {
            table: {key_name(keys) for _, keys in keys_of(self._connection, table, schema).values()}
            for table in {violation.table for violation in found}
        }
        gone = {
            replace(old, key="")
            for old in known
            if old.table in present and old.key not in present[old.table]
        }
        return [new for new in found.elements() if replace(new, key="") not in gone]

    def _came_with_its_table(self, violation: Violation) -> bool:
        """Whether a key that cannot be checked is what the revision created a table with."""
        known = self._tables | {now for old, now in self._renamed.items() if old in self._tables}
        return violation.mismatch and violation.table not in known

    def names_version(self, sql: str) -> bool:
        """Whether a statement is about the version table, by which Alembic says what is done."""
        if sql.isascii() and self._mention not in sql.lower():  # asked of every statement: be fast
            return False
        names = {fold(token.name) for token in start_of(sql, 4) if token.can_be_name}
        return fold(self._version_table) in names

    def _can_break_a_reference(self, sql: str) -> bool:
        tokens = start_of(sql)
        words = [token.word for token in tokens[:6]]
        if not words or words[0] in HARMLESS or self.names_version(sql):
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


def _called(violation: Violation, names: Mapping[str, str]) -> Violation:
    """A violation, its tables under other names."""
    table, parent = violation.table, violation.parent
    return replace(violation, table=names.get(table, table), parent=names.get(parent, parent))


def _renaming(sql: str) -> tuple[str, str] | None:
    """The old and the new name in ALTER TABLE ... RENAME TO ..."""
    if first_word(sql) != "ALTER":
        return None
    tokens = start_of(sql)
    words = [token.word for token in tokens[:8]]
    place = 4 if words[3:4] == ["."] else 2
    if words[place + 1 : place + 3] != ["RENAME", "TO"] or len(tokens) < place + 4:
        return None
    return tokens[place].name, tokens[place + 3].name


def violations_beside(connection: sqlite3.Connection) -> Counter[Violation] | None:
    """The violations before the transaction of a connection, seen by a second one that only reads.

    None where no second one can read: in memory, or while the transaction keeps readers out because
    it is larger than the cache. Everything that is violated then counts as new.
    """
    path = next(row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main")
    if not path:
        return None
    try:
        uri = f"{Path(path).as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0)) as reader:
            return violations(reader)
    except sqlite3.Error:
        return None


def violations(connection: sqlite3.Connection, schema: str = "main") -> Counter[Violation]:
    """All rows without their parent, and all foreign keys that SQLite cannot check.

    A foreign key whose parent columns are not unique makes `PRAGMA foreign_key_check` fail, and so
    does one that needs a collation or a function which this connection does not have; it counts as
    one violation, so that it does not hide what other tables have, and stops no other change.
    """
    found: Counter[Violation] = Counter()
    prefix = f"{quote_name(schema)}."
    candidates = connection.execute(
        f"SELECT name FROM {prefix}sqlite_master WHERE type = 'table' AND {MAY_HAVE_KEYS}"
    ).fetchall()
    for (table,) in candidates:
        try:
            check = f"PRAGMA {prefix}foreign_key_check({quote_name(table)})"
            rows = connection.execute(check).fetchall()
        except sqlite3.DatabaseError as error:
            found[_unchecked(table, error)] += 1
        else:
            found.update(_identified(connection, schema, table, rows) if rows else ())
    return found


def _identified(
    connection: sqlite3.Connection, schema: str, table: str, rows: Sequence[tuple[Any, ...]]
) -> Iterator[Violation]:
    """Each row that PRAGMA foreign_key_check has found, with what it is known by."""
    keys = keys_of(connection, table, schema)
    for number, (parent, columns) in keys.items():
        violated = [row[1] for row in rows if row[3] == number]
        if None in violated:  # no table of rowids
            query = orphans_by_key(connection, schema, table, parent, columns)
            violated = [row[1] for row in connection.execute(query)]
        for row in violated:
            yield Violation(fold(table), row, fold(parent), key_name(columns))


Columns = list[tuple[str, str | None]]  # of a foreign key, each with the one it refers to


def keys_of(
    connection: sqlite3.Connection, table: str, schema: str = "main"
) -> dict[int, tuple[str, Columns]]:
    """Parent and columns of each foreign key of a table, by the number that SQLite gives it."""
    found: dict[int, tuple[str, Columns]] = {}
    for number, parent, column, target in connection.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?, ?) ORDER BY id, seq',
        (table, schema),
    ):
        found.setdefault(number, (parent, []))[1].append((column, target))
    return found


def key_name(columns: Columns) -> str:
    """What a foreign key is known by, in its table."""
    return ", ".join(fold(column) for column, _ in columns)


def row_key(columns: Iterable[str]) -> str:
    """SQL for what is in a row's primary key, which stays the same if the key gets another type.

    As a BLOB also a number is in the database's encoding.
    """
    return " || ' ' || ".join(f"hex(CAST({quote_name(name)} AS BLOB))" for name in columns)


def _key(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [
        row[0]
        for row in connection.execute(
            "SELECT name FROM pragma_table_info(?, ?) WHERE pk ORDER BY pk", (table, schema)
        )
    ]


def is_without_rowid(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a table of the main schema is kept in the index of its primary key."""
    return bool(
        connection.execute(
            "SELECT 1 FROM pragma_index_list(?, 'main') WHERE origin = 'pk' "
            "AND name NOT IN (SELECT name FROM main.sqlite_master)",
            (table,),
        ).fetchone()
    )


def orphans_by_key(
    connection: sqlite3.Connection, schema: str, table: str, parent: str, columns: Columns
) -> str:
    """A query for the rows of a table without rowids that have no parent by one of its keys.

    It gives what a `Violation` consists of; PRAGMA foreign_key_check does not tell which rows it is.
    """
    prefix = quote_name(schema)
    primary = _key(connection, schema, parent)
    present = " AND ".join(f"c.{quote_name(column)} IS NOT NULL" for column, _ in columns)
    # Behind "+" there is no affinity: the parent's alone counts (foreignkeys.html, section 3).
    equal = " AND ".join(
        f"p.{quote_name(target or key)} = +c.{quote_name(column)}"
        for (column, target), key in zip(columns, [*primary, *[""] * len(columns)], strict=False)
    )
    known = connection.execute(
        f"SELECT 1 FROM {prefix}.sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
        (parent,),
    ).fetchone()
    if known:
        source = f"{prefix}.{quote_name(parent)} AS p"
        present += f" AND NOT EXISTS (SELECT 1 FROM {source} WHERE {equal})"
    return (
        f"SELECT {quote_string(table)}, {row_key(_key(connection, schema, table))}, "
        f"{quote_string(parent)}, {quote_string(key_name(columns))} "
        f"FROM {prefix}.{quote_name(table)} AS c WHERE {present}"
    )


def _unchecked(table: str, error: sqlite3.DatabaseError) -> Violation:
    """What counts for a table of which SQLite can check a key for no row; any other error is raised."""
    parent = mismatched_parent(error)
    if parent is not None:
        return Violation(fold(table), None, fold(parent), mismatch=True)
    # Here, because most runs have no use for the module and all would wait for its import.
    from .standins import MISSING

    if MISSING.fullmatch(str(error)) is None:
        raise error
    return Violation(fold(table), None, "", mismatch=True, missing=str(error))


def mismatched_parent(error: sqlite3.Error) -> str | None:
    """The table that a foreign key refers to which SQLite cannot check; None for another error."""
    match = _MISMATCH.fullmatch(str(error))
    return match[2].replace('""', '"') if match else None


def explain(caused: list[Violation], encoding: str, *, committed: bool, doubtful: bool) -> str:
    """A message that names table, row and parent of each violation, the first few of them.

    Args:
        caused: the violations.
        encoding: the database's.
        committed: whether some of them may be in the database already, by an autocommit block.
        doubtful: whether some of them may have been there before.
    """
    told = list(dict.fromkeys(_tell(violation, encoding) for violation in caused))
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    mismatch = any(violation.mismatch for violation in caused)
    what = (
        "foreign keys that SQLite cannot check"
        if mismatch
        else "rows that refer to rows which do not exist"
    )
    outcome = (
        "What it did up to the end of its autocommit_block() REMAINS in the database, the rest is undone"
        if committed
        else "Everything it did is undone"
    )
    doubt = " (or they were there before and could not be told apart)" if doubtful else ""
    return (
        f"The migration would leave {what}: {'; '.join(told[:SHOWN])}{more}{doubt}. "
        f"{outcome}; correct the rows, or the revision"
    )


def _tell(violation: Violation, encoding: str) -> str:
    if violation.missing:
        return f"those of table {violation.table} ({violation.missing})"
    if violation.mismatch:
        return (
            f"foreign key mismatch of table {violation.table} (what it refers to in table "
            f"{violation.parent} is neither its primary key nor unique, by its own collation)"
        )
    row = violation.row
    if isinstance(row, str):
        values = (
            bytes.fromhex(value).decode(encoding, "backslashreplace") for value in row.split()
        )
        row = ", ".join(map(repr, values))
    return f"row {row} of table {violation.table} has no parent in {violation.parent}"
