"""sqlacodegen's generators, with corrections: what stands in a database reaches models.py whole, and as literals.

sqlacodegen decides what becomes a class or a `Table`, finds relationships and gives them their names. How all that is
written is decided here. Knows SQLAlchemy's metadata; knows nothing of the database behind it.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import count
from keyword import iskeyword
from textwrap import indent
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
from .without_inflect import without_inflect

with without_inflect():
    from sqlacodegen import generators as sqlacodegen
    from sqlacodegen.generators import (
        DataclassGenerator,
        DeclarativeGenerator,
        SQLModelGenerator,
        TablesGenerator,
    )
    from sqlacodegen.models import (
        ColumnAttribute,
        Model,
        ModelClass,
        RelationshipAttribute,
        RelationshipType,
    )
    from sqlacodegen.utils import get_common_fk_constraints, get_constraint_sort_key

# What a generated class must not redefine, whatever its columns are called.
RESERVED_ATTRIBUTES = frozenset({"metadata", "registry", "type_annotation_map"})
# What SQLAlchemy keeps for itself in a mapped class, whatever follows: it maps no such attribute, and does not say so.
RESERVED_PREFIX = "_sa_"
# What can be taken for a number, so that style checks mind it (pycodestyle's E741 and E742).
AMBIGUOUS_NAMES = frozenset({"l", "I", "O"})
# What Pydantic keeps for itself, whatever follows ("protected_namespaces" of its configuration).
PROTECTED_PREFIXES = ("model_dump", "model_validate")
# A class of this name in a model was Pydantic's configuration once, and is refused now.
CONFIGURATION = "Config"


def sort_key(constraint: Constraint) -> str:
    """sqlacodegen's order of constraints; those that it does not tell apart come as they were declared.

    They lie in sets, whose order is another one in every run.
    """
    return f"{get_constraint_sort_key(constraint)}\0{by_declaration(constraint):012}"


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


class ClassCorrections(Corrections, DeclarativeGenerator):
    """What the generators of classes need mended besides."""

    overlaps: dict[int, list[str]]
    taken: set[str]

    def __init__(
        self, metadata: MetaData, bind: Engine, options: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(metadata, bind, options, **kwargs)
        self.class_names: dict[Table, str] = {}

    def generate_base(self) -> None:
        super().generate_base()
        if self.base.declarations:
            self.base.declarations[1:] = [f'{self.indentation}"""What all models share."""']

    # -- names and relationships --------------------------------------------------------------------------------------

    def generate_models(self) -> list[Model]:
        models = super().generate_models()
        self.overlaps = overlapping(models)
        return models

    def generate_model_name(self, model: Model, global_names: set[str]) -> None:
        if isinstance(model, ModelClass):
            self.taken = self.names_used_in(model)
        super().generate_model_name(model, self.with_own_names(global_names))

    def with_own_names(self, names: set[str]) -> set[str]:
        return names | {self.base_class_name, *code.HELPERS}

    def name_classes(self, models: Iterable[Model]) -> None:
        """Find out what classes will be called, since attributes of the ones before them must know it, too."""
        names = {name for imported in self.imports.values() for name in imported}
        for model in models:
            alone = type(model)(model.table)
            super().generate_model_name(alone, self.with_own_names(names))
            names.add(alone.name)
            self.class_names[model.table] = alone.name

    def names_used_in(self, model: ModelClass) -> set[str]:
        """Names that annotations in the class's body use, so that no attribute may be called so."""
        annotations = {self.fits[attribute.column].python for attribute in model.columns}
        to_many = (RelationshipType.ONE_TO_MANY, RelationshipType.MANY_TO_MANY)
        lists = (
            {"list"}
            if any(relationship.type in to_many for relationship in model.relationships)
            else set()
        )
        classes = {self.class_names[found.target.table] for found in model.relationships}
        return {annotation.partition(".")[0] for annotation in annotations} | lists | classes

    def generate_column_attr_name(
        self, column_attr: ColumnAttribute, global_names: set[str], local_names: set[str]
    ) -> None:
        super().generate_column_attr_name(column_attr, global_names | self.taken, local_names)

    def generate_relationship_name(
        self, relationship: RelationshipAttribute, global_names: set[str], local_names: set[str]
    ) -> None:
        super().generate_relationship_name(relationship, global_names | self.taken, local_names)

    # -- imports ------------------------------------------------------------------------------------------------------

    def collect_imports(self, models: Iterable[Model]) -> None:
        models = list(models)
        super().collect_imports(models)
        if any(isinstance(model, ModelClass) for model in models):
            self.add_literal_import("sqlalchemy.orm", "Mapped")
            self.add_literal_import("sqlalchemy.orm", "mapped_column")
        self.name_classes(models)

    def collect_imports_for_model(self, model: Model) -> None:
        super().collect_imports_for_model(model)
        if isinstance(model, ModelClass):
            self.complete_relationships(model)
            if model.relationships:
                self.add_literal_import("sqlalchemy.orm", "relationship")
            self.collect_imports_for_annotations(model)

    def complete_relationships(self, model: ModelClass) -> None:
        """Here relationships are known and have no names yet, so what they will use can be imported."""
        model.relationships = [
            found for found in model.relationships if not refers_to_itself(found)
        ]
        complete_relationships(model)
        if any(
            len(terms) > 1
            for found in model.relationships
            for terms in (found.primaryjoin, found.secondaryjoin)
        ):
            self.add_literal_import("sqlalchemy", "and_")

    def collect_imports_for_annotations(self, model: ModelClass) -> None:
        for attribute in model.columns:
            module, dot, _ = self.fits[attribute.column].python.partition(".")
            if dot:
                self.add_module_import(module)
            elif module == "Any":
                self.add_literal_import("typing", "Any")

    # -- rendering ----------------------------------------------------------------------------------------------------

    def render_class(self, model: ModelClass) -> str:
        sections = [
            self.render_class_variables(model),
            "\n".join(map(self.render_column_attribute, model.columns)),
            "\n".join(map(self.render_relationship, model.relationships)),
        ]
        body = "\n\n".join(indent(section, self.indentation) for section in sections if section)
        return f"{self.render_class_declaration(model)}\n{body}"

    def render_class_variables(self, model: ModelClass) -> str:
        variables = f"__tablename__ = {code.string(str(model.table.name))}"
        items = self.render_items(model.table)
        if options := table_options(model.table):
            items.append(repr(options))
        return f"{variables}\n__table_args__ = ({', '.join(items)},)" if items else variables

    def python_type(self, column: Column[Any]) -> str:
        python = self.fits[column].python
        # The mapped class has no use for a row whose key is NULL, though SQLite would store one.
        return (
            f"{python} | None"
            if column.nullable and python != "Any" and not column.primary_key
            else python
        )

    def render_column_attribute(self, column_attr: ColumnAttribute) -> str:
        column = column_attr.column
        rendered = self.render_column(column, column_attr.name != column.name)
        return f"{column_attr.name}: Mapped[{self.python_type(column)}] = {rendered}"

    def render_relationship(self, relationship: RelationshipAttribute) -> str:
        rendered = code.call(
            "relationship",
            [repr(relationship.target.name)],
            self.render_relationship_arguments(relationship),
        )
        return f"{relationship.name}: Mapped[{self.render_relationship_annotation(relationship)}] = {rendered}"

    def render_relationship_annotation(self, relationship: RelationshipAttribute) -> str:
        name = relationship.target.name
        if relationship.type in (RelationshipType.ONE_TO_MANY, RelationshipType.MANY_TO_MANY):
            return f"list[{name!r}]"
        constraint = relationship.constraint
        optional = constraint is not None and (
            constraint.table is not relationship.source.table
            or any(column.nullable for column in constraint.columns)
        )
        return repr(f"{name} | None") if optional else repr(name)

    def render_relationship_arguments(self, relationship: RelationshipAttribute) -> dict[str, str]:
        keywords: dict[str, str] = {}
        constraint = relationship.constraint
        one_to_one = relationship.type is RelationshipType.ONE_TO_ONE
        if (
            one_to_one
            and constraint is not None
            and constraint.referred_table is relationship.source.table
        ):
            keywords["uselist"] = "False"
        if relationship.association_table is not None:
            # Not by the table's name: SQLAlchemy evaluates such a string as Python.
            keywords["secondary"] = f"lambda: {relationship.association_table.name}"
        for name in ("remote_side", "foreign_keys"):
            if columns := getattr(relationship, name):
                keywords[name] = self.render_columns(columns, relationship.source)
        for name in ("primaryjoin", "secondaryjoin"):
            if terms := getattr(relationship, name):
                keywords[name] = self.render_join(terms)
        if names := self.overlaps.get(id(relationship)):
            keywords["overlaps"] = repr(",".join(names))
        if relationship.backref is not None:
            keywords["back_populates"] = repr(relationship.backref.name)
        return keywords

    def render_columns(self, columns: Sequence[ColumnAttribute], source: ModelClass) -> str:
        here = not self.explicit_foreign_keys and all(column.model is source for column in columns)
        if here:
            return f"[{', '.join(column.name for column in columns)}]"
        return repr(
            "[" + ", ".join(f"{column.model.name}.{column.name}" for column in columns) + "]"
        )

    def render_join(self, terms: Sequence[tuple[Model, Any, Model, Any]]) -> str:
        rendered = [
            f"{attribute(one, left)} == {attribute(other, right)}"
            for one, left, other, right in terms
        ]
        return f"lambda: {rendered[0] if len(rendered) == 1 else code.call('and_', rendered)}"


