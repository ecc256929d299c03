"""What the hoster in memory does beside its control plane: mail finds its way, things go wrong."""

from dataclasses import dataclass

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.providers.actions import Action, Add, Attach, Configure, HandOver, Rename
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Alias, Extra, Group, Redirection
from mailhaul.providers.provider import Refused, TaskState
from mailhaul.providers.service import AccountState, Mode, Verb
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

ANN, BOB, SPARE = "ann@x.test", "bob@x.test", "1@configureme.me"
LETTER = b"Subject: hi\r\n\r\n"


def hoster(*extras: Extra) -> MemoryHoster:
    """Ann and Bob at one service, a placeholder at the other, one domain at both."""
    here, there = MemoryService("mx", verbs=frozenset(Verb)), MemoryService("ex")
    here.hand_over_to = frozenset({"ex"})
    for service in (here, there):
        service.domain("x.test", mode=Mode.NON_AUTHORITATIVE)
    here.account(ANN, LETTER)
    here.account(BOB)
    there.placeholder(SPARE)
    here.extras.extend(extras)
    return MemoryHoster(here, there)


@dataclass(frozen=True)
class Way:
    """What stands there, to whom somebody writes, where it arrives."""

    extras: tuple[Extra, ...]
    to: str
    arrives: list[str]


@pytest.mark.parametrize(
    "way",
    [
        Way((), ANN, [ANN]),
        Way((), "ANN@X.test", [ANN]),
        Way((), "nobody@x.test", []),
        Way((), "ann@elsewhere.test", []),
        Way((Alias(ANN, "a@x.test"),), "a@x.test", [ANN]),
        Way((Redirection(ANN, BOB),), ANN, [BOB]),
        Way((Redirection(ANN, BOB, copy=True),), ANN, [BOB, ANN]),
        Way((Redirection(ANN, "c@y.test"),), ANN, ["c@y.test"]),
        Way((Redirection(ANN, BOB), Redirection(BOB, ANN)), ANN, [ANN]),
        Way((Group("all@x.test", (ANN, BOB)),), "all@x.test", [ANN, BOB]),
    ],
    ids=str,
)
def test_mail_finds_its_way(way: Way) -> None:
    there = hoster(*way.extras)
    assert there.deliver(way.to, LETTER) == way.arrives
    assert there.bounced == ([] if way.arrives else [(way.to, LETTER)])


async def test_mail_goes_to_the_account_and_not_to_an_alias_that_stands_in() -> None:
    there = hoster(Alias(BOB, "carl@x.test"))
    assert there.deliver("carl@x.test", LETTER) == [BOB]
    there.service("ex").account("carl@x.test")
    assert there.deliver("carl@x.test", LETTER) == ["carl@x.test"]
    bob = there.service("mx").found(BOB)
    assert bob is not None
    assert bob.box.total() == 1


async def test_a_task_that_was_forgotten_is_seen_by_what_it_left() -> None:
    there = hoster()
    provider, action = MemoryProvider(there, "mx"), Rename(ANN, "ann01@x.test")
    task = await provider.begin(action, "key")
    there.service("mx").forget_tasks()
    assert (await provider.task(task.id)).state is TaskState.TODO
    there.tick(2)
    there.service("mx").forget_tasks()
    with pytest.raises(BadInput):
        await provider.task(task.id)
    assert await holding(provider, action) is Holding.HOLDS
    assert (await provider.begin(action, "key")).state is TaskState.DONE


async def test_a_placeholder_that_somebody_configured_meanwhile_is_refused() -> None:
    there = hoster()
    provider, action = MemoryProvider(there, "ex"), Configure(SPARE, ANN)
    assert not (await provider.plan(action)).findings
    by_hand = there.service("ex").found(SPARE)
    assert by_hand is not None
    by_hand.state, by_hand.address = AccountState.CONFIGURED, "carl@x.test"
    with pytest.raises(Refused) as raised:
        await provider.begin(action, "key")
    assert [each.code for each in raised.value.findings] == ["PLACEHOLDER_GONE"]


REFUSED: list[tuple[Action, str]] = [
    (Attach("y.test"), "DOMAIN_CLAIMED"),
    (HandOver(ANN, "elsewhere", SPARE), "SERVICE_UNKNOWN"),
    (HandOver(ANN, "ex", SPARE), "QUOTA_TOO_SMALL"),
    (HandOver(BOB, "ex", SPARE), "FORWARD_EXIST"),
]


@pytest.mark.parametrize(("action", "code"), REFUSED)
async def test_a_hoster_refuses_for_its_own_reasons(action: Action, code: str) -> None:
    there = hoster(Redirection(BOB, ANN))
    there.service("ex").domain("y.test")
    placeholder = there.service("ex").found(SPARE)
    assert placeholder is not None
    placeholder.quota = 3
    with pytest.raises(Refused) as raised:
        await MemoryProvider(there, "mx").begin(action, "key", Secret(PASSWORD))
    assert [each.code for each in raised.value.findings] == [code]


async def test_a_hand_over_keeps_the_account_shut_and_may_lose_mail() -> None:
    there = hoster()
    provider, action = MemoryProvider(there, "mx"), HandOver(ANN, "ex", SPARE)

    def lose(box: MemoryMailbox) -> None:
        box.expunge(1)

    there.service("ex").loses = lose
    await provider.begin(action, "key", Secret(PASSWORD))
    found = await provider.account(ANN)
    assert found is not None
    assert found.state is AccountState.BUSY
    there.deliver(ANN, b"Subject: meanwhile\r\n\r\n")
    there.tick(2)
    carried = there.service("ex").found(ANN)
    assert carried is not None
    assert [each.data for each in carried.box.messages()] == [b"Subject: meanwhile\r\n\r\n"]
    assert await provider.account(ANN) is None


async def test_a_group_that_was_half_made_is_completed() -> None:
    there = hoster()
    provider, action = MemoryProvider(there, "mx"), Add(Group("all@x.test", (ANN, BOB)))
    there.service("mx").arm(Fault.HALF)
    await provider.begin(action, "key")
    there.tick(2)
    assert await holding(provider, action) is Holding.PARTLY
    await provider.begin(action, "key")
    there.tick(2)
    assert await provider.extras("all@x.test") == [action.extra]


async def test_faults_come_in_their_order_or_always() -> None:
    there = hoster()
    service, provider = there.service("mx"), MemoryProvider(there, "mx")
    service.arm(Fault.FAILS, Fault.CANCELLED)
    service.arm(Fault.STALLS, always=True)
    states = []
    for number in range(3):
        task = await provider.begin(Rename(ANN, "ann01@x.test"), f"key {number}")
        there.tick(2)
        states.append((await provider.task(task.id)).state)
    assert states == [TaskState.ERROR, TaskState.CANCELLED, TaskState.DOING]
