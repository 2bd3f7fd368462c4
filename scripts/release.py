"""Make a release: record what it renders, check all that a version promises, set the tag.

    python scripts/release.py record 1.2.0    write tests/fixtures/renders/1.2.0.json, to be committed
    python scripts/release.py check 1.2.0     say what stands in the way
    python scripts/release.py tag 1.2.0       check, run the tests, and set the tag

CONTRIBUTING.md says what a version may change, and who owns what.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy
from packaging.version import InvalidVersion, Version
from pathspec import PathSpec

REPOSITORY = Path(__file__).resolve().parents[1]
RENDERS = Path("tests", "fixtures", "renders")
CHANGELOG = Path("CHANGELOG.md")
COMMANDS = ("record", "check", "tag")
OWNERS = ("person", "template", "both")


def main(command: str, version: str, repository: Path = REPOSITORY) -> int:
    """Do one of the three; the exit status is 1 if something stands in the way."""
    if command == "record":
        print(record(repository, version))
        return 0
    found = list(problems(repository, version))
    if not found and command == "tag":
        everything = [sys.executable, "-m", "pytest", "-n", "auto"]
        tests = subprocess.run(everything, cwd=repository, check=False)
        found = ["the tests fail"] if tests.returncode else []
    for problem in found:
        print(f"{version}: {problem}", file=sys.stderr)
    if command == "tag" and not found:
        git(
            "tag",
            "--annotate",
            "--message",
            f"Version {version}",
            f"v{version}",
            repository=repository,
        )
        print(f"Tagged. To publish: git push origin v{version}")
    return 1 if found else 0


def git(*arguments: str, repository: Path) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout


def at(repository: Path, tag: str, path: Path) -> str:
    """A file's text as it was released; empty if there was none."""
    try:
        return git("show", f"{tag}:{path.as_posix()}", repository=repository)
    except subprocess.CalledProcessError:
        return ""


# --- What stands in the way -------------------------------------------------------------------


def problems(repository: Path, version: str) -> Iterator[str]:
    """Everything, the tests aside, that must be put right before a version can be released."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield "a version is three numbers, such as 1.2.0"
        return
    if git("status", "--porcelain", repository=repository):
        yield "there are changes that are not committed"
    earlier = list(tags(repository))
    if earlier and Version(version) <= earlier[-1]:
        yield f"not newer than the last tag, {earlier[-1]}"
    yield from changelog_problems(repository, version)
    yield from recording_problems(repository, version)
    yield from released_recording_problems(repository)
    yield from interface_problems(repository, version)
    yield from ownership_problems(repository)


def tags(repository: Path) -> dict[Version, str]:
    """The released versions, the oldest first, with their tags."""
    found = {}
    for tag in git("tag", "--list", repository=repository).split():
        try:
            found[Version(tag)] = tag
        except InvalidVersion:
            continue
    return dict(sorted(found.items()))


def changelog_problems(repository: Path, version: str) -> Iterator[str]:
    """An update shows the entry of every version between the two."""
    said = changes((repository / CHANGELOG).read_text("utf-8"))
    if next(iter(said), "") != version:
        yield f'CHANGELOG.md must begin with an entry "## {version}" that says something'
    for released, tag in tags(repository).items():
        if str(released) in changes(at(repository, tag, CHANGELOG)).keys() - said.keys():
            yield f"CHANGELOG.md has lost its entry on {released}; see: git show {tag}:{CHANGELOG}"


def changes(changelog: str) -> dict[str, str]:
    """What a changelog says of versions, the newest first; comments and empty entries left out."""
    plain = re.sub(r"<!--.*?-->", "", changelog, flags=re.S)
    entries = re.findall(r"^## (\S+)(.*?)(?=^## |\Z)", plain, flags=re.M | re.S)
    texts = {version: text.partition("\n")[2].strip() for version, text in entries}
    return {version: text for version, text in texts.items() if re.search(r"\w", text)}


def recording_problems(repository: Path, version: str) -> Iterator[str]:
    """Later versions are tested against the recording, so it must be of this one."""
    path = repository / RENDERS / f"{version}.json"
    if not path.exists():
        yield f"no recording; run: python scripts/release.py record {version}"
    elif json.loads(path.read_text("utf-8")) != recording(repository):
        yield f"the recording is of another state; run: python scripts/release.py record {version}"


def released_recording_problems(repository: Path) -> Iterator[str]:
    """The recordings of released versions stay, and stay as they were released."""
    for released, tag in tags(repository).items():
        path = RENDERS / f"{released}.json"
        then = at(repository, tag, path)
        now = (repository / path).read_text("utf-8") if (repository / path).exists() else ""
        if then and now != then:
            yield f"{path} is not what was released; run: git checkout {tag} -- {path}"


def interface_problems(repository: Path, version: str) -> Iterator[str]:
    """Answers are an interface: every question has a default, and recorded answers stay answers."""
    asked = questions(repository)
    for name, question in asked.items():
        if "default" not in question:
            yield f"the question {name} has no default: `copier update --defaults` would fail"
    last, tag = next(reversed(tags(repository).items()), (None, ""))
    if last is None or last.major != Version(version).major:
        return  # a major version may drop an answer
    for name, before in questions(repository, tag).items():
        lost = lets_go(before, asked.get(name)) if is_recorded(before) else ""
        if lost:
            yield (
                f"the question {name} {lost}, and projects of {tag} have its answer recorded; "
                "put that back, or make this a major version"
            )


def is_recorded(question: dict[str, Any]) -> bool:
    """Whether a question's answer comes into the answers file, at least sometimes."""
    return not question.get("secret") and str(question.get("when")).lower() != "false"


