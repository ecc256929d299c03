"""What this machine has begun at control planes that keep no tasks themselves: one SQLite file.

A row stands before anything is done and says what came of it; that is what `Provider.begin` and
`Provider.task` answer from, in whatever process. Rows hold actions, which hold no secret.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import printable
from mailhaul.providers.provider import OVER, Task, TaskState

PATIENCE = 60.0
"""Seconds that another process's change is waited for."""
_LOOK_AGAIN = 0.02
_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    action TEXT NOT NULL,
    state TEXT NOT NULL,
    said TEXT NOT NULL DEFAULT '',
    changed REAL NOT NULL,
    told_by TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS look (
    task INTEGER PRIMARY KEY,
    at REAL NOT NULL
);
"""
_SELECT = (
    "SELECT id, key, action, state, said, changed, told_by FROM task WHERE {where} ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was begun. `action` is its JSON; `changed` when its state last did, in seconds
    since 1970; `told_by` who said that it is done, where a person did."""

    number: str
    key: str
    action: str
    state: TaskState
    said: str
    changed: float
    told_by: str = ""

    def task(self, *, by_person: bool = False) -> Task:
        """The entry as a provider's task."""
        return Task(self.number, self.state, self.said, by_person)


class Journal:
    """The file at `path`, made when something is begun; its directory too."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, key: str) -> Entry | None:
        """What was begun under that key."""
        return next(iter(self._rows("key = ?", key)), None)

    def entry(self, number: str) -> Entry:
        """That task. Raises `BadInput` for one that isn't here."""
        found = next(iter(self._rows("id = ?", number)), None) if number.isdigit() else None
        if found is None:
            raise BadInput(
                f"no task “{printable(number, 40)}” was begun here; it may have been begun on "
                "another machine"
            )
        return found

    def open(self) -> list[Entry]:
        """What isn't over, oldest first."""
        over = ", ".join(f"'{state}'" for state in sorted(OVER))
        return self._rows(f"state NOT IN ({over})")

    def begin(self, key: str, action: str, state: TaskState, said: str = "") -> Entry:
        """Writes that it is begun, anew where it stands already."""
        with self._written() as connection:
            connection.execute(
                "INSERT INTO task (key, action, state, said, changed) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET action = excluded.action, state = excluded.state,"
                " said = excluded.said, changed = excluded.changed, told_by = ''",
                (key, action, state.value, said, time.time()),
            )
        found = self.find(key)
        assert found is not None
        return found

    def settle(self, number: str, state: TaskState, said: str = "", told_by: str = "") -> Entry:
        """Writes what has become of it."""
        with self._written() as connection:
            connection.execute(
                "UPDATE task SET state = ?, said = ?, told_by = ?, changed = ? WHERE id = ?",
                (state.value, said, told_by, time.time(), int(number)),
            )
        return self.entry(number)

    def is_due(self, number: str, every: float) -> bool:
        """Whether nobody has looked for signs of that task for `every` seconds; whoever hears yes
        looks, and of several who ask at once one does."""
        now = time.time()
        with self._written() as connection:
            found = connection.execute(
                "INSERT INTO look (task, at) VALUES (?, ?) ON CONFLICT (task) DO UPDATE "
                # A clock that was set back keeps nobody waiting.
                "SET at = excluded.at WHERE excluded.at - at >= ? OR excluded.at < at",
                (int(number), now, every),
            )
            return found.rowcount > 0

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Only one changes anything at a time, over all processes of this machine. Raises
        `RetryLater` when another one takes too long."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        with self._reached():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _locked(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _rows(self, where: str, *values: str) -> list[Entry]:
        if not self.path.exists():
            return []
        with self._reached(), closing(self._connected()) as connection:
            found = connection.execute(_SELECT.format(where=where), values).fetchall()
        return [
            Entry(str(number), key, action, TaskState(state), said, changed, told_by)
            for number, key, action, state, said, changed, told_by in found
        ]

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        with self._reached():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(self._connected()) as connection, connection:
                yield connection

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise Closed(
                f"what was begun can't be kept in {printable(str(self.path), 300)} "
                f"({printable(str(error), 200)}); name another place in the provider's journal",
                ClosedReason.FORBIDDEN,
            ) from error

    def _connected(self) -> sqlite3.Connection:
        fresh = not self.path.exists()
        connection = sqlite3.connect(self.path, timeout=PATIENCE)
        if fresh:
            self.path.chmod(0o600)
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        return connection


async def _locked(descriptor: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise RetryLater(
                    "another process has been changing accounts for more than a minute", after=30.0
                ) from error
            await asyncio.sleep(_LOOK_AGAIN)
        else:
            return
