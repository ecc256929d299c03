"""The ledger's rows on PostgreSQL: what `engine.ledger.Rows` asks for, fenced.

One connection a mailbox pair and pass. Views show it the rows of its own ledger only, under the
names that a ledger's file has (`tables.VIEWS`), so that the statements are the same. Every commit
checks, in its own transaction, that the mailbox still is at the epoch this writer took: a worker
that was thought dead and isn't can write nothing any more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL

from mailhaul.core.errors import Disconnected, MailhaulError, Superseded
from mailhaul.core.lease import Lease
from mailhaul.core.message import Key
from mailhaul.core.text import printable

_NUMBER, _NAME = b"n", b"s"
_DIGITS = 20

# A lost machine's session ends after some ten seconds, on both ends.
_KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
    "connect_timeout": 5,
}
_ALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"

_END_EARLIER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
"""


class LedgerRows:
    """A connection that shows one mailbox's rows, and writes as long as it is at `epoch`.

    Raises `Disconnected` when the database is away. After an error everything raises it again:
    what was not committed is forgotten as a whole, and of those who share the connection (the
    folders of a pass) none goes on with half of it. Who is `taking_over`
    ends the sessions of earlier writers, whose machine may be gone while their locks are not.
    Every commit proves the `lease` that the mailbox is ours. `back`: the rows of its way back.
    """

    def __init__(
        self,
        url: URL,
        mailbox: int,
        epoch: int,
        *,
        back: bool = False,
        taking_over: bool = False,
        lease: Lease | None = None,
    ) -> None:
        self._mailbox, self._epoch = mailbox, epoch
        self._lease = lease
        self._lost: MailhaulError | None = None
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        name = f"mailhaul ledger {mailbox:d}{' back' if back else ''}"
        which = f"-c mailhaul.mailbox={mailbox:d} -c mailhaul.back={str(back).lower()}"
        try:
            self._sql: psycopg.Connection[Any] = psycopg.connect(
                plain,
                application_name=name if taking_over else "mailhaul reader",
                options=f"{which} {_ALIVE}",
                **_KEEPALIVES,
            )
        except psycopg.OperationalError as error:
            raise _away(error) from error
        with self._reaching() as sql:
            sql.execute("SET search_path = ledger, public")
            sql.commit()
            if taking_over:
                # First of all whether it is still ours to take.
                self.commit()
                sql.execute(_END_EARLIER, (name,))
                sql.commit()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        with self._reaching() as sql:
            return sql.execute(_translated(statement), values)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> Any:
        with self._reaching() as sql:
            cursor = sql.cursor()
            cursor.executemany(_translated(statement), list(values))
            return cursor

    def commit(self) -> None:
        asked = 0.0 if self._lease is None else self._lease.now()
        with self._reaching() as sql:
            # Whoever wants to take the mailbox over waits for our end, or we for theirs.
            held = sql.execute(
                "SELECT 1 FROM public.mailbox WHERE id = %s AND epoch = %s FOR SHARE",
                (self._mailbox, self._epoch),
            )
            if held.fetchone() is None:
                if self._lease is not None:
                    self._lease.end()
                raise Superseded("another worker has taken this mailbox over")
            sql.commit()
        if self._lease is not None:
            self._lease.proven(asked)

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def _reaching(self) -> Iterator[psycopg.Connection[Any]]:
        """Errors of a database that is away, or that chose us to give way in a deadlock, become
        `Disconnected`: another pass goes on, with a connection of its own."""
        if self._lost is not None:
            raise self._lost
        try:
            yield self._sql
        except psycopg.OperationalError as error:
            self._lost = _away(error)
            self.close()
            raise self._lost from error
        except Superseded as error:
            self._lost = error
            self.close()
            raise

    @staticmethod
    def stored(key: Key | None) -> bytes | None:
        """Octets, for they compare as keys do: numbers with leading zeros, names as UTF-8."""
        if key is None:
            return None
        if isinstance(key, int):
            return b"%b%0*d" % (_NUMBER, _DIGITS, key)
        return _NAME + key.encode("utf-8", "surrogatepass")

    @staticmethod
    def key(stored: bytes | None) -> Key | None:
        if stored is None:
            return None
        if stored[:1] == _NUMBER:
            return int(stored[1:])
        return stored[1:].decode("utf-8", "surrogatepass")


def _away(error: psycopg.OperationalError) -> Disconnected:
    return Disconnected(f"the database is away: {printable(str(error), 200)}")


def _translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%s").encode()
