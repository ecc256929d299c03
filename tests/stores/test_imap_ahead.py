"""What goes out ahead of the answers that it hangs on: bodies, flags read back, removals."""

import asyncio
from collections.abc import Callable

import pytest

from mailhaul.core.errors import Disconnected, FolderFailed
from mailhaul.core.folder import Folder
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Identity, Key
from mailhaul.core.store import Amends, Appended, FlagChange, Foresees
from mailhaul.imap.intake import BUDGET
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import Answer, Script, Scripted, folder, line, named, scripted
from tests.stores.test_imap_store import LETTERS, MAILS, Box, fetched, listed, put, source, target
from tests.stores.test_imap_store import wrapped as with_special

MANY = {uid: b"x" for uid in range(1, 502)}
HUGE = {1: b"x" * (BUDGET // 2 + 1)}
FLAGGED = frozenset({"\\Flagged"})


def sized(mails: dict[int, bytes], special: Callable[[bytes], Answer | str]) -> Script:
    """The folder of `mails` on a server that tells sizes with STATUS."""
    size = sum(map(len, mails.values()))

    def answer(command: bytes) -> Answer | str:
        if command.startswith(b"STATUS"):
            told = (len(mails), max(mails) + 1, size)
            return (
                b"* STATUS INBOX (MESSAGES %d UIDNEXT %d UIDVALIDITY 1 SIZE %d)\r\n{tag} OK\r\n"
                % told
            )
        return special(command)

    return with_special(folder(mails), answer)


def bodies(server: Scripted) -> list[bytes]:
    """The commands that asked for whole messages."""
    return [command for command in server.told(b"UID FETCH") if b"BODY.PEEK[]" in command]


async def test_bodies_are_on_their_way_before_the_listing_is_read() -> None:
    script = sized(MAILS, lambda command: "")
    async with source(script, b"STATUS=SIZE") as (server, store, inbox):
        assert isinstance(store, Foresees)
        before = store.traffic.round_trips
        store.foresee(inbox, True)
        found = await fetched(store, inbox, await listed(store, inbox))
        assert store.traffic.round_trips - before == 1
    assert found == list(MAILS.values())
    assert len(bodies(server)) == 1


@pytest.mark.parametrize("mails", [MANY, HUGE], ids=["many", "large"])
async def test_large_folders_are_not_foreseen(mails: dict[int, bytes]) -> None:
    async with source(sized(mails, lambda command: ""), b"STATUS=SIZE") as (server, store, inbox):
        store.foresee(inbox, True)
        entries = await listed(store, inbox)
        assert bodies(server) == []
        assert await fetched(store, inbox, entries) == list(mails.values())


async def test_only_what_is_asked_for_comes() -> None:
    script = sized(MAILS, lambda command: "")
    async with source(script, b"STATUS=SIZE") as (_, store, inbox):
        store.foresee(inbox, True)
        entries = [entry for entry in await listed(store, inbox) if int(entry.key) % 7 == 0]
        assert await fetched(store, inbox, entries) == [MAILS[uid] for uid in (7, 14, 21, 28)]


async def test_what_was_foreseen_for_nothing_is_thrown_away() -> None:
    """More than a connection may hold: were it kept, nothing would be read any more."""
    mails = {uid: b"%d" % (uid % 10) * 60_000 for uid in range(1, 41)}
    async with source(sized(mails, lambda command: ""), b"STATUS=SIZE") as (server, store, inbox):
        for _ in range(4):
            store.foresee(inbox, True)
            entries = await listed(store, inbox)
            store.foresee(inbox, False)
        assert await asyncio.wait_for(fetched(store, inbox, entries[:2]), 5) == [mails[1], mails[2]]
    assert len(bodies(server)) == 5


async def test_a_listing_in_need_of_more_goes_without_foresight() -> None:
    """What is asked for then is answered behind the bodies."""

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"UID FETCH 1:* (UID FLAGS INTERNALDATE"):
            whole = b"".join(line(uid, data) for uid, data in MAILS.items() if uid != 9)
            return whole + b"* 9 FETCH (UID 9 FLAGS ())\r\n{tag} OK\r\n"
        return ""

    async with source(sized(MAILS, special), b"STATUS=SIZE") as (server, store, inbox):
        store.foresee(inbox, True)
        entries = await listed(store, inbox)
        assert [entry.size for entry in entries] == [len(data) for data in MAILS.values()]
        assert await fetched(store, inbox, entries) == list(MAILS.values())
    assert len(bodies(server)) == 2


async def test_a_cut_between_listing_and_bodies_is_a_cut() -> None:
    def special(command: bytes) -> Answer | str:
        return None if b"BODY.PEEK[]" in command else ""

    async with scripted(sized(MAILS, special), capabilities=b"STATUS=SIZE") as server:
        store = ImapSource(server.endpoint, server.credentials)
        await store.open()
        [inbox] = await store.folders()
        store.foresee(inbox, True)
        entries = await listed(store, inbox)
        with pytest.raises(Disconnected):
            await fetched(store, inbox, entries)
        await store.close()


# --- Flags read back -------------------------------------------------------------------------


def _names(command: bytes) -> str:
    words = command.split(b'"')
    return words[1].decode() if len(words) > 1 else "INBOX"


class Forgetful:
    """A server with two folders that keeps flags on STORE alone."""

    def __init__(self) -> None:
        self.boxes = {"INBOX": Box(), "Other": Box()}
        self.open = "INBOX"

    def __call__(self, command: bytes) -> Answer:
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n* LIST () "/" Other\r\n{tag} OK\r\n'
        if command.startswith((b"EXAMINE", b"SELECT")):
            self.open = _names(command)
        name = _names(command) if command.startswith((b"STATUS", b"APPEND")) else self.open
        answer = self.boxes[name](command)
        assert answer is not None
        return answer.replace(b"STATUS INBOX", b"STATUS " + name.encode())


async def test_no_folders_flags_are_lost_while_another_finds_out() -> None:
    """D19: both batches are under way before the first is known to have lost its flags."""
    async with scripted(Forgetful(), capabilities=b"MULTIAPPEND") as server:
        store = ImapTarget(server.endpoint, server.credentials)
        await store.open()
        folders = await store.folders()
        answers = await asyncio.gather(
            *(put(store, each, LETTERS[:3], FLAGGED) for each in folders)
        )
        await store.close()
    assert all(isinstance(each, Appended) for found in answers for each in found)
    stores = [c for c in server.commands if c.startswith((b"SELECT", b"UID STORE"))]
    assert stores[-4:].count(b"UID STORE 1:3 +FLAGS.SILENT (\\Flagged)") == 2
    assert {b'SELECT "INBOX"', b'SELECT "Other"'} <= set(stores)


async def test_flags_are_read_back_in_the_flight_of_their_batch() -> None:
    def special(command: bytes) -> Answer | str:
        if command.startswith(b"UID FETCH") and b"FLAGS" in command:
            kept = b"".join(line(uid, b"x", b"\\Flagged") for uid in box.stored)
            return kept + b"{tag} OK\r\n"
        return ""

    box = Box()
    async with target(with_special(box, special), b"MULTIAPPEND") as (server, store, inbox):
        before = store.traffic.round_trips
        answers = await put(store, inbox, LETTERS[:3], FLAGGED)
        assert store.traffic.round_trips - before == 1
    assert [type(each) for each in answers] == [Appended] * 3
    assert server.told(b"UID STORE") == []


# --- Removals --------------------------------------------------------------------------------


def vanishing(mails: dict[int, bytes], told: bytes, seen: list[bytes]) -> Script:
    """UID EXPUNGE works, and VANISHED says `told`."""

    def special(command: bytes) -> Answer | str:
        seen.append(command)
        if command.startswith(b"UID EXPUNGE"):
            mails.pop(2, None)
            mails.pop(3, None)
            return (told and b"* VANISHED " + told + b"\r\n") + b"{tag} OK\r\n"
        return ""

    return with_special(folder(mails), special)


@pytest.mark.parametrize(
    ("told", "looks"),
    [(b"2:3", 0), (b"3,2", 0), (b"2", 1), (b"", 1), (b"7:9", 1), (b"(EARLIER) 2:3", 1), (b"x", 1)],
)
async def test_what_is_not_said_to_be_gone_is_looked_for(told: bytes, looks: int) -> None:
    mails, seen = dict(MAILS), list[bytes]()
    async with target(vanishing(mails, told, seen), b"QRESYNC") as (server, store, inbox):
        assert await store.remove(inbox, [2, 3]) == 2
    assert len(server.told(b"UID FETCH")) == looks


async def test_nothing_is_marked_in_a_folder_of_another_numbering() -> None:
    """C1: flags and removals go out behind the answer to their own SELECT, not before."""
    answers = iter((b"1", b"1", b"9", b"9", b"9"))
    stores: list[bytes] = []

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"SELECT"):
            number = next(answers)
            return b"* 3 EXISTS\r\n* OK [UIDVALIDITY %b]\r\n{tag} OK\r\n" % number
        if command.startswith(b"UID STORE"):
            stores.append(command)
        if command.startswith(b"UID EXPUNGE"):
            del mails[2]
            return b"* VANISHED 2\r\n{tag} OK\r\n"
        return ""

    mails = dict(MAILS)
    async with target(with_special(folder(mails), special), b"UIDPLUS") as (_, store, inbox):
        await store.remove(inbox, [2])
        marked = len(stores)
        change = FlagChange(3, FLAGGED, frozenset())
        moved = Folder(inbox.path, inbox.native)
        results = await asyncio.gather(
            store.remove(moved, [3]), store.flag(moved, [change]), return_exceptions=True
        )
    assert marked == 1
    assert all(isinstance(each, FolderFailed) for each in results)
    assert len(stores) == 1


