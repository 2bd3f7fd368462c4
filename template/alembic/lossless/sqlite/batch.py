"""`op.batch_alter_table`, handed as a whole to an implementation that can do better than copy.

Alembic decides between ALTER statements and its own copy of the table before an implementation
sees the operations; for recreate="always" it never asks. So batch_alter_table is registered anew,
through Alembic's own means to do so (`Operations.register_operation`). For every other
implementation it does what it always did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from alembic.ddl.impl import DefaultImpl
from alembic.operations import BatchOperations, MigrateOperation, Operations
from alembic.operations.batch import BatchOperationsImpl

from .operations import BatchOptions

_alembics_own = Operations.batch_alter_table


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
        """Run the operations."""
        options = BatchOptions(
            recreate=self.recreate,
            partial_reordering=self.partial_reordering or (),
            copy_from=self.copy_from,
            table_args=self.table_args or (),
            table_kwargs=self.table_kwargs,
            reflect_args=self.reflect_args or (),
            naming_convention=self.naming_convention,
        )
        implementation: Any = self.impl
        implementation.run_operations(self.table_name, self.batch, self.schema, options)


def install(implementation: type[DefaultImpl]) -> None:
    """Let batch_alter_table use `LosslessBatch` wherever this implementation is at work."""

    @Operations.register_operation("batch_alter_table")
    class BatchAlterTable(MigrateOperation):
        """Stands for the block in Alembic's table of operations."""

        @classmethod
        def batch_alter_table(
            cls, operations: Operations, table_name: str, schema: str | None = None, **options: Any
        ) -> AbstractContextManager[BatchOperations]:
            if not isinstance(operations.impl, implementation):
                return _alembics_own(operations, table_name, schema, **options)
            return _lossless_block(operations, table_name, schema, options)


@contextmanager
def _lossless_block(
    operations: Operations, table_name: str, schema: str | None, options: Mapping[str, Any]
) -> Iterator[BatchOperations]:
    collected: Any = LosslessBatch(  # type: ignore[no-untyped-call]
        operations,
        table_name,
        schema,
        options.get("recreate", "auto"),
        options.get("copy_from"),
        options.get("table_args", ()),
        options.get("table_kwargs", {}),
        options.get("reflect_args", ()),
        options.get("reflect_kwargs", {}),
        options.get("naming_convention"),
        options.get("partial_reordering"),
    )
    yield BatchOperations(operations.migration_context, impl=collected)
    collected.flush()
