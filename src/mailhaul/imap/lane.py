"""One connection as stores use it: it comes by itself, and folders are opened as commands need it.

Commands of different folders follow one another on a lane. Where the folder of the next command
differs from the one opened last, an EXAMINE (or SELECT) goes ahead of it, and nothing waits for
its answer: a command behind an EXAMINE that fails is refused by the server, and whoever looks at
its `Selection` learns why.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailhaul.core.text import printable
from mailhaul.imap.client import Session
from mailhaul.imap.commands import Command, examine, noop, select, unselect
from mailhaul.imap.failures import failure
from mailhaul.imap.pending import Pending
from mailhaul.imap.responses import Event, Status, Untagged

MOST_FAILURES = 8
"""NO and BAD a session may see; Exchange hangs up after ten (A6)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What opening a folder told. None: the server didn't say."""

    uidvalidity: int
    uidnext: int | None
    modseq: int | None
    """None without CONDSTORE, for NOMODSEQ, and for values that can't be (Zoho's negative ones)."""
    exists: int
    permanent_flags: bytes | None
    """What stands between the parentheses of PERMANENTFLAGS."""
    object_id: bytes
    """MAILBOXID (RFC 8474 4.1): the folder's own, whatever it is called; empty: not told."""


class Selection:
    """An EXAMINE or SELECT under way, shared by the commands that were sent behind it."""

    __slots__ = ("_facts", "changes", "native", "pending", "resynced", "writable")

    def __init__(self, native: str, writable: bool, pending: Pending, resynced: bool) -> None:
        self.native = native
        self.writable = writable
        self.pending = pending
        self.resynced = resynced
        self.changes: list[Event] = []
        """What else came: with QRESYNC the VANISHED and FETCH responses."""
        self._facts: Facts | None = None

    async def facts(self) -> Facts:
        """What the server said. Raises `FolderFailed` when the folder can't be opened, or what
        `codes.failure` makes of the refusal."""
        if self._facts is None:
            status = await self.pending.done()
            if self._facts is None:
                if status.kind != b"OK":
                    shown = printable(self.native, 120)
                    raise failure(b"EXAMINE", status, f"the folder “{shown}” can't be opened")
                self._facts, self.changes = _facts(status, self.pending.events)
                self.pending.events = []
        return self._facts


