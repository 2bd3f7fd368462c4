"""What Copier cannot merge through an update: put it aside before. What then is in merging.py.

Copier merges a file of the template by applying the owner's changes, as git has them, with
`git apply`. So it loses what git does not have, or what does not pass through that: a file that
git ignores, one whose bytes here are others than in git, bytes that are no UTF-8, and modes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypedDict

TEMPLATE = Path(__file__).resolve().parents[1]
TEMPLATES = ("alembic/lossless/", "alembic/adopt.py", "alembic/script.py.mako")  # not its owner's
OWNERS = ("src/", "tests/", "alembic/versions/", "shoplist.db", ".env")  # Copier leaves them alone
BEFORE, AFTER = "<<<<<<< before updating", ">>>>>>> after updating"


class Memory(TypedDict):
    """What is known before an update and needed after it."""

    answers_file: str
    why: dict[str, str]  # of each file that is put aside: why Copier cannot merge it
    modes: dict[str, int]  # of the files that the template may write
    marks: dict[str, str]  # skip-worktree or assume-unchanged, of files that the template may write
    gone: list[str]  # those of the marked files that are deleted here, which git does not see


def git(*arguments: str | Path, folder: Path = Path()) -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def names(output: bytes) -> list[str]:
    """What git prints with -z, as a list."""
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


# --- The template -----------------------------------------------------------------------------


def version(end: str) -> str:
    """The template's commit that the project comes from, or goes to: Copier says it."""
    return os.environ["VERSION_" + end.upper()]


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


@cache
def render(end: str, answers: str = "") -> Path:
    """The project as one of the two versions writes it, rendered with that version's answers."""
    folder = Path(tempfile.mkdtemp(dir=store().absolute()))
    known = store() / "answers.yml" if end == "from" else answers or memory()["answers_file"]
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", "--skip-tasks"]
    where = ["--vcs-ref", version(end), "--data-file", os.path.abspath(known), str(TEMPLATE), "."]
    # Not in the project: Python would import its types.py. If it fails, every file counts as changed.
    subprocess.run([*command, *where], cwd=folder, check=False, capture_output=True)
    return folder


def written_by_template(path: str, content: bytes) -> bool:
    """Whether the template's last version wrote just this there, so that nothing is the owner's."""
    rendered = render("from") / path
    text = rendered.read_bytes() if rendered.is_file() else None
    return text is not None and content in (text, text.replace(b"\r\n", b"\n"))


# --- Before -----------------------------------------------------------------------------------


def store() -> Path:
    """A folder in git's own, which `git stash` leaves alone."""
    prefix = git("rev-parse", "--show-prefix").decode().strip()
    folder = Path(git("rev-parse", "--git-path", "copier-update").decode().strip(), prefix, "files")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remember(answers_file: str) -> None:
    """Put aside what Copier cannot merge, and note why, and the modes of what it may write."""
    shutil.copyfile(answers_file, store() / "answers.yml")
    paths = shipped(version("from")) | shipped(version("to"))
    here = [path for path in sorted(paths) if os.path.isfile(path) or os.path.islink(path)]
    marks = marked(paths)
    gone = [path for path in marks if not os.path.lexists(path)]
    why = beyond_copier(here, marks) if here else {}
    put_aside(why)
    modes = {path: os.stat(path).st_mode & 0o777 for path in here if not os.path.islink(path)}
    skipped = [path for path, mark in marks.items() if mark == "skip-worktree"]
    if (store() / "memory.json").exists():  # of an update that was interrupted
        marks |= memory()["marks"]
        for path, mode in memory()["modes"].items():
            modes[path] = modes.get(path, mode) & mode
    noted = Memory(answers_file=answers_file, why=why, modes=modes, marks=marks, gone=gone)
    (store() / "memory.json").write_text(json.dumps(noted), "utf-8")
    for path in skipped:  # with that mark Copier stops half-way; the other is as good meanwhile
        git("update-index", "--assume-unchanged", "--", path)
        git("update-index", "--no-skip-worktree", "--", path)


def memory() -> Memory:
    noted: Memory = json.loads((store() / "memory.json").read_text("utf-8"))
    return noted


def beyond_copier(paths: list[str], marks: dict[str, str]) -> dict[str, str]:
    """Those of the files that Copier cannot merge, each with the reason."""
    staged = [entry.partition("\t") for entry in names(git("ls-files", "-sz", "--", *paths))]
    blobs = {path: about.split()[1] for about, _, path in staged}
    rules = ("--ignored", "--exclude-standard")
    ignored = names(git("ls-files", "-z", "--cached", *rules, "--", *paths))
    why = {}
    for path in paths:
        if os.path.islink(path):
            why[path] = "it is a link"
        elif path not in blobs:
            why[path] = "git does not track it"
        elif path in ignored:
            why[path] = "git would ignore it"
        elif not in_git(Path(path).read_bytes(), blobs[path]):
            why[path] = "git has other content for it"
        elif path in marks and not path.startswith(TEMPLATES):
            why[path] = f"it is {marks[path]} in git"
        elif not mergeable(Path(path).read_bytes()):
            why[path] = "it is not UTF-8"
    return why


def marked(paths: Iterable[str]) -> dict[str, str]:
    """Those of the paths whose changes git has been told not to look at, with its word for that."""
    found = names(git("ls-files", "-vz", "--", *paths))
    kinds = {"S": "skip-worktree", "s": "skip-worktree", "h": "assume-unchanged"}
    return {line[2:]: kinds[line[0]] for line in found if line[0] in kinds}


def in_git(content: bytes, blob: str) -> bool:
    """Whether git has just this content under that name, line endings apart."""
    kind = {40: hashlib.sha1, 64: hashlib.sha256}[len(blob)]
    texts = (content, content.replace(b"\r\n", b"\n"))
    return blob in [kind(b"blob %d\0%b" % (len(text), text)).hexdigest() for text in texts]


def mergeable(content: bytes) -> bool:
    """Whether Copier can read this; what git takes for binary has its own way afterwards."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return b"\0" in content[:8000]
    return True


def put_aside(paths: Iterable[str]) -> None:
    """Copy files to the store. A different copy there is from an update that was interrupted."""
    for path in paths:
        copy = store() / "owner" / path
        if os.path.lexists(copy) and not same(copy, Path(path)):
            kept = free_name(Path(path))
            shutil.move(copy, kept)
            print(f"  {kept}: {path} as it was before an update that was interrupted")
        replace(copy, Path(path))


def same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def replace(path: Path, source: Path) -> None:
    """Let a path be what the source is, a link too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    shutil.copy2(source, path, follow_symlinks=False)


def free_name(path: Path) -> Path:
    """A name beside the file that nothing has yet."""
    kept, number = path.with_name(path.name + ".before-update"), 2
    while os.path.lexists(kept):
        kept, number = path.with_name(f"{path.name}.before-update-{number}"), number + 1
    return kept


def rejects() -> list[str]:
    """The *.rej that Copier sees: those of the whole repository that git does not track."""
    top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).rstrip("\n"))
    status = names(git("status", "--porcelain", "--ignored", "-z", folder=top))
    found = [line[3:] for line in status if line[:3] in ("?? ", "!! ") and line.endswith(".rej")]
    return [Path(os.path.relpath(top / path)).as_posix() for path in found]
