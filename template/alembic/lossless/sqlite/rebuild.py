"""Make a table anew and put it in the old one's place, with everything that hangs on it.

The twelve steps of "Making Other Kinds Of Table Schema Changes" (lang_altertable.html, section 7).
Views and the triggers of other tables are never touched: the last rename is told not to look at
them (PRAGMA legacy_alter_table), and they find the new table under the old name.

Kept besides the rows: rowids, also where no column shows them; indexes and triggers, in their
order; the counter of AUTOINCREMENT; what ANALYZE has found out. Knows nothing of why a table has to
be made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from alembic.util import CommandError

from .database import Database, SchemaObject
from .edit import write_schema
from .rows import rowid_name
from .statement import Check, Column, CreateTable, Generated, Span
from .tokens import Kind, fold, quote_name, quote_string, same_name, significant, tokenize
from .types import affinity

TEMPORARY = "_lossless_new_"  # what the new table is called before it takes the old one's name

# Rows that are kept beside the table while it is rebuilt: where from, and which column says whose.
_SIDE_TABLES = {"sqlite_sequence": "name", "sqlite_stat1": "tbl", "sqlite_stat4": "tbl"}


def rebuild(
    database: Database,
    old: CreateTable,
    new: CreateTable,
    sources: Mapping[str, str],
    *,
    without_indexes: Collection[str] = (),
) -> None:
    """Build `new` from the rows of `old` and let it take its place; CHECKs are not asked.

    Args:
        database: in a savepoint, with foreign keys not enforced.
        old: the table as it is.
        new: the table as it shall be, under the same name.
        sources: for each column of the new table (folded) that gets values of the old one, which.
        without_indexes: names (folded) of indexes that go with the change.

    Raises:
        CommandError: foreign keys are enforced and dropping the table would delete children.
        sqlite3.IntegrityError: the rows do not fit into the new table.
    """
    _refuse_enforced_keys(database, old)
    indexes = [
        found
        for found in database.of_table("index", old.name)
        if fold(found.name) not in without_indexes
    ]
    triggers = database.of_table("trigger", old.name)
    temporary = database.unused_name(f"{TEMPORARY}{old.name}")
    database.note(f"Rebuild table {old.name}: a new one, the rows, then the new one for the old")
    saved = _save_side_rows(database, old.name)
    automatic = _automatic_indexes(database, old.name)
    database.run(_create(database, new, temporary))
    with ignoring_checks(database, new):
        database.run(_copy(database, old, new, sources, temporary))
    database.run(f"DROP TABLE {database.qualified(old.name)}")
    _rename_quietly(database, temporary, new.name)
    if database.can_edit_schema():
        write_schema(database, {("table", new.name): new.sql})
    for found in (*indexes, *triggers):
        database.run(qualified_create(database, found))
    _follow_automatic_indexes(database, saved, automatic, _automatic_indexes(database, new.name))
    _restore_side_rows(database, old, new, saved)


@contextmanager
def ignoring_checks(database: Database, table: CreateTable) -> Iterator[None]:
    """Let rows pass that are there already, whatever the table's CHECKs say of them.

    Rows that an unchanged CHECK forbids were written in spite of it; who adds a CHECK asks the rows.
    """
    if not table.checks or database.query("PRAGMA ignore_check_constraints")[0][0]:
        yield
        return
    database.run("PRAGMA ignore_check_constraints = ON")
    try:
        yield
    finally:
        database.run("PRAGMA ignore_check_constraints = OFF")


def _refuse_enforced_keys(database: Database, table: CreateTable) -> None:
    enforced = database.live and database.query("PRAGMA foreign_keys")[0][0]
    if enforced and database.references_to(table.name):
        raise CommandError(
            f"Table {table.name} must be rebuilt, and others refer to it: with foreign keys "
            "enforced that would delete their rows. The transaction was begun elsewhere, so "
            "enforcement cannot be switched off here: give Alembic a connection that is in no "
            "transaction, or run PRAGMA foreign_keys = OFF before it begins"
        )


def _create(database: Database, new: CreateTable, temporary: str) -> str:
    """The statement for the new table under its temporary name, in the right schema."""
    statement = unqualify_own_columns(new)
    name = statement.name_token
    return f"CREATE TABLE {database.qualified(temporary)}{statement.sql[name.end :]}"


def unqualify_own_columns(table: CreateTable) -> CreateTable:
    """The same table with `t.a` written `a` in its CHECKs and generated columns.

    There is one table only that such an expression can mean; under its temporary name it would not
    be found.
    """
    pieces = [c for c in table.constraints if isinstance(c, (Check, Generated))]
    for piece in sorted(pieces, key=lambda span: span.start, reverse=True):
        text = table.text(piece)
        plain = _without_qualifier(text, table.name)
        if plain != text:
            table = table.replace(Span(piece.start, piece.end), plain)
    return table


def _without_qualifier(text: str, name: str) -> str:
    tokens = significant(tokenize(text))
    for place in range(len(tokens) - 3, -1, -1):
        first, dot = tokens[place], tokens[place + 1]
        named = first.kind in (Kind.WORD, Kind.QUOTED) and same_name(first.name, name)
        if named and dot.text == ".":
            text = text[: first.start] + text[dot.end :]
    return text


def _copy(
    database: Database,
    old: CreateTable,
    new: CreateTable,
    sources: Mapping[str, str],
    temporary: str,
) -> str:
    """INSERT ... SELECT. OR ABORT overrides the ON CONFLICT of constraints: no row may vanish."""
    columns = [column for column in new.columns if column.generated is None]
    pairs = [
        (quote_name(column.name), quote_name(sources[fold(column.name)]))
        for column in columns
        if fold(column.name) in sources
    ]
    rowid = _rowid_pair(old, new, sources)
    if rowid is not None:
        pairs.insert(0, rowid)
    into = ", ".join(target for target, _ in pairs)
    values = ", ".join(source for _, source in pairs)
    return (
        f"INSERT OR ABORT INTO {database.qualified(temporary)} ({into}) "
        f"SELECT {values} FROM {database.qualified(old.name)} NOT INDEXED"
    )


def _rowid_pair(
    old: CreateTable, new: CreateTable, sources: Mapping[str, str]
) -> tuple[str, str] | None:
    """How the rowid comes along, where no column that is copied is the rowid already."""
    source = rowid_name(old)
    if new.without_rowid or old.without_rowid or source is None:
        return None
    if new.rowid_alias is None:
        target = rowid_name(new)
        return (target, source) if target is not None else None
    if fold(new.rowid_alias) in sources:
        return None
    return quote_name(new.rowid_alias), source


def _rename_quietly(database: Database, temporary: str, name: str) -> None:
    """Rename without looking at views and triggers, and without changing what others refer to."""
    before = database.query("PRAGMA legacy_alter_table")[0][0]
    database.run("PRAGMA legacy_alter_table = ON")
    try:
        database.run(f"ALTER TABLE {database.qualified(temporary)} RENAME TO {quote_name(name)}")
    finally:
        if not before:
            database.run("PRAGMA legacy_alter_table = OFF")


def _save_side_rows(database: Database, table: str) -> list[tuple[str, str]]:
    """Copy what SQLite itself knows of the table to temporary tables; which, and whence."""
    saved = []
    for side, column in _SIDE_TABLES.items():
        if database.find("table", side) is None:
            continue
        copy = f"lossless_saved_{side}"
        database.run(
            f"CREATE TEMP TABLE {copy} AS SELECT rowid AS place, * FROM {database.qualified(side)} "
            f"WHERE {column} = {quote_string(table)} COLLATE NOCASE"
        )
        saved.append((side, copy))
    return saved


def _automatic_indexes(database: Database, table: str) -> dict[str, object]:
    """What the indexes of a table's keys hold, which are called by the keys' order."""
    schema = quote_string(database.schema)
    names = database.query(
        f"SELECT name FROM pragma_index_list({quote_string(table)}, {schema}) WHERE origin <> 'c'"
    )
    return {
        name: database.query(
            f"SELECT name, desc, coll FROM pragma_index_xinfo({quote_string(name)}, {schema}) "
            "WHERE key"
        )
        for (name,) in names
    }


def _follow_automatic_indexes(
    database: Database,
    saved: list[tuple[str, str]],
    before: Mapping[str, object],
    now: Mapping[str, object],
) -> None:
    """Give what ANALYZE found out of a key's index to the index that is the same key's now."""
    moved = {
        name: next((other for other in now if now[other] == members), None)
        for name, members in before.items()
    }
    if all(name == other for name, other in moved.items()):
        return
    cases = " ".join(
        f"WHEN {quote_string(name)} THEN {'NULL' if other is None else quote_string(other)}"
        for name, other in moved.items()
    )
    listed = ", ".join(map(quote_string, moved))
    for side, copy in saved:
        if side == "sqlite_sequence":
            continue
        gone = ", ".join(quote_string(name) for name, other in moved.items() if other is None)
        database.run(f"DELETE FROM temp.{copy} WHERE idx IN ({gone})")
        database.run(f"UPDATE temp.{copy} SET idx = CASE idx {cases} END WHERE idx IN ({listed})")


def _restore_side_rows(
    database: Database, old: CreateTable, new: CreateTable, saved: list[tuple[str, str]]
) -> None:
    """Write the rows back where they were; statistics only of indexes that are still there."""
    for side, copy in saved:
        columns = [
            row[0] for row in database.query(f"SELECT name FROM pragma_table_info('{side}')")
        ]
        listed = ", ".join(columns)
        condition = f"idx IS NULL OR idx IN (SELECT name FROM {database.catalogue})"
        if side == "sqlite_sequence":
            condition = "1" if new.autoincrement else "0"
        if side != "sqlite_sequence" or old.autoincrement:
            database.run(
                f"DELETE FROM {database.qualified(side)} "
                f"WHERE {_SIDE_TABLES[side]} = {quote_string(new.name)} COLLATE NOCASE"
            )
        database.run(
            f"INSERT INTO {database.qualified(side)} (rowid, {listed}) "
            f"SELECT place, {listed} FROM temp.{copy} WHERE {condition}"
        )
        database.run(f"DROP TABLE temp.{copy}")


def qualified_create(database: Database, found: SchemaObject) -> str:
    """The statement of an index or trigger, with the schema's name where it is not the main one."""
    sql = found.sql or ""
    if database.schema == "main":
        return sql
    tokens = significant(tokenize(sql))
    words = [token.word for token in tokens]
    name = tokens[words.index(found.kind.upper()) + 1]
    return f"{sql[: name.start]}{database.prefix}{sql[name.start :]}"


def column_changes_content(old: Column, new: Column) -> bool:
    """Whether a column's stored values, or their order in an index, would not fit its new self."""
    return (
        affinity(old.declared_type) != affinity(new.declared_type)
        or fold(old.collation or "binary") != fold(new.collation or "binary")
        or _generation(old) != _generation(new)
    )


def _generation(column: Column) -> tuple[str, bool] | None:
    made = column.generated
    return (made.expression, made.stored) if made else None
