"""What `alembic revision --autogenerate` writes: no empty revision, no lost column, no lost name.

Works on Alembic's operation objects only; knows no database engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

from alembic.config import Config
from alembic.operations.ops import (
    AddColumnOp,
    CreateCheckConstraintOp,
    CreateForeignKeyOp,
    CreateUniqueConstraintOp,
    DowngradeOps,
    DropColumnOp,
    DropConstraintOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.sql.elements import conv

from .metadata import DEFAULT_CONVENTION, conventional_name
from .renames import settle_renames, terminal

ChecksAbout = Callable[[Table, Sequence[str]], list[CheckConstraint]]


class Review(Protocol):
    """Alembic's `process_revision_directives` hook."""

    def __call__(
        self, context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None: ...


def review(config: Config, arguments: Mapping[str, str]) -> Review:
    """Make the hook that reviews a generated revision before it is written.

    Args:
        config: Alembic's configuration.
        arguments: what stands behind `alembic -x`.
    """

    def review_revision(
        context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None:
        # A program that calls Alembic's commands has no options. It may be checking only, and then
        # looks at what is there afterwards.
        called = config.cmd_opts is None
        if not (called or getattr(config.cmd_opts, "autogenerate", False)) or not directives:
            return
        script = directives[0]
        if all(operations.is_empty() for operations in script.upgrade_ops_list) and not called:
            directives.clear()
            config.print_stdout(
                "Autogenerate finds no difference: no revision is needed, none is written."
            )
            return
        for upgrade, downgrade in zip(
            script.upgrade_ops_list, script.downgrade_ops_list, strict=True
        ):
            put_in_order(upgrade, downgrade)
            ask = asking(terminal(), context, config)
            alike = getattr(context.impl, "holds_the_same", None)
            settle_renames(upgrade, downgrade, rename_answers(config, arguments), ask, alike)
            name_constraints(upgrade)
            name_constraints(downgrade)
            checks_about = getattr(context.impl, "checks_about", None)
            if checks_about is not None:
                keep_checks(upgrade, downgrade, checks_about)

    return review_revision


def asking(
    ask: Callable[[str], str] | None, context: MigrationContext, config: Config
) -> Callable[[str], str] | None:
    """Ask without a transaction: while somebody thinks, the application may want to write.

    Args:
        ask: puts a question; None if there is nobody to ask.
        context: what the database was read by. It holds no transaction of its own if it begins one
            for each revision.
        config: Alembic's configuration; with a connection of the caller perhaps, who may be in one.
    """
    connection = context.connection
    given = isinstance(config.attributes.get("connection"), Connection)
    ours = context.opts.get("transaction_per_migration") and not given
    if ask is None or connection is None or not ours:
        return ask

    def ask_freely(question: str) -> str:
        connection.rollback()
        return ask(question)

    return ask_freely


def rename_answers(config: Config, arguments: Mapping[str, str]) -> list[str]:
    """All that stood behind `-x rename=`, which may be given more than once."""
    given = getattr(config.cmd_opts, "x", None) or []
    answers = [item.partition("=")[2] for item in given if item.startswith("rename=")]
    if not answers and arguments.get("rename"):
        answers = [arguments["rename"]]
    return [answer.strip() for item in answers for answer in item.split(",")]


def put_in_order(upgrade: UpgradeOps, downgrade: DowngradeOps) -> None:
    """Take columns that are gone in the order of their table, in which they then come back: Alembic has a set of them."""
    for operations in (upgrade, downgrade):
        for table in operations.ops:
            if isinstance(table, ModifyTableOps):
                gone = [op for op in table.ops if _comes_from_the_database(op, operations)]
                ordered = iter(sorted(gone, key=_place))
                table.ops[:] = [next(ordered) if op in gone else op for op in table.ops]


def _comes_from_the_database(op: MigrateOperation, operations: UpgradeOps | DowngradeOps) -> bool:
    return isinstance(op, DropColumnOp if isinstance(operations, UpgradeOps) else AddColumnOp)


def _place(op: MigrateOperation) -> int:
    column = op.to_column() if isinstance(op, (AddColumnOp, DropColumnOp)) else None
    if column is None or column.table is None:
        return 0
    return [other.name for other in column.table.columns].index(column.name)


def keep_checks(upgrade: UpgradeOps, downgrade: DowngradeOps, checks_about: ChecksAbout) -> None:
    """Have the CHECKs that go with dropped columns come back with them: Alembic does not compare CHECKs.

    Args:
        upgrade: the operations of the revision.
        downgrade: the reverse of them, which is added to.
        checks_about: gives the CHECKs of a table that is in the database that are about some columns only.
    """
    back = {
        (op.schema, op.table_name): op for op in downgrade.ops if isinstance(op, ModifyTableOps)
    }
    for operations in upgrade.ops:
        if isinstance(operations, ModifyTableOps):
            gone = [op.to_column() for op in operations.ops if isinstance(op, DropColumnOp)]
            if gone and gone[0].table is not None:
                checks = checks_about(gone[0].table, [column.name for column in gone])
                bring_back = back[operations.schema, operations.table_name].ops
                bring_back += _creations(checks, gone[0], operations)


def _creations(
    checks: list[CheckConstraint], gone: Column[Any], operations: ModifyTableOps
) -> Iterator[CreateCheckConstraintOp]:
    """What creates the CHECKs of a table that go with a column; each under a name."""
    taken = {str(constraint.name) for constraint in gone.table.constraints}
    for check in checks:
        yield CreateCheckConstraintOp(
            conv(str(check.name)) if check.name else _free_name(gone.table, gone.name, taken),
            operations.table_name,
            check.sqltext,
            schema=operations.schema,
            **check.dialect_kwargs,
        )


def _free_name(table: Table, column: str, taken: set[str]) -> conv:
    """A name for a CHECK, in the manner of the default convention."""
    name = f"ck_{table.name}_{column}"
    numbered = (f"{name}_{number}" for number in count(2))
    free = name if name not in taken else next(other for other in numbered if other not in taken)
    taken.add(free)
    return conv(free)


def name_constraints(operations: UpgradeOps | DowngradeOps) -> None:
    """Give a name to each constraint that is added or dropped without one.

    SQLite reports most constraints without names, and Alembic would write `None`, which cannot be
    dropped. The same name is found again by what the constraint is about.
    """
    for table in operations.ops:
        if not isinstance(table, ModifyTableOps):
            continue
        for op in table.ops:
            if isinstance(op, (CreateForeignKeyOp, CreateUniqueConstraintOp)):
                if op.constraint_name is None:
                    op.constraint_name = _name(op)
            elif isinstance(op, DropConstraintOp) and op.constraint_name is None:
                created = op._reverse
                if isinstance(created, (CreateForeignKeyOp, CreateUniqueConstraintOp)):
                    op.constraint_name = _name(created)


def _name(op: CreateForeignKeyOp | CreateUniqueConstraintOp) -> conv | None:
    """The name by the default convention, marked as final."""
    constraint: Constraint
    if isinstance(op, CreateForeignKeyOp):
        table, columns = op.source_table, list(op.local_cols)
        targets = [f"{op.referent_table}.{name}" for name in op.remote_cols]
        constraint = ForeignKeyConstraint(columns, targets)
    else:
        table, columns = op.table_name, [str(name) for name in op.columns]
        constraint = UniqueConstraint(*columns)
    name = conventional_name(table, columns, constraint, DEFAULT_CONVENTION)
    return conv(name) if name is not None else None
