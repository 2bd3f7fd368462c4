"""Import sqlacodegen without the library inflect.

inflect makes plurals for an option that adoption does not use, and takes longer to import than everything else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without_inflect() -> Iterator[None]:
    """Let modules that import inflect get an empty engine in its place; what is imported already stays."""
    if "inflect" in sys.modules:
        yield
        return
    empty = ModuleType("inflect")
    empty.engine = lambda: None  # type: ignore[attr-defined]
    sys.modules["inflect"] = empty
    try:
        yield
    finally:
        del sys.modules["inflect"]
