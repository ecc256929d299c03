"""What holds at a provider is seen from what stands there, whatever a task said."""

from dataclasses import dataclass, field

import pytest

from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Lock,
    Release,
    Remove,
    Rename,
    SetMode,
    Unlock,
    inverse,
)
from mailhaul.providers.effects import Holding, holding, rival, same_extra
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
from mailhaul.providers.service import AccountState, DomainStatus, Mode
from tests.providers.memory import MemoryDomain, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

HOLDS, ABSENT, PARTLY, UNKNOWN = Holding
C, P, L, B = AccountState
A, Z, SPARE = "a@x.test", "z@x.test", "1@configureme.me"
AUTO, NON = Mode


@dataclass(frozen=True)
class Case:
    """Accounts and their states, extras, the domain; and whether the action holds then."""

    action: Action
    holding: Holding
    accounts: dict[str, AccountState] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    domain: MemoryDomain | None = None

    def __str__(self) -> str:
        what = {each: state.value for each, state in self.accounts.items()}
        stands = [*what.items(), *self.extras, *([self.domain] if self.domain else [])]
        return f"{type(self.action).__name__} {self.holding} with {stands}"


def domain(status: DomainStatus, mode: Mode = AUTO, relay: str = "") -> MemoryDomain:
    return MemoryDomain("x.test", status, mode, relay)


OK, CREATING, UNPROVEN, DELETING, ERROR = DomainStatus
SET = SetMode("x.test", NON, "mx.old.test", AUTO, "")
GROUP = Group("all@x.test", (A, Z))
AWAY = Responder(A, "one\r\ntwo\r\n", "away")

CASES = [
    Case(Create(A), ABSENT),
    Case(Create(A), HOLDS, {A: C}),
    Case(Create(A), HOLDS, {A: L}),
    Case(Create(A), PARTLY, {A: P}),
    Case(Create(A), UNKNOWN, {A: B}),
    Case(Create(A.upper()), HOLDS, {A: C}),
    Case(Configure(SPARE, A), ABSENT, {SPARE: P}),
    Case(Configure(SPARE, A), HOLDS, {A: C}),
    Case(Configure(SPARE, A), PARTLY, {A: P}),
    Case(Configure(SPARE, A), PARTLY, {A: L}),
    Case(Configure(SPARE, A), PARTLY, {A: C, SPARE: P}),
    Case(Configure(SPARE, A), PARTLY),
    Case(Configure(SPARE, A), UNKNOWN, {SPARE: B}),
    Case(Release(A, SPARE), ABSENT, {A: C}),
    Case(Release(A, SPARE), HOLDS, {SPARE: P}),
    Case(Release(A, SPARE), PARTLY, {SPARE: C}),
    Case(Rename(A, Z), ABSENT, {A: C}),
    Case(Rename(A, Z), HOLDS, {Z: C}),
    Case(Rename(A, Z), HOLDS, {Z: L}),
    Case(Rename(A, Z), PARTLY, {A: C, Z: C}),
    Case(Rename(A, Z), PARTLY),
    Case(Rename(A, Z), UNKNOWN, {A: B}),
    Case(Rename(A, Z), UNKNOWN, {A: C, Z: B}),
    Case(Rename(A, Z), HOLDS, {Z: C}, (Alias(Z, A),)),
    Case(Lock(A), ABSENT, {A: C}),
    Case(Lock(A), HOLDS, {A: L}),
    Case(Lock(A), ABSENT),
    Case(Lock(A), UNKNOWN, {A: B}),
    Case(Unlock(A), HOLDS, {A: C}),
    Case(Unlock(A), ABSENT, {A: L}),
    Case(Delete(A), HOLDS),
    Case(Delete(A), ABSENT, {A: C}),
    Case(Delete(A), ABSENT, {A: L}),
    Case(Delete(A), UNKNOWN, {A: B}),
    Case(Add(Alias(A, Z)), ABSENT, {A: C}),
    Case(Add(Alias(A, Z)), HOLDS, {A: C}, (Alias(A, Z.upper()),)),
    Case(Remove(Alias(A, Z)), HOLDS, {A: C}),
    Case(Remove(Alias(A, Z)), ABSENT, {A: C}, (Alias(A, Z),)),
    Case(Add(Redirection(A, Z)), PARTLY, {A: C}, (Redirection(A, Z, copy=True),)),
    Case(Remove(Redirection(A, Z)), HOLDS, {A: C}, (Redirection(A, Z, copy=True),)),
    Case(Add(AWAY), HOLDS, {A: C}, (Responder(A, "one\ntwo", "away"),)),
    Case(Add(AWAY), PARTLY, {A: C}, (Responder(A, "three", "away"),)),
    Case(Add(GROUP), HOLDS, {}, (Group("ALL@x.test", (Z, A), "Everybody"),)),
    Case(Add(GROUP), PARTLY, {}, (Group("all@x.test", (A,)),)),
    Case(Attach("x.test"), ABSENT),
    Case(Attach("x.test"), HOLDS, domain=domain(OK)),
    Case(Attach("X.test"), HOLDS, domain=domain(UNPROVEN)),
    Case(Attach("x.test"), UNKNOWN, domain=domain(CREATING)),
    Case(Attach("x.test"), PARTLY, domain=domain(ERROR)),
    Case(Attach("x.test"), PARTLY, domain=domain(OK, NON, "mx.old.test")),
    Case(Detach("x.test"), HOLDS),
    Case(Detach("x.test"), ABSENT, domain=domain(OK)),
    Case(Detach("x.test"), UNKNOWN, domain=domain(DELETING)),
    Case(SET, ABSENT, domain=domain(OK)),
    Case(SET, HOLDS, domain=domain(OK, NON, "MX.old.test.")),
    Case(SET, PARTLY, domain=domain(OK, NON)),
    Case(SET, ABSENT),
    Case(HandOver(A, "ex", SPARE), ABSENT, {A: C}),
    Case(HandOver(A, "ex", SPARE), HOLDS),
    Case(HandOver(A, "ex", SPARE), PARTLY, {A: L}),
]


