"""Keep what is the owner's through `copier update`, and say what the update brought.

Copier runs this in the project's folder, with its own Python, twice in each update:

    python update.py before ANSWERS_FILE QUIET    before it writes anything
    python update.py after ANSWERS_FILE QUIET     when it has written and merged everything

Copier merges text that git tracks. By itself it would overwrite a file that git ignores or that is
binary, and delete a file that the template no longer ships, whoever wrote what is in it. This puts
such files back. It changes nothing else, save that conflicts in files that Alembic reads become
comments: so Alembic can start, and say where they are.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
OWNERS = ("src/", "tests/", "alembic/versions/", "shoplist.db", ".env")  # Copier leaves them alone
BEFORE, AFTER = "<<<<<<< before updating", ">>>>>>> after updating"


def main(stage: str, answers_file: str, quiet: str) -> None:
    """Do the stage's work in the current folder; `quiet` is the person's wish, True or False."""
    if stage == "before":
        refuse_folders_in_the_way()
        shutil.copyfile(answers_file, store() / "answers.yml")
        put_aside(untracked(shipped(version("from")) | shipped(version("to"))))
    else:
        for path, what in [*put_back_deleted(), *put_back_binary(), *merge_untracked()]:
            print(f"  {path}: {what}")
        tell_conflicts()
        if quiet != "True":
            tell_news()
        shutil.rmtree(store())


def version(end: str) -> str:
    """The template's commit that the project comes from, or goes to: Copier says it."""
    return os.environ["VERSION_" + end.upper()]


def git(*arguments: str | Path, folder: Path = Path()) -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def names(output: bytes) -> list[str]:
    """What git prints with -z, as a list."""
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


# --- What Copier cannot merge -----------------------------------------------------------------


def tree(commit: str) -> list[str]:
    """The template's files at a commit."""
    return names(git("ls-tree", "-r", "-z", "--name-only", commit, "template/", folder=TEMPLATE))


def shipped(commit: str) -> set[str]:
    """Files that the template may write at a commit, save the owner's."""
    return {path for path in map(destination, tree(commit)) if not is_owners(path)}


def destination(path: str) -> str:
    """Where a file of the template lands: `template/{% if x %}a{% endif %}.jinja` is `a`."""
    return re.sub(r"{%.*?%}", "", path.removeprefix("template/").removesuffix(".jinja"))


def is_owners(path: str) -> bool:
    return any(path == name or (name[-1] == "/" and path.startswith(name)) for name in OWNERS)


def refuse_folders_in_the_way() -> None:
    """Copier would stop half-way at a folder where it wants a file, or the other way round."""
    for path in sorted(map(destination, (path for path in tree(version("to")) if "{" not in path))):
        taken = [str(parent) for parent in Path(path).parents if parent.is_file()]
        taken += [path] if Path(path).is_dir() else []
        if taken and not is_owners(path):
            sys.exit(
                f"Nothing was changed: the template brings {path}, and {taken[0]} is in the way. "
                "Rename that, commit, and update again."
            )


def untracked(paths: set[str]) -> list[str]:
    """Those of the paths that are files here which git does not track."""
    here = [path for path in sorted(paths) if Path(path).is_file() and not Path(path).is_symlink()]
    return sorted(set(here) - set(names(git("ls-files", "-z", "--", *here)))) if here else []


def store() -> Path:
    """A folder in git's own, which `git stash` leaves alone."""
    prefix = git("rev-parse", "--show-prefix").decode().strip()
    folder = Path(git("rev-parse", "--git-path", "copier-update").decode().strip(), prefix, "files")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put_aside(paths: Iterable[str]) -> None:
    """Copy files to the store. A different copy there is from an update that was interrupted."""
    for path in paths:
        copy = store() / "owner" / path
        if copy.exists() and copy.read_bytes() != Path(path).read_bytes():
            kept = free_name(Path(path))
            shutil.move(copy, kept)
            print(f"  {kept}: {path} as it was before an update that was interrupted")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def free_name(path: Path) -> Path:
    """A name beside the file that nothing has yet."""
    kept, number = path.with_name(path.name + ".before-update"), 2
    while kept.exists():
        kept, number = path.with_name(f"{path.name}.before-update-{number}"), number + 1
    return kept


@cache
def last_render() -> Path:
    """The project as the template's last version wrote it, rendered with the same answers."""
    folder = Path(tempfile.mkdtemp(dir=store()), "project")
    answers = store() / "answers.yml"
    copy = ["copy", "--quiet", "--defaults", "--skip-tasks", "--vcs-ref", version("from")]
    where = ["--data-file", str(answers), str(TEMPLATE), str(folder)]
    command = [sys.executable, "-m", "copier", *copy, *where]
    subprocess.run(command, check=False, capture_output=True)  # without it all counts as changed
    return folder


def written_by_template(path: str, content: bytes) -> bool:
    """Whether the template's last version wrote just this there, so that nothing is the owner's."""
    rendered = last_render() / path
    return rendered.is_file() and rendered.read_bytes() == content


