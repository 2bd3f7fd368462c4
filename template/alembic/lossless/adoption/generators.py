"""sqlacodegen's generators, with corrections: what stands in a database reaches models.py whole, and as literals.

sqlacodegen decides what becomes a class or a `Table`. How tables are written, with their columns, constraints and
indexes, is decided here. Knows SQLAlchemy's metadata; knows nothing of the database behind it, nor of classes.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from keyword import iskeyword
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Constraint,
    DefaultClause,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    types,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import TypeEngine

from . import code
from .columns import Fit
from .relations import keys_that_close_cycles, referred, sort_key, take_repeated_keys
from .without_inflect import without_inflect

with without_inflect():
    from sqlacodegen import generators as sqlacodegen
    from sqlacodegen.generators import (
        TablesGenerator,
    )
    from sqlacodegen.models import (
        Model,
        ModelClass,
    )

# What a generated class must not redefine, whatever its columns are called.
RESERVED_ATTRIBUTES = frozenset({"metadata", "registry", "type_annotation_map"})
# What SQLAlchemy keeps for itself in a mapped class, whatever follows: it maps no such attribute, and does not say so.
RESERVED_PREFIX = "_sa_"
# What can be taken for a number, so that style checks mind it (pycodestyle's E741 and E742).
AMBIGUOUS_NAMES = frozenset({"l", "I", "O"})

# Its own order is another one in every run.
sqlacodegen.get_constraint_sort_key = sort_key  # type: ignore[attr-defined]


class Corrections(TablesGenerator):
    """What all four generators need mended."""

    def __init__(
        self, metadata: MetaData, bind: Engine, options: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(metadata, bind, options, **kwargs)
        self.fits: dict[Column[Any], Fit] = {
            column: column.info["fit"] for t in metadata.tables.values() for column in t.c
        }
        self.repeated = {table: take_repeated_keys(table) for table in metadata.tables.values()}
        self.cyclic = keys_that_close_cycles(metadata)

    # -- what sqlacodegen would change in the metadata ----------------------------------------------------------------

    def should_ignore_table(self, table: Table) -> bool:
        """The metadata holds nothing that should not become a model."""
        return False

    def fix_column_types(self, table: Table) -> None:
        """Types are chosen already; a CHECK stays a CHECK."""

    # -- names --------------------------------------------------------------------------------------------------------

    def generate_models(self) -> list[Model]:
        with warnings.catch_warnings():
            # Tables that refer to each other have no order; `use_alter` says so in what is generated.
            warnings.simplefilter("ignore", SAWarning)
            return super().generate_models()

    def find_free_name(
        self, name: str, global_names: set[str], local_names: Collection[str] = ()
    ) -> str:
        wanted = self.identifier(name)
        for number in count():
            free = wanted if number == 0 else f"{wanted}{'_' if number == 1 else number - 1}"
            if free not in global_names and free not in local_names and not free.startswith("__"):
                return free
        raise AssertionError("count() has no end")

    def identifier(self, name: str) -> str:
        """What a name in the database is called in Python, as long as nothing else is called so."""
        return identifier(name, RESERVED_ATTRIBUTES)

    # -- imports ------------------------------------------------------------------------------------------------------

    def collect_imports(self, models: Iterable[Model]) -> None:
        """Everything that will be used, before names are given that must not clash with it."""
        for literal_import in self.base.literal_imports:
            self.add_literal_import(literal_import.pkgname, literal_import.name)
        for model in models:
            self.collect_imports_for_model(model)

    def collect_imports_for_model(self, model: Model) -> None:
        if not isinstance(model, ModelClass):
            self.add_import(Table)
            self.add_import(Column)
        table = model.table
        for column in table.columns:
            self.collect_imports_for_column(column)
        for constraint in table.constraints:
            if self.stands_alone(constraint):
                self.add_literal_import("sqlalchemy", type(constraint).__name__)
            elif isinstance(constraint, ForeignKeyConstraint):
                self.add_literal_import("sqlalchemy", "ForeignKey")
            if isinstance(constraint, CheckConstraint):
                self._import_sql(constraint.sqltext, string_allowed=True)
        if self.repeated[table]:
            self.add_literal_import("sqlalchemy", "ForeignKeyConstraint")
        for index in table.indexes:
            if not is_plain(index):
                self.add_literal_import("sqlalchemy", "Index")
            for expression in index.expressions:
                if not isinstance(expression, Column):
                    self._import_sql(expression)
            if (where := index.dialect_options["sqlite"]["where"]) is not None:
                self._import_sql(where)

    def collect_imports_for_column(self, column: Column[Any]) -> None:
        fit = self.fits[column]
        helper = code.VALUE_HELPERS.get(type(fit.type))
        if helper is None:
            self.add_import(fit.type)
        else:
            self._import_all(helper.imports)
        if fit.declaration is not None:
            self._import_all(code.DECLARED.imports)
        if isinstance(column.server_default, Computed):
            self.add_literal_import("sqlalchemy", "Computed")
            self._import_sql(column.server_default.sqltext, string_allowed=True)
        elif isinstance(column.server_default, DefaultClause):
            self._import_sql(column.server_default.arg)

    def _import_all(self, imports: Mapping[str, str]) -> None:
        for package, names in imports.items():
            for name in names.split():
                self.add_literal_import(package, name)

    def _import_sql(self, clause: Any, string_allowed: bool = False) -> None:
        function = code.sql_function(clause)
        if not (string_allowed and function == "text"):
            self.add_literal_import("sqlalchemy", function)

    # -- rendering ----------------------------------------------------------------------------------------------------

    def render_module_variables(self, models: list[Model]) -> str:
        fits = self.fits.values()
        helpers = [
            helper.source
            for kind, helper in code.VALUE_HELPERS.items()
            if any(type(fit.type) is kind for fit in fits)
        ]
        if any(fit.declaration is not None for fit in fits):
            helpers.append(code.DECLARED.source)
        return "\n\n".join(filter(None, [*helpers, "\n".join(self.base.declarations)]))

    def render_class(self, model: ModelClass) -> str:
        raise AssertionError("only generators of classes have classes")

    def render_models(self, models: list[Model]) -> str:
        return "\n\n\n".join(
            self.render_class(model)
            if isinstance(model, ModelClass)
            # mypy needs the type of a table that a class above refers to.
            else f"{model.name}: Table = {self.render_table(model.table)}"
            for model in models
        )

    def render_table(self, table: Table) -> str:
        arguments = [code.string(table.name), self.base.metadata_ref]
        arguments += [self.render_column(column, True, is_table=True) for column in table.columns]
        arguments += self.render_items(table)
        return code.call("Table", arguments, {k: repr(v) for k, v in table_options(table).items()})

    def render_items(self, table: Table) -> list[str]:
        """The constraints and indexes that do not stand in a column."""
        constraints = sorted(filter(self.stands_alone, table.constraints), key=sort_key)
        constraints += self.repeated[table]
        indexes = sorted(
            (index for index in table.indexes if not is_plain(index)),
            key=lambda index: str(index.name),
        )
        return [*map(self.render_constraint, constraints), *map(self.render_index, indexes)]

    def stands_alone(self, constraint: Any) -> bool:
        """Whether a constraint is written apart from the columns it is about."""
        if isinstance(constraint, PrimaryKeyConstraint):
            columns = list(constraint.columns)
            in_order = columns == [
                column for column in constraint.table.columns if column.primary_key
            ]
            return bool(columns) and (
                constraint.name is not None
                or not in_order
                or (len(columns) > 1 and bool(on_conflict(constraint)))
            )
        if isinstance(constraint, ForeignKeyConstraint):
            return constraint.name is not None or len(constraint.columns) > 1
        if isinstance(constraint, UniqueConstraint):
            return (
                constraint.name is not None
                or len(constraint.columns) > 1
                or bool(on_conflict(constraint))
            )
        return isinstance(constraint, CheckConstraint)

    def render_index(self, index: Index) -> str:
        terms = [
            code.string(term.name) if isinstance(term, Column) else code.sql(term)
            for term in index.expressions
        ]
        keywords = {"unique": "True"} if index.unique else {}
        if (where := index.dialect_options["sqlite"]["where"]) is not None:
            keywords["sqlite_where"] = code.sql(where)
        return code.call("Index", [code.string(str(index.name)), *terms], keywords)

    def render_constraint(self, constraint: Any) -> str:
        keywords: dict[str, str] = {}
        names = [code.string(column.name) for column in getattr(constraint, "columns", ())]
        if isinstance(constraint, ForeignKeyConstraint):
            targets = [target(element) for element in constraint.elements]
            arguments = [f"[{', '.join(names)}]", f"[{', '.join(targets)}]"]
            keywords = self.foreign_key_options(constraint)
        elif isinstance(constraint, CheckConstraint):
            arguments = [code.sql_or_string(constraint.sqltext)]
        else:
            arguments = names
        if constraint.name is not None:
            keywords["name"] = code.string(str(constraint.name))
        if conflict := on_conflict(constraint):
            keywords["sqlite_on_conflict"] = repr(conflict)
        return code.call(type(constraint).__name__, arguments, keywords)

    def foreign_key_options(self, constraint: ForeignKeyConstraint) -> dict[str, str]:
        options = {
            name: getattr(constraint, name)
            for name in ("ondelete", "onupdate", "deferrable", "initially", "match")
        }
        keywords = {name: repr(value) for name, value in options.items() if value is not None}
        return keywords | {"use_alter": "True"} if constraint in self.cyclic else keywords

    def render_column(self, column: Column[Any], show_name: bool, is_table: bool = False) -> str:
        arguments = [code.string(column.name)] if show_name else []
        arguments.append(self.render_column_type(column))
        for key in sorted(column.foreign_keys, key=referred):
            if key.constraint is not None and not self.stands_alone(key.constraint):
                arguments.append(
                    code.call("ForeignKey", [target(key)], self.foreign_key_options(key.constraint))
                )
        if isinstance(column.server_default, Computed):
            arguments.append(
                code.call(
                    "Computed",
                    [code.sql_or_string(column.server_default.sqltext)],
                    {"persisted": repr(column.server_default.persisted)},
                )
            )
        keywords = self.column_keywords(column)
        return self.render_column_callable(is_table, *arguments, **keywords)

    def column_keywords(self, column: Column[Any]) -> dict[str, str]:
        keywords = {}
        if column.primary_key:
            keywords["primary_key"] = "True"
        if column.autoincrement is False and self.would_be_numbered(column):
            keywords["autoincrement"] = "False"
        # Otherwise it follows from the annotation; that of Any says nothing.
        if column.nullable == column.primary_key or (
            column.nullable and self.fits[column].python == "Any"
        ):
            keywords["nullable"] = repr(column.nullable)
        if any(
            isinstance(c, UniqueConstraint)
            and not self.stands_alone(c)
            and column in set(c.columns)
            for c in column.table.constraints
        ):
            keywords["unique"] = "True"
        if any(is_plain(index) and column in set(index.columns) for index in column.table.indexes):
            keywords["index"] = "True"
        if isinstance(column.server_default, DefaultClause):
            keywords["server_default"] = code.sql(column.server_default.arg)
        if conflict := column.dialect_options["sqlite"]["on_conflict_not_null"]:
            keywords["sqlite_on_conflict_not_null"] = repr(conflict)
        key = column.table.primary_key
        if column.primary_key and len(key.columns) == 1 and (conflict := on_conflict(key)):
            keywords["sqlite_on_conflict_primary_key"] = repr(conflict)
        return keywords

    def would_be_numbered(self, column: Column[Any]) -> bool:
        """Whether SQLAlchemy would take a key's numbers to come from the database ("autoincrement" of `Column`)."""
        return (
            len(column.table.primary_key) == 1
            and not column.foreign_keys
            and column.server_default is None
            and isinstance(self.fits[column].type, types.Integer | types.Numeric | types.Float)
        )

    def render_column_callable(self, is_table: bool, *args: Any, **kwargs: Any) -> str:
        return code.call("Column" if is_table else "mapped_column", args, kwargs)

    def render_column_type(self, column: Column[Any]) -> str:
        fit = self.fits[column]
        if fit.declaration is None:
            return render_type(fit.type)
        return code.call("Declared", [code.string(fit.declaration), render_type(fit.type)])


