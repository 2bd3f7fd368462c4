"""The least invasive way from a table as it is to the table that is wanted.

Compares two CREATE TABLE statements, and takes the first way that will do:

  1. ALTER TABLE ADD COLUMN, for new columns at the end that SQLite takes there;
  2. an edit of the schema, where nothing that is stored would have to change;
  3. ALTER TABLE DROP COLUMN;
  4. a rebuild of the table.

What the rows must be like for that is asked before and after. Knows nothing of what the change was
asked for as.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from alembic.util import CommandError, messaging

from .alter import can_be_dropped, drop_columns
from .database import Database
from .dependents import (
    refuse_new_breakage,
    refuse_without_key,
    schema_with_upserts,
    users_of_rowids,
)
from .edit import is_stored_everywhere, write_schema
from .foreign_keys import row_key
from .meaning import meaning_of, mentioned_columns
from .rebuild import TEMPORARY, column_changes_content, ignoring_checks, rebuild
from .rows import (
    RowCheck,
    condition_check,
    explain_unfit,
    is_not_kept,
    never_null,
    null_check,
    parent_check,
    rowid_name,
    value_check,
)
from .statement import (
    Check,
    Column,
    Constraint,
    CreateTable,
    ForeignKey,
    PrimaryKey,
    Unique,
)
from .tokens import (
    Kind,
    fold,
    quote_name,
    quote_string,
    same_name,
    significant,
    tokenize,
)
from .types import affinity


@dataclass(frozen=True)
class Transition:
    """One table, from one statement to another.

    Args:
        database: where the table is.
        old: the table as it is.
        new: the table as it is wanted.
        sources: for each column (folded) of `new` that has values already: the column of `old` that
            has them now.
        dropped_indexes: indexes (folded) that go with a column.
        always_rebuild: rebuild the table even if nothing, or little, is asked.
        never_rebuild: refuse what would need a rebuild.
    """

    database: Database
    old: CreateTable
    new: CreateTable
    sources: Mapping[str, str]
    dropped_indexes: Collection[str] = ()
    always_rebuild: bool = False
    never_rebuild: bool = False

    def make(self, create_indexes: Callable[[], None]) -> None:
        """Make the table what is wanted.

        Args:
            create_indexes: makes its new indexes; a new foreign key may need one to refer to.

        Raises:
            CommandError: its rows, or a view or trigger, do not allow it. Nothing has changed then.
        """
        self._refuse_what_sqlite_refuses()
        refuse_new_breakage(self.database, self.old, self.new, self.dropped_indexes)
        lost = not set(_keys(self.old)) <= set(_keys(self.new))
        before = schema_with_upserts(self.database) if lost else []
        with self.database.savepoint():
            for check in (*self._checks_before(), *self._rowid_checks()):
                check.run(self.database, self.old)
            converted = self._converted_values()
            if not all(self._can_be_used(key) for key in self._new_keys()):
                self.database.before_change_of_keys()
            self._take_least_invasive_way()
            create_indexes()
            for check in self._checks_after():
                check.run(self.database, self.new)
            if before:  # a new index may have taken the key's place
                refuse_without_key(self.database, before, self.old.name)
        for told in converted:
            messaging.warn(told)

    def _refuse_what_sqlite_refuses(self) -> None:
        """Try both statements on an empty database: the new one must be as good as the old."""
        with contextlib.closing(sqlite3.connect(":memory:")) as scratch:
            try:
                scratch.execute(self.old.sql)
                scratch.execute(f"DROP TABLE {quote_name(self.old.name)}")
            except sqlite3.Error:
                return  # it needs something that only the application has
            try:
                scratch.execute(self.new.sql)
            except sqlite3.Error as error:
                raise CommandError(
                    f"SQLite does not accept this change of table {self.old.name}: {error}"
                ) from error

    # -- what the rows must be like

    def _checks_before(self) -> list[RowCheck]:
        """Checks for values where none may be missing, and none may have been before."""
        before, unchanged = never_null(self.old), self._unchanged_columns
        checks = []
        for name in never_null(self.new):
            column = self.new.column(name)
            if name in self.sources or name in unchanged:
                if name not in before:
                    checks.append(null_check(self.new, column.name))
            elif column.name == self.new.rowid_alias or column.generated is not None:
                continue  # SQLite has a value for each row
            elif _value(column.default_sql) is None:
                checks.append(value_check(self.new, column.name))
        return checks

    def _rowid_checks(self) -> list[RowCheck]:
        """A check that rows keep their rowids, if something goes by these.

        Raises:
            CommandError: something does, and there will be none.
        """
        old, rowid, source = self.old, rowid_name(self.old), self._source_of_rowids()
        if rowid is None or (source is None and not self.new.without_rowid):
            return []
        users = ", ".join(users_of_rowids(self.database, old))
        if not users:
            return []
        instead = "no rowids any more" if self.new.without_rowid else "other rowids"
        problem = (
            f"The rows of table {old.name} would have {instead}, and these are used by: {users}. "
            "Drop that with op.execute() first, and create it anew afterwards"
        )
        if self.new.without_rowid:
            raise CommandError(problem)
        return [RowCheck(f"{problem}. Rows", f"{rowid} IS NOT {quote_name(str(source))}")]

    def _source_of_rowids(self) -> str | None:
        """The column whose values the rows get for a rowid; None if they keep theirs, or get none."""
        source = self.sources.get(fold(self.new.rowid_alias or ""))
        return None if source and same_name(source, self.old.rowid_alias or "") else source

    def _moving_rows(self) -> AbstractContextManager[None]:
        """Let rows that are violations be known by what they are known by once the table is anew."""
        old, new, rowid = self.old, self.new, rowid_name(self.old)
        before, now = rowid, rowid
        source = self._source_of_rowids()
        if old.without_rowid and old.primary_key is not None:
            before = row_key(old.primary_key.columns)
        if new.without_rowid and new.primary_key is not None:
            names = [self.sources.get(fold(name)) for name in new.primary_key.columns]
            now = None if None in names else row_key(filter(None, names))
        elif source is not None:
            now = f"CAST({quote_name(source)} AS INTEGER)"
        if before is None or now is None or before == now:
            return contextlib.nullcontext()
        return self.database.rows_moving(old.name, before, now)

    def _checks_after(self) -> list[RowCheck]:
        """Checks for the constraints that are new, or new to the values they are about."""
        checks = [condition_check(self.new, check) for check in self._new_checks()]
        for key in self._new_keys():
            if self.database.checks_keys_again and not self._can_be_used(key):
                continue  # what it refers to may become unique later in the revision
            check = self._parent_check(key)
            if not any(self._is_null_throughout(name) for name in key.columns):
                checks.append(check)
        return checks

    def _is_null_throughout(self, name: str) -> bool:
        """Whether no row can have a value in a column, because the column is new and has no default."""
        column = self.new.column(name)
        if fold(name) in self.sources or column.generated is not None:
            return False
        return column.name != self.new.rowid_alias and _value(column.default_sql) is None

    @cached_property
    def _unchanged_columns(self) -> set[str]:
        """The columns (folded) that have the values after the change that they had before."""
        kept = set()
        for column in self.new.columns:
            before = self.old.find_column(column.name)
            own = column.generated is not None or fold(column.name) in self.sources
            if own and before is not None and not column_changes_content(before, column):
                kept.add(fold(column.name))
        while stale := {name for name in kept if not self._computed_from(name) <= kept}:
            kept -= stale
        return kept

    def _computed_from(self, name: str) -> frozenset[str]:
        generated = self.new.column(name).generated
        return mentioned_columns(self.new, generated.expression) if generated else frozenset()

    def _new_checks(self) -> list[Check]:
        known = Counter(meaning_of(self.old, check.expression) for check in self.old.checks)
        if self.old.rowid_alias != self.new.rowid_alias:
            known.clear()  # the rowid, which a CHECK may name, can be another
        unchanged = self._unchanged_columns
        found = []
        for check in self.new.checks:
            meant = meaning_of(self.new, check.expression)
            same = mentioned_columns(self.new, check.expression) <= unchanged
            if known[meant] and same:
                known[meant] -= 1
            else:
                found.append(check)
        return found

    def _new_keys(self) -> list[ForeignKey]:
        known = Counter(map(_reference, self.old.foreign_keys))
        found = []
        for key in self.new.foreign_keys:
            columns = [self.new.column(name) for name in key.columns]
            same = all(c.generated is not None or fold(c.name) in self.sources for c in columns)
            if known[_reference(key)] and same:
                known[_reference(key)] -= 1
            else:
                found.append(key)
        return found

    def _can_be_used(self, key: ForeignKey) -> bool:
        """Whether SQLite could check a foreign key, or there is no table yet to refer to."""
        if self.database.find("table", key.table) is None:
            return True
        parent = self.database.create_table(key.table)
        targets = key.targets_in(parent)
        return len(targets) == len(key.columns) and self._is_unique(parent, targets)

    def _parent_check(self, key: ForeignKey) -> RowCheck:
        """The check for a new foreign key, once it is clear that SQLite could use the key."""
        if self.database.find("view", key.table) is not None:
            raise CommandError(f"A foreign key cannot refer to {key.table}: it is a view")
        if self.database.find("table", key.table) is None:
            return parent_check(self.database, self.new, key, ())
        if not self._can_be_used(key):
            raise CommandError(
                f"A foreign key cannot refer to {key.table} ({', '.join(key.target_columns)}): "
                "these columns are neither its primary key nor unique together, by their own "
                "collation"
            )
        targets = key.targets_in(self.database.create_table(key.table))
        return parent_check(self.database, self.new, key, targets)

    def _is_unique(self, parent: CreateTable, targets: Sequence[str]) -> bool:
        """Whether columns identify a row ("Required and Suggested Database Indexes").

        An index counts only if it compares as the columns themselves do.
        """
        alias = parent.rowid_alias
        if alias is not None and [fold(name) for name in targets] == [fold(alias)]:
            return True
        columns = [parent.find_column(name) for name in targets]
        wanted = sorted(
            (fold(column.name), fold(column.collation or "binary")) for column in columns if column
        )
        return len(wanted) == len(targets) and wanted in self._unique_members(parent.name)

    def _unique_members(self, table: str) -> list[list[tuple[str, str]]]:
        """Name and collation (folded) of what each unique index of a table holds, in order."""
        schema = quote_string(self.database.schema)
        indexes = self.database.query(
            f"SELECT name FROM pragma_index_list({quote_string(table)}, {schema}) "
            'WHERE "unique" AND NOT partial'
        )
        found = []
        for (index,) in indexes:
            members = self.database.query(
                f"SELECT name, coll FROM pragma_index_xinfo({quote_string(index)}, {schema}) "
                "WHERE key"
            )
            found.append(sorted((fold(name or ""), fold(collation)) for name, collation in members))
        return found

    # -- what a new type makes of values

    def _converted_values(self) -> list[str]:
        """What to say of values that do not come back from a new type as they were."""
        told: list[str] = []
        for column in self.new.columns if self.database.live else ():
            source = self.old.find_column(self.sources.get(fold(column.name), ""))
            if source is None or (self.new.strict and fold(column.declared_type) == "any"):
                continue
            name = quote_name(source.name)
            kinds = affinity(source.declared_type), affinity(column.declared_type)
            condition = is_not_kept(name, *kinds)
            if condition is None:
                continue
            rows = f"FROM {self.database.qualified(self.old.name)} WHERE {condition}"
            found = self.database.find_keys(f"SELECT {name} {rows}")
            if found:
                count = self.database.query(f"SELECT count(*) {rows}")[0][0]
                told.append(
                    f"Column {column.name} of table {self.new.name} becomes {column.declared_type}, "
                    f"and {count} of its values would not come back from that as they were: {found}. "
                    "Keep the type, unless that is meant"
                )
        return told

    # -- the ways

    def _take_least_invasive_way(self) -> None:
        editable = self.database.can_edit_schema()
        if not self.always_rebuild and not self.dropped_indexes:
            addition = self._addition()
            if (
                addition is not None
                and (editable or not addition.edits(self.old))
                and self._only_the_schema_differs(addition.kept)
            ):
                self._edit_and_append(addition)
                return
            if can_be_dropped(self.database, self.old, self.new) and drop_columns(
                self.database, self.old, self.new
            ):
                return
        if self.never_rebuild:
            raise CommandError(
                f"This change of table {self.old.name} needs the table to be rebuilt, "
                "which recreate='never' forbids"
            )
        self._rebuild()

    def _addition(self) -> _Addition | None:
        """The wanted table as an addition to one with the same columns as before, if it is one."""
        names = [fold(column.name) for column in self.old.columns]
        if [fold(column.name) for column in self.new.columns[: len(names)]] != names:
            return None
        values = {fold(column.name) for column in self.old.columns if column.generated is None}
        if values != self.sources.keys():
            return None  # a column was dropped, and another one has its name
        added = self.new.columns[len(names) :]
        if not all(self._can_be_appended(column) for column in added):
            return None
        appended = {fold(column.name) for column in added}
        about = [c for c in self.new.table_constraints if appended & columns_of(self.new, c)]
        if any(isinstance(constraint, (PrimaryKey, Unique)) for constraint in about):
            return None
        kept = self.new
        for constraint in reversed(about):  # from behind: offsets of those before stay
            kept = kept.without_constraint(constraint)
        for column in added:
            kept = kept.without_column(column.name)
        return _Addition(
            kept,
            [self.new.text(column) for column in added],
            [self.new.text(constraint) for constraint in about],
        )

    def _can_be_appended(self, column: Column) -> bool:
        """What ALTER TABLE ADD COLUMN takes (lang_altertable.html, section 4)."""
        if column.primary_key or column.uniques:
            return False
        if column.generated is not None:
            return not column.generated.stored and column.not_null is None and not column.checks
        default = column.default
        if default is None:
            return column.not_null is None or not self.database.has_rows(self.old.name)
        value = constant_value(default.expression)
        if value is None or (value == "NULL" and column.not_null):
            return False
        return affinity(column.declared_type) != "text" or _is_same_as_text(value)

    def _only_the_schema_differs(self, kept: CreateTable) -> bool:
        """Whether the rows and indexes on disk are right for the wanted table as they are."""
        old = self.old
        if (old.strict, old.without_rowid, old.autoincrement, old.rowid_alias) != (
            kept.strict,
            kept.without_rowid,
            kept.autoincrement,
            kept.rowid_alias,
        ):
            return False
        if _keys(old) != _keys(kept):
            return False
        for before, after in zip(old.columns, kept.columns, strict=True):
            if column_changes_content(before, after):
                return False
            other_default = _value(before.default_sql) != _value(after.default_sql)
            if other_default and not is_stored_everywhere(self.database, old, before.name):
                return False
        return True

    def _edit_and_append(self, addition: _Addition) -> None:
        name = self.old.name
        if addition.edits(self.old):
            self.database.note(f"Edit the statement of table {name}; no row is touched")
        if addition.kept.sql != self.old.sql:
            write_schema(self.database, {("table", name): addition.kept.sql})
        with ignoring_checks(self.database, self.new):
            for definition in addition.columns:
                self.database.run(
                    f"ALTER TABLE {self.database.qualified(name)} ADD COLUMN {definition}"
                )
        if addition.constraints:
            table = self.database.create_table(name)  # with the columns where SQLite has put them
            for definition in addition.constraints:
                table = table.with_table_constraint(definition)
            write_schema(self.database, {("table", name): table.sql})

    def _rebuild(self) -> None:
        if self._keys_may_change():
            self.database.before_change_of_keys()
        try:
            with self._moving_rows():
                rebuild(
                    self.database,
                    self.old,
                    self.new,
                    self.sources,
                    without_indexes=self.dropped_indexes,
                )
        except sqlite3.IntegrityError as error:
            reason = str(error).replace(f"{TEMPORARY}{self.old.name}", self.old.name)
            raise CommandError(
                explain_unfit(self.database, self.old, self.new, self.sources, reason)
            ) from error

    def _keys_may_change(self) -> bool:
        """Whether foreign keys from or to this table could come to mean something else."""
        referrers = self.database.references_to(self.old.name)
        if referrers and not set(_keys(self.old)) <= set(_keys(self.new)):
            return True
        used = {fold(name) for key in self.old.foreign_keys for name in key.columns}
        used |= {fold(name) for _, key in referrers for name in key.targets_in(self.old)}
        return any(
            column_changes_content(before, after)
            or (after.generated is None and fold(after.name) not in self.sources)
            for before in self.old.columns
            if fold(before.name) in used
            for after in self.new.columns
            if same_name(before.name, after.name)
        )


@dataclass(frozen=True)
class _Addition:
    """A table's statement with columns added at its end, and constraints of the table about those."""

    kept: CreateTable
    columns: Sequence[str]
    constraints: Sequence[str]

    def edits(self, old: CreateTable) -> bool:
        """Whether ALTER TABLE ADD COLUMN alone does not do it."""
        return self.kept.sql != old.sql or bool(self.constraints)


