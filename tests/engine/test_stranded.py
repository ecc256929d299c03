"""A copy whose source message was deleted while it was on its way: when it is ours, and when that
can't be known.

A run ends amid sending and has written no row, for the target answers late; people act, and the
next run, which mirrors, removes what it takes for ours. Played straight only: where a row had been
written, much more would be known. What holds wherever a run ends is in tables/underway.py.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.store import Changes, Source
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.passes import run_pass
from mailhaul.stores.memory import Faults, MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.engine.acts import at_source, at_target, target_becomes
from tests.engine.notation import fill, shown
from tests.engine.scenarios import (
    SERVERS,
    Act,
    Listing,
    Scenario,
    Sync,
    World,
    straight,
)
from tests.engine.tables.deleting import MIRROR
from tests.engine.tables.underway import stopped

UNLISTED = (
    "“INBOX”: the source counts 3 messages, of which 2 are accounted for; run again, and if it "
    "stays so look at the source"
)
LATE: dict[str, object] = {"window": 100}


class Holey(Listing):
    """A source that leaves the second message out of its listings."""

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        async for page in self._source.changes(folder, since):
            yield replace(page, entries=[each for each in page.entries if each.key != 2])


def _holey(source: Source) -> Source:
    return Holey(source, lambda folder: folder)  # type: ignore[return-value]


def forget_looks(world: World) -> None:
    """The intent becomes one of an earlier mailhaul."""
    with Ledger.open(world.state, "source → target") as ledger:
        ledger._sql.execute("UPDATE intent SET keys = '[1, 2, 3]'")
        ledger.commit()


def lose_the_first(world: World) -> None:
    """Its row already says that it is gone: another folder's commit wrote that, too, before the
    run ended."""
    with Ledger.open(world.state, "source → target") as ledger:
        (folder,) = ledger.folders()
        assert ledger.gone(folder, [1]) == 1
        ledger.commit()


def _case(
    name: str,
    source: str,
    target: str,
    acts: Sequence[Sync | Act],
    then: Sync,
    ends: str,
    sent: int = 2,
    before: Sequence[Sync | Act] = (),
) -> Scenario:
    return Scenario(
        name,
        source,
        target,
        (*before, stopped(sent, MIRROR), *acts, then),
        ends,
        target_habits=LATE,
        unordered=True,
    )


CASES = (
    _case(
        "as many identical ones as were sent are ours",
        "INBOX: A*3 B",
        "INBOX:",
        [at_source("expunge INBOX A A A")],
        Sync("copied 1, removed 3", MIRROR),
        "INBOX: B",
        sent=3,
    ),
    _case(
        "fewer identical ones than were to be sent are ours",
        "INBOX: A*3 B",
        "INBOX:",
        [at_source("expunge INBOX A A A")],
        Sync("copied 1, removed 2", MIRROR),
        "INBOX: B",
    ),
    _case(
        "some of identical ones are deleted",
        "INBOX: A*3 B",
        "INBOX:",
        [at_source("expunge INBOX A A")],
        Sync("copied 2, removed 2", MIRROR),
        "INBOX: A B",
        sent=3,
    ),
    _case(
        "two look like the one: none is taken",
        "INBOX: A B",
        "INBOX:",
        [at_source("expunge INBOX B"), at_target("deliver INBOX: B")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: A B*2",
    ),
    _case(
        "another message of its size and date looks like the one: none is taken",
        "INBOX: A@5 B@5",
        "INBOX:",
        [at_source("expunge INBOX B"), at_target("deliver INBOX: X@5")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: A@5 B@5 X@5",
    ),
    _case(
        "another message of its size and date was there before",
        "INBOX: A@5 B@5",
        "INBOX: X@5",
        [at_source("expunge INBOX B")],
        Sync("copied 1, removed 1", MIRROR),
        "INBOX: A@5 X@5",
    ),
    _case(
        "what followed one that had not arrived was put there by hand",
        "INBOX: A B C",
        "INBOX:",
        [at_source("expunge INBOX C"), at_target("deliver INBOX: C")],
        Sync("copied 2, removed 0", MIRROR),
        "INBOX: A C B",
        sent=1,
    ),
    _case(
        "its twin had been carried before and lies where it was put",
        "INBOX: A Z",
        "INBOX:",
        [at_source("expunge INBOX A")],
        Sync("copied 2, removed 1", MIRROR),
        "INBOX: A Z",
        sent=1,
        before=[Sync("copied 2", MIRROR), at_source("deliver INBOX: A")],
    ),
    _case(
        "its twin had been carried before and was moved away and back: that may be it",
        "INBOX: A.twin@5 Z",
        "INBOX: | Kept:",
        [
            at_source("expunge INBOX A"),
            at_target("expunge INBOX A"),
            at_target("move INBOX A.twin Kept"),
            at_target("move Kept A.twin INBOX"),
        ],
        Sync("copied 2, removed 0", MIRROR),
        "INBOX: A.twin@5 Z | Kept:",
        sent=1,
        before=[Sync("copied 2", MIRROR), at_source("deliver INBOX: A@5")],
    ),
    _case(
        "a row knows its copy, and another was put there by hand",
        "INBOX: A B C",
        "INBOX:",
        [lose_the_first, at_source("expunge INBOX A"), at_target("deliver INBOX: A")],
        Sync("copied 2, removed 1", MIRROR),
        "INBOX: B C A",
        sent=1,
        before=[stopped(2, MIRROR)],
    ),
    _case(
        "the source only forgot to list it",
        "INBOX: A B C",
        "INBOX:",
        [Sync("census 3, copied 2", MIRROR, wrap=_holey, unfinished=(UNLISTED,))],
        Sync("copied 2, adopted 1", MIRROR),
        "INBOX: A B C",
    ),
    _case(
        "the target alters what it is given: its size tells nothing",
        "INBOX: A.nul B.nul",
        "INBOX:",
        [at_source("expunge INBOX B.nul")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: A.nonul B.nonul",
        before=[target_becomes(alters=lambda data: data.replace(b"\0b\r", b"\x80b"))],
    ),
    _case(
        "the target keeps no dates",
        "INBOX: A B",
        "INBOX:",
        [at_source("expunge INBOX B")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: A@0 B@0",
        before=[target_becomes(keeps_received=False)],
    ),
    _case(
        "the target was renumbered meanwhile",
        "INBOX: A B",
        "INBOX: X",
        [at_source("expunge INBOX B"), at_target("renumber INBOX 4")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: X A B",
    ),
    _case(
        "the run that ended was of an earlier mailhaul",
        "INBOX: A B",
        "INBOX:",
        [forget_looks, at_source("expunge INBOX B")],
        Sync("copied 1, removed 0", MIRROR),
        "INBOX: A B",
    ),
)


@pytest.mark.parametrize("manner", SERVERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_who_is_ours(case: Scenario, manner: str) -> None:
    await straight(case, manner)


class Vague(MemoryTarget):
    """A target that can't tell what was added since, and lists everything."""

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        async for page in super().changes(folder, None):
            yield page


async def test_where_the_target_cannot_tell_what_was_added_nothing_is_ours(tmp_path: Path) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    fill(source, "INBOX: A@5 B")
    names = fill(target, "INBOX: X@5 B")

    def strike(operation: str, folder: str) -> None:
        if operation == "before append":
            raise OSError("gone")

    async def go(faults: Faults | None) -> None:
        with Ledger.open(tmp_path, "pair") as ledger:
            ledger.quiet = 60.0
            at = MemorySource(source), Vague(target, faults)
            async for _ in run_pass(*at, ledger, MIRROR):
                pass

    with pytest.raises(OSError, match="gone"):
        await go(strike)
    source.expunge(1)
    await go(None)
    assert shown(target, names) == {"INBOX": ["X@5", "B"]}
