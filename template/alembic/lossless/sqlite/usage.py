"""Which views and triggers use a column.

Asked of SQLite itself: a column is renamed in a copy of the schema, and what SQLite had to write
anew uses it. That also finds "column" in double quotes, which would quietly become a string when
the column is gone, and UPDATE OF column, which would quietly never fire again.
"""

from __future__ import annotations

import contextlib

from alembic.util import CommandError

from .database import Database
from .rename import rename_column
from .replica import CopiedDatabase, copy_schema
from .tokens import fold


def refuse_if_used(database: Database, table: str, column: str) -> None:
    """See that no view and no trigger uses a column, before it is dropped.

    Raises:
        CommandError: some do.
    """
    objects = database.objects()
    if not any(found.kind in ("view", "trigger") for found in objects):
        return
    with contextlib.closing(copy_schema(objects)) as connection:
        copy = CopiedDatabase(connection)
        before = {(found.kind, fold(found.name)): found.sql for found in copy.objects()}
        problem = f"Column {column} of table {table} cannot be dropped, it is used"
        try:
            rename_column(copy, table, column, copy.unused_name(f"_lossless_{column}"))
        except CommandError as error:
            raise CommandError(f"{problem}: {error.__cause__ or error}") from error
        users = [
            f"{found.kind} {found.name}"
            for found in copy.objects()
            if found.kind in ("view", "trigger")
            and found.sql != before.get((found.kind, fold(found.name)))
        ]
    if users:
        raise CommandError(
            f"{problem} by: {', '.join(users)}. Drop that with op.execute() first, and create it "
            "anew afterwards"
        )
