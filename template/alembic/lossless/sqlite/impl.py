"""Alembic's implementation for SQLite, with operations that lose nothing.

Defining a class with `__dialect__ = "sqlite"` is how Alembic learns of an implementation; importing
this module is enough. It takes Alembic's calls and hands each on to the module that knows the
subject; every operation works inside of `batch_alter_table` and directly on `op`.

A block of `batch_alter_table` is handed over as a whole: Alembic decides between ALTER statements
and its own copy of the table before an implementation sees the operations, and for
recreate="always" it never asks. So batch_alter_table is registered anew, through Alembic's own means
to do so (`Operations.register_operation`). For every other engine it does what it always did.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from alembic import context
from alembic.operations import BatchOperations, MigrateOperation, Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.util import CommandError, messaging
from sqlalchemy import (
    Column,
    Connection,
    Constraint,
    DDLElement,
    Executable,
    Index,
    MetaData,
    Table,
    text,
)
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable

from .alter import rename_table
from .comparison import ComparingImpl
from .database import Database, LiveDatabase, Mismatch
from .dependents import warn_of_users_of_index, warning_of_users
from .offline import Script, for_the_shell
from .operations import BatchOptions, Operation, TableOperations
from .rows import find_duplicates
from .statement import NotACreateTable
from .tokens import fold, without_last_comment
from .transactions import begin_in_earnest, transactions_of
from .values import with_values, with_values_as_stored

_alembics_own = Operations.batch_alter_table
_OF_THE_FILE = ("database or disk is full", "attempt to write a readonly database")
_RELATIVE = re.compile(r"(?:.+@)?[+-]\d+")  # "Relative Migration Identifiers" in Alembic's tutorial


def is_writing(options: Mapping[str, Any]) -> bool:
    """Whether a run with these options of a migration's context is to change anything."""
    return bool(options.get("destination_rev") or options.get("purge"))


