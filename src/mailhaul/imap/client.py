"""One connection to an IMAP server: commands go out without waiting for answers.

The only place that waits is a `Pending`. Commands form a queue: each is written as soon as the
ones before it are written, and `answers` tells which of them a response answers. Tags are matched
strictly (failure-modes F5).

Nothing is buffered without bound: writing stops while the network is slow, reading stops while
more than `BUDGET` octets of messages wait to be taken.
"""

import asyncio
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator

from mailhaul.core.blob import MemoryBlob, Spool
from mailhaul.core.errors import Disconnected, MailhaulError
from mailhaul.core.store import Traffic
from mailhaul.core.text import printable
from mailhaul.imap.answers import Kind
from mailhaul.imap.codes import judge
from mailhaul.imap.commands import (
    Command,
    ReadCommand,
    WriteCommand,
    compress,
    logout,
    shown,
    starttls,
)
from mailhaul.imap.deflate import Deflater, Inflater, LinkSpeed
from mailhaul.imap.outbox import COALESCED, Outbox, steps_of
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.reader import Reader
from mailhaul.imap.responses import Body, Continuation, Event, Fetched, Listing, Status, Untagged
from mailhaul.imap.syntax import ProtocolFault
from mailhaul.imap.tracing import described

BUDGET = 6 * 1024 * 1024
"""Octets of messages in memory that nobody has taken yet; beyond it the connection isn't read."""
PATIENCE = 120.0
"""Seconds without an octet after which a connection counts as dead (A4)."""
WAKE_AFTER = 2.0
"""Seconds without an octet after which the loop is asked once more to read."""
LONG_PATIENCE = 900.0
"""The same for commands that make a server read a whole folder first (A17)."""

_SLOW_VERBS = frozenset(
    {b"SELECT", b"EXAMINE", b"STATUS", b"LIST", b"APPEND", b"EXPUNGE", b"UID EXPUNGE", b"UID STORE"}
)
_INJECTED = (
    "something follows {}'s agreement to STARTTLS in the clear; somebody on the way may be "
    "injecting it, so nothing was said"
)
_MOST_RESPONSES = 2_000_000
_MOST_UNSOLICITED = 10_000
_MOST_NOTICES = 50
_PIECES_AT_ONCE = 16
_AS_MUCH_AS_WE_TAKE = 128 * 1024
"""Octets that come at once when they have waited for us: no measure of the link."""
_LINGER = 2.0
"""Seconds in which the last octets may leave after goodbye."""


