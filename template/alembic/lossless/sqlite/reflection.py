"""What SQLAlchemy and Alembic get to see when they reflect a SQLite database.

SQLAlchemy's own reflection overlooks much of what a table declares: actions of inline foreign keys, expression and
DESC indexes, collations, AUTOINCREMENT, conflict clauses, most type names. This inspector answers from the catalogue
instead, and reads it once. Knows nothing of models or migrations.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import schema
from sqlalchemy.engine import Inspector
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope
from sqlalchemy.schema import DefaultClause

from ..native import literal
from .catalogue import Catalogue, Column, Index, Table, index_terms, read_catalogue
from .statement import ForeignKey
from .tokens import fold, quote_name, unquote, without_last_comment
from .types import affinity, reflected_type

# SQLAlchemy can tell a dot in a table's name from the one behind a schema's name since 2.1.
DOTTED_NAMES = hasattr(schema, "ForeignKeyTarget")


def is_version_table(table: Table) -> bool:
    """Whether this is a table in which Alembic keeps a database's revision, of this project or of another."""
    return fold(table.name).startswith("alembic_version") and [
        fold(c.name) for c in table.columns
    ] == ["version_num"]


def columns(table: Table, _: Catalogue) -> list[dict[str, Any]]:
    """The columns in the table's order, as `Inspector.get_columns` gives them."""
    return [_column(column, table) for column in table.columns if column.hidden != 1]


def _column(column: Column, table: Table) -> dict[str, Any]:
    written = table.written[column.name]
    alias = table.rowid_alias
    found: dict[str, Any] = {
        "name": column.name,
        "type": reflected_type(column.declared, written.collation),
        # A rowid alias never holds NULL, whatever its declaration says.
        "nullable": not column.not_null and not (alias is not None and alias.name == column.name),
        "default": None,
        "autoincrement": "auto",
        "primary_key": column.key,
    }
    numbered = affinity(column.declared) not in ("text", "blob")
    if column.key and len(table.primary_key) == 1 and alias is None and numbered:
        # SQLite gives no numbers to it: left out, such a key is NULL, and nothing finds its row again.
        found["autoincrement"] = False
    if column.generated and written.generated is not None:
        found["computed"] = {
            "sqltext": literal(written.generated.expression),
            "persisted": column.hidden == 3,
        }
    elif written.default_sql is not None:
        found["default"] = DefaultClause(literal(_default(written.default_sql)))
    if written.not_null is not None and written.not_null.on_conflict:
        found["dialect_options"] = {"sqlite_on_conflict_not_null": written.not_null.on_conflict}
    return found


def _default(written: str) -> str:
    """A default as SQLAlchemy writes it again.

    A lone name is a text. In these quotes SQLAlchemy would put it into parentheses, where it is a column.
    """
    return quote_name(unquote(written)) if written[:1] in ("[", "`") else written


def pk_constraint(table: Table, _: Catalogue) -> dict[str, Any]:
    """The primary key's columns in the key's order, and its name."""
    found: dict[str, Any] = {
        "constrained_columns": [column.name for column in table.primary_key],
        "name": table.statement.primary_key.name if table.statement.primary_key else None,
    }
    if table.statement.primary_key is not None and table.statement.primary_key.on_conflict:
        found["dialect_options"] = {"sqlite_on_conflict": table.statement.primary_key.on_conflict}
    return found


