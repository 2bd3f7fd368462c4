"""A release is made only if everything holds that a version promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import rendering
from test_ownership import release
from test_tools import PYTHONS
from updating import edit

LAST, NEXT = "9000.4.0", "9000.5.0"


@pytest.fixture(scope="module")
def ready(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with all that a release of NEXT needs. Shared: tests copy it."""
    repository = Path(shutil.copytree(template, tmp_path_factory.mktemp("release") / "template"))
    changelog = repository / "CHANGELOG.md"
    for version in (LAST, NEXT):
        head, mark, rest = changelog.read_text("utf-8").partition("## ")
        changelog.write_text(f"{head}## {version}\n\n- Better.\n\n{mark}{rest}", "utf-8")
        rendering.commit(repository, "Prepare")
        release.record(repository, version)
        rendering.commit(repository, "Record")
        if version == LAST:
            rendering.git("tag", f"v{LAST}", cwd=repository)
    return repository


@pytest.fixture
def repository(ready: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "template"))


def problems(repository: Path, version: str = NEXT) -> list[str]:
    return list(release.problems(repository, version))


def test_nothing_stands_in_the_way_of_a_good_release(repository: Path) -> None:
    assert problems(repository) == []


@pytest.mark.parametrize("arguments", [[], ["check"], ["publish", NEXT], ["check", NEXT, "more"]])
def test_a_command_that_is_none_checks_nothing(repository: Path, arguments: list[str]) -> None:
    command = [sys.executable, "scripts/release.py", *arguments]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "python scripts/release.py record" in ended.stderr


def test_a_version_that_is_none(repository: Path) -> None:
    assert problems(repository, "v1") == ["a version is three numbers, such as 1.2.0"]


def test_a_version_that_is_not_newer(repository: Path) -> None:
    rendering.git("tag", "v9000.5.1", cwd=repository)
    assert problems(repository) == ["not newer than the last tag, 9000.5.1"]


def test_changes_that_are_not_committed(repository: Path) -> None:
    (repository / "new").touch()
    assert problems(repository) == ["there are changes that are not committed"]


@pytest.mark.parametrize("entry", ["", f"## {NEXT}\n\n- <!-- What? -->\n\n"])
def test_a_changelog_that_says_nothing_of_the_version(entry: str, repository: Path) -> None:
    edit(repository / "CHANGELOG.md", f"## {NEXT}\n\n- Better.\n\n", entry)
    assert list(release.changelog_problems(repository, NEXT)) == [
        f'CHANGELOG.md must begin with an entry "## {NEXT}" that says something'
    ]


def test_a_changelog_that_lost_an_entry(repository: Path) -> None:
    edit(repository / "CHANGELOG.md", f"## {LAST}\n\n- Better.\n\n", "")
    assert list(release.changelog_problems(repository, NEXT)) == [
        f"CHANGELOG.md has lost its entry on {LAST}; see: git show v{LAST}:CHANGELOG.md"
    ]


def test_a_recording_of_another_state(repository: Path) -> None:
    (repository / "template" / "README.md.jinja").write_text("Other\n")
    rendering.commit(repository, "Change")
    assert problems(repository) == [
        f"the recording is of another state; run: python scripts/release.py record {NEXT}"
    ]


def test_no_recording(repository: Path) -> None:
    (repository / release.RENDERS / f"{NEXT}.json").unlink()
    rendering.commit(repository, "Forget")
    assert problems(repository) == [f"no recording; run: python scripts/release.py record {NEXT}"]


def test_a_shipped_file_without_an_owner_and_a_question_without_a_default(
    repository: Path,
) -> None:
    (repository / "template" / "Makefile").write_text("all:\n")
    with (repository / "copier.yml").open("a") as file:
        file.write("\neditor:\n  type: str\n  when: false\n")
    rendering.commit(repository, "Change")
    release.record(repository, NEXT)
    rendering.commit(repository, "Record")
    assert problems(repository) == [
        "the question editor has no default: `copier update --defaults` would fail",
        "Makefile: 0 rules in CONTRIBUTING.md say who owns it, not one",
    ]


@pytest.mark.parametrize("change", [Path.unlink, lambda path: edit(path, '"ci": "github",', "")])
def test_a_recording_that_is_not_what_was_released(
    change: Callable[[Path], None], repository: Path
) -> None:
    path = release.RENDERS / f"{LAST}.json"
    change(repository / path)
    rendering.commit(repository, "Change the past")
    advice = f"git checkout v{LAST} -- {path}"
    assert problems(repository) == [f"{path} is not what was released; run: {advice}"]
    rendering.git(*advice.split()[1:], cwd=repository)  # as it says
    rendering.commit(repository, "Restore")
    assert problems(repository) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\nuser_name:\n", "\nuser:\n", "user_name is gone"),
        ("  help: Which licence", "  secret: true\n  help: Which licence", "license is secret now"),
        ("  help: Which licence", "  when: false\n  help: Which licence", "license has a `when`"),
        ("  help: Which licence", "  when: '{{ adopted }}'\n  help: Which", "license has a `when`"),
        ('  when: "{{ adopted }}"', "  when: false", "sqlacodegen_generator has a `when`"),
        ("setup:\n  type: bool", "setup:\n  type: str", "setup is of type str, no longer bool"),
        ("    BSD 3-Clause: BSD-3-Clause\n", "", "license has no longer the choice BSD-3-Clause"),
        (
            "  help: Your name",
            "  choices: ['']\n  help: Your name",
            "takes only certain answers now",
        ),
    ],
)
def test_an_answer_that_is_not_kept(old: str, new: str, problem: str, repository: Path) -> None:
    edit(repository / "copier.yml", old, new)
    (found,) = release.interface_problems(repository, NEXT)
    assert problem in found
    assert f"projects of v{LAST} have its answer recorded; put that back" in found
    assert list(release.interface_problems(repository, "9001.0.0")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    BSD 3-Clause: BSD-3-Clause\n", "    ISC: ISC\n    BSD: BSD-3-Clause\n"),
        ('  when: "{{ adopted }}"\n', ""),
        ("  help: Which licence", "  ask: false\n  help: Which licence"),
        ("\n  secret: true\n", "\n"),
    ],
)
def test_an_answer_that_is_kept(old: str, new: str, repository: Path) -> None:
    edit(repository / "copier.yml", old, new)
    assert list(release.interface_problems(repository, NEXT)) == []


@pytest.mark.parametrize("green", [True, False])
def test_the_tag_is_set_only_if_the_tests_pass(
    green: bool, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, ran = subprocess.run, []

    def run(command: list[str], **options: object) -> object:
        if "pytest" not in command:
            return really(command, **options)  # type: ignore[call-overload]
        ran.append(command)
        return subprocess.CompletedProcess(command, 0 if green else 1)

    monkeypatch.setattr(subprocess, "run", run)
    for name, value in rendering.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    status = release.main("tag", NEXT, repository)
    assert ran
    assert status == (0 if green else 1)
    tags = rendering.git("tag", "--list", cwd=repository).split()
    assert (f"v{NEXT}" in tags) == green


def test_the_workflow_makes_releases_with_the_script_all_tags_and_all_pythons() -> None:
    text = (rendering.REPOSITORY / ".github" / "workflows" / "release.yml").read_text("utf-8")
    steps = yaml.safe_load(text)["jobs"]["release"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    assert set(PYTHONS) == set(steps[1]["with"]["python-version"].split())  # or tests are skipped
    assert "python scripts/release.py tag" in steps[-1]["run"]
