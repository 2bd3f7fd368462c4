"""One writer at a time: take SQLite's write lock, and say so when it has to be waited for.

Knows `BEGIN IMMEDIATE` and the errors of a lock that somebody else holds ("Isolation In SQLite" and
"File Locking And Concurrency" of the documentation); knows nothing of migrations.
"""

from __future__ import annotations

import random
import re
import sqlite3
import sys
import time

from alembic.util import CommandError

_PATIENCE = 0.1  # seconds in SQLite's own busy handler for each attempt
_BUSY, _LOCKED_TABLE = 5, 6  # result codes
_LOCKED = re.compile(r"database (?:table |schema )?is locked(?:: .*)?", re.DOTALL)
_LONGEST = 2**31 - 1  # milliseconds that it takes; it would not wait at all for more


def begin_immediate(connection: sqlite3.Connection, timeout: float) -> None:
    """Begin a transaction that may write, when no other one does. Readers are not disturbed.

    Its statements do not wait any more. Once it is larger than the cache, each of them would wait
    anew for a reader that stays, to write pages to the file which may as well remain in memory.

    Args:
        connection: a connection outside of any transaction, in autocommit mode.
        timeout: seconds to wait for another process.

    Raises:
        CommandError: another process still holds the lock after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    said = False
    be_patient(connection, min(_PATIENCE, timeout))
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_lock_error(error):
                raise
        else:
            be_patient(connection, 0)
            return
        if time.monotonic() >= deadline:
            raise CommandError(
                f"{file_of(connection)} was still locked by another process after {timeout:g} "
                "seconds. Nothing was changed; try again, or wait longer with "
                "`alembic -x lock_timeout=SECONDS ...`"
            )
        if not said:
            print(
                f"Waiting up to {timeout:g} seconds for another process that is writing to "
                f"{file_of(connection)} ...",
                file=sys.stderr,
                flush=True,
            )
            said = True
        time.sleep(random.uniform(0.005, 0.05))  # so that those who wait do not march in step


def be_patient(connection: sqlite3.Connection, timeout: float) -> None:
    """Let each statement wait for locks.

    Args:
        connection: the connection that waits.
        timeout: for how many seconds.
    """
    connection.execute(f"PRAGMA busy_timeout = {min(int(timeout * 1000), _LONGEST)}")


def is_lock_error(error: BaseException) -> bool:
    """Whether SQLite said SQLITE_BUSY or SQLITE_LOCKED because of a lock.

    It says SQLITE_BUSY also of a connection's own statements ("SQL statements in progress"), and
    names with "locked" in them stand in messages of other codes. Python before 3.11 tells no code.
    """
    code = getattr(error, "sqlite_errorcode", _BUSY) & 0xFF
    said = isinstance(error, sqlite3.OperationalError) and _LOCKED.fullmatch(str(error))
    return bool(said) and code in (_BUSY, _LOCKED_TABLE)


def file_of(connection: sqlite3.Connection) -> str:
    """The file of a connection's main database, for messages."""
    for _, name, path in connection.execute("PRAGMA database_list"):
        if name == "main":
            return str(path) or "the database in memory"
    return "the database"
