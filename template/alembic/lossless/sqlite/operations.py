"""Alembic's operations on one table, one after the other, as changes of its statement.

Speaks Alembic's names of operations and SQLAlchemy's objects on the one side, `TableChange`,
`rename_column` and `rename_table` on the other. Knows nothing of how a change is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from alembic.util import CommandError
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Constraint,
    DefaultClause,
    Dialect,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TextClause,
)
from sqlalchemy.sql.type_api import TypeEngine
from sqlalchemy.types import to_instance

from . import statement
from .alter import BETWEEN, rename_column, rename_table
from .change import TableChange
from .constructs import (
    DROPPABLE,
    attach_index,
    attached_column,
    attached_constraint,
    column_definition,
    constraint_definition,
    declared_type,
    default_expression,
    find_constraint,
    find_meant,
    generated_clause,
    means,
    names_by_convention,
    same_key,
    with_column_called,
)
from .database import Database
from .tokens import fold, same_name

if TYPE_CHECKING:
    from .impl import LosslessSQLiteImpl

# For these alone, Alembic's batch mode makes no table anew ("recreate" of batch_alter_table).
_IN_PLACE = ("add_column", "create_index", "drop_index")

# An operation as Alembic keeps it in a batch: the method's name, its arguments.
Operation = tuple[str, tuple[Any, ...], dict[str, Any]]


class NoSuchConstraint(CommandError, ValueError):
    """There is none to drop. Alembic's own batch mode raises ValueError, and revisions catch it."""


@dataclass
class BatchOptions:
    """What was given to batch_alter_table, as its documentation describes."""

    recreate: str = "auto"
    partial_reordering: Sequence[Sequence[str]] = ()
    copy_from: Table | None = None
    table_args: Sequence[Any] = ()
    table_kwargs: Mapping[str, Any] = field(default_factory=dict)
    reflect_args: Sequence[Any] = ()
    reflect_kwargs: Mapping[str, Any] = field(default_factory=dict)
    naming_convention: Mapping[str, Any] | None = None


