"""Rename a table or a column, or drop a column, by SQLite's own ALTER TABLE, and nothing else.

For a new name SQLite rewrites every view, trigger, index and foreign key that uses the old one
(lang_altertable.html, sections 2 and 3). What it does besides is put right here: it refuses if any
view or trigger of the schema is broken already; it changes "strings" in double quotes to 'strings'
all over the schema, and `rowid` to the name of the column that stands for it, which the reverse
would not change back.

To drop a column it rewrites the rows in their place: faster than a rebuild, and indexes stay as they
are. What it refuses (section 5) is known beforehand; where it refuses more, for a broken view for
instance, the rebuild does it. Which views and triggers use the column shows where it is renamed.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Mapping
from itertools import pairwise

from alembic.util import CommandError

from .database import Database, Mismatch, SchemaObject
from .dependents import refuse_if_indexed_by_content, refuse_other_meaning_in_table
from .edit import write_schema
from .meaning import (
    OtherMeaning,
    refuse_other_meaning_by_new_name,
    refuse_other_meaning_by_rename,
)
from .rebuild import qualified_create
from .replica import CopiedDatabase, copy_schema
from .statement import CreateTable
from .tokens import (
    Kind,
    fold,
    quote_name,
    quote_string,
    same_name,
    significant,
    tokenize,
    write_name,
)

_BROKEN = re.compile(r"error in (view|trigger) (.*?): (.*)", re.DOTALL)
BETWEEN = "_lossless_column"  # what a column is called for a moment
_DROPS_SINCE = (3, 35, 5)
_DROPPED_AT_ONCE = (
    2  # each column costs a pass over the table; more of them are done better in a rebuild
)


def rename_column(database: Database, table: str, old: str, new: str) -> None:
    """Give a column another name, wherever it is used.

    Raises:
        CommandError: there is no such column, the new name is taken, or something uses the column
            in a way that SQLite cannot rewrite, or would come to use it.
    """
    found = database.create_table(table)
    column = found.find_column(old)
    if column is None:
        raise Mismatch(f"Table {table} has no column {old}", f'no such column: "{old}"')
    taken = found.find_column(new)
    if taken is not None and not same_name(old, new):
        raise Mismatch(f"Table {table} has a column {new} already", f"duplicate column name: {new}")
    if column.name == new:
        return
    refuse_if_indexed_by_content(database, table, old)
    problem = f"Column {old} of table {table} cannot be renamed"
    if not same_name(old, new):
        indexes = database.of_table("index", found.name)
        refuse_other_meaning_in_table(found, indexes, new, f"{problem} to {new}")
        refuse_other_meaning_by_rename(database, found.name, old, new)
    names = [old, new]
    if same_name(old, new):  # another case only: SQLite takes that for the same name
        names.insert(1, database.unused_name(BETWEEN))
    with database.savepoint():
        for before, after in pairwise(names):
            _alter(
                database,
                f"ALTER TABLE {database.qualified(found.name)} "
                f"RENAME COLUMN {quote_name(before)} TO {quote_name(after)}",
                problem,
                (found.name, before),
                after,
            )


def rename_table(database: Database, old: str, new: str) -> None:
    """Give a table another name, wherever it is used.

    Raises:
        CommandError: there is no such table, the new name is taken, or something uses the table in
            a way that SQLite cannot rewrite.
    """
    found = database.find("table", old)
    if found is None:
        database.create_table(old)  # says what is wrong
    assert found is not None
    for other in database.objects():
        taken = same_name(other.name, new) and not same_name(old, new)
        if taken and other.kind != "trigger":  # triggers have names of their own
            kind = "an index" if other.kind == "index" else f"a {other.kind}"
            raise Mismatch(
                f"There is {kind} called {new} already",
                f"there is already another table or index with this name: {new}",
            )
    if found.name == new:
        return
    refuse_if_indexed_by_content(database, old)
    refuse_other_meaning_by_new_name(database, found.name, new)
    names = [found.name, new]
    if same_name(old, new):
        names.insert(1, database.unused_name(f"_lossless_{new}"))
    with database.savepoint():
        for before, after in pairwise(names):
            _alter(
                database,
                f"ALTER TABLE {database.qualified(before)} RENAME TO {quote_name(after)}",
                f"Table {old} cannot be renamed",
                (before,),
                after,
            )
        _rename_statistics(database, old, new)
    database.table_renamed(old, new)


def _rename_statistics(database: Database, old: str, new: str) -> None:
    """Let what ANALYZE found out follow a table, and the indexes that SQLite named after it.

    The key of a WITHOUT ROWID table goes there by the name of the table itself.
    """
    before, now = f"sqlite_autoindex_{old}_", f"sqlite_autoindex_{new}_"
    renamed = (
        f"CASE WHEN idx = {quote_string(old)} COLLATE NOCASE THEN {quote_string(new)} "
        f"WHEN substr(idx, 1, {len(before)}) = {quote_string(before)} COLLATE NOCASE "
        f"THEN {quote_string(now)} || substr(idx, {len(before) + 1}) ELSE idx END"
    )
    for side in ("sqlite_stat1", "sqlite_stat4"):
        if database.find("table", side) is not None:
            database.run(
                f"UPDATE {database.qualified(side)} SET tbl = {quote_string(new)}, idx = {renamed} "
                f"WHERE tbl = {quote_string(old)} COLLATE NOCASE"
            )


def _alter(
    database: Database,
    statement: str,
    problem: str,
    names: tuple[str, ...],
    new_name: str,
) -> None:
    """Run an ALTER TABLE; what is broken already steps aside for it.

    Args:
        database: where.
        statement: the ALTER TABLE.
        problem: how a message begins if it is not possible.
        names: what is renamed: the table, or the table and its column.
        new_name: what it is called then.
    """
    before = database.objects()
    legacy = database.query("PRAGMA legacy_alter_table")[0][0]
    if legacy:
        database.run("PRAGMA legacy_alter_table = OFF")
    aside: list[SchemaObject] = []
    try:
        while not _try_alter(database, statement, problem, names, before, aside):
            pass
    finally:
        if legacy:
            database.run("PRAGMA legacy_alter_table = ON")
    for found in reversed(aside):
        database.run(qualified_create(database, found))
    known = {(found.kind, fold(found.name)): found.sql for found in before}
    if len(names) == 1:
        known["table", fold(new_name)] = known["table", fold(names[0])]
    _restore_the_rest(database, known, names[-1], new_name)


def _try_alter(
    database: Database,
    statement: str,
    problem: str,
    names: tuple[str, ...],
    objects: list[SchemaObject],
    aside: list[SchemaObject],
) -> bool:
    """Run the statement, or put the broken object aside that it complains of."""
    try:
        database.run(statement)
    except sqlite3.DatabaseError as error:
        broken = _find_broken(str(error), objects)
        if broken is None or broken in aside or _mentions(broken, names):
            raise CommandError(f"{problem}: {error}") from error
        if broken.kind == "view":  # its INSTEAD OF triggers go with it
            aside += [o for o in objects if o.kind == "trigger" and same_name(o.table, broken.name)]
        database.run(f"DROP {broken.kind.upper()} {database.qualified(broken.name)}")
        aside.append(broken)
        return False
    return True


def _mentions(found: SchemaObject, names: tuple[str, ...]) -> bool:
    """Whether a statement uses all of these names, so that it should have been rewritten."""
    used = {fold(token.name) for token in significant(tokenize(found.sql or ""))}
    return all(fold(name) in used for name in names)


def _find_broken(message: str, objects: list[SchemaObject]) -> SchemaObject | None:
    """The object that was broken before the change; None if the change is what breaks it."""
    match = _BROKEN.match(message)
    if match is None or match[2].endswith((" after rename", " after drop column")):
        return None
    return next((o for o in objects if o.kind == match[1] and o.name == match[2]), None)


def _restore_the_rest(
    database: Database,
    before: Mapping[tuple[str, str], str | None],
    old_name: str,
    new_name: str,
) -> None:
    """Write again as it was written what ALTER TABLE changed besides the name."""
    statements = {}
    for found in database.objects():
        was = before.get((found.kind, fold(found.name)))
        if found.sql and was and found.sql != was:
            restored = _as_written_before(found.sql, was, old_name, new_name)
            if restored != found.sql:
                statements[found.kind, found.name] = restored
    if statements and database.can_edit_schema():
        write_schema(database, statements)


def _as_written_before(sql: str, before: str, old_name: str, new_name: str) -> str:
    """`sql`, with everything as in `before` that is not the name itself.

    A string in double quotes gets them again, unless it is the new name: it would mean the column
    then. A name that had no quotes goes without, if it can. `rowid` stays `rowid`.
    """
    now, was = significant(tokenize(sql)), significant(tokenize(before))
    if len(now) != len(was):
        return sql
    for token, old in reversed(list(zip(now, was, strict=True))):
        text = token.text
        if same_name(old.name, old_name):
            bare = token.kind is Kind.QUOTED and old.kind is Kind.WORD
            text = write_name(token.name) if bare else text
        elif not same_name(old.name, new_name):
            text = old.text
        if text != token.text:
            sql = sql[: token.start] + text + sql[token.end :]
    return sql


def can_be_dropped(database: Database, old: CreateTable, new: CreateTable) -> bool:
    """Whether `new` is `old` without a column or two that SQLite drops.

    The column of a VIRTUAL expression is left to the rebuild: SQLite would drop it without writing
    the rows, and `edit.py` relies on that nobody does.
    """
    gone = [column for column in old.columns if new.find_column(column.name) is None]
    if not 0 < len(gone) <= _DROPPED_AT_ONCE or _version(database) < _DROPS_SINCE:
        return False
    rest = old
    for column in gone:
        virtual = column.generated is not None and not column.generated.stored
        if column.primary_key or column.uniques or column.foreign_keys or virtual:
            return False
        rest = rest.without_column(column.name)
    return rest.sql == new.sql


def _version(database: Database) -> tuple[int, ...]:
    return tuple(map(int, database.query("SELECT sqlite_version()")[0][0].split(".")))


def drop_columns(database: Database, old: CreateTable, new: CreateTable) -> bool:
    """Drop the columns of `old` that `new` has not. False: SQLite refuses, nothing has changed."""
    before = {(found.kind, fold(found.name)): found.sql for found in database.objects()}
    try:
        with database.savepoint():
            for column in old.columns:
                if new.find_column(column.name) is None:
                    database.run(
                        f"ALTER TABLE {database.qualified(old.name)} "
                        f"DROP COLUMN {quote_name(column.name)}"
                    )
    except sqlite3.DatabaseError:
        return False
    before["table", fold(old.name)] = new.sql
    restored = {
        (found.kind, found.name): sql
        for found in database.objects()
        if (sql := before.get((found.kind, fold(found.name)))) is not None and sql != found.sql
    }
    if restored and database.can_edit_schema():
        write_schema(database, restored)  # "strings" as they were, which it writes 'strings'
    return True


def refuse_if_used(database: Database, table: str, column: str) -> None:
    """See that no view and no trigger uses a column, before it is dropped.

    Asked of SQLite itself: the column is renamed in a copy of the schema, and what SQLite had to
    write anew uses it. That also finds "column" in double quotes, which would quietly become a
    string when the column is gone, and UPDATE OF column, which would quietly never fire again.

    Raises:
        CommandError: some do.
    """
    objects = database.objects()
    if not any(found.kind in ("view", "trigger") for found in objects):
        return
    with contextlib.closing(copy_schema(objects)) as connection:
        copy = CopiedDatabase(connection)
        before = {(found.kind, fold(found.name)): found.sql for found in copy.objects()}
        problem = f"Column {column} of table {table} cannot be dropped, it is used"
        try:
            rename_column(copy, table, column, copy.unused_name(BETWEEN))
            users = [
                f"{found.kind} {found.name}"
                for found in copy.objects()
                if found.kind in ("view", "trigger")
                and found.sql != before.get((found.kind, fold(found.name)))
            ]
        except OtherMeaning as error:
            users = error.affected
        except CommandError as error:
            raise CommandError(f"{problem}: {error.__cause__ or error}") from error
    if users:
        raise CommandError(
            f"{problem} by: {', '.join(users)}. Drop that with op.execute() first, and create it "
            "anew afterwards"
        )
