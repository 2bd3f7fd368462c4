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
    noted = memory() if (store() / "memory.json").exists() else None  # of one that was interrupted
    paths = shipped(version("from")) | shipped(version("to"))
    here = [path for path in sorted(paths) if os.path.isfile(path) or os.path.islink(path)]
    blobs, marks = staged(paths), marked(paths)
    left = left_by_interrupted(noted, blobs, marks) if noted else set()
    gone = [path for path in marks if not os.path.lexists(path)]
    why = beyond_copier([path for path in here if path not in left], blobs, marks)
    keep_earlier(set(aside()) - left)
    for path in why:
        replace(store() / "owner" / path, Path(path))
    modes = {path: os.stat(path).st_mode & 0o777 for path in here if not os.path.islink(path)}
    skipped = [path for path, mark in marks.items() if mark == "skip-worktree"]
    commits = [version("to")]
    if noted:
        commits += noted["to"]
        gone += [path for path in noted["gone"] if path in left]
        why |= {path: what for path, what in noted["why"].items() if path in left}
        # Where it is marked no more, and not by that update's doing, its owner wants it so.
        marks |= {p: mark for p, mark in noted["marks"].items() if p in marks or p in left}
        for path, mode in noted["modes"].items():
            modes[path] = modes.get(path, mode) & mode
    new = Memory(
        answers_file=answers_file,
        to=sorted({*commits}),
        why=why,
        modes=modes,
        marks=marks,
        gone=gone,
        blobs=blobs,
    )
    (store() / "memory.json").write_text(json.dumps(new), "utf-8")
    for path in skipped:  # with that mark Copier stops half-way; the other is as good meanwhile
        git("update-index", "--assume-unchanged", "--", path)
        git("update-index", "--no-skip-worktree", "--", path)


def memory() -> Memory:
    noted: Memory = json.loads((store() / "memory.json").read_text("utf-8"))
    return noted


def staged(paths: Iterable[str]) -> dict[str, str]:
    """What git has of the paths: the name of each one's content."""
    entries = [entry.partition("\t") for entry in names(git("ls-files", "-sz", "--", *paths))]
    return {path: about.split()[1] for about, _, path in entries}


def beyond_copier(paths: list[str], blobs: dict[str, str], marks: dict[str, str]) -> dict[str, str]:
    """Those of the files that Copier cannot merge, each with the reason."""
    rules = ("--ignored", "--exclude-standard")
    ignored = names(git("ls-files", "-z", "--cached", *rules, "--", *blobs)) if blobs else []
    before = {path for path in shipped(version("from")) if not path.startswith(TEMPLATES)}
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
        elif path in before and has_crlf(Path(path).read_bytes()):
            why[path] = "it has other line ends"
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


def has_crlf(content: bytes) -> bool:
    """Whether this is text of which most lines end as on Windows."""
    return b"\0" not in content and content.count(b"\r\n") * 2 > content.count(b"\n")


def aside() -> list[str]:
    """The files in the store."""
    owner = store() / "owner"
    files = [path for path in owner.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(path.relative_to(owner).as_posix() for path in files)


def left_by_interrupted(noted: Memory, blobs: dict[str, str], marks: dict[str, str]) -> set[str]:
    """Files that are as the interrupted update left them: what was their owner's is in the store.

    All others are their owner's as they are now, whatever is in the store.
    """
    paths = set(aside()) & noted["why"].keys() | set(noted["gone"]) & marks.keys()
    return {
        path
        for path in paths
        if noted["blobs"].get(path) == blobs.get(path)
        if not os.path.lexists(path) or is_left(Path(path), noted)
    }


def is_left(path: Path, noted: Memory) -> bool:
    """Whether git or an update wrote what is there, and its owner nothing since."""
    if path.is_symlink() or not path.is_file():
        return False
    blob = noted["blobs"].get(path.as_posix())
    if blob and in_git(path.read_bytes(), blob):
        return True
    now, base = lines(path), lines(render("from") / path)
    templates = {mark.encode() for mark in (BEFORE, "||||||| last update", "=======", AFTER)}
    templates |= {
        line for to in noted["to"] for line in lines(render(to, noted["answers_file"]) / path)
    }
    templates |= {b"# " + line for line in templates}  # in a conflict
    if now <= templates:  # Copier's new file
        return True
    committed = lines(git("cat-file", "blob", blob)) if blob else set()
    copied = lines(store() / "owner" / path)
    if now <= templates | committed:  # what Copier merged; without news lines were taken away
        return not now <= committed
    return now <= templates | copied and copied - base <= now and not now <= copied


def lines(of: bytes | Path) -> set[bytes]:
    """The lines of a content, or of a file that may be missing, without their ends."""
    if isinstance(of, Path):
        of = of.read_bytes() if of.is_file() and not of.is_symlink() else b""
    return {line.rstrip(b"\r") for line in of.split(b"\n")} - {b""}


def keep_earlier(paths: Iterable[str]) -> None:
    """Move copies of an interrupted update out of the store, not to where git would add them."""
    for path in sorted(paths):
        copy = store() / "owner" / path
        if same(copy, Path(path)):
            copy.unlink()
        else:
            kept = free_name(store().parent / "earlier" / path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(copy, kept)
            print(
                f"  {path}: changed since an update was interrupted; what it was then is in {kept}"
            )


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
    """The path, or one beside it that nothing has yet."""
    free, number = path, 2
    while os.path.lexists(free):
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def rejects() -> list[str]:
    """The *.rej that Copier sees: those of the whole repository that git does not track."""
    top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).rstrip("\n"))
    status = names(git("status", "--porcelain", "--ignored", "-z", folder=top))
    found = [line[3:] for line in status if line[:3] in ("?? ", "!! ") and line.endswith(".rej")]
    return [Path(os.path.relpath(top / path)).as_posix() for path in found]
