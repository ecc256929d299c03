"""One connection to an IMAP server: commands go out without waiting for answers.

The only place that waits is a `Pending`. Commands form a queue: each is written as soon as the
ones before it are written (`outbox`), and what is said goes to whom it answers (`under_way`).

Nothing is buffered without bound: writing stops while the network is slow, reading stops while
more than a budget of octets waits to be taken (`intake`).
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

from mailhaul.core.blob import Spool
from mailhaul.core.errors import Disconnected, MailhaulError
from mailhaul.core.lease import Lease
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
from mailhaul.imap.deflate import Deflater
from mailhaul.imap.intake import BUDGET, Intake
from mailhaul.imap.link import Link
from mailhaul.imap.outbox import COALESCED, Outbox, steps_of
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.reader import Reader
from mailhaul.imap.responses import Continuation, Event, Status, Untagged
from mailhaul.imap.silence import LONG_PATIENCE, LOOK_AGAIN, PATIENCE, Silence
from mailhaul.imap.syntax import ProtocolFault
from mailhaul.imap.tracing import described
from mailhaul.imap.under_way import UnderWay

_INJECTED = (
    "something follows {}'s agreement to STARTTLS in the clear; somebody on the way may be "
    "injecting it, so nothing was said"
)
_FIRST = 200
_MOST_NOTICES = 50
_HELD = 0.05
"""Seconds between two looks whether anything may be said again."""
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
        look_again: float = LOOK_AGAIN,
        budget: int = BUDGET,
        quirks: Counter[QuirkName] | None = None,
        compress: bool = True,
        lease: Lease | None = None,
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
        self.first = b""
        """What it said first, while that was no greeting: the beginning."""
        self.identified: Pending | None = None
        """ID, where it was said."""
        self.ahead: list[Pending] = []
        """What was sent behind the login, and isn't made use of yet (`ahead`)."""
        self.misjudged = False
        """Whether something was sent behind the login in vain."""
        self._trace = trace
        self.quirks = Counter() if quirks is None else quirks
        """What the server does wrong, and how often."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = Reader(spool, quirks=self.quirks)
        self._intake = Intake(budget, self._digest, self._fail, self._reading)
        self._under_way = UnderWay(name, self._intake, self.quirks)
        self._lease = lease
        self._outbox = Outbox(self._write, self._waits_for_plus, self._fail, self._may_speak)
        self._pump_scheduled = False
        self._silence = Silence(
            *(patience, long_patience, look_again),
            *(self._awaited, self._look, self._died),
        )
        self._look_again = look_again
        self._greeting: asyncio.Future[Status] = self._loop.create_future()
        self._bye: Status | None = None
        self._error: MailhaulError | OSError | None = None
        self._leaving = False
        self._compress = compress  # may still be switched on
        self._compress_due = False
        self._link = Link()
        self._deflater: Deflater | None = None
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
        return len(self._under_way.queue)

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
        queue = self._under_way.queue
        if self._compress_due and command.verb != b"LOGOUT":
            self._compress_due = False
            self.traffic.round_trips += 2 if queue else 1  # nothing goes beside it
            self.send(compress())
        tag = self._under_way.next_tag()
        pending = Pending(self._intake, command, tag, answer)
        if not queue:
            self._link.asked_alone(tag, self._silence.broken())
            if command.verb != b"LOGOUT" and self._greeting.done():
                self.traffic.round_trips += 1  # else it shares the greeting's, which is counted
        if isinstance(command, WriteCommand) and command.verb != b"SELECT":
            self.traffic.writes += 1
        queue.append(pending)
        self._outbox.add(pending, steps_of(tag, command, self.capabilities or frozenset()))
        if self._trace is not None:
            self._trace(f"{self.name} C: {tag.decode()} {shown(command)}")
        self._schedule()
        return pending

    def read_on(self, on: bool) -> None:
        """While on, messages that wait to be taken don't keep the connection from being read: what
        is under way bounds them."""
        self._intake.read_on(on)

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
        self._intake.attach(transport)
        self._silence.begin()

    def data_received(self, data: bytes) -> None:
        now = self._silence.broken()
        queue = self._under_way.queue
        if self._compress:
            bulk = bool(queue) and queue[0].wants.kind is Kind.BODIES
            self._consider(self._link.came(len(data), now, bulk and not self._intake.resting))
        if self._under_way.verb() == b"COMPRESS":
            # What follows the OK is compressed: nothing behind its line may be read as it is.
            while data and not self._intake.is_compressed and self._error is None:
                end = data.find(b"\n") + 1 or len(data)
                self._digest(data[:end])
                data = data[end:]
        if data and self._error is None:
            self._intake.give(data)

    def _digest(self, data: bytes) -> None:
        self.traffic.octets_in += len(data)
        if not self._greeting.done():
            self.first = (self.first + data)[:_FIRST]
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
        self._intake.limit()

    def _reading(self, on: bool) -> None:
        if on:
            self._silence.broken()
        else:
            self._link.rested()

    def _consider(self, speed: float | None) -> None:
        """Compresses from the next command on, where the link is seen to be slow."""
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
        self._silence.broken()
        self._pump()

    # --- Receiving ---------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if self._trace is not None:
            self._trace(f"{self.name} S: {described(event)}")
        if isinstance(event, Status):
            if event.code == b"CAPABILITY":
                self._learn(event.arguments)
            if event.code == b"ALERT" and self.alerts_count:
                self.notice(f"{self.name} says: {printable(event.text, 300)}")
            if event.tag is not None:
                if not self._greeting.done():
                    raise ProtocolFault(f"{self.name} answers before it greets")
                self._complete(event)
            elif not self._greeting.done():
                self._greeting.set_result(event)
            else:
                if event.kind == b"BYE":
                    self._bye = event
                self._under_way.give(event)
        elif isinstance(event, Continuation):
            self._go_on(event)
        else:
            if isinstance(event, Untagged) and event.name == b"CAPABILITY":
                self._learn(b" ".join(v for v in event.values_if_any() if isinstance(v, bytes)))
            self._under_way.give(event)

    def notice(self, text: str) -> None:
        """Notes what a person should know about this connection, once."""
        notices = self.traffic.notices
        if text not in notices and len(notices) < _MOST_NOTICES:
            notices.append(text)

    def _learn(self, words: bytes) -> None:
        self.capabilities = frozenset(words.decode("latin-1").upper().split())

    def _complete(self, status: Status) -> None:
        pending = self._under_way.answered(status)
        if pending is None:
            return
        verb = pending.command.verb
        if self._sealing and verb == b"STARTTLS" and status.kind == b"OK":
            self._sealed = True
        if self._outbox.answered(pending):
            self._schedule()
        now = self._loop.time()
        self._link.answered(pending.tag, now)
        if self._compress and verb == b"APPEND":
            more = self._under_way.verb() == b"APPEND"
            self._consider(self._link.appended(pending.command, now, more))
        if verb == b"COMPRESS" and status.kind == b"OK":
            self._intake.inflate()
            self._deflater = Deflater()
        if status.kind != b"OK":
            self.failures += 1
        pending.status = status
        pending.wake()

    def _go_on(self, event: Continuation) -> None:
        if not self._greeting.done():  # POP3 greets so
            raise ProtocolFault(f"{self.name} does not greet as IMAP servers do")
        if self._outbox.go_on():
            self._pump()
            return
        queue = self._under_way.queue
        if queue and queue[0].answer is not None:
            self.traffic.round_trips += 1
            try:
                answer = queue[0].answer(event.text)
            except MailhaulError as error:  # the exchange has to be given up
                self._fail(error)
                return
            self._write(answer + b"\r\n")

    # --- Sending -----------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        queue = self._under_way.queue
        self._outbox.pump(queue[0] if queue else None)
        if self._outbox.held and not self._pump_scheduled and self._error is None:
            self._pump_scheduled = True
            self._loop.call_later(_HELD, self._pump)

    def _may_speak(self) -> bool:
        return self._lease is None or self._lease.holds

    def _waits_for_plus(self) -> None:
        self.traffic.round_trips += 1

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._error is not None:
            return
        self.traffic.octets_out += len(data)
        self._silence.broken()
        # What doesn't go at once is copied by asyncio: out of a view once, out of bytes twice.
        self._transport.write(
            memoryview(data) if self._deflater is None else self._deflater.small(data)
        )

    # --- The end -----------------------------------------------------------------------------

    def _awaited(self) -> bytes | None:
        """The verb of what the server is to answer; None while it can't be heard."""
        if self._intake.full:
            return None
        verb = self._under_way.verb()
        return b"" if verb is None and not self._greeting.done() else verb

    def _look(self, silent: float) -> None:
        self._intake.look(self._under_way.has_takers())
        if self._under_way.queue and silent > self._look_again:
            self._intake.nudge()

    def _died(self, seconds: float) -> None:
        self._fail(
            Disconnected(
                f"{self.name} said nothing for {seconds:.0f} seconds; "
                "the connection is taken for dead"
            )
        )

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
        self._silence.end()
        self._intake.stop()
        self._reader.close()
        self._outbox.clear()
        if not self._greeting.done():
            self._greeting.set_exception(error)
            self._greeting.exception()  # looked at: nobody may be waiting
        queue = self._under_way.queue
        while queue:
            queue.popleft().fail(error)
        if abort and self._transport is not None:
            self._transport.abort()
