"""The backend interface for PostgreSQL."""

from __future__ import annotations

from .server import ServerBackend


class PostgreSQLBackend(ServerBackend):
    """PostgreSQL: its DDL is transactional, and Alembic's own implementation knows it well."""