def world(case: Case) -> MemoryProvider:
    service = MemoryService("mx", extras=list(case.extras))
    for address, state in case.accounts.items():
        service.account(address).state = state
    if case.domain:
        service.domains.append(case.domain)
    return MemoryProvider(MemoryHoster(service), "mx")


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_stands_says_what_holds(case: Case) -> None:
    provider = world(case)
    assert await holding(provider, case.action) is case.holding
    opposite = inverse(case.action)
    if opposite is not None and case.holding is HOLDS:
        assert await holding(provider, opposite) is not HOLDS


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ({A: C}, {SPARE: P}, ABSENT),
        ({}, {A: C}, HOLDS),
        ({A: L}, {SPARE: P}, PARTLY),
        ({}, {SPARE: P}, PARTLY),
        ({A: C}, {A: C}, PARTLY),
        ({A: B}, {SPARE: P}, UNKNOWN),
        ({A: C}, {SPARE: B}, UNKNOWN),
        ({}, {}, PARTLY),
    ],
)
async def test_a_hand_over_is_seen_from_both_sides(
    source: dict[str, AccountState], target: dict[str, AccountState], found: Holding
) -> None:
    action = HandOver(A, "ex", SPARE)
    there, here = world(Case(action, HOLDS, target)), world(Case(action, HOLDS, source))
    assert await holding(here, action, there) is found


ALL: list[Extra] = [
    Alias(A, Z),
    Redirection(A, Z),
    Redirection(A, Z, copy=True),
    Responder(A, "one"),
    Responder(A, "one", ends=5),
    Responder(A, "one", copy_to=Z),
    Filter(A, "f", "keep;"),
    Filter(A, "f", "discard;"),
    Filter(A, "f", words="in words"),
    Delegation(A, Z, Right.FULL),
    Delegation(A, Z, Right.SEND_AS),
    Group(A, (Z,)),
    Group(A, ()),
    Remark(A, "footer", "bye"),
    Remark(A, "footer", "bye!"),
]
RIVALS = {(1, 2), (3, 4), (3, 5), (4, 5), (6, 7), (6, 8), (7, 8), (11, 12)}


@pytest.mark.parametrize("first", range(len(ALL)))
def test_extras_are_the_same_or_rivals_or_neither(first: int) -> None:
    for second, other in enumerate(ALL):
        assert same_extra(ALL[first], other) is (first == second)
        assert rival(ALL[first], other) is (tuple(sorted((first, second))) in RIVALS)
