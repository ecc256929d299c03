"""A command under way, as whoever sent it sees it: what came, and how it ended."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from mailhaul.core.errors import MailhaulError
from mailhaul.imap.answers import Wants
from mailhaul.imap.commands import Command
from mailhaul.imap.responses import Event, Status


class Holder(Protocol):
    """The connection that holds messages until they are taken."""

    def release(self, octets: int) -> None:
        """So many octets of messages have been taken."""

    def forget(self, event: Event) -> None:
        """Nobody will take that."""


class Pending:
    """Its events gather in `events` until somebody takes them; the connection fills in the rest."""

    __slots__ = (
        "_holder",
        "_waiter",
        "abandoned",
        "answer",
        "command",
        "count",
        "error",
        "events",
        "status",
        "tag",
        "wants",
    )

    def __init__(
        self,
        holder: Holder,
        command: Command,
        tag: bytes,
        answer: Callable[[bytes], bytes] | None,
    ) -> None:
        self.command = command
        self.tag = tag
        self.answer = answer
        """Replies to the server's challenges (AUTHENTICATE)."""
        self.events: list[Event] = []
        self.wants = Wants(command)
        self.status: Status | None = None
        self.error: MailhaulError | OSError | None = None
        self.abandoned = False
        self.count = 0
        """Responses so far."""
        self._holder = holder
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it at this moment."""
        return self._waiter is not None

    async def arrivals(self) -> list[Event]:
        """The events that came since the last call, waiting for one; empty once the command is
        answered in full. The taker of messages calls `release` as it passes them on. Raises what
        ended the connection."""
        while not self.events and self.status is None:
            await self._wait()
        events, self.events = self.events, []
        return events

    async def done(self) -> Status:
        """The tagged answer, whatever it says; raises what ended the connection."""
        while self.status is None:
            await self._wait()
        return self.status

    def release(self, octets: int) -> None:
        """So many octets of messages are no longer held on behalf of this command."""
        self._holder.release(octets)

    def abandon(self) -> None:
        """Nobody will take the events any more; what still comes is thrown away."""
        self.abandoned = True
        events, self.events = self.events, []
        for event in events:
            self._holder.forget(event)

    def wake(self) -> None:
        """Something came."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: MailhaulError | OSError) -> None:
        """The connection ended before the answer."""
        if self.status is None and self.error is None:
            self.error = error
            self.wake()

    async def _wait(self) -> None:
        if self.error is not None:
            raise self.error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
