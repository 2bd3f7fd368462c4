"""Views and triggers that a change of a table would break.

A change that SQLite would carry out and that would leave a view or trigger which no longer works
is refused beforehand, when it takes a column away; when it adds one, a warning says so. The change
is tried on a copy of the schema in memory. One that would work on and mean something else is always
refused. When a whole table is dropped, a warning says what works no longer, once it is dropped.
Knows nothing of how the change is carried out.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from alembic.util import CommandError, messaging

from .database import Database, SchemaObject
from .meaning import (
    all_columns_at,
    mentioned_columns,
    mentions,
    names_lost,
    names_something_else,
    refuse_other_meaning_of_new,
    refuse_other_meaning_without,
    users_of,
)
from .replica import CopiedDatabase, broken_objects, copy_schema
from .statement import ROWID_NAMES, Check, CreateTable, Generated
from .tokens import Kind, Token, fold, same_name, significant, start_of, tokenize

_BEHIND_TERMS = ("LIMIT", "HAVING", "WINDOW", "ORDER", "UNION", "EXCEPT", "INTERSECT")


def column_in_index(table: CreateTable, index: SchemaObject) -> set[str]:
    """The columns (folded) that an index uses, its expressions and its WHERE included."""
    members = members_of_index(index)
    return {*mentioned_columns(table, members), *_columns_in_single_quotes(table, members)}


def _columns_in_single_quotes(table: CreateTable, members: str) -> set[str]:
    """The columns (folded) that are a member of an index each, written like a string.

    SQLite takes a string for a name where only a name can be meant ("Keywords", lang_keywords.html).
    """
    tokens = significant(tokenize(members))
    found, depth = set(), 0
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        depth += {"(": 1, ")": -1}.get(before.text, 0)
        if depth == 0:
            break
        begins, ends = before.text in ("(", ","), after.text in (",", ")")
        whole = depth == 1 and begins and (ends or after.word in ("COLLATE", "ASC", "DESC"))
        if whole and token.kind is Kind.STRING and table.find_column(token.name):
            found.add(fold(token.name))
    return found


def members_of_index(index: SchemaObject) -> str:
    """What stands behind the table's name in CREATE INDEX: the members, and WHERE."""
    sql = index.sql or ""
    start = next((token.start for token in significant(tokenize(sql)) if token.text == "("), 0)
    return sql[start:]


def refuse_other_meaning_in_table(
    table: CreateTable, indexes: Iterable[SchemaObject], name: str, problem: str
) -> None:
    """See that no expression of the table itself means something else once a column has a name.

    Args:
        table: the table without that column.
        indexes: its indexes.
        name: the column's name.
        problem: how the message begins.

    Raises:
        CommandError: one names the rowid, or TRUE or FALSE, by that name.
    """
    for piece in table.constraints:
        text = piece.expression if isinstance(piece, (Check, Generated)) else ""
        if names_something_else(table, text, name):
            raise CommandError(
                f"{problem}: {table.text(piece)} uses {name} for what SQLite itself calls so, and "
                "would mean the column then. Write it otherwise first, or choose another name"
            )
    for index in indexes:
        if names_something_else(table, members_of_index(index), name):
            raise CommandError(
                f"{problem}: index {index.name} uses {name} for what SQLite itself calls so, and "
                "would mean the column then. Drop the index, or choose another name"
            )


def refuse_new_breakage(
    database: Database, old: CreateTable, new: CreateTable, dropped_indexes: Collection[str]
) -> None:
    """See that all views and triggers that work with `old` work with `new`, and mean the same.

    Raises:
        CommandError: one that works now would not, because a column is gone, or would quietly mean
            something else.
    """
    before, after = _names(old), _names(new)
    if before == after:
        return
    objects = database.objects()
    if not any(found.kind in ("view", "trigger") for found in objects):
        return
    gone = set(before) - set(after)
    _refuse_other_places(objects, old, new)
    came = [column.name for column in new.columns if fold(column.name) not in before]
    changed = _with_statement(objects, new, dropped_indexes)
    refuse_other_meaning_of_new(changed, new.name, came)
    refuse_other_meaning_without(objects, old.name, _named(old, gone))
    broken = _newly_broken(objects, changed)
    if not broken:
        return
    told = _told(broken)
    if gone:
        raise CommandError(
            f"Column {', '.join(_named(old, gone))} of table {old.name} cannot be dropped, it is used by: {told}. "
            "Drop that with op.execute() first, and create it anew afterwards"
        )
    messaging.warn(
        f"The new columns of table {old.name} break: {told}. Create that anew with op.execute()"
    )


