"""Cut SQL into tokens exactly as SQLite does.

Knows the lexical rules of SQLite (its tokenizer, `tokenize.c`, and "SQL Language Expressions" of
the documentation) and nothing of grammar: what a token means in a statement is the business of
`statement.py`.

Joining the texts of all tokens gives the input back, byte for byte; that is what makes editing by
token safe.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import dropwhile, islice


class Kind(enum.Enum):
    """What a token is, lexically."""

    SPACE = "space"
    COMMENT = "comment"
    WORD = "word"  # a keyword or an unquoted name
    QUOTED = "quoted"  # "name", `name` or [name]; the first is a string where no such name exists
    STRING = "string"  # 'text'; SQLite takes it for a name where only a name can stand
    BLOB = "blob"
    NUMBER = "number"
    VARIABLE = "variable"
    OPERATOR = "operator"  # also ( ) , ; .
    ILLEGAL = "illegal"  # what SQLite refuses: an open quote, a lone "!"


_NAME_START = r"A-Za-z_\x80-\U0010ffff"
_NAME = rf"{_NAME_START}0-9$"

# Order matters: the first alternative that matches wins, as in the tokenizer's switch.
_TOKEN = re.compile(
    rf"""
    (?P<space>    [ \t\n\f\r]+ | \ufeff )
  | (?P<comment>  --[^\n]* | /\*(?=.)(?:.*?\*/|.*) )
  | (?P<string>   '[^']*(?:''[^']*)*' )
  | (?P<quoted>   "[^"]*(?:""[^"]*)*" | `[^`]*(?:``[^`]*)*` | \[[^\]]*\] )
  | (?P<blob>     [xX]'(?:[0-9a-fA-F][0-9a-fA-F])*' )
  | (?P<broken>   [xX]'[^']*'? | '.* | ".* | `.* | \[.* )
  | (?P<word>     [{_NAME_START}][{_NAME}]* )
  | (?P<number>   0[xX][0-9a-fA-F_]+[{_NAME}]*
                | (?: [0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]* )
                  (?:[eE][+-]?[0-9][0-9_]*)? [{_NAME}]* )
  | (?P<variable> \?[0-9]* | [$@:\#](?:[{_NAME}]|::)+(?:\([^\s)]*\))? )
  | (?P<operator> ->> | -> | \|\| | == | <> | <= | << | >= | >> | != | [-()*/;+%,&~=<>|.] )
  | (?P<illegal>  . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One token: its kind, its text as written, and where it starts in the statement."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Offset just behind the token."""
        return self.start + len(self.text)

    @property
    def significant(self) -> bool:
        """Whether the token means something, which white space and comments do not."""
        return self.kind is not Kind.SPACE and self.kind is not Kind.COMMENT

    @property
    def word(self) -> str:
        """The upper-case word of an unquoted word, to compare with keywords; otherwise the text as
        it is.
        """
        return self.text.translate(_ASCII_UPPER) if self.kind is Kind.WORD else self.text

    @property
    def name(self) -> str:
        """The token read as a name: without quotes, doubled quotes made single."""
        return unquote(self.text)

    @property
    def can_be_name(self) -> bool:
        """Whether SQLite accepts the token as a name of something (quoted, a string, or a word)."""
        return self.kind in (Kind.WORD, Kind.QUOTED, Kind.STRING)


def tokenize(sql: str) -> tuple[Token, ...]:
    """All tokens of a text, white space and comments included.

    Args:
        sql: Any text; SQL that SQLite would refuse gives tokens of kind ILLEGAL, never an
            exception.
    """
    return tuple(_scan(sql))


def _scan(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        group = str(match.lastgroup)
        kind = Kind.ILLEGAL if group == "broken" else Kind(group)
        yield Token(kind, match.group(), match.start())


def significant(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The tokens without white space and comments."""
    return tuple(token for token in tokens if token.significant)


def without_last_comment(sql: str) -> str:
    """SQL without the comment at its end, which would take what is written behind it along."""
    tokens = significant(tokenize(sql))
    return sql[: tokens[-1].end] if tokens else ""


def start_of(sql: str, count: int = 30) -> tuple[Token, ...]:
    """The first significant tokens of a statement; its values, which may be long, stay unread."""
    return tuple(islice(_statement(sql), count))


@lru_cache(maxsize=1)  # several ask about the same one
def first_word(sql: str) -> str:
    """The first word of a statement in upper case; nothing, if it has none."""
    found = _FIRST_WORD.match(sql)
    if found is not None:
        return found[1].upper()
    first = next(_statement(sql), None)
    return first.word if first is not None else ""


def _statement(sql: str) -> Iterator[Token]:
    """The significant tokens one by one, without semicolons in front."""
    tokens = (token for token in _scan(sql) if token.significant)
    return dropwhile(lambda token: token.text == ";", tokens)


_FIRST_WORD = re.compile(r"[ \t\n\f\r;]*([A-Za-z]+)")  # where no comment stands before it


def split_script(script: str) -> list[str]:
    """Cut a script into its statements, without the semicolons that end them, otherwise as written.

    The semicolons inside of a trigger's BEGIN ... END belong to the trigger, as
    `sqlite3_complete()` has it. Statements of nothing but white space and comments are left out.
    """
    statements: list[str] = []
    pending: list[Token] = []
    for token in tokenize(script):
        if token.text == ";" and not _inside_trigger(significant(pending)):
            _keep_statement(statements, pending)
            pending = []
        else:
            pending.append(token)
    _keep_statement(statements, pending)
    return statements


def _keep_statement(statements: list[str], tokens: Sequence[Token]) -> None:
    if any(token.significant for token in tokens):
        statements.append("".join(token.text for token in tokens).lstrip(" \t\n\f\r"))


def _inside_trigger(tokens: Sequence[Token]) -> bool:
    """Whether these tokens are a CREATE TRIGGER that has not come to its `; END` yet."""
    start = tokens[:6]  # EXPLAIN QUERY PLAN CREATE TEMP TRIGGER
    if start and start[0].word == "EXPLAIN":
        start = [token for token in start[1:] if token.word not in ("QUERY", "PLAN")]
    if created_kind(start) != "TRIGGER":
        return False
    return not (len(tokens) > 2 and tokens[-1].word == "END" and tokens[-2].text == ";")


def fold(name: str) -> str:
    """A name in the form in which SQLite compares names: ASCII letters in lower case, all others as
    they are.
    """
    return name.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_ASCII_UPPER = {lower: upper for upper, lower in _ASCII_LOWER.items()}


def same_name(one: str, other: str) -> bool:
    """Whether SQLite takes two names for the same."""
    return fold(one) == fold(other)


def unquote(text: str) -> str:
    """A name without the quotes around it; an unquoted one as it is."""
    if len(text) > 1 and text[0] == "[" and text[-1] == "]":
        return text[1:-1]
    if len(text) > 1 and text[0] in "\"'`" and text[-1] == text[0]:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text


def quote_name(name: str) -> str:
    """A name in double quotes, always: right for every name and for every keyword of a later
    SQLite.
    """
    return '"' + name.replace('"', '""') + '"'


def quote_string(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def write_name(name: str) -> str:
    """A name as a person would write it: bare where that is plainly safe, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.upper() not in KEYWORDS | {
        "TRUE",
        "FALSE",
    }
    return name if plain else quote_name(name)


# The first words of statements that change neither rows nor tables.
HARMLESS = ("SELECT", "PRAGMA", "EXPLAIN", "ANALYZE", "REINDEX", "VALUES", "SAVEPOINT", "RELEASE")

# "SQLite Keywords" of the documentation.
KEYWORDS = frozenset(
    """
    ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN
    BETWEEN BY CASCADE CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS
    CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFAULT DEFERRABLE DEFERRED DELETE
    DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE EXISTS EXPLAIN FAIL
    FILTER FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE
    IMMEDIATE IN INDEX INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST
    LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR
    ORDER OTHERS OUTER OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY RAISE RANGE RECURSIVE
    REFERENCES REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWS
    SAVEPOINT SELECT SET TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER UNBOUNDED UNION
    UNIQUE UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT WITHIN
    """.split()  # noqa: SIM905 - a list of this length reads better as text
)

# Keywords that SQLite never takes for a name without quotes (those that have no fallback to ID in
# its grammar).
RESERVED = frozenset(
    """
    ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT
    DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT
    INTO IS ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING
    SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE UPDATE USING VALUES WHEN WHERE
    """.split()  # noqa: SIM905 - a list of this length reads better as text
)


def created_kind(tokens: Sequence[Token]) -> str:
    """What a statement makes, by its first significant tokens: "TABLE", "VIEW", "INDEX", "TRIGGER".

    Nothing, if it is no CREATE. Such a word can be a name without quotes, too: CREATE TABLE trigger.
    """
    words = [token.word for token in tokens[:3]]
    if words[:1] != ["CREATE"]:
        return ""
    return next((word for word in words[1:] if word not in _BEFORE_KIND), "")


_BEFORE_KIND = ("TEMP", "TEMPORARY", "UNIQUE", "VIRTUAL")


def created_name(statement: str) -> str:
    """The name in a CREATE statement."""
    tokens = significant(tokenize(statement))
    at = (
        next(
            at
            for at, token in enumerate(tokens)
            if token.word in ("TABLE", "VIEW", "INDEX", "TRIGGER")
        )
        + 1
    )
    if [token.word for token in tokens[at : at + 3]] == ["IF", "NOT", "EXISTS"]:
        at += 3
    return tokens[at + 2 if tokens[at + 1].text == "." else at].name
