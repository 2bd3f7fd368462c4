"""Python source: literals of values, and the types that models.py defines for itself.

Whatever a value holds, its source is a literal of it and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, TextClause
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.types import TypeEngine

from .columns import AsStored, MomentWithT, UndecodedAny, UndecodedText

LONGEST = 88


def string(value: str) -> str:
    """A string literal; a long one or one of many lines as several that Python joins."""
    pieces = [piece for line in value.splitlines(keepends=True) for piece in _pieces(line)]
    if len(pieces) < 2:
        return repr(value)
    return "(" + "\n".join(map(repr, pieces)) + ")"


def _pieces(line: str) -> Iterable[str]:
    while len(line) > LONGEST:
        at = line.rfind(" ", LONGEST // 2, LONGEST) + 1 or LONGEST
        yield line[:at]
        line = line[at:]
    if line:
        yield line


def call(name: str, arguments: Iterable[str], keywords: Mapping[str, str] | None = None) -> str:
    """A call, from the source of its arguments."""
    named = [f"{keyword}={value}" for keyword, value in (keywords or {}).items()]
    return f"{name}({', '.join([*arguments, *named])})"


def sql(clause: object) -> str:
    """An SQL expression as SQLAlchemy takes it: `text()`, or `literal_column()` where text cannot carry it."""
    if isinstance(clause, TextClause):
        return f"text({string(clause.text)})"
    if isinstance(clause, ColumnClause) and clause.is_literal:
        return f"literal_column({string(clause.name)})"
    raise TypeError(f"no SQL from a database: {clause!r}")


def sql_or_string(clause: object) -> str:
    """The same where a plain string is read as `text()`, too."""
    return string(clause.text) if isinstance(clause, TextClause) else sql(clause)


def sql_function(clause: TextClause | ColumnElement[object]) -> str:
    """Which of SQLAlchemy's functions `sql` needs."""
    return "text" if isinstance(clause, TextClause) else "literal_column"


# --- Types that models.py defines ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Helper:
    """Something that models.py defines for its columns."""

    imports: Mapping[str, str]  # names, by package
    source: str


AS_STORED = Helper(
    {"sqlalchemy.types": "UserDefinedType", "typing": "Any"},
    '''class AsStored(UserDefinedType[Any]):
    """Values as the database stores them, of any kind."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""
''',
)
UNDECODED_TEXT = Helper(
    {
        "sqlalchemy": "BindParameter ColumnElement Dialect LargeBinary Text cast type_coerce",
        "sqlalchemy.types": "TypeDecorator",
        "typing": "Any",
    },
    '''class UndecodedText(TypeDecorator[str]):
    """Text of which some is not UTF-8: bytes that are not become lone surrogates, and the same bytes again.

    `text.encode("utf-8", "surrogateescape")` shows the bytes (PEP 383).
    """

    impl = Text
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return type_coerce(cast(column, LargeBinary), self)

    def bind_expression(self, bindvalue: BindParameter[Any]) -> ColumnElement[Any]:
        return cast(bindvalue, Text)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value

    def process_literal_param(self, value: Any, dialect: Dialect) -> Any:
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
''',
)
UNDECODED_ANY = Helper(
    {
        "sqlalchemy": "ColumnElement Dialect LargeBinary Text case cast func type_coerce",
        "sqlalchemy.types": "TypeDecorator",
        "typing": "Any",
    },
    '''class UndecodedAny(TypeDecorator[Any]):
    """Values of any kind; bytes of text that are not UTF-8 are read as lone surrogates, and cannot be written.

    `text.encode("utf-8", "surrogateescape")` shows the bytes (PEP 383).
    """

    impl = Text
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        kind = func.typeof(column)
        labelled = cast(kind.concat(":").concat(column), LargeBinary)
        return type_coerce(case((kind.in_(["text", "blob"]), labelled), else_=column), self)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        kind, _, content = value.partition(b":") if isinstance(value, bytes) else (b"", b"", b"")
        if kind == b"text":
            return content.decode("utf-8", "surrogateescape")
        return content if kind == b"blob" else value
''',
)
MOMENT_WITH_T = Helper(
    {"sqlalchemy": "DateTime Dialect", "sqlalchemy.types": "TypeDecorator", "typing": "Any"},
    '''class MomentWithT(TypeDecorator[Any]):
    """Moments as this database writes them, with a T before the time: SQLite compares them as text."""

    impl = DateTime
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return self.with_t(super().bind_processor(dialect))

    def literal_processor(self, dialect: Dialect) -> Any:
        return self.with_t(super().literal_processor(dialect))

    def with_t(self, write: Any) -> Any:
        return lambda value: None if value is None else str(write(value)).replace(" ", "T")
''',
)
DECLARED = Helper(
    {
        "sqlalchemy.ext.compiler": "compiles",
        "sqlalchemy.types": "TypeDecorator TypeEngine UserDefinedType",
        "typing": "Any",
    },
    '''class Declared(TypeDecorator[Any]):
    """A column type under the name that this database declares it with; `handled_as` says what its values are."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = UserDefinedType
    cache_ok = True

    def __init__(self, declaration: str, handled_as: TypeEngine[Any]) -> None:
        super().__init__()
        self.declaration = declaration
        self.handled_as = handled_as
        self.impl = handled_as


@compiles(Declared)
def write_declaration(type_: Declared, compiler: Any, **_: Any) -> str:
    """What stands behind the column's name in CREATE TABLE."""
    return type_.declaration
''',
)
# What handles the values of a column, where SQLAlchemy has nothing that does.
VALUE_HELPERS: dict[type[TypeEngine[Any]], Helper] = {
    AsStored: AS_STORED,
    MomentWithT: MOMENT_WITH_T,
    UndecodedText: UNDECODED_TEXT,
    UndecodedAny: UNDECODED_ANY,
}
# The names of all of these, which nothing else in models.py may have.
HELPERS = ("Declared", "write_declaration", *(kind.__name__ for kind in VALUE_HELPERS))
