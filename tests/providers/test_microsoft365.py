"""Microsoft 365 keeps the contract and asks nothing that the schema forbids: its accounts."""

from collections.abc import AsyncIterator

import pytest

from mailhaul.core.errors import BadInput, Closed, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Create,
    Delete,
    Lock,
    Rename,
)
from mailhaul.providers.provider import TaskState
from mailhaul.providers.service import AccountState
from tests.providers.graph_answers import Refusal
from tests.providers.graph_house import (
    DOMAIN,
    INITIAL,
    PASSWORD,
    GraphHouse,
    account,
    ended,
    graph_house,
    refused,
    writes,
)
from tests.providers.graph_simulator import ROUTES
from tests.providers.graph_state import SKU, DirectoryGroup, User
from tests.providers.suite import ProviderSuite


@pytest.fixture
async def house() -> AsyncIterator[GraphHouse]:
    async with graph_house() as made:
        yield made


class TestMicrosoft365(ProviderSuite):
    keeps_old_names = True

    @pytest.fixture
    async def house(self, house: GraphHouse) -> GraphHouse:
        return house


async def test_who_has_an_account(house: GraphHouse) -> None:
    state = house.state
    ann = state.account(f"ann@{DOMAIN}", PASSWORD, 5)
    ann.aliases = [f"ann@{INITIAL}", f"a@{DOMAIN}"]
    shared = state.account(f"office@{DOMAIN}", PASSWORD)
    shared.licences, shared.enabled = [], False
    new = state.account(f"new@{DOMAIN}", PASSWORD)
    new.mail, new.box = "", None
    state.users += [
        User(f"admin@{INITIAL}", "Administrator"),
        User(f"guest_elsewhere.example#EXT#@{INITIAL}", "Guest", mail="g@elsewhere.example"),
    ]
    state.users[-1].guest = True

    told = {each.address: each for each in await house.provider.accounts()}
    assert {address: each.state.value for address, each in told.items()} == {
        f"ann@{DOMAIN}": "configured",
        f"new@{DOMAIN}": "busy",
        f"office@{DOMAIN}": "locked",
    }
    assert told[f"ann@{DOMAIN}"].aliases == (f"a@{DOMAIN}", f"ann@{INITIAL}")
    found = await account(house, f"ANN@{DOMAIN}")
    assert (found.messages, found.used) == (5, 5000)
    assert await house.provider.account(f"a@{DOMAIN}") is None
    assert await house.provider.account("g@elsewhere.example") is None


async def test_long_lists_come_in_pages(house: GraphHouse) -> None:
    addresses = [await house.account(f"p{number:02}") for number in range(11)]
    assert [each.address for each in await house.provider.accounts()] == addresses
    assert house.simulator.asked.count("GET /users") == 4


async def test_somebody_who_signs_in_by_another_name(house: GraphHouse) -> None:
    user = house.state.account(f"login@{DOMAIN}", PASSWORD)
    user.mail = f"ann@{DOMAIN}"
    assert (await account(house, f"ann@{DOMAIN}")).address == f"ann@{DOMAIN}"
    assert await house.provider.account(f"login@{DOMAIN}") is None
    assert await refused(house.provider, Create(f"login@{DOMAIN}")) == {"ADDRESS_TAKEN"}


async def test_an_account_takes_a_while(house: GraphHouse) -> None:
    house.state.ticks = 3
    action = Create(f"ann@{DOMAIN}", "Ann Example")
    task = await house.provider.begin(action, "key", house.secret)
    assert task.state is TaskState.DOING
    assert (await account(house, action.address)).state is AccountState.BUSY
    again = await house.provider.begin(action, "key", house.secret)
    assert again == task
    assert await ended(house, action, house.secret) is TaskState.DONE
    assert (await account(house, action.address)).name == "Ann Example"
    made = [line for line in writes(house) if line == "POST /users"]
    assert len(made) == 1
    (user,) = house.state.users
    assert (user.location, user.licences) == ("FR", [SKU])


async def test_a_licence_that_fails_is_an_error(house: GraphHouse) -> None:
    task = await house.provider.begin(Create(f"ann@{DOMAIN}"), "key", house.secret)
    house.state.users[0].trouble = "MutuallyExclusiveViolation"
    told = await house.provider.task(task.id)
    assert told.state is TaskState.ERROR
    assert "MutuallyExclusiveViolation" in told.said


async def test_somebody_without_a_licence_gets_one_and_keeps_the_password(
    house: GraphHouse,
) -> None:
    house.state.users.append(User(f"ann@{DOMAIN}", "Ann", password="Her-own-1"))
    assert await ended(house, Create(f"ann@{DOMAIN}"), house.secret) is TaskState.DONE
    assert house.state.users[0].password == "Her-own-1"
    assert [line.split("/")[-1] for line in writes(house)][-1] == "assignLicense"


async def test_licences_are_counted_before_anything_is_made(house: GraphHouse) -> None:
    await house.account("ann")
    house.state.bought = 1
    assert (await house.provider.service()).free == 0
    assert await refused(house.provider, Create(f"bob@{DOMAIN}"), house.secret) == {"NO_LICENCE"}
    assert writes(house) == []


