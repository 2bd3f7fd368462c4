"""The backend interface for MariaDB and MySQL."""

from __future__ import annotations

from .server import ServerBackend


class MariaDBBackend(ServerBackend):
    """MariaDB and MySQL: each DDL statement commits by itself (MariaDB, "SQL statements that cause an implicit commit")."""
