"""Slots: the names that workers bear, each by one living process at a time.

A worker's runs are written under its slot's name; when it dies, somebody takes its name or adopts
its runs. On PostgreSQL a slot is a session's advisory lock: it is free the moment the process ends,
and some ten seconds after its machine is gone. Who loses the session and can't get the same slot
back ends (`guard`): another may be its name already. Until then leases keep it from writing to
what others carry by now (docs/decisions/0072). On SQLite there is one slot, a file lock, and so one
worker.
"""

import fcntl
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import psycopg

from mailhaul.core.errors import BadInput, Busy
from mailhaul.core.text import printable
from mailhaul.db.database import postgres_url

NAMESPACE = 0x6D68
"""Of our advisory locks; two integers make one lock."""
MOST = 256
FIRST = "w1"
BEGINNING = "beginning"
"""The name of what only one worker does at a time."""
LOCK = "worker.lock"

LOOK = 2.0
"""Seconds between two looks whether the session still lives."""
GRACE = 15.0
"""Seconds for a database that restarts; less than it takes others to be sure."""
ADOPTING = 3.0
"""Seconds for which somebody may hold another's name without bearing it."""
FENCED = 70
"""The exit code of a worker that has lost its slot."""

# A lost machine's session ends after idle + interval * count seconds, on both ends.
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
    "connect_timeout": 5,
    "application_name": "mailhaul slot",
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c idle_session_timeout=0",
}


_Session = psycopg.Connection[tuple[object, ...]]


class Slot(Protocol):
    """A name that is ours until `release`, or until we die."""

    name: str

    def guard(self, fence: Callable[[], None]) -> None:
        """From now on watches, in a thread; calls `fence` as soon as the name is not surely ours
        any more."""

    def dead(self, name: str) -> bool:
        """Whether nobody bears that name. If so it is held until `bury`."""

    def bury(self, name: str) -> None:
        """Lets go of a name that `dead` held."""

    def alone(self) -> AbstractContextManager[None]:
        """Workers that begin at the same time come one after the other here."""

    def release(self) -> None:
        """Gives the name up."""


def fence() -> None:
    """Ends this process at once: somebody else may be us by now."""
    os._exit(FENCED)


class FileSlot:
    """The only slot of an installation on SQLite."""

    def __init__(self, directory: Path) -> None:
        """Raises `Busy` when a worker runs there already, naming its process."""
        self.name = FIRST
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = printable(os.pread(self._handle, 20, 0)) or "unknown"
            os.close(self._handle)
            raise Busy(
                f"a worker runs here already (process {owner}); on SQLite there is one, and "
                "--database postgresql://… allows any number"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def guard(self, fence: Callable[[], None]) -> None:
        """See `Slot`: a file lock is lost with the process alone."""

    def dead(self, name: str) -> bool:
        """See `Slot`: everybody else is."""
        return name != self.name

    def bury(self, name: str) -> None:
        """See `Slot`."""

    def alone(self) -> AbstractContextManager[None]:
        """See `Slot`: it is."""
        return nullcontext()

    def release(self) -> None:
        """See `Slot`."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class PostgresSlot:
    """The first slot that is free at the PostgreSQL `url`."""

    def __init__(self, url: str, *, look: float = LOOK, grace: float = GRACE) -> None:
        """Raises `BadInput` when the database can't be reached, or has no free slot."""
        self._url = postgres_url(url).set(drivername="postgresql").render_as_string(False)
        self._look = look
        self._grace = grace
        self._lock = threading.Lock()
        self._ended = threading.Event()
        try:
            self._session = self._connect()
        except psycopg.OperationalError as error:
            said = printable(str(error).strip().partition("\n")[0], 300)
            raise BadInput(f"the database can't be reached: {said}") from error
        self.name = ""
        for number in range(1, MOST + 1):
            if self._try(f"w{number}"):
                self.name = f"w{number}"
                break
        else:
            self._session.close()
            raise BadInput(f"{MOST} workers run on this database already; that is the most")

    def guard(self, fence: Callable[[], None]) -> None:
        """See `Slot`."""
        watch = threading.Thread(target=self._watch, args=(fence,), name="slot", daemon=True)
        watch.start()

    def dead(self, name: str) -> bool:
        """See `Slot`; false as well while the database is away."""
        if name == self.name:
            return False
        with self._lock:
            try:
                return self._try(name)
            except psycopg.OperationalError:
                return False

    def bury(self, name: str) -> None:
        """See `Slot`."""
        with self._lock:
            try:
                self._session.execute(
                    "SELECT pg_advisory_unlock(%s, %s)", (NAMESPACE, _number(name))
                )
            except psycopg.OperationalError:
                # With the session the lock has gone as well.
                return

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Slot`."""
        with self._connect() as session:
            # Who waits inside of a statement holds up CREATE INDEX CONCURRENTLY of whom it waits
            # for: so nobody does.
            while not _tried(session, BEGINNING):
                time.sleep(0.1)
            yield

    def release(self) -> None:
        """See `Slot`."""
        self._ended.set()
        with self._lock:
            self._session.close()

    def _watch(self, fence: Callable[[], None]) -> None:
        while not self._ended.wait(self._look):
            with self._lock:
                if self._ended.is_set():
                    return
                try:
                    self._session.execute("SELECT 1")
                except psycopg.OperationalError:
                    if not self._back():
                        fence()
                        return

    def _back(self) -> bool:
        """Takes the same slot again, once the database answers again."""
        end = time.monotonic() + self._grace
        while time.monotonic() < end and not self._ended.is_set():
            try:
                self._session.close()
                self._session = self._connect()
                return self._again()
            except psycopg.OperationalError:
                time.sleep(0.5)
        return self._ended.is_set()

    def _again(self) -> bool:
        """Whether the name is ours again. Who only adopts what we had begun lets go of it; who
        bears it does not."""
        end = time.monotonic() + ADOPTING
        while not self._try(self.name):
            if time.monotonic() > end or self._ended.wait(0.1):
                return False
        return True

    def _connect(self) -> _Session:
        return psycopg.connect(self._url, autocommit=True, **KEEPALIVES)  # type: ignore[arg-type]

    def _try(self, name: str) -> bool:
        return _tried(self._session, name)


def take_slot(url: str | None, directory: Path) -> Slot:
    """A slot of the installation. Raises `Busy` and `BadInput`."""
    return FileSlot(directory) if url is None else PostgresSlot(url)


def _tried(session: _Session, name: str) -> bool:
    found = session.execute(
        "SELECT pg_try_advisory_lock(%s, %s)", (NAMESPACE, _number(name))
    ).fetchone()
    return found is not None and found[0] is True


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) - 2**31
