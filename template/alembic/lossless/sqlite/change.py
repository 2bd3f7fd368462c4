"""What several operations make of one table, and the least invasive way to get there.

A `TableChange` collects what is asked of a table as edits of its CREATE TABLE statement. `apply`
then compares the statement as it was with the one that is wanted, and takes the first way that
will do:

  1. ALTER TABLE ADD COLUMN, for new columns at the end that SQLite takes there;
  2. an edit of the schema, where nothing that is stored would have to change;
  3. ALTER TABLE DROP COLUMN;
  4. a rebuild of the table.

Knows tables as text and as `CreateTable`; knows nothing of SQLAlchemy or Alembic operations.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence

from alembic.util import CommandError

from .alter import can_be_dropped, drop_columns, refuse_if_used
from .database import Database, SchemaObject
from .dependents import (
    column_in_index,
    members_of_index,
    refuse_if_indexed_by_content,
    refuse_new_breakage,
)
from .edit import is_stored_everywhere, write_schema
from .meaning import meaning_of, mentioned_columns, unknown_name
from .rebuild import TEMPORARY, column_changes_content, ignoring_checks, rebuild
from .rows import (
    RowCheck,
    condition_check,
    explain_unfit,
    never_null,
    null_check,
    parent_check,
    value_check,
)
from .statement import (
    Check,
    Column,
    Constraint,
    CreateTable,
    ForeignKey,
    Generated,
    NotACreateTable,
    PrimaryKey,
    Unique,
    parse,
)
from .tokens import (
    Kind,
    Token,
    fold,
    quote_name,
    quote_string,
    same_name,
    significant,
    tokenize,
    write_name,
)


class TableChange:
    """Collects edits of one table and applies them at once.

    Args:
        database: where the table is.
        table: its name.
        always_rebuild: rebuild it even if nothing, or little, is asked.
        never_rebuild: refuse what would need a rebuild.

    Raises:
        CommandError: there is no such table.
    """

    def __init__(
        self,
        database: Database,
        table: str,
        *,
        always_rebuild: bool = False,
        never_rebuild: bool = False,
    ) -> None:
        self.database = database
        self.never_rebuild = never_rebuild
        self._start(table, always_rebuild)

    def _start(self, table: str, always_rebuild: bool = False) -> None:
        self.always_rebuild = always_rebuild
        self.old = self.database.create_table(table)
        self.new = self.old
        # For each column (folded) that has values already: the column that has them now.
        self.sources = {fold(c.name): c.name for c in self.old.columns if c.generated is None}
        self.dropped_indexes: set[str] = set()

    @property
    def pending(self) -> bool:
        """Whether anything was asked that is not applied yet."""
        return self.new is not self.old or self.always_rebuild

    def column(self, name: str) -> Column:
        """A column of the table as it will be.

        Raises:
            CommandError: there is none of that name.
        """
        found = self.new.find_column(name)
        if found is None:
            has = ", ".join(column.name for column in self.new.columns)
            raise CommandError(f"Table {self.new.name} has no column {name}; it has: {has}")
        return found

    # -- columns

    def add_column(
        self, definition: str, *, after: str | None = None, before: str | None = None
    ) -> None:
        """Add a column.

        Args:
            definition: name, type and constraints, as SQL.
            after: the column behind which it shall stand.
            before: the column before which it shall stand.

        Raises:
            CommandError: there is such a column already, or a second primary key would come.
        """
        name = parse(f"CREATE TABLE x ({definition})").columns[0].name
        if self.new.find_column(name) is not None:
            raise CommandError(f"Table {self.new.name} has a column {name} already")
        first = False
        if before is not None and after is None:
            names = [column.name for column in self.new.columns]
            place = names.index(self.column(before).name)
            after, first = (names[place - 1], False) if place else (None, True)
        elif after is not None:
            after = self.column(after).name
        self._keep_strings_of(name)
        self.new = self.new.with_column(definition, after=after, first=first)
        added = self.column(name)
        if added.primary_key is not None and self.old.primary_key is not None:
            raise CommandError(
                f"Table {self.new.name} has a primary key already; drop it before {name} becomes it"
            )

    def _keep_strings_of(self, name: str) -> None:
        """Write "name" as 'name' where it is a string, before a column of that name comes.

        "Double-quoted String Literals Are Accepted" (quirks.html): only as long as there is no
        column of that name.
        """
        for index in self._indexes():
            if _strings_called(members_of_index(index), name):
                raise CommandError(
                    f"Column {name} cannot be added to table {self.new.name}: index {index.name} "
                    f'holds the string "{name}" in double quotes, which would mean the column '
                    "then. Drop the index, and create it anew with single quotes"
                )
        pieces = [c for c in self.new.constraints if isinstance(c, (Check, Generated))]
        for piece in sorted(pieces, key=lambda span: span.start, reverse=True):
            text = self.new.text(piece)
            strings = _strings_called(text, name)
            for token in reversed(strings):
                text = text[: token.start] + quote_string(token.name) + text[token.end :]
            if strings:
                self.new = self.new.replace(piece, text)

    def drop_column(self, name: str) -> None:
        """Remove a column, and what is about it alone: its constraints and its own indexes.

        Raises:
            CommandError: something else uses it: a constraint or index of several columns, the
                primary key, a foreign key of another table, another column.
        """
        column = self.column(name)
        if len(self.new.columns) == 1:
            raise CommandError(
                f"{name} is the only column of table {self.new.name}; drop the table"
            )
        refuse_if_indexed_by_content(self.database, self.old.name, column.name)
        self._refuse_references_to(column)
        self._drop_constraints_of(column)
        self._drop_indexes_of(column)
        self._refuse_generated_from(column)
        if self.old.find_column(name) is not None:
            refuse_if_used(self.database, self.old.name, column.name)
        self.new = self.new.without_column(column.name)
        self.sources.pop(fold(name), None)

    def _refuse_generated_from(self, column: Column) -> None:
        for other in self.new.columns:
            if other.generated is None or same_name(other.name, column.name):
                continue
            if fold(column.name) in mentioned_columns(self.new, other.generated.expression):
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: the "
                    f"generated column {other.name} is computed from it; drop that one first"
                )

    def _refuse_references_to(self, column: Column) -> None:
        primary = self.new.primary_key.columns if self.new.primary_key else ()
        for other, key in self.database.references_to(self.old.name):
            targets = {fold(name) for name in key.target_columns or primary}
            own = same_name(other, self.old.name) and key.columns == (column.name,)
            if fold(column.name) in targets and not own:
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: a foreign "
                    f"key of table {other} refers to it; drop that first"
                )

    def _drop_constraints_of(self, column: Column) -> None:
        """Remove the constraints of the table that are about this column alone."""
        for constraint in (*self.new.table_constraints, *self._checks_in_other_columns(column)):
            used = self._columns_of(constraint)
            if fold(column.name) not in used:
                continue
            if used != {fold(column.name)} or constraint.column is not None:
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: "
                    f"{self.new.text(constraint)} uses it with other columns; drop that first"
                )
            self.new = self.new.without_constraint(constraint)
            self._drop_constraints_of(self.column(column.name))
            return

    def _checks_in_other_columns(self, column: Column) -> list[Check]:
        return [
            check
            for other in self.new.columns
            if not same_name(other.name, column.name)
            for check in other.checks
        ]

    def _columns_of(self, constraint: Constraint) -> set[str]:
        if isinstance(constraint, Check):
            return set(mentioned_columns(self.new, constraint.expression))
        if isinstance(constraint, (PrimaryKey, Unique, ForeignKey)):
            return {fold(name) for name in constraint.columns}
        return set()

    def _drop_indexes_of(self, column: Column) -> None:
        for index in self._indexes():
            used = column_in_index(self.old, index)
            if fold(column.name) not in used:
                continue
            if used != {fold(column.name)}:
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: index "
                    f"{index.name} uses it with other columns; drop the index first"
                )
            self.dropped_indexes.add(fold(index.name))

    def _indexes(self) -> list[SchemaObject]:
        return [
            found
            for found in self.database.of_table("index", self.old.name)
            if fold(found.name) not in self.dropped_indexes
        ]

    def set_type(self, name: str, declared_type: str, collation: str | None) -> None:
        """Declare another type; a collation is changed only if one is given."""
        self.new = self.new.with_type(self.column(name).name, declared_type)
        if collation is not None:
            self.new = self.new.with_collation(name, collation)

    def set_default(self, name: str, expression: str | None) -> None:
        """Give a column a default for rows to come, or none."""
        if self.column(name).generated is not None:
            raise CommandError(f"Column {name} of table {self.new.name} is generated: no default")
        self.new = self.new.with_default(name, expression)

    def set_generated(self, name: str, clause: str) -> None:
        """Compute a column by another expression: GENERATED ALWAYS AS (...) and so on."""
        column = self.column(name)
        if column.generated is None:
            raise CommandError(
                f"Column {name} of table {self.new.name} holds values of its own; it cannot become "
                "a generated one. Add a generated column beside it"
            )
        self.new = self.new.replace(column.generated, clause)

    def set_not_null(self, name: str, not_null: bool) -> None:
        """Add or remove NOT NULL."""
        self.new = self.new.with_not_null(self.column(name).name, not_null=not_null)

    # -- constraints

    def add_constraint(self, definition: str, *, quotes_names: bool = False) -> None:
        """Add a constraint of the table, as SQL.

        Args:
            definition: the constraint.
            quotes_names: whether what stands in double quotes is a name for sure. SQLite takes one
                that no column has for a string, which somebody may have meant who wrote it by hand
                ("Double-quoted String Literals Are Accepted", quirks.html).

        Raises:
            CommandError: SQLite could not keep it.
        """
        before = len(self.new.table_constraints)
        try:
            new = self.new.with_table_constraint(definition)
        except NotACreateTable as error:
            raise CommandError(f"SQLite does not understand: {definition}") from error
        if len(new.table_constraints) != before + 1:
            raise CommandError(f"This is not one constraint: {definition}")
        added = new.table_constraints[-1]
        self._refuse_taken_name(added)
        self._refuse_unknown_columns(added)
        if isinstance(added, PrimaryKey):
            self._set_primary_key(added, definition)
            return
        if isinstance(added, Check) and quotes_names:
            self._refuse_unknown_names(new, added.expression)
        self.new = new

    def _refuse_taken_name(self, added: Constraint) -> None:
        for present in self.new.constraints:
            if added.name and present.name and same_name(added.name, present.name):
                raise CommandError(
                    f"Table {self.new.name} has a constraint {present.name} already: "
                    f"{self.new.text(present)}"
                )

    def _refuse_unknown_columns(self, added: Constraint) -> None:
        if isinstance(added, (PrimaryKey, Unique, ForeignKey)):
            for name in added.columns:
                self.column(name)

    def _refuse_unknown_names(self, table: CreateTable, expression: str) -> None:
        name = unknown_name(table, expression)
        if name is not None:
            raise CommandError(
                f"Table {table.name} has no column {name}, which ({expression.strip()}) names"
            )

    def _set_primary_key(self, added: PrimaryKey, definition: str) -> None:
        """Put a primary key in the place of the one that is there, as Alembic's batch mode does.

        The same key under another name keeps what a revision cannot say: AUTOINCREMENT, DESC.
        """
        present = self.new.primary_key
        if present is not None and list(map(fold, present.columns)) == list(
            map(fold, added.columns)
        ):
            if added.name is not None and present.name is None:
                self.new = self.new.insert(present.start, f"CONSTRAINT {write_name(added.name)} ")
            return
        if present is not None:
            self.new = self.new.without_constraint(present)
        self.new = self.new.with_table_constraint(definition)

    def drop_constraint(self, constraint: Constraint) -> None:
        """Remove a constraint of the table as it is now wanted.

        Raises:
            CommandError: the table cannot be without it.
        """
        if isinstance(constraint, PrimaryKey) and self.new.without_rowid:
            raise CommandError(
                f"Table {self.new.name} is WITHOUT ROWID: it cannot be without a primary key"
            )
        self.new = self.new.without_constraint(constraint)

    def reorder(self, names: Sequence[str]) -> None:
        """Put the columns in this order; all of them must be named."""
        texts = [self.new.text(self.column(name)) for name in names]
        places = list(self.new.columns)
        for place, text in reversed(list(zip(places, texts, strict=True))):
            self.new = self.new.replace(place, text)

    # -- the table as a whole

    def set_autoincrement(self) -> None:
        """Never give a rowid a second time (AUTOINCREMENT)."""
        if self.new.autoincrement:
            return
        key, alias = self.new.primary_key, self.new.rowid_alias
        if key is None or alias is None:
            raise CommandError(
                f"Only an INTEGER PRIMARY KEY can be AUTOINCREMENT; table {self.new.name} has none"
            )
        if key.column is None:
            self.new = self.new.without_constraint(key)
            self.new = self.new.with_column_constraint(alias, "PRIMARY KEY AUTOINCREMENT")
        else:
            self.new = self.new.insert(key.end, " AUTOINCREMENT")

    def set_option(self, option: str) -> None:
        """Make the table STRICT or WITHOUT ROWID."""
        if option not in self.new.options:
            comma = "," if self.new.options else ""
            self.new = self.new.insert(self.new.close + 1, f" {option}{comma}")

    # -- applying

    def apply(self, create_indexes: Callable[[], None] = lambda: None) -> None:
        """Make the table what is wanted.

        Args:
            create_indexes: makes its new indexes; a new foreign key may need one to refer to.

        Raises:
            CommandError: its rows, or a view or trigger, do not allow it. Nothing has changed then.
        """
        if not self.pending:
            create_indexes()
            return
        old, new = self.old, self.new
        self._refuse_what_sqlite_refuses()
        refuse_new_breakage(self.database, old, new, self.dropped_indexes)
        with self.database.savepoint():
            for check in self._checks_before():
                check.run(self.database, old)
            self._take_least_invasive_way()
            create_indexes()
            for check in self._checks_after():
                check.run(self.database, new)
        self._start(new.name)

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
        before, unchanged = never_null(self.old), self._unchanged_columns()
        checks = []
        for name in never_null(self.new):
            column = self.column(name)
            if name in self.sources or name in unchanged:
                if name not in before:
                    checks.append(null_check(self.new, column.name))
            elif column.name == self.new.rowid_alias or column.generated is not None:
                continue  # SQLite has a value for each row
            elif _value(column.default_sql) is None:
                checks.append(value_check(self.new, column.name))
        return checks

    def _checks_after(self) -> list[RowCheck]:
        """Checks for the constraints that are new, or new to the values they are about."""
        checks = [condition_check(self.new, check) for check in self._new_checks()]
        return checks + [self._parent_check(key) for key in self._new_keys()]

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
        generated = self.column(name).generated
        return mentioned_columns(self.new, generated.expression) if generated else frozenset()

    def _new_checks(self) -> list[Check]:
        known = Counter(meaning_of(self.old, check.expression) for check in self.old.checks)
        if self.old.rowid_alias != self.new.rowid_alias:
            known.clear()  # the rowid, which a CHECK may name, can be another
        unchanged = self._unchanged_columns()
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
            columns = [self.column(name) for name in key.columns]
            same = all(c.generated is not None or fold(c.name) in self.sources for c in columns)
            if known[_reference(key)] and same:
                known[_reference(key)] -= 1
            else:
                found.append(key)
        return found

    def _parent_check(self, key: ForeignKey) -> RowCheck:
        """The check for a new foreign key, once it is clear that SQLite could use the key."""
        if self.database.find("view", key.table) is not None:
            raise CommandError(f"A foreign key cannot refer to {key.table}: it is a view")
        if self.database.find("table", key.table) is None:
            return parent_check(self.database, self.new, key, ())
        parent = self.database.create_table(key.table)
        primary = parent.primary_key.columns if parent.primary_key else ()
        targets = key.target_columns or primary
        if len(targets) != len(key.columns) or not self._is_unique(parent, targets):
            raise CommandError(
                f"A foreign key cannot refer to {key.table} ({', '.join(key.target_columns)}): "
                "these columns are neither its primary key nor unique together, by their own "
                "collation"
            )
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

    # -- the ways

    def _take_least_invasive_way(self) -> None:
        editable = self.database.can_edit_schema()
        if not self.always_rebuild and not self.dropped_indexes:
            kept, added = self._split_added()
            possible = kept is not None and (kept.sql == self.old.sql or editable)
            if kept is not None and possible and self._only_the_schema_differs(kept):
                self._edit_and_append(kept, added)
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

    def _split_added(self) -> tuple[CreateTable | None, list[Column]]:
        """The wanted table without its new last columns, and those, if they can be appended."""
        names = [fold(column.name) for column in self.old.columns]
        if [fold(column.name) for column in self.new.columns[: len(names)]] != names:
            return None, []
        values = {fold(column.name) for column in self.old.columns if column.generated is None}
        if values != self.sources.keys():
            return None, []  # a column was dropped, and another one has its name
        added = list(self.new.columns[len(names) :])
        if not all(self._can_be_appended(column) for column in added):
            return None, []
        appended = {fold(column.name) for column in added}
        if any(
            appended & self._columns_of(constraint) for constraint in self.new.table_constraints
        ):
            return None, []
        kept = self.new
        for column in added:
            kept = kept.without_column(column.name)
        return kept, added

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
        return value is not None and not (value == "NULL" and column.not_null)

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

    def _edit_and_append(self, kept: CreateTable, added: Sequence[Column]) -> None:
        if kept.sql != self.old.sql:
            self.database.note(f"Edit the statement of table {self.old.name}; no row is touched")
            write_schema(self.database, {("table", self.old.name): kept.sql})
        with ignoring_checks(self.database, self.new):
            for column in added:
                self.database.run(
                    f"ALTER TABLE {self.database.qualified(self.old.name)} "
                    f"ADD COLUMN {self.new.text(column)}"
                )

    def _rebuild(self) -> None:
        if self._keys_may_change():
            self.database.before_change_of_keys()
        try:
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
        primary = self.old.primary_key.columns if self.old.primary_key else ()
        used = {fold(name) for key in self.old.foreign_keys for name in key.columns}
        used |= {fold(name) for _, key in referrers for name in key.target_columns or primary}
        return any(
            column_changes_content(before, after)
            for before in self.old.columns
            if fold(before.name) in used
            for after in self.new.columns
            if same_name(before.name, after.name)
        )


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


def _strings_called(sql: str, name: str) -> list[Token]:
    """Tokens in parentheses that are a name in double quotes: strings, while nothing has the name."""
    tokens = tokenize(sql)
    start = next((token.start for token in tokens if token.text == "("), len(sql))
    return [
        token
        for token in tokens
        if token.start > start
        and token.kind is Kind.QUOTED
        and token.text[0] == '"'
        and same_name(token.name, name)
    ]


def constant_value(default: str) -> str | None:
    """A default's value as text if it is a constant, which ALTER TABLE ADD COLUMN asks for."""
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


def _value(default: str | None) -> str | None:
    """A default's text without the parentheses that change nothing."""
    return None if default is None or fold(default) == "null" else default
