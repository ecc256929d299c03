"""A session: silence, surplus, strict tags, slow takers; and a mailbox over several of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailhaul.core.blob import MemoryBlob, Spool
from mailhaul.core.errors import Disconnected, TooManyConnections
from mailhaul.core.lease import Lease
from mailhaul.core.message import Entry
from mailhaul.core.store import Traffic
from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.commands import AppendMessage, Attribute, Literal
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.responses import Body
from mailhaul.stores.imap import ImapSource
from tests.imap.scripted import Answer, Script, body, folder, scripted


@asynccontextmanager
async def session(script: Script, **more: float) -> AsyncIterator[Session]:
    async with scripted(script) as server:
        one = Session("it", writable=False, spool=Spool(), traffic=Traffic(), **more)  # type: ignore[arg-type]
        await asyncio.get_running_loop().create_connection(lambda: one, "127.0.0.1", server.port)
        await one.greeting()
        yield one
        await one.close()


async def test_silence_is_taken_for_death() -> None:
    """A4."""
    async with session(lambda command: b"", patience=0.2) as one:
        with pytest.raises(Disconnected, match="said nothing"):
            await one.send(commands.noop()).done()
        assert not one.usable
        with pytest.raises(Disconnected):
            one.send(commands.noop())


async def test_a_slow_command_has_more_time() -> None:
    """A17."""
    async with session(lambda command: b"", patience=0.1, long_patience=0.5) as one:
        pending = one.send(commands.examine("INBOX"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.35):
                await pending.done()
        with pytest.raises(Disconnected):
            await pending.done()


ENDS: dict[str, bytes] = {
    "a tag nobody used": b"M99 OK\r\n",
    "a tag of another": b"A1 OK\r\n",
    "no end of answers": b"* 1 RECENT\r\n" * 3 + b"HTTP/1.0 200 OK\r\n",
    "BYE": b"* BYE idle for too long\r\n{cut}",
}


@pytest.mark.parametrize("name", ENDS)
async def test_what_ends_a_connection(name: str) -> None:
    async with session(lambda command: ENDS[name]) as one:
        with pytest.raises(Disconnected):
            await one.send(commands.noop()).done()


async def test_a_second_answer_to_an_old_command_is_ignored() -> None:
    """F5."""
    answers = iter([b"", b"{before} NO late\r\n", b"{before} NO late\r\n"])
    async with session(lambda command: next(answers) + b"{tag} OK\r\n") as one:
        for _ in range(3):
            assert (await one.send(commands.noop()).done()).kind == b"OK"
        assert one.quirks[QuirkName.STALE_TAG] == 2


async def test_commands_go_out_together_as_one_flight() -> None:
    async with session(lambda command: b"{tag} OK\r\n") as one:
        flight = [one.send(commands.noop()) for _ in range(50)]
        for pending in flight:
            await pending.done()
        assert one.traffic.round_trips == 1


async def test_reading_stops_while_nobody_takes() -> None:
    mail = b"x" * 100_000
    answer = b"".join(body(uid, mail) for uid in range(1, 101)) + b"{tag} OK\r\n"
    async with session(lambda command: answer, budget=1_000_000) as one:
        pending = one.send(commands.fetch("1:100", [Attribute.UID, Attribute.WHOLE]))
        await asyncio.sleep(0.3)
        assert one.traffic.octets_in < 3_000_000
        count = 0
        while events := await pending.arrivals():
            count += len(events)
            pending.release(len(events) * len(mail))
        assert count == 100


async def test_two_fetches_that_are_answered_by_turns_are_told_apart() -> None:
    """Dovecot works on several commands at once when the network is slow (RFC 9051 5.5)."""
    whole = [Attribute.UID, Attribute.WHOLE]
    by_turns = (
        b"".join(body(uid, b"%d" % uid) for uid in (3, 1, 4, 2)) + b"{before} OK\r\n{tag} OK\r\n"
    )

    def script(command: bytes) -> Answer:
        return by_turns if b" 3:4 " in command else b""

    async with session(script) as one:
        both = [one.send(commands.fetch(uids, whole)) for uids in ("1:2", "3:4")]
        for pending, wanted in zip(both, ([1, 2], [3, 4]), strict=True):
            got = [event.uid for event in await pending.arrivals() if isinstance(event, Body)]
            assert got == wanted
            assert (await pending.done()).kind == b"OK"


async def test_a_taker_is_not_starved_by_one_who_takes_nothing() -> None:
    """Else two that wait for each other would wait for ever: the first for what the second does
    with its messages, the second for messages behind those that the first leaves lying."""
    mail = b"x" * 100_000

    def script(command: bytes) -> Answer:
        uids = range(1, 51) if b" 1:50 " in command else range(51, 101)
        return b"".join(body(uid, mail) for uid in uids) + b"{tag} OK\r\n"

    whole = [Attribute.UID, Attribute.WHOLE]
    async with session(script, budget=1_000_000, look_again=0.05) as one:
        left_lying = one.send(commands.fetch("1:50", whole))
        taken = one.send(commands.fetch("51:100", whole))
        async with asyncio.timeout(10):
            for pending in (taken, left_lying):
                count = 0
                while events := await pending.arrivals():
                    count += len(events)
                    pending.release(len(events) * len(mail))
                assert count == 50


class Wire(asyncio.Transport):
    """Keeps what is written; each write takes so many seconds by its own clock."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.now = 0.0
        self.writes: list[int] = []
        self._seconds = seconds

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(len(data))
        self.now += self._seconds

    def abort(self) -> None:
        pass

    close = abort


