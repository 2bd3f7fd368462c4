"""The generators that can be chosen; for those of classes: names, annotations and relationships.

sqlacodegen finds relationships and gives them their names; how they are written is decided here. Knows SQLAlchemy's
metadata; knows nothing of the database behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from textwrap import indent
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.engine import Engine

from . import code
from .generators import RESERVED_ATTRIBUTES, Corrections, identifier, table_options
from .relations import complete_relationships, overlapping, refers_to_itself
from .without_inflect import without_inflect

with without_inflect():
    from sqlacodegen.generators import (
        DataclassGenerator,
        DeclarativeGenerator,
        SQLModelGenerator,
    )
    from sqlacodegen.models import (
        ColumnAttribute,
        Model,
        ModelClass,
        RelationshipAttribute,
        RelationshipType,
    )

# What Pydantic keeps for itself, whatever follows ("protected_namespaces" of its configuration).
PROTECTED_PREFIXES = ("model_dump", "model_validate")
# A class of this name in a model was Pydantic's configuration once, and is refused now.
CONFIGURATION = "Config"


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


def attribute(model: Model, column: Any) -> str:
    """How Python code reaches a column of a model."""
    name = column.column.name if isinstance(column, ColumnAttribute) else str(column)
    if isinstance(model, ModelClass):
        return f"{model.name}.{model.get_column_attribute(name).name}"
    return f"{model.name}.c[{code.string(name)}]"
