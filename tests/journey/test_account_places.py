"""Unconfigured accounts are picked for moves, and never one for two."""

from pathlib import Path

from mailhaul.providers.service import DomainStatus
from tests.journey.account_house import AccountHouse


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
