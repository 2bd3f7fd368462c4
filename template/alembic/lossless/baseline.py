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

from .native import Native, NativeObject, Source, native_for

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

    Raises:
        CommandError: a statement could not be run again.
    """
    for found in source.objects:
        refuse_bytes(found)
    script = native.join_script(source.objects).encode()
    revision = hashlib.sha256(script).hexdigest()[:12]
    name = f"{revision}_baseline"
    (folder / f"{name}.sql").write_bytes(script)
    (folder / f"{name}.py").write_text(TEMPLATE.format(revision=revision), encoding="utf-8")
    return revision


def refuse_bytes(found: NativeObject) -> None:
    """See that a statement is text: the bytes of one that is not are read as lone surrogates, and no driver takes those."""
    for text in (found.name, found.sql):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            shown = text[max(error.start - 20, 0) : error.end + 20]
            raise CommandError(
                f"The statement that makes {found.kind} {found.name!r} is not UTF-8, at {shown!r}: Python cannot run "
                "it, so there can be no baseline. Nothing was written. Make the object again with text that is UTF-8"
            ) from error


def create(script: Path) -> None:
    """Run the script: in an empty database this makes everything that the adopted one had."""
    for statement in native_for(op.get_context().dialect.name).split_script(read(script)):
        execute(statement)


def drop(script: Path) -> None:
    """Remove what the script made, last things first."""
    native = native_for(op.get_context().dialect.name)
    for statement in reversed(native.split_script(read(script))):
        for undo in native.undo(statement):
            execute(undo)


def read(script: Path) -> str:
    """The script's text; line ends are part of the statements and stay as they are."""
    return script.read_bytes().decode()


def execute(statement: str) -> None:
    """Run a statement as it is, or write it out when Alembic runs with `--sql`."""
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(statement + context.impl.command_terminator)
    else:
        native_for(context.dialect.name).execute(op.get_bind(), statement)
