"""A column that is gone and one that is new: two columns, or one under another name?

Autogenerate cannot know, and takes it for two: the values would be lost. So it is asked, or said
beforehand with `-x rename=table.old:new`. Works on Alembic's operation objects; knows no engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateForeignKeyOp,
    CreateUniqueConstraintOp,
    DowngradeOps,
    DropColumnOp,
    DropConstraintOp,
    DropIndexOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.util import CommandError
from sqlalchemy import Column
from sqlalchemy.types import TypeEngine

ANSWER = "-x rename=TABLE.OLD:NEW"

Alike = Callable[[TypeEngine[Any], TypeEngine[Any]], bool]

CONSTRAINT_OPTIONS = ("deferrable", "initially")
KEY_OPTIONS = (*CONSTRAINT_OPTIONS, "ondelete", "onupdate", "match")


@dataclass(frozen=True)
class Candidate:
    """A column that may be another one under a new name."""

    schema: str | None
    table: str
    old: Column[Any]
    new: Column[Any]

    def __str__(self) -> str:
        return f"{self.table}.{self.old.name}:{self.new.name}"


def settle_renames(
    upgrade: UpgradeOps,
    downgrade: DowngradeOps,
    answers: Sequence[str],
    ask: Callable[[str], str] | None,
    alike: Alike | None = None,
) -> None:
    """Turn each drop and add that is a rename into one.

    Args:
        upgrade: operations to look at and to change.
        downgrade: the reverse of them, changed likewise.
        answers: what stood behind `-x rename=`: "table.old:new", or "none" for no rename at all.
        ask: puts a question and gives the answer; None if there is nobody to ask.
        alike: whether two types hold the same sort of values; as SQLAlchemy sorts them if not given.

    Raises:
        CommandError: an answer fits nothing, or there is nobody to ask.
    """
    found = list(candidates(upgrade, alike or same_affinity))
    if answers == ["none"]:
        return
    chosen = [_said(answer, found) for answer in answers]
    open_ones = [
        candidate
        for candidate in found
        if not any(_shares_a_column(candidate, known) for known in chosen)
    ]
    if open_ones and not (chosen and ask is None):
        chosen += _asked(open_ones, ask)
    for candidate in chosen:
        _rename(upgrade, downgrade, candidate)


def same_affinity(one: TypeEngine[Any], other: TypeEngine[Any]) -> bool:
    return one._type_affinity is other._type_affinity


def candidates(upgrade: UpgradeOps, alike: Alike) -> Iterator[Candidate]:
    """Pairs of a dropped and an added column of one table that hold the same sort of values."""
    for table in _tables(upgrade):
        dropped = [op for op in table.ops if isinstance(op, DropColumnOp)]
        added = [op for op in table.ops if isinstance(op, AddColumnOp)]
        for drop in dropped:
            old = drop.to_column()
            for add in added:
                generated = old.computed is not None or add.column.computed is not None
                if not generated and alike(old.type, add.column.type):
                    yield Candidate(table.schema, table.table_name, old, add.column)


def _tables(operations: UpgradeOps | DowngradeOps) -> list[ModifyTableOps]:
    return [op for op in operations.ops if isinstance(op, ModifyTableOps)]


def _said(answer: str, found: Iterable[Candidate]) -> Candidate:
    known = list(found)
    for candidate in known:
        if str(candidate) == answer:
            return candidate
    possible = ", ".join(map(str, known)) or "there is none"
    raise CommandError(
        f"-x rename={answer} fits no column that is gone and none that is new. Possible: {possible}"
    )


def _asked(found: Sequence[Candidate], ask: Callable[[str], str] | None) -> list[Candidate]:
    if ask is None:
        raise CommandError(
            "No revision was written, because a column that is gone may be one that is new: "
            f"{', '.join(map(str, found))}. Its values would be lost if it is dropped. Say so with "
            f"{ANSWER}, or -x rename=none if none of them is a rename"
        )
    chosen: list[Candidate] = []
    for candidate in found:
        if any(_shares_a_column(candidate, known) for known in chosen):
            continue
        reply = ask(
            f"Table {candidate.table}: is column {candidate.new.name} the old "
            f"{candidate.old.name} under a new name? If not, its values are dropped. [y/n] "
        )
        if reply.strip().lower() in ("y", "yes"):
            chosen.append(candidate)
        elif reply.strip().lower() not in ("n", "no"):
            raise CommandError(f"No revision was written: answer y or n, or say it with {ANSWER}")
    return chosen


def _shares_a_column(one: Candidate, other: Candidate) -> bool:
    return (one.schema, one.table) == (other.schema, other.table) and (
        one.old.name == other.old.name or one.new.name == other.new.name
    )


def _rename(upgrade: UpgradeOps, downgrade: DowngradeOps, found: Candidate) -> None:
    """Put the rename in the place of the drop and the add; what then is the same needs nothing."""
    for operations, before, after in (
        (upgrade, found.old, found.new),
        (downgrade, found.new, found.old),
    ):
        _leave_out_what_moves_along(operations, found, {before.name: after.name})
        table = next(table for table in _tables(operations) if _is_of(table, found))
        rest = [op for op in table.ops if not _replaced(op, before.name, after.name)]
        # What is dropped is known by the column's earlier name, what is made by its new one.
        drops = [op for op in rest if isinstance(op, (DropConstraintOp, DropIndexOp))]
        others = [op for op in rest if op not in drops]
        table.ops[:] = [*drops, _alteration(found, before, after), *others]


def _is_of(table: ModifyTableOps, found: Candidate) -> bool:
    return (table.schema, table.table_name) == (found.schema, found.table)


def _replaced(op: MigrateOperation, gone: str, come: str) -> bool:
    if isinstance(op, DropColumnOp):
        return bool(op.column_name == gone)
    return isinstance(op, AddColumnOp) and bool(op.column.name == come)


def _alteration(found: Candidate, before: Column[Any], after: Column[Any]) -> AlterColumnOp:
    """The rename, with what else is different."""
    options: dict[str, Any] = {}
    if repr(before.type) != repr(after.type) and str(before.type) != str(after.type):
        options["modify_type"] = after.type
    if before.nullable != after.nullable:
        options["modify_nullable"] = after.nullable
    if _default(before) != _default(after):
        options["modify_server_default"] = after.server_default
    if before.comment != after.comment:
        options["modify_comment"] = after.comment
    return AlterColumnOp(
        found.table,
        before.name,
        schema=found.schema,
        existing_type=before.type,
        existing_nullable=before.nullable,
        existing_server_default=before.server_default,
        existing_comment=before.comment,
        modify_name=after.name,
        **options,
    )


def _default(column: Column[Any]) -> str | None:
    """A server default as SQL has it; reflection has a text of SQL, models may have just the value."""
    value = getattr(column.server_default, "arg", None)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return None if value is None else str(value)


def _leave_out_what_moves_along(
    operations: UpgradeOps | DowngradeOps, found: Candidate, names: dict[str, str]
) -> None:
    """Leave out a constraint that goes with one column and comes with the other, unnamed.

    The database renames the column in it, in keys of other tables, too; only if both have names, and
    other ones, is it made anew.
    """
    for table in _tables(operations):
        local = names if _is_of(table, found) else {}
        for drop in [op for op in table.ops if isinstance(op, DropConstraintOp)]:
            before = _content(drop._reverse, local, found, names)
            for add in table.ops:
                same = before is not None and _content(add, {}, found, {}) == before
                if same and _may_keep_its_name(drop, add):
                    table.ops.remove(drop)
                    table.ops.remove(add)
                    break


def _may_keep_its_name(drop: DropConstraintOp, add: MigrateOperation) -> bool:
    names = {drop.constraint_name, getattr(add, "constraint_name", None)}
    return None in names or len(names) == 1


def _content(
    op: MigrateOperation | None, local: dict[str, str], found: Candidate, remote: dict[str, str]
) -> tuple[object, ...] | None:
    """What a constraint asks for, its columns and those it refers to by their new names."""
    if isinstance(op, CreateForeignKeyOp):
        target = op.kw.get("referent_schema"), op.referent_table
        renamed = remote if target == (found.schema, found.table) else {}
        options = {key: op.kw.get(key) for key in KEY_OPTIONS}
        columns = [local.get(name, name) for name in op.local_cols]
        targets = [renamed.get(name, name) for name in op.remote_cols]
        return ("foreign key", columns, target, targets, options)
    if isinstance(op, CreateUniqueConstraintOp):
        options = {key: op.kw.get(key) for key in CONSTRAINT_OPTIONS}
        return ("unique", [local.get(str(name), str(name)) for name in op.columns], options)
    return None


def terminal() -> Callable[[str], str] | None:
    """How to ask somebody; None if nobody is there."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline()

    return ask
