"""Who owns a shipped file: one rule for each, the same in all the places where it counts."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from rendering import REPOSITORY


def program(path: str) -> ModuleType:
    """A program of the repository, imported without running it."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, REPOSITORY / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = program("scripts/release.py")
CONFIG = release.config(REPOSITORY)


def owned_by(who: str) -> list[str]:
    return [path for path, owner in release.ownership(REPOSITORY).items() if owner == who]


def persons() -> list[str]:
    return owned_by("person")


def test_every_shipped_file_has_one_owner() -> None:
    assert list(release.ownership_problems(REPOSITORY)) == []


def test_a_file_without_an_owner_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "shipped", lambda _: ["Makefile"])
    problems = list(release.ownership_problems(REPOSITORY))
    assert "Makefile: 0 rules in CONTRIBUTING.md say who owns it, not one" in problems


def test_copier_leaves_alone_what_is_the_persons() -> None:
    once = [
        re.fullmatch(
            r"{% if _copier_operation == 'update' or existing_project %}(.*){% endif %}", p
        )
        for p in CONFIG["_exclude"]
    ]
    assert [match[1] for match in once if match] == persons()
    assert CONFIG["_skip_if_exists"] == persons()


def test_the_migration_leaves_alone_what_is_the_persons() -> None:
    assert ["/" + path for path in program("hooks/owners_files.py").OWNERS] == persons()


def test_the_migration_renews_what_is_the_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "hooks"))
    renewed = ["/" + path for path in program("hooks/owners_files.py").TEMPLATES]
    assert [*renewed, "/.copier-answers.yml"] == owned_by("template")  # Copier writes that anew


def test_excludes_ask_for_no_variable_that_an_older_version_may_lack() -> None:
    """During an update they are rendered with the old version's questions as well."""
    from jinja2 import Environment, StrictUndefined

    jinja = Environment(undefined=StrictUndefined)
    for pattern in CONFIG["_exclude"]:
        jinja.from_string(pattern).render(_copier_operation="update")
