"""Foreign keys and relationships: what models must say of them for SQLAlchemy to understand them right.

Knows SQLAlchemy's metadata and sqlacodegen's models of classes; writes no source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Constraint, ForeignKey, ForeignKeyConstraint, MetaData, Table

from .without_inflect import without_inflect

with without_inflect():
    from sqlacodegen.models import Model, ModelClass, RelationshipAttribute
    from sqlacodegen.utils import get_common_fk_constraints, get_constraint_sort_key


def by_declaration(constraint: Constraint) -> int:
    return int(constraint._creation_order)


def sort_key(constraint: Constraint) -> str:
    """sqlacodegen's order of constraints; those that it does not tell apart come as they were declared.

    They lie in sets, whose order is another one in every run.
    """
    return f"{get_constraint_sort_key(constraint)}\0{by_declaration(constraint):012}"


def referred(key: ForeignKey) -> tuple[str, str]:
    """The table and the column that a foreign key refers to."""
    return str(key.column.table.name), str(key.column.name)


def refers_to_itself(relationship: RelationshipAttribute) -> bool:
    """Whether a foreign key's columns are the very columns it refers to: no relationship comes of that."""
    constraint = relationship.constraint
    return (
        constraint is not None
        and relationship.association_table is None
        and set(constraint.columns) == {element.column for element in constraint.elements}
    )


def complete_relationships(model: ModelClass) -> None:
    """Say what sqlacodegen leaves to SQLAlchemy to guess, where SQLAlchemy would guess wrong."""
    seen = set()
    for relationship in model.relationships:
        constraint = relationship.constraint
        if constraint is None or relationship.association_table is not None:
            continue
        local = [column.name for column in constraint.columns]
        remote = [element.column.name for element in constraint.elements]
        if relationship.source is relationship.target:
            # Both ends are in one class; the first is the one that holds the key. It need not refer to the primary key.
            names = local if constraint in seen else remote
            relationship.remote_side = [model.get_column_attribute(name) for name in names]
            seen.add(constraint)
        rivals = get_common_fk_constraints(relationship.source.table, relationship.target.table)
        if any(
            other is not constraint and set(other.columns) == set(constraint.columns)
            for other in rivals
        ):
            child, parent = relationship.source, relationship.target
            if constraint.table is not child.table:
                child, parent = parent, child
            relationship.primaryjoin = [
                (child, one, parent, other) for one, other in zip(local, remote, strict=True)
            ]


def overlapping(models: Iterable[Model]) -> dict[int, list[str]]:
    """Names of relationships that write to the same column as another one, by that one's id.

    SQLAlchemy warns of them unless they are named ("overlaps" of `relationship()`): foreign keys that share a column.
    """
    writers: dict[Column[Any], list[RelationshipAttribute]] = defaultdict(list)
    for model in models:
        for relationship in model.relationships if isinstance(model, ModelClass) else ():
            if relationship.association_table is not None:
                columns: Iterable[Column[Any]] = relationship.association_table.table.columns
            else:
                columns = (
                    relationship.constraint.columns if relationship.constraint is not None else ()
                )
            for column in columns:
                writers[column].append(relationship)
    found: dict[int, set[str]] = defaultdict(set)
    for together in writers.values():
        for one in together:
            found[id(one)].update(
                other.name for other in together if other is not one and other is not one.backref
            )
    return {number: sorted(names) for number, names in found.items() if names}


def take_repeated_keys(table: Table) -> list[ForeignKeyConstraint]:
    """Take foreign keys out of a table that say the same as one before them: they make no second relationship."""
    seen = set()
    repeated = []
    for constraint in sorted(table.foreign_key_constraints, key=by_declaration):
        what = tuple((element.parent, *referred(element)) for element in constraint.elements)
        if what in seen:
            repeated.append(constraint)
            table.constraints.discard(constraint)
            for element in constraint.elements:
                table.foreign_keys.discard(element)
                element.parent.foreign_keys.discard(element)
        seen.add(what)
    return repeated


def keys_that_close_cycles(metadata: MetaData) -> set[ForeignKeyConstraint]:
    """Foreign keys without which tables could be created one after the other (`use_alter` of SQLAlchemy)."""
    closing: set[ForeignKeyConstraint] = set()
    done: set[Table] = set()
    for root in metadata.tables.values():
        # Depth first, without recursion: chains of tables can be long.
        open_: dict[Table, Iterator[ForeignKeyConstraint]] = {}
        path = [root] if root not in done else []
        while path:
            table = path[-1]
            keys = open_.setdefault(
                table, iter(sorted(table.foreign_key_constraints, key=sort_key))
            )
            key = next(keys, None)
            if key is None:
                done.add(path.pop())
            elif key.referred_table in open_ and key.referred_table not in done:
                if key.referred_table is not table:
                    closing.add(key)
            elif key.referred_table not in done:
                path.append(key.referred_table)
    return closing
