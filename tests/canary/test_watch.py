"""Canaries are found wherever they come out, told from all other mail, and taken out alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mailhaul.canary.mark import LARGEST, Canary, marked_message
from mailhaul.canary.routes import Via
from mailhaul.canary.watch import (
    EVERYTHING,
    Bookmark,
    Found,
    Look,
    Place,
    Side,
    bookmark,
    look,
    remove,
    watch,
)
from mailhaul.core.errors import Disconnected, FolderFailed
from mailhaul.core.folder import INBOX_PATH, FolderPath, Role
from mailhaul.stores.memory import Faults, MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox

NOW = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
T = NOW.timestamp()
ANN = Canary("ab" * 16, "ann@example.org", Via.MX, T)
OTHER = Canary("cd" * 16, "ann@example.org", Via.OLD, T)
OCTETS = marked_message(ANN, "", "probe.example.net")
HABITS = {
    "the best": Habits(),
    "no tails": Habits(tells_tail=False, tells_state=False),
    "no modseq": Habits(tells_modseq=False, tells_state=False),
    "pages of one": Habits(page=1),
}


def mailbox(habits: Habits | None = None) -> MemoryMailbox:
    """One that holds mail already, and folders for more."""
    made = MemoryMailbox(habits, lambda: NOW)
    for number in range(5):
        made.deliver(other_mail(f"old {number}"), received=NOW - timedelta(days=number))
    made.make(("Junk",), Role.JUNK)
    made.make(("Lists", "dev"))
    return made


def other_mail(subject: str) -> bytes:
    return f"From: <eve@example.net>\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()


async def seen(
    store: MemoryMailbox, since: Bookmark, canaries: tuple[Canary, ...] = (ANN,)
) -> Look:
    source = MemorySource(store)
    await source.open()
    return await look(Side.NEW, source, canaries, since, lambda: T + 9)


async def marked(store: MemoryMailbox) -> Bookmark:
    source = MemorySource(store)
    await source.open()
    return await bookmark(source)


@dataclass(frozen=True)
class Row:
    """What happens to a mailbox after the bookmark, and where the canary is then seen."""

    name: str
    happens: Callable[[MemoryMailbox], object]
    paths: tuple[FolderPath, ...]


def delivered(data: bytes, path: FolderPath = INBOX_PATH) -> Callable[[MemoryMailbox], object]:
    return lambda store: store.deliver(data, path)


def nothing(store: MemoryMailbox) -> None:
    pass


def into_a_new_folder(store: MemoryMailbox) -> None:
    store.make(("By rule",))
    store.deliver(OCTETS, ("By rule",))


def among_much(store: MemoryMailbox) -> None:
    for number in range(2500):
        store.deliver(other_mail(f"copied {number}"), received=NOW - timedelta(days=99))
    store.deliver(OCTETS)
    store.deliver(other_mail("behind it"))


def after_renumbering(store: MemoryMailbox) -> None:
    store.deliver(OCTETS)
    store.renumber(gap=7)


def while_mail_goes(store: MemoryMailbox) -> None:
    store.deliver(OCTETS)
    store.expunge(1, 2)


def rewritten(*changes: tuple[bytes, bytes]) -> bytes:
    data = OCTETS
    for old, new in changes:
        assert old in data
        data = data.replace(old, new)
    return data


HOPS = (
    b"Received: from mx (mx [192.0.2.1])\r\n\tby mbx7.example.org with LMTP id 1; Sat, 21 Nov\r\n"
    b"Received: from probe by mx.example.org with ESMTPS; Sat, 21 Nov\r\n"
)
ROWS = [
    Row("nothing", nothing, ()),
    Row("it is delivered", delivered(OCTETS), (INBOX_PATH,)),
    Row("it comes out among junk", delivered(OCTETS, ("Junk",)), (("Junk",),)),
    Row("a rule files it", delivered(OCTETS, ("Lists", "dev")), (("Lists", "dev"),)),
    Row("a rule files it into a new folder", into_a_new_folder, (("By rule",),)),
    Row("among thousands that are copied meanwhile", among_much, (INBOX_PATH,)),
    Row("the inbox is renumbered", after_renumbering, (INBOX_PATH,)),
    Row("the owner deletes other mail", while_mail_goes, (INBOX_PATH,)),
    Row(
        "two copies, one as junk",
        lambda store: (store.deliver(OCTETS), store.deliver(OCTETS, ("Junk",))),
        (INBOX_PATH, ("Junk",)),
    ),
    Row(
        "a filter changes subject and Message-ID",
        delivered(rewritten((b"Subject: ", b"Subject: [EXT] "), (b"<mailhaul-", b"<rewritten-"))),
        (INBOX_PATH,),
    ),
    Row(
        "a filter drops fields that it doesn't know, and folds",
        delivered(
            rewritten(
                (b"Mailhaul-Canary: " + ANN.token.encode() + b"\r\n", b""),
                (b"Message-ID: ", b"Message-ID:\r\n\t"),
            )
        ),
        (INBOX_PATH,),
    ),
    Row("hosts add what they add", delivered(HOPS + OCTETS), (INBOX_PATH,)),
    Row(
        "a reply to it",
        delivered(
            b"Subject: Re: test\r\nIn-Reply-To: <mailhaul-canary."
            + ANN.token.encode()
            + b"@probe.example.net>\r\n\r\nwhat is this?\r\n"
        ),
        (),
    ),
    Row("one that quotes it", delivered(b"Subject: Fwd\r\n\r\n" + OCTETS), ()),
    Row(
        "a canary of somebody else",
        delivered(marked_message(OTHER, "", "probe.example.net")),
        (),
    ),
    Row("larger than any canary", delivered(OCTETS + b"x" * LARGEST + b"\r\n"), ()),
    Row(
        "one that can't be read",
        delivered(OCTETS.replace(b"hello", b"") + b"UNREADABLE\r\n"),
        (),
    ),
]


@pytest.mark.parametrize("habits", HABITS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_where_it_is_seen(row: Row, habits: str) -> None:
    from dataclasses import replace

    unreadable = replace(
        HABITS[habits], unreadable=lambda data: "broken" if b"UNREADABLE" in data else None
    )
    store = mailbox(unreadable)
    since = await marked(store)
    row.happens(store)
    first = await seen(store, since)
    assert tuple(sorted(each.path for each in first.found)) == tuple(sorted(row.paths))
    assert {each.token for each in first.found} <= {ANN.token}
    assert first.troubles == ()
    again = await seen(store, first.since)
    assert again.found == (), "each is found by one look only"


async def test_what_is_told_of_it() -> None:
    store = mailbox()
    since = await marked(store)
    uid = store.deliver(HOPS + OCTETS, ("Junk",), received=NOW + timedelta(seconds=3))
    (found,) = (await seen(store, since)).found
    assert found == Found(
        ANN.token,
        Side.NEW,
        ("Junk",),
        uid,
        T + 9,
        Role.JUNK,
        NOW + timedelta(seconds=3),
        ("mbx7.example.org", "mx.example.org"),
    )


async def test_without_a_bookmark_what_came_lately_is_looked_into() -> None:
    store = mailbox()
    store.deliver(OCTETS)
    source = MemorySource(store)
    await source.open()
    fetched: list[str] = []
    spy = MemorySource(store, lambda operation, folder: fetched.append(operation))
    await spy.open()
    (found,) = (await look(Side.NEW, spy, [ANN], EVERYTHING)).found
    assert found.path == INBOX_PATH
    assert fetched.count("fetch") == 3, "today's, yesterday's and the canary, of six messages"


async def test_folders_in_which_nothing_happened_are_not_asked_for() -> None:
    store = mailbox()
    since = await marked(store)
    store.deliver(OCTETS, ("Junk",))
    asked: list[tuple[str, str]] = []
    spy = MemorySource(store, lambda operation, folder: asked.append((operation, folder)))
    await spy.open()
    asked.clear()
    await look(Side.NEW, spy, [ANN], since)
    assert [operation for operation, _ in asked] == ["folders", "page", "fetch"]


async def test_a_folder_that_was_read_whole_once_is_read_by_its_end_from_then_on() -> None:
    store = mailbox(HABITS["no modseq"])
    since = await marked(store)
    into_a_new_folder(store)
    first = await seen(store, since)
    asked: list[str] = []
    spy = MemorySource(store, lambda operation, folder: asked.append(operation))
    await spy.open()
    asked.clear()
    await look(Side.NEW, spy, [ANN], first.since)
    assert asked == ["folders"]


def failing(*failures: tuple[str, Exception]) -> Faults:
    """Fails at these operations, each once, in order."""
    left = list(failures)

    def fault(operation: str, folder: str) -> None:
        if left and left[0][0] == operation:
            raise left.pop(0)[1]

    return fault


async def test_a_folder_that_fails_is_told_and_looked_at_again() -> None:
    store = mailbox()
    since = await marked(store)
    store.deliver(OCTETS)
    source = MemorySource(store, failing(("page", FolderFailed("“INBOX” is locked"))))
    await source.open()
    first = await look(Side.NEW, source, [ANN], since)
    assert (first.found, first.troubles) == ((), ("“INBOX” is locked",))
    second = await look(Side.NEW, source, [ANN], first.since)
    assert [each.path for each in second.found] == [INBOX_PATH]


class Time:
    """A clock that goes on by pauses only, and what happens meanwhile."""

    def __init__(self, **happens: Callable[[], object]) -> None:
        self.now = T
        self.happens = {float(at.removeprefix("at_")): what for at, what in happens.items()}

    def clock(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.now += seconds
        for at in sorted(self.happens):
            if self.now >= T + at:
                self.happens.pop(at)()


async def watched(
    old: MemoryMailbox,
    new: MemoryMailbox,
    time: Time,
    faults: Faults | None = None,
    canaries: tuple[Canary, ...] = (ANN,),
) -> tuple[Look, ...]:
    places = []
    for side, store in ((Side.OLD, old), (Side.NEW, new)):
        source = MemorySource(store, faults if side is Side.NEW else None)
        await source.open()
        places.append(Place(side, source, await marked(store)))
    return await watch(places, canaries, seconds=60, every=2, clock=time.clock, pause=time.pause)


async def test_it_is_watched_for_until_it_is_there() -> None:
    old, new = mailbox(), mailbox()
    time = Time(at_7=lambda: new.deliver(OCTETS))
    at_old, at_new = await watched(old, new, time)
    assert at_old.found == ()
    (found,) = at_new.found
    assert (found.side, found.seen - T) == (Side.NEW, 8)
    assert time.now == T + 8, "and no longer"


async def test_all_canaries_are_watched_for_on_both_sides() -> None:
    old, new = mailbox(), mailbox()
    second = marked_message(OTHER, "", "probe.example.net")
    time = Time(at_3=lambda: new.deliver(OCTETS), at_11=lambda: old.deliver(second))
    at_old, at_new = await watched(old, new, time, canaries=(ANN, OTHER))
    assert [each.token for each in at_old.found] == [OTHER.token]
    assert [each.token for each in at_new.found] == [ANN.token]
    assert time.now == T + 12


async def test_watching_ends() -> None:
    time = Time()
    looks = await watched(mailbox(), mailbox(), time)
    assert all(each.found == () and each.troubles == () for each in looks)
    assert time.now == T + 60


async def test_a_server_that_is_away_for_a_while_is_looked_at_again() -> None:
    old, new = mailbox(), mailbox()
    new_away = failing(*(("folders", Disconnected("it hung up")) for _ in range(3)))
    time = Time(at_1=lambda: new.deliver(OCTETS))
    _, at_new = await watched(old, new, time, new_away)
    assert len(at_new.found) == 1
    assert at_new.troubles == ()
    assert time.now == T + 6


async def test_a_server_that_stays_away_is_told() -> None:
    new_away = failing(*(("folders", Disconnected("it hung up")) for _ in range(99)))
    _, at_new = await watched(mailbox(), mailbox(), Time(), new_away)
    assert at_new.troubles == ("it hung up",)


async def opened(store: MemoryMailbox, faults: Faults | None = None) -> MemoryTarget:
    target = MemoryTarget(store, faults)
    await target.open()
    return target


@pytest.mark.parametrize("habits", HABITS)
async def test_it_is_taken_out_and_nothing_else(habits: str) -> None:
    store = mailbox(HABITS[habits])
    since = await marked(store)
    store.deliver(OCTETS)
    store.deliver(OCTETS, ("Junk",))
    store.deliver(other_mail("arrived meanwhile"))
    before = [each.data for each in store.messages() if each.data != OCTETS]
    found = (await seen(store, since)).found
    assert len(found) == 2
    removal = await remove(await opened(store), found)
    assert (len(removal.removed), removal.left, removal.troubles) == (2, (), ())
    assert [each.data for each in store.messages()] == before
    assert store.messages(("Junk",)) == []
    again = await remove(await opened(store), found)
    assert (len(again.removed), again.left) == (2, ()), "gone is gone"
    assert [each.data for each in store.messages()] == before


async def test_other_mail_under_its_key_stays() -> None:
    store = mailbox()
    since = await marked(store)
    store.deliver(OCTETS)
    found = (await seen(store, since)).found
    store.expunge(1)
    store.renumber()
    store.deliver(other_mail("under its number"))
    before = [each.data for each in store.messages()]
    removal = await remove(await opened(store), found)
    assert (removal.removed, removal.left) == ((), found)
    assert removal.troubles == ("other mail lies in “INBOX” where the canary lay: look again",)
    assert [each.data for each in store.messages()] == before


async def test_a_folder_that_was_deleted_with_it_is_fine() -> None:
    store = mailbox()
    since = await marked(store)
    store.deliver(OCTETS, ("Lists", "dev"))
    found = (await seen(store, since)).found
    store.delete(("Lists", "dev"))
    removal = await remove(await opened(store), found)
    assert (removal.removed, removal.left) == (found, ())


async def test_a_folder_that_does_not_let_it_be_removed_is_told() -> None:
    store = mailbox()
    since = await marked(store)
    store.deliver(OCTETS)
    found = (await seen(store, since)).found
    refusing = failing(("before remove", FolderFailed("others wait for expunge in “INBOX”")))
    removal = await remove(await opened(store, refusing), found)
    assert (removal.removed, removal.left) == ((), found)
    assert removal.troubles == ("others wait for expunge in “INBOX”",)
