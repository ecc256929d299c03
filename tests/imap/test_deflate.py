"""COMPRESS=DEFLATE: on slow links only, whole, and no bomb."""

import asyncio
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mailhaul.core.blob import MemoryBlob, Spool
from mailhaul.core.endpoint import Endpoint
from mailhaul.core.errors import Disconnected
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended, Traffic
from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.commands import Attribute
from mailhaul.imap.deflate import PIECE, LinkSpeed
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import body
from tests.servers.dovecot import Dovecot

WHOLE = [Attribute.UID, Attribute.WHOLE]
ZLIB = "mail_plugins = zlib\nprotocol imap {\n  mail_plugins = zlib imap_zlib\n}\n"
_WORDS = ["carry", "exactly", "mailbox", "Umzug", "Gruß", "the", "and", "of", "0123", "=C3=A4"]


def letter(number: int) -> bytes:
    """60 kB of text, as compressible as mail is."""
    chance = random.Random(number)
    lines = (" ".join(chance.choices(_WORDS, k=11)) + f" {chance.random()}" for _ in range(800))
    return f"Subject: {number}\r\n\r\n".encode() + "\r\n".join(lines).encode()


# --- When ------------------------------------------------------------------------------------

LINKS: dict[str, tuple[int, float, float, bool]] = {
    "slow and far": (2_500_000, 1.0, 0.02, True),
    "fast and far": (2_500_000, 0.1, 0.02, False),
    "slow and near": (2_500_000, 1.0, 0.0004, False),
    "not much seen yet": (500_000, 1.0, 0.02, False),
    "no answer seen yet": (2_500_000, 1.0, float("inf"), False),
    "no time at all": (2_500_000, 0.0, 0.02, False),
}


@pytest.mark.parametrize("name", LINKS)
def test_when_a_link_is_slow(name: str) -> None:
    octets, seconds, quickest, slow = LINKS[name]
    link = LinkSpeed()
    link.answered(0.5)
    link.answered(quickest)
    if quickest == float("inf"):
        link = LinkSpeed()
    speed = link.moved(octets, seconds)
    assert speed == (octets / seconds if slow else None)


# --- With a real server ----------------------------------------------------------------------


@dataclass
class Relay:
    """Between us and a server: so many octets a second either way, counted."""

    port: int = 0
    up: int = 0
    down: int = 0


@asynccontextmanager
async def relay(port: int, rate: float, delay: float) -> AsyncIterator[Relay]:
    """`rate` octets a second, `delay` seconds for each piece of at most 16 kB."""
    counted = Relay()

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        try:
            while data := await source.read(16 * 1024):
                setattr(counted, way, getattr(counted, way) + len(data))
                await asyncio.sleep(delay + len(data) / rate)
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, far_writer, "up"), pipe(far_reader, writer, "down"))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=64 * 1024)
    counted.port = server.sockets[0].getsockname()[1]
    async with server:
        yield counted


SPEEDS: dict[str, tuple[float, bool, bool]] = {
    "a slow link": (12e6, True, True),
    "a slow link, switched off": (12e6, False, False),
    "a fast link": (1e12, True, False),
}


@pytest.mark.parametrize("name", SPEEDS)
async def test_a_slow_link_is_compressed_both_ways(name: str) -> None:
    rate, compress, expected = SPEEDS[name]
    mails = [letter(number) for number in range(130 if rate < 1e9 else 80)]
    octets = sum(map(len, mails))
    delay = 0.001 if rate < 1e9 else 0.0

    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(mails):
            yield Message(Entry(number, size=len(data)), MemoryBlob(data))

    with Dovecot(settings=ZLIB) as dovecot:
        account = dovecot.account()
        password = dovecot.credentials(account)
        async with relay(dovecot.port, rate, delay) as link:
            there = Endpoint("imap", "127.0.0.1", link.port, account.user)
            target = ImapTarget(there, password, compress=compress)
            await target.open()
            folder = await target.create(("Sent",), None)
            answers = [answer async for answer in target.append(folder, stream())]
            await target.close()
            source = ImapSource(there, password, compress=compress)
            await source.open()
            [sent] = [each for each in await source.folders() if each.path == ("Sent",)]
            entries = [e async for page in source.changes(sent, None) for e in page.entries]
            # All of it is asked for at once: what was measured counts for what is asked next.
            found = [message async for message in source.fetch(sent, entries)]
            found += [message async for message in source.fetch(sent, entries[:70])]
            await source.close()
    assert all(isinstance(answer, Appended) and answer.key for answer in answers)
    assert [b"".join(m.blob.chunks()) for m in found if isinstance(m, Message)] == mails + mails[
        :70
    ]
    again = sum(map(len, mails[:70]))
    for store, way, whole in ((target, link.up, octets), (source, link.down, octets + again)):
        assert (way < whole * 0.9) is expected
        assert any("compressed" in notice for notice in store.traffic.notices) is expected
    assert source.traffic.octets_in > octets
    assert target.traffic.octets_out > octets


