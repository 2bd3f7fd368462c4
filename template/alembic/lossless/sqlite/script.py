"""A baseline's SQL script for SQLite: written, split, undone."""

from __future__ import annotations

from functools import lru_cache

from ..native import NativeObject
from .tokens import Kind, quote_name, significant, tokenize
from .tokens import split_script as split

HEAD = """\
-- What the database held when it was adopted: its own statements, in an order in which they can run.
-- The revision beside this file runs them. They are history: later changes belong in later revisions.
"""


def join_script(objects: list[NativeObject]) -> str:
    """One statement after the other, each under a heading."""
    return "".join(
        [
            HEAD,
            *(
                f"\n-- {found.kind} {heading(found.name)}\n{terminated(found.sql)}\n"
                for found in objects
            ),
        ]
    )


@lru_cache(maxsize=1)  # a script that is run in a proof is undone right afterwards
def split_script(script: str) -> tuple[str, ...]:
    """The statements, without headings."""
    return tuple(without_heading(statement) for statement in split(script))


def heading(name: str) -> str:
    """A name on one line."""
    return "".join(character if character.isprintable() else " " for character in name)


def terminated(sql: str) -> str:
    """A statement with its semicolon, which must not fall into a comment."""
    if "--" not in sql and "/*" not in sql:
        return f"{sql};"
    last = tokenize(sql)[-1]
    if last.kind is Kind.COMMENT and last.text.startswith("--"):
        return f"{sql}\n;"
    if last.kind is Kind.COMMENT and not last.text.endswith("*/"):
        return f"{sql}*/;"
    return f"{sql};"


def without_heading(statement: str) -> str:
    return statement[significant(tokenize(statement))[0].start :]


def undo(statement: str) -> list[str]:
    """What removes an object again. Indexes and triggers go with their tables and views."""
    tokens = significant(tokenize(statement))
    words = {token.word for token in tokens[:3]}
    if tokens[0].word == "PRAGMA":
        return [f"PRAGMA {tokens[1].text} = 0"]
    if words & {"INDEX", "TRIGGER"}:
        return []
    return [f"DROP {'VIEW' if 'VIEW' in words else 'TABLE'} {quote_name(created_name(statement))}"]


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
