"""What Copier's update would stop half-way at, or lose lines with: say so before it begins.

Each check ends the update with one message: what is wrong, where, what to do. None changes anything.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from git_in_the_way import refuse_git, refuse_patterns, refuse_sparse, stop
from owners_files import destination, is_owners, render, tree, version


def refuse(answers_file: str, given: str, folder: str) -> None:
    """Make all checks in the current folder; `given` names the answers that --data brings."""
    refuse_link(folder)
    refuse_git()
    recorded = answers(answers_file) | {"_copier_conf.answers_file": answers_file}
    coming = files(version("to"), recorded, given)
    before = files(version("from"), recorded, given)
    refuse_patterns({*coming, *before} - {answers_file})
    refuse_sparse({*coming, *before})
    refuse_places(coming)
    refuse_closed(coming, before, answers_file, given)


def refuse_link(folder: str) -> None:
    """Behind a link Copier takes the owner's changes for those of other files, and drops them."""
    if folder:
        stop(f"the path leads through a link. In {folder}, run copier update without a path.")


def answers(answers_file: str | Path) -> dict[str, str]:
    """The answers as they are recorded, without quotes and comments."""
    line = r"""^(\w+):[ \t]+('(?:[^']|'')*'|"(?:\\.|[^"\\])*"|.*?)[ \t]*(?:(?<=[ \t])#.*)?$"""
    found = re.findall(line, Path(answers_file).read_text("utf-8"), flags=re.MULTILINE)
    return {name: answer.strip("'\" ") for name, answer in found}


def files(commit: str, recorded: dict[str, str], given: str) -> list[str]:
    """Where files of the template at a commit land, with these answers and any other given ones."""
    found, asked = set(), given.split()
    for path in tree(commit):
        conditions = re.findall(r"{% if (\w+) == '([^']*)' %}", path)
        if all(name in asked or recorded.get(name, value) == value for name, value in conditions):
            place = destination(path)
            for name in re.findall(r"{{ (\S+) }}", place):
                place = place.replace("{{ " + name + " }}", recorded.get(name, name))
            found.add(place)
    return sorted(found)


def refuse_places(coming: list[str]) -> None:
    """Copier stops at a folder where it wants a file, the other way round, and at a link out."""
    for path in coming:
        folders = [folder for folder in reversed(Path(path).parents) if folder.name]
        for folder in folders:
            if leads_out(folder):
                stop(
                    f"the template brings {path}, and {folder} is a link out of the project, or to "
                    "itself, where Copier writes nothing. Put the folder itself there, commit, and update again."
                )
        taken = [place for place in folders if os.path.lexists(place) and not os.path.isdir(place)]
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.islink(path):
            taken.append(Path(path))
        if taken and not is_owners(path):
            stop(
                f"the template brings {path}, and {taken[0]} is in the way. "
                "Rename that, commit, and update again."
            )


def leads_out(folder: Path) -> bool:
    """Whether a folder is outside the project, or a link to itself: the question that Copier asks."""
    try:
        return not folder.resolve().is_relative_to(Path.cwd().resolve())
    except (OSError, RuntimeError):
        return True


def refuse_closed(coming: list[str], before: list[str], answers_file: str, given: str) -> None:
    """Copier stops at a file or folder that it may not write, unless nothing changes there."""
    paths = [path for path in sorted({*coming, *before}) if not is_owners(path)]
    shut = {path: place for path in paths if (place := closed(path))}
    if shut and not given:
        new = render("to", answers_file)
        if new.is_dir():
            shut = {path: shut[path] for path in shut if changes(path, new / path, path in coming)}
        shutil.rmtree(new)  # not the store, where an interrupted update may have left files
    for path, place in shut.items():
        stop(
            f"the update would write {path}, and you may not read or write {place}. "
            f"Allow it, for example with chmod u+rwX {place}, and update again."
        )


def closed(path: str) -> str:
    """The file, or the folder it is or would be in, if it may not be read and written."""
    file = Path(path)
    plain = os.path.isfile(file) and not os.path.islink(file)
    if plain and not os.access(file, os.R_OK | os.W_OK):
        return path
    folder = next(parent for parent in file.parents if os.path.isdir(parent))
    return "" if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else str(folder)


def changes(path: str, new: Path, comes: bool) -> bool:
    """Whether an update would write to a path, or remove what is there."""
    if not new.is_file():
        return not comes and os.path.lexists(path)
    readable = os.path.isfile(path) and os.access(path, os.R_OK)
    return not readable or Path(path).read_bytes() != new.read_bytes()
