"""The ledger's rows on PostgreSQL: what `engine.ledger.Rows` asks for, fenced.

One connection a mailbox pair and pass. Views show it the rows of its own mailbox only, under the
names that a ledger's file has (`tables.VIEWS`), so that the statements are the same. Every commit
checks, in its own transaction, that the mailbox still is at the epoch this writer took: a worker
that was thought dead and isn't can write nothing any more.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy import URL

from mailhaul.core.errors import Disconnected, Superseded
from mailhaul.core.message import Key
from mailhaul.core.text import printable

_NUMBER, _NAME = b"n", b"s"
_DIGITS = 20


class LedgerRows:
    """A connection that shows one mailbox's rows, and writes as long as it is at `epoch`.

    Raises `Disconnected` when the database is away.
    """

    def __init__(self, url: URL, mailbox: int, epoch: int) -> None:
        self._mailbox, self._epoch = mailbox, epoch
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with _reaching():
            self._sql = psycopg.connect(plain, options=f"-c mailhaul.mailbox={mailbox:d}")
            self._sql.execute("SET search_path = ledger, public")
            self._sql.commit()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        with _reaching():
            return self._sql.execute(_translated(statement), values)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> Any:
        with _reaching():
            cursor = self._sql.cursor()
            cursor.executemany(_translated(statement), list(values))
            return cursor

    def commit(self) -> None:
        with _reaching():
            # Whoever wants to take the mailbox over waits for our end, or we for theirs.
            held = self._sql.execute(
                "SELECT 1 FROM public.mailbox WHERE id = %s AND epoch = %s FOR SHARE",
                (self._mailbox, self._epoch),
            )
            if held.fetchone() is None:
                self._sql.rollback()
                raise Superseded("another worker has taken this mailbox over")
            self._sql.commit()

    def close(self) -> None:
        self._sql.close()

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


class _reaching:  # noqa: N801 - reads as the statement it is
    """Errors of a database that is away become `Disconnected`: the pass goes on when it is back."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.OperationalError):
            raise Disconnected(f"the database is away: {printable(str(error), 200)}") from error


def _translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%s").encode()
