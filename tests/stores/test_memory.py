"""The memory store keeps the contract, as the best server and as poor ones; and its knobs work."""

from collections.abc import AsyncIterator

import pytest

from mailhaul.core.errors import Closed, Disconnected
from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.core.message import Unreadable
from mailhaul.core.store import Appended, Refused, Source
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox
from tests.stores.awkward import AWKWARD, mail
from tests.stores.conformance import (
    Expectations,
    Opened,
    StoreSuite,
    listed_changes,
    named,
    octets,
    put,
)

SERVERS: dict[str, tuple[Habits, Expectations]] = {
    "the best server": (Habits(), Expectations()),
    "small pages and pipelines": (Habits(page=2, window=7), Expectations()),
    "a poor server": (
        Habits(
            announces_keys=False,
            tells_state=False,
            tells_modseq=False,
            keeps_keywords=False,
            keeps_received=False,
            keeps_subscriptions=False,
            keeps_roles=False,
        ),
        Expectations(announces_keys=False, keeps_roles=False),
    ),
    "a server that refuses and alters": (
        Habits(
            window=4,
            refuses=lambda data: "Message contains NUL characters" if b"\0" in data else None,
            alters=lambda data: data.replace(b"\r\r\n", b"\r\n"),
        ),
        Expectations(
            refuses=frozenset({"a body with NUL", "a header with NUL"}),
            alters={"CR CR LF": lambda data: data.replace(b"\r\r\n", b"\r\n")},
        ),
    ),
}


class TestMemory(StoreSuite):
    @pytest.fixture(params=SERVERS)
    async def mailbox(self, request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
        habits, expectations = SERVERS[request.param]
        box = MemoryMailbox(habits)
        source, target = MemorySource(box), MemoryTarget(box)
        await source.open()
        await target.open()

        async def reopen() -> Source:
            again = MemorySource(box)
            await again.open()
            return again

        async def renumber(folder: Folder) -> None:
            box.renumber(folder.path)

        yield Opened(source, target, reopen, renumber, expectations)
        await source.close()
        await target.close()


async def opened(box: MemoryMailbox, **more: object) -> MemoryTarget:
    target = MemoryTarget(box, **more)  # type: ignore[arg-type]
    await target.open()
    return target


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize(
    ("moment", "stored"),
    [("before append", 1), ("after append", 2)],
)
@pytest.mark.parametrize("error", [Disconnected("cut"), Crash()])
async def test_a_fault_leaves_what_was_stored_before_it(
    moment: str, stored: int, error: BaseException
) -> None:
    box = MemoryMailbox()
    seen: list[str] = []

    def faults(operation: str, folder: str) -> None:
        seen.append(operation)
        if seen.count(moment) == 2:
            raise error

    target = await opened(box, faults=faults)
    inbox = await named(target, INBOX_PATH)
    answers = []
    with pytest.raises(type(error)):
        answers = await put(target, inbox, mail("one"), mail("two"), mail("three"))
    assert answers == []
    assert [message.data for message in box.messages()] == [mail("one"), mail("two")][:stored]


async def test_a_full_mailbox_keeps_and_announces_what_fitted() -> None:
    box = MemoryMailbox(Habits(most_messages=2, window=10))
    target = await opened(box)
    inbox = await named(target, INBOX_PATH)
    with pytest.raises(Closed) as caught:
        await put(target, inbox, *[mail(f"n{number}") for number in range(4)])
    assert caught.value.reason == "full"
    assert len(box.messages()) == 2


async def test_a_message_above_the_limit_is_refused() -> None:
    target = await opened(MemoryMailbox(Habits(append_limit=1000)))
    inbox = await named(target, INBOX_PATH)
    answers = await put(target, inbox, AWKWARD["a plain message"], AWKWARD["a long line"])
    assert [type(answer) for answer in answers] == [Appended, Refused]


async def test_an_unreadable_message_is_listed_and_not_handed_out() -> None:
    box = MemoryMailbox(Habits(unreadable=lambda data: "\x1bpoison" if b"bad" in data else None))
    box.deliver(mail("good"))
    box.deliver(mail("bad"))
    source = MemorySource(box)
    await source.open()
    inbox = await named(source, INBOX_PATH)
    entries = (await listed_changes(source, inbox)).entries
    found = [message async for message in source.fetch(inbox, entries)]
    assert isinstance(found[1], Unreadable)
    assert found[1].reason == "\\x1bpoison"


@pytest.mark.parametrize(
    ("habits", "lost"),
    [
        (Habits(most_keywords=2), {"Gamma"}),
        (Habits(longest_keyword=4), {"Alpha", "Gamma"}),
    ],
)
async def test_keywords_above_the_limit_are_lost(habits: Habits, lost: set[str]) -> None:
    target = await opened(MemoryMailbox(habits))
    inbox = await named(target, INBOX_PATH)
    flags = frozenset({"Alpha", "Beta", "Gamma"})
    [answer] = await put(target, inbox, mail("keywords"), flags=flags)
    assert isinstance(answer, Appended)
    assert answer.lost == lost


async def test_a_clone_goes_its_own_way() -> None:
    box = MemoryMailbox()
    uid = box.deliver(mail("one"))
    twin = box.clone()
    twin.expunge(uid)
    twin.deliver(mail("two"))
    assert [message.data for message in box.messages()] == [mail("one")]
    assert [(message.uid, message.data) for message in twin.messages()] == [(2, mail("two"))]


async def test_a_moved_message_is_told_in_both_folders() -> None:
    box = MemoryMailbox()
    box.make(("Elsewhere",))
    uid = box.deliver(mail("one"))
    source = MemorySource(box)
    await source.open()
    inbox, elsewhere = await source.folders()
    cursors = [(await listed_changes(source, each)).cursor for each in (inbox, elsewhere)]
    box.move(uid, INBOX_PATH, ("Elsewhere",))
    assert (await listed_changes(source, inbox, cursors[0])).vanished == [uid]
    assert len((await listed_changes(source, elsewhere, cursors[1])).entries) == 1
    assert await octets(source, elsewhere) == [mail("one")]


@pytest.mark.parametrize(
    ("name", "inbox"), [("inbox", True), ("InBoX", True), ("\u0131nbox", False)]
)
async def test_the_inbox_is_spelled_in_ascii(name: str, inbox: bool) -> None:
    box = MemoryMailbox()
    target = await opened(box)
    made = await target.create((name,), None)
    assert made.path == (INBOX_PATH if inbox else (name,))
    assert (box.folder((name,)).path == INBOX_PATH) == inbox
