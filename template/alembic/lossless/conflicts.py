"""Conflicts of a merge that nobody has resolved yet, in the files that Alembic works with.

Called by env.py when it has imported the models, before anything else. This module knows the marks
that git leaves, at the start of a line or in a comment, and nothing of what the files mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from alembic.util import CommandError

MARK = re.compile(r"^(?:# )?<{7} ", re.MULTILINE)


def refuse(project: Path) -> None:
    """Stop if a file that Alembic works with has an unresolved conflict.

    Args:
        project: the folder with alembic.ini, pyproject.toml and alembic/.

    Raises:
        CommandError: there is one; the message says where, and what to do.
    """
    for path in _files(project):
        text = path.read_text(encoding="utf-8", errors="replace")
        found = MARK.search(text) if "<<<<<<< " in text else None
        if found:
            line = text.count("\n", 0, found.start()) + 1
            raise CommandError(
                f"{path.relative_to(project)}, line {line}: an unresolved conflict. Keep the lines "
                "you want there, delete the marks <<<<<<<, ======= and >>>>>>>, and try again"
            )


def _files(project: Path) -> Iterator[Path]:
    for path in (project / "alembic.ini", project / "pyproject.toml"):
        if path.is_file():
            yield path
    for pattern in ("*.py", "*.mako", "lossless/**/*.py"):
        yield from sorted((project / "alembic").glob(pattern))