class Session(asyncio.Protocol):
    """One connection. A session that isn't `writable` takes `ReadCommand` only."""

    def __init__(
        self,
        name: str,
        *,
        writable: bool,
        spool: Spool,
        traffic: Traffic,
        trace: Callable[[str], None] | None = None,
        patience: float = PATIENCE,
        long_patience: float = LONG_PATIENCE,
        budget: int = BUDGET,
        quirks: Counter[QuirkName] | None = None,
        compress: bool = True,
    ) -> None:
        self.name = name
        self.writable = writable
        self.traffic = traffic
        self.capabilities: frozenset[str] | None = None
        """In capitals, as last told; None: not told since connecting, STARTTLS or login."""
        self.failures = 0
        """NO and BAD so far: Exchange hangs up after ten (A6)."""
        self.alerts_count = True
        """Off before TLS: what is said there may come from anybody (security.md 4, rule 6)."""
        self._trace = trace
        self.quirks = Counter() if quirks is None else quirks
        """What the server does wrong, and how often."""
        self._reader = Reader(spool, quirks=self.quirks)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Pending] = deque()
        self._outbox = Outbox(self._write, self._waits_for_plus, self._fail)
        self._pump_scheduled = False
        self._reading_paused = False
        self._reading_on = False
        self._transport_paused = False
        self._held = 0
        self._budget = budget
        self._tags = 0
        self._unsolicited = 0
        self._greeting: asyncio.Future[Status] = self._loop.create_future()
        self._bye: Status | None = None
        self._error: MailhaulError | OSError | None = None
        self._leaving = False
        self._patience = patience
        self._long_patience = long_patience
        self._progressed = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._compress = compress  # may still be switched on
        self._compress_due = False
        self._link = LinkSpeed()
        self._inflater: Inflater | None = None
        self._deflater: Deflater | None = None
        self._asked: tuple[bytes, float] | None = None  # what went out alone, and when
        self._heard: float | None = None  # when something came, and more of it is to come
        self._stored: float | None = None  # when an APPEND was answered with one more behind it
        self._sealing = False  # STARTTLS was asked for
        self._sealed = False  # and granted: not one octet more in the clear

    # --- What others call --------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether a command may still be sent."""
        return self._error is None and not self._leaving and self._bye is None

    @property
    def error(self) -> MailhaulError | OSError | None:
        """What ended the connection."""
        return self._error

    @property
    def in_flight(self) -> int:
        """Commands sent, or waiting to be, and not answered."""
        return len(self._queue)

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "connected first"
        return self._transport

    @property
    def protected(self) -> bool:
        """Whether TLS is on."""
        return self.transport.get_extra_info("ssl_object") is not None

    async def greeting(self) -> Status:
        """The server's first word; raises `Disconnected` when there is none."""
        return await asyncio.shield(self._greeting)

    def send(self, command: Command, answer: Callable[[bytes], bytes] | None = None) -> Pending:
        """Queues `command`; it goes out with what else is sent in this turn of the event loop.
        `answer` replies to the server's challenges (AUTHENTICATE). Raises what ended the
        connection, if it is gone already."""
        if not isinstance(command, ReadCommand) and not (
            self.writable and isinstance(command, WriteCommand)
        ):
            raise AssertionError("a connection that is open for reading was given a write")
        if self._error is not None:
            raise self._error
        if self._compress_due and command.verb != b"LOGOUT":
            self._compress_due = False
            self.traffic.round_trips += 2 if self._queue else 1  # nothing goes beside it
            self.send(compress())
        self._tags += 1
        tag = b"M%d" % self._tags
        pending = Pending(self, command, tag, answer)
        if not self._queue:
            self._progressed = self._loop.time()
            self._asked = tag, self._progressed
            self._heard = None
            if command.verb != b"LOGOUT":
                self.traffic.round_trips += 1
        if isinstance(command, WriteCommand) and command.verb != b"SELECT":
            self.traffic.writes += 1
        self._queue.append(pending)
        self._outbox.add(pending, steps_of(tag, command, self.capabilities or frozenset()))
        if self._trace is not None:
            self._trace(f"{self.name} C: {tag.decode()} {shown(command)}")
        self._schedule()
        return pending

    def read_on(self, on: bool) -> None:
        """While on, messages that wait to be taken don't keep the connection from being read: what
        is under way bounds them."""
        self._reading_on = on
        if on:
            self._resume_reading()

    def retire(self) -> None:
        """Says LOGOUT after everything that is under way; what is under way goes on."""
        if self.usable:
            self.send(logout())
            self._leaving = True

    async def close(self) -> None:
        """LOGOUT, and goodbye: its answer isn't waited for."""
        self.retire()
        transport = self._transport
        if self._error is None and transport is not None:
            self._pump()
            self._fail(Disconnected(f"the connection to {self.name} was closed by us"), False)
            transport.close()
            self._loop.call_later(_LINGER, transport.abort)

    def abort(self, error: MailhaulError | OSError | None = None) -> None:
        """Drops the connection now; commands under way fail with `error`."""
        self._fail(error or Disconnected(f"the connection to {self.name} was closed by us"))

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> Status:
        """Asks for STARTTLS and, when the answer is OK, upgrades the connection and forgets what
        the server said before. Gives the answer. Raises `Disconnected` when anything follows the
        OK in the clear (NO-STARTTLS rule 1), and what the handshake raises (OSError)."""
        self._sealing = True
        status = await self.send(starttls()).done()
        if status.kind != b"OK":
            return status
        if self._error is not None:
            raise self._error
        transport = await self._loop.start_tls(
            self.transport, self, context, server_hostname=host, ssl_handshake_timeout=seconds
        )
        if transport is None or self._error is not None:
            raise self._error or Disconnected(f"{self.name} closed the connection during TLS")
        self.connection_made(transport)
        self._sealed = self._sealing = False
        self.alerts_count = True
        self.capabilities = None
        return status

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=COALESCED)
        if self._watch is None:
            pause = min(self._patience / 8, WAKE_AFTER)
            self._watch = self._loop.call_later(pause, self._look_at_the_clock)

    def data_received(self, data: bytes) -> None:
        self._measure(data)
        if self._inflater is not None:
            self._inflater.give(data)
            self._inflate()
        elif self._queue and self._queue[0].command.verb == b"COMPRESS":
            # What follows the OK is compressed: nothing behind its line may be read as it is.
            while data and self._inflater is None and self._error is None:
                end = data.find(b"\n") + 1 or len(data)
                self._digest(data[:end])
                data = data[end:]
            if data and self._inflater is not None:
                self._inflater.give(data)
                self._inflate()
        else:
            self._digest(data)

    def _digest(self, data: bytes) -> None:
        self.traffic.octets_in += len(data)
        try:
            for event in self._reader.feed(data):
                if self._sealed:
                    raise ProtocolFault(_INJECTED.format(self.name))
                self._take(event)
            if self._sealed and not self._reader.idle:
                raise ProtocolFault(_INJECTED.format(self.name))
        except (ProtocolFault, OSError) as error:
            self._fail(error)
            return
        if self._held > self._budget and not self._reading_on:
            self._reading_paused = True
            self._regulate()

    def _inflate(self) -> None:
        """Reads on in what is compressed, as far as there is room, and a few pieces at a time: it
        may be a thousand times as much as came."""
        inflater = self._inflater
        assert inflater is not None
        for _ in range(_PIECES_AT_ONCE):
            if self._error is not None or self._reading_paused or not inflater.pending:
                break
            try:
                piece = inflater.take()
            except ProtocolFault as error:
                self._fail(error)
                return
            self._digest(piece)
        else:
            if inflater.pending:
                self._loop.call_soon(self._inflate)
        self._regulate()

    def _measure(self, data: bytes) -> None:
        """Looks at the clock: how fast do messages come?"""
        now = self._progressed = self._loop.time()
        if not self._compress:
            return
        heard = self._heard
        bulk = bool(self._queue) and self._queue[0].wants.kind is Kind.BODIES
        self._heard = now if bulk and not self._transport_paused else None
        if heard is not None and len(data) < _AS_MUCH_AS_WE_TAKE:
            self._moved(len(data), now - heard)

    def _measure_append(self, pending: Pending) -> None:
        now = self._loop.time()
        if self._stored is not None:
            parts = pending.command.parts
            octets = sum(0 if isinstance(part, bytes) else part.blob.size for part in parts)
            self._moved(octets, now - self._stored)
        behind = bool(self._queue) and self._queue[0].command.verb == b"APPEND"
        self._stored = now if behind else None

    def _moved(self, octets: int, seconds: float) -> None:
        speed = self._link.moved(octets, seconds)
        if speed is None or "COMPRESS=DEFLATE" not in (self.capabilities or ()):
            return
        self._compress = False
        self._compress_due = True
        self.notice(
            f"the link to {self.name} carries some {speed / 1e6:.1f} MB/s: compressed where it is "
            "slow (COMPRESS=DEFLATE)"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(self._farewell(exc))

    def pause_writing(self) -> None:
        self._outbox.paused = True

    def resume_writing(self) -> None:
        self._outbox.paused = False
        self._progressed = self._loop.time()
        self._pump()

    # --- Receiving ---------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if self._trace is not None:
            self._trace(f"{self.name} S: {described(event)}")
        if isinstance(event, (Listing, Body, Fetched, Untagged)):
            if isinstance(event, Untagged) and event.name == b"CAPABILITY":
                self._learn(b" ".join(v for v in event.values_if_any() if isinstance(v, bytes)))
            self._give(event)
        elif isinstance(event, Status):
            if event.code == b"CAPABILITY":
                self._learn(event.arguments)
            if event.code == b"ALERT" and self.alerts_count:
                self.notice(f"{self.name} says: {printable(event.text, 300)}")
            if event.tag is not None:
                self._complete(event)
            elif not self._greeting.done():
                self._greeting.set_result(event)
            else:
                if event.kind == b"BYE":
                    self._bye = event
                self._give(event)
        else:
            self._go_on(event)

    def notice(self, text: str) -> None:
        """Notes what a person should know about this connection, once."""
        notices = self.traffic.notices
        if text not in notices and len(notices) < _MOST_NOTICES:
            notices.append(text)

    def _learn(self, words: bytes) -> None:
        self.capabilities = frozenset(words.decode("latin-1").upper().split())

    def _in_turn(self) -> Iterator[Pending]:
        """The commands that may be answered now. Servers work on several commands of one folder
        by turns, but open the next folder only when they are through with this one."""
        for number, pending in enumerate(self._queue):
            if number and pending.wants.leaves:
                return
            yield pending

    def _give(self, event: Event) -> None:
        if isinstance(event, Listing):
            self._give_lines(event)
            return
        for pending in self._in_turn():
            if pending.wants.event(event):
                if isinstance(event, Body) and isinstance(event.blob, MemoryBlob):
                    self._held += 0 if pending.abandoned else event.blob.size
                self._hand(pending, event, 1)
                return
        self._nobody_asked(event)

    def _give_lines(self, listing: Listing) -> None:
        entries = listing.entries
        for pending in self._in_turn():
            if pending.wants.line(entries[0]):
                if pending.wants.all_of(entries):
                    self._hand(pending, listing, len(entries))
                    return
                break
        if len(entries) == 1:
            self._nobody_asked(listing)
            return
        for entry in entries:  # lines of several commands, or some that nobody asked for
            self._give_lines(Listing([entry], listing.whole))

    def _hand(self, pending: Pending, event: Event, count: int) -> None:
        pending.count += count
        if pending.count > _MOST_RESPONSES:
            raise ProtocolFault(f"{self.name} sends answers without end")
        if pending.abandoned:
            self.forget(event, counted=False)
        else:
            pending.events.append(event)
            pending.wake()

    def _nobody_asked(self, event: Event) -> None:
        self._unsolicited += 1
        if self._unsolicited > _MOST_UNSOLICITED:
            raise ProtocolFault(f"{self.name} sends and sends what nobody asked for")
        self.forget(event, counted=False)

    def _complete(self, status: Status) -> None:
        pending = next((each for each in self._queue if each.tag == status.tag), None)
        if pending is None:
            tag = status.tag or b""
            number = int(tag[1:12]) if tag[:1] == b"M" and tag[1:].isdigit() else 0
            if 0 < number <= self._tags:
                self.quirks[QuirkName.STALE_TAG] += 1
                return
            raise ProtocolFault(
                f"{self.name} answered “{printable(tag, 40)}”, which was not asked now"
            )
        if pending is self._queue[0]:
            self._queue.popleft()
        else:
            self._queue.remove(pending)
        if self._sealing and pending.command.verb == b"STARTTLS" and status.kind == b"OK":
            self._sealed = True
        if self._outbox.answered(pending):
            self._schedule()
        self._unsolicited = 0
        if self._asked is not None and self._asked[0] == pending.tag:
            self._link.answered(self._loop.time() - self._asked[1])
            self._asked = None
        if self._compress and pending.command.verb == b"APPEND":
            self._measure_append(pending)
        if pending.command.verb == b"COMPRESS" and status.kind == b"OK":
            self._inflater, self._deflater = Inflater(), Deflater()
        if status.kind != b"OK":
            self.failures += 1
        pending.status = status
        pending.wake()

    def _go_on(self, event: Continuation) -> None:
        if self._outbox.go_on():
            self._pump()
        elif self._queue and self._queue[0].answer is not None:
            self.traffic.round_trips += 1
            try:
                answer = self._queue[0].answer(event.text)
            except MailhaulError as error:  # the exchange has to be given up
                self._fail(error)
                return
            self._write(answer + b"\r\n")

    def release(self, octets: int) -> None:
        self._held -= octets
        if self._held <= self._budget // 2:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._progressed = self._loop.time()
            if self._inflater is not None and self._inflater.pending:
                self._loop.call_soon(self._inflate)
            self._regulate()

    def _regulate(self) -> None:
        """The network is read while there is room, and nothing left to inflate."""
        behind = self._inflater is not None and self._inflater.pending
        wanted = self._reading_paused or behind
        if wanted is self._transport_paused or self._transport is None:
            return
        self._transport_paused = wanted
        if wanted:
            self._heard = None
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def forget(self, event: Event, counted: bool = True) -> None:
        if isinstance(event, Body) and event.blob is not None:
            if counted and isinstance(event.blob, MemoryBlob):
                self.release(event.blob.size)
            event.blob.close()

    # --- Sending -----------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        self._outbox.pump(self._queue[0] if self._queue else None)

    def _waits_for_plus(self) -> None:
        self.traffic.round_trips += 1

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._error is not None:
            return
        self.traffic.octets_out += len(data)
        self._progressed = self._loop.time()
        self._transport.write(data if self._deflater is None else self._deflater.small(data))

    # --- The end -----------------------------------------------------------------------------

    def _look_at_the_clock(self) -> None:
        self._watch = None
        if self._error is not None:
            return
        silent = self._loop.time() - self._progressed
        if self._queue or not self._greeting.done():
            slow = bool(self._queue) and self._queue[0].command.verb in _SLOW_VERBS
            most = self._long_patience if slow else self._patience
            if silent > most and not self._reading_paused:
                self._fail(
                    Disconnected(
                        f"{self.name} said nothing for {most:.0f} seconds; "
                        "the connection is taken for dead"
                    )
                )
                return
        if self._queue and silent > WAKE_AFTER and self._transport and not self._transport_paused:
            # Some kernels lose a wake-up after reading was paused: it is asked for anew.
            self._transport.pause_reading()
            self._transport.resume_reading()
        pause = min(self._patience / 8, WAKE_AFTER)
        self._watch = self._loop.call_later(pause, self._look_at_the_clock)

    def _farewell(self, exc: Exception | None) -> MailhaulError:
        if self._bye is not None:
            judgement = judge(b"", self._bye)
            return Disconnected(
                f"{self.name} hung up: {judgement.reason}",
                after=judgement.after or 1.0,
                throttled=judgement.throttled,
            )
        if exc is not None:
            return Disconnected(f"the connection to {self.name} broke: {printable(str(exc), 200)}")
        return Disconnected(f"{self.name} closed the connection without a word")

    def _fail(self, error: MailhaulError | OSError, abort: bool = True) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._reader.close()
        self._outbox.clear()
        if not self._greeting.done():
            self._greeting.set_exception(error)
            self._greeting.exception()  # looked at: nobody may be waiting
        queue, self._queue = self._queue, deque()
        for pending in queue:
            pending.fail(error)
        if abort and self._transport is not None:
            self._transport.abort()
