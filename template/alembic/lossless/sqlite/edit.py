"""Change what sqlite_schema says of a table, and nothing of what is stored.

The second procedure of "Making Other Kinds Of Table Schema Changes" (lang_altertable.html, section
7): for changes that leave the content of the file as it is. Which changes those are is decided
elsewhere; this module only writes, and makes every connection read the schema again.
"""

from __future__ import annotations

from collections.abc import Mapping

from .database import Database
from .tokens import quote_string


def write_schema(database: Database, statements: Mapping[tuple[str, str], str]) -> None:
    """Put other statements in the place of those that are there.

    Args:
        database: one whose schema can be edited, inside a transaction.
        statements: the new statement for each kind and name of an object.
    """
    database.run("PRAGMA writable_schema = ON")
    for (kind, name), sql in statements.items():
        database.run(
            f"UPDATE {database.catalogue} SET sql = {quote_string(sql)} "
            f"WHERE type = {quote_string(kind)} AND name = {quote_string(name)}"
        )
    database.touch_schema()
    database.run("PRAGMA writable_schema = RESET")
