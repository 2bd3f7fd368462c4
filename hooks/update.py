"""Keep what is the owner's through `copier update`, and say what the update brought.

Copier runs this in the project's folder, with its own Python, twice in each update:

    python update.py before ANSWERS_FILE QUIET GIVEN FOLDER    before it writes anything
    python update.py after ANSWERS_FILE QUIET                  when it has written and merged everything

Copier merges text that git tracks. By itself it would overwrite a file that git ignores or that is
binary, and delete a file that the template no longer ships, whoever wrote what is in it. What is
done about such files is in putting_aside.py and merging.py, and what it cannot get past in
in_the_way.py and git_in_the_way.py. This changes nothing else, save that the template's own files
become those of the new version, and that conflicts in files that Alembic reads become comments: so
Alembic can start, and say where they are.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out

from git_in_the_way import is_alone
from in_the_way import answers, refuse
from merging import (
    clear_away,
    merge_aside,
    put_back_binary,
    put_back_deleted,
    put_back_marks,
    put_back_modes,
    take_away,
)
from owners_files import (
    AFTER,
    BEFORE,
    TEMPLATE,
    TEMPLATES,
    aside,
    destination,
    git,
    names,
    rejects,
    render,
    replace,
    shipped,
    store,
    tree,
    version,
)
from putting_aside import remember


def main(stage: str, answers_file: str, quiet: str, given: str = "", folder: str = "") -> None:
    """Do the stage's work in the current folder.

    Args:
        quiet: the person's wish, True or False.
        given: the names of the answers that came with the command, in one text.
        folder: the project's, if the command's path led to it through a link.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # names and news, on a terminal of any kind
        sys.stdout.reconfigure(errors="backslashreplace")
    if stage == "before":
        refuse(answers_file, given, folder)
        remember(answers_file)
    else:
        if not is_alone():
            sys.exit("Another update was at work here at the same time: look at what it has said.")
        take_away()
        for path, what in [*put_back_deleted(), *put_back_binary(), *merge_aside(), *renew()]:
            print(f"  {path}: {what}")
        put_back_modes()
        put_back_marks()
        tell_conflicts()
        tell_answers(answers_file)
        if quiet != "True":
            tell_news()
        shutil.rmtree(store())


# --- The template's own files -----------------------------------------------------------------


def renew() -> Iterable[tuple[str, str]]:
    """The template's own files become those of the new version, also where Copier merged them.

    Only where git has what their owner had written there, and nothing at all in an update to the
    same version.
    """
    if version("from") == version("to"):
        return
    sources = {destination(path): TEMPLATE / path for path in tree(version("to"))}
    merged = {path for path in shipped(version("from")) if path.startswith(TEMPLATES)}
    left = rejects()
    for path in sorted((merged & sources.keys()) - set(aside())):
        source, rejected = sources[path], f"{path}.rej" in left
        if os.path.isfile(path) and (rejected or not is_render(Path(path), source)):
            new = render("to") / path if source.suffix == ".jinja" else source
            if new.is_file():
                replace(Path(path), new)
                clear_away(path, left)
                yield path, "the new version's; what you had changed there is in git"


def is_render(path: Path, source: Path) -> bool:
    """Whether a file is what the template's source becomes with some answers, line ends apart."""
    text, shipped_text = (file.read_bytes().replace(b"\r\n", b"\n") for file in (path, source))
    if source.suffix != ".jinja":
        return text == shipped_text
    pattern = b".*".join(map(re.escape, re.split(rb"{{.*?}}", shipped_text)))
    return re.fullmatch(pattern, text) is not None


# --- What to tell -----------------------------------------------------------------------------


def tell_conflicts() -> None:
    """Name the places where both sides changed the same lines."""
    changed = names(git("diff", "-z", "--relative", "--name-only", "--diff-filter=U"))
    places = []
    mark = BEFORE.encode()
    for path in sorted({*changed, *aside()}):
        # Not through a link: it stayed as it was, and what it leads to may not even be readable.
        if os.path.islink(path) or not os.path.isfile(path) or mark not in Path(path).read_bytes():
            continue
        if path.endswith((".ini", ".toml", ".py")):
            comment_conflicts(Path(path))
        lines = Path(path).read_bytes().split(b"\n")  # no other ends, as in an editor
        places += [
            f"  {path}:{n}" for n, line in enumerate(lines, 1) if line.rstrip().endswith(mark)
        ]
    if places:
        print("\nYou and the template changed the same lines. Both are there; choose in:")
        print("\n".join(places))
        print("Then `git add` them. Until then Alembic stops at those in the files it reads.")
    left = rejects()
    if left:
        print("\nYou and the template changed the same lines. Yours are not in the files, but in:")
        print("\n".join(f"  {path}" for path in left))
        print("Take them back from there, then delete it.")


def tell_answers(answers_file: str) -> None:
    """Say what the owner has to do in their files after another answer."""
    before, after = answers(store() / "answers.yml"), answers(answers_file)
    old, new = before.get("package_name"), after.get("package_name")
    if old and new and old != new:
        print(
            f"\nThe package is now {new}, and your files are where they were. Before anything else:"
        )
        print(f"  git mv src/{old} src/{new}      and in src/ and tests/ import {new}, not {old}")
    old, new = before.get("database"), after.get("database")
    if old and new and old != new:
        print(
            f"\nThe database is now {new}, was {old}; your data, models and revisions are as before:"
        )
        print("  write its address into .env (.env.example shows one), install its driver")
        print("  (poetry install), and look whether the revisions run there")


def comment_conflicts(path: Path) -> None:
    """Comment out the marks and the template's side, if the file can be read then."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = file.readlines()
    side = ""
    for number, line in enumerate(lines):
        text = line.rstrip("\r\n")
        if text == BEFORE:
            side = "owner"
        elif side == "owner" and text in ("=======", "||||||| last update"):
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


def run(stage: str, *arguments: str) -> None:
    """Do the stage's work; what goes wrong with files or git is said in a line or two."""
    done = "No file was changed" if stage == "before" else "The update stopped half-way"
    way_on = "" if stage == "before" else "\nTake it back: git add -u && git stash && git stash -u"
    try:
        main(stage, *arguments)
    except KeyboardInterrupt:
        sys.exit(f"{done}: interrupted.{way_on}")
    except OSError as error:
        sys.exit(f"{done}: {error}{way_on}")
    except subprocess.CalledProcessError as error:
        said = os.fsdecode(error.stderr or b"").strip()
        sys.exit(f"{done}: {' '.join(map(str, error.cmd[:2]))} failed: {said}{way_on}")


if __name__ == "__main__":
    run(*sys.argv[1:])
