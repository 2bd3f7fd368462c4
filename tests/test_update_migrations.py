"""The template's own migrations: what merging cannot do, done once, on the way to a version."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

import rendering
from updating import NEW, OLD, begin, update


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such file modes")
def test_to_1_0_0_dotenv_becomes_unreadable_for_others(history: Path, tmp_path: Path) -> None:
    project = begin(history, tmp_path / "shop-list", "0.1.0")
    (project / ".env").write_text("SECRET='s3cr3t'\n")
    (project / ".env").chmod(0o644)
    printed = update(project, version=OLD)
    assert ".env: only you can read it now" in printed
    assert "1.0.0\n\nThe first release." in printed  # the changelog between the two versions
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert (project / ".env").read_text() == "SECRET='s3cr3t'\n"
    (project / ".env").chmod(0o640)  # the owner's decision since then
    rendering.commit(project, "Updated")
    printed = update(project, version=NEW)
    assert "only you" not in printed
    assert "The first release." not in printed
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o640


@pytest.mark.skipif("sys.platform == 'win32'", reason="no such file modes")
def test_to_1_0_0_a_link_to_secrets_elsewhere_is_left_alone(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "shop-list", tmp_path / "secrets"
    project.mkdir()
    elsewhere.touch(0o644)
    (project / ".env").symlink_to(elsewhere)
    rendering.run(sys.executable, rendering.REPOSITORY / "hooks" / "migrate_1_0_0.py", cwd=project)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644
