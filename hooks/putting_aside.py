"""What Copier cannot merge through an update: put it aside before. What then is in merging.py.

Copier merges a file of the template by applying the owner's changes, as git has them, with
`git apply`. So it loses what git does not have, or what does not pass through that: a file that
git ignores, one whose bytes here are others than in git, bytes that are no UTF-8, and modes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from owners_files import (
    AFTER,
    BEFORE,
    TEMPLATES,
    Memory,
    aside,
    earlier_memory,
    git,
    has_crlf,
    names,
    render,
    replace,
    same,
    shipped,
    store,
    version,
)


def remember(answers_file: str) -> None:
    """Put aside what Copier cannot merge, and note why, and the modes of what it may write."""
    shutil.copyfile(answers_file, store() / "answers.yml")
    noted = earlier_memory()  # of one that was interrupted
    paths = shipped(version("from")) | shipped(version("to"))
    here = [path for path in sorted(paths) if os.path.isfile(path) or os.path.islink(path)]
    blobs, marks = staged(paths), marked(paths)
    # Once that update was taken for done, what is in the store is of an older version than git's.
    again = noted is not None and noted["start"] == version("from")
    left = left_by_interrupted(noted, blobs, marks) if noted and again else set()
    gone = [path for path in marks if not os.path.lexists(path)]
    why = beyond_copier([path for path in here if path not in left], blobs, marks)
    keep_earlier(set(aside()) - left)
    for path in why:
        put_aside(path)
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
        start=version("from"),
        to=sorted({*commits}),
        why=why,
        modes=modes,
        marks=marks,
        gone=gone,
        blobs=blobs,
    )
    (store() / "memory.new").write_text(json.dumps(new), "utf-8")
    os.replace(store() / "memory.new", store() / "memory.json")  # all of it, or nothing
    for path in skipped:  # with that mark Copier stops half-way; the other is as good meanwhile
        git("update-index", "--assume-unchanged", "--", path)
        git("update-index", "--no-skip-worktree", "--", path)


def put_aside(path: str) -> None:
    """Copy a file into the store: all of it, or nothing."""
    copy, part = store() / "owner" / path, store() / "part"
    replace(part, Path(path))
    copy.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, copy)


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
                f"  {path}: changed since an update was interrupted; what it was before is in {kept}"
            )


def free_name(path: Path) -> Path:
    """The path, or one beside it that nothing has yet."""
    free, number = path, 2
    while os.path.lexists(free):
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free
