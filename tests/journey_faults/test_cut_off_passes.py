"""What a kill leaves of a pass that nobody goes on with."""

from pathlib import Path

from sqlalchemy import update

from mailhaul.core.folder import INBOX_PATH
from mailhaul.db import tables
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from tests.journey.house import House, letter, plan_of


async def test_a_delta_that_was_killed_before_the_switch_is_told_with_what_it_carried(
    tmp_path: Path,
) -> None:
    found = House(tmp_path, plan_of())
    await found.drive(State.SYNCED)
    for number in range(2):
        found.sources["anna"].deliver(letter(f"late {number}"), INBOX_PATH)
    await found.drive(hours=25)
    with found.database.begin() as connection:
        connection.execute(
            update(tables.passes)
            .where(tables.passes.c.number == 2)
            .values(outcome="", ended_at=None, carried=0, octets=0)
        )
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    passes = [(each.kind, each.carried, each.outcome) for each in found.rows("passes")]
    assert passes[1] == ("delta", 2, "broken off")
    assert all(each.ended_at is not None for each in found.rows("passes"))