def identifier(name: str, reserved: Collection[str] = ()) -> str:
    """A Python identifier for a name in the database, the one sqlacodegen would choose where that works."""
    name = unicodedata.normalize("NFKC", name.strip())
    name = "".join(character if f"_{character}".isidentifier() else "_" for character in name)
    # Python gives two underscores in front a meaning of their own in a class.
    name = re.sub(r"^__+", "_", name) or "unnamed"
    if name.startswith(RESERVED_PREFIX):
        name = name[1:]
    if not name.isidentifier():
        name = f"_{name}"
    taken = iskeyword(name) or name in reserved or name in AMBIGUOUS_NAMES
    return f"{name}_" if taken else name


def target(key: ForeignKey) -> str:
    """What a foreign key refers to, as source; names with a dot need the form that keeps them apart."""
    table, column = referred(key)
    if "." in table + column:
        return f"({code.string(table)}, {code.string(column)})"
    return code.string(f"{table}.{column}")


def render_type(type_: TypeEngine[Any]) -> str:
    """The source of a type."""
    name = type(type_).__name__
    arguments = [getattr(type_, argument, None) for argument in ("length", "precision", "scale")]
    given = [repr(argument) for argument in arguments if argument is not None]
    collation = getattr(type_, "collation", None)
    keywords = {"collation": code.string(collation)} if collation else {}
    return code.call(name, given, keywords)


def is_plain(index: Index) -> bool:
    """Whether `index=True` on the column says all about an index, its name included ("ix_table_column")."""
    (column, *others) = index.expressions
    return (
        isinstance(column, Column)
        and not others
        and not index.unique
        and index.dialect_options["sqlite"]["where"] is None
        and index.name == f"ix_{column.table.name}_{column.name}"
        and f"{column.table.name}_{column.name}" not in column.table.columns
    )


def on_conflict(constraint: Constraint) -> str | None:
    """The constraint's ON CONFLICT clause."""
    return (
        constraint.dialect_options["sqlite"]["on_conflict"] if constraint.dialect_options else None
    )


def table_options(table: Table) -> dict[str, Any]:
    """What stands behind a table's closing parenthesis, and AUTOINCREMENT."""
    return {name: value for name, value in table.dialect_kwargs.items() if value is not None}
