"""The project's files: what belongs to its owner, what may be replaced, and how all of it changes at once or not at all.

Knows the layout of the project and nothing of databases.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

# Files that came with the project and that nobody has touched, by `fingerprint`; one line for each version of each file.
UNTOUCHED = frozenset(
    {
        "88cb39db076e7e2b3555d8de2930c38873c518b992d750b561494681f72bba2f",  # models.py without a model
        "f976b159bff0a1152476b5f42365bbee9a936cd13889388009c12452743e0d95",  # models.py with the example
        "48848ce7869efcc8ebb9cdff9470e108d51e1a2722937f023155a1dd50f715fe",  # tests/test_item.py
        "e6db77993c641c1b011296e3ba638ac5b39d0cf934b462f80c2dcccc03cdef70",  # the revision that creates the example
    }
)


@dataclass
class Changes:
    """Files to write, copies to keep, files to remove."""

    write: dict[Path, bytes] = field(default_factory=dict)
    keep: dict[Path, Path] = field(default_factory=dict)
    remove: list[Path] = field(default_factory=list)
    secret: set[Path] = field(default_factory=set)  # for its owner's eyes alone

    def merge(self, other: Changes) -> None:
        """Add other changes to these."""
        self.write |= other.write
        self.keep |= other.keep
        self.remove += other.remove
        self.secret |= other.secret

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Make all changes; take them back if the block, or one of them, fails.

        A symbolic link stays: the file that it leads to is written, or nothing but the link removed.
        """
        write = {path: Path(os.path.realpath(path)) for path in self.write}
        touched = [*write.values(), *self.keep.values(), *self.remove]
        before: dict[Path, bytes | None] = {
            p: p.read_bytes() if p.exists() else None for p in touched
        }
        modes = {path: path.stat().st_mode & 0o777 for path in touched if path.exists()}
        links = {path: os.readlink(path) for path in self.remove if path.is_symlink()}
        try:
            for path, copy in self.keep.items():
                copy.write_bytes(path.read_bytes())
            for path, content in self.write.items():
                target = write[path]
                target.parent.mkdir(parents=True, exist_ok=True)
                replace(
                    target,
                    content,
                    0o600 if path in self.secret else modes.get(target, 0o666 & ~umask()),
                )
            for path in self.remove:
                path.unlink()
            yield
        except BaseException:
            for path, was in before.items():
                if path in links:
                    if not path.is_symlink():
                        path.symlink_to(links[path])
                elif was is None:
                    path.unlink(missing_ok=True)
                elif not path.exists() or path.read_bytes() != was:
                    replace(path, was, modes[path])
            raise


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one step: whoever reads it sees the old or the new one."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.chmod(mode)
    new.replace(path)


def umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


@dataclass(frozen=True)
class Project:
    """A generated project."""

    root: Path
    package: str

    @property
    def models(self) -> Path:
        return self.root / "src" / self.package / "models.py"

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """The revisions as Alembic finds them: alembic.ini says where, and their names say nothing."""
        return ScriptDirectory.from_config(Config(self.root / "alembic.ini"))

    @property
    def versions(self) -> Path:
        """The folder for a baseline."""
        return self.scripts._version_locations[0]

    def revision_files(self) -> list[Path]:
        return [Path(script.path) for script in self.scripts.walk_revisions()]

    def revisions(self) -> list[Path]:
        """Revision files, the untouched example not among them."""
        return [path for path in self.revision_files() if not self.is_untouched(path)]

    def depends_on(self, package: str) -> bool:
        """Whether pyproject.toml names a package."""
        path = self.root / "pyproject.toml"
        return (
            path.exists()
            and re.search(rf"\b{package}\b", path.read_text(encoding="utf-8")) is not None
        )

    def untouched_example(self) -> list[Path]:
        """What is left of the example that a new project brings, as it came."""
        found = [self.root / "tests" / "test_item.py", *self.revision_files()]
        example = [path for path in found if path.exists() and self.is_untouched(path)]
        database = self.root / "shoplist.db"
        return [*example, database] if database.exists() and is_empty_example(database) else example

    def version_table(self) -> str:
        """The table in which Alembic keeps the revision, by alembic.ini."""
        parser = RawConfigParser()
        parser.read(self.root / "alembic.ini", encoding="utf-8")
        return parser.get("alembic", "version_table", fallback="alembic_version")

    def is_untouched(self, path: Path) -> bool:
        """Whether a file is as the template made it."""
        return fingerprint(path.read_bytes(), self.package) in UNTOUCHED


def fingerprint(content: bytes, package: str) -> str:
    """What tells a file as the template made it from one that somebody edited: whatever its line ends and package."""
    unix = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(unix.replace(f"from {package}.".encode(), b"from PACKAGE.")).hexdigest()


def is_empty_example(path: Path) -> bool:
    """Whether a file is the example's database, and holds nothing."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {
                row[0]
                for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
            rows = connection.execute("SELECT count(*) FROM item").fetchone()[0]
    except sqlite3.Error:
        return False
    return tables == {"alembic_version", "item"} and not rows


def dotenv(before: str, url: str) -> str:
    """The text of .env with that DATABASE_URL in it; every other line stays.

    Of several the last one counts. Single quotes and backslashes are the only characters that python-dotenv does not
    take literally in single quotes.
    """
    value = url.replace("\\", "\\\\").replace("'", "\\'")
    line = f"DATABASE_URL='{value}'"
    assignment = re.compile(
        r"^([ \t]*(?:export[ \t]+)?)('?)DATABASE_URL\2[ \t]*(?:[=#][^\r\n]*)?(?=\r|\n|\Z)",
        re.MULTILINE,
    )
    if found := [*assignment.finditer(before)]:
        return before[: found[-1].end(1)] + line + before[found[-1].end() :]
    end = "\r\n" if "\r\n" in before else "\n"
    return before + ("" if not before or before.endswith("\n") else end) + line + end


def ini_with_version_table(before: str, table: str) -> str:
    """The text of alembic.ini with the option `version_table` in its section [alembic].

    Raises:
        CommandError: there is no such section.
    """
    option = f"version_table = {table}"
    section = re.search(r"^\[alembic\][ \t]*\r?\n", before, re.MULTILINE)
    if section is None:
        raise CommandError(
            f"alembic.ini has no section [alembic]; add one with the line `{option}`."
        )
    following = re.search(r"^\[", before[section.end() :], re.MULTILINE)
    end = section.end() + following.start() if following else len(before)
    body = before[section.end() : end]
    line = re.compile(r"^version_table[ \t]*[=:].*$", re.MULTILINE)
    if line.search(body):
        body = line.sub(option, body)
    else:
        comment = "# This database's alembic_version is not this project's; it is left alone."
        body = f"{comment}\n{option}\n{body}"
    return before[: section.end()] + body + before[end:]
