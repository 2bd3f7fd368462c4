"""A CREATE TABLE statement that can be read and edited without losing a byte.

Knows SQLite's grammar of CREATE TABLE ("CREATE TABLE" of the documentation, `parse.y`), with what
it tolerates: table constraints without a comma between them, a CONSTRAINT name with nothing behind
it, names in any quotes, a column without a type. Knows nothing of connections: what a statement
means for stored rows is the business of others.

A `CreateTable` never changes; each edit gives a new one, whose text differs from the old in that
place alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from .tokens import (
    RESERVED,
    Kind,
    Token,
    fold,
    quote_name,
    same_name,
    significant,
    tokenize,
    write_name,
)

# The rowid's own names, where no column is called so ("ROWIDs and the INTEGER PRIMARY KEY").
ROWID_NAMES = ("rowid", "_rowid_", "oid")


class NotACreateTable(ValueError):
    """The text is not a CREATE TABLE statement with a list of columns."""


@dataclass(frozen=True)
class Span:
    """A piece of the statement: from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Constraint(Span):
    """What all constraints have: their name, if any, and whether they stand in a column or at the
    table's end.
    """

    name: str | None
    column: str | None  # of which column it is part; None for a table constraint


@dataclass(frozen=True)
class KeyPart:
    """One member of PRIMARY KEY (...) or UNIQUE (...)."""

    name: str
    collation: str | None
    descending: bool