def columns_of(table: CreateTable, constraint: Constraint) -> set[str]:
    """The columns (folded) of a table that a constraint is about."""
    if isinstance(constraint, Check):
        return set(mentioned_columns(table, constraint.expression))
    if isinstance(constraint, (PrimaryKey, Unique, ForeignKey)):
        return {fold(name) for name in constraint.columns}
    return set()


def _keys(table: CreateTable) -> tuple[object, ...]:
    """What decides which automatic indexes a table has, in their order."""
    found: list[object] = []
    for constraint in table.constraints:
        if isinstance(constraint, (PrimaryKey, Unique)):
            parts = tuple(
                (fold(part.name), fold(part.collation or ""), part.descending)
                for part in constraint.parts
            )
            found.append((type(constraint), parts, constraint.on_conflict))
    return tuple(found)


def _reference(key: ForeignKey) -> tuple[str | None, ...]:
    """What a foreign key is from and to, to compare."""
    names = (*key.columns, None, key.table, *key.target_columns)
    return tuple(None if name is None else fold(name) for name in names)


def constant_value(default: str) -> str | None:
    """The one token of a default that is a constant, which ALTER TABLE ADD COLUMN asks for.

    Without its sign and parentheses, words in upper case: it tells NULL from other constants.
    """
    tokens = list(significant(tokenize(default)))
    bare = tokens[0].text != "("
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")":
        tokens = tokens[1:-1]
    while tokens and tokens[0].text in ("+", "-"):
        tokens = tokens[1:]
    if len(tokens) != 1:
        return None
    word = tokens[0].word
    literal = tokens[0].kind in (Kind.NUMBER, Kind.STRING, Kind.BLOB)
    if literal or word in ("NULL", "TRUE", "FALSE"):
        return word
    name = tokens[0].kind in (Kind.WORD, Kind.QUOTED) and not word.startswith("CURRENT_")
    return word if bare and name else None  # DEFAULT name means the text "name"


def _is_same_as_text(value: str) -> bool:
    """Whether rows that read a default from a text column's schema find what is stored for new ones.

    For them TRUE is a number, and another number is spelt as in the schema.
    """
    if value[:1].isdigit() or value[:1] == ".":
        return value.isdigit() and str(int(value)) == value
    return value not in ("TRUE", "FALSE")


def _value(default: str | None) -> str | None:
    """A default as written, to compare; None also for DEFAULT NULL, which is as good as none."""
    return None if default is None or fold(default) == "null" else default
