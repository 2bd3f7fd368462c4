"""Runs a baseline revision: the statements of a database that was adopted.

A baseline is two files in `alembic/versions/`: a revision, and an SQL script of the same name with the database's own
statements. They are data: nothing in them is a parameter or an escape. Knows Alembic's operations; leaves to the
engine how a script falls into statements, and what undoes one.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

from .native import native_for


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