async def test_who_loses_the_race_for_a_licence_leaves_nobody_behind(
    house: GraphHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(state: object, user: object, body: object) -> None:
        said = "Subscription with SKU x does not have any available licenses."
        raise Refusal(400, "Request_BadRequest", said)

    monkeypatch.setattr("tests.providers.graph_answers.assign", taken)
    assert await refused(house.provider, Create(f"bob@{DOMAIN}"), house.secret) == {"NO_LICENCE"}
    assert house.state.users == []


async def test_what_the_directory_shows_late_is_asked_for_again(
    house: GraphHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = Create(f"ann@{DOMAIN}")

    def unseen(state: object, user: object, body: object) -> None:
        raise Refusal(404, "Request_ResourceNotFound", "Resource does not exist")

    with monkeypatch.context() as patch:
        patch.setattr("tests.providers.graph_answers.assign", unseen)
        with pytest.raises(RetryLater):
            await house.provider.begin(action, "key", house.secret)
    assert await ended(house, action, house.secret) is TaskState.DONE
    assert len(house.state.users) == 1


async def test_a_directory_that_shows_everything_late_is_waited_for(house: GraphHouse) -> None:
    house.state.late = True
    action = Create(f"ann@{DOMAIN}")
    for _ in range(2):
        # Made, and not shown; then asked for again, and taken by what isn't shown.
        with pytest.raises(RetryLater):
            await house.provider.begin(action, "key", house.secret)
    await house.settle()
    task = await house.provider.begin(action, "key", house.secret)
    assert (task.state, "doesn't show" in task.said) == (TaskState.DOING, True)
    for _ in range(3):
        await house.settle()
    assert (await house.provider.task(task.id)).state is TaskState.DONE
    assert len(house.state.users) == 1


@pytest.mark.parametrize("password", ["short1A", "onlysmallletters", "x" * 300 + "A1", "ab1\nAB2!"])
async def test_passwords_that_microsoft_does_not_take(password: str, house: GraphHouse) -> None:
    codes = await refused(house.provider, Create(f"ann@{DOMAIN}"), Secret(password))
    assert codes == {"PASSWORD_UNFIT"}
    assert writes(house) == []


async def test_without_a_password_nobody_knows_it(house: GraphHouse) -> None:
    planned = await house.provider.plan(Create(f"ann@{DOMAIN}"))
    assert '"password": "***"' in planned.lines[0]
    for name in ("ann", "bob"):
        await house.provider.begin(Create(f"{name}@{DOMAIN}"), name)
    one, two = (each.password for each in house.state.users)
    assert one != two
    assert min(len(one), len(two)) > 30


async def test_the_licence_is_the_plans_to_choose(house: GraphHouse) -> None:
    named = await house.another(licence="o365_business_premium")
    assert (await named.service()).free == 1000
    with pytest.raises(BadInput, match="O365_BUSINESS_PREMIUM"):
        await (await house.another(licence="E5")).plan(Create(f"ann@{DOMAIN}"))


@pytest.mark.parametrize(
    ("values", "country", "used"),
    [({}, "DE", "DE"), ({"location": "be"}, "DE", "BE"), ({"location": "fr"}, "", "FR")],
)
async def test_licences_are_assigned_for_a_country(
    values: dict[str, str], country: str, used: str, house: GraphHouse
) -> None:
    house.state.country = country
    provider = await house.another(**values)
    await provider.begin(Create(f"ann@{DOMAIN}"), "key", house.secret)
    assert house.state.users[0].location == used


async def test_without_a_country_nothing_is_made(house: GraphHouse) -> None:
    house.state.country = ""
    with pytest.raises(BadInput, match="location"):
        await house.provider.begin(Create(f"ann@{DOMAIN}"), "key", house.secret)
    assert writes(house) == []


async def test_a_quota_is_said_to_be_the_runbooks(house: GraphHouse) -> None:
    planned = await house.provider.plan(Create(f"ann@{DOMAIN}", quota=10**9))
    assert [each.code for each in planned.findings] == ["FEATURE_GAP"]


async def test_renaming_waits_for_exchange_and_keeps_the_old_name(house: GraphHouse) -> None:
    old = await house.account("ann", 2)
    action = Rename(old, f"ann01@{DOMAIN}")
    task = await house.provider.begin(action, "key")
    assert (task.state, "still calls it" in task.said) == (TaskState.DOING, True)
    assert await ended(house, action) is TaskState.DONE
    found = await account(house, action.to)
    assert (found.aliases, found.messages) == ((old,), 2)
    assert old in (await house.provider.task(task.id)).said
    assert await refused(house.provider, Create(old)) == {"ADDRESS_TAKEN"}


async def test_a_name_that_a_group_has_is_taken(house: GraphHouse) -> None:
    house.state.groups.append(DirectoryGroup(f"all@{DOMAIN}", "All", []))
    action = Rename(await house.account("ann"), f"all@{DOMAIN}")
    assert await refused(house.provider, action) == {"ADDRESS_TAKEN"}


async def test_locking_ends_what_was_granted_each_time(house: GraphHouse) -> None:
    address = await house.account("ann")
    for _ in range(2):
        assert (await house.provider.begin(Lock(address), "key")).state is TaskState.DONE
    (user,) = house.state.users
    assert (user.enabled, user.revoked) == (False, 2)


async def test_a_no_in_the_middle_is_not_called_a_refusal(
    house: GraphHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*asked: object) -> tuple[int, object]:
        raise Refusal(400, "Request_BadRequest", "not now")

    monkeypatch.setitem(ROUTES, "POST users/*/revokeSignInSessions", no)
    address = await house.account("ann")
    with pytest.raises(Closed, match="not now"):
        await house.provider.begin(Lock(address), "key")
    assert (await account(house, address)).state is AccountState.LOCKED


async def test_a_mailbox_that_is_not_there_yet_is_not_called_empty(house: GraphHouse) -> None:
    house.state.account(f"ann@{DOMAIN}", PASSWORD).box = None
    codes = await refused(house.provider, Delete(f"ann@{DOMAIN}", empty=True))
    assert codes == {"ACCOUNT_INPROGRESS"}