# --- Against hostile ones --------------------------------------------------------------------


@asynccontextmanager
async def compressed(
    answer: bytes, *, agreement: bytes = b"%b OK\r\n", at_once: bytes = b"", budget: int = 1_000_000
) -> AsyncIterator[Session]:
    """A session that is compressed; whatever it asks then is answered with `answer`. `at_once`
    comes in one segment with the agreement, compressed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        tag = (await reader.readuntil(b"\n")).split(b" ")[0]
        squeeze, stretch = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

        def small(data: bytes) -> bytes:
            return squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)

        writer.write(agreement % tag + (small(at_once) if at_once else b""))
        asked = b""
        while b"\n" not in asked:
            asked += stretch.decompress(await reader.read(65536))
        tag = asked.split(b" ")[0]
        writer.write(small(answer.replace(b"{tag}", tag)))
        try:
            await writer.drain()
            await reader.read()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one = Session("it", writable=False, spool=Spool(), traffic=Traffic(), budget=budget)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await asyncio.get_running_loop().create_connection(lambda: one, "127.0.0.1", port)
        await one.greeting()
        assert (await one.send(commands.compress()).done()).kind == b"OK"
        yield one
        await one.close()


async def test_a_bomb_is_inflated_only_as_far_as_it_is_taken() -> None:
    mail = bytes(500_000)
    bomb = b"".join(body(uid, mail) for uid in range(1, 201)) + b"{tag} OK\r\n"
    async with compressed(bomb) as one:
        pending = one.send(commands.fetch("1:200", WHOLE))
        await asyncio.sleep(0.3)
        assert one.traffic.octets_in < 1_000_000 + len(mail) + 2 * PIECE
        count = 0
        while events := await pending.arrivals():
            assert len(events) * len(mail) < 1_000_000 + len(mail) + 2 * PIECE
            count += len(events)
            pending.release(len(events) * len(mail))
        assert count == 200
        assert (await pending.done()).kind == b"OK"


BOMBS: dict[str, bytes] = {
    "a line without end": b"* OK " + bytes(3_000_000),
    "blank lines without end": b"\r\n" * 2_000_000,
    "what nobody asked for": b"* 5 FETCH (UID 5 FLAGS ())\r\n" * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
async def test_other_bombs_end_the_connection(name: str) -> None:
    async with compressed(BOMBS[name]) as one:
        with pytest.raises(Disconnected):
            await one.send(commands.noop()).done()
        assert one.traffic.octets_in < 2_000_000


async def test_what_follows_the_agreement_at_once_is_inflated() -> None:
    async with compressed(b"{tag} OK\r\n", at_once=b"* 3 EXISTS\r\n" * 5) as one:
        assert (await one.send(commands.noop()).done()).kind == b"OK"


async def test_what_is_not_compressed_after_all_ends_the_connection() -> None:
    async with compressed(b"", agreement=b"%b OK\r\n* 3 EXISTS\r\n") as one:
        with pytest.raises(Disconnected, match="not compressed"):
            await one.send(commands.noop()).done()


async def test_nothing_goes_beside_the_question() -> None:
    """RFC 4978 3: what is asked meanwhile goes out behind the answer, be it a refusal."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        for word in (b"NOOP", b"COMPRESS", b"CAPABILITY"):
            line = await reader.readuntil(b"\n")
            await asyncio.sleep(0.02)  # what would come too early has come by now
            seen.append(word if word in line and not reader._buffer else line)  # type: ignore[attr-defined]
            kind = b"NO" if word == b"COMPRESS" else b"OK"
            writer.write(line.split(b" ")[0] + b" " + kind + b"\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one = Session("it", writable=False, spool=Spool(), traffic=Traffic())
    port = server.sockets[0].getsockname()[1]
    async with server:
        await asyncio.get_running_loop().create_connection(lambda: one, "127.0.0.1", port)
        await one.greeting()
        flight = [
            one.send(command)
            for command in (commands.noop(), commands.compress(), commands.capability())
        ]
        assert [(await each.done()).kind for each in flight] == [b"OK", b"NO", b"OK"]
        await one.close()
    assert seen == [b"NOOP", b"COMPRESS", b"CAPABILITY"]
