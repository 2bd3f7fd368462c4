"""Opening a SQLite file without leaving a trace in it.

Knows the file format's header ("Database File Format", section 1.3), write-ahead logs and locks; knows nothing of what
is in the tables.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from alembic.util import CommandError
from sqlalchemy import URL

from .lock import is_lock_error

HEADER = b"SQLite format 3\x00"
COPY_UP_TO = 1 << 28  # bytes


def database_path(url: URL) -> Path:
    """The file that a URL names.

    Raises:
        CommandError: there is no such file, or it is no SQLite database.
    """
    name = url.database or ""
    if name in ("", ":memory:"):
        raise CommandError(
            "A database in memory cannot be adopted: it ends with its connection. Name a file."
        )
    path = named_path(name)
    if path.is_dir():
        raise CommandError(f"{path} is a folder, not a database file.")
    if not path.exists():
        raise CommandError(f"There is no file {path}. Nothing was created; check the path.")
    return path


def named_path(name: str) -> Path:
    """The path that the database of a URL names, as it is or as a `file:` URI."""
    return Path(sqlite_uri_path(name) if name.startswith("file:") else name)


def sqlite_uri_path(uri: str) -> str:
    """The path in a `file:` URI ("Uniform Resource Identifiers" of SQLite's documentation)."""
    return unquote(urlsplit(uri).path)


def check_file(path: Path) -> None:
    """See that a file holds a whole SQLite database.

    Raises:
        CommandError: it is empty, encrypted, truncated, something else, or may not be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}. Nothing was written."
        ) from error
    if not header:
        if wal_of(path).exists():
            return  # everything is in the write-ahead log still
        raise CommandError(
            f"{path} is empty (0 bytes): there is nothing to adopt. Write models and migrate it instead."
        )
    if not header.startswith(HEADER):
        raise CommandError(
            f"{path} is not an SQLite database, or it is encrypted. An encrypted database must be decrypted first."
        )
    size = path.stat().st_size
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    counted = (
        header[24:28] == header[92:96]
    )  # the page count was written by an SQLite that keeps it
    if len(header) < 100 or (counted and size < page * pages and not wal_of(path).exists()):
        raise CommandError(
            f"{path} is truncated: its header promises {page * pages} bytes, it has {size}. "
            "Restore it from a backup, or try the sqlite3 shell's `.recover`."
        )


@contextmanager
def read_only(path: Path, timeout: float = 10) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write and leaves nothing behind.

    A database in WAL mode that nobody has open has no log beside it. Even a reader would make one, so it is opened as
    immutable, which needs none; a log that is there is read as usual ("Write-Ahead Logging", section 5).

    Raises:
        CommandError: the database is locked, damaged, may not be read, or needs a recovery that only a writer can do.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        immutable = in_wal_mode(path) and not wal_of(path).exists()
        before = trace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    connection = None
    opened = ExitStack()
    try:
        if left_alone_with_log(path):
            uri = opened.enter_context(copied(path)).as_uri()
        connection = sqlite3.connect(
            f"{uri}&immutable=1" if immutable else uri,
            uri=True,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield connection
        if immutable and trace(path) != before:
            raise CommandError(
                f"{path} was written to meanwhile. Nothing was done; run this again."
            )
    except sqlite3.DatabaseError as error:
        raise CommandError(explain(error, path)) from error
    finally:
        if connection is not None:
            connection.close()
        opened.close()


def left_alone_with_log(path: Path) -> bool:
    """Whether nobody has a database open that has a log: a reader would leave an index of the log behind.

    A file that is too large to be copied is read where it is.
    """
    wal = wal_of(path)
    shared = path.with_name(path.name + "-shm")
    return (
        wal.exists()
        and not shared.exists()
        and path.stat().st_size + wal.stat().st_size < COPY_UP_TO
    )


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """A copy of a database and its log, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        copy = Path(folder, path.name)
        shutil.copyfile(path, copy)
        shutil.copyfile(wal_of(path), wal_of(copy))
        yield copy


def in_wal_mode(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def trace(path: Path) -> tuple[int, int, bool]:
    """What changes when somebody writes to a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, wal_of(path).exists()


def explain(error: BaseException, path: Path, *, writing: bool = False) -> str:
    """What an error of SQLite means for a person, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    text = str(error)
    if is_lock_error(error):
        return f"{path} is locked by another program. Wait until it is done, or close it, and run this again."
    if writing and (code == 8 or "readonly" in text):
        return f"{path} may only be read, so it cannot be stamped; --no-stamp does without. Nothing was written."
    if code == 8 or "readonly" in text:
        return (
            f"{path} was left in the middle of a transaction and must be recovered first; "
            "opening it once with the program it belongs to, or with the sqlite3 shell, does that."
        )
    if code == 14 or "unable to open" in text:
        return f"{path} cannot be opened: {text}. May you read it, and write to the folder of its -wal file?"
    if code == 26:
        return f"{path} is not an SQLite database, or it is encrypted."
    if code == 11 or "malformed" in text:
        return f"{path} is damaged: {text}. Restore it from a backup, or try the sqlite3 shell's `.recover`."
    return f"{path}: {text}"
