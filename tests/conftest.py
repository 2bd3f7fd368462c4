"""What the tests share: a tagged template to render from, and projects rendered from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import rendering
from updating import begun, history, lived_in

__all__ = ["begun", "history", "lived_in"]  # fixtures, too


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--databases",
        metavar="DIR",
        type=Path,
        help="also adopt and migrate every *.sql of this folder",
    )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it is in the working tree, in a git repository of its own, tagged."""
    return rendering.tagged_clone(tmp_path_factory.mktemp("template") / "template", "9000.0.0")


@pytest.fixture(scope="session")
def plain_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every default. Shared: tests must not change it."""
    return rendering.used(
        rendering.render(template, tmp_path_factory.mktemp("plain") / "shop-list")
    )


@pytest.fixture
def project(plain_project: Path, tmp_path: Path) -> Path:
    """A project with every default, to change at will."""
    return Path(shutil.copytree(plain_project, tmp_path / "shop-list"))


@pytest.fixture
def render(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Render a project with the given answers into a folder called `into`."""

    def render_into(into: str = "shop-list", **answers: object) -> Path:
        return rendering.render(template, tmp_path / into, **answers)

    return render_into


@pytest.fixture(scope="session")
def tool_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mypy's cache, shared by all projects: what it knows of SQLAlchemy takes long to learn."""
    return tmp_path_factory.mktemp("mypy-cache")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each database that was adopted, and the totals."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
    ]
    lines = sorted(
        dict(report.user_properties)["adoption"] for report in reports if report.user_properties
    )
    if lines:
        terminalreporter.section("adopted databases")
        proved = sum(" proved " in line for line in lines)
        terminalreporter.write(
            "\n".join([*lines, f"{proved} of {len(lines)} adopted and proved the same", ""])
        )
