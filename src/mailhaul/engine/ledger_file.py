"""The ledger's file: its schema, whose it is, and that only one process has it."""

import fcntl
import math
import os
import sqlite3
import time
from pathlib import Path

from mailhaul.core.errors import BadInput, Busy
from mailhaul.core.message import Key
from mailhaul.core.text import printable

VERSION = 2
APPLICATION = 0x6D68_616C
"""In the file's header: that it is a ledger of mailhaul's and not somebody's other database."""
FILE = "ledger.sqlite"

_CANT_WRITE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

NOT_COPIED = "source_key IS NOT NULL AND fate <> 'copied'"
"""Messages still at the source that were not copied: usually few, so they have their own index."""

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folder (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL UNIQUE,  -- path, JSON
    target TEXT NOT NULL,         -- path, JSON
    source_state TEXT,
    source_cursor TEXT,
    source_anchor TEXT,
    target_tail TEXT,
    target_seen TEXT,
    target_anchor TEXT,
    subscribed INTEGER NOT NULL DEFAULT 0  -- the source's subscription has been carried
);
CREATE TABLE message (
    folder INTEGER NOT NULL REFERENCES folder,
    source_key,                   -- NULL: gone from the source
    target_key,                   -- NULL: not there, or there under a key not known yet
    fate TEXT NOT NULL,
    flags TEXT NOT NULL,          -- as last agreed on
    size INTEGER,
    received INTEGER,             -- seconds since 1970
    identity BLOB,
    named INTEGER,
    digest BLOB,                  -- SHA-256
    reason TEXT NOT NULL DEFAULT '',
    pass INTEGER NOT NULL DEFAULT 0  -- the number of the pass that wrote it to the target
);
CREATE UNIQUE INDEX message_source ON message (folder, source_key);
CREATE INDEX message_target ON message (folder, target_key);
CREATE INDEX message_fate ON message (folder, fate) WHERE {NOT_COPIED};
CREATE TABLE intent (folder INTEGER NOT NULL REFERENCES folder, keys TEXT NOT NULL);
"""


class FileRows:
    """The rows in a file of their own; SQLite keeps keys as they are."""

    __slots__ = ("close", "commit", "connection", "execute", "executemany")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.commit = connection.commit
        self.close = connection.close

    @staticmethod
    def stored(key: Key | None) -> Key | None:
        return key

    @staticmethod
    def key(stored: Key | None) -> Key | None:
        return stored


def lock(directory: Path) -> int:
    """The held lock's descriptor. Raises `Busy` when another run holds it, naming its process,
    and OSError."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = printable(os.pread(handle, 20, 0)) or "unknown"
        os.close(handle)
        raise Busy(
            f"another run works on this pair (process {owner}); wait for it or stop it first"
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def quiet(directory: Path) -> float:
    """Seconds since the ledger was last written to; infinite when there is none."""
    files = [file for file in directory.glob(f"{FILE}*") if file.is_file()]
    newest = max((file.stat().st_mtime for file in files), default=-math.inf)
    return max(0.0, time.time() - newest)


def connect(directory: Path, pair: str) -> sqlite3.Connection:
    """The pair's ledger, made when missing. Raises `BadInput` when it is no ledger of this pair and
    version."""
    file = directory / FILE
    fresh = not file.exists()
    if fresh:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(file)
    try:
        _check_ours(connection, directory)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create(connection, pair)
        _bring_up(connection)
        _check(connection, pair, directory)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _no_ledger(directory, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def look(directory: Path, pair: str) -> sqlite3.Connection:
    """As `connect`, but never makes or changes a file: a missing ledger is an empty one."""
    file = directory / FILE
    if not file.exists():
        connection = sqlite3.connect(":memory:")
        _create(connection, pair)
        return connection
    uri = f"{file.absolute().as_uri()}?mode=ro"
    try:
        return _looked(uri, directory, pair)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _CANT_WRITE:
            raise _no_ledger(directory, error) from error
    # Even to be read, a log wants a file for its readers beside it. Without a log it can do without
    # on media that nobody writes to.
    log = directory / f"{FILE}-wal"
    if log.exists() and log.stat().st_size:
        shown = printable(str(directory))
        raise BadInput(
            f"the ledger in {shown} can't be read there: a run was cut off, and this user can't "
            f"write {shown} to settle that; copy it elsewhere and name that with --state"
        )
    try:
        return _looked(f"{uri}&immutable=1", directory, pair)
    except sqlite3.DatabaseError as error:
        raise _no_ledger(directory, error) from error


def _looked(uri: str, directory: Path, pair: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True)
    try:
        _check_ours(connection, directory)
        connection = _brought_up_copy(connection)
        _check(connection, pair, directory)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_ours(connection: sqlite3.Connection, directory: Path) -> None:
    """Before anything is written: the file is empty or a ledger."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise BadInput(
            f"{FILE} in {printable(str(directory))} is somebody else's database; "
            "choose another directory with --state"
        )


def _create(connection: sqlite3.Connection, pair: str) -> None:
    connection.executescript(
        f"BEGIN; {_SCHEMA}; PRAGMA user_version = {VERSION};"
        f" PRAGMA application_id = {APPLICATION}; COMMIT"
    )
    with connection:
        connection.execute("INSERT INTO meta VALUES ('pair', ?)", (pair,))


_STEPS = {1: "ALTER TABLE message ADD COLUMN pass INTEGER NOT NULL DEFAULT 0"}
"""What brings a ledger of that version to the next one."""


def _bring_up(connection: sqlite3.Connection) -> None:
    """A ledger of an earlier version becomes one of ours, in one transaction a version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    while version in _STEPS:
        connection.executescript(
            f"BEGIN; {_STEPS[version]}; PRAGMA user_version = {version + 1}; COMMIT"
        )
        version += 1


def _brought_up_copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The same ledger when it is of our version; else a copy in memory: nothing is written."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in _STEPS:
        return connection
    copy = sqlite3.connect(":memory:")
    connection.backup(copy)
    connection.close()
    _bring_up(copy)
    return copy


def _check(connection: sqlite3.Connection, pair: str, directory: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    shown = printable(str(directory))
    if version != VERSION:
        raise BadInput(
            f"the ledger in {shown} is of version {version}, this mailhaul writes {VERSION}; "
            "use the mailhaul that wrote it, or another --state directory"
        )
    row = connection.execute("SELECT value FROM meta WHERE name = 'pair'").fetchone()
    if row is None:
        with connection:
            connection.execute("INSERT INTO meta VALUES ('pair', ?)", (pair,))
    elif row[0] != pair:
        raise BadInput(
            f"the ledger in {shown} belongs to another pair ({printable(row[0])}); "
            "give this pair a --state directory of its own"
        )


def _no_ledger(directory: Path, error: sqlite3.Error) -> BadInput:
    return BadInput(
        f"the ledger in {printable(str(directory))} can't be read ({printable(str(error))}); "
        "give another --state directory: what is already at the target will be recognised there"
    )
