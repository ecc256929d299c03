"""Accounts are moved at their providers: by each path, looked at, agreed to, proven, taken back."""

from pathlib import Path

import pytest

from mailhaul.journey.account_states import MoveState
from mailhaul.journey.states import State
from mailhaul.report.figures import draw
from tests.journey.account_house import ANNA, AccountHouse


async def test_on_the_new_path_the_account_is_renamed_and_carried_into_its_new_place(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path)
    await place.moved()
    row = place.move()
    assert row.state is MoveState.MOVED, row.reason
    assert place.addresses(place.old) == ["anna01@acme.example"]
    assert place.addresses(place.new) == [ANNA, "ph1@configureme.me"]
    await place.synced()
    person = place.house.row()
    assert (person.state, person.copied) == (State.SYNCED, 3)
    assert person.source == "imaps://anna01@old.example"
    assert place.mail(place.new) == ["anna-one", "anna-three", "anna-two"]


@pytest.mark.parametrize("path", ["new", "legacy", "create"])
async def test_every_message_is_in_the_new_account(path: str, tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, path)
    row = await place.moved()
    assert (row.state, row.path) == (MoveState.MOVED, path), row.reason
    await place.synced()
    person = place.house.row()
    assert person.census == 3
    assert person.copied + person.adopted == 3
    assert place.mail(place.new) == ["anna-one", "anna-three", "anna-two"]


async def test_the_report_tells_how_the_account_was_moved(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.moved()
    with place.house.database.read() as connection:
        (anna,) = draw(connection, place.move().plan, at=0.0, time_zone="UTC").mailboxes
    assert anna.move is not None
    assert (anna.move.path, anna.move.state) == ("new", "moved")
    assert anna.move.temporary == "anna01@acme.example"
    assert anna.move.agreed_by
    assert anna.move.nowhere is not None
    assert anna.move.guarded
