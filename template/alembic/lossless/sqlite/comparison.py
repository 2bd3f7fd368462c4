"""How autogenerate compares models with a SQLite database.

Alembic compares what both sides would declare. Of types and indexes that is done in full here, since the reflected
side is complete (`reflection.py`): types by their whole text, indexes by their whole definition. Knows nothing of how
a difference becomes a revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.impl import ComparisonResult, DefaultImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations.ops import UpgradeOps
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    CheckConstraint,
    ClauseElement,
    Column,
    DefaultClause,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Table,
    TextClause,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import TypeEngine

from ..metadata import DEFAULT_CONVENTION, conventional_name
from ..native import escape_colons
from ..renames import same_affinity
from .constructs import declared_type, default_expression, normal
from .meaning import possible_columns
from .reflection import CatalogueInspector
from .tokens import fold, significant, tokenize
from .types import affinity, declaration


class ComparingImpl(SQLiteImpl):
    """Alembic's implementation for SQLite, with eyes for everything that a table declares."""

    def autogen_column_reflect(self, inspector: Any, table: Any, column_info: Any) -> None:
        """Nothing to mend: reflected defaults are as written, with their parentheses."""

    def correct_for_autogen_constraints(
        self,
        conn_uniques: Any,
        conn_indexes: Any,
        metadata_unique_constraints: Any,
        metadata_indexes: Any,
    ) -> None:
        """Name constraints that have no name as a revision calls them: else Alembic overlooks that one is gone.

        ("What does Autogenerate Detect (and what does it not detect?)" in its documentation: anonymously named
        constraints.) Nothing is to be skipped: expression indexes are reflected.
        """
        known = [*metadata_unique_constraints, *metadata_indexes]
        convention = {
            **DEFAULT_CONVENTION,
            **(known[0].table.metadata.naming_convention if known else {}),
        }
        taken = {found.name for found in (*conn_uniques, *conn_indexes)}
        for unique in conn_uniques:
            if unique.name is None:
                names = [column.name for column in unique.columns]
                name = conventional_name(
                    unique.table.name, names, UniqueConstraint(*names), convention
                )
                if name is not None and name not in taken:
                    unique.name = conv(name)
                    taken.add(name)

    def correct_for_autogen_foreignkeys(
        self, conn_fks: set[ForeignKeyConstraint], metadata_fks: set[ForeignKeyConstraint]
    ) -> None:
        """Leave out keys to tables or columns with a dot in their name: Alembic would take it for a schema's."""
        for keys in (conn_fks, metadata_fks):
            for key in list(keys):
                if any(has_dotted_target(element) for element in key.elements):
                    keys.discard(key)

    def render_type(
        self, type_obj: TypeEngine[Any], autogen_context: AutogenContext
    ) -> str | Literal[False]:
        """Write a type that only this database declares by its declaration: a revision must not need the models.

        A type of another library, or of the project, is written as Alembic does, which leaves its import to a person.
        """
        declared = getattr(type_obj, "declaration", None)
        if declared is None:
            module = type(type_obj).__module__
            if module.startswith("sqlalchemy.dialects.postgresql"):  # the variant of a type
                # With an import of the types in it, as on PostgreSQL: JSONB has one, if nobody gives it.
                dialect: Any = postgresql.dialect
                on_server = PostgresqlImpl(dialect(), None, False, None, None, {})
                return on_server.render_type(type_obj, autogen_context)
            prefixed = autogen_context.opts.get("user_module_prefix") is not None
            if not prefixed and not module.startswith("sqlalchemy."):
                autogen_context.imports.add(f"import {module}")
            return False
        autogen_context.imports.add("from lossless.sqlite.types import DeclaredType")
        collation = getattr(type_obj, "collation", None)
        return f"DeclaredType({declared!r}{f', {collation!r}' if collation else ''})"

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, **kw: Any
    ) -> str:
        """Write SQL for `text()`, to which a colon would be the start of a parameter.

        A default that is a text already, as in the database, stays as it is: in parentheses, which Alembic gives to
        more of them than SQLite asks for, DEFAULT "name" would be a column instead of a text.
        """
        written = DefaultImpl if isinstance(expr, TextClause) else SQLiteImpl
        return escape_colons(written.render_ddl_sql_expr(self, expr, is_server_default, **kw))

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        stored, wanted = (
            declaration(c.type, self.dialect) for c in (inspector_column, metadata_column)
        )
        if stored == wanted:
            return False
        if not stored or not wanted:  # a column without a type: nothing for Alembic to take apart
            return True
        return self._collation(inspector_column) != self._collation(metadata_column) or bool(
            super().compare_type(inspector_column, metadata_column)
        )

    def _collation(self, column: Column[Any]) -> str:
        """Alembic compares this only if both sides have one, as SQLAlchemy does not reflect it."""
        return fold(declared_type(self.dialect, column.type)[1] or "binary")

    def compare_server_default(
        self,
        inspector_column: Column[Any],
        metadata_column: Column[Any],
        rendered_metadata_default: str | None,
        rendered_inspector_default: str | None,
    ) -> bool:
        """Compare as SQL first: Alembic takes quotes away around a text, but not those within."""
        stored, wanted = inspector_column.server_default, metadata_column.server_default
        if isinstance(stored, DefaultClause) and isinstance(wanted, DefaultClause):
            both = [
                normal(default_expression(self.dialect, metadata_column.type, default.arg))
                for default in (stored, wanted)
            ]
            if both[0] == both[1]:
                return False
        return super().compare_server_default(
            inspector_column, metadata_column, rendered_metadata_default, rendered_inspector_default
        )

    def holds_the_same(self, one: TypeEngine[Any], other: TypeEngine[Any]) -> bool:
        """Whether two types hold the same sort of values.

        Of a type that only this database declares SQLAlchemy knows nothing: SQLite's affinity tells. Some such names
        say nothing to SQLite either, and a column may hold anything.
        """
        declared = [type_ for type_ in (one, other) if hasattr(type_, "declaration")]
        if not declared:
            return same_affinity(one, other)
        known = {affinity(declared_type(self.dialect, type_)[0]) for type_ in (one, other)}
        vague = {affinity(declared_type(self.dialect, type_)[0]) for type_ in declared}
        return len(known) == 1 or not vague.isdisjoint({"numeric", "blob"})

    def checks_about(self, table: Table, columns: Sequence[str]) -> list[CheckConstraint]:
        """The CHECKs of a reflected table that name some of its columns and no other."""
        gone, kept = set(map(fold, columns)), {fold(column.name) for column in table.columns}
        kept -= gone
        found = []
        for check in table.constraints:
            if isinstance(check, CheckConstraint):
                used = possible_columns(str(check.sqltext))
                if used & gone and not used & kept:
                    found.append(check)
        return sorted(found, key=lambda check: check._creation_order)

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        wanted, stored = self._definition(metadata_index), self._definition(reflected_index)
        if wanted == stored:
            return ComparisonResult.Equal()
        return ComparisonResult.Different(f"{' '.join(stored)} to {' '.join(wanted)}")

    def _definition(self, index: Index) -> list[str]:
        """The tokens of the index's CREATE INDEX, names unquoted, letter case of anything but strings dropped."""
        statement = str(CreateIndex(index).compile(dialect=self.dialect))
        return [
            token.text if token.text.startswith("'") else fold(token.name)
            for token in significant(tokenize(statement))
        ]


@comparators.dispatch_for("autogenerate", qualifier="sqlite", priority=DispatchPriority.FIRST)
def look_at_the_catalogue(context: AutogenContext, _: UpgradeOps) -> PriorityDispatchResult:
    """Give the comparison our inspector, and nothing else: a revision that inspects sees SQLAlchemy's."""
    if isinstance(context.migration_context.impl, ComparingImpl):
        # Where SQLAlchemy looks for an engine's own inspector (as PostgreSQL's has one).
        dialect: Any = context.dialect
        dialect.inspector = CatalogueInspector
        try:
            context.inspector = inspect(context.connection)
        finally:
            del dialect.inspector
    return PriorityDispatchResult.CONTINUE


def has_dotted_target(key: ForeignKey) -> bool:
    """Whether a dot belongs to the name of the table or column that a foreign key refers to."""
    if not hasattr(key, "target_tokens"):  # SQLAlchemy before 2.1 has no way to say such a target
        return False
    schema, table, column = key.target_tokens
    torn_apart = schema is not None and key.parent.table.schema is None
    return torn_apart or "." in f"{table}{column or ''}"
