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
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.util import CommandError
from sqlalchemy import Column

ANSWER = "-x rename=TABLE.OLD:NEW"


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
) -> None:
    """Turn each drop and add that is a rename into one.

    Args:
        upgrade: operations to look at and to change.
        downgrade: the reverse of them, changed likewise.
        answers: what stood behind `-x rename=`: "table.old:new", or "none" for no rename at all.
        ask: puts a question and gives the answer; None if there is nobody to ask.

    Raises:
        CommandError: an answer fits nothing, or there is nobody to ask.
    """
    found = list(candidates(upgrade))
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


def candidates(upgrade: UpgradeOps) -> Iterator[Candidate]:
    """Pairs of a dropped and an added column of one table that hold the same sort of values."""
    for table in _tables(upgrade):
        dropped = [op for op in table.ops if isinstance(op, DropColumnOp)]
        added = [op for op in table.ops if isinstance(op, AddColumnOp)]
        for drop in dropped:
            old = drop.to_column()
            for add in added:
                if old.type._type_affinity is add.column.type._type_affinity:
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
    """Rename first on the way up, last on the way down; what then is the same needs nothing."""
    up = [table for table in _tables(upgrade) if _is_of(table, found)]
    down = [table for table in _tables(downgrade) if _is_of(table, found)]
    for tables, gone, come in (
        (up, found.old.name, found.new.name),
        (down, found.new.name, found.old.name),
    ):
        for table in tables:
            table.ops[:] = [op for op in table.ops if not _replaced(op, gone, come)]
            _drop_what_moves_along(table, gone, come)
    up[0].ops.insert(0, _alteration(found, found.old, found.new))
    down[-1].ops.append(_alteration(found, found.new, found.old))


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
    return AlterColumnOp(
        found.table,
        before.name,
        schema=found.schema,
        existing_type=before.type,
        existing_nullable=before.nullable,
        modify_name=after.name,
        **options,
    )


def _drop_what_moves_along(table: ModifyTableOps, gone: str, come: str) -> None:
    """Leave out a constraint that goes with one column and comes with the other, unnamed.

    The database renames the column in it; only if both have names, and other ones, is it made anew.
    """
    for drop in [op for op in table.ops if isinstance(op, DropConstraintOp)]:
        before = None if drop._reverse is None else _content(drop._reverse, {gone: come})
        for add in table.ops:
            same = before is not None and _content(add, {}) == before
            if same and _may_keep_its_name(drop, add):
                table.ops.remove(drop)
                table.ops.remove(add)
                break


def _may_keep_its_name(drop: DropConstraintOp, add: MigrateOperation) -> bool:
    names = {drop.constraint_name, getattr(add, "constraint_name", None)}
    return None in names or len(names) == 1


def _content(op: MigrateOperation, names: dict[str, str]) -> tuple[object, ...] | None:
    """What a constraint asks for, with columns by their new names."""
    if isinstance(op, CreateForeignKeyOp):
        local = [names.get(name, name) for name in op.local_cols]
        return ("foreign key", local, op.referent_table, op.remote_cols)
    if isinstance(op, CreateUniqueConstraintOp):
        return ("unique", [names.get(str(name), str(name)) for name in op.columns])
    return None


def terminal() -> Callable[[str], str] | None:
    """How to ask somebody; None if nobody is there."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline()

    return ask
