"""`mailhaul` that stops itself at one exact instant, as SIGSTOP would, and goes on by SIGCONT:

    python -m tests.journey.frozen INSTANT WORDS…

Once only: what comes after is not disturbed. Nobody watches its slot for it, so that it does not
end by itself as soon as it wakes.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence

from mailhaul.cli.main import main
from mailhaul.core.folder import Cursor
from mailhaul.core.message import Entry
from mailhaul.engine.ledger import FolderRow, Ledger
from mailhaul.imap.client import Session
from mailhaul.journey.slots import PostgresSlot

Stop = Callable[[], None]

AMID = 50_000
"""Octets: more than all small messages together, far less than a large one."""


def intended(stop: Stop) -> None:
    """The ledger knows what is about to be sent, and not an octet of it has been."""
    intend = Ledger.intend

    def and_stop(
        self: Ledger,
        folder: FolderRow,
        entries: Sequence[Entry],
        place: Cursor | None = None,
        attempt: int = 0,
    ) -> None:
        intend(self, folder, entries, place, attempt)
        stop()

    Ledger.intend = and_stop  # type: ignore[method-assign]


def half_sent(stop: Stop) -> None:
    """The first octets of a large message are on their way."""
    write = Session._write
    sending = False
    sent = 0

    def and_stop(self: Session, data: bytes) -> None:
        nonlocal sending, sent
        write(self, data)
        sending = sending or (self.writable and b" APPEND " in data)
        if sending and self.writable:
            sent += len(data)
        if sent > AMID:
            stop()

    Session._write = and_stop  # type: ignore[method-assign]


INSTANTS = {"intended": intended, "half sent": half_sent}


def run(instant: str, words: Sequence[str]) -> int:
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)

    INSTANTS[instant](stop)
    PostgresSlot.guard = _unguarded  # type: ignore[method-assign]
    sys.argv = ["mailhaul", *words]
    return int(main())


def _unguarded(self: PostgresSlot, fence: Stop) -> None:
    """Says that all is well."""


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
