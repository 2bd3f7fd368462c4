"""What a person sees while it runs: one line for each step, with what it did and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

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
        if self.stream.isatty():
            print(f"{step:<12}...", end="", file=self.stream, flush=True)
        yield
        self._clear()
        seconds = f"{time.perf_counter() - began:.1f} s"
        print(f"{step:<12}{self.result}  ({seconds})", file=self.stream, flush=True)

    def counted(self, items: Iterable[T], total: int) -> Iterator[T]:
        """The items, counted on the terminal as they pass."""
        shown = time.perf_counter() + 0.5
        for number, item in enumerate(items):
            if self.stream.isatty() and time.perf_counter() > shown:
                shown = time.perf_counter() + 0.1
                print(
                    f"\r\x1b[K{self.step:<12}{number} of {total}",
                    end="",
                    file=self.stream,
                    flush=True,
                )
            yield item

    def _clear(self) -> None:
        if self.stream.isatty():
            print("\r\x1b[K", end="", file=self.stream)

    def note(self, line: str) -> None:
        print(line, file=self.stream, flush=True)