def put_back_deleted() -> Iterable[tuple[str, str]]:
    """Files that a version no longer ships go only if their owner changed nothing in them."""
    for path in sorted(set(names(git("ls-files", "-z", "--deleted"))) & shipped(version("from"))):
        if not written_by_template(path, git("cat-file", "blob", f":./{path}")):
            git("checkout-index", "--force", "--", path)
            yield path, "the template no longer has it; kept, because you changed it"


def put_back_binary() -> Iterable[tuple[str, str]]:
    """Binary files cannot be merged: the owner's stays."""
    changed = [line.split("\t") for line in names(git("diff", "-z", "--relative", "--numstat"))]
    binary = {path for added, _, path in changed if added == "-"}
    for path in sorted(
        binary & shipped(version("to"))
    ):  # no other: a database may be in use right now
        if not written_by_template(path, git("cat-file", "blob", f":./{path}")):
            git("checkout-index", "--force", "--", path)
            yield path, "yours stays; the template has a file of that name, too"


def merge_untracked() -> Iterable[tuple[str, str]]:
    """Do for the files in the store what Copier does for files that git tracks."""
    owner = store() / "owner"
    for copy in sorted(path for path in owner.rglob("*") if path.is_file()):
        path, content = copy.relative_to(owner), copy.read_bytes()
        unchanged = path.is_file() and path.read_bytes() == content
        if unchanged or written_by_template(path.as_posix(), content):
            continue
        base = last_render() / path
        new = shutil.move(path, store() / "new") if path.is_file() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(copy, path)
        if new is None or not base.is_file() or b"\0" in content:
            yield path.as_posix(), "yours stays; git does not track it, so nothing was merged"
        else:
            labels = ["-L", BEFORE[8:], "-L", "last update", "-L", AFTER[8:]]
            subprocess.run(["git", "merge-file", *labels, path, base, new], check=False)
            yield path.as_posix(), "merged, though git does not track it"


# --- What to tell -----------------------------------------------------------------------------


def tell_conflicts() -> None:
    """Name the places where both sides changed the same lines."""
    changed = names(git("diff", "-z", "--relative", "--name-only", "--diff-filter=U"))
    aside = store() / "owner"
    changed += [path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file()]
    places = []
    for path in sorted(set(filter(os.path.isfile, changed))):
        if path.endswith((".ini", ".toml", ".py")):
            comment_conflicts(Path(path))
        lines = Path(path).read_text("utf-8", errors="replace").splitlines()
        places += [f"  {path}:{n}" for n, text in enumerate(lines, 1) if text.endswith(BEFORE)]
    if places:
        print("\nYou and the template changed the same lines. Both are there; choose in:")
        print("\n".join(places))
        print("Then `git add` them. Until then Alembic stops at those in the files it reads.")


def comment_conflicts(path: Path) -> None:
    """Comment out the marks and the template's side, if the file can be read then."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = file.readlines()
    side = ""
    for number, line in enumerate(lines):
        text = line.rstrip("\r\n")
        if text == BEFORE:
            side = "owner"
        elif side == "owner" and text.startswith(("=======", "|||||||")):
            side = "template"
        elif side != "template":
            continue
        lines[number] = f"# {line}" if text else f"#{line}"
        if text == AFTER:
            side = ""
    if readable(path.suffix, "".join(lines)):
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.writelines(lines)


def readable(kind: str, text: str) -> bool:
    """Whether a program could read this ini, TOML or Python text."""
    try:
        if kind == ".ini":
            configparser.RawConfigParser().read_string(text)
        elif kind == ".py":
            compile(text, "", "exec")
    except (ValueError, SyntaxError, configparser.Error):
        return False
    return kind != ".toml" or ('"""' not in text and "'''" not in text)


def tell_news() -> None:
    """The changelog of the versions between, and what only new projects get."""
    start, end = (number(os.environ[f"VERSION_PEP440_{way}"]) for way in ("FROM", "TO"))
    changelog = (TEMPLATE / "CHANGELOG.md").read_text("utf-8")
    for section in re.split(r"^(?=## )", changelog, flags=re.MULTILINE):
        heading = re.match(r"## (\d[\d.]*)", section)
        if heading and start < number(heading[1]) <= end:
            print(f"\nWhat is new in {section.removeprefix('## ').strip()}")
    folders = ["template/src", "template/tests"]
    span = ["-z", "--name-only", version("from"), version("to")]
    changed = names(git("diff", *span, "--", *folders, folder=TEMPLATE))
    if changed:
        print("\nNew projects begin with other versions of these files; yours stay as they are:")
        for path in sorted(set(map(destination, changed))):
            print("  " + path.replace("{{ package_name }}", "*"))
    print(flush=True)


def number(text: str) -> list[int]:
    """A version as something to compare: 1.10.0 is [1, 10]."""
    parts = [int(part) for part in re.split(r"[^\d.]", text)[0].split(".") if part]
    while parts and parts[-1] == 0:
        parts.pop()
    return parts


if __name__ == "__main__":
    main(*sys.argv[1:])
