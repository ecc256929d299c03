"""The database of an installation: one SQLite file, or PostgreSQL by URL.

SQLAlchemy is called synchronously; `Database.run` is the one place where that is put into a thread.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

FILE = "mailhaul.sqlite"
BUSY = 30
"""Seconds that a writer waits for another one of the same SQLite file."""

_READING_SQLITE = {"reading": True}
_READING_POSTGRES = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_Result = TypeVar("_Result")


class Database:
    """An open database. `close` lets go of its connections."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turn = Lock() if self.is_sqlite else None
        # SQLite writes one at a time anyway: several threads would each read the file anew.
        self._thread = ThreadPoolExecutor(1, "database") if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction, committed at the end, rolled back by an exception. On SQLite it takes
        the write lock at once, so that what it read still holds when it writes."""
        with self._in_turn(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that sees everything as it is at its begin, and can't write. It waits for
        no writer, and none waits for it."""
        with self.engine.connect() as connection:
            reading = _READING_SQLITE if self.is_sqlite else _READING_POSTGRES
            with connection.execution_options(**reading).begin():
                if not self.is_sqlite:
                    yield connection
                    return
                connection.exec_driver_sql("PRAGMA query_only = ON")
                try:
                    yield connection
                finally:
                    # The connection goes back to the pool.
                    connection.exec_driver_sql("PRAGMA query_only = OFF")

    async def run(self, work: Callable[[Connection], _Result], *, reading: bool = False) -> _Result:
        """`work`'s result; in one transaction, in a thread. `reading`: one as of `read`, so that
        what several questions tell is of one moment."""

        def inside() -> _Result:
            with self.read() if reading else self.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, inside)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        self.engine.dispose()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """SQLite lets those who wait for its lock sleep, and each time longer: threads of one
        process come one after the other here, without any sleep."""
        held = self._turn is not None and self._turn.acquire(timeout=BUSY)
        try:
            yield
        finally:
            if held and self._turn is not None:
                self._turn.release()


def open_database(url: str | None, directory: Path) -> Database:
    """The database at `url` (`postgresql://user@host/name`), else the SQLite file in `directory`.

    Makes the directory, but no tables: `migrate` does. Raises `BadInput` for a URL that is none or
    names another kind of database.
    """
    if url is None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Database(_sqlite(directory / FILE))
    return Database(create_engine(postgres_url(url), pool_size=6, pool_pre_ping=True))


def postgres_url(text: str) -> URL:
    """The URL with the driver that we use. Raises `BadInput`, never showing a password."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadInput("--database is no URL; write postgresql://user@host/name") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        shown = printable(url.get_backend_name(), 40)
        raise BadInput(f"--database names “{shown}”; write postgresql://user@host/name")
    return url.set(drivername="postgresql+psycopg")


def _sqlite(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def connected(connection: object, _: ConnectionPoolEntry) -> None:
        # The driver's own BEGIN comes late and takes no write lock; `begin` below does.
        connection.isolation_level = None  # type: ignore[attr-defined]
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begins(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
