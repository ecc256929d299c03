"""Many accounts made at one provider: looked at, counted, begun, waited for, said again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mailhaul.core.errors import Closed, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers.actions import Action, Add, Configure, Create
from mailhaul.providers.extras import Alias, Group
from mailhaul.providers.making import (
    Fate,
    Looked,
    Made,
    Pause,
    address_of,
    lacking,
    look,
    make,
    settled,
)
from mailhaul.providers.service import AccountState, Verb
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

DOMAIN = "acme.test"
ANNA, BERT, CLEO = (f"{name}@{DOMAIN}" for name in ("anna", "bert", "cleo"))
PLACES = ("p1@configureme.me", "p2@configureme.me")
CREATES = frozenset({Verb.CREATE, Verb.ALIASES, Verb.GROUPS})
CONFIGURES = frozenset({Verb.CONFIGURE, Verb.ALIASES, Verb.GROUPS})


@dataclass
class Shop:
    """A service on which accounts are made, whose time passes while somebody waits."""

    verbs: frozenset[Verb] = CREATES
    begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = MemoryService("ex", verbs=self.verbs)
        self.state.domain(DOMAIN)
        self.hoster = MemoryHoster(self.state)
        self.provider = MemoryProvider(self.hoster, "ex")

    async def _sleep(self, seconds: float) -> None:
        self.hoster.tick()
        await asyncio.sleep(0)

    @property
    def pause(self) -> Pause:
        return Pause(every=1.0, patience=20.0, sleep=self._sleep)

    async def make(self, looked: Sequence[Looked]) -> dict[str, Made]:
        async def secret(action: Action) -> Secret | None:
            self.begun.append(address_of(action))
            return Secret(PASSWORD) if isinstance(action, Create | Configure) else None

        def key(action: Action, attempt: int) -> str:
            return f"{action} {attempt}"

        found = make(self.provider, looked, key, secret, self.pause)
        return {address_of(each.action): each async for each in found}

    async def made(self, *actions: Action) -> dict[str, Fate]:
        done = await self.make(await look(self.provider, actions))
        return {address: each.fate for address, each in done.items()}

    @property
    def there(self) -> set[str]:
        return {e.address for e in self.state.accounts if e.state is AccountState.CONFIGURED}


async def test_a_look_changes_nothing_and_says_what_each_would_do() -> None:
    shop = Shop()
    shop.state.account(ANNA)
    shop.state.extras.append(Group(CLEO, (ANNA,)))
    found = await look(shop.provider, [Create(ANNA), Create(BERT), Create(CLEO)])
    assert [(each.holds, bool(each.why)) for each in found] == [
        (True, False), (False, False), (False, True),
    ]  # fmt: skip
    assert shop.state.asked["begin"] == 0
    assert "exists already" in found[2].why


async def test_accounts_are_made_then_found_there() -> None:
    shop = Shop()
    assert await shop.made(Create(ANNA), Create(BERT)) == {ANNA: Fate.MADE, BERT: Fate.MADE}
    assert shop.there == {ANNA, BERT}
    assert await shop.made(Create(ANNA), Create(CLEO)) == {ANNA: Fate.THERE, CLEO: Fate.MADE}
    assert shop.begun == [ANNA, BERT, CLEO]


async def test_placeholders_become_accounts_and_reserved_ones_are_left() -> None:
    shop = Shop(CONFIGURES)
    for place in PLACES:
        shop.state.placeholder(place)
    found = await look(shop.provider, [Create(ANNA, "Anna"), Create(BERT)], [PLACES[0]])
    assert found[0].action == Configure(PLACES[1], ANNA, "Anna")
    assert "all of them reserved" in found[1].why
    done = await shop.make(found)
    assert (done[ANNA].fate, done[BERT].fate) == (Fate.MADE, Fate.FAILED)
    assert shop.state.found(PLACES[0]) is not None


async def test_a_placeholder_that_is_too_small_is_not_taken() -> None:
    shop = Shop(CONFIGURES)
    shop.state.placeholder(PLACES[0], quota=1_000)
    shop.state.placeholder(PLACES[1], quota=9_000)
    found = await look(shop.provider, [Create(ANNA, quota=5_000), Create(BERT, quota=5_000)])
    assert found[0].action == Configure(PLACES[1], ANNA)
    assert "the largest free account takes" in found[1].why


async def test_an_alias_waits_for_its_account_and_for_no_other() -> None:
    shop = Shop()
    wanted = [Add(Alias(ANNA, f"a@{DOMAIN}")), Add(Alias(BERT, f"b@{DOMAIN}"))]
    found = await look(shop.provider, wanted, coming=[ANNA])
    assert [bool(each.why) for each in found] == [False, True]


@pytest.mark.parametrize(
    ("free", "said"), [(None, ""), (2, ""), (1, "1 more"), (0, "2 more")], ids=str
)
def test_licences_are_counted(free: int | None, said: str) -> None:
    looked = [
        Looked(Create(ANNA)),
        Looked(Create(BERT)),
        Looked(Create(CLEO), holds=True),
        Looked(Add(Alias(ANNA, f"a@{DOMAIN}"))),
    ]
    found = lacking(looked, free)
    assert bool(found) == bool(said)
    assert said in found


FAULTS = [
    (Fault.FAILS, Fate.FAILED, set(), "ended in error: internal error"),
    (Fault.CANCELLED, Fate.FAILED, set(), "ended in cancelled"),
    (Fault.STALLS, Fate.WAITS, set(), "goes on"),
    (Fault.REFUSED, Fate.FAILED, set(), "the provider can't tell"),
    (Fault.AWAY, Fate.MADE, {ANNA}, ""),
    (Fault.THROTTLED, Fate.MADE, {ANNA}, ""),
    (Fault.REQUEST_LOST, Fate.MADE, {ANNA}, ""),
    (Fault.ANSWER_LOST, Fate.MADE, {ANNA}, ""),
]


@pytest.mark.parametrize(
    ("fault", "fate", "there", "said"), FAULTS, ids=[row[0].name for row in FAULTS]
)
async def test_what_goes_wrong_with_one_is_told_of_it_and_said_again_it_is_made(
    fault: Fault, fate: Fate, there: set[str], said: str
) -> None:
    shop = Shop()
    looked = await look(shop.provider, [Create(ANNA)])
    shop.state.arm(fault)
    done = await shop.make(looked)
    assert done[ANNA].fate is fate
    assert said in done[ANNA].said
    assert shop.there == there
    if fault is not Fault.STALLS:
        assert (await shop.made(Create(ANNA)))[ANNA] in (Fate.MADE, Fate.THERE)
        assert shop.there == {ANNA}


async def test_a_login_that_has_expired_ends_it_all() -> None:
    shop = Shop()
    looked = await look(shop.provider, [Create(ANNA)])
    shop.state.arm(Fault.EXPIRED)
    with pytest.raises(Closed):
        await shop.make(looked)
    assert not shop.there


async def test_an_account_that_somebody_removed_since_is_made_again() -> None:
    shop = Shop()
    await shop.made(Create(ANNA))
    shop.state.accounts.clear()
    assert await shop.made(Create(ANNA)) == {ANNA: Fate.MADE}
    assert shop.there == {ANNA}


async def test_a_task_that_the_provider_has_forgotten_is_judged_by_what_stands() -> None:
    shop = Shop()
    looked = await look(shop.provider, [Create(ANNA)])
    asked = shop.provider.task

    async def forgetful(number: str) -> object:
        shop.hoster.tick(5)
        shop.state.forget_tasks()
        return await asked(number)

    shop.provider.task = forgetful  # type: ignore[method-assign, assignment]
    assert (await shop.make(looked))[ANNA].fate is Fate.MADE


async def test_nothing_is_chosen_while_an_earlier_run_is_still_at_work() -> None:
    shop = Shop(CONFIGURES)
    shop.state.placeholder(PLACES[0])
    await shop.provider.begin(Configure(PLACES[0], ANNA), "before", Secret(PASSWORD))
    await settled(shop.provider, shop.pause)
    assert shop.there == {ANNA}
    shop.state.placeholder(PLACES[1])
    shop.state.arm(Fault.STALLS)
    await shop.provider.begin(Configure(PLACES[1], BERT), "stalls", Secret(PASSWORD))
    with pytest.raises(RetryLater):
        await settled(shop.provider, shop.pause)
