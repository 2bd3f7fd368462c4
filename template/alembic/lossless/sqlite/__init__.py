"""SQLite: one subject a file."""

from . import comparison as comparison  # registers itself with Alembic
