"""What `alembic revision --autogenerate` writes: no empty revision.

Works on Alembic's operation objects only; knows no database engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from alembic.config import Config
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext


class Review(Protocol):
    """Alembic's `process_revision_directives` hook."""

    def __call__(
        self, context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None: ...


def review(config: Config, arguments: Mapping[str, str]) -> Review:
    """Make the hook that reviews a generated revision before it is written.

    Args:
        config: Alembic's configuration.
        arguments: what stands behind `alembic -x`.
    """

    def review_revision(
        context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None:
        autogenerating = getattr(config.cmd_opts, "autogenerate", False)
        if (
            autogenerating
            and directives
            and all(op.is_empty() for op in directives[0].upgrade_ops_list)
        ):
            directives.clear()
            config.print_stdout(
                "Models and database agree: no revision is needed, none is written."
            )

    return review_revision