class Lane:
    """Connects with `connect` when first used, and anew after the connection broke."""

    def __init__(self, connect: Callable[["Lane"], Awaitable[Session]]) -> None:
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._session: Session | None = None
        self._selection: Selection | None = None
        self._alone: asyncio.Task[object] | None = None
        self._free = asyncio.Event()
        self._free.set()
        self.load = 0
        """Octets or messages given to this lane so far, for sharing out folders."""

    @property
    def session(self) -> Session | None:
        """The connection as it is, connected or not."""
        return self._session

    async def ready(self) -> Session:
        """A session that takes any command, nobody being alone with it. Nothing is awaited when
        there is one already."""
        while self._alone is not None and self._alone is not asyncio.current_task():
            await self._free.wait()
        return await self.connected()

    async def connected(self) -> Session:
        """A session for commands that neither open a folder nor ask for the one that is open, such
        as APPEND: they may come between the steps of a task that is alone."""
        session = self._session
        if session is not None and session.usable and session.failures < MOST_FAILURES:
            return session
        async with self._connecting:
            session = self._session
            if session is not None and session.usable:
                if session.failures < MOST_FAILURES:
                    return session
                session.retire()
            self._session = self._selection = None
            self._session = session = await self._connect(self)
        return session

    async def ask(self, command: Command) -> Pending:
        """Sends a command that needs no folder."""
        return (await self.connected()).send(command)

    async def ask_in(
        self,
        native: str,
        *commands: Command,
        writable: bool = False,
        fresh: bool = False,
        current: bool = False,
    ) -> tuple[Selection, list[Pending]]:
        """Sends `commands` in the folder, opening it first where need be. `fresh` opens it anew, so
        that its facts are those of now; `current` has an open one brought up to date, so that what
        others have expunged is gone."""
        session = await self.ready()
        return self._asked(session, native, commands, writable, fresh, current)

    def ask_now(self, native: str, *commands: Command) -> tuple[Selection, list[Pending]] | None:
        """Like `ask_in` with `fresh`, behind what was sent last and without awaiting anything; None
        when somebody is alone, or there is no session."""
        session = self._session
        if self._alone is not None or session is None or not session.usable:
            return None
        return self._asked(session, native, commands, writable=False, fresh=True, current=False)

    def _asked(
        self,
        session: Session,
        native: str,
        commands: Sequence[Command],
        writable: bool,
        fresh: bool,
        current: bool,
    ) -> tuple[Selection, list[Pending]]:
        selection = self._selection
        if (
            selection is None
            or fresh
            or selection.native != native
            or (writable and not selection.writable)
            or _failed(selection)
        ):
            opening = select(native) if writable else examine(native)
            selection = Selection(native, writable, session.send(opening), False)
            self._selection = selection
        elif current:
            session.send(noop())
        return selection, [session.send(command) for command in commands]

    def opened(self, native: str, pending: Pending) -> Selection:
        """The folder that a SELECT sent on this session opens, and the last that did."""
        self._selection = Selection(native, True, pending, False)
        return self._selection

    def ask_behind(self, selection: Selection, *commands: Command) -> list[Pending] | None:
        """Sends `commands` in the folder whose `selection` was looked at; None when it is not open
        any more. Nothing is awaited, so nothing can come between."""
        session = self._session
        if self._selection is not selection or session is None or not session.usable:
            return None
        return [session.send(command) for command in commands]

    async def resync(
        self, native: str, uidvalidity: int, modseq: int, *commands: Command
    ) -> tuple[Selection, list[Pending]]:
        """Like `ask_in`, opening the folder with QRESYNC (RFC 7162 3.2.5): what changed since
        `modseq` is in the selection's `changes`."""
        session = await self.ready()
        opening = examine(native, qresync=(uidvalidity, modseq))
        selection = Selection(native, False, session.send(opening), True)
        self._selection = selection
        return selection, [session.send(command) for command in commands]

    def let_go(self, session: Session, unselects: bool) -> None:
        """Sees to it that STATUS of the folder that is open, if one is, tells what is there now:
        what this connection has seen of it so far may be less (RFC 9051 6.3.11). NOOP doesn't do:
        Dovecot puts it off."""
        selection = self._selection
        if selection is None:
            return
        if unselects:
            session.send(unselect())
            self._selection = None
            return
        native = selection.native
        self._selection = Selection(native, False, session.send(examine(native)), False)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While inside, other tasks' commands that need a folder wait: for steps where an answer
        has to be seen before the next command, in the same folder."""
        while self._alone is not None:
            await self._free.wait()
        self._alone = asyncio.current_task()
        self._free.clear()
        session = self._session
        if session is not None:
            # Those who wait may be the takers of what the answer waited for comes behind.
            session.read_on(True)
        try:
            yield
        finally:
            if session is not None:
                session.read_on(False)
            self._alone = None
            self._free.set()

    async def close(self) -> None:
        """Says goodbye and lets go."""
        session, self._session, self._selection = self._session, None, None
        if session is not None:
            await session.close()


def _failed(selection: Selection) -> bool:
    status = selection.pending.status
    return selection.pending.error is not None or (status is not None and status.kind != b"OK")


def _facts(tagged: Status, events: list[Event]) -> tuple[Facts, list[Event]]:
    codes: dict[bytes, bytes] = {}
    exists = 0
    changes: list[Event] = []
    for event in [*events, tagged]:
        if isinstance(event, Status):
            if event.code:
                codes[event.code] = event.arguments
        elif isinstance(event, Untagged) and event.name in (b"EXISTS", b"RECENT", b"FLAGS"):
            if event.name == b"EXISTS" and event.number is not None:
                exists = event.number
        else:
            changes.append(event)
    permanent = codes.get(b"PERMANENTFLAGS")
    return Facts(
        uidvalidity=_positive(codes.get(b"UIDVALIDITY")) or 0,
        uidnext=_positive(codes.get(b"UIDNEXT")),
        modseq=None if b"NOMODSEQ" in codes else _positive(codes.get(b"HIGHESTMODSEQ")),
        exists=exists,
        permanent_flags=None if permanent is None else permanent.strip(b"()"),
        object_id=codes.get(b"MAILBOXID", b"").strip(b"()"),
    ), changes


def _positive(digits: bytes | None) -> int | None:
    if digits is None or not digits.isdigit() or len(digits) > 20:
        return None
    return int(digits) or None