def amending(mails: dict[int, bytes]) -> Script:
    """A folder that expunges what is named, and says so."""

    def special(command: bytes) -> Answer | str:
        if not command.startswith(b"UID EXPUNGE"):
            return ""
        uids = [uid for uid in mails if uid in named(command)]
        for uid in uids:
            del mails[uid]
        return b"".join(b"* VANISHED %d\r\n" % uid for uid in uids) + b"{tag} OK\r\n"

    return with_special(folder(mails), special)


@pytest.mark.parametrize(
    ("gone", "swapped", "removed", "looks"),
    [
        ((), (), {2, 3}, 1),
        ((), (3,), {2}, 1),
        ((2,), (), {3}, 4),
        ((2, 3), (), set(), 3),
        ((), (2, 3), set(), 1),
    ],
    ids=["all ours", "one is another's", "one is gone", "all are gone", "all are another's"],
)
async def test_flags_and_removals_of_a_folder_share_one_look(
    gone: tuple[int, ...], swapped: tuple[int, ...], removed: set[int], looks: int
) -> None:
    """What is gone already is told from what isn't handed over, step by step."""
    mails = {uid: octets for uid, octets in MAILS.items() if uid not in gone}
    before = set(mails)
    doomed: dict[Key, Identity | None] = {
        uid: header_identity(MAILS[9 if uid in swapped else uid]) for uid in (2, 3)
    }
    change = FlagChange(5, FLAGGED, frozenset())
    async with target(amending(mails), b"UIDPLUS QRESYNC") as (server, store, inbox):
        assert isinstance(store, Amends)
        opened = len(server.told(b"SELECT"))
        amended = await store.amend(inbox, [change], doomed)
    assert (amended.removed, amended.strange) == (len(removed), frozenset(swapped))
    assert before - set(mails) == removed
    stores = server.told(b"UID STORE")
    assert b"UID STORE 5 +FLAGS.SILENT (\\Flagged)" in stores
    assert len(server.told(b"SELECT")) - opened + len(server.told(b"EXAMINE")) == looks