def _refuse_other_places(objects: list[SchemaObject], old: CreateTable, new: CreateTable) -> None:
    """See that nothing takes a column for another one because of its place.

    Raises:
        CommandError: something would.
    """
    before, after = _names(old), _names(new)
    in_order = _change_of_places(before, after)
    in_values = _change_of_places(
        *([fold(c.name) for c in x.columns if not c.generated] for x in (old, new))
    )
    if before == after and not in_values:
        return
    bodies = [(found, _body(found)) for found in users_of(objects, old.name)]
    giving = _giving_in_order(old.name, bodies)
    affected = []
    for found, body in bodies:
        counts = in_order == "moved" or (in_order and _tells_columns_by_place(found))
        # What stands before the table's columns only lets a place be one farther ahead in the table.
        places = _places_in_order(body)
        counts = counts or before[:places] != after[:places]
        takes = counts and _takes_all_columns(body, giving)
        if takes or (in_values and _inserts_by_place(body, giving)):
            affected.append(f"{found.kind} {found.name}")
    if affected:
        raise CommandError(
            f"The columns of table {old.name} cannot get other places: {', '.join(affected)} would "
            "quietly take one for another, by SELECT * or by INSERT without a list of columns. Drop "
            "that with op.execute() first, and create it anew afterwards, with the columns' names"
        )


def _giving_in_order(
    table: str, users: Sequence[tuple[SchemaObject, Sequence[Token]]]
) -> Collection[str]:
    """The names (folded) of a table and of the views that give its columns in its order."""
    giving, size = {fold(table)}, 0
    while size < len(giving):
        size = len(giving)
        giving |= {
            fold(found.name)
            for found, body in users
            if found.kind == "view" and _takes_all_columns(body, giving)
        }
    return giving


def _change_of_places(before: list[str], after: list[str]) -> str:
    """What becomes of the places of columns: "moved", "replaced" or nothing.

    New columns behind all others change no place, nor do some that are only gone: what counts the
    columns does not work then, which is found elsewhere.
    """
    stay = [name for name in before if name in after]
    if after[: len(stay)] != stay:
        return "moved"
    return "replaced" if len(stay) < min(len(before), len(after)) else ""


def _body(found: SchemaObject) -> Sequence[Token]:
    """What a view or trigger does, without its own name and the table it is about."""
    tokens = significant(tokenize(found.sql or ""))
    word = "ON" if found.kind == "trigger" else "AS"
    start = next((place for place, token in enumerate(tokens) if token.word == word), 0)
    return tokens[start + (2 if word == "ON" else 1) :]


def _takes_all_columns(body: Sequence[Token], giving: Collection[str]) -> bool:
    """Whether there is a SELECT *, beside one of these names (folded), that gives anything.

    EXISTS (SELECT * ...) does not.
    """
    if not any(token.can_be_name and fold(token.name) in giving for token in body):
        return False
    return any(
        [token.word for token in body[max(place - 3, 0) : place]] != ["EXISTS", "(", "SELECT"]
        for place in all_columns_at(body)
    )


def _tells_columns_by_place(found: SchemaObject) -> bool:
    """Whether columns of a SELECT * can get other names, or stand below others: by their place."""
    tokens = significant(tokenize(found.sql or ""))
    if {token.word for token in tokens} & {"UNION", "INTERSECT", "EXCEPT", "INTO", "WITH", "IN"}:
        return True
    head = takewhile(lambda token: token.word != "AS", tokens)
    return any(token.text == "(" for token in head)


def _places_in_order(body: Sequence[Token]) -> int:
    """The last of the places by which ORDER BY and GROUP BY mean columns of the result; 0 without one.

    A number alone is a place, whatever parentheses and COLLATE there are ("The ORDER BY clause" in
    lang_select.html).
    """
    found = [0]
    for place, token in enumerate(body):
        if token.word == "BY" and body[place - 1].word in ("ORDER", "GROUP"):
            found += map(_place_meant, _terms(body[place + 1 :]))
    return max(found)


