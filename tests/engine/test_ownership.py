"""Nothing is removed that isn't what mailhaul put there, whatever the target's numbers say."""

from pathlib import Path

from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Delete, Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.engine.notation import fill, path_of

MIRROR = Options(delete=Delete.MIRROR)


async def copied(source: MemoryMailbox, target: MemoryMailbox, state: Path) -> Finished:
    with Ledger.open(state, "pair") as ledger:
        async for event in run_pass(MemorySource(source), MemoryTarget(target), ledger, MIRROR):
            last = event
    assert isinstance(last, Finished)
    return last


async def test_folders_that_changed_places_under_the_same_numbers(tmp_path: Path) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    fill(source, "INBOX: X | Here: A B | There: C D")
    assert (await copied(source, target, tmp_path)).complete
    # A server that numbers by the second gave both folders the same UIDVALIDITY.
    here, there = target.folder(path_of("Here")), target.folder(path_of("There"))
    assert here.messages.keys() == there.messages.keys()
    here.messages, there.messages = there.messages, here.messages
    before = dict(here.messages), dict(there.messages)
    source.expunge(*(each.uid for each in source.messages(path_of("Here"))), path=path_of("Here"))
    ended = await copied(source, target, tmp_path)
    assert ended.tally.removed == 0
    assert (here.messages, there.messages) == before
    assert "“Here”: 2 messages not removed: other mail lies under" in ended.unfinished[0]


async def test_what_the_person_removed_first_is_forgotten(tmp_path: Path) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    fill(source, "INBOX: A B C")
    await copied(source, target, tmp_path)
    source.expunge(*(each.uid for each in source.messages()[:2]))
    target.expunge(target.messages()[0].uid)
    ended = await copied(source, target, tmp_path)
    assert (ended.complete, ended.tally.removed, len(target.messages())) == (True, 1, 1)
    assert (await copied(source, target, tmp_path)).wire_writes == 0
