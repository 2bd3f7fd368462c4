"""The template's own migrations: what merging cannot do, done once, on the way to a version."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import rendering
from updating import NEW, OLD, begin, update


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such file modes")
def test_to_1_0_0_dotenv_becomes_unreadable_for_others(history: Path, tmp_path: Path) -> None:
    project = begin(history, tmp_path / "shop-list", "0.1.0")
    (project / ".env").write_text("SECRET='s3cr3t'\n")
    (project / ".env").chmod(0o644)
    assert ".env: only you can read it now" in update(project, version=OLD)
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert (project / ".env").read_text() == "SECRET='s3cr3t'\n"
    (project / ".env").chmod(0o640)  # the owner's decision since then
    rendering.commit(project, "Updated")
    assert "only you" not in update(project, version=NEW)
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o640


def test_the_changelog_between_two_versions_is_shown(history: Path, tmp_path: Path) -> None:
    project = begin(history, tmp_path / "shop-list", "0.1.0")
    assert "1.0.0\n\nThe first release." in update(project, version=OLD)
    rendering.commit(project, "Updated")
    assert "The first release." not in update(project, version=NEW)