class Tables(Corrections):
    """`Table` objects without classes."""


class Declarative(ClassCorrections):
    """Mapped classes."""


class Dataclasses(ClassCorrections, DataclassGenerator):
    """Mapped classes that are dataclasses."""


class SQLModels(ClassCorrections, SQLModelGenerator):
    """SQLModel classes."""

    def identifier(self, name: str) -> str:
        base = import_module("sqlmodel").SQLModel  # not imported above: most projects have none
        # Pydantic's models have methods that a field must not hide, and no fields with an underscore in front.
        name = name.strip().lstrip("_")
        found = identifier(name, RESERVED_ATTRIBUTES.union(dir(base), [CONFIGURATION]))
        if found.startswith(PROTECTED_PREFIXES):
            return f"field_{identifier(name)}"
        return f"field{found}" if found.startswith("_") else found

    def collect_imports(self, models: Iterable[Model]) -> None:
        models = list(models)
        Corrections.collect_imports(self, models)
        self.add_literal_import("sqlmodel", "SQLModel")
        if any(isinstance(model, ModelClass) for model in models):
            self.add_literal_import("sqlmodel", "Field")
            self.add_literal_import("sqlalchemy", "Column")
        self.name_classes(models)

    def collect_imports_for_model(self, model: Model) -> None:
        Corrections.collect_imports_for_model(self, model)
        if isinstance(model, ModelClass):
            self.complete_relationships(model)
            if model.relationships:
                self.add_literal_import("sqlmodel", "Relationship")
                self.add_literal_import("typing", "Optional")
            self.collect_imports_for_annotations(model)

    def render_class_declaration(self, model: ModelClass) -> str:
        return f"class {model.name}(SQLModel, table=True):"

    def render_column_attribute(self, column_attr: ColumnAttribute) -> str:
        column = column_attr.column
        python = self.python_type(column)
        keywords = {"default": "None"} if column.nullable and not column.primary_key else {}
        keywords["sa_column"] = self.render_column(column, True, is_table=True)
        return f"{column_attr.name}: {python} = {code.call('Field', [], keywords)}"

    def render_relationship(self, relationship: RelationshipAttribute) -> str:
        keywords = self.render_relationship_arguments(relationship)
        native = {name: keywords.pop(name) for name in ("back_populates",) if name in keywords}
        if keywords:
            pairs = ", ".join(f"{name!r}: {value}" for name, value in keywords.items())
            native["sa_relationship_kwargs"] = "{" + pairs + "}"
        annotation = self.render_relationship_annotation(relationship)
        return f"{relationship.name}: {annotation} = {code.call('Relationship', [], native)}"

    def render_relationship_annotation(self, relationship: RelationshipAttribute) -> str:
        found = super().render_relationship_annotation(relationship)
        if found.endswith(" | None'"):  # SQLModel does not look into such a string
            return f"Optional[{relationship.target.name!r}]"
        return found


CLASSES: dict[str, type[Corrections]] = {
    "declarative": Declarative,
    "dataclasses": Dataclasses,
    "tables": Tables,
    "sqlmodels": SQLModels,
}


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


def attribute(model: Model, column: Any) -> str:
    """How Python code reaches a column of a model."""
    name = column.column.name if isinstance(column, ColumnAttribute) else str(column)
    if isinstance(model, ModelClass):
        return f"{model.name}.{model.get_column_attribute(name).name}"
    return f"{model.name}.c[{code.string(name)}]"


def referred(key: ForeignKey) -> tuple[str, str]:
    """The table and the column that a foreign key refers to."""
    return str(key.column.table.name), str(key.column.name)


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


def by_declaration(constraint: Constraint) -> int:
    return int(constraint._creation_order)


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
