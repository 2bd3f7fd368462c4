"""What Copier cannot merge through an update: put back or merge it afterwards, from the store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from owners_files import (
    AFTER,
    BEFORE,
    aside,
    git,
    has_crlf,
    memory,
    names,
    rejects,
    render,
    replace,
    same,
    shipped,
    store,
    version,
    written_by_template,
)


def take_away() -> None:
    """Delete again what Copier wrote where git has a file that its owner deleted unseen by git."""
    left = rejects()
    for name in memory()["gone"]:
        Path(name).unlink(missing_ok=True)
        clear_away(name, left)
        with suppress(OSError):  # a folder that is not empty
            os.removedirs(Path(name).parent)


def put_back_deleted() -> Iterable[tuple[str, str]]:
    """Files that a version no longer ships go only if their owner changed nothing in them."""
    deleted = set(names(git("ls-files", "-z", "--deleted"))) & shipped(version("from"))
    return put_back(deleted, "the template no longer has it; kept, because you changed it")


def put_back_binary() -> Iterable[tuple[str, str]]:
    """What git takes for binary Copier cannot merge, mostly: then the owner's stays."""
    changed = [line.split("\t") for line in names(git("diff", "-z", "--relative", "--numstat"))]
    # No other than the template's: a database may be in use right now.
    binary = {path for added, _, path in changed if added == "-"} & shipped(version("to"))
    # For Copier's git the owner's attributes do not hold, so it may have merged a text.
    merged = {p for p in binary if (new := render("to") / p).is_file() and not same(Path(p), new)}
    return put_back(binary - merged, "yours stays; git takes it for binary, so nothing was merged")


def put_back(paths: set[str], why: str) -> Iterable[tuple[str, str]]:
    for path in sorted(paths - {*aside(), *memory()["gone"]}):
        if not written_by_template(path, git("cat-file", "blob", f":./{path}")):
            git("checkout-index", "--force", "--", path)
            yield path, why


def merge_aside() -> Iterable[tuple[str, str]]:
    """Do for the files in the store what Copier does for the others."""
    names_aside, noted = aside(), memory()
    left = rejects() if names_aside else []
    for name in names_aside:
        path, copy = Path(name), store() / "owner" / name
        if same(path, copy) and not (path.is_symlink() and brings_news(name)):
            continue
        why = noted["why"][name]
        base, new = render("from") / name, render("to") / name
        if same(base, copy):
            if new.is_file():
                replace(path, new)
        elif all(map(is_text, (copy, base, new))):
            replace(path, copy)
            if merge(path, base, new):
                yield name, f"merged, though {why}"
        elif new.is_file() or not is_text(copy) or not is_text(base) or plain(copy) != plain(base):
            replace(path, copy)
            yield name, f"yours stays; {why}, so nothing was merged"
        clear_away(name, left)


def is_text(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and b"\0" not in file.read_bytes()


def plain(file: Path) -> bytes:
    """A text as git has it, if git may change its line ends."""
    content = file.read_bytes()
    return content.replace(b"\r\n", b"\n") if has_crlf(content) else content


def merge(path: Path, base: Path, new: Path) -> bool:
    """Merge a file with the template's, keeping its line ends; whether both had changed it."""
    texts, crlf = [plain(file) for file in (path, base, new)], has_crlf(path.read_bytes())
    if texts[1] == texts[2]:
        return False
    labels = ["-L", BEFORE[8:], "-L", "last update", "-L", AFTER[8:]]
    with TemporaryDirectory(dir=store()) as folder:
        sides = [Path(folder, name) for name in ("mine", "base", "new")]
        for side, text in zip(sides, texts, strict=True):
            side.write_bytes(text)
        subprocess.run(["git", "merge-file", "--quiet", *labels, *map(str, sides)], check=False)
        merged = sides[0].read_bytes()
    path.write_bytes(merged.replace(b"\n", b"\r\n") if crlf else merged)
    return texts[0] != texts[1]


def brings_news(name: str) -> bool:
    """Whether the template has changed a file, or has it only now."""
    new = render("to") / name
    return new.is_file() and not same(render("from") / name, new)


def clear_away(name: str, left: list[str]) -> None:
    """Undo what Copier left of its own attempt: a conflict in the index, a *.rej among `left`."""
    whole = os.path.islink(name) or not os.path.exists(name)
    merged = whole or BEFORE.encode() not in Path(name).read_bytes()
    if merged and git("ls-files", "--unmerged", "--", name):
        git("reset", "--quiet", "--", name)
    if f"{name}.rej" in left:
        os.unlink(f"{name}.rej")


def put_back_marks() -> None:
    """Tell git again not to look at files, so that nothing in them is committed by mistake."""
    for path, mark in memory()["marks"].items():
        if git("ls-files", "--", path):
            git("reset", "--quiet", "--", path)
            git("update-index", f"--{mark}", "--", path)
            if mark == "skip-worktree":
                git("update-index", "--no-assume-unchanged", "--", path)


def put_back_modes() -> None:
    """Give files the permissions they had; whether one can be run is in git, and so Copier's."""
    for path, mode in memory()["modes"].items():
        if os.path.isfile(path) and not os.path.islink(path):
            now = os.stat(path).st_mode & 0o777
            wanted = mode & 0o666 | ((mode & 0o444) >> 2 if now & 0o100 else 0)
            if now != wanted:
                with suppress(PermissionError):  # of somebody else's file, or on some file systems
                    os.chmod(path, wanted)