class LosslessSQLiteImpl(ComparingImpl):
    """SQLite's part in Alembic."""

    __dialect__ = "sqlite"

    transactional_ddl = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.script = Script(self) if self.as_sql else None
        if self.as_sql:
            with_values_as_stored(self.dialect)
            # What op.get_bind() gives. Alembic's own leaves out what a statement is executed with.
            writing: Any = MockConnection(self.dialect, self._write)
            self.connection = writing
        # The column that the last operation has renamed: by its table, names by folded names.
        self._just_renamed: dict[tuple[str | None, str], dict[str, str]] = {}
        if not self.as_sql and self.connection is not None:
            # On a connection that transactions.py does not govern, the driver begins no transaction
            # before DDL, and to rely on one would lose the row of the version table. Whoever has
            # seen to that says so by Alembic's option.
            governed = transactions_of(self.connection) is not None
            self.transactional_ddl = governed or bool(self.context_opts.get("transactional_ddl"))

    # -- the run

    def start_migrations(self) -> None:
        """Tell the connection whether this run writes.

        A run without a destination does not, nor one that finds the database there already.
        """
        super().start_migrations()
        writing = is_writing(self.context_opts)
        if not writing:
            self.context_opts["dont_mutate"] = True
        if self.as_sql or self.connection is None:
            return
        transactions = transactions_of(self.connection)
        if transactions is not None:
            version_table = self.context_opts.get("version_table", "alembic_version")
            heads = transactions.peek_at_heads(version_table)
            relative = self._relative_destination()
            there = writing and self._is_there(heads)
            writing = writing and not there
            seen = heads if there or relative else None
            transactions.start_run(version_table, writing=writing, seen=seen, relative=relative)
        elif writing:
            begin_in_earnest(self.connection)
        if writing:
            self._explain_leftovers()

    def _relative_destination(self) -> str:
        """Where the run goes, if that counts from where the database is: `+1`, `branch@-2`."""
        destination = self.context_opts.get("destination_rev")
        relative = isinstance(destination, str) and _RELATIVE.fullmatch(destination)
        return str(destination) if relative else ""

    def _is_there(self, heads: tuple[str, ...] | None) -> bool:
        """Whether a database at these revisions is where the run would take it."""
        steps = self.context_opts.get("fn")
        if not heads or steps is None or self.context_opts.get("purge"):
            return False
        return not list(steps(heads, context.get_context()))

    def _explain_leftovers(self) -> None:
        for found in self.database().objects():
            if found.kind == "table" and found.name.startswith("_alembic_tmp_"):
                messaging.warn(
                    f"Table {found.name} is a leftover: another tool was stopped while it rebuilt "
                    f"a table. Nothing here uses it. If the table it was made for is complete, "
                    f'drop it: DROP TABLE "{found.name}"'
                )

    def emit_begin(self) -> None:
        assert self.script is not None
        self.script.begin()

    def emit_commit(self) -> None:
        assert self.script is not None
        self.script.commit()

    def static_output(self, text: str) -> None:
        super().static_output(text if self.script is None else for_the_shell(text))
        if self.script is not None:
            self.script.written(text)

    def _exec(
        self,
        construct: Executable | str,
        execution_options: Mapping[str, Any] | None = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Run a statement, or write it.

        A script for a database without a revision begins with the version table, as Alembic's do;
        `downgrade base` leaves one there, without a row.
        """
        if self.script is None or arguments or options:
            return super()._exec(construct, execution_options, *arguments, **options)
        if (
            isinstance(construct, CreateTable)
            and construct.element.name == self.script.version_table()
        ):
            self._write(CreateTable(construct.element, if_not_exists=True))
            self.script.guard_base()
        else:
            self._write(construct)
        return None

    def _write(
        self,
        construct: Executable | str,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Write a statement as it would be run: Alembic writes a tab as four spaces, in a text, too.

        Args:
            construct: the statement.
            parameters: what a revision executes it with; for each of several, one statement.
        """
        statement: Any = text(construct) if isinstance(construct, str) else construct
        if isinstance(statement, DDLElement) or not self.literal_binds:
            self._write_sql(str(statement.compile(dialect=self.dialect)))
            return
        for each in [parameters] if isinstance(parameters, Mapping) else parameters or [{}]:
            self._write_sql(with_values(statement, self.dialect, each))

    def _write_sql(self, sql: str) -> None:
        self.static_output(f"{without_last_comment(sql).strip()}{self.command_terminator}")

    def database(self, schema: str | None = None) -> Database:
        """The database that this run changes, or writes a script for."""
        if self.script is not None:
            return self.script.database(schema)
        assert self.connection is not None
        return LiveDatabase(self.connection, schema)

    # -- operations on a table

    def requires_recreate_in_batch(self, batch_op: Any) -> bool:
        """Whether to rebuild is decided later, when it is known what is asked."""
        return False

    def run_operations(
        self,
        table: str,
        operations: Iterable[Operation],
        schema: str | None = None,
        options: BatchOptions | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        """Run operations on one table by the least invasive way.

        Args:
            table: its name.
            operations: what to do.
            schema: where the table is.
            options: those of batch_alter_table.
            renamed: names now, for names (folded) by which the operations may still call columns;
                only if they belong to the operation before them.

        Raises:
            CommandError: one of them cannot be done without losing something; nothing was done.
        """
        if renamed is None:
            self._just_renamed = {}
        database = self.database(schema)
        conventions = self._conventions(options)
        try:
            with database.savepoint():
                TableOperations(self, database, table, conventions, options, renamed).run(
                    operations
                )
        except Mismatch as error:
            raise as_sqlite_would(error) from error
        except NotACreateTable as error:
            raise CommandError(
                f"SQLite would not understand what the revision makes of table {table}: {error}"
            ) from error
        except sqlite3.Error as error:
            if str(error) in _OF_THE_FILE:
                raise
            # Here, because most runs have no use for the module and all would wait for its import.
            from .standins import where_to_get_it

            advice = where_to_get_it(error) or while_reading(error)
            raise CommandError(
                f"Table {table} cannot be changed as the revision asks: {error}{advice}"
            ) from error

    def _conventions(self, options: BatchOptions | None) -> list[Mapping[str, Any]]:
        found = [options.naming_convention] if options and options.naming_convention else []
        target = self.context_opts.get("target_metadata")
        for metadata in target if isinstance(target, (list, tuple)) else [target]:
            if isinstance(metadata, MetaData):
                found.append(metadata.naming_convention)
        return found

    def alter_column(
        self, table_name: str, column_name: str, *, schema: str | None = None, **options: Any
    ) -> None:
        operation = ("alter_column", (table_name, column_name), options)
        self.run_operations(table_name, [operation], schema)
        name = options.get("name")
        if name is not None:
            names = {fold(column_name): name}
            self._just_renamed = {(schema, table_name): names}

    def add_column(
        self,
        table_name: str,
        column: Column[Any],
        *,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        self.run_operations(table_name, [("add_column", (table_name, column), options)], schema)

    def drop_column(
        self,
        table_name: str,
        column: Column[Any],
        *,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        self.run_operations(table_name, [("drop_column", (table_name, column), options)], schema)

    def add_constraint(self, const: Constraint, **options: Any) -> None:
        """Add a constraint, in which a column may have the name that `alter_column` has just changed.

        So Alembic makes the CHECK of a column's new type.
        """
        renamed = self._just_renamed.get((const.table.schema, const.table.name), {})
        self._run_on_table_of(const, ("add_constraint", (const,), options), renamed)

    def drop_constraint(self, const: Constraint, **options: Any) -> None:
        self._run_on_table_of(const, ("drop_constraint", (const,), options))

    def _run_on_table_of(
        self,
        constraint: Constraint,
        operation: Operation,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        table = constraint.table
        self.run_operations(table.name, [operation], table.schema, renamed=renamed)

    def rename_table(
        self, old_table_name: str, new_table_name: str, schema: str | None = None
    ) -> None:
        try:
            rename_table(self.database(schema), old_table_name, new_table_name)
        except Mismatch as error:
            raise as_sqlite_would(error) from error

    def create_index(self, index: Index, **options: Any) -> None:
        self._refuse_unknown_columns(index)
        try:
            super().create_index(index, **options)
        except IntegrityError as error:
            raise explained(error, self._explain_duplicates(index, error)) from error
        except DBAPIError as error:
            raise explained(error, f"Index {index.name} cannot be made: {error.orig}") from error

    def drop_index(self, index: Index, **options: Any) -> None:
        self._warn_of_users(index)
        try:
            super().drop_index(index, **options)
        except DBAPIError as error:
            message = f"Index {index.name} cannot be dropped: {error.orig}"
            raise explained(error, message, ValueError) from error

    def _warn_of_users(self, index: Index) -> None:
        try:
            database = self.database(index.table.schema if index.table is not None else None)
        except CommandError:  # a script, and nothing is known of the schema
            return
        warn_of_users_of_index(database, str(index.name))

    def create_table(self, table: Table, **options: Any) -> None:
        try:
            super().create_table(table, **options)
        except DBAPIError as error:
            raise explained(error, f"Table {table.name} cannot be made: {error.orig}") from error

    def drop_table(self, table: Table, **options: Any) -> None:
        with self._warning_of_users(table):
            try:
                super().drop_table(table, **options)
            except DBAPIError as error:
                message = f"Table {table.name} cannot be dropped: {error.orig}"
                raise explained(error, message) from error

    def _warning_of_users(self, table: Table) -> AbstractContextManager[None]:
        try:
            database = self.database(table.schema)
        except CommandError:  # a script, and nothing is known of the schema
            return nullcontext()
        return warning_of_users(database, table.name)

    def _refuse_unknown_columns(self, index: Index) -> None:
        """SQLite would take a name in double quotes that no column has for a string."""
        if index.table is None or self.script is not None:
            return
        found = self.database(index.table.schema).find("table", index.table.name)
        if found is None or (found.sql or "")[:14].upper() == "CREATE VIRTUAL":
            return
        table = self.database(index.table.schema).create_table(index.table.name)
        for column in index.expressions:
            if isinstance(column, Column) and table.find_column(column.name) is None:
                message = f"Index {index.name} cannot be made: table {table.name} has no column"
                raise as_sqlite_would(
                    Mismatch(f"{message} {column.name}", f"no such column: {column.name}")
                )

    def _explain_duplicates(self, index: Index, error: IntegrityError) -> str:
        assert index.table is not None
        problem = f"Unique index {index.name} cannot be made: {error.orig}"
        database = self.database(index.table.schema)
        table = database.create_table(index.table.name)
        names = [column.name for column in index.columns if table.find_column(column.name)]
        try:
            rows = find_duplicates(database, database.qualified(table.name), names) if names else ""
        except sqlite3.Error:
            rows = ""
        return f"{problem}. More than one row has {', '.join(names)} = {rows}" if rows else problem

    def create_table_comment(self, table: Table) -> None:
        """SQLite has nowhere to keep a comment."""

    def drop_table_comment(self, table: Table) -> None:
        """SQLite has nowhere to keep a comment."""

    def create_column_comment(self, column: Column[Any]) -> None:
        """SQLite has nowhere to keep a comment."""


class ExplainedError(CommandError):
    """An error of the database that Alembic shows as a message, without a traceback."""

    message = ""

    def __str__(self) -> str:
        return self.message


def explained(
    error: DBAPIError, message: str, also: type[Exception] | None = None
) -> ExplainedError:
    """An error with a message, still of its own kind: a revision may expect and catch it.

    Args:
        error: what SQLAlchemy raised.
        message: what it means.
        also: what Alembic's own batch mode raises.
    """
    kind: Any = type(error)
    kinds = (ExplainedError, kind) if also is None else (ExplainedError, kind, also)
    both: Any = type(kind.__name__, kinds, {})
    found: ExplainedError = both(error.statement, error.params, error.orig)
    found.message = f"{message}{while_reading(error.orig)}"
    return found


def while_reading(error: BaseException | None) -> str:
    """What to do if SQLite will not change what its own connection is reading."""
    if not str(error).startswith("database table is locked"):
        return ""
    return (
        ". The revision has not read a result to its end: fetch all rows, with .all() or fetchall(), "
        "before it changes tables"
    )


def as_sqlite_would(error: Mismatch) -> ExplainedError:
    """An error of the kinds that SQLite's own ALTER TABLE, or Alembic's batch, would have raised."""
    own = OperationalError(None, None, sqlite3.OperationalError(error.sqlite))
    return explained(own, str(error), error.also)


# --- batch_alter_table ------------------------------------------------------------------------


class LosslessBatch(BatchOperationsImpl):
    """Collects the operations of one block and hands them over when it ends."""

    def add_column(self, *arguments: Any, **options: Any) -> None:
        """Also with insert_before and insert_after, whatever `recreate` says."""
        self.batch.append(("add_column", arguments, options))

    def drop_constraint(self, const: Any, **options: Any) -> None:
        self.batch.append(("drop_constraint", (const,), options))

    def add_constraint(self, const: Any, **options: Any) -> None:
        self.batch.append(("add_constraint", (const,), options))

    def flush(self) -> None:
        """Run the operations; a block without any asks nothing, not even that there is a table."""
        if not self.batch and self.recreate != "always":
            return
        options = BatchOptions(
            recreate=self.recreate,
            partial_reordering=self.partial_reordering or (),
            copy_from=self.copy_from,
            table_args=self.table_args or (),
            table_kwargs=self.table_kwargs,
            reflect_args=self.reflect_args or (),
            reflect_kwargs={**self.reflect_kwargs, "listeners": self._listeners()},
            naming_convention=self.naming_convention,
        )
        implementation: Any = self.impl
        with self._transaction():
            implementation.run_operations(self.table_name, self.batch, self.schema, options)

    def _transaction(self) -> AbstractContextManager[Any]:
        """As in Alembic's own: where nobody has begun a transaction, a block has one for itself."""
        connection = self.impl.connection
        if isinstance(connection, Connection) and not connection.in_transaction():
            return connection.begin()
        return nullcontext()  # someone has, or this is a script

    def _listeners(self) -> list[Any]:
        """Those that the revision gave; Alembic adds one of its implementation."""
        listeners = self.reflect_kwargs.get("listeners", ())
        return [each for each in listeners if each[1] != self.impl.autogen_column_reflect]


@contextmanager
def _lossless_block(
    operations: Operations,
    table_name: str,
    schema: str | None,
    recreate: str,
    partial_reordering: Sequence[Sequence[str]] | None,
    copy_from: Table | None,
    table_args: Sequence[Any],
    table_kwargs: Mapping[str, Any],
    reflect_args: Sequence[Any],
    reflect_kwargs: Mapping[str, Any],
    naming_convention: Mapping[str, Any] | None,
) -> Iterator[BatchOperations]:
    collected: Any = LosslessBatch(  # type: ignore[no-untyped-call]
        operations,
        table_name,
        schema,
        recreate,
        copy_from,
        table_args,
        table_kwargs,
        reflect_args,
        reflect_kwargs,
        naming_convention,
        partial_reordering,
    )
    yield BatchOperations(operations.migration_context, impl=collected)
    collected.flush()


@Operations.register_operation("batch_alter_table")
class BatchAlterTable(MigrateOperation):
    """Stands for the block in Alembic's table of operations."""

    @classmethod
    def batch_alter_table(
        cls,
        operations: Operations,
        table_name: str,
        schema: str | None = None,
        recreate: str = "auto",
        partial_reordering: Sequence[Sequence[str]] | None = None,
        copy_from: Table | None = None,
        table_args: Sequence[Any] = (),
        table_kwargs: Mapping[str, Any] | None = None,
        reflect_args: Sequence[Any] = (),
        reflect_kwargs: Mapping[str, Any] | None = None,
        naming_convention: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[BatchOperations]:
        """As Alembic documents it, with `LosslessBatch` on SQLite."""
        lossless = isinstance(operations.impl, LosslessSQLiteImpl)
        block: Any = _lossless_block if lossless else _alembics_own
        found: AbstractContextManager[BatchOperations] = block(
            operations,
            table_name,
            schema,
            recreate,
            partial_reordering,
            copy_from,
            table_args,
            table_kwargs or {},
            reflect_args,
            reflect_kwargs or {},
            naming_convention,
        )
        return found
