"""A baseline revision, written and run: the statements of a database that was adopted.

A baseline is two files in `alembic/versions/`: a revision, and an SQL script of the same name with the database's own
statements. They are data: nothing in them is a parameter or an escape. Adoption writes them, the revision runs them by
`create` and `drop`. Knows Alembic's operations; leaves to the engine how a script falls into statements, and what
undoes one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from alembic import op
from alembic.util import CommandError

from .native import Native, Source, native_for

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


class NotText(CommandError, UnicodeError):
    """A statement holds bytes that are not UTF-8. The database kept them, and no driver takes them."""


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


def create(script: Path) -> None:
    """Run the script: in an empty database this makes everything that the adopted one had.

    Raises:
        NotText: a statement cannot be run.
    """
    for statement in native_for(op.get_context().dialect.name).split_script(read(script)):
        refuse_bytes(statement)
        execute(statement)


def drop(script: Path) -> None:
    """Remove what the script made, last things first."""
    native = native_for(op.get_context().dialect.name)
    for statement in reversed(native.split_script(read(script))):
        for undo in native.undo(statement):
            execute(undo)


def read(script: Path) -> str:
    """The script's text, as it was written; line ends are part of the statements and stay as they are."""
    return script.read_bytes().decode("utf-8", "surrogateescape")


def refuse_bytes(statement: str) -> None:
    """See that a statement is text: bytes that are not UTF-8 were read as lone surrogates."""
    try:
        statement.encode()
    except UnicodeEncodeError as error:
        shown = statement[max(error.start - 20, 0) : error.end + 20]
        raise NotText(
            f"{statement[:40]!r} is not UTF-8, at {shown!r}, and Python runs no such statement. "
            "Make that object again with text that is UTF-8"
        ) from error


def execute(statement: str) -> None:
    """Run a statement as it is, or write it out when Alembic runs with `--sql`."""
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(statement + context.impl.command_terminator)
    else:
        native_for(context.dialect.name).execute(op.get_bind(), statement)