async def test_without_its_lease_it_says_nothing_not_even_the_rest_of_a_message() -> None:
    wire = Wire(seconds=2.0)
    lease = Lease(1.0, lambda: wire.now)
    one = Session("it", writable=True, spool=Spool(), traffic=Traffic(), lease=lease)
    one.connection_made(wire)
    one.data_received(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
    three = [AppendMessage(frozenset(), None, Literal(MemoryBlob(b"x" * 300_000)))] * 3
    one.send(commands.append("INBOX", three))
    # What is announced, the three messages and what stands around them, one by one.
    for proofs in range(7):
        await asyncio.sleep(0.15)
        assert len(wire.writes) == proofs
        lease.proven(wire.now)
    await asyncio.sleep(0.15)
    assert wire.writes[1::2] == [300_000] * 3
    assert wire.writes[-1] == len(b"\r\n")
    await one.close()


class Deaf(asyncio.Transport):
    """A connection that reads no more once it has rested, unless it is asked twice to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.unread: list[bytes] = []
        self.rested = 0
        self.asked = 0

    def pause_reading(self) -> None:
        self.rested += 1

    def resume_reading(self) -> None:
        self.asked += 1
        if self.asked > 1:
            asyncio.get_running_loop().call_soon(self.deliver)

    def deliver(self) -> None:
        assert self.protocol is not None
        while self.unread:
            self.protocol.data_received(self.unread.pop(0))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        pass

    close = abort


async def test_a_lost_wake_up_is_asked_for_again() -> None:
    """Some kernels lose one after reading has rested: the octets are there and nobody reads."""
    mail = b"x" * 100_000
    wire = Deaf()
    one = Session(
        "it",
        writable=False,
        spool=Spool(),
        traffic=Traffic(),
        budget=50_000,
        look_again=0.05,
    )
    wire.protocol = one
    one.connection_made(wire)
    one.data_received(b"* OK ready\r\n")
    pending = one.send(commands.fetch("1:2", [Attribute.UID, Attribute.WHOLE]))
    one.data_received(body(1, mail))
    wire.unread.append(body(2, mail) + b"M1 OK\r\n")
    assert wire.rested == 1
    count = 0
    async with asyncio.timeout(5):
        while events := await pending.arrivals():
            count += len(events)
            pending.release(len(events) * len(mail))
    assert count == 2
    await one.close()


async def test_what_is_abandoned_is_thrown_away() -> None:
    mail = b"x" * 100_000
    answer = b"".join(body(uid, mail) for uid in range(1, 51)) + b"{tag} OK\r\n"
    async with session(lambda command: answer, budget=500_000) as one:
        pending = one.send(commands.fetch("1:50", [Attribute.UID, Attribute.WHOLE]))
        await asyncio.sleep(0.1)
        pending.abandon()
        assert (await pending.done()).kind == b"OK"
        assert pending.events == []


async def test_fewer_connections_where_the_server_wants_fewer() -> None:
    """A14."""
    logins = 0
    inner = folder({1: b"a"})

    def script(command: bytes) -> Answer:
        nonlocal logins
        if command.startswith(b"AUTHENTICATE"):
            logins += 1
            if logins > 1:
                return b"{tag} NO [LIMIT] Too many simultaneous connections\r\n"
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n* LIST () "/" two\r\n{tag} OK\r\n'
        return inner(command)

    async with scripted(script) as server:
        store = ImapSource(server.endpoint, server.credentials, connections=4)
        await store.open()
        listed = await store.folders()
        met = 0
        for one in listed:
            for _ in range(4):
                try:
                    entries = [e async for page in store.changes(one, None) for e in page.entries]
                except TooManyConnections:
                    met += 1
                    continue
                assert [entry.key for entry in entries] == [1]
                break
            else:
                pytest.fail("it never settles")
        assert met <= 3
        assert [m async for m in store.fetch(listed[1], [Entry(1, size=1)])]
        await store.close()


async def test_every_connection_says_who_we_are() -> None:
    """NetEase (163.com) refuses to open a folder on a connection that did not."""
    known: list[bool] = []
    inner = folder({1: b"a", 2: b"b"})

    def script(command: bytes) -> Answer:
        if command.startswith(b"AUTHENTICATE"):
            known.append(False)
        elif command.startswith(b"ID "):
            known[-1] = True
            return b'* ID ("name" "Coremail")\r\n{tag} OK\r\n'
        elif command.startswith(b"EXAMINE") and not known[-1]:
            return b"{tag} NO EXAMINE Unsafe Login. Please contact kefu@188.com for help\r\n"
        elif b"BODY.PEEK[]" in command and len(known) == 1:
            return None
        return inner(command)

    async with scripted(script, capabilities=b"ID") as server:
        store = ImapSource(server.endpoint, server.credentials)
        await store.open()
        assert store.capabilities.server == "Coremail"
        [inbox] = await store.folders()
        entries = [Entry(1, size=1), Entry(2, size=1)]
        with pytest.raises(Disconnected):
            assert [m async for m in store.fetch(inbox, entries)]
        assert len([m async for m in store.fetch(inbox, entries)]) == 2
        assert known == [True, True]
        await store.close()
