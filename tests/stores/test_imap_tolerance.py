"""What can't be read fails only what needs it; a full disk here hangs nothing."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator

import pytest

from mailhaul.core.blob import BlobWriter, Spool
from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import Answer, folder, scripted
from tests.stores.test_imap_store import LETTERS, MAILS, Box, fetched, listed, put, source, wrapped

NOISE: dict[str, bytes] = {
    "no response at all": b"* \xff\xfe\r\n",
    "a star alone": b"*\r\n",
    "a list left open": b"* QUOTA (((\r\n",
    "an unknown word": b'* XSOMETHING "half\r\n',
    "a namespace that can't be": b'* NAMESPACE (("" "/")\r\n',
    "an identity that can't be": b'* ID ("name\r\n',
    "a status that can't be": b"* STATUS INBOX (MESSAGES 3\r\n",
    "a subscription that can't be": b'* LSUB () "/" "INB\r\n',
    "capabilities that can't be": b'* CAPABILITY "x\r\n',
}


@pytest.mark.parametrize("name", NOISE)
async def test_noise_between_answers_fails_nothing(name: str) -> None:
    inner = folder(MAILS)

    def script(command: bytes) -> Answer:
        said = inner(command)
        if command.startswith((b"AUTHENTICATE", b"LOGIN")):
            return said
        return NOISE[name] + (said or b"")

    async with source(script, b"ID NAMESPACE QUOTA") as (server, store, inbox):
        assert await fetched(store, inbox, await listed(store, inbox)) == list(MAILS.values())
    assert server.connections == 1
    assert inbox.count == len(MAILS)


async def test_a_folder_that_cannot_be_read_is_never_left_out_unseen() -> None:
    answer = b'* LIST () "/" INBOX\r\n* LIST () "/" "half\r\n{tag} OK\r\n'
    script = wrapped(folder({}), lambda command: answer if command.startswith(b"LIST") else "")
    async with scripted(script) as server:
        store = ImapSource(server.endpoint, server.credentials)
        with pytest.raises(Closed, match=r"“.*half”") as caught:
            await store.open()
        await store.close()
    assert caught.value.reason is ClosedReason.PROTOCOL


class FullDisk(Spool):
    """A spool whose disk has no room for `fails` messages."""

    fails = 1

    def writer(self, expected: int) -> BlobWriter:
        if expected >= self.threshold and self.fails:
            self.fails -= 1
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().writer(expected)


async def test_a_full_disk_while_reading_is_an_error_at_once_and_no_end() -> None:
    """F14."""
    mails = {1: b"a" * 100, 2: b"b" * 9000, 3: b"c" * 100}
    async with scripted(folder(mails)) as server:
        store = ImapSource(server.endpoint, server.credentials, spool=FullDisk(threshold=5000))
        await store.open()
        [inbox] = await store.folders()
        entries = await listed(store, inbox)
        async with asyncio.timeout(2):
            with pytest.raises(OSError, match="no space"):
                await fetched(store, inbox, entries)
            assert await fetched(store, inbox, entries) == list(mails.values())
            await store.close()
    assert server.connections == 2


class LostFile:
    """A message whose file can't be read to its end any more."""

    size = 500

    def digest(self) -> bytes:
        return bytes(32)

    def head(self, limit: int) -> bytes:
        return b"x"[:limit]

    def chunks(self) -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.EIO, "input/output error")

    def close(self) -> None:
        pass


async def test_a_message_that_cannot_be_read_here_ends_the_append_and_no_more() -> None:
    """Half a literal is sent: the connection is of no further use, the next one is."""

    box = Box()
    async with scripted(box, capabilities=b"MULTIAPPEND") as server:
        store = ImapTarget(server.endpoint, server.credentials)
        await store.open()
        [inbox] = await store.folders()

        async def stream() -> AsyncIterator[Message]:
            yield Message(Entry(1, size=500), LostFile())

        async with asyncio.timeout(2):
            with pytest.raises(OSError, match="input/output"):
                async for _ in store.append(inbox, stream()):
                    pass
            [answer] = await put(store, inbox, LETTERS[:1])
            await store.close()
    assert isinstance(answer, Appended)
    assert box.stored == {1: LETTERS[0]}