def lets_go(before: dict[str, Any], now: dict[str, Any] | None) -> str:
    """What has become of a question that does not keep all its recorded answers; empty if it does."""
    if now is None:
        return "is gone"
    if now.get("secret"):
        return "is secret now"
    was_always, always = (question.get("when", True) is True for question in (before, now))
    if not is_recorded(now) or (was_always and not always):
        return "has a `when` (`ask` hides a question, too, and keeps its answer)"
    if kind(before) != kind(now):
        return f"is of type {kind(now)}, no longer {kind(before)}"
    if "choices" in now and "choices" not in before:
        return "takes only certain answers now"
    gone = [value for value in choices(before) if value not in choices(now)]
    if gone and choices(now):
        return f"has no longer the choice {', '.join(map(str, gone))}"
    return ""


def kind(question: dict[str, Any]) -> str:
    """The type of a question's answers; without one, Copier takes the default's."""
    one = question.get("type") or type(question.get("default")).__name__
    return f"list of {one}" if question.get("multiselect") else str(one)


def choices(question: dict[str, Any]) -> list[Any]:
    """The values to choose from; empty if there are none, or a template says which."""
    found = question.get("choices")
    if isinstance(found, dict):
        found = list(map(list, found.items()))
    if not isinstance(found, list):
        return []
    values = [choice[1] if isinstance(choice, list) else choice for choice in found]
    return [value["value"] if isinstance(value, dict) else value for value in values]


def questions(repository: Path, tag: str = "") -> dict[str, dict[str, Any]]:
    """The questions of copier.yml by name, as they are or were released."""
    everything = config(repository, tag)
    secret = everything.get("_secret_questions", [])
    return {
        name: data | ({"secret": True} if name in secret else {})
        for name, data in everything.items()
        if not name.startswith("_")
    }


def config(repository: Path, tag: str = "") -> dict[str, Any]:
    """All of copier.yml: settings, whose names begin with an underscore, and questions."""
    path = Path("copier.yml")
    text = at(repository, tag, path) if tag else (repository / path).read_text("utf-8")
    found = yaml.safe_load(text) or {}
    assert isinstance(found, dict)
    return found


# --- Who owns what ----------------------------------------------------------------------------


def ownership_problems(repository: Path) -> Iterator[str]:
    """Each shipped file has one owner in CONTRIBUTING.md, and each rule there is of use."""
    rules, used = ownership(repository), set()
    for path in shipped(repository):
        matching = [pattern for pattern in rules if matches(pattern, path)]
        used.update(matching)
        if len(matching) != 1:
            yield f"{path}: {len(matching)} rules in CONTRIBUTING.md say who owns it, not one"
    for pattern in sorted(rules.keys() - used):
        yield f"CONTRIBUTING.md has a rule for {pattern}, which is not shipped"


def ownership(repository: Path) -> dict[str, str]:
    """Pattern and owner, from the table between the marks in CONTRIBUTING.md."""
    text = (repository / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("<!-- owners -->")[2].partition("<!-- /owners -->")[0]
    rules = {}
    for patterns, owner in re.findall(r"^\| (`[^|]+`) \| (\w+) \|", table, flags=re.M):
        assert owner in OWNERS, owner
        rules |= dict.fromkeys(re.findall(r"`([^`]+)`", patterns), owner)
    return rules


def shipped(repository: Path) -> list[str]:
    """The paths that the template may write, with its conditions and suffixes taken off."""
    paths = git("ls-files", "-z", "--", "template/", repository=repository).split("\0")
    known = {
        "{{ _copier_conf.answers_file }}": ".copier-answers.yml",
        "{{ package_name }}": "package",
    }
    found = set()
    for path in filter(None, paths):
        path = re.sub(r"{%.*?%}", "", path.removeprefix("template/").removesuffix(".jinja"))
        for expression, name in known.items():
            path = path.replace(expression, name)
        found.add(path)
    return sorted(found)


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern, as git writes them, is of a path."""
    return PathSpec.from_lines("gitignore", [pattern]).match_file(path)


# --- Recordings -------------------------------------------------------------------------------


def record(repository: Path, version: str) -> Path:
    """Write down what the working tree renders; give the file."""
    path = repository / RENDERS / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recording(repository), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def recording(repository: Path) -> dict[str, Any]:
    """A render with every default: answers, and files. Of the template's own only the names.

    No update depends on what was in these: they are replaced.
    """
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Copier's, of changes that are not committed
        project = Path(scratch, "shop-list")
        run_copy(
            str(repository), project, defaults=True, skip_tasks=True, quiet=True, vcs_ref="HEAD"
        )
        answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
        rules = ownership(repository)
        found: dict[str, Any] = {
            "answers": {name: answer for name, answer in answers.items() if name[0] != "_"},
            "template": [],
            "text": {},
            "binary": {},
        }
        for path in sorted(path for path in project.rglob("*") if path.is_file()):
            name, content = path.relative_to(project).as_posix(), path.read_bytes()
            owner = next((rules[pattern] for pattern in rules if matches(pattern, name)), "both")
            if name == ".copier-answers.yml":
                continue
            if owner == "template":
                found["template"].append(name)
            elif b"\0" in content:
                found["binary"][name] = base64.b64encode(zlib.compress(content)).decode()
            else:
                found["text"][name] = content.decode()
        return found


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
