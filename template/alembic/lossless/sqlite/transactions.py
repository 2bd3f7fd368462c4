"""Transactions that are transactions: one for each revision, begun under the write lock.

Python's driver begins none before DDL, so that a failed revision leaves half a schema. Here the
driver is in autocommit mode and every BEGIN is our own ("Transaction control" in the documentation
of Python's sqlite3; "Serializable isolation / Savepoints / Transactional DDL" in SQLAlchemy's
documentation of its SQLite dialect).

Why a transaction for each revision and not one for the run: a run that is killed or fails in its
tenth revision keeps the nine before it, each complete; and locks are held no longer than needed.
The price is that another migrator can come in between two revisions. The heads are therefore
compared under the lock before each revision; when they have moved, `HeadsMoved` is raised, and
whoever runs the migrations runs what is left. Not so if the destination is relative (`+1`, `-1`):
it counts from the heads that were there when the command began, and a step from others could undo
what somebody else has just done.

A revision that ends its transaction itself would leave a part of it in the file, or lose a part
without anybody's notice. It is stopped before that, also where it tells the driver to behind
SQLAlchemy's back; where SQLite rolled back by itself, it is stopped at its next statement.

Knows when a transaction begins and ends, and what of that Alembic, a revision and the driver may
decide; knows nothing of what is done in it.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, ExceptionContext, event

from .foreign_keys import ForeignKeyWatch
from .lock import be_patient, begin_immediate, file_of, is_lock_error
from .tokens import HARMLESS, first_word, quote_name, start_of

_KEY = "lossless_transactions"
_CHANGED = (
    "foreign_keys",
    "busy_timeout",
    # For a moment only, by operations that may be stopped before they change them back.
    "ignore_check_constraints",
    "legacy_alter_table",
    "writable_schema",
)
_CACHE_SIZE = -64 * 1024  # in KiB, hence negative: room to rebuild large tables and their indexes


_INSTEAD = (
    "A revision is one transaction, which ends with it: use begin_nested() for a part that may "
    "fail, op.execute() for each statement of a script, and "
    "`with op.get_context().autocommit_block():` for what cannot be in a transaction"
)
PREVENTED = (
    "The revision was about to end its own transaction (by COMMIT, ROLLBACK, commit(), rollback() "
    f"or executescript()). Everything it did is undone. {_INSTEAD}"
)
UNDONE = (
    "The transaction of the revision was rolled back before the revision ended (by rollback(), "
    "ON CONFLICT ROLLBACK or RAISE(ROLLBACK)). Everything it did up to there is undone. "
    f"{_INSTEAD}"
)
COMMITTED = (
    "The revision committed its own transaction. "
    "What it did up to there REMAINS in the database, whose version is still the one before: undo "
    f"it by hand, or restore a backup, before you run the revision again. {_INSTEAD}"
)
SECOND_CONNECTION = (
    "The revision writes through a second connection, from op.get_bind().engine for example, and "
    "waits for its own transaction. Use op.get_bind() itself, which is a connection"
)


# What can leave rows without their parents, and changes no row that SQLite would count.
_BREAKING = (sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_ALTER_TABLE)


class HeadsMoved(CommandError):
    """Another process has migrated the database between two revisions of this run."""


class Guard:
    """Keeps a transaction from being ended by others, from `keep` to `release`.

    SQLite asks an authorizer about each statement that it prepares ("Compile-Time Authorization
    Callbacks"); to set one makes it prepare those anew that the driver has in its cache.
    """

    def __init__(self, driver: sqlite3.Connection, on_schema_change: Callable[[], None]) -> None:
        self._driver = driver
        self._on_schema_change = on_schema_change
        self._kept = False
        self.refused = ""  # what to say of an attempt to end the transaction

    def keep(self) -> None:
        """A transaction was begun, which may not be ended."""
        self._kept, self.refused = True, ""
        self._driver.set_authorizer(self._judge)

    def release(self) -> None:
        """The transaction may be ended."""
        if self._kept:
            self._kept = False
            self._driver.set_authorizer(None if sys.version_info >= (3, 11) else _allow_all)

    def _judge(self, action: int, what: str | None, *_: str | None) -> int:
        if action in _BREAKING:
            self._on_schema_change()
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        if not self._driver.in_transaction:  # SQLite rolled back, and nobody has noticed
            self.refused = UNDONE
        elif what == "BEGIN":
            return sqlite3.SQLITE_OK  # SQLite itself refuses a second one, and says it better
        else:
            self.refused = PREVENTED
        return sqlite3.SQLITE_DENY


def _allow_all(*_: object) -> int:
    """No authorizer, for Python 3.10, which cannot take one away."""
    return sqlite3.SQLITE_OK


class MigrationTransactions:
    """Governs BEGIN and COMMIT on one connection, from `attach` to `detach`.

    The connection is always in one of these states, and SQLAlchemy's events lead from one to another:

        idle        nothing is open. A begin() leads to "open", or to "reading" if the run does not
                    write; with SQLAlchemy's AUTOCOMMIT, which Alembic's autocommit_block() sets, to
                    "block".
        reading     a deferred BEGIN; nothing is checked when it ends.
        open        BEGIN IMMEDIATE, under the write lock (`_begun`). Once the revision has done
                    something (`_unrecorded`), only Alembic may commit, after it wrote the version.
        block       no transaction; each statement commits by itself (`_autocommit`).
        ended       SQLite, or the revision, ended the transaction (`_ended` says how): every further
                    begin() of the run is refused, except that of a block.
    """

    def __init__(self, connection: Connection, lock_timeout: float) -> None:
        self.connection = connection
        self.lock_timeout = lock_timeout
        self.driver = driver_connection(connection)
        self.version_table = "alembic_version"
        self.keys = ForeignKeyWatch(self.driver, self.version_table)
        self._guard = Guard(self.driver, self._on_schema_change)
        self._told = False  # whether SQLAlchemy has told of the statement that runs now
        self.own_statements = False  # whether statements now come from the machinery itself
        self._thread = get_ident()  # in which revisions run
        self._writing = False
        self._heads: set[str] | None = None
        self._relative = ""  # the run's destination, if it counts from the heads
        self._running = False
        self._begun = False  # whether a transaction of ours is open, as far as SQLAlchemy knows
        self._settling = False  # whether a transaction begins that is to do nothing
        self._mark = 0
        self._unrecorded = False  # whether a revision did something, and its version is not written
        self._autocommit = False  # whether a revision is in an autocommit_block()
        self._may_commit = True  # whether a revision's commit may be that of an autocommit_block()
        self._ended = ""  # what became of a transaction that a revision ended itself
        self._pragmas: dict[str, int] = {}  # as they were before they were changed
        self._cache_size: int | None = None  # likewise
        self._settings = (self.driver.isolation_level, getattr(self.driver, "autocommit", None))
        self._was_autocommit = is_autocommit(connection)

    # -- attached to a connection

    def attach(self) -> None:
        """Take over: no implicit transactions, no enforcement of foreign keys.

        Asks for nothing that SQLite would have to read the file for, which may be locked.
        """
        if self._was_autocommit:  # or each transaction would look like an autocommit_block()
            self.connection.execution_options(isolation_level="SERIALIZABLE")
        take_over(self.driver)
        for name in _CHANGED:
            self._pragmas[name] = int(self.driver.execute(f"PRAGMA {name}").fetchone()[0])
        self.driver.execute("PRAGMA foreign_keys = OFF")
        self.connection.info[_KEY] = self
        for target, name, listener in self._listeners():
            event.listen(target, name, listener, retval=name == "before_cursor_execute")
        # An event does not tell a revision's commit() from Alembic's, which asks the transaction.
        self.connection.__dict__["commit"] = self._commit_of_connection

    def detach(self) -> None:
        """Give the connection back as it was, also if it was not taken over completely."""
        for target, name, listener in self._listeners():
            if event.contains(target, name, listener):
                event.remove(target, name, listener)
        self.connection.__dict__.pop("commit", None)
        self.connection.info.pop(_KEY, None)
        self._undo()  # before the driver's settings: it commits when they change
        self.connection.rollback()  # also what SQLAlchemy keeps of a transaction it could not commit
        if self._cache_size is not None:
            with suppress(sqlite3.OperationalError):  # somebody has the file locked; never mind
                self.driver.execute(f"PRAGMA cache_size = {self._cache_size}")
        for name, value in self._pragmas.items():
            self.driver.execute(f"PRAGMA {name} = {value}")
        if self._was_autocommit:
            self.connection.execution_options(isolation_level="AUTOCOMMIT")
        self.driver.isolation_level = self._settings[0]
        if self._settings[1] is not None:
            set_autocommit(self.driver, self._settings[1])

    def _listeners(self) -> tuple[tuple[Any, str, Any], ...]:
        return (
            (self.connection, "begin", self._on_begin),
            (self.connection, "commit", self._on_commit),
            (self.connection, "rollback", self._on_rollback),
            (self.connection, "before_cursor_execute", self._on_statement),
            (self.connection, "after_cursor_execute", self._after_statement),
            (self.connection.engine, "handle_error", self._on_error),
        )

    # -- what Alembic's run tells

    def peek_at_heads(self, version_table: str) -> tuple[str, ...] | None:
        """The database's revisions, without a lock; None while another process keeps readers out."""
        be_patient(self.driver, 0)
        try:
            return tuple(read_heads(self.driver, version_table))
        except sqlite3.OperationalError as error:
            if not is_lock_error(error):
                raise
            return None
        finally:
            self.driver.execute(f"PRAGMA busy_timeout = {self._pragmas['busy_timeout']}")

    def start_run(
        self,
        version_table: str,
        *,
        writing: bool,
        seen: tuple[str, ...] | None = None,
        relative: str = "",
    ) -> None:
        """Migrations start. A run that only reads never asks for the write lock.

        Args:
            version_table: where the database's revisions stand.
            writing: whether the run changes anything.
            seen: the database's revisions, if the run relies on them: it does not write because it
                is there already, or its destination is relative to them.
            relative: that destination.
        """
        self.version_table = version_table
        self.keys = ForeignKeyWatch(self.driver, version_table)
        self._writing = writing
        self._heads = None if seen is None else set(seen)
        self._relative = relative
        self._running = writing
        self._autocommit = False
        self._ended = ""

    def know_blocks_of(self, migration: MigrationContext) -> None:
        """Let an autocommit_block() say that it begins.

        What it does to begin is no different from a revision's own `get_transaction().commit()`.
        """
        block = migration.autocommit_block

        @contextmanager
        def told() -> Iterator[None]:
            self._may_commit = True
            with block():
                self._may_commit = False
                yield

        self._may_commit = False
        migration.autocommit_block = told  # type: ignore[method-assign]

    def end_run(self) -> None:
        """Migrations are over; what else is done on the connection may be committed as one likes."""
        self._running = self._unrecorded = False
        self._ended = ""

    @property
    def refused(self) -> str:
        """What to say if a revision tried to end its transaction unseen by Alembic; else empty."""
        return self._guard.refused

    @property
    def checks_keys(self) -> bool:
        """Whether foreign keys are checked before what is done now is committed."""
        return self._begun and self._writing

    def before_change(self) -> None:
        """The machinery is about to change something for a revision.

        Raises:
            CommandError: the revision's transaction is gone.
        """
        if self._writing and not self._autocommit:
            if self._begun:
                self._refuse_if_gone()
            self._unrecorded = self._running

    # -- events

    def _on_begin(self, connection: Connection) -> None:
        if self._settling:
            return
        try:
            self._begin(connection)
        except BaseException:
            self._undo()
            self._settle()
            raise

    def _settle(self) -> None:
        """Let SQLAlchemy begin transactions again, after one that could not begin.

        When a listener of `begin` raises, its connection takes itself to be in BEGIN from then on,
        and begins none by itself any more: what is executed next would run without a transaction.
        One that is begun by name and does nothing puts that right.
        """
        self._settling = True
        try:
            self.connection.begin().rollback()
        finally:
            self._settling = False

    def _begin(self, connection: Connection) -> None:
        if self._ended and not is_autocommit(connection):
            raise CommandError(self._ended)
        take_over(self.driver)
        if is_autocommit(connection):
            be_patient(self.driver, self.lock_timeout)
            self._ended = ""  # Alembic's autocommit_block(), which commits what was before it
            if not self._autocommit:
                self.keys.begin(committing=True)
            self._autocommit = True
            return
        if not self._writing:
            self.driver.execute("BEGIN")
            if self._heads is not None:
                be_patient(self.driver, self.lock_timeout)
                self._check_heads()
            self._begun = True
            return
        begin_immediate(self.driver, self.lock_timeout)
        self._enlarge_cache()
        self._check_heads()
        self._set_mark()
        if self._running:
            self._guard.keep()
        if self._autocommit:
            self.keys.resume()
        else:
            self.keys.begin()
        self._autocommit = False
        self._begun = True

    def _enlarge_cache(self) -> None:
        if self._cache_size is None:
            self._cache_size = int(self.driver.execute("PRAGMA cache_size").fetchone()[0])
            self.driver.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")

    def _on_commit(self, _: Connection) -> None:
        try:
            if self.checks_keys:
                self._refuse_if_gone()
                self.keys.check()
                self._note_heads()
                if self._unrecorded and not self._may_commit:
                    self._guard.refused = PREVENTED
                    raise CommandError(PREVENTED)
            if self.driver.in_transaction:
                self._commit()
        except BaseException:
            self._undo()  # SQLAlchemy takes the transaction for ended, whatever happens here
            self._is_over(UNDONE)
            raise
        finally:
            self._begun = False
        self._is_over(COMMITTED)

    def _on_rollback(self, _: Connection) -> None:
        if self._settling:
            return
        self._is_over(COMMITTED if self._begun and self._is_committed() else UNDONE)
        self._begun = False
        self._undo()  # SQLAlchemy leaves it to us, if told to by skip_autocommit_rollback

    def _on_error(self, error: ExceptionContext) -> None:
        """A statement has failed. Keep the connection, also when it was Ctrl+C that stopped it.

        SQLAlchemy would throw it away, which suits a server's. Its transaction would not end then,
        but hold the write lock for as long as something refers to the statement.
        """
        if error.connection is not self.connection:
            by_revision = self._begun and self._writing and get_ident() == self._thread
            if by_revision and is_lock_error(error.original_exception):
                raise CommandError(SECOND_CONNECTION) from error.original_exception
            return
        self._told = False
        if not isinstance(error.original_exception, Exception):
            told: Any = error  # SQLAlchemy 2.0 declares that nothing of it can be set
            told.is_disconnect = False

    def _on_schema_change(self) -> None:
        if not self._told:
            self.keys.schema_changed_unseen()

    def _is_over(self, message: str) -> None:
        """The transaction is over. A revision that goes on after this has ended it itself."""
        if self._unrecorded:
            self._ended = message
        self._unrecorded = False

    def _commit(self) -> None:
        self._guard.release()
        be_patient(self.driver, self.lock_timeout)  # with readers
        try:
            self.driver.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if not is_lock_error(error):
                raise
            raise CommandError(
                f"{file_of(self.driver)} could not be written: another process was still reading "
                f"it after {self.lock_timeout:g} seconds. Nothing was changed; try again"
            ) from error

    def _commit_of_connection(self) -> None:
        """Stands for `Connection.commit`."""
        if self._begun and self._unrecorded:
            raise CommandError(PREVENTED)
        Connection.commit(self.connection)

    def _undo(self) -> None:
        self._guard.release()
        if self.driver.in_transaction:
            self.driver.execute("ROLLBACK")

    def _on_statement(
        self, connection: Connection, _: Any, sql: str, parameters: Any, *__: Any
    ) -> tuple[str, Any]:
        if not connection.in_transaction():  # SQLAlchemy is beginning one: a listener says this
            return _without_begin(sql), parameters
        self._told = False
        if self._writing and (self._begun or self._autocommit):
            self.keys.before_any_statement()
            if not self.own_statements:
                self._before_statement_of_revision(sql)
        self._told = True
        return sql, parameters

    def _after_statement(self, _: Connection, __: Any, sql: str, *___: Any) -> None:
        self._told = False
        if self._writing:
            self.keys.after_any_statement()
            if not self.own_statements:
                self.keys.after_statement(sql)

    def _before_statement_of_revision(self, sql: str) -> None:
        if self._begun:
            self._refuse_if_gone()
            self._refuse_end(sql)
        self.keys.before_statement(sql)

    def _refuse_end(self, sql: str) -> None:
        """See that a statement does not end the transaction; remember whether it does something.

        Raises:
            CommandError: it would.
        """
        word = first_word(sql)
        if word in ("COMMIT", "END") or (word == "ROLLBACK" and not _rolls_back_to(sql)):
            raise CommandError(PREVENTED)
        if not (self._unrecorded or word in HARMLESS or self.keys.names_version(sql)):
            self._unrecorded = self._running

    def _set_mark(self) -> None:
        """Change something that is kept by COMMIT only, and belongs to this connection alone."""
        self._mark = self._temporary_version() + 1
        self.driver.execute(f"PRAGMA temp.user_version = {self._mark}")

    def _temporary_version(self) -> int:
        return int(self.driver.execute("PRAGMA temp.user_version").fetchone()[0])

    def _refuse_if_gone(self) -> None:
        """See that the transaction is there still, and that nobody was kept from ending it.

        Raises:
            CommandError: SQLite has ended it, or the revision tried to.
        """
        if not self.driver.in_transaction:
            raise CommandError(COMMITTED if self._is_committed() else UNDONE)
        if self.refused:
            raise CommandError(self.refused)

    def _is_committed(self) -> bool:
        """Whether the transaction is over, and what was done in it was kept."""
        return not self.driver.in_transaction and self._temporary_version() == self._mark

    def _check_heads(self) -> None:
        found = read_heads(self.driver, self.version_table)
        if self._heads is not None and found != self._heads:
            if self._relative:
                raise CommandError(
                    f"Another process migrated this database meanwhile, and {self._relative} counts "
                    "from where it was before. See with `alembic current` where it is, and name "
                    "the revision to go to"
                )
            raise HeadsMoved(
                "Another process migrated this database at the same time; "
                "run the command again for what is left"
            )
        self._heads = found

    def _note_heads(self) -> None:
        """Alembic writes the version when a revision is done."""
        found = read_heads(self.driver, self.version_table)
        if found != self._heads:
            self._unrecorded = False
        self._heads = found

    @contextmanager
    def own(self) -> Iterator[None]:
        """Statements inside come from the machinery, which looks after foreign keys itself."""
        before, self.own_statements = self.own_statements, True
        try:
            yield
        finally:
            self.own_statements = before


def transactions_of(connection: Connection) -> MigrationTransactions | None:
    """What governs a connection, if anything does."""
    found = connection.info.get(_KEY)
    return found if isinstance(found, MigrationTransactions) else None


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Python's own connection below SQLAlchemy's.

    Raises:
        CommandError: it is another driver's.
    """
    found = connection.connection.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise CommandError(
            f"Migrations need Python's own sqlite3 driver, not {type(found).__module__}; "
            "use a URL that begins with sqlite://"
        )
    return found


def is_autocommit(connection: Connection) -> bool:
    """Whether a connection was asked to commit each statement."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def take_over(driver: sqlite3.Connection) -> None:
    """Put the driver into autocommit mode, in which it begins nothing by itself.

    A transaction that it began by itself (autocommit=False) is committed: it is empty, unless
    something was done behind SQLAlchemy's back, which the first revision's commit would keep too.
    """
    if getattr(driver, "autocommit", -1) != -1:  # the other way to say it, since Python 3.12
        set_autocommit(driver, -1)
    if driver.in_transaction:
        driver.execute("COMMIT")
    driver.isolation_level = None


def begin_in_earnest(connection: Connection) -> None:
    """Begin the transaction that SQLAlchemy takes for begun, if its driver has not done so.

    Python's driver waits for the first INSERT, UPDATE or DELETE. What a migration did before that
    would be there for good, whatever becomes of the transaction that its caller began.
    """
    driver = driver_connection(connection)
    expected = connection.in_transaction() and not is_autocommit(connection)
    begins = driver.isolation_level is not None and getattr(driver, "autocommit", -1) == -1
    if expected and begins and not driver.in_transaction:
        driver.execute(f"BEGIN {driver.isolation_level}")


def begins_by_itself(driver: sqlite3.Connection) -> bool:
    """Whether the driver is in a transaction always: autocommit=False, since Python 3.12."""
    return getattr(driver, "autocommit", None) is False


def set_autocommit(driver: Any, mode: bool | int) -> None:
    """Set the attribute that connections have since Python 3.12; -1 leaves it to the older one."""
    driver.autocommit = mode


def _without_begin(sql: str) -> str:
    """A statement that does nothing for BEGIN, any other as it is.

    Engines on which SQLite's transactions are put right as SQLAlchemy's documentation has it begin
    each by a listener of their own; ours has begun it already, or is about to.
    """
    return "SELECT 1" if first_word(sql) == "BEGIN" else sql


def _rolls_back_to(sql: str) -> bool:
    """Whether a ROLLBACK goes back to a savepoint only."""
    return "TO" in [token.word for token in start_of(sql)[1:3]]


def read_heads(driver: sqlite3.Connection, version_table: str) -> set[str]:
    """The revisions that the database is at; none if it was never migrated."""
    known = driver.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
        (version_table,),
    ).fetchone()
    if not known:
        return set()
    return {
        row[0] for row in driver.execute(f"SELECT version_num FROM {quote_name(version_table)}")
    }