def _terms(tokens: Iterable[Token]) -> list[list[Token]]:
    """The terms of an ORDER BY or GROUP BY, from what stands behind these words."""
    terms: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0 or (depth == 0 and (token.text == ";" or token.word in _BEHIND_TERMS)):
            break
        if depth == 0 and token.text == ",":
            terms.append([])
        else:
            terms[-1].append(token)
    return terms


def _place_meant(term: Sequence[Token]) -> int:
    number = [
        token for token in takewhile(_is_no_manner, term) if token.text not in ("(", ")", "+")
    ]
    alone = len(number) == 1 and number[0].kind is Kind.NUMBER and number[0].text.isdigit()
    return int(number[0].text) if alone else 0


def _is_no_manner(token: Token) -> bool:
    return token.word not in ("COLLATE", "ASC", "DESC", "NULLS")


def _inserts_by_place(body: Sequence[Token], names: Collection[str]) -> bool:
    """Whether there is an INSERT INTO one of these (folded) without a list of columns."""
    return any(
        into.word == "INTO" and fold(name.name) in names and follows.text != "("
        for into, name, follows in zip(body, body[1:], body[2:], strict=False)
    )


def schema_with_upserts(database: Database) -> list[SchemaObject]:
    """The schema, if a trigger may need a key for ON CONFLICT (...) DO, else nothing."""
    objects = database.objects()
    upserts = any(found.kind == "trigger" and mentions(found, "conflict") for found in objects)
    return objects if upserts else []


def refuse_without_key(database: Database, before: list[SchemaObject], table: str) -> None:
    """See that no trigger inserts into a table ON CONFLICT of a key that it has no longer.

    Args:
        database: where the key is gone.
        before: the schema as it was.
        table: whose key it was.

    Raises:
        CommandError: one does, and each statement that fires it would fail.
    """
    broken = _newly_broken(before, database.objects())
    if broken:
        raise CommandError(
            f"Table {table} cannot be without a key that is used by: {_told(broken)}. "
            "Drop that with op.execute() first, and create it anew afterwards"
        )


def warn_of_users_of_index(database: Database, index: str) -> None:
    """Say which triggers need a unique index for ON CONFLICT, before it is dropped.

    Only a warning, because the next statement of the revision may drop the table.
    """
    found = database.find("index", index)
    if found is None or "UNIQUE" not in (token.word for token in start_of(found.sql or "", 2)):
        return
    before = schema_with_upserts(database)
    broken = _newly_broken(before, [other for other in before if other != found]) if before else {}
    if broken:
        messaging.warn(
            f"Index {found.name} is dropped, and is used by: {_told(broken)}. Drop that too, "
            "unless there will be such an index again"
        )