def foreign_keys(table: Table, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The foreign keys that lead to a table of this database, with all they say."""
    found = []
    for key in table.statement.foreign_keys:
        target = foreign_key_target(key, catalogue)
        if target is None:
            continue
        options = {
            "ondelete": key.on_delete,
            "onupdate": key.on_update,
            "deferrable": key.deferrable,
            "initially": key.initially,
            "match": key.match,
        }
        found.append(
            {
                "name": key.name,
                "constrained_columns": [_actual(table, name) for name in key.columns],
                "referred_schema": None,
                "referred_table": target[0].name,
                "referred_columns": target[1],
                "options": {
                    option: value for option, value in options.items() if value is not None
                },
            }
        )
    return found


def foreign_key_target(key: ForeignKey, catalogue: Catalogue) -> tuple[Table, list[str]] | None:
    """The table and columns that a foreign key leads to; None if there are none that SQLAlchemy can name.

    SQLite allows that ("SQLite Foreign Key Support", section 3: it is an error only when rows change).
    """
    target = catalogue.find_table(key.table)
    if target is None or ("." in f"{target.name}{key.target_columns}" and not DOTTED_NAMES):
        return None
    names = list(key.target_columns) or [column.name for column in target.primary_key]
    found = [column.name for name in names if (column := target.column(name)) is not None]
    return (target, found) if len(found) == len(key.columns) else None


def indexes(table: Table, _: Catalogue) -> list[dict[str, Any]]:
    """The indexes made by CREATE INDEX."""
    return [_index(index, table) for index in table.indexes if index.origin == "c" and index.sql]


def _index(index: Index, table: Table) -> dict[str, Any]:
    terms, where = index_terms(index.sql or "")
    names: list[str | None] = []
    for part in index.parts:
        column = None if part.column is None else table.column(part.column)
        collation = column and (table.written[column.name].collation or "BINARY")
        plain = collation and not part.descending and fold(part.collation) == fold(collation)
        names.append(column.name if column and plain else None)
    found: dict[str, Any] = {"name": index.name, "column_names": names, "unique": index.unique}
    if None in names:
        found["expressions"] = [
            name or str(literal(term)) for name, term in zip(names, terms, strict=True)
        ]
    if where is not None:
        found["dialect_options"] = {"sqlite_where": literal(where)}
    return found


def unique_constraints(table: Table, _: Catalogue) -> list[dict[str, Any]]:
    """UNIQUE of columns and of the table."""
    found = []
    for unique in table.statement.uniques:
        described: dict[str, Any] = {
            "name": unique.name,
            "column_names": [_actual(table, name) for name in unique.columns],
        }
        if unique.on_conflict:
            described["dialect_options"] = {"sqlite_on_conflict": unique.on_conflict}
        found.append(described)
    return found


def check_constraints(table: Table, _: Catalogue) -> list[dict[str, Any]]:
    """CHECK of columns and of the table."""
    return [
        {"name": check.name, "sqltext": literal(without_last_comment(check.expression))}
        | ({"sqlite_on_conflict": check.on_conflict} if check.on_conflict else {})
        for check in table.statement.checks
    ]


def table_options(table: Table, _: Catalogue) -> dict[str, Any]:
    """STRICT, WITHOUT ROWID and AUTOINCREMENT."""
    options = {
        "sqlite_autoincrement": table.statement.autoincrement,
        "sqlite_strict": table.strict,
    }
    found: dict[str, Any] = {option: value for option, value in options.items() if value}
    return found | {"sqlite_with_rowid": False} if table.without_rowid else found


def _actual(table: Table, name: str) -> str:
    column = table.column(name)
    return column.name if column is not None else name


Describe = Callable[[Table, Catalogue], Any]


def _for_one(name: str, describe: Describe) -> Any:
    """An inspector's method that answers for one table; what is no ordinary table is left to SQLAlchemy."""

    def method(
        self: CatalogueInspector, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        table = self.catalogue.find_table(table_name) if schema is None else None
        if table is not None:
            return describe(table, self.catalogue)
        return getattr(super(CatalogueInspector, self), name)(table_name, schema, **kw)

    method.__name__ = name
    return method


def _for_many(name: str, describe: Describe) -> Any:
    """The same for many tables at once, which is how Alembic and `MetaData.reflect` ask."""

    def method(
        self: CatalogueInspector,
        schema: str | None = None,
        filter_names: Sequence[str] | None = None,
        kind: ObjectKind = ObjectKind.TABLE,
        scope: ObjectScope = ObjectScope.DEFAULT,
        **kw: Any,
    ) -> dict[tuple[str | None, str], Any]:
        ask = getattr(super(CatalogueInspector, self), name)
        if schema is not None:
            return dict(ask(schema, filter_names, kind, scope, **kw))
        found: dict[tuple[str | None, str], Any] = {}
        others = []
        for wanted in self.get_table_names() if filter_names is None else filter_names:
            table = self.catalogue.find_table(wanted)
            if table is not None:
                found[None, wanted] = describe(table, self.catalogue)
            else:
                others.append(wanted)
        if others:
            found.update(ask(None, others, ObjectKind.ANY, scope, **kw))
        return found

    method.__name__ = name
    return method


class CatalogueInspector(Inspector):
    """An inspector that knows all that SQLite's catalogue says.

    Ordinary tables only are tables to it: virtual tables and the shadow tables that belong to them cannot be altered,
    and the version tables of Alembic belong to whoever put them there. Foreign keys that lead nowhere are left out.
    """

    _catalogue: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, read when first needed and again after `clear_cache`."""
        if self._catalogue is None:
            with self._operation_context() as connection:
                raw = connection.connection.driver_connection
                self._catalogue = read_catalogue(cast(sqlite3.Connection, raw))
        return self._catalogue

    def clear_cache(self) -> None:
        self._catalogue = None
        super().clear_cache()

    def get_table_names(self, schema: str | None = None, **kw: Any) -> list[str]:
        if schema is not None:
            return super().get_table_names(schema, **kw)
        return [
            name for name, table in self.catalogue.tables.items() if not is_version_table(table)
        ]

    # Each answer is made by the function of the same name above.
    get_columns = _for_one("get_columns", columns)
    get_pk_constraint = _for_one("get_pk_constraint", pk_constraint)
    get_foreign_keys = _for_one("get_foreign_keys", foreign_keys)
    get_indexes = _for_one("get_indexes", indexes)
    get_unique_constraints = _for_one("get_unique_constraints", unique_constraints)
    get_check_constraints = _for_one("get_check_constraints", check_constraints)
    get_table_options = _for_one("get_table_options", table_options)

    get_multi_columns = _for_many("get_multi_columns", columns)
    get_multi_pk_constraint = _for_many("get_multi_pk_constraint", pk_constraint)
    get_multi_foreign_keys = _for_many("get_multi_foreign_keys", foreign_keys)
    get_multi_indexes = _for_many("get_multi_indexes", indexes)
    get_multi_unique_constraints = _for_many("get_multi_unique_constraints", unique_constraints)
    get_multi_check_constraints = _for_many("get_multi_check_constraints", check_constraints)
    get_multi_table_options = _for_many("get_multi_table_options", table_options)
