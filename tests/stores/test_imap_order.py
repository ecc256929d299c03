"""What must not go out before an answer is known: messages behind a refused one, and STOREs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from mailhaul.core.blob import Blob, MemoryBlob
from mailhaul.core.errors import Disconnected, FolderFailed
from mailhaul.core.folder import Folder
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended, FlagChange, Refused, Target
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.imap.lane import Lane
from mailhaul.stores import imap_append
from mailhaul.stores.imap_mailbox import Mailbox
from mailhaul.stores.imap_order import put_behind
from mailhaul.stores.memory import MemorySource
from mailhaul.stores.memory_mailbox import MemoryMailbox
from mailhaul.stores.registry import open_target
from tests.imap.scripted import Answer, folder, named
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.stores.test_imap_store import MAILS, Box, put, target, wrapped

Refuses = Callable[[list[bytes], bytes], Answer | str]
MANY = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(1200)]


def disorder(keys: list[int]) -> list[int]:
    """Places at which a later message has a lesser key than one before it."""
    return [place for place in range(1, len(keys)) if keys[place] < keys[place - 1]]


class Mover(Box):
    """A box that moves messages within the folder, as `moves` says, told or not."""

    def __init__(self, refuses: Refuses, moves: str) -> None:
        super().__init__(refuses)
        self.moves = moves

    def __call__(self, command: bytes) -> Answer:
        if not command.startswith(b"UID MOVE"):
            return super().__call__(command)
        if self.moves == "refused":
            return b"{tag} NO not here\r\n"
        old = [uid for uid in sorted(self.stored) if uid in named(command)]
        first = max(self.stored) + 1
        if self.moves != "nothing":
            for uid in old:
                self.stored[max(self.stored) + 1] = self.stored.pop(uid)
        told = b"1 %b %d:%d" % (command.split(b" ")[2], first, first + len(old) - 1)
        told = {"absurd": b"7 0 1:4294967295", "nothing": b"x"}.get(self.moves, told)
        if self.moves in ("in the tagged answer", "absurd"):
            return b"{tag} OK [COPYUID %b] moved\r\n" % told
        if self.moves == "untold":
            return b"* 1 EXPUNGE\r\n{tag} OK moved\r\n"
        return b"* OK [COPYUID %b] moved\r\n* 1 EXPUNGE\r\n{tag} OK\r\n" % told


MOVES = {
    "as it should": True,
    "in the tagged answer": True,
    "untold": True,
    "absurd": True,
    "nothing": False,
    "refused": False,
    "not offered": False,
    "Gmail": False,
}
"""How a server moves within a folder; and whether the order can be had with it."""


@pytest.mark.parametrize("moves", MOVES)
async def test_a_refusal_upsets_no_order(moves: str) -> None:
    """What was under way behind the refused batch is put behind its halves, where that can be."""
    bad = {MANY[number] for number in (20, 333, 334, 700, 1199)}
    box = Mover(lambda messages, _: b"{tag} NO a virus\r\n" if bad & set(messages) else "", moves)
    offered = {"not offered": b"", "Gmail": b"MOVE X-GM-EXT-1"}.get(moves, b"MOVE")
    async with target(box, b"MULTIAPPEND " + offered) as (server, store, inbox):
        answers = await put(store, inbox, MANY[:600])
        tried = len(server.told(b"UID MOVE"))
        begun = len(server.told(b"APPEND"))
        again = await put(store, inbox, MANY[600:])
        first = server.told(b"APPEND")[begun]
    for answer in (*answers, *again):
        if isinstance(answer, Appended):
            assert (
                box.stored[int(answer.key or 0)] == MANY[int(answer.entry.key)] or answer in again
            )
    got = [int(a.key or 0) for a in answers if isinstance(a, Appended)]
    assert [place for place in disorder(got) if place > 200] == []
    assert (disorder(got) == []) is MOVES[moves]
    assert len(got) == 597
    # No more is tried than is needed to see what the server does.
    assert tried == (2 if MOVES[moves] else moves in ("nothing", "refused"))
    # The folder is known by now: nothing is out of turn at all.
    got = [int(a.key or 0) for a in again if isinstance(a, Appended)]
    assert disorder(got) == []
    assert len(got) == 598
    assert MANY[600] in first
    kept = [mail for mail in MANY if mail not in bad]
    there = [box.stored[uid] for uid in sorted(box.stored)]
    assert sorted(there) == sorted(kept)
    if MOVES[moves]:
        assert there == kept


@pytest.mark.parametrize("capabilities", [b"MULTIAPPEND MOVE", b"MOVE"])
async def test_what_is_sent_in_another_dress_keeps_its_place(capabilities: bytes) -> None:
    """Also among messages that are sent one by one: D17, D18."""
    odd = {MANY[3], MANY[9], MANY[150]}

    def refuses(messages: list[bytes], command: bytes) -> Answer | str:
        if any(mail in odd and b"Odd" in command for mail in messages):
            return b"{tag} BAD Invalid keyword\r\n"
        return ""

    box = Mover(refuses, "as it should")
    async with target(box, capabilities) as (_, store, inbox):
        answers = await put(store, inbox, MANY[:200], frozenset({"Odd"}))
    assert len(answers) == 200
    assert [box.stored[uid] for uid in sorted(box.stored)] == MANY[:200]
    for answer in answers:
        assert isinstance(answer, Appended)
        assert box.stored[int(answer.key or 0)] == MANY[int(answer.entry.key)]
        assert answer.lost or MANY[int(answer.entry.key)] not in odd


BARE = b"Subject: bare\n\nonly LF\n"
FLAGS = frozenset({"\\Seen", "Kept"})
WHEN = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


async def test_order_on_cyrus(cyrus: Cyrus) -> None:
    """It refuses a bare LF."""
    account = cyrus.account()
    store = open_target(cyrus.endpoint(account), cyrus.credentials(account))
    await orderly(store, {50, 420, 421, 422, 700}, BARE)


@pytest.fixture
def strict() -> Iterator[Dovecot]:
    """A Dovecot that refuses what is larger than it was told to take."""
    with Dovecot(largest_message=2000) as server:
        yield server


async def test_order_on_dovecot(strict: Dovecot) -> None:
    account = strict.account()
    store = open_target(strict.endpoint(account), strict.credentials(account))
    await orderly(store, {50, 420, 421, 422, 700}, b"Subject: large\r\n\r\n" + b"x" * 3000)


@pytest.mark.parametrize("moved", [False, True])
async def test_a_cut_while_order_is_restored_costs_nothing(
    cyrus: Cyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    """Nobody knows the UIDs yet, before or after: the pass finds its messages by looking."""
    account = cyrus.account()
    source, whole = MemoryMailbox(), [True]
    wanted = [mail + b"y" * 20_000 + b"\r\n" for mail in MANY[:300]]
    for number, mail in enumerate(wanted):
        source.deliver(mail + b"bare\n" if number == 20 else mail)

    async def cut(
        mailbox: Mailbox,
        lane: Lane,
        where: Folder,
        blobs: Mapping[int, Blob],
        given: AbstractSet[int],
    ) -> dict[int, int | None]:
        now, whole[:] = bool(whole), []
        if moved or not now:
            told = await put_behind(mailbox, lane, where, blobs, given)
        if not now:
            return told
        assert lane.session is not None
        lane.session.abort()
        raise Disconnected("cut")

    async def soon(_: float) -> None:
        await asyncio.sleep(0.05)

    settled = imap_append._Appending.settled

    async def later(
        self: imap_append._Appending, batch: imap_append._Batch
    ) -> list[Appended | Refused]:
        for _ in range(200):  # until a second batch is under way, however slow the machine
            if len(self._sent) > 1 or self._ended or not whole:
                break
            await asyncio.sleep(0.01)
        return await settled(self, batch)

    monkeypatch.setattr(imap_append._Appending, "settled", later)
    monkeypatch.setattr(imap_append, "_MOST_OCTETS", 450_000)
    monkeypatch.setattr(imap_append, "put_behind", cut)
    target = open_target(cyrus.endpoint(account), cyrus.credentials(account))
    with Ledger.open(tmp_path, "pair") as ledger:
        async for event in run_pass(MemorySource(source), target, ledger, Options(), sleep=soon):
            last = event
    assert isinstance(last, Finished)
    assert (last.tally.copied + last.tally.adopted, last.tally.refused) == (299, 1)
    assert whole == []
    [inbox] = await target.folders()
    entries = [entry async for page in target.changes(inbox, None) for entry in page.entries]
    assert len(entries) == 299
    digests = {
        message.blob.digest()
        async for message in target.fetch(inbox, entries)
        if isinstance(message, Message)
    }
    assert digests == {sha256(mail).digest() for n, mail in enumerate(wanted) if n != 20}
    await target.close()


async def orderly(store: Target, refused: set[int], octets: bytes) -> None:
    """Appends 900 messages, with `octets` in the place of some; the others have to lie in their
    order, with flags and dates, under the keys that were told."""
    await store.open()
    where = await store.create(("Ordered",), None)

    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(MANY[:900]):
            sent = octets if number in refused else data
            yield Message(Entry(number, FLAGS, len(sent), WHEN), MemoryBlob(sent))

    answers = [answer async for answer in store.append(where, stream())]
    assert {a.entry.key for a in answers if isinstance(a, Refused)} == refused
    keys = [a.key for a in answers if isinstance(a, Appended)]
    entries = [entry async for page in store.changes(where, None) for entry in page.entries]
    assert [entry.key for entry in entries] == keys
    assert all(entry.flags >= FLAGS and entry.received == WHEN for entry in entries)
    read = [
        b"".join(m.blob.chunks())
        async for m in store.fetch(where, entries)
        if isinstance(m, Message)
    ]
    assert read == [mail for number, mail in enumerate(MANY[:900]) if number not in refused]
    await store.close()


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