def _told(broken: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({reason})" for name, reason in broken.items())


def _with_statement(
    objects: Iterable[SchemaObject], new: CreateTable, dropped_indexes: Collection[str]
) -> list[SchemaObject]:
    """A schema with another statement for a table, and without some indexes."""
    return [
        SchemaObject(found.kind, found.name, found.table, new.sql)
        if found.kind == "table" and same_name(found.name, new.name)
        else found
        for found in objects
        if not (found.kind == "index" and fold(found.name) in dropped_indexes)
    ]


def _newly_broken(before: list[SchemaObject], after: list[SchemaObject]) -> dict[str, str]:
    """What works in the one schema and does not in the other, each with the reason."""
    with (
        contextlib.closing(copy_schema(before)) as present,
        contextlib.closing(copy_schema(after)) as future,
    ):
        known = broken_objects(CopiedDatabase(present))
        broken = broken_objects(CopiedDatabase(future))
    return {name: reason for name, reason in broken.items() if name not in known}


@contextlib.contextmanager
def warning_of_users(database: Database, table: str) -> Iterator[None]:
    """Say which views, triggers of other tables and full-text indexes a table's end breaks.

    Only a warning, because the next statement of the revision may drop them, or make the table anew.
    What cannot be found out is not said, and stops nothing.

    Args:
        database: where the table is before the block, which drops it, and is not behind it.
        table: its name.
    """
    users: list[SchemaObject] = []
    told: list[str] = []
    with contextlib.suppress(sqlite3.Error):
        if database.find("table", table) is not None:
            objects = _objects_with_names_in_them(database)
            own = [o for o in objects if o.kind == "trigger" and same_name(o.table, table)]
            users = users_of([found for found in objects if found not in own], table)
            told = [
                f"virtual table {found.name}" for found, _ in _indexes_by_content(objects, table)
            ]
    known = broken_objects(database, users)
    yield
    broken = broken_objects(database, users)
    told += [f"{name} ({why})" for name, why in broken.items() if name not in known]
    if told:
        messaging.warn(
            f"Table {table} is dropped, and is used by: {'; '.join(told)}. Drop that too, unless "
            "there will be such a table again"
        )


def _objects_with_names_in_them(database: Database) -> list[SchemaObject]:
    """Views, triggers and virtual tables: what may name a table and goes on without it."""
    rows = database.query(
        f"SELECT type, name, tbl_name, sql FROM {database.catalogue} "
        "WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%' ORDER BY rowid"
    )
    return [SchemaObject(*row) for row in rows]


def refuse_if_indexed_by_content(database: Database, table: str, column: str | None = None) -> None:
    """See that no full-text index reads a table, or a column of it, by its name.

    The column also as one of a view, which loses it, or gives it under its new name.

    Raises:
        CommandError: one does.
    """
    objects = database.objects()
    if not any(_is_virtual(found) for found in objects):
        return
    for found, names in _indexes_by_content(objects, table):
        if column is None or fold(column) in names:
            raise _read_by_name(table, column, found)
    if column is None:
        return
    for view in (found.name for found in users_of(objects, table) if found.kind == "view"):
        for found, names in _indexes_by_content(objects, view):
            if fold(column) in names & names_lost(objects, view, table, column):
                raise _read_by_name(table, column, found)


def _read_by_name(table: str, column: str | None, index: SchemaObject) -> CommandError:
    what = f"Table {table}" if column is None else f"Column {column} of table {table}"
    return CommandError(
        f"{what} is read by its name by the virtual table {index.name}. Drop that with "
        "op.execute() first, and create it anew afterwards"
    )


def _is_virtual(found: SchemaObject) -> bool:
    return (found.sql or "").upper().startswith("CREATE VIRTUAL")


def _indexes_by_content(
    objects: list[SchemaObject], table: str
) -> Iterator[tuple[SchemaObject, set[str]]]:
    """Full-text indexes of a table's content, each with all names in its statement (folded).

    "External Content Tables" (fts5.html, section 4.4.3; FTS4 likewise): the index keeps the name of
    the table and uses its own columns' names, and nothing tells it of another.
    """
    for found in objects:
        if not _is_virtual(found):
            continue
        tokens = significant(tokenize(found.sql or ""))
        if any(same_name(content, table) for content in _option(tokens, "CONTENT")):
            yield found, {fold(token.name) for token in tokens if token.can_be_name}


def _option(tokens: Sequence[Token], option: str) -> list[str]:
    """What an option of a virtual table is set to."""
    return [
        tokens[place + 2].name
        for place in range(len(tokens) - 2)
        if tokens[place].word == option and tokens[place + 1].text == "="
    ]


def users_of_rowids(database: Database, table: CreateTable) -> list[str]:
    """What may go by the rowids of a table: full-text indexes of it, and views and triggers."""
    objects = database.objects()
    names = [name for name in ROWID_NAMES if table.find_column(name) is None]
    users = []
    for found, _ in _indexes_by_content(objects, table.name):
        columns = _option(significant(tokenize(found.sql or "")), "CONTENT_ROWID")
        if all(fold(column) in names for column in columns):
            users.append(f"virtual table {found.name}")
    for found in objects:
        uses = found.kind in ("view", "trigger") and mentions(found, table.name)
        if uses and any(mentions(found, name) for name in names):
            users.append(f"{found.kind} {found.name}")
    return users


def _named(table: CreateTable, folded: Collection[str]) -> list[str]:
    """Columns as the table spells them."""
    return [column.name for column in table.columns if fold(column.name) in folded]


def _names(table: CreateTable) -> list[str]:
    return [fold(column.name) for column in table.columns]
