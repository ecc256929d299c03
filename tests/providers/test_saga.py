"""The steps of a move, carried out at the hoster in memory: nobody's mail is lost on any of them,
and up to a hand-over all of them lead back."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mailhaul.core.text import Secret, printable
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    HandOver,
    Remove,
    Rename,
    SetMode,
)
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
    Right,
)
from mailhaul.providers.paths import Path
from mailhaul.providers.provider import OVER, Provider, TaskState
from mailhaul.providers.saga import (
    ExtrasRule,
    Guard,
    Move,
    Needed,
    On,
    Part,
    Step,
    left_behind,
    steps,
    undoing,
)
from mailhaul.providers.service import (
    DomainStatus,
    Generation,
    HostedDomain,
    Mode,
    Service,
    Verb,
)
from tests.providers.memory import PASSWORD, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider
from tests.providers.suite import Snapshot, snapshot

ANN, BOB, TEMPORARY, SPARE = "ann@x.test", "bob@x.test", "ann01@x.test", "1@configureme.me"
ALIAS = Alias(ANN, "a@x.test")
FULL, COPY = Redirection(ANN, BOB), Redirection(ANN, "carl@y.test", copy=True)
AWAY = Responder(ANN, "away")
RULE, WORDY = Filter(ANN, "plans", "keep;"), Filter(ANN, "old rule", words="if big, discard")
RIGHT = Delegation(ANN, BOB, Right.FULL)
EVERYTHING = (ALIAS, FULL, COPY, AWAY, RULE, WORDY, RIGHT)


def source(*verbs: Verb) -> Service:
    return Service("ovh-mxplan", "mx", "MX Plan", frozenset({Verb.RENAME, *verbs}))


ALL = frozenset(Verb)
EXCHANGE = Service("ovh-exchange", "ex", "Exchange", ALL)
MOVE = Move(ANN, "Ann", temporary=TEMPORARY, placeholder=SPARE)
STANDING_IN = Alias(TEMPORARY, ANN)
HERE = HostedDomain("x.test", DomainStatus.OK)
RELAYED = SetMode("x.test", Mode.NON_AUTHORITATIVE, "mx.test", Mode.AUTHORITATIVE, "")

S, T = On.SOURCE, On.TARGET
PLAIN: list[tuple[On, Action]] = [
    (S, Rename(ANN, TEMPORARY)),
    (T, Configure(SPARE, ANN, "Ann")),
]
GUARDED: list[tuple[On, Action]] = [
    (S, Rename(ANN, TEMPORARY)),
    (S, Add(STANDING_IN)),
    (T, Configure(SPARE, ANN, "Ann")),
    (S, Remove(STANDING_IN)),
]

ORDERS: list[tuple[str, Path, Move, Service, Service, list[tuple[On, Action]]]] = [
    ("the least", Path.NEW, MOVE, source(), EXCHANGE, PLAIN),
    ("an alias stands in", Path.NEW, MOVE, source(Verb.ALIASES), EXCHANGE, GUARDED),
    (
        "no guard is wanted",
        Path.NEW,
        replace(MOVE, guard=Guard.NONE),
        source(Verb.ALIASES),
        EXCHANGE,
        PLAIN,
    ),
    (
        "a relay stands in",
        Path.NEW,
        replace(MOVE, domain=HERE, relay="mx.test"),
        source(Verb.RELAY),
        EXCHANGE,
        [(S, RELAYED), *PLAIN],
    ),
    (
        "a relay that stands already",
        Path.NEW,
        replace(
            MOVE,
            domain=HostedDomain("x.test", DomainStatus.OK, Mode.NON_AUTHORITATIVE, "mx.test"),
            relay="mx.test",
        ),
        source(Verb.RELAY),
        EXCHANGE,
        PLAIN,
    ),
    (
        "without placeholders",
        Path.NEW,
        replace(MOVE, placeholder=""),
        source(),
        EXCHANGE,
        [PLAIN[0], (T, Create(ANN, "Ann"))],
    ),
    (
        "everything is carried",
        Path.NEW,
        replace(MOVE, extras=EVERYTHING, rule=ExtrasRule.CARRY),
        source(Verb.ALIASES),
        EXCHANGE,
        [
            (S, Remove(FULL)),
            (S, Remove(COPY)),
            (S, Remove(AWAY)),
            *GUARDED,
            (S, Remove(Alias(TEMPORARY, ALIAS.alias))),
            (T, Add(ALIAS)),
            (T, Add(FULL)),
            (T, Add(COPY)),
            (T, Add(AWAY)),
            (T, Add(RULE)),
            (T, Add(RIGHT)),
        ],
    ),
    (
        "what is in the way is removed alone",
        Path.LEGACY,
        replace(MOVE, extras=EVERYTHING, rule=ExtrasRule.REMOVE),
        source(),
        EXCHANGE,
        [
            (S, Remove(FULL)),
            (S, Remove(COPY)),
            (S, Remove(AWAY)),
            (S, HandOver(ANN, "ex", SPARE)),
        ],
    ),
    (
        "nothing is touched that the plan refuses",
        Path.LEGACY,
        replace(MOVE, extras=EVERYTHING),
        source(),
        EXCHANGE,
        [(S, HandOver(ANN, "ex", SPARE))],
    ),
    (
        "an address is made elsewhere",
        Path.CREATE,
        replace(MOVE, placeholder="", quota=9, extras=(ALIAS, AWAY), rule=ExtrasRule.CARRY),
        source(),
        replace(EXCHANGE, verbs=frozenset({Verb.CREATE, Verb.ALIASES})),
        [(T, Create(ANN, "Ann", 9)), (T, Add(ALIAS))],
    ),
    ("accounts are left alone", Path.NONE, MOVE, source(), EXCHANGE, []),
]


@pytest.mark.parametrize(
    ("path", "move", "here", "there", "expected"),
    [each[1:] for each in ORDERS],
    ids=[each[0] for each in ORDERS],
)
def test_the_steps_have_their_order(
    path: Path, move: Move, here: Service, there: Service, expected: list[tuple[On, Action]]
) -> None:
    found = steps(path, move, here, there)
    assert [(each.on, each.action) for each in found] == expected
    assert found == steps(path, move, here, there)
    for each in found:
        assert printable(each.words) == each.words
        assert each.undoable is not isinstance(each.action, HandOver)
        assert each.shared is isinstance(each.action, SetMode)
        assert (each.needed is Needed.NEW_PASSWORD) is (each.part is Part.ARRIVE)
        assert (each.needed is Needed.SOURCE_PASSWORD) is (each.part is Part.HAND_OVER)


def test_what_stays_behind_is_listed_with_its_reason() -> None:
    group = Group("all@x.test", (ANN, BOB))
    far = Alias(ANN, "ann@elsewhere.test")
    footer = Remark(ANN, "footer", "bye")
    theirs = Delegation(BOB, ANN, Right.SEND_AS)
    move = replace(MOVE, extras=(*EVERYTHING, group, far, footer, theirs), rule=ExtrasRule.CARRY)
    target = replace(EXCHANGE, verbs=ALL - {Verb.DELEGATIONS})
    told = {each.kind: each.text for each in left_behind(Path.NEW, move, target)}
    assert told == {
        "the filter “old rule” of ann@x.test": "the rule can't be said in Sieve",
        "bob@x.test's right “full access” on ann@x.test": "the target can't do delegations",
        "the group all@x.test of 2": "groups are made by themselves, not with an account",
        "the alias ann@elsewhere.test of ann@x.test": "lies in another domain than the account",
        "footer of ann@x.test: bye": "can only be listed",
        "ann@x.test's right “send as” on bob@x.test": "stands at another address",
    }
    assert left_behind(Path.NONE, move, target) == ()


@dataclass
class World:
    """Both services, and somebody who writes to every address of Ann's all the time."""

    hoster: MemoryHoster
    numbers: Iterator[int] = field(default_factory=count)
    written: set[bytes] = field(default_factory=set)
    at: Part = Part.CLEAR
    nowhere: set[tuple[str, Part]] = field(default_factory=set)
    """Whose mail came back, and during which part of the move."""

    def provider(self, on: On) -> Provider:
        return MemoryProvider(self.hoster, "mx" if on is On.SOURCE else "ex")

    def write(self) -> None:
        for address in (ANN, ALIAS.alias):
            letter = b"Subject: %d\r\n\r\n" % next(self.numbers)
            self.written.add(letter)
            if not self.hoster.deliver(address, letter):
                self.nowhere.add((address, self.at))

    def held(self) -> set[bytes]:
        """All that lies in accounts or went on to others."""
        boxes = (each.box for s in self.hoster.services.values() for each in s.accounts)
        letters = {each.data for box in boxes for path in box.paths for each in box.messages(path)}
        return letters | {letter for _, letter in self.hoster.forwarded}

    async def carry_out(self, step: Step) -> None:
        provider, self.at = self.provider(step.on), step.part
        secret = None if step.needed is Needed.NOTHING else Secret(PASSWORD)
        task = await provider.begin(step.action, f"key {next(self.numbers)}", secret)
        while task.state not in OVER:
            self.write()
            self.hoster.tick()
            task = await provider.task(task.id)
        assert task.state is TaskState.DONE, step
        other = self.provider(On.TARGET) if isinstance(step.action, HandOver) else None
        assert await holding(provider, step.action, other) is Holding.HOLDS


