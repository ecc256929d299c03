"""A pass is undone message by message; what the person has touched since stands."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.errors import Disconnected
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.engine.undoing import Undone, undo
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.engine.notation import fill, octets, path_of, shown


class Pair:
    """Two mailboxes and their ledger."""

    def __init__(self, directory: Path, source: str, target: str = "INBOX:") -> None:
        self.source, self.target = MemoryMailbox(), MemoryMailbox()
        self.names = fill(self.source, source) | fill(self.target, target)
        self.directory = directory

    async def copy(self, number: int, faults: Callable[[str, str], None] | None = None) -> Finished:
        with Ledger.open(self.directory, "pair") as ledger:
            ledger.number, ledger.quiet = number, 60.0
            source, target = MemorySource(self.source), MemoryTarget(self.target, faults)
            async for event in run_pass(source, target, ledger, Options()):
                last = event
        assert isinstance(last, Finished)
        return last

    async def undo(
        self, number: int, faults: Callable[[str, str], None] | None = None
    ) -> list[Undone]:
        with Ledger.open(self.directory, "pair") as ledger:
            target = MemoryTarget(self.target, faults) if faults else MemoryTarget(self.target)
            return [each async for each in undo(target, ledger, number, "undone by Anna")]

    def deliver(self, text: str) -> None:
        self.names |= fill(self.source, text)

    def uid(self, name: str, folder: str = "INBOX") -> int:
        found = self.target.messages(path_of(folder))
        return next(each.uid for each in found if each.data == octets(name))

    def there(self) -> dict[str, list[str]]:
        return shown(self.target, self.names)


def ended(text: str) -> dict[str, list[str]]:
    wanted = MemoryMailbox()
    names = fill(wanted, text)
    return shown(wanted, names)


def totals(undone: list[Undone]) -> tuple[int, int, int]:
    return (
        sum(each.removed for each in undone),
        sum(each.touched for each in undone),
        sum(each.gone for each in undone),
    )


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Pass 1 copied A B into INBOX, pass 2 C D and Work: E; X was there before."""
    made = Pair(tmp_path, "INBOX: A B:S", "INBOX: X")
    await made.copy(1)
    made.deliver("INBOX: C D:F | Work: E")
    await made.copy(2)
    yield made


async def test_only_that_pass_is_undone(pair: Pair) -> None:
    assert totals(await pair.undo(2)) == (3, 0, 0)
    assert pair.there() == ended("INBOX: X A B:S | Work:")


async def test_what_the_target_had_before_stays(pair: Pair) -> None:
    await pair.undo(1)
    await pair.undo(2)
    assert pair.there() == ended("INBOX: X | Work:")


async def test_undone_twice_finds_nothing_to_do(pair: Pair) -> None:
    await pair.undo(2)
    assert await pair.undo(2) == []


async def test_what_the_person_flagged_stands(pair: Pair) -> None:
    pair.target.flag(pair.uid("C"), frozenset({"\\Seen"}), frozenset())
    assert totals(await pair.undo(2)) == (2, 1, 0)
    assert pair.there() == ended("INBOX: X A B:S C:S | Work:")


async def test_what_the_person_unflagged_stands(pair: Pair) -> None:
    pair.target.flag(pair.uid("D"), frozenset(), frozenset({"\\Flagged"}))
    assert totals(await pair.undo(2)) == (2, 1, 0)


async def test_what_the_person_moved_or_removed_is_left(pair: Pair) -> None:
    pair.target.move(pair.uid("C"), path_of("INBOX"), path_of("Work"))
    pair.target.expunge(pair.uid("D"))
    assert totals(await pair.undo(2)) == (1, 0, 2)
    assert pair.there() == ended("INBOX: X A B:S | Work: C")


async def test_a_flag_that_a_later_pass_carried_is_no_touch(pair: Pair) -> None:
    uid = next(each.uid for each in pair.source.messages() if each.data == octets("C"))
    pair.source.flag(uid, frozenset({"\\Answered"}), frozenset())
    await pair.copy(3)
    assert totals(await pair.undo(2)) == (3, 0, 0)


async def test_a_renumbered_folder_is_left_and_told(pair: Pair) -> None:
    pair.target.renumber(path_of("INBOX"))
    undone = await pair.undo(2)
    assert [bool(each.error) for each in undone] == [True, False]
    assert totals(undone) == (1, 0, 0)
    assert pair.there() == ended("INBOX: X A B:S C D:F | Work:")


async def test_a_later_pass_carries_what_was_undone_again(pair: Pair) -> None:
    await pair.undo(2)
    assert (await pair.copy(3)).tally.carried == 3
    assert pair.there() == ended("INBOX: X A B:S C D:F | Work: E")
    assert totals(await pair.undo(3)) == (3, 0, 0)


async def test_messages_that_are_gone_at_the_source_are_undone_too(pair: Pair) -> None:
    uid = next(each.uid for each in pair.source.messages() if each.data == octets("C"))
    pair.source.expunge(uid)
    await pair.copy(3)
    assert totals(await pair.undo(2)) == (3, 0, 0)


async def test_what_a_cut_run_had_sent_is_undone_though_the_source_has_deleted_it(
    tmp_path: Path,
) -> None:
    pair = Pair(tmp_path, "INBOX: A B:S C")
    pair.target.habits = replace(pair.target.habits, window=100)
    sent = 0

    def strike(operation: str, folder: str) -> None:
        nonlocal sent
        sent += operation == "after append"
        if sent == 2:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await pair.copy(1, strike)
    for stored in pair.source.messages()[:2]:
        pair.source.expunge(stored.uid)
    pair.target.flag(pair.uid("A"), frozenset({"\\Flagged"}), frozenset())
    await pair.copy(2)
    assert pair.there() == ended("INBOX: A:F B:S C")
    assert totals(await pair.undo(2)) == (2, 1, 0)
    assert pair.there() == ended("INBOX: A:F")


async def test_cut_off_anywhere_it_ends_the_same(tmp_path: Path) -> None:
    cuts = 0
    for point in range(1, 50):
        pair = Pair(tmp_path / str(point), "INBOX: A B | Work: C D")
        await pair.copy(1)
        seen = 0

        def strike(operation: str, folder: str, point: int = point) -> None:
            nonlocal seen
            seen += 1
            if seen == point:
                raise Disconnected("cut")

        try:
            await pair.undo(1, strike)
        except Disconnected:
            cuts += 1
        await pair.undo(1)
        assert pair.there() == ended("INBOX: | Work:")
        if seen < point:
            break
    assert cuts > 5
