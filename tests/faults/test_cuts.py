"""Cuts at every class of protocol event, on either side, in the first copy and in deltas.

The classes are not listed here: a run without a cut is watched, and every moment that came in it
is a class. After each cut a plain run follows, and the oracle must find the copy exact: nothing
lost, nothing doubled, order and flags right, and the source as it was. A pass that calls itself
complete in spite of the cut is held to the same at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import pytest

from mailhaul.engine.outcomes import Delete, Options
from tests.faults.cutting_proxy import Action, Cut, CuttingProxy
from tests.faults.framing import Moment, Place
from tests.faults.mailboxes import Person
from tests.faults.oracle import Contents, Verdict, compare
from tests.faults.pairs import Ended, Mailbox, Pair
from tests.faults.soaking import ROUNDS
from tests.servers.process import RunningServer

SIDES = ("source", "target")
TARGETS = ("dovecot", "cyrus")
MESSAGES = 40
AT_ONCE = 12
LEAST_CUTS = 13
"""In each of the 24 tests: more than 300 in all. Not every cut falls: some moments (a NOOP) come in
some passes and not in others."""
ALWAYS = frozenset({"APPEND", "CREATE", "STORE", "EXPUNGE"})
"""Verbs whose moments are cut in every way in every test. Each other class has one of the three
actions in each test, and another in the next phase and at the next target: over all, each has had
all three."""
SHOWN = 5
UNSETTLED = (Place.SENT, Place.ANSWER, Place.ANSWER_HALF)
MIRROR = Options(delete=Delete.MIRROR, max_delete=10_000)


@dataclass(slots=True)
class Tally:
    """What a series of cuts came to; `wrong` are sentences, each of them a failure."""

    fired: int = 0
    interrupted: int = 0
    wrong: list[str] = field(default_factory=list)


@pytest.mark.soak
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("target_name", TARGETS)
async def test_a_first_copy_cut_anywhere_is_exact_after_the_next_run(
    target_name: str,
    side: str,
    action: Action,
    dovecot: RunningServer,
    request: pytest.FixtureRequest,
    states: Path,
) -> None:
    target: RunningServer = request.getfixturevalue(target_name)
    draw = random.Random(f"{target_name} {side} {action}")
    source = Mailbox(dovecot, dovecot.account())
    _person(source, draw).fill(MESSAGES)
    before = source.contents()
    tally = Tally()
    gate = asyncio.Semaphore(AT_ONCE)

    def fresh(number: int) -> Pair:
        return Pair(source, Mailbox(target, target.account()), states / str(number))

    async def one(number: int, cut: Cut) -> None:
        async with gate:
            if not await _cut_then_plain(fresh(number), side, cut, number, before, tally):
                again = fresh(len(cuts) + number)
                await _cut_then_plain(again, side, replace(cut, nth=1), number, before, tally)

    moments = await _watched(fresh(-1), side)
    cuts = _cuts(moments, action, TARGETS.index(target_name), draw)
    await asyncio.gather(*(one(number, cut) for number, cut in enumerate(cuts)))

    assert not tally.wrong, "\n".join(tally.wrong[:SHOWN])
    assert tally.fired >= max(LEAST_CUTS, len(cuts) * 3 // 4)
    assert tally.interrupted, "no cut ever stopped a pass: the cuts do not bite"
    assert source.contents() == before, "the source was touched"


@pytest.mark.soak
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("target_name", TARGETS)
async def test_deltas_cut_anywhere_are_exact_after_the_next_run(
    target_name: str,
    side: str,
    action: Action,
    dovecot: RunningServer,
    request: pytest.FixtureRequest,
    states: Path,
) -> None:
    """Several pairs side by side, on each of them one cut delta after the other."""
    target: RunningServer = request.getfixturevalue(target_name)
    seed = f"delta {target_name} {side} {action}"
    pairs = [
        Pair(
            *(Mailbox(dovecot, dovecot.account()), Mailbox(target, target.account())),
            *(states / str(number), MIRROR),
        )
        for number in range(AT_ONCE)
    ]
    people = [
        _person(pair.source, random.Random(f"{seed} {pair.directory.name}")) for pair in pairs
    ]
    tally = Tally()

    async def chain(pair: Pair, person: Person, cuts: Sequence[Cut]) -> None:
        for number, cut in enumerate(cuts):
            # A moment that came less often this time comes once.
            for nth in (cut.nth, 1):
                await asyncio.to_thread(person.go_on, new=6, flagged=6, deleted=5)
                before = await asyncio.to_thread(pair.source.contents)
                tried = replace(cut, nth=nth)
                fired = await _cut_then_plain(pair, side, tried, number, before, tally)
                after = await asyncio.to_thread(pair.source.contents)
                assert after == before, f"{cut}: the source was touched"
                if tally.wrong:
                    return  # what is wrong now stays so in every pass that follows
                if fired:
                    break

    for pair, person in zip(pairs, people, strict=True):
        person.fill(MESSAGES)
        assert (await pair.run()).complete
    people[0].go_on(new=6, flagged=6, deleted=2)
    moments = await _watched(pairs[0], side)
    draw = random.Random(seed)
    classes = {moment: often for moment, often in moments.items() if moment.verb != "GREETING"}
    cuts = _cuts(classes, action, TARGETS.index(target_name) + 1, draw)
    draw.shuffle(cuts)
    await asyncio.gather(
        *(
            chain(pair, person, cuts[number::AT_ONCE])
            for number, (pair, person) in enumerate(zip(pairs, people, strict=True))
        )
    )

    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.fired >= max(LEAST_CUTS, len(cuts) * 3 // 4)
    assert tally.interrupted, "no cut ever stopped a pass: the cuts do not bite"


@pytest.mark.parametrize("target_name", TARGETS)
async def test_a_blind_retry_after_these_cuts_would_have_doubled(
    target_name: str, dovecot: RunningServer, request: pytest.FixtureRequest, states: Path
) -> None:
    """The control: after a cut between the final CRLF and its OK, messages lie at the target
    of which the pass was never told; whoever sends again what was not answered doubles these."""
    target: RunningServer = request.getfixturevalue(target_name)
    draw = random.Random(3)
    source = Mailbox(dovecot, dovecot.account())
    _person(source, draw).fill(MESSAGES)

    async def untold(number: int, place: Place) -> int:
        pair = Pair(source, Mailbox(target, target.account()), states / str(number))
        action = draw.choice((Action.FIN, Action.RST))
        cut = Cut(Moment(place, "APPEND"), draw.randint(1, 3), action)
        _, proxy = await _run_through(pair, "target", cut, Options(retries=0))
        assert proxy.fired
        stored = sum(len(copies) for copies in pair.target.contents().values())
        assert (await pair.run()).complete
        assert pair.verdict().exact, f"{cut}: {pair.verdict()}"
        return stored - proxy.acknowledged

    stored_untold = await asyncio.gather(
        *(untold(number, place) for number, place in enumerate(UNSETTLED * 3))
    )
    assert sum(stored_untold) >= 6


async def _cut_then_plain(
    pair: Pair, side: str, cut: Cut, number: int, before: Contents, tally: Tally
) -> bool:
    """A pass that is cut and one that isn't; the source holds what it held `before`. Whether the
    cut fell."""
    # Half of the passes may go on by themselves, half must stop at the first trouble.
    options = replace(pair.options, retries=number % 2 * 6)
    ended, proxy = await _run_through(pair, side, cut, options)
    tally.fired += proxy.fired
    tally.interrupted += proxy.fired and not ended.complete
    if ended.complete and not (verdict := await _judged(pair, before)).exact:
        tally.wrong.append(f"{side} {cut}: called itself complete: {verdict}")
    plain = await pair.run()
    if not plain.complete:
        tally.wrong.append(f"{side} {cut}: the plain run is not complete: {plain}")
    elif not (verdict := await _judged(pair, before)).exact:
        tally.wrong.append(f"{side} {cut}: {verdict}")
    return proxy.fired


async def _judged(pair: Pair, before: Contents) -> Verdict:
    """Read in a thread, for other passes go on in this loop."""
    return compare(before, await asyncio.to_thread(pair.target.contents))


async def _run_through(
    pair: Pair, side: str, cut: Cut | None, options: Options
) -> tuple[Ended, CuttingProxy]:
    server = pair.source.server if side == "source" else pair.target.server
    proxy = CuttingProxy(server.host, server.port, cut=cut)
    async with _opened(proxy):
        if side == "source":
            ended = await pair.run(source_port=proxy.port, options=options)
        else:
            ended = await pair.run(target_port=proxy.port, options=options)
    return ended, proxy


@asynccontextmanager
async def _opened(proxy: CuttingProxy) -> AsyncIterator[None]:
    """Closing a proxy joins its threads, which other passes in this loop must not wait for."""
    proxy.__enter__()
    try:
        yield
    finally:
        await asyncio.to_thread(proxy.__exit__, None, None, None)


async def _watched(pair: Pair, side: str) -> Mapping[Moment, int]:
    """Every moment of a pass without a cut, and how often it came; the copy is exact."""
    ended, proxy = await _run_through(pair, side, None, pair.options)
    assert ended.complete, ended
    assert pair.verdict().exact, pair.verdict()
    return proxy.moments


def _cuts(
    moments: Mapping[Moment, int], action: Action, shift: int, draw: random.Random
) -> list[Cut]:
    """This action's share of all classes, each at an occurrence drawn by chance; all of it again
    for each round of a soak."""
    actions = list(Action)
    chosen = [
        moment
        for moment in sorted(moments, key=str)
        if moment.verb in ALWAYS
        or actions[(crc32(str(moment).encode()) + shift) % len(actions)] is action
    ]
    return [Cut(moment, draw.randint(1, moments[moment]), action) for moment in chosen * ROUNDS]


def _person(mailbox: Mailbox, draw: random.Random) -> Person:
    server, account = mailbox.server, mailbox.account
    return Person(server.host, server.port, account.user, account.password, draw)