@dataclass(frozen=True)
class Key(Constraint):
    """What PRIMARY KEY and UNIQUE have in common."""

    parts: tuple[KeyPart, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the key's order."""
        return tuple(part.name for part in self.parts)

    def has(self, column: str) -> bool:
        """Whether a column is in the key."""
        return any(same_name(column, name) for name in self.columns)

    def is_of(self, columns: Sequence[str]) -> bool:
        """Whether the key is of these columns, in this order."""
        return list(map(fold, self.columns)) == list(map(fold, columns))


@dataclass(frozen=True)
class PrimaryKey(Key):
    """PRIMARY KEY of a column or of the table."""

    autoincrement: bool
    on_conflict: str | None


@dataclass(frozen=True)
class Unique(Key):
    """UNIQUE of a column or of the table."""

    on_conflict: str | None


@dataclass(frozen=True)
class NotNull(Constraint):
    """NOT NULL."""

    on_conflict: str | None


@dataclass(frozen=True)
class Null(Constraint):
    """The word NULL, which SQLite accepts and which constrains nothing."""


@dataclass(frozen=True)
class Check(Constraint):
    """CHECK; `expression` is what stands between the parentheses, as written."""

    expression: str
    on_conflict: str | None


@dataclass(frozen=True)
class Default(Constraint):
    """DEFAULT; `expression` is as written, with its parentheses if it has any."""

    expression: str


@dataclass(frozen=True)
class Collate(Constraint):
    """COLLATE."""

    collation: str


@dataclass(frozen=True)
class ForeignKey(Constraint):
    """REFERENCES of a column, or FOREIGN KEY of the table."""

    columns: tuple[str, ...]
    table: str
    target_columns: tuple[str, ...]  # empty: the primary key of the other table
    on_delete: str | None
    on_update: str | None
    match: str | None
    deferrable: bool | None  # None: not said
    initially: str | None  # "DEFERRED" or "IMMEDIATE"

    def targets_in(self, parent: CreateTable) -> tuple[str, ...]:
        """The columns of its parent that it refers to."""
        primary = parent.primary_key.columns if parent.primary_key else ()
        return self.target_columns or primary


@dataclass(frozen=True)
class Generated(Constraint):
    """GENERATED ALWAYS AS (expression), or AS (expression)."""

    expression: str
    stored: bool


@dataclass(frozen=True)
class Dangling(Constraint):
    """CONSTRAINT name with no constraint behind it, or DEFERRABLE with no foreign key before it."""


class Constrained:
    """Constraints by kind, for a column and for a whole table alike."""

    constraints: tuple[Constraint, ...]

    @property
    def primary_key(self) -> PrimaryKey | None:
        """The PRIMARY KEY."""
        return next((c for c in self.constraints if isinstance(c, PrimaryKey)), None)

    @property
    def uniques(self) -> tuple[Unique, ...]:
        """The UNIQUE constraints."""
        return tuple(c for c in self.constraints if isinstance(c, Unique))

    @property
    def checks(self) -> tuple[Check, ...]:
        """The CHECK constraints."""
        return tuple(c for c in self.constraints if isinstance(c, Check))

    @property
    def foreign_keys(self) -> tuple[ForeignKey, ...]:
        """The foreign keys."""
        return tuple(c for c in self.constraints if isinstance(c, ForeignKey))


@dataclass(frozen=True)
class Column(Constrained, Span):
    """One column's definition; its constraints are those written in the column."""

    name: str
    name_token: Token
    type_start: int
    type_end: int  # equal to type_start if no type is declared
    declared_type: str  # as SQLite reports it: the text as written, "" without one
    constraints: tuple[Constraint, ...]

    @property
    def not_null(self) -> NotNull | None:
        """The NOT NULL constraint."""
        return next((c for c in self.constraints if isinstance(c, NotNull)), None)

    @property
    def default(self) -> Default | None:
        """The default that is in force: the last one, if there are several."""
        return next((c for c in reversed(self.constraints) if isinstance(c, Default)), None)

    @property
    def default_sql(self) -> str | None:
        """The default's expression as written, with its parentheses."""
        return self.default.expression if self.default else None

    @property
    def collate(self) -> Collate | None:
        """The COLLATE that is in force: the last one, if there are several."""
        return next((c for c in reversed(self.constraints) if isinstance(c, Collate)), None)

    @property
    def collation(self) -> str | None:
        """The name of the collation, if one is written."""
        return self.collate.collation if self.collate else None

    @property
    def generated(self) -> Generated | None:
        """The GENERATED constraint."""
        return next((c for c in self.constraints if isinstance(c, Generated)), None)


@dataclass(frozen=True)
class CreateTable(Constrained):
    """A parsed CREATE TABLE statement. Make one with `parse`."""

    sql: str
    name: str
    name_token: Token
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]  # those of the columns, then those of the table
    options: tuple[str, ...]  # "STRICT", "WITHOUT ROWID"
    commas: tuple[int, ...] = field(
        repr=False
    )  # offsets of the commas between columns and constraints
    close: int = field(repr=False)  # offset of the parenthesis that closes the list

    # -- reading -----------------------------------------------------------------------------------

    @property
    def strict(self) -> bool:
        """Whether the table is STRICT."""
        return "STRICT" in self.options

    @property
    def without_rowid(self) -> bool:
        """Whether the table is WITHOUT ROWID."""
        return "WITHOUT ROWID" in self.options

    @property
    def table_constraints(self) -> tuple[Constraint, ...]:
        """The constraints that stand behind the columns."""
        return tuple(c for c in self.constraints if c.column is None)

    @property
    def autoincrement(self) -> bool:
        """Whether the primary key is AUTOINCREMENT."""
        return bool(self.primary_key and self.primary_key.autoincrement)

    @property
    def rowid_alias(self) -> str | None:
        """The column that is another name for the rowid.

        "ROWIDs and the INTEGER PRIMARY KEY" of the documentation: type exactly INTEGER, sole member
        of the key, and not `INTEGER PRIMARY KEY DESC` in the column itself.
        """
        key = self.primary_key
        if key is None or len(key.parts) != 1 or self.without_rowid:
            return None
        if key.column is not None and key.parts[0].descending:
            return None
        column = self.find_column(key.parts[0].name)
        is_alias = column is not None and same_name(column.declared_type, "integer")
        return column.name if column is not None and is_alias else None

    def column(self, name: str) -> Column:
        """The column of that name, compared as SQLite compares names.

        Raises:
            KeyError: There is no such column.
        """
        found = self.find_column(name)
        if found is None:
            raise KeyError(name)
        return found

    def find_column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return self._columns_by_name.get(fold(name))

    @cached_property
    def _columns_by_name(self) -> dict[str, Column]:
        return {fold(column.name): column for column in self.columns}

    def text(self, span: Span) -> str:
        """What is written in a column or constraint."""
        return self.sql[span.start : span.end]

    def tokens(self, span: Span | None = None) -> tuple[Token, ...]:
        """The tokens of the statement, or of a piece of it; their offsets count from the start of
        that piece.
        """
        return tokenize(self.text(span) if span else self.sql)

    # -- editing -----------------------------------------------------------------------------------

    def replace(self, span: Span, text: str) -> CreateTable:
        """Write `text` in the place of a piece of the statement, apart from what stands beside it."""
        before, after = self.sql[: span.start], self.sql[span.end :]
        if text and before and before[-1] not in _APART and text[0] not in _APART:
            text = f" {text}"
        if text and after and after[0] not in _APART and text[-1] not in _APART:
            text = f"{text} "
        return parse(before + text + after)

    def insert(self, offset: int, text: str) -> CreateTable:
        """Write `text` at an offset."""
        return self.replace(Span(offset, offset), text)

    def with_name(self, name: str) -> CreateTable:
        """The same table under another name; what it says about itself (self-references) stays as
        it is.
        """
        return self.replace(Span(self.name_token.start, self.name_token.end), quote_name(name))

    def with_column(
        self, definition: str, *, after: str | None = None, first: bool = False
    ) -> CreateTable:
        """Add a column.

        Args:
            definition: The column's definition: name, type, constraints.
            after: The column behind which it is put; the last one if not given.
            first: Put it before all others.
        """
        if first:
            return self.insert(self.columns[0].start, definition + ", ")
        neighbour = self.column(after) if after is not None else self.columns[-1]
        return self.insert(neighbour.end, ", " + definition)

    def without_column(self, name: str) -> CreateTable:
        """Remove a column's definition; constraints of the table that name it stay."""
        return self._without_item(self.column(name))

    def with_type(self, name: str, declared_type: str) -> CreateTable:
        """Declare another type for a column; an empty text removes the type."""
        column = self.column(name)
        if column.type_start == column.type_end:
            return self.insert(column.type_end, f" {declared_type}" if declared_type else "")
        if not declared_type:
            return self._without_piece(Span(column.type_start, column.type_end))
        return self.replace(Span(column.type_start, column.type_end), declared_type)

    def with_default(self, name: str, expression: str | None) -> CreateTable:
        """Give a column a default as SQL, in parentheses where SQLite asks for them; None removes
        it.
        """
        column = self.column(name)
        written = [c for c in column.constraints if isinstance(c, Default)]
        if expression is None:
            return (
                self.without_constraint(written[-1]).with_default(name, None) if written else self
            )
        clause = f"DEFAULT {expression}"
        if not written:
            return self.insert(column.type_end, f" {clause}")
        last = written[-1]
        named = f"CONSTRAINT {quote_name(last.name)} " if last.name is not None else ""
        return self.replace(last, named + clause)

    def with_not_null(self, name: str, *, not_null: bool) -> CreateTable:
        """Add or remove a column's NOT NULL. The word NULL, which contradicts it, goes when it is
        added.
        """
        column = self.column(name)
        unwanted = NotNull if not not_null else Null
        for constraint in column.constraints:
            if isinstance(constraint, unwanted):
                return self.without_constraint(constraint).with_not_null(name, not_null=not_null)
        if not not_null or column.not_null is not None:
            return self
        behind = column.default.end if column.default else column.type_end
        return self.insert(behind, " NOT NULL")

    def with_collation(self, name: str, collation: str | None) -> CreateTable:
        """Give a column another collation; None removes it."""
        column = self.column(name)
        if column.collate is not None:
            bare = self.without_constraint(column.collate)
            return bare.with_collation(name, collation)
        return (
            self.insert(column.type_end, f" COLLATE {write_name(collation)}") if collation else self
        )

    def with_table_constraint(self, definition: str) -> CreateTable:
        """Add a constraint behind all columns and constraints."""
        last = self.table_constraints[-1] if self.table_constraints else self.columns[-1]
        return self.insert(last.end, f", {definition}")

    def with_column_constraint(self, name: str, definition: str) -> CreateTable:
        """Add a constraint at the end of a column's definition."""
        return self.insert(self.column(name).end, f" {definition}")

    def with_constraint_name(self, constraint: Constraint, name: str) -> CreateTable:
        """A constraint under another name, or under its first."""
        if constraint.name is None:
            return self.insert(constraint.start, f"CONSTRAINT {write_name(name)} ")
        called = significant(self.tokens(constraint))[1]  # behind CONSTRAINT
        start = constraint.start + called.start
        return self.replace(Span(start, start + len(called.text)), write_name(name))

    def without_constraint(self, constraint: Constraint) -> CreateTable:
        """Remove a constraint, with its name."""
        if constraint.column is None:
            return self._without_item(constraint)
        return self._without_piece(constraint)

    def _without_item(self, item: Span) -> CreateTable:
        """Remove a column or table constraint and the comma that is then one too many."""
        items: list[Span] = [*self.columns, *self.table_constraints]
        place = items.index(item)
        before = self._comma_between(items[place - 1].end, item.start) if place else None
        after = (
            self._comma_between(item.end, items[place + 1].start)
            if place + 1 < len(items)
            else None
        )
        bare = self.sql
        if after is not None and (before is not None or place == 0):
            bare = _cut(bare, after, after + 1)
        bare = _cut(bare, item.start, item.end)
        if before is not None and place == len(items) - 1:
            bare = _cut(bare, before, before + 1)
        return parse(bare)

    def _without_piece(self, piece: Span) -> CreateTable:
        return parse(_cut(self.sql, piece.start, piece.end))

    def _comma_between(self, start: int, end: int) -> int | None:
        return next((offset for offset in self.commas if start <= offset < end), None)