class TableOperations:
    """Runs operations on one table of a database.

    Args:
        impl: Alembic's implementation, for creating and dropping indexes.
        database: where the table is.
        table: its name.
        conventions: naming conventions to find constraints without names by.
        options: those of batch_alter_table.
        renamed: names now, for names (folded) by which operations may still call columns.
    """

    def __init__(
        self,
        impl: LosslessSQLiteImpl,
        database: Database,
        table: str,
        conventions: Iterable[Mapping[str, Any]],
        options: BatchOptions | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self.impl = impl
        self.dialect: Dialect = impl.dialect
        self.database = database
        self.options = options or BatchOptions()
        self.conventions = tuple(conventions)
        self.change = TableChange(
            database,
            table,
            always_rebuild=self.options.recreate == "always",
            never_rebuild=self.options.recreate == "never",
        )
        self.renamed: dict[str, str] = dict(renamed or {})
        # Columns (folded) whose names others were to have; by these names they are meant.
        self._set_aside: set[str] = set()
        # Of constraints in batch_alter_table's arguments.
        self._given_names: dict[str, Constraint] = {}
        self._new_indexes: list[tuple[Index, dict[str, Any]]] = []

    def run(self, operations: Iterable[Operation]) -> None:
        """Run operations in their order; those that allow it are applied together at the end.

        Raises:
            CommandError: one of them is not possible; the message says why.
        """
        waiting = list(operations)
        self._apply_overrides()
        self._name_constraints(waiting)
        while waiting:
            operation = waiting.pop(0)
            if operation[0] == "drop_column":
                successor = self._successor(operation, waiting)
                if successor is not None:
                    self._replace_column(successor, waiting)
                    continue
                self._make_way(operation, waiting)
                _, arguments, options = operation
                self.drop_column(*arguments, going=self._dropped_with(waiting), **options)
                continue
            dropped = self._free_name_for(operation, waiting)
            if dropped is not None:
                waiting.remove(dropped)
                waiting[:0] = [dropped, operation]
                continue
            self._run_one(operation)
        self._apply_reordering()
        self._apply()

    def _run_one(self, operation: Operation) -> None:
        name, arguments, options = operation
        getattr(self, name)(*arguments, **options)

    def _successor(self, drop: Operation, waiting: Sequence[Operation]) -> Column[Any] | None:
        """The column of the same name that is added later in the batch.

        As in Alembic's batch mode, indexes and constraints that name it are the new column's then.
        """
        name = drop[1][1].name
        if self.change.new.find_column(name) is None:
            return None
        for operation, arguments, options in waiting:
            if operation == "add_column" and same_name(arguments[1].name, name):
                added: Column[Any] = arguments[1]
                return added
            if operation == "rename_table" or options.get("name"):
                return None  # what is asked so far is applied there, without the column
        return None

    def _dropped_with(self, waiting: Sequence[Operation]) -> list[str]:
        """The columns that are dropped before what is asked so far is applied."""
        found = []
        for place, operation in enumerate(waiting):
            name, arguments, options = operation
            if name == "rename_table" or options.get("name"):
                break
            if name == "drop_column" and self._successor(operation, waiting[place + 1 :]) is None:
                found.append(self._current(arguments[1].name))
        return found

    def _replace_column(self, added: Column[Any], waiting: Sequence[Operation]) -> None:
        """Drop the column in whose place another is added."""
        self.change.drop_replaced_column(
            added.name,
            in_key=added.primary_key,
            new_indexes=[str(args[0].name) for name, args, _ in waiting if name == "create_index"],
        )

    def _make_way(self, drop: Operation, waiting: list[Operation]) -> None:
        """Drop first what a later operation of the batch drops or replaces, and a column may be used by."""
        for operation in list(waiting):
            name, (dropped, *_) = operation[0], operation[1]
            if name == "add_constraint" and isinstance(dropped, PrimaryKeyConstraint):
                self.change.give_up_key_with(self._current(drop[1][1].name))
            if name == "drop_constraint":
                there = self._find(dropped) is not None
            else:
                there = name == "drop_index" and self._has_index(str(dropped.name))
            if there:
                waiting.remove(operation)
                self._run_one(operation)

    def _free_name_for(self, rename: Operation, waiting: Sequence[Operation]) -> Operation | None:
        """Let the column that has a column's new name give it up, if it does so later in the batch.

        In Alembic's batch mode operations call columns by their earlier names, so the order of
        renames says nothing.

        Returns:
            The operation that drops that column, which is to run first.
        """
        wanted = rename[2].get("name") if rename[0] == "alter_column" else None
        if wanted is None or self.change.new.find_column(wanted) is None:
            return None
        if same_name(self._current(rename[1][1]), wanted):
            return None
        for operation in waiting:
            name, arguments, options = operation
            if name == "rename_table":
                break
            if name == "drop_column" and same_name(arguments[1].name, wanted):
                return operation
            gives_up = name == "alter_column" and options.get("name")
            if gives_up and same_name(arguments[1], wanted):
                self._rename(wanted, self.database.unused_name(BETWEEN))
                self._set_aside.add(fold(wanted))
                break
        return None

    def _has_index(self, name: str) -> bool:
        waiting = any(index.name == name for index, _ in self._new_indexes)
        return not waiting and self.database.find("index", name) is not None

    def _apply(self) -> None:
        self.change.apply(self._create_indexes)

    def _create_indexes(self) -> None:
        for index, options in self._new_indexes:
            self.impl.create_index(index, **options)
        self._new_indexes.clear()

    # -- columns

    def add_column(
        self,
        table_name: str,
        column: Column[Any],
        *,
        insert_before: str | None = None,
        insert_after: str | None = None,
        if_not_exists: bool | None = None,
        inline_references: bool | None = None,
        inline_primary_key: bool | None = None,
        **_: Any,
    ) -> None:
        if if_not_exists and self.change.new.find_column(column.name) is not None:
            return
        key = self.change.new.primary_key
        in_key = key is not None and key.has(column.name)
        definition = column_definition(
            self.dialect,
            column,
            inline_references=inline_references,
            inline_primary_key=(inline_primary_key or column.primary_key) and not in_key,
        )
        before = self._current(insert_before) if insert_before else None
        after = self._current(insert_after) if insert_after else None
        self.change.add_column(definition, before=before, after=after)

    def drop_column(
        self,
        table_name: str,
        column: Column[Any],
        *,
        if_exists: bool | None = None,
        going: Sequence[str] = (),
        **_: Any,
    ) -> None:
        name = self._current(column.name)
        if if_exists and self.change.new.find_column(name) is None:
            return
        for index, _options in list(self._new_indexes):
            if any(isinstance(e, Column) and e.name == name for e in index.expressions):
                if len(index.expressions) > 1:
                    raise CommandError(f"Index {index.name} is for column {name}, which is dropped")
                self._new_indexes = [new for new in self._new_indexes if new[0] is not index]
        self.change.drop_column(name, going)

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: TypeEngine[Any] | type[TypeEngine[Any]] | None = None,
        existing_type: Any = None,
        **_: Any,  # comments, which SQLite has nowhere to keep, and what only other engines need
    ) -> None:
        column = self.change.column(self._current(column_name)).name
        if name is not None and name != column:
            self._rename(column_name, name)
            column = name
        if type_ is not None:
            type_ = to_instance(type_)
            self._set_type(column, type_, existing_type)
        if server_default is not False:
            self._set_default(column, type_ or existing_type, server_default)
        if nullable is not None:
            self.change.set_not_null(column, not nullable)

    def _rename(self, column: str, name: str) -> None:
        self._apply()
        rename_column(self.database, self.change.old.name, self._current(column), name)
        self.renamed[fold(column)] = name
        self._reload(self.change.old.name)

    def _set_type(self, column: str, type_: TypeEngine[Any], existing_type: Any) -> None:
        """Declare another type. A collation that only the revision's earlier type has goes with it."""
        declared, collation = declared_type(self.dialect, type_)
        if collation is None and existing_type is not None:
            # Not by its declaration: it may be one that only another engine could declare.
            earlier = to_instance(existing_type).dialect_impl(self.dialect)
            known = getattr(earlier, "collation", None)
            if known and same_name(known, self.change.column(column).collation or ""):
                self.change.drop_collation(column)
        self.change.set_type(column, declared, collation)

    def _set_default(self, column: str, type_: Any, default: Any) -> None:
        if isinstance(default, Identity):
            raise CommandError("SQLite has no IDENTITY columns; use INTEGER PRIMARY KEY")
        if isinstance(default, Computed):
            self.change.set_generated(column, generated_clause(self.dialect, default))
        elif default is None:
            self.change.set_default(column, None)
        else:
            type_ = None if type_ is None else to_instance(type_)
            expression = default_expression(self.dialect, type_, default)
            self.change.set_default(column, expression)

    def _current(self, name: str) -> str:
        """A column's name now; a batch may still call it by the name it had when it began."""
        if fold(name) in self._set_aside or self.change.new.find_column(name) is None:
            return self.renamed.get(fold(name), name)
        return name

    def _call_by_names_now(self, columns: Iterable[Any]) -> None:
        """Let a new constraint or index mean a column that the batch has renamed before.

        In Alembic's batch mode they call it by its earlier name.
        """
        for column in columns:
            if isinstance(column, Column):
                column.name = self._current(column.name)

    def _reload(self, table: str) -> None:
        self.change = TableChange(
            self.database, table, never_rebuild=self.options.recreate == "never"
        )

    # -- constraints

    def add_constraint(self, constraint: Constraint, **_: Any) -> None:
        rule = getattr(constraint, "_create_rule", None)
        if rule is not None and not rule(self.impl):
            return  # an Enum or Boolean that makes no constraint here
        if not isinstance(constraint, CheckConstraint):
            self._call_by_names_now(getattr(constraint, "columns", ()))
        definition = constraint_definition(self.dialect, constraint)
        if not definition:
            raise CommandError(self._nothing_to_add(constraint))
        of_type = bool(getattr(constraint, "_type_bound", False))
        if of_type:
            for old in list(self.renamed):
                definition = with_column_called(definition, old, self._current(old))
        by_hand = isinstance(getattr(constraint, "sqltext", None), TextClause)
        self.change.add_constraint(definition, quotes_names=not by_hand, of_type=of_type)

    def _nothing_to_add(self, constraint: Constraint) -> str:
        table = self.change.new.name
        if isinstance(constraint, ForeignKeyConstraint):
            return (
                f"A foreign key of table {table} cannot refer to {constraint.referred_table.fullname}"
                ": SQLite has none from one database to another. If both tables are in the same "
                "one, give source_schema and referent_schema alike, or neither"
            )
        return f"SQLite has nothing for this constraint of table {table}: {constraint!r}"

    def drop_constraint(
        self, constraint: Constraint, *, if_exists: bool | None = None, **_: Any
    ) -> None:
        found = self._find(constraint)
        if found is not None:
            self.change.drop_constraint(found)
        elif not if_exists and getattr(constraint, "_type_bound", False) is False:
            raise NoSuchConstraint(self._no_such_constraint(constraint))

    def _find(self, constraint: Constraint) -> statement.Constraint | None:
        table = self.change.new
        found = find_constraint(self.dialect, table, constraint, self.conventions)
        given = self._given_names.get(str(constraint.name))
        if found is None and given is not None:
            found = find_meant(self.dialect, table, given, named=True)
        return found

    def _no_such_constraint(self, constraint: Constraint) -> str:
        table = self.change.new
        index = self.database.find("index", str(constraint.name))
        if index is not None:
            return (
                f"Table {table.name} has no constraint {constraint.name}, but an index of that "
                "name: use drop_index()"
            )
        for other in table.constraints:
            if other.name and same_name(other.name, str(constraint.name)):
                return (
                    f"{other.name} is {table.text(other)} of column {other.column} of table "
                    f"{table.name}, which alter_column() changes"
                )
        present = [c.name for c in table.constraints if c.name and isinstance(c, DROPPABLE)]
        has = f"it has: {', '.join(present)}" if present else "none of its constraints has a name"
        return f"Table {table.name} has no constraint {constraint.name}; {has}"

    # -- indexes, the table's name

    def create_index(self, index: Index, **options: Any) -> None:
        self._call_by_names_now(index.expressions)
        self._new_indexes.append((index, options))

    def drop_index(self, index: Index, **options: Any) -> None:
        waiting = [known for known in self._new_indexes if known[0].name == index.name]
        if waiting:
            self._new_indexes.remove(waiting[0])
        else:
            self.impl.drop_index(index, **options)

    def rename_table(self, old: str, new: str, schema: str | None = None) -> None:
        self._apply()
        rename_table(self.database, old, new)
        self._reload(new)

    def create_table_comment(self, *_: Any, **__: Any) -> None:
        """SQLite has nowhere to keep a comment."""

    drop_table_comment = create_table_comment
    create_column_comment = create_table_comment

    # -- what batch_alter_table was given besides

    def _apply_overrides(self) -> None:
        """Bring in what copy_from, reflect_args and table_args say beyond what is there.

        The table itself is the authority: nothing of it is given up because an argument does not
        repeat it. A constraint comes in if the table has none of the same content.
        """
        options = self.options
        given = [*options.reflect_args, *options.table_args]
        if options.copy_from is None:
            self._apply_listeners()
            self._override_columns(
                item for item in options.reflect_args if isinstance(item, Column)
            )
        self._add_given_columns(item for item in options.table_args if isinstance(item, Column))
        for item in given:
            if isinstance(item, Constraint):
                self._add_given_constraint(item)
            elif isinstance(item, Index):
                self._add_given_index(item)
        if options.copy_from is not None:
            for constraint in options.copy_from.constraints:
                self._add_given_constraint(constraint, exact=False)
        self._apply_table_options()

    def _override_columns(self, columns: Iterable[Column[Any]]) -> None:
        """Bring in what columns say: not that they are nullable, for example, if they don't say it."""
        for column in columns:
            if self.change.new.find_column(column.name) is None:
                continue
            self._override_type(column.name, column.type)
            nullable = getattr(column, "_user_defined_nullable", None)
            if isinstance(nullable, bool):
                self.change.set_not_null(column.name, not nullable)
            if _default_of(column) is not None:
                self._set_default(column.name, column.type, _default_of(column))
            for constraint in attached_column(column, self.change.new.name)[1]:
                self._add_given_constraint(constraint, exact=False)

    def _override_type(self, name: str, type_: TypeEngine[Any]) -> None:
        declared, collation = declared_type(self.dialect, type_)
        if declared and fold(declared) != fold(self.change.column(name).declared_type):
            self.change.set_type(name, declared, collation)

    def _apply_listeners(self) -> None:
        """Bring in what listeners for `column_reflect` make of the table that SQLAlchemy reflects."""
        listeners = self.options.reflect_kwargs.get("listeners")
        if not listeners:
            return
        if not self.database.live:
            raise CommandError(
                "--sql reflects no table, so listeners in reflect_kwargs have nothing to listen to"
            )
        plain, heard = self._reflected(), self._reflected(listeners=listeners)
        before = {column.name: column for column in plain.columns}
        for column in heard.columns:
            if column.name in before:
                self._override_changed(before[column.name], column)
        for constraint in heard.constraints:
            if getattr(constraint, "_type_bound", False):
                self._add_given_constraint(constraint)

    def _reflected(self, **options: Any) -> Table:
        schema = self.database.schema
        return Table(
            self.change.new.name,
            MetaData(),
            schema=None if schema == "main" else schema,
            autoload_with=self.impl.bind,
            resolve_fks=False,
            **options,
        )

    def _override_changed(self, before: Column[Any], after: Column[Any]) -> None:
        """Bring in where one reflection of a column differs from another."""
        if declared_type(self.dialect, after.type) != declared_type(self.dialect, before.type):
            self._override_type(after.name, after.type)
        if after.nullable != before.nullable:
            self.change.set_not_null(after.name, not after.nullable)
        if str(_default_of(after)) != str(_default_of(before)):
            self._set_default(after.name, after.type, _default_of(after))

    def _add_given_columns(self, columns: Iterable[Column[Any]]) -> None:
        for column in columns:
            if self.change.new.find_column(column.name) is not None:
                self._override_columns([column])
                continue
            added, constraints = attached_column(column, self.change.new.name)
            self.add_column(self.change.new.name, added)
            for constraint in constraints:
                self._add_given_constraint(constraint)

    def _add_given_index(self, index: Index) -> None:
        if index.table is None:
            attach_index(index, self.change.new.name, [c.name for c in self.change.new.columns])
        if self.database.find("index", str(index.name)) is None:
            self._new_indexes.append((index, {}))

    def _add_given_constraint(self, constraint: Constraint, *, exact: bool = True) -> None:
        """Add a constraint that an argument has, if the table does not have it.

        Args:
            constraint: what the argument has.
            exact: whether it is the constraint; otherwise it describes the table, and a foreign key
                that it says less of is the same.
        """
        table = self.change.new
        attached = attached_constraint(
            constraint, table.name, [column.name for column in table.columns]
        )
        if isinstance(attached, PrimaryKeyConstraint) and not attached.columns:
            return  # the empty key that every Table object has
        if attached.name is not None:
            self._given_names[str(attached.name)] = attached
        if not self._has(attached, exact=exact):
            self.add_constraint(attached)

    def _has(self, wanted: Constraint, *, exact: bool) -> bool:
        """Whether the table has a constraint of this content."""
        return any(
            means(self.dialect, wanted, found)
            and (
                not isinstance(wanted, ForeignKeyConstraint)
                or not isinstance(found, statement.ForeignKey)
                or same_key(wanted, found, self._targets(found), exact=exact)
            )
            for found in self.change.new.constraints
        )

    def _targets(self, key: statement.ForeignKey) -> tuple[str, ...]:
        """The columns that a foreign key of the table refers to; none if that is unknown."""
        if same_name(key.table, self.change.old.name):
            return key.targets_in(self.change.new)
        try:
            return key.targets_in(self.database.create_table(key.table))
        except CommandError:  # there is no such table
            return key.target_columns

    def _apply_table_options(self) -> None:
        wanted = {**self.options.reflect_kwargs, **self.options.table_kwargs}
        if wanted.get("sqlite_autoincrement"):
            self.change.set_autoincrement()
        elif wanted.get("sqlite_autoincrement") is False:
            self.change.clear_autoincrement()
        if wanted.get("sqlite_strict"):
            self.change.set_option("STRICT")
        if wanted.get("sqlite_with_rowid") is False:
            self.change.set_option("WITHOUT ROWID")

    def _name_constraints(self, operations: Iterable[Operation]) -> None:
        """Give constraints without a name the one that the batch's naming convention has for them.

        Alembic does where it makes the table anew, and later revisions may rely on the names.
        """
        convention, recreate = self.options.naming_convention, self.options.recreate
        anew = recreate == "always" or (
            recreate == "auto" and any(name not in _IN_PLACE for name, *_ in operations)
        )
        if convention and anew:
            self.change.name_constraints(names_by_convention(self.change.new, convention))

    def _apply_reordering(self) -> None:
        if not self.options.partial_reordering:
            return
        if self.options.recreate != "always":
            raise CommandError("partial_reordering needs recreate='always'")
        names = [column.name for column in self.change.new.columns]
        self.change.reorder(reordered(names, self.options.partial_reordering))


def _default_of(column: Column[Any]) -> Any:
    default = column.server_default
    return default.arg if isinstance(default, DefaultClause) else None


def reordered(names: Sequence[str], wanted: Iterable[Sequence[str]]) -> list[str]:
    """Names in an order that has the members of each group in the group's order.

    Others stay where they are, as far as the groups allow.

    Raises:
        CommandError: the groups contradict each other, or name a column that does not exist.
    """
    order = list(names)
    pairs = [pair for group in wanted for pair in pairwise(group)]
    for _ in range(len(order) * len(pairs) + 1):
        wrong = [(one, two) for one, two in pairs if _place(order, one) > _place(order, two)]
        if not wrong:
            return order
        one, two = wrong[0]
        order.insert(_place(order, one), order.pop(_place(order, two)))
    raise CommandError(f"No order of the columns fits partial_reordering: {pairs}")


def _place(order: Sequence[str], name: str) -> int:
    if name not in order:
        raise CommandError(f"partial_reordering names a column that does not exist: {name}")
    return list(order).index(name)
