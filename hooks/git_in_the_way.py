"""What of git's would stop Copier's update half-way, or have it lose lines: say so before it begins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from owners_files import TEMPLATE, git, is_owners, names, rejects, store
from putting_aside import marked


def refuse_git() -> None:
    """Make all checks that need nothing but git."""
    refuse_environment()
    refuse_git_at_work()
    refuse_another()
    refuse_repository()
    refuse_missing()
    refuse_names()
    refuse_settings()
    refuse_rejects()


def stop(reason: str) -> None:
    sys.exit(f"Nothing was changed: {reason}")


def refuse_environment() -> None:
    """With one index for all repositories, Copier's own ones have overwritten it by now."""
    index = os.environ.get("GIT_INDEX_FILE", "")
    if os.path.isabs(index):
        sys.exit(
            "No file was changed, but git's index: Copier cannot update while GIT_INDEX_FILE is set, "
            f"as it is in hooks of git's. Unset it, delete {index}, git reset, and update again."
        )


def refuse_git_at_work() -> None:
    """Copier and this hook write to git's folder."""
    lock = Path(os.fsdecode(git("rev-parse", "--git-path", "index.lock")).rstrip("\n"))
    if lock.exists():
        stop(f"git is at work here, or was interrupted. If it does not run, delete {lock}")
    objects = Path(os.fsdecode(git("rev-parse", "--git-path", "objects")).rstrip("\n"))
    for folder in (lock.parent, objects):
        if not os.access(folder, os.W_OK | os.X_OK):
            stop(f"you may not write to git's folder {folder}.")


def refuse_another() -> None:
    """Two updates at once would put aside what the other one has written."""
    note = store() / "at-work"
    try:
        with note.open("xb") as file:
            file.write(at_work())
    except FileExistsError:
        process, _, clone = os.fsdecode(note.read_bytes()).partition(" ")
        if runs(process) and Path(clone).is_dir() and clone != str(TEMPLATE):
            stop(
                f"another update is at work here, process {process}. Wait for its end. If that is "
                f"some other program, delete {clone}, and update again."
            )
        note.write_bytes(at_work())


def at_work() -> bytes:
    """Copier's process, and the clone of the template that it has made for just this update."""
    return os.fsencode(f"{os.getppid()} {TEMPLATE}")


def runs(process: str) -> bool:
    """Whether another process runs; on Windows one cannot ask so."""
    if os.name == "nt" or not process.isdecimal() or int(process) == os.getppid():
        return False
    try:
        os.kill(int(process), 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def is_alone() -> bool:
    """Whether no other update has come in between since this one's beginning."""
    note = store() / "at-work"
    return note.exists() and note.read_bytes().endswith(b" " + os.fsencode(TEMPLATE))


def refuse_repository() -> None:
    """Copier makes repositories of its own, commits there, and reads the project's objects there."""
    if "\n" in os.getcwd():
        stop("the path of this folder has a line break in it. Rename the folder, and update again.")
    with TemporaryDirectory(dir=store()) as folder:
        trial = Path(folder)
        git("init", folder=trial)
        refuse_objects(trial)
        refuse_line_ends(trial)
        refuse_commit(trial)


def refuse_objects(trial: Path) -> None:
    """See that git writes the same kind of objects in a new repository as in this one."""
    kind, usual = (
        os.fsdecode(git("rev-parse", "--show-object-format", folder=folder)).strip()
        for folder in (Path(), trial)
    )
    if kind != usual:
        stop(
            f"this repository's objects are {kind}, and those that Copier makes are {usual}. "
            f"Set this for the update, in front of the command: GIT_DEFAULT_HASH={kind}"
        )


def refuse_line_ends(trial: Path) -> None:
    """See that git takes a file with the line ends that Copier gives to the answers."""
    (trial / "file").write_bytes(b"text\n")
    command = ["git", "add", "file"]
    if subprocess.run(command, check=False, cwd=trial, stderr=subprocess.DEVNULL).returncode:
        stop(
            "your git does not take files with line ends as Copier writes them. "
            f"Set this for the update, in front of the command: {settings(['core.safecrlf'])}"
        )


def refuse_commit(trial: Path) -> None:
    """See that git can commit in a new repository, with the options that Copier gives it."""
    person = {"NAME": "Copier", "EMAIL": "copier@copier"}
    both = {f"GIT_{r}_{key}": text for r in ("AUTHOR", "COMMITTER") for key, text in person.items()}
    options = ["--allow-empty", "-m", "Try", "--no-gpg-sign", "--no-verify"]
    tried = subprocess.run(
        ["git", "commit", *options],
        check=False,
        cwd=trial,
        env=os.environ | both,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    if tried.returncode:
        said = os.fsdecode(tried.stderr).strip() or "a hook of git's that is there for all folders"
        stop(
            f"your git cannot commit in a new folder, as Copier has to: {said}\n"
            f"If it is a hook, set this in front of the command: {settings(['core.hooksPath'])}"
        )


def refuse_missing() -> None:
    """Copier reads the project's objects where git cannot fetch those that a partial clone lacks."""
    head = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    if subprocess.run(head, check=False, stdout=subprocess.DEVNULL).returncode:
        stop("git has no commit here yet. Commit the project, and update again.")
    walk = ("--objects", "--no-walk", "--missing=print")
    if re.search(rb"^\?", git("rev-list", *walk, "HEAD"), flags=re.MULTILINE):
        stop(
            "this clone is a partial one, without all that Copier has to read. Get the rest with "
            "git fetch --refetch --no-filter (or clone anew without --filter), and update again."
        )


def refuse_sparse(paths: set[str]) -> None:
    """What a sparse checkout leaves out stays as it was, of another version than the rest."""
    if setting("core.sparseCheckout", "--type=bool", default="false") == "false":
        return
    for path, mark in sorted(marked(paths).items()):
        if mark == "skip-worktree" and not is_owners(path) and not os.path.lexists(path):
            stop(
                f"this checkout is a sparse one, without {path}, which the template has. "
                "Get all of it with git sparse-checkout disable, and update again."
            )


def refuse_names() -> None:
    """Copier reads the names of the project's files, and of those that git does not track."""
    for name in listed():
        try:
            os.fsencode(name).decode("utf-8")
        except UnicodeDecodeError:
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            stop(
                f"the name of the file {shown} is not UTF-8, with which Copier would stop half-way. "
                "Rename it, commit that if git tracks it, and update again."
            )


@cache
def listed() -> list[str]:
    """Names as Copier asks git for them: all here, and in the whole repository the untracked."""
    top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).rstrip("\n"))
    status = names(git("status", "--porcelain", "--ignored", "-z", folder=top))
    return names(git("ls-files", "-z")) + [line[3:] for line in status if line[:2] in ("??", "!!")]


