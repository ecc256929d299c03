"""So much of a mailbox is read whole as tells something, and no more of a small one."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from mailhaul.check.census import SourceCensus, take_census
from mailhaul.stores.memory import MemorySource
from mailhaul.stores.memory_mailbox import MemoryMailbox


async def at_once(work: Callable[[], Awaitable[None]]) -> None:
    await work()


CASES = [
    ("three messages", [3], 3),
    ("so few that each counts", [8], 8),
    ("a small mailbox", [120], 8),
    ("spread over folders", [100, 40, 20, 4], 10),
    ("one in sixteen at the most", [300, 200, 140], 33),
    ("a large one", [1100], 64),
]


@pytest.mark.parametrize(
    ("folders", "read"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_of_a_mailbox_is_read_what_tells_something(folders: list[int], read: int) -> None:
    mailbox = MemoryMailbox()
    for place, count in enumerate(folders):
        path = (f"Folder {place}",) if place else ("INBOX",)
        mailbox.make(path)
        for number in range(count):
            mailbox.deliver(b"Subject: %d\r\n\r\nHello.\r\n" % number, path)
    source = MemorySource(mailbox)
    await source.open()
    census = SourceCensus(None, None, datetime.now(UTC))
    await take_census(source, await source.folders(), census, at_once)
    assert census.total.messages == sum(folders)
    assert census.sampled == read
