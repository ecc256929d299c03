"""What comes in over a connection: inflated where it is compressed, and no more than there is room.

Messages that have come wait until whoever asked for them takes them. When more than a budget of
octets waits, the network isn't read. That alone would let one taker starve another: what the first
leaves lying keeps the second's from being read, and if the first waits for the second, for ever.
So who waits for the server is never kept waiting by a taker for good: where nothing was taken
between two looks at the clock while somebody waits, as much again is let in. What is under way
bounds that: a fetch asks for a few MiB, and larger messages lie on disk.
"""

import asyncio
from collections.abc import Callable

from mailhaul.core.blob import MemoryBlob
from mailhaul.imap.deflate import Inflater
from mailhaul.imap.responses import Body, Event
from mailhaul.imap.syntax import ProtocolFault

BUDGET = 6 * 1024 * 1024
"""Octets of messages in memory that nobody has taken yet; beyond it the connection isn't read."""

_PIECES_AT_ONCE = 16


class Intake:
    """Hands octets to `digest`, which calls `hold` for messages, and `limit` when it is through.
    `failed` is told of what isn't compressed as it should be, `turned` when the network is read
    again (True) or not for now (False)."""

    __slots__ = (
        "_budget",
        "_digest",
        "_failed",
        "_held",
        "_inflater",
        "_loop",
        "_paused",
        "_read_on",
        "_room",
        "_taken",
        "_transport",
        "_turned",
        "resting",
    )

    def __init__(
        self,
        budget: int,
        digest: Callable[[bytes], None],
        failed: Callable[[ProtocolFault], None],
        turned: Callable[[bool], None],
    ) -> None:
        self._budget = budget
        self._digest = digest
        self._failed = failed
        self._turned = turned
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._inflater: Inflater | None = None
        self._held = 0
        self._taken = True
        """Whether anything was taken since the last look."""
        self._paused = False
        self._room = budget
        """The budget, and what was let in beyond it."""
        self._read_on = False
        self.resting = False
        """The network isn't read for now."""

    @property
    def full(self) -> bool:
        """Whether nothing more is let in before something is taken."""
        return self._paused

    @property
    def is_compressed(self) -> bool:
        return self._inflater is not None

    def attach(self, transport: asyncio.Transport) -> None:
        """From here it comes."""
        self._transport = transport

    def stop(self) -> None:
        """Nothing more is wanted."""
        self._transport = None

    def inflate(self) -> None:
        """From now on what comes is compressed."""
        self._inflater = Inflater()

    def give(self, data: bytes) -> None:
        """Adds what came over the wire."""
        if self._inflater is None:
            self._digest(data)
        else:
            self._inflater.give(data)
            self._inflate()

    # --- Room --------------------------------------------------------------------------------

    def hold(self, octets: int) -> None:
        """So many octets of messages wait to be taken from now on."""
        self._held += octets

    def limit(self) -> None:
        """Stops reading while too much waits."""
        if self._held > self._room and not self._read_on:
            self._paused = True
            self._regulate()

    def release(self, octets: int) -> None:
        """So many octets of messages have been taken."""
        self._held -= octets
        self._taken = True
        if self._held <= self._budget // 2:
            self._room = self._budget
            self._resume()

    def forget(self, event: Event, counted: bool = True) -> None:
        """Nobody will take that; `counted`: it was held."""
        if isinstance(event, Body) and event.blob is not None:
            if counted and isinstance(event.blob, MemoryBlob):
                self.release(event.blob.size)
            event.blob.close()

    def read_on(self, on: bool) -> None:
        """While on, what waits to be taken doesn't keep the connection from being read."""
        self._read_on = on
        if on:
            self._resume()

    def look(self, awaited: bool) -> None:
        """At times: does somebody wait for what lies behind messages that nobody takes?"""
        if self._paused and awaited and not self._taken:
            self._room = self._held + self._budget
            self._resume()
        self._taken = False

    def nudge(self) -> None:
        """Asks the loop once more to read: some kernels lose a wake-up after reading has rested."""
        if self._transport is not None and not self.resting:
            self._transport.pause_reading()
            self._transport.resume_reading()

    # --- Inside ------------------------------------------------------------------------------

    def _inflate(self) -> None:
        """Reads on in what is compressed, as far as there is room, and a few pieces at a time: it
        may be a thousand times as much as came."""
        inflater = self._inflater
        assert inflater is not None
        for _ in range(_PIECES_AT_ONCE):
            if self._transport is None or self._paused or not inflater.pending:
                break
            try:
                piece = inflater.take()
            except ProtocolFault as error:
                self._failed(error)
                return
            self._digest(piece)
        else:
            if inflater.pending:
                self._loop.call_soon(self._inflate)
        self._regulate()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._inflater is not None and self._inflater.pending:
                self._loop.call_soon(self._inflate)
            self._regulate()

    def _regulate(self) -> None:
        """The network is read while there is room, and nothing left to inflate."""
        behind = self._inflater is not None and self._inflater.pending
        wanted = self._paused or behind
        if wanted is self.resting or self._transport is None:
            return
        self.resting = wanted
        self._turned(not wanted)
        if wanted:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
