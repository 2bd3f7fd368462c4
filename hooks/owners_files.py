"""What the programs of an update share: git, the template's two versions, and what is stored."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
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
    start: str  # the template's commit that it comes from
    to: list[str]  # the template's commits that it goes to, or went to when it was interrupted
    why: dict[str, str]  # of each file that is put aside: why Copier cannot merge it
    modes: dict[str, int]  # of the files that the template may write
    marks: dict[str, str]  # skip-worktree or assume-unchanged, of files that the template may write
    gone: list[str]  # those of the marked files that are deleted here, which git does not see
    blobs: dict[str, str]  # what git has of the files that the template may write


def git(*arguments: str | Path, folder: Path = Path()) -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def names(output: bytes) -> list[str]:
    """What git prints with -z, as a list."""
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


# --- The template -----------------------------------------------------------------------------


def version(end: str) -> str:
    """The template's commit that the project comes from, or goes to: Copier says it. Others as is."""
    return os.environ.get("VERSION_" + end.upper(), end)


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
    """The project as a version writes it, rendered with the answers of that one of the two."""
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


# --- The store ----------------------------------------------------------------------------------


def store() -> Path:
    """A folder in git's own, which `git stash` leaves alone."""
    prefix = git("rev-parse", "--show-prefix").decode().strip()
    folder = Path(git("rev-parse", "--git-path", "copier-update").decode().strip(), prefix, "files")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def memory() -> Memory:
    noted: Memory = json.loads((store() / "memory.json").read_text("utf-8"))
    return noted


def earlier_memory() -> Memory | None:
    """What an update left that did not come to its end; nothing if it did not come to its beginning."""
    try:
        noted = memory()
    except (FileNotFoundError, ValueError):
        return None
    return noted if noted.keys() == Memory.__annotations__.keys() else None


def has_crlf(content: bytes) -> bool:
    """Whether this is text of which most lines end as on Windows."""
    return b"\0" not in content and content.count(b"\r\n") * 2 > content.count(b"\n")


def aside() -> list[str]:
    """The files in the store."""
    owner = store() / "owner"
    files = [path for path in owner.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(path.relative_to(owner).as_posix() for path in files)


def same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def replace(path: Path, source: Path) -> None:
    """Let a path be what the source is, a link too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    shutil.copy2(source, path, follow_symlinks=False)


def rejects() -> list[str]:
    """The *.rej that Copier sees: those of the whole repository that git does not track."""
    top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).rstrip("\n"))
    status = names(git("status", "--porcelain", "--ignored", "-z", folder=top))
    found = [line[3:] for line in status if line[:3] in ("?? ", "!! ") and line.endswith(".rej")]
    return [Path(os.path.relpath(top / path)).as_posix() for path in found]
