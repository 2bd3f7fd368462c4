"""Format a new revision with the project's ruff: what Alembic runs after it has written one.

A program of its own (Alembic's documentation, "Applying Post Processing and Python Code Formatters"), so that
revisions can also be written where only the application is installed, without the development tools.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

# A new revision begins with the imports that its author is about to use, in whatever folder
# (`version_locations`) it is.
COMMANDS = (("check", "--fix-only", "--extend-per-file-ignores", "*.py:F401"), ("format",))


def main(revision: str) -> None:
    """Sort imports and lay out lines, if ruff is installed.

    Args:
        revision: the path of the file.
    """
    if find_spec("ruff") is None:
        return
    for command in COMMANDS:
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--quiet", revision]
        subprocess.run(ruff, check=False)


if __name__ == "__main__":
    main(sys.argv[1])
