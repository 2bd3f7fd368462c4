"""What a person sees: a line for each step, and at the end a table, also as Markdown with a diagram.

Knows nothing of databases but the tables of the models, which the diagram shows.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeVar

from sqlalchemy import Column, MetaData, Table

# Mermaid's own words in a diagram ("Attribute Keys and Comments" of its documentation).
KEY_WORDS = ("PK", "FK", "UK")
DRAWN = 50_000  # characters that Mermaid draws, unless a page allows it more (`maxTextSize` of its configuration)
LISTED = 12  # names listed on the terminal; the Markdown report has all
T = TypeVar("T")


class Progress:
    """Lines for steps; on a terminal, a counter within a step that takes long."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.step = ""
        self.result = ""

    @contextmanager
    def phase(self, step: str, began: float | None = None) -> Iterator[None]:
        """A step; set `result` in the block to say what came out of it.

        Args:
            step: its name.
            began: when it began (`time.perf_counter`), if before the block.
        """
        self.step, self.result = step, ""
        began = time.perf_counter() if began is None else began
        self._show(f"{step:<12}...")
        try:
            yield
        finally:
            self._show("")  # what went wrong is told on a line of its own
        self.note(f"{step:<12}{self.result}  ({time.perf_counter() - began:.1f} s)")

    def counted(self, items: Iterable[T], total: int) -> Iterator[T]:
        """The items, counted on the terminal as they pass."""
        shown = time.perf_counter() + 0.5
        for number, item in enumerate(items):
            if time.perf_counter() > shown:
                shown = time.perf_counter() + 0.1
                self._show(f"{self.step:<12}{number} of {total}")
            yield item

    def note(self, line: str) -> None:
        """Print a line that stays."""
        self._write(f"{line}\n")

    def _show(self, line: str) -> None:
        """Put something on the terminal's last line, in place of what is there."""
        if self.stream.isatty():
            self._write(f"\r\x1b[K{line}")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            # `adopt.py | head`: nobody reads on, which is no reason to stop half-way.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


@dataclass
class Report:
    """All that is worth telling about an adoption."""

    database: str
    rows: list[tuple[str, int, int, int]] = field(
        default_factory=list
    )  # kind, in the database, models, baseline only
    baseline_only: list[str] = field(default_factory=list)  # what models cannot say
    notes: list[str] = field(default_factory=list)  # what is missing here, or was left out
    failures: list[str] = field(default_factory=list)  # what could not be proved

    def text(self) -> str:
        """For the terminal."""
        lines = ["", *table(self.rows)] if self.rows else []
        lines += section("Not in the models, but in the baseline:", self.baseline_only, LISTED)
        lines += section("To know:", self.notes, None)
        lines += section("Not proved:", self.failures, None)
        return "\n".join(lines)

    def markdown(self, metadata: MetaData) -> str:
        """For `--report`."""
        lines = [f"# Adoption of {escape(self.database)}", ""]
        if self.rows:
            lines += [
                "| | in the database | in the models | in the baseline only |",
                "|---|---:|---:|---:|",
            ]
        lines += [
            f"| {kind} | {here} | {models} | {baseline} |"
            for kind, here, models, baseline in self.rows
        ]
        for title, items in (
            ("Not proved", self.failures),
            ("To know", self.notes),
            ("Not in the models, but in the baseline", self.baseline_only),
        ):
            if items:
                lines += ["", f"## {title}", "", *(f"- {escape(item)}" for item in items)]
        drawn, left_out = diagram(metadata), ""
        if sum(len(line) + 1 for line in drawn) > DRAWN:
            drawn = diagram(metadata, keys_only=True)
            left_out = f"Columns of keys only: Mermaid draws no more than {DRAWN:,} characters.\n\n"
        lines += ["", "## Tables", "", f"{left_out}```mermaid", *drawn, "```", ""]
        return "\n".join(lines)


def table(rows: Iterable[tuple[str, int, int, int]]) -> list[str]:
    lines = [f"{'':<16}{'database':>10}{'models':>10}{'baseline only':>16}"]
    return lines + [
        f"{kind:<16}{here:>10}{models:>10}{baseline:>16}" for kind, here, models, baseline in rows
    ]


def section(title: str, items: list[str], limit: int | None) -> list[str]:
    shown = items if limit is None or len(items) <= limit else items[:limit]
    more = len(items) - len(shown)
    lines = [f"  {one_line(item)}" for item in shown] + (
        [f"  and {more} more: --report FILE lists them"] if more else []
    )
    return ["", title, *lines] if items else []


def one_line(text: str) -> str:
    """Text from a database, fit for a terminal: no control characters, no line ends."""
    return "".join(character if character.isprintable() else " " for character in text)


def escape(text: str) -> str:
    """Text from a database in Markdown, as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", one_line(text))


def diagram(metadata: MetaData, *, keys_only: bool = False) -> list[str]:
    """Tables and foreign keys as a Mermaid entity-relationship diagram.

    Args:
        metadata: the tables.
        keys_only: leave out all columns that are in no key.
    """
    names: dict[Table, str] = {}
    for number, found in enumerate(metadata.tables.values()):
        names[found] = f"t{number}"
    lines = ["erDiagram"]
    for found, name in names.items():
        lines.append(f'    {name}["{quoted(found.name)}"] ' + "{")
        for column in found.columns:
            keys = [
                key
                for key, holds in (("PK", column.primary_key), ("FK", bool(column.foreign_keys)))
                if holds
            ]
            if keys_only and not keys:
                continue
            name_drawn = word(column.name)
            told = "" if name_drawn == column.name else f'"{quoted(column.name)}"'
            parts = (word(declared(column)), name_drawn, ", ".join(keys), told)
            lines.append(" ".join(["       ", *filter(None, parts)]))
        lines.append("    }")
    for found, name in names.items():
        for key in sorted(
            found.foreign_key_constraints,
            key=lambda key: ([column.name for column in key.columns], key._creation_order),
        ):
            some = "o|" if any(column.nullable for column in key.columns) else "||"
            label = quoted(", ".join(column.name for column in key.columns))
            many = some + "--o{"
            lines.append(f'    {names[key.referred_table]} {many} {name} : "{label}"')
    return lines


def declared(column: Column[Any]) -> str:
    """A column's type without its collation."""
    text = getattr(column.type, "declaration", None)
    return (str(column.type) if text is None else str(text)).partition(" COLLATE ")[0] or "any"


def word(text: str) -> str:
    """A single word, which is all that Mermaid takes for a type or an attribute; some words have a meaning there."""
    made = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return made if made[:1].isalpha() and made.upper() not in KEY_WORDS else f"c_{made}"


def quoted(text: str) -> str:
    """Text between Mermaid's double quotes, with entities for the characters that cannot stand there."""
    return re.sub(r'[#"%\\]', lambda found: f"#{ord(found[0])};", one_line(text))