_APART = tuple(" \t\n\r\f,();")  # characters that run together with nothing


def _cut(sql: str, start: int, end: int) -> str:
    """Take out a piece and the white space before it, so that neither tokens nor comments run
    together.
    """
    tokens = [token for token in tokenize(sql) if token.end <= start]
    left = start
    is_space = bool(tokens) and tokens[-1].kind is Kind.SPACE
    ends_comment = len(tokens) > 1 and tokens[-2].text.startswith("--")
    if is_space and not ends_comment:
        left = tokens[-1].start
    closed = end >= len(sql) or sql[end] in " \t\n\r\f,();" or sql[end : end + 2] in ("--", "/*")
    return sql[:left] + ("" if closed else " ") + sql[end:]


@lru_cache(maxsize=256)  # the same statements are asked for by one operation after the other
def parse(sql: str) -> CreateTable:
    """Read a CREATE TABLE statement.

    Args:
        sql: The statement, as in `sqlite_schema.sql` or as somebody wrote it.

    Raises:
        NotACreateTable: The text is something else: another statement, CREATE TABLE ... AS SELECT,
            a virtual table, or nothing that SQLite would accept.
    """
    return _Parser(sql).statement()


_TABLE_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


class _Parser:
    """Recursive descent over the significant tokens of one statement."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = significant(tokenize(sql))
        self.at = 0

    # -- moving through the tokens

    def word(self, ahead: int = 0) -> str:
        """The keyword (or other text) at a place, "" behind the end."""
        place = self.at + ahead
        return self.tokens[place].word if place < len(self.tokens) else ""

    def take(self) -> Token:
        if self.at >= len(self.tokens):
            raise NotACreateTable(f"the statement ends too early: {self.sql[:60]!r}")
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Take these words if they are next."""
        if any(self.word(ahead) != word for ahead, word in enumerate(words)):
            return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> Token:
        token = self.take()
        if token.word != word:
            raise NotACreateTable(f"{word} expected at {self.sql[token.start :][:40]!r}")
        return token

    def name(self) -> Token:
        token = self.take()
        if not token.can_be_name:
            raise NotACreateTable(f"a name expected at {self.sql[token.start :][:40]!r}")
        return token

    def end(self) -> int:
        """Offset behind the token that was taken last."""
        return self.tokens[self.at - 1].end

    def start(self) -> int:
        """Offset of the token that comes next."""
        return self.tokens[self.at].start if self.at < len(self.tokens) else len(self.sql)

    def parenthesised(self) -> str:
        """Take ( ... ) and give what stands between, as written."""
        start = self.expect("(").end
        depth = 1
        while depth:
            token = self.take()
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        return self.sql[start : self.tokens[self.at - 1].start]

    # -- the grammar

    def statement(self) -> CreateTable:
        self.expect("CREATE")
        if not self.accept("TEMP"):
            self.accept("TEMPORARY")
        self.expect("TABLE")
        self.accept("IF", "NOT", "EXISTS")
        name = self.name()
        if self.accept("."):
            name = self.name()
        if self.word() != "(":
            raise NotACreateTable(f"no list of columns: {self.sql[:60]!r}")
        self.take()
        columns, table_constraints, commas = self.items()
        closing = self.expect(")").start
        options = tuple(self.table_options())
        return CreateTable(
            sql=self.sql,
            name=name.name,
            name_token=name,
            columns=columns,
            constraints=(
                *(c for column in columns for c in column.constraints),
                *table_constraints,
            ),
            options=options,
            commas=commas,
            close=closing,
        )

    def items(self) -> tuple[tuple[Column, ...], tuple[Constraint, ...], tuple[int, ...]]:
        """The list between the parentheses: columns, then constraints, which need no comma between
        them.
        """
        columns, commas = [self.column()], []
        constraints: list[Constraint] = []
        while self.word() == ",":
            commas.append(self.take().start)
            if self.word() in _TABLE_CONSTRAINTS:
                break
            columns.append(self.column())
        while self.word() != ")":
            if constraints and self.word() == ",":
                commas.append(self.take().start)
            constraints.append(self.table_constraint())
        return tuple(columns), tuple(constraints), tuple(commas)

    def table_options(self) -> Iterator[str]:
        while self.at < len(self.tokens) and self.word() != ";":
            if self.accept("WITHOUT"):
                yield "WITHOUT " + self.name().name.upper()
            elif not self.accept(","):
                yield self.name().name.upper()

    def column(self) -> Column:
        name = self.name()
        type_start, type_end = name.end, name.end
        written = self.type_tokens()
        if written:
            type_start, type_end = written[0].start, written[-1].end
        constraints = []
        while self.word() not in (",", ")"):
            constraints.append(self.column_constraint(name.name))
        return Column(
            start=name.start,
            end=self.end(),
            name=name.name,
            name_token=name,
            type_start=type_start,
            type_end=type_end,
            declared_type=_reported_type(self.sql[type_start:type_end], written),
            constraints=tuple(constraints),
        )

    def type_tokens(self) -> Sequence[Token]:
        """Any words that are no reserved keyword, then numbers in parentheses."""
        first = self.at
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            generated = self.word() == "GENERATED" and self.word(1) == "ALWAYS"
            if not token.can_be_name or token.word in RESERVED or generated:
                break
            self.at += 1
        if self.at > first and self.word() == "(":
            self.parenthesised()
        return self.tokens[first : self.at]

    def constraint_name(self) -> tuple[int, str | None]:
        start = self.start()
        return start, self.name().name if self.accept("CONSTRAINT") else None

    def column_constraint(self, column: str) -> Constraint:
        start, name = self.constraint_name()
        word = self.word()
        if self.accept("PRIMARY", "KEY"):
            descending = self.sort_order()
            conflict = self.on_conflict()
            automatic = self.accept("AUTOINCREMENT")
            parts = (KeyPart(column, None, descending),)
            return PrimaryKey(start, self.end(), name, column, parts, automatic, conflict)
        if self.accept("UNIQUE"):
            conflict = self.on_conflict()
            return Unique(
                start, self.end(), name, column, (KeyPart(column, None, False),), conflict
            )
        if word == "NOT" and self.word(1) == "NULL":
            self.accept("NOT", "NULL")
            conflict = self.on_conflict()
            return NotNull(start, self.end(), name, column, conflict)
        if self.accept("NULL"):
            self.on_conflict()
            return Null(start, self.end(), name, column)
        if word == "CHECK":
            return self.check(start, name, column)
        if self.accept("DEFAULT"):
            expression = self.default_expression()
            return Default(start, self.end(), name, column, expression)
        if self.accept("COLLATE"):
            collation = self.name().name
            return Collate(start, self.end(), name, column, collation)
        if word == "REFERENCES":
            return self.references(start, name, column, (column,))
        if word in ("AS", "GENERATED"):
            return self.generated(start, name, column)
        if word in ("NOT", "DEFERRABLE"):
            self.deferral()
            return Dangling(start, self.end(), name, column)
        if name is not None:
            return Dangling(start, self.end(), name, column)
        raise NotACreateTable(f"a column constraint expected at {self.sql[start:][:40]!r}")

    def table_constraint(self) -> Constraint:
        start, name = self.constraint_name()
        if self.accept("PRIMARY", "KEY"):
            parts, automatic = self.key_parts()
            conflict = self.on_conflict()
            return PrimaryKey(start, self.end(), name, None, parts, automatic, conflict)
        if self.accept("UNIQUE"):
            parts, _ = self.key_parts()
            conflict = self.on_conflict()
            return Unique(start, self.end(), name, None, parts, conflict)
        if self.word() == "CHECK":
            return self.check(start, name, None)
        if self.accept("FOREIGN", "KEY"):
            return self.references(start, name, None, self.name_list())
        if name is not None:
            return Dangling(start, self.end(), name, None)
        raise NotACreateTable(f"a table constraint expected at {self.sql[start:][:40]!r}")

    def check(self, start: int, name: str | None, column: str | None) -> Check:
        self.expect("CHECK")
        expression = self.parenthesised()
        conflict = self.on_conflict()
        return Check(start, self.end(), name, column, expression.strip(), conflict)

    def default_expression(self) -> str:
        start = self.start()
        if self.word() == "(":
            self.parenthesised()
        else:
            if self.word() in ("+", "-"):
                self.take()
            self.take()
        return self.sql[start : self.end()]

    def generated(self, start: int, name: str | None, column: str) -> Generated:
        self.accept("GENERATED", "ALWAYS")
        self.expect("AS")
        expression = self.parenthesised().strip()
        stored = self.accept("STORED")
        if not stored:
            self.accept("VIRTUAL")
        return Generated(start, self.end(), name, column, expression, stored)

    def references(
        self, start: int, name: str | None, column: str | None, columns: tuple[str, ...]
    ) -> ForeignKey:
        self.expect("REFERENCES")
        table = self.name().name
        targets = self.name_list() if self.word() == "(" else ()
        actions: dict[str, str] = {}
        while self.word() in ("ON", "MATCH"):
            if self.accept("MATCH"):
                actions["MATCH"] = self.name().name.upper()
            else:
                self.expect("ON")
                event = self.take().word
                actions[event] = self.action()
        deferrable, initially = self.deferral()
        return ForeignKey(
            start=start,
            end=self.end(),
            name=name,
            column=column,
            columns=columns,
            table=table,
            target_columns=targets,
            on_delete=actions.get("DELETE"),
            on_update=actions.get("UPDATE"),
            match=actions.get("MATCH"),
            deferrable=deferrable,
            initially=initially,
        )

    def action(self) -> str:
        first = self.take().word
        return f"{first} {self.take().word}" if first in ("SET", "NO") else first

    def deferral(self) -> tuple[bool | None, str | None]:
        deferrable: bool | None = None
        if self.word() == "NOT" and self.word(1) == "DEFERRABLE":
            self.accept("NOT", "DEFERRABLE")
            deferrable = False
        elif self.accept("DEFERRABLE"):
            deferrable = True
        else:
            return None, None
        return deferrable, self.take().word if self.accept("INITIALLY") else None

    def sort_order(self) -> bool:
        """Take ASC or DESC; whether it was DESC."""
        return not self.accept("ASC") and self.accept("DESC")

    def on_conflict(self) -> str | None:
        return self.take().word if self.accept("ON", "CONFLICT") else None

    def name_list(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.key_parts()[0])

    def key_parts(self) -> tuple[tuple[KeyPart, ...], bool]:
        """Take ( name [COLLATE c] [ASC | DESC], ... [AUTOINCREMENT] ); whether AUTOINCREMENT was
        there.
        """
        self.expect("(")
        parts: list[KeyPart] = []
        automatic = False
        while not self.accept(")"):
            wrapped = self.wrapping()
            name, collation = self.name().name, None
            if self.accept("COLLATE"):
                collation = self.name().name
            for _ in range(wrapped):
                self.expect(")")
            if self.accept("COLLATE"):
                collation = self.name().name
            parts.append(KeyPart(name, collation, self.sort_order()))
            if self.accept("NULLS"):
                self.take()
            automatic = self.accept("AUTOINCREMENT") or automatic
            self.accept(",")
        return tuple(parts), automatic

    def wrapping(self) -> int:
        """Take the parentheses around a key's member, which SQLite allows; how many there were."""
        count = 0
        while self.accept("("):
            count += 1
        return count


def _reported_type(text: str, tokens: Sequence[Token]) -> str:
    """The type as `PRAGMA table_info` gives it: the text as written, a quoted type without its
    quotes.
    """
    if len(tokens) == 1 and tokens[0].kind in (Kind.QUOTED, Kind.STRING):
        return tokens[0].name
    return text
