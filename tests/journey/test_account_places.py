"""Unconfigured accounts are picked for moves, and never one for two."""

from pathlib import Path

import pytest

from mailhaul.journey.account_states import MoveState
from mailhaul.journey.control import service_name
from mailhaul.plan.model import ProviderSection
from mailhaul.providers.service import DomainStatus
from tests.journey.account_house import ANNA, AccountHouse
from tests.journey.house import letter


async def test_what_was_picked_while_something_blocked_may_be_somebody_elses_by_now(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path, people=("anna", "bert"))
    place.new.domains[0].status = DomainStatus.CREATING
    await place.looked()
    # Neither has been reserved: both were shown the first one.
    assert not place.move("anna").ready
    assert place.move("anna").placeholder == place.move("bert").placeholder
    place.new.domains[0].status = DomainStatus.OK
    for person in ("anna", "bert"):
        row = place.move(person)
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    assert place.move("anna").ready
    assert place.move("bert").ready, place.move("bert").reason
    assert place.move("anna").placeholder != place.move("bert").placeholder


@pytest.mark.parametrize("spare", [1, 0])
async def test_what_one_person_left_in_an_unconfigured_account_no_other_gets(
    spare: int, tmp_path: Path
) -> None:
    place = AccountHouse(tmp_path)
    del place.new.accounts[1 + spare :]
    left = place.new.found("ph0@configureme.me")
    assert left is not None
    left.box.deliver(letter("somebody else's"))
    row = await place.looked()
    assert row.ready is bool(spare)
    assert row.placeholder == ("ph1@configureme.me" if spare else "")
    assert spare or "ph0@configureme.me" in row.reason


async def test_one_that_is_filled_before_the_switch_is_not_taken(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    before = place.everywhere()
    account = place.new.found(place.move().placeholder)
    assert account is not None
    account.box.deliver(letter("somebody else's"))
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.UNDONE
    assert place.everywhere() == before
    assert place.old.found(ANNA) is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"url": "https://eu.api.ovh.com/1.0"}, True),
        ({}, {"url": "HTTPS://EU.api.OVH.com:443/1.0/"}, True),
        ({}, {"url": "ovh-eu"}, True),
        ({}, {"values": {"place": "ovh-eu"}}, True),
        ({"values": {"place": "ovh-ca"}}, {"url": "https://ca.api.ovh.com/1.0/"}, True),
        ({}, {"values": {"place": "ovh-ca"}}, False),
        ({"url": "https://a.test/"}, {"url": "https://A.test"}, True),
        ({"url": "https://a.test/x"}, {"url": "https://a.test/X"}, False),
        ({"url": "https://a.test:444"}, {"url": "https://a.test"}, False),
        ({"url": "https://[::1"}, {"url": "https://[::1"}, True),
        ({"service": "Ex"}, {"service": "ex"}, True),
        ({"service": "ex1"}, {"service": "ex"}, False),
        (
            {"kind": "microsoft365"},
            {"kind": "microsoft365", "url": "https://graph.microsoft.com/v1.0"},
            True,
        ),
        ({"kind": "ovh-pro"}, {}, False),
    ],
)
def test_a_service_is_one_however_its_place_is_spelled(
    one: dict[str, object], other: dict[str, object], same: bool
) -> None:
    names = {
        service_name(ProviderSection.model_validate({"kind": "ovh-exchange", **each}))
        for each in (one, other)
    }
    assert (len(names) == 1) is same