def refuse_patterns(paths: set[str]) -> None:
    """Copier has `git apply` leave out names that git ignores, and that takes them for patterns."""
    folder = os.fsdecode(git("rev-parse", "--show-prefix")).rstrip("\n")
    status = os.fsdecode(git("status", "--porcelain", "--ignored"))  # names as Copier gives them
    for name in (line[3:] for line in status.splitlines() if line[:2] == "!!"):
        pattern = name.replace("[^", "[!")
        for path in sorted(path for path in paths if name != folder + path and not is_owners(path)):
            if fnmatchcase(folder + path, pattern):
                stop(
                    f"the name {name} of a file that git ignores is a pattern for Copier, and your "
                    f"changes in {path} would be lost. Rename or move it, and update again."
                )


def refuse_settings() -> None:
    """Copier merges with `git apply`, and does not look whether that refused or changed lines.

    Nor can it read names that are not ASCII unless git quotes them.
    """
    wrong = []
    if setting("apply.whitespace") not in ("", "nowarn", "warn"):
        wrong.append("apply.whitespace")
    if setting("core.quotePath", "--type=bool", default="true") == "false":
        wrong += [] if all(map(str.isascii, listed())) else ["core.quotePath"]
    if setting("status.showUntrackedFiles") in ("no", "false"):  # the *.rej of a merge are such
        wrong.append("status.showUntrackedFiles")
    if wrong:
        what = " and ".join(f"{name}={setting(name)}" for name in wrong)
        stop(
            f"your git has {what}, with which Copier stops half-way or lines of yours could be "
            f"lost. Set this for the update, in front of the command: {settings(wrong)}"
        )


def setting(name: str, *options: str, default: str = "") -> str:
    """A setting of git's, or the default if it is not set."""
    return git("config", *options, "--default", default, "--get", name).decode().strip()


def settings(wanted: list[str]) -> str:
    """Variables with which git has other settings, for one command."""
    good = {
        "apply.whitespace": "nowarn",
        "core.quotePath": "true",
        "core.safecrlf": "false",
        "core.hooksPath": "/dev/null",
        "status.showUntrackedFiles": "normal",
    }
    pairs = (
        f"GIT_CONFIG_KEY_{number}={name} GIT_CONFIG_VALUE_{number}={good[name]}"
        for number, name in enumerate(wanted)
    )
    return " ".join([f"GIT_CONFIG_COUNT={len(wanted)}", *pairs])


def refuse_rejects() -> None:
    """Copier takes every *.rej that git does not track for its own."""
    for path in rejects():
        stop(
            f"{path} is left over from a merge, and Copier would take it for "
            "its own. Move or delete it, and update again."
        )
