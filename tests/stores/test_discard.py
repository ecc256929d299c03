"""A target takes back a scratch folder that it made, and never one that holds anything."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended, Discards, Target
from mailhaul.stores.imap import ImapTarget
from mailhaul.stores.memory import MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.servers.process import RunningServer

SCRATCH = ("mailhaul-scratch",)


async def one() -> AsyncIterator[Message]:
    data = b"Subject: one\r\n\r\ntwo\r\n"
    received = datetime(2024, 1, 1, tzinfo=UTC)
    yield Message(Entry(1, size=len(data), received=received), MemoryBlob(data))


async def takes_back_what_is_empty(target: Target) -> None:
    assert isinstance(target, Discards)
    await target.open()
    scratch = await target.create(SCRATCH, None)
    appended = [each async for each in target.append(scratch, one())]
    assert not await target.discard(scratch)
    [stored] = appended
    assert isinstance(stored, Appended) and stored.key is not None
    assert await target.remove(scratch, [stored.key]) == 1
    assert await target.discard(scratch)
    assert SCRATCH not in [folder.path for folder in await target.folders()]
    assert await target.discard(scratch)
    [inbox] = [folder for folder in await target.folders() if folder.path == INBOX_PATH]
    assert not await target.discard(inbox)
    parent = await target.create(SCRATCH, None)
    await target.create((*SCRATCH, "below"), None)
    assert not await target.discard(parent)
    again = await target.create(("mailhaul-again",), None)
    assert [each async for each in target.append(again, one())]
    await target.close()


async def test_in_memory() -> None:
    await takes_back_what_is_empty(MemoryTarget(MemoryMailbox()))


async def test_on_a_real_server(server: RunningServer) -> None:
    account = server.account()
    await takes_back_what_is_empty(
        ImapTarget(server.endpoint(account), server.credentials(account))
    )
