"""What several operations make of one table.

A `TableChange` collects what is asked of a table as edits of its CREATE TABLE statement, and leaves
it to a `Transition` to bring the table there. Knows tables as text and as `CreateTable`; knows
nothing of SQLAlchemy or Alembic operations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from alembic.util import CommandError, messaging

from .alter import refuse_if_used
from .database import Database, Mismatch, SchemaObject
from .dependents import (
    column_in_index,
    members_of_index,
    refuse_if_indexed_by_content,
    refuse_other_meaning_in_table,
)
from .meaning import mentioned_columns, unknown_name
from .schema import unwrap
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
    quote_string,
    same_name,
    tokenize,
    write_name,
)
from .transition import Transition, columns_of
from .types import affinity


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
            raise Mismatch(
                f"Table {self.new.name} has no column {name}; it has: {has}",
                f'no such column: "{name}"',
                KeyError,
            )
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
            raise Mismatch(
                f"Table {self.new.name} has a column {name} already",
                f"duplicate column name: {name}",
            )
        first = False
        if before is not None and after is None:
            names = [column.name for column in self.new.columns]
            place = names.index(self.column(before).name)
            after, first = (names[place - 1], False) if place else (None, True)
        elif after is not None:
            after = self.column(after).name
        if self.old.find_column(name) is None:
            problem = f"Column {name} cannot be added to table {self.new.name}"
            refuse_other_meaning_in_table(self.new, self._indexes(), name, problem)
        self._keep_strings_of(name)
        key = self.new.primary_key
        self.new = self.new.with_column(definition, after=after, first=first)
        if key is not None and self.column(name).primary_key is not None:
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

    def drop_column(self, name: str, going: Collection[str] = ()) -> None:
        """Remove a column, and what is about it alone: its constraints and its own indexes.

        Args:
            name: the column's name.
            going: other columns that are dropped before anything is applied. What is about dropped
                columns only goes with the first of them.

        Raises:
            CommandError: something else uses it: a CHECK, index or primary key of several columns, a
                foreign key of another table, another column.
        """
        column = self.column(name)
        gone = {fold(column.name), *map(fold, going)}
        self._refuse_references_to(column, gone)
        self._drop_constraints_of(column, gone)
        self._drop_indexes_of(column, gone)
        self._refuse_generated_from(column, gone)
        if self.old.find_column(name) is not None:
            # What is asked next would take it for a renaming that fails.
            refuse_if_indexed_by_content(self.database, self.old.name, column.name)
            refuse_if_used(self.database, self.old.name, column.name)
        self._remove(column)

    def drop_replaced_column(
        self, name: str, *, in_key: bool, new_indexes: Collection[str]
    ) -> None:
        """Remove a column for another of its name, which is added before anything is applied.

        What uses the column, in the table and elsewhere, stays for the other one; a primary key of
        the column alone only if the other is to be in the key, as in Alembic's batch mode.

        Args:
            name: the column's name.
            in_key: whether the column that is added says that it is in the primary key.
            new_indexes: names of indexes that are created afterwards, in the place of its own.

        Raises:
            CommandError: a full-text index has the column's content.
        """
        created = set(map(fold, new_indexes))
        for index in self._indexes():
            if fold(index.name) in created and fold(name) in column_in_index(self.old, index):
                self.dropped_indexes.add(fold(index.name))
        key = self.new.primary_key
        if key is not None and not in_key and key.is_of([name]):
            self.drop_constraint(key)
        self._remove(self.column(name))

    def _remove(self, column: Column) -> None:
        if len(self.new.columns) == 1:
            raise CommandError(
                f"{column.name} is the only column of table {self.new.name}; drop the table"
            )
        refuse_if_indexed_by_content(self.database, self.old.name, column.name)
        self.new = self.new.without_column(column.name)
        self.sources.pop(fold(column.name), None)

    def _refuse_generated_from(self, column: Column, gone: set[str]) -> None:
        for other in self.new.columns:
            if other.generated is None or fold(other.name) in gone:
                continue
            if fold(column.name) in mentioned_columns(self.new, other.generated.expression):
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: the "
                    f"generated column {other.name} is computed from it; drop that one first"
                )

    def _refuse_references_to(self, column: Column, gone: set[str]) -> None:
        for other, key in self._references():
            targets = {fold(name) for name in key.targets_in(self.new)}
            goes = same_name(other, self.old.name) and gone & set(map(fold, key.columns))
            if fold(column.name) in targets and not goes:
                raise CommandError(
                    f"Column {column.name} of table {self.new.name} cannot be dropped: a foreign "
                    f"key of table {other} refers to it; drop that first"
                )

    def _references(self) -> list[tuple[str, ForeignKey]]:
        """Who refers to the table: other tables, and the table itself as it is now wanted."""
        name = self.old.name
        others = self.database.references_to(name)
        own = [(name, key) for key in self.new.foreign_keys if same_name(key.table, name)]
        return [*own, *(found for found in others if not same_name(found[0], name))]

    def _drop_constraints_of(self, column: Column, gone: set[str]) -> None:
        """Remove the constraints of the table that are about this column.

        UNIQUE and FOREIGN KEY of several columns cannot be without one of them. They go with it, as
        in Alembic's batch mode and in PostgreSQL (sql-altertable.html, "DROP COLUMN"): revisions
        rely on that, and are told of it. A CHECK says something of the other columns, too.
        """
        for constraint in (*self.new.table_constraints, *self._checks_in_other_columns(column)):
            used = columns_of(self.new, constraint)
            if fold(column.name) not in used:
                continue
            if not gone >= used | {fold(constraint.column or column.name)}:
                self._let_go(constraint, column)
            self.new = self.new.without_constraint(constraint)
            self._drop_constraints_of(self.column(column.name), gone)
            return

    def _let_go(self, constraint: Constraint, column: Column) -> None:
        place = f"Column {column.name} of table {self.new.name}"
        text = self.new.text(constraint)
        if not isinstance(constraint, (PrimaryKey, Check)):
            messaging.warn(f"{place} is dropped, and with it {text}")
            return
        message = f"{place} cannot be dropped: {text} uses it with other columns; drop that first"
        if constraint.name is None:
            kind = "pk" if isinstance(constraint, PrimaryKey) else "ck"
            naming_convention = {kind: f"{kind}_%(table_name)s"}
            message += f", by the name that batch_alter_table(..., {naming_convention=}) gives it"
        raise CommandError(message)

    def _checks_in_other_columns(self, column: Column) -> list[Check]:
        return [
            check
            for other in self.new.columns
            if not same_name(other.name, column.name)
            for check in other.checks
        ]

    def _drop_indexes_of(self, column: Column, gone: set[str]) -> None:
        for index in self._indexes():
            used = column_in_index(self.old, index)
            if fold(column.name) not in used:
                continue
            if not gone >= used:
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

    def drop_collation(self, name: str) -> None:
        """Let a column be compared byte by byte, as SQLite does by itself."""
        self.new = self.new.with_collation(name, None)

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

    def add_constraint(
        self, definition: str, *, quotes_names: bool = False, of_type: bool = False
    ) -> None:
        """Add a constraint of the table, as SQL.

        Args:
            definition: the constraint.
            quotes_names: whether what stands in double quotes is a name for sure. SQLite takes one
                that no column has for a string, which somebody may have meant who wrote it by hand
                ("Double-quoted String Literals Are Accepted", quirks.html).
            of_type: whether it is the CHECK of a column's type. Then it takes the place of one that
                has its name and is about the same column: the type has changed, and of the earlier
                one reflection, and so a generated revision, knows no more than VARCHAR.

        One that the table has already, with this name and content, stays as it is: Alembic's batch
        mode lets a revision ask for it again.

        Raises:
            CommandError: SQLite could not keep it, or another constraint has the name.
        """
        before = len(self.new.table_constraints)
        try:
            new = self.new.with_table_constraint(definition)
        except NotACreateTable as error:
            raise CommandError(f"SQLite does not understand: {definition}") from error
        if len(new.table_constraints) != before + 1:
            raise CommandError(f"This is not one constraint: {definition}")
        added = new.table_constraints[-1]
        if of_type:
            self._remove_check_of_type(new, added)
            new = self.new.with_table_constraint(definition)
        if self._is_there(added):
            return
        self._refuse_unknown_columns(added)
        if isinstance(added, PrimaryKey):
            self._set_primary_key(added, definition)
            return
        if isinstance(added, Check) and quotes_names:
            self._refuse_unknown_names(new, added.expression)
        self.new = new

    def _remove_check_of_type(self, table: CreateTable, added: Constraint) -> None:
        for present in self._called_as(added):
            of_same = columns_of(self.new, present) == columns_of(table, added)
            if isinstance(present, Check) and of_same and not _asks_for_the_same(present, added):
                self.new = self.new.without_constraint(present)
                return

    def _is_there(self, added: Constraint) -> bool:
        for present in self._called_as(added):
            if _asks_for_the_same(present, added):
                return True
            if isinstance(present, PrimaryKey) and isinstance(added, PrimaryKey):
                return False  # there is one only, and the new one takes its place
            raise CommandError(
                f"Table {self.new.name} has a constraint {present.name} already: "
                f"{self.new.text(present)}"
            )
        return False

    def _called_as(self, added: Constraint) -> list[Constraint]:
        """The constraints that have the name of another."""
        return [
            present
            for present in self.new.constraints
            if added.name and present.name and same_name(added.name, present.name)
        ]

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

        The same key gets the name, and keeps what a revision cannot say: AUTOINCREMENT, DESC.
        """
        present = self.new.primary_key
        if present is not None and present.is_of(added.columns):
            if added.name is not None:
                self.new = self.new.with_constraint_name(present, added.name)
            return
        if present is not None:
            self.new = self.new.without_constraint(present)
        self.new = self.new.with_table_constraint(definition)

    def name_constraints(self, names: Iterable[tuple[Constraint, str]]) -> None:
        """Give constraints of the table as it is now wanted a name, from last to first."""
        table = self.new
        for constraint, name in names:
            table = table.with_constraint_name(constraint, name)
        self.new = table

    def give_up_key_with(self, name: str) -> None:
        """Remove the primary key if it holds a column; another is added before anything is applied."""
        key = self.new.primary_key
        if key is not None and key.has(name):
            self.new = self.new.without_constraint(key)

    def drop_constraint(self, constraint: Constraint) -> None:
        """Remove a constraint of the table as it is now wanted.

        SQLite takes the same one twice, under the same name, as it comes from unique=True beside a
        UniqueConstraint with a naming convention. Then all of them go.

        Raises:
            CommandError: the table cannot be without it.
        """
        if isinstance(constraint, PrimaryKey) and self.new.without_rowid:
            raise CommandError(
                f"Table {self.new.name} is WITHOUT ROWID: it cannot be without a primary key"
            )
        self.new = self.new.without_constraint(constraint)
        for other in self.new.constraints:
            if other.name == constraint.name and _asks_for_the_same(other, constraint):
                self.drop_constraint(other)
                return

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
        if key is None or not self._counts(key):
            return  # as SQLAlchemy, which overlooks it where a table is created
        if alias is None:
            raise CommandError(
                f"Only an INTEGER PRIMARY KEY can be AUTOINCREMENT; table {self.new.name} has none"
            )
        if key.column is None:
            self.new = self.new.without_constraint(key)
            named = f"CONSTRAINT {write_name(key.name)} " if key.name is not None else ""
            conflict = f" ON CONFLICT {key.on_conflict}" if key.on_conflict else ""
            clause = f"{named}PRIMARY KEY{conflict} AUTOINCREMENT"
            self.new = self.new.with_column_constraint(alias, clause)
        else:
            self.new = self.new.insert(key.end, " AUTOINCREMENT")

    def _counts(self, key: PrimaryKey) -> bool:
        """Whether numbers are in a column of a primary key."""
        types = [self.column(name).declared_type for name in key.columns]
        return any(affinity(declared) in ("integer", "numeric") for declared in types)

    def clear_autoincrement(self) -> None:
        """Allow a rowid to be given again once its row is gone."""
        key = self.new.primary_key
        if key is None or not key.autoincrement:
            return
        text = self.new.text(key)
        word = next(token for token in reversed(tokenize(text)) if token.word == "AUTOINCREMENT")
        self.new = self.new.replace(key, (text[: word.start].rstrip() + text[word.end :]))

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
        Transition(
            self.database,
            self.old,
            self.new,
            self.sources,
            self.dropped_indexes,
            always_rebuild=self.always_rebuild,
            never_rebuild=self.never_rebuild,
        ).make(create_indexes)
        self._start(self.new.name)


def _asks_for_the_same(one: Constraint, other: Constraint) -> bool:
    """Whether two constraints are alike in all but their place in the statement."""
    if isinstance(one, Check) and isinstance(other, Check):
        alike = unwrap(one.expression) == unwrap(other.expression)
        return alike and one.on_conflict == other.on_conflict
    first, second = (replace(each, start=0, end=0, column=None) for each in (one, other))
    return fold(repr(first)) == fold(repr(second))


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
