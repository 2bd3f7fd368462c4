"""The baseline revision: its script, and the Python file that runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..native import Native, Source

TEMPLATE = '''"""Baseline: the database as it was adopted.

Revision ID: {revision}
Revises:
"""

from pathlib import Path

from lossless import baseline

revision: str = "{revision}"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# The database's own statements stand in the .sql file beside this one.
SCRIPT = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    baseline.create(SCRIPT)


def downgrade() -> None:
    baseline.drop(SCRIPT)
'''


def write(source: Source, native: Native, folder: Path) -> str:
    """Write the baseline's two files.

    Returns:
        The revision's identifier: it follows from the content, so that adopting twice gives the same.
    """
    script = native.join_script(source.objects)
    revision = hashlib.sha256(script.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = f"{revision}_baseline"
    (folder / f"{name}.sql").write_bytes(script.encode("utf-8", "surrogateescape"))
    (folder / f"{name}.py").write_text(TEMPLATE.format(revision=revision), encoding="utf-8")
    return revision
