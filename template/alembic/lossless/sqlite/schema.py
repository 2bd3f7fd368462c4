"""A database's schema as values that can be compared: same values, same promises.

White space, comments, letter case and quotes of names do not count, as they do not for SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..native import Schema
from .catalogue import Catalogue, Index, Table, index_terms
from .statement import Check, Constraint, CreateTable, Key
from .tokens import Kind, Token, fold, significant, tokenize


def describe(catalogue: Catalogue) -> Schema:
    """Everything the catalogue holds, by kind and folded name."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for table in catalogue.tables.values():
        found["table", fold(table.name)] = describe_table(table, catalogue)
    for entry in catalogue.entries:  # what stands on its own beside a virtual table's own tables
        if entry.kind in ("table", "index") and entry.table not in catalogue.tables:
            found[entry.kind, fold(entry.name)] = {"definition": normal(entry.sql)}
    for kind, entries in (
        ("virtual table", catalogue.virtual_tables),
        ("view", catalogue.views),
        ("trigger", catalogue.triggers),
    ):
        for entry in entries.values():
            found[kind, fold(entry.name)] = {"definition": normal(entry.sql)}
    for name in ("application_id", "user_version"):
        if value := getattr(catalogue, name):
            found["setting", name] = {"value": value}
    return found


def describe_table(table: Table, catalogue: Catalogue) -> Mapping[str, Any]:
    """What a table declares, facet by facet."""
    statement = table.statement
    alias = table.rowid_alias
    return {
        "STRICT": table.strict,
        "WITHOUT ROWID": table.without_rowid,
        "AUTOINCREMENT": statement.autoincrement,
        "columns": [
            (
                fold(column.name),
                "".join(column.declared.split()).upper(),
                column.not_null and column is not alias,
                unwrap(column.default),
                column.key,
                column.hidden,
                fold(written.collation or "binary"),
            )
            for column, written in zip(table.columns, statement.columns, strict=True)
        ],
        "generated columns": [
            (fold(column.name), unwrap(column.generated.expression))
            for column in statement.columns
            if column.generated
        ],
        "CHECK": sorted(
            (fold(check.name or ""), unwrap(check.expression) or "") for check in statement.checks
        ),
        "foreign keys": sorted(map(repr, foreign_keys(table, catalogue))),
        "conflict clauses": conflicts(statement),
        "names of keys": names_of_keys(statement),
        "PRIMARY KEY": sorted(map(repr, indexes(table, "pk"))),
        "UNIQUE": sorted(map(repr, indexes(table, "u"))),
        "indexes": sorted(map(repr, indexes(table, "c"))),
    }


def foreign_keys(table: Table, catalogue: Catalogue) -> list[Any]:
    found = []
    for key in table.statement.foreign_keys:
        target = catalogue.find_table(key.table)
        names = key.targets_in(target.statement) if target else key.target_columns
        found.append(
            (
                fold(key.name or ""),
                tuple(map(fold, key.columns)),
                fold(key.table),
                tuple(map(fold, names)),
                action(key.on_delete),
                action(key.on_update),
                bool(key.deferrable),
                key.initially == "DEFERRED",
                (key.match or "").upper(),
            )
        )
    return found


def action(written: str | None) -> str:
    return (written or "NO ACTION").upper()


def conflicts(statement: CreateTable) -> list[tuple[str, str, str]]:
    return sorted(
        (type(constraint).__name__, about(constraint), clause.upper())
        for constraint in statement.constraints
        if (clause := getattr(constraint, "on_conflict", None))
    )


def about(constraint: Constraint) -> str:
    """What a constraint is about, to tell it from others of its kind."""
    if isinstance(constraint, Key):
        return repr([fold(name) for name in constraint.columns])
    if isinstance(constraint, Check):
        return unwrap(constraint.expression) or ""
    return fold(constraint.column or "")


def names_of_keys(statement: CreateTable) -> list[tuple[str, str, str]]:
    """The names of PRIMARY KEY and UNIQUE, which a later revision drops them by; SQLite forgets them in an index."""
    return sorted(
        {
            (type(key).__name__, about(key), fold(key.name))
            for key in statement.constraints
            if isinstance(key, Key) and key.name is not None
        }
    )


def indexes(table: Table, origin: str) -> list[Any]:
    """What the indexes of CREATE INDEX, of UNIQUE or of PRIMARY KEY hold; only the first have names that count."""
    return [
        (
            fold(index.name) if index.origin == "c" else "",
            index.unique,
            [
                (fold(part.column or ""), part.descending, fold(part.collation))
                for part in index.parts
            ],
            own_words(index),
        )
        for index in table.indexes
        if index.origin == origin
    ]


def own_words(index: Index) -> list[list[str]]:
    """What an index says beyond its columns: its expressions, and of which rows it is."""
    if not index.partial and all(part.column is not None for part in index.parts):
        return []
    terms, where = index_terms(index.sql or "")
    expressions = [
        normal(term) for term, part in zip(terms, index.parts, strict=True) if part.column is None
    ]
    return [*expressions, normal(where)]


def normal(sql: str | None) -> list[str]:
    """The meaningful tokens: names unquoted, letter case of anything but strings folded."""
    return [written(token) for token in significant(tokenize(sql or ""))]


def written(token: Token) -> str:
    return token.text if token.kind is Kind.STRING else fold(token.name)


def unwrap(sql: str | None) -> str | None:
    """An expression without parentheses around the whole of it."""
    if sql is None:
        return None
    tokens = normal(sql)
    while len(tokens) > 1 and tokens[0] == "(" and closing(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return " ".join(tokens)


def closing(tokens: Sequence[str]) -> int:
    depth = 0
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return at
    return len(tokens)
