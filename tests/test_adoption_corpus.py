"""Every database of a folder (`--databases`), and the hostile ones of our own, adopted and put to use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adopting import GENERATORS, SCHEMAS, adopt, load, try_out


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "script" not in metafunc.fixturenames:
        return
    folder = metafunc.config.getoption("--databases")
    given = sorted(folder.glob("*.sql")) if folder else []
    everywhere = "life_goes_on" in metafunc.function.__name__
    cases = [(script, generator) for script in SCHEMAS for generator in GENERATORS if everywhere]
    cases += [(script, "declarative") for script in given if everywhere]
    cases += [
        (script, generator) for script in given for generator in GENERATORS[1:] if not everywhere
    ]
    metafunc.parametrize(
        ("script", "generator"),
        cases,
        ids=[f"{script.stem}-{generator}" for script, generator in cases],
    )


@pytest.fixture(scope="session")
def adoptable(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is to adopt a database. Shared: tests work in copies."""
    import rendering

    answers = {"existing_database_url": "sqlite:////nowhere/data.db"}
    project = rendering.render(template, tmp_path_factory.mktemp("adoptable") / "shop", **answers)
    return rendering.used(project)


@pytest.mark.slow
def test_a_database_is_adopted_and_life_goes_on(
    script: Path,
    generator: str,
    adoptable: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    project = Path(shutil.copytree(adoptable, tmp_path / "project"))
    original = load(script, tmp_path / "original.db")
    adopted = Path(shutil.copyfile(original, tmp_path / "adopted.db"))
    work = tmp_path / "work"
    work.mkdir()
    arguments = ("--generator", generator, "--report", work / "report.md")
    printed = adopt(project, f"sqlite:///{adopted}", *arguments)
    problems = try_out(project, original, adopted, work)
    counts = " ".join(printed.split("Look", 1)[1].splitlines()[0].split())
    record_property(
        "adoption",
        f"{script.stem:<28}{generator:<13}{'proved' if not problems else 'FAILED':<8}{counts}",
    )
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_every_generator_adopts_it(
    generator: str, script: Path, adoptable: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(adoptable, tmp_path / "project"))
    adopt(
        project,
        f"sqlite:///{load(script, tmp_path / 'data.db')}",
        "--no-stamp",
        "--generator",
        generator,
    )