def world(extras: tuple[Extra, ...], *, generation: Generation) -> World:
    here, there = MemoryService("mx", verbs=ALL), MemoryService("ex", verbs=ALL)
    here.generation, here.hand_over_to = generation, frozenset({"ex"})
    for service in (here, there):
        service.domain("x.test", mode=Mode.NON_AUTHORITATIVE)
    here.account(ANN, b"Subject: old\r\n\r\n")
    here.account(BOB)
    here.extras.extend(extras)
    there.placeholder(SPARE)
    there.placeholder("2@configureme.me")
    made = World(MemoryHoster(here, there))
    made.written.add(b"Subject: old\r\n\r\n")
    return made


SETS = some.sets(some.sampled_from(EVERYTHING)).map(lambda found: (ALIAS, *(found - {ALIAS})))


def _uncounted(seen: Snapshot) -> Snapshot:
    """Mail arrives all the time."""
    return replace(seen, accounts=tuple((*each[:3], None, each[4]) for each in seen.accounts))


@given(
    path=some.sampled_from([Path.NEW, Path.LEGACY]),
    extras=SETS,
    rule=some.sampled_from([ExtrasRule.CARRY, ExtrasRule.REMOVE]),
    guard=some.sampled_from([Guard.ALIAS, Guard.NONE]),
    turn=some.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
async def test_a_move_leads_there_and_back(
    path: Path, extras: tuple[Extra, ...], rule: ExtrasRule, guard: Guard, turn: int
) -> None:
    there = world(extras, generation=Generation.NEW)
    move = replace(MOVE, extras=extras, rule=rule, guard=guard)
    services = [await there.provider(on).service() for on in On]
    saga = steps(path, move, *services)
    before = [_uncounted(await snapshot(there.provider(on))) for on in On]
    gone: list[Step] = []
    for step in saga[:turn]:
        await there.carry_out(step)
        gone.append(step)
    irrevocable = any(not each.undoable for each in gone)
    if len(gone) < len(saga) and not irrevocable:
        for step in reversed(gone):
            back = undoing(step)
            assert back is not None
            await there.carry_out(back)
        after = [_uncounted(await snapshot(there.provider(on))) for on in On]
        assert after == before
    elif len(gone) == len(saga):
        found = await there.provider(On.TARGET).account(ANN)
        assert found is not None
        assert await there.provider(On.SOURCE).account(ANN) is None
    bounced = {letter for _, letter in there.hoster.bounced}
    assert there.held() | bounced == there.written
    guarded = path is Path.LEGACY or guard is Guard.ALIAS
    # A rename that is taken back has its own while until it is done.
    allowed = {Part.RENAME, Part.GUARD if guarded else Part.ARRIVE}
    assert {part for address, part in there.nowhere if address == ANN} <= allowed