@pytest.mark.parametrize("amends", [True, False], ids=["with flags", "alone"])
@pytest.mark.parametrize(
    ("idle", "held"), [(1, ()), (2, ()), (99, (2, 3))], ids=["once", "twice", "always"]
)
async def test_what_a_server_says_it_has_removed_and_has_not_is_removed_again(
    amends: bool, idle: int, held: tuple[int, ...]
) -> None:
    """Dovecot 2.3.19: UID EXPUNGE behind pipelined STOREs says OK and may expunge nothing."""
    mails = dict(MAILS)
    left = idle

    def special(command: bytes) -> Answer | str:
        nonlocal left
        if not command.startswith(b"UID EXPUNGE"):
            return ""
        left -= 1
        if left >= 0:
            return b"{tag} OK Expunge completed\r\n"
        for uid in (2, 3):
            if uid in named(command):
                mails.pop(uid, None)
        return b"{tag} OK\r\n"

    doomed: dict[Key, Identity | None] = {uid: header_identity(MAILS[uid]) for uid in (2, 3)}
    change = FlagChange(5, FLAGGED, frozenset())
    script = with_special(folder(mails), special)
    async with target(script, b"UIDPLUS QRESYNC") as (_, store, inbox):
        assert isinstance(store, Amends)
        try:
            if amends:
                removed = (await store.amend(inbox, [change], doomed)).removed
            else:
                removed = await store.remove(inbox, [2, 3])
        except FolderFailed as error:
            assert "still holds 2 messages that the server said it has removed" in str(error)
            assert held
        else:
            assert (removed, held) == (2, ())
    assert {2, 3} & mails.keys() == set(held)


async def test_nothing_is_amended_in_a_folder_of_another_numbering() -> None:
    """C1."""
    async with target(amending(dict(MAILS)), b"UIDPLUS") as (server, store, inbox):
        store._mailbox.validity["INBOX"] = 77
        change = FlagChange(5, FLAGGED, frozenset())
        with pytest.raises(FolderFailed, match="renumbered"):
            await store.amend(inbox, [change], {2: None})
    assert server.told(b"UID STORE") == []
