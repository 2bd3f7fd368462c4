"""`--sql`: the same changes as a script for the sqlite3 shell.

What a change of a table consists of depends on the table. So the database that the URL names is
read (never written), its schema is copied into memory, and every statement of the script is also
run on the copy: a later revision finds what an earlier one made. Rows are not copied; where they
decide whether a change is possible, the script asks them when it runs, and stops.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL

from .database import (
    NO_UTF8,
    Database,
    SchemaObject,
    in_utf8,
    not_utf8,
    read_any_text,
    read_objects,
)
from .foreign_keys import (
    MAY_HAVE_KEYS,
    is_without_rowid,
    key_name,
    keys_of,
    mismatched_parent,
    orphans_by_key,
)
from .opening import named_path, read_only
from .replica import copy_schema, run_on_copy
from .tokens import fold, quote_name, quote_string, same_name, split_script
from .transactions import read_heads

if TYPE_CHECKING:
    from .impl import LosslessSQLiteImpl

_PRELUDE = (
    "-- For the sqlite3 shell: sqlite3 DATABASE < this file",
    ".bail on",
    ".dbconfig defensive off",
    "PRAGMA foreign_keys = OFF;",
)

# What a `Violation` consists of, for each.
_VIOLATIONS = (
    'SELECT k."table" AS "table", k.rowid AS "row", k.parent AS parent, '
    '(SELECT group_concat(lower("from"), \', \') FROM pragma_foreign_key_list(k."table") '
    'WHERE id = k.fkid) AS "key" FROM '
)
_OF_ALL = "pragma_foreign_key_check AS k"
_OF_SOME = (
    "sqlite_master AS t, pragma_foreign_key_check(t.name, 'main') AS k "
    "WHERE t.type = 'table' AND t.name NOT IN ({})"
)


def options(url: URL, version_table: str | None) -> dict[str, Any]:
    """What `context.configure` needs besides: where the database is, and at which revision.

    A script starts where the database is, unless the command says `from:to`. A database that is
    at the head already needs no script; then it is written from the beginning, for a new one, as
    Alembic by itself does.
    """
    found: dict[str, Any] = {"lossless_url": url}
    if _starts_anywhere():
        configured = context.config.get_main_option("version_table")
        heads = heads_of(url, version_table or configured or "alembic_version")
        if heads and heads != set(context.script.get_heads()):
            found["starting_rev"] = tuple(sorted(heads))
    return found


def _starts_anywhere() -> bool:
    """Whether a command goes from one revision to another, and does not say from where."""
    try:
        return context.get_starting_revision_argument() is None
    except CommandError:  # it goes nowhere: `alembic ensure_version`
        return False


def heads_of(url: URL, version_table: str) -> set[str]:
    """The revisions a database is at; none if there is no such file."""
    with opened(url) as connection:
        if connection is None:
            return set()
        return read_heads(connection, version_table)


@contextlib.contextmanager
def opened(url: URL) -> Iterator[sqlite3.Connection | None]:
    """A connection that can only read and leaves nothing behind; None if there is no file to read.

    Raises:
        CommandError: the file is no database.
    """
    path = named_path(url.database or "")
    if not url.database or not path.is_file():
        yield None
        return
    with read_only(path) as connection:
        yield connection


def for_the_shell(text: str) -> str:
    """What the shell reads as this text: it takes a carriage return away at the end of each line."""
    return text.replace("\r\n", "\r\r\n")


class Script:
    """The script that is being written, and the copy of the schema that it works on."""

    def __init__(self, impl: LosslessSQLiteImpl) -> None:
        self.impl = impl
        self._copy: sqlite3.Connection | None = None
        self._backlog: list[str] = []
        self._begun = False
        self._followed = False  # whether the copy has run what is written now
        self._marked = False  # whether the copy has something that is not UTF-8
        self._violations_known = False
        self._mismatches: set[tuple[str, str]] = set()  # before the revision
        self._tables: set[str] = set()  # likewise
        self._keys: dict[str, set[str]] = {}  # of each table, likewise

    # -- transactions

    def begin(self) -> None:
        """Begin one revision's transaction; before the first, what the shell needs to know."""
        if not self._begun:
            for line in _PRELUDE:
                self.impl.static_output(line)
        self.impl.static_output("BEGIN IMMEDIATE;")
        if not self._begun:
            self._begun = True
            self._guard_revision()
        self._note_violations()

    def _guard_revision(self) -> None:
        heads = self._starting_heads()
        if not heads:
            return
        table = self.version_table()
        listed = ", ".join(quote_string(head) for head in sorted(heads))
        self.guard(
            f"SELECT 1 WHERE (SELECT count(*) FROM {quote_name(table)}) <> {len(heads)} OR "
            f"EXISTS (SELECT 1 FROM {quote_name(table)} WHERE version_num NOT IN ({listed}))",
            f"this script is for a database at revision {', '.join(sorted(heads))}",
        )

    def guard_base(self) -> None:
        """Stop on a database that has a revision already; where the version table is, if it has none.

        `alembic ensure_version` goes to no revision, and is for every database.
        """
        if not self.impl.context_opts.get("destination_rev"):
            return
        self.guard(
            f"SELECT 1 FROM {quote_name(self.version_table())}",
            "this script is for a database without a revision",
        )

    def commit(self) -> None:
        """End the transaction, if every row has its parent that had one before.

        Raises:
            CommandError: the revision has made a foreign key one that SQLite cannot check.
        """
        mismatches = self._find_mismatches()
        for child, parent in sorted(mismatches - self._mismatches):
            if parent and fold(child) in self._tables:
                raise CommandError(
                    f"The migration would leave a foreign key of table {child} that refers to what "
                    f"is neither a primary key nor unique in table {parent}; correct the revision"
                )
        if self._has_foreign_keys():
            if self._violations_known:
                self._let_known_violations_follow()
            check = self._violations(mismatches)
            self.guard(
                f"{check} EXCEPT SELECT * FROM temp.lossless_violations"
                if self._violations_known
                else check,
                "rows refer to rows that do not exist, see PRAGMA foreign_key_check",
            )
        if self._violations_known:
            self.impl.static_output("DROP TABLE temp.lossless_violations;")
        self.impl.static_output("COMMIT;")

    def _note_violations(self) -> None:
        """Keep what is wrong before the revision; that does not stop it."""
        self._mismatches = self._find_mismatches()
        self._tables = {fold(name) for name in self._all_tables()}
        self._violations_known = self._has_foreign_keys()
        if self._violations_known:
            self._keys = self._find_keys()
            check = self._violations(self._mismatches)
            self.impl.static_output(f"CREATE TEMP TABLE lossless_violations AS {check};")

    def table_renamed(self, old: str, new: str) -> None:
        """What was wrong before is wrong under the new name now."""
        if fold(old) in self._tables:
            self._tables.add(fold(new))
        if fold(old) in self._keys:
            self._keys[fold(new)] = self._keys.pop(fold(old))
        self._mismatches = {
            (new if same_name(child, old) else child, new if same_name(parent, old) else parent)
            for child, parent in self._mismatches
        }
        if self._violations_known:
            # And under the old one: there may be a successor of that name, with the same rows.
            for columns in ('{}, "row", parent', '"table", "row", {}'):
                column = '"table"' if columns.startswith("{") else "parent"
                self.impl.static_output(
                    "INSERT INTO temp.lossless_violations "
                    f'SELECT {columns.format(quote_string(new))}, "key" '
                    "FROM temp.lossless_violations "
                    f"WHERE {column} = {quote_string(old)} COLLATE NOCASE;"
                )

    def rows_move(self, table: str, before: str, now: str) -> None:
        """What was wrong with a row is so under the rowid or key that it gets now."""
        if self._violations_known:
            self.impl.static_output(
                'UPDATE temp.lossless_violations SET "row" = '
                f"(SELECT {now} FROM main.{quote_name(table)} "
                f'WHERE {before} = lossless_violations."row") '
                f'WHERE "table" = {quote_string(table)} COLLATE NOCASE;'
            )

    def _violations(self, mismatches: set[tuple[str, str]]) -> str:
        """A query for the rows without their parent; tables with a key that cannot be checked apart."""
        unchecked = {name for name, _ in mismatches}
        copy = self.copy()
        keyed = [
            name
            for name in self._tables_with_keys()
            if name not in unchecked and is_without_rowid(copy, name)
        ]
        apart = ", ".join(sorted(map(quote_string, (*unchecked, *keyed))))
        queries = [_VIOLATIONS + (_OF_SOME.format(apart) if apart else _OF_ALL)]
        for name in keyed:
            for parent, columns in keys_of(copy, name).values():
                queries.append(orphans_by_key(copy, "main", name, parent, columns))
        return " UNION ALL ".join(queries)

    def _find_keys(self) -> dict[str, set[str]]:
        return {
            fold(name): {key_name(columns) for _, columns in keys_of(self.copy(), name).values()}
            for name in self._tables_with_keys()
        }

    def _let_known_violations_follow(self) -> None:
        """What was wrong by a key that is gone may be so by a new one, under new names of columns."""
        now = self._find_keys()
        for table, keys in self._keys.items():
            for gone in sorted(keys - now.get(table, set())):
                for come in sorted(now.get(table, set()) - keys):
                    self.impl.static_output(
                        'INSERT INTO temp.lossless_violations SELECT "table", "row", parent, '
                        f"{quote_string(come)} FROM temp.lossless_violations "
                        f'WHERE lower("table") = {quote_string(table)} '
                        f'AND "key" = {quote_string(gone)};'
                    )

    def _has_foreign_keys(self) -> bool:
        return bool(self._tables_with_keys())

    def _tables_with_keys(self) -> list[str]:
        return self._all_tables(f"AND {MAY_HAVE_KEYS}")

    def _all_tables(self, condition: str = "") -> list[str]:
        try:
            copy = self.copy()
        except CommandError:
            return []  # nothing is known of the schema, and nothing that needs it was asked
        tables = f"SELECT name FROM sqlite_master WHERE type = 'table' {condition}"
        return [row[0] for row in copy.execute(tables)]

    def _find_mismatches(self) -> set[tuple[str, str]]:
        """Tables that SQLite cannot check, each with the parent that its first such key refers to.

        The parent is empty if it is for another reason than that its columns are not unique.
        """
        found = set()
        for table in self._tables_with_keys():
            try:
                run_on_copy(
                    self.copy(), f"PRAGMA foreign_key_check({quote_name(table)})"
                ).fetchall()
            except sqlite3.Error as error:
                found.add((table, mismatched_parent(error) or ""))
        return found

    # -- statements

    def written(self, text: str) -> None:
        """Something was written; let the copy follow."""
        if text.startswith(".") or self._followed:
            return
        self._backlog.append(text)
        if self._copy is not None:
            self._catch_up(self._copy)

    def run(self, sql: str) -> None:
        """Run a statement on the copy, then write it; one that fails there is not written.

        Raises:
            CommandError: it has text that could not be read from the database as it is.
        """
        if self._marked and NO_UTF8 in sql:
            raise not_utf8(sql)
        run_on_copy(self.copy(), sql)
        self._followed = True
        try:
            self.impl.static_output(f"{sql};")
        finally:
            self._followed = False

    def _catch_up(self, copy: sqlite3.Connection) -> None:
        for text in self._backlog:
            for statement in split_script(text):
                # What fails here for want of rows or extensions may work there.
                with contextlib.suppress(sqlite3.Error):
                    run_on_copy(copy, statement)
        self._backlog.clear()

    def guard(self, query: str, message: str) -> None:
        """Write statements that fail, with a message, if a query finds a row."""
        self.impl.static_output(
            f"CREATE TEMP TABLE lossless_guard (found CONSTRAINT {quote_name(message)} "
            "CHECK (found = 0));"
        )
        self.impl.static_output(f"INSERT INTO temp.lossless_guard SELECT EXISTS ({query});")
        self.impl.static_output("DROP TABLE temp.lossless_guard;")

    # -- the copy

    def database(self, schema: str | None) -> Database:
        """The copy, as something that can be asked and changed."""
        if schema not in (None, "main"):
            raise CommandError(f"--sql cannot look into the attached database {schema}")
        return ScriptDatabase(self, self.copy())

    def copy(self) -> sqlite3.Connection:
        """The schema as it is at this point of the script.

        Raises:
            CommandError: there is no database to read it from, or it is at another revision.
        """
        if self._copy is None:
            self._copy = copy_schema(self._objects_to_start_from())
            weakref.finalize(self, self._copy.close)
            self._catch_up(self._copy)
        return self._copy

    def _objects_to_start_from(self) -> list[SchemaObject]:
        heads = self._starting_heads()
        url: URL | None = self.impl.context_opts.get("lossless_url")
        if not heads:
            return self._objects_at_base(url) if url is not None else []
        wanted = ", ".join(sorted(heads))
        if url is None:
            raise CommandError(
                "--sql needs a database URL: what a change consists of depends on it"
            )
        with opened(url) as connection:
            if connection is None:
                raise CommandError(
                    f"--sql from revision {wanted} needs a database at that revision to look at, "
                    f"and there is no file {url.database}. Make one: alembic upgrade {wanted}"
                )
            present = read_heads(connection, self.version_table())
            if present != heads:
                raise CommandError(
                    f"{url.database} is at revision {', '.join(sorted(present)) or 'base'}, the "
                    f"script would start at {wanted}: it can only be written for the database "
                    "that it is for. Name another with -x url=..., or start at its revision"
                )
            return self._objects_in(connection)

    def _objects_at_base(self, url: URL) -> list[SchemaObject]:
        """What a database without a revision has; one that has a revision is not what the script is for."""
        with opened(url) as connection:
            if connection is None or read_heads(connection, self.version_table()):
                return []
            return self._objects_in(connection)

    def _objects_in(self, connection: sqlite3.Connection) -> list[SchemaObject]:
        """All that is in a schema; what is not UTF-8 in it is marked, as no script can have it."""
        connection.text_factory = read_any_text
        found = read_objects(connection.execute)
        self._marked = any(in_utf8(each.sql or "") != (each.sql or "") for each in found)
        return [replace(each, sql=each.sql and in_utf8(each.sql)) for each in found]

    def _starting_heads(self) -> set[str]:
        starting = self.impl.context_opts.get("starting_rev")
        script = self.impl.context_opts.get("script")
        if not starting or starting == "base" or script is None:
            return set()
        return {found.revision for found in script.get_revisions(starting) if found is not None}

    def version_table(self) -> str:
        """Where the database's revisions stand."""
        return str(self.impl.context_opts.get("version_table") or "alembic_version")


