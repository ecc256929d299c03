"""What must not go out before an answer is known: messages behind a refused one, and STOREs."""

from collections.abc import AsyncIterator

import pytest

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.errors import FolderFailed
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended, FlagChange, Refused
from mailhaul.stores.registry import open_target
from tests.imap.scripted import Answer, folder
from tests.servers.cyrus import Cyrus
from tests.stores.test_imap_store import MAILS, Box, put, target, wrapped

MANY = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(1200)]


def disorder(keys: list[int]) -> list[int]:
    """Places at which a later message has a lesser key than one before it."""
    return [place for place in range(1, len(keys)) if keys[place] < keys[place - 1]]


async def test_from_the_first_refusal_on_the_order_is_kept() -> None:
    """The batch that was under way behind the first refused one is the only one out of turn."""
    bad = {MANY[number] for number in (20, 333, 334, 700, 1199)}
    box = Box(lambda messages, _: b"{tag} NO a virus\r\n" if bad & set(messages) else "")
    async with target(box, b"MULTIAPPEND") as (server, store, inbox):
        answers = await put(store, inbox, MANY[:600])
        begun = len(server.told(b"APPEND"))
        again = await put(store, inbox, MANY[600:])
        first = server.told(b"APPEND")[begun]
    got = [int(a.key or 0) for a in answers if isinstance(a, Appended)]
    assert [place for place in disorder(got) if place > 200] == []
    assert len(got) == 597
    # The folder is known by now: nothing is out of turn at all.
    got = [int(a.key or 0) for a in again if isinstance(a, Appended)]
    assert disorder(got) == []
    assert len(got) == 598
    assert MANY[600] in first


async def test_order_on_a_real_server(cyrus: Cyrus) -> None:
    """Cyrus refuses a bare LF."""
    bad = {50, 420, 421, 422, 700}
    account = cyrus.account()
    store = open_target(cyrus.endpoint(account), cyrus.credentials(account))
    await store.open()
    where = await store.create(("Ordered",), None)

    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(MANY[:900]):
            octets = data + b"bare\n" if number in bad else data
            yield Message(Entry(number, size=len(octets)), MemoryBlob(octets))

    answers = [answer async for answer in store.append(where, stream())]
    await store.close()
    assert {a.entry.key for a in answers if isinstance(a, Refused)} == bad
    keys = [int(a.key or 0) for a in answers if isinstance(a, Appended)]
    assert [place for place in disorder(keys) if place > 200] == []
    assert len(set(keys)) == 895


async def test_keywords_that_are_refused_again_and_again_are_left_out_at_once() -> None:
    """D17, D18: else every batch would be halved down to each of its messages."""
    box = Box(lambda _, command: b"{tag} BAD Invalid keyword\r\n" if b"Odd" in command else "")
    async with target(box, b"MULTIAPPEND") as (server, store, inbox):
        answers = await put(store, inbox, MANY[:600], frozenset({"\\Seen", "Odd"}))
        appends = len(server.told(b"APPEND"))
    assert all(isinstance(a, Appended) and "Odd" in a.lost for a in answers)
    assert len(answers) == len(box.stored) == 600
    assert [box.stored[uid] for uid in sorted(box.stored)][200:] == MANY[200:600]
    assert appends < 30


FLAGGING: dict[str, tuple[int, int]] = {"the same numbers": (1, 1), "renumbered": (77, 0)}


@pytest.mark.parametrize("name", FLAGGING)
async def test_no_flag_is_stored_before_the_numbers_are_seen(name: str) -> None:
    """C1: UIDs of before mean other messages now."""
    known, stores = FLAGGING[name]
    change = FlagChange(2, frozenset({"\\Seen"}), frozenset())
    async with target(folder(MAILS)) as (server, store, inbox):
        store._mailbox.validity["INBOX"] = known
        await store._mailbox.lane("INBOX").ask_in("other")
        if stores:
            await store.flag(inbox, [change])
            await store.flag(inbox, [change])
        else:
            with pytest.raises(FolderFailed, match="renumbered"):
                await store.flag(inbox, [change])
    assert len(server.told(b"UID STORE")) == 2 * stores
    # Open already, it is not opened anew.
    assert len([command for command in server.told(b"SELECT") if b"INBOX" in command]) == 2


async def test_a_session_that_goes_between_stores_nothing_unseen() -> None:
    """A renewed session opens the folder anew, and its numbers are looked at again."""
    validity = [1, 1, 2]

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"SELECT"):
            here = validity.pop(0) if len(validity) > 1 else validity[0]
            return folder(MAILS, uidvalidity=here)(command)
        return ""

    change = FlagChange(2, frozenset({"\\Seen"}), frozenset())
    async with target(wrapped(folder(MAILS), special)) as (server, store, inbox):
        lane = store._mailbox.lane("INBOX")
        await store.flag(inbox, [change])
        session = await lane.ready()
        session.failures = 99
        with pytest.raises(FolderFailed, match="renumbered"):
            for _ in range(2):
                await store.flag(inbox, [change])
                (await lane.ready()).failures = 99
    assert server.connections >= 2
    assert len(server.told(b"UID STORE")) == 2