class ScriptDatabase(Database):
    """A copy of the schema, whose changes are written to the script."""

    live = False

    def __init__(self, script: Script, copy: sqlite3.Connection) -> None:
        self._script = script
        self._copy = copy

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._copy.execute(sql)]

    def run(self, sql: str) -> None:
        self._script.run(sql)

    def note(self, text: str) -> None:
        in_one_line = text.replace("\n", " ")  # a table's name may have several
        self._script.impl.static_output(f"-- {in_one_line}")

    def refuse_if_any(self, query: str, message: str) -> None:
        self._script.guard(query, message)

    @property
    def checks_keys_again(self) -> bool:
        return True

    def table_renamed(self, old: str, new: str) -> None:
        self._script.table_renamed(old, new)

    @contextlib.contextmanager
    def rows_moving(self, table: str, before: str, now: str) -> Iterator[None]:
        self._script.rows_move(table, before, now)
        yield

    def can_edit_schema(self) -> bool:
        return True  # the script switches the shell's defensive mode off

    def touch_schema(self) -> None:
        """Which version the database will be at is not known; to make something counts it up."""
        self.run("CREATE TABLE lossless_touch (x)")
        self.run("DROP TABLE lossless_touch")

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """The script stops at the first error; its transaction is all or nothing."""
        yield
