"""Budgets hold across the mailboxes of a plan, whoever carries them."""

from dataclasses import replace
from pathlib import Path

from mailhaul.core.folder import INBOX_PATH
from mailhaul.journey.opening import BudgetedOpener, places
from mailhaul.journey.plans import plan_row
from mailhaul.journey.states import State
from mailhaul.plan.model import Budget, Plan, System
from tests.journey.house import House, letter, plan_of


def limited(budget: Budget, connections_each: int = 1) -> Plan:
    source = System(
        url="imaps://{user}@old.example", budget=budget, connections_each=connections_each
    )
    return plan_of().model_copy(update={"source": source})


def house(tmp_path: Path, plan: Plan, people: tuple[str, ...]) -> House:
    found = House(tmp_path, plan, people)
    opener = BudgetedOpener(found.database, found.hand.clock, "w1", found)
    found.means = replace(found.means, opener=opener)
    return found


async def test_no_more_connections_than_the_plan_allows(tmp_path: Path) -> None:
    found = house(tmp_path, limited(Budget(connections=2)), ("anna", "bea", "carl"))
    with found.database.begin() as connection:
        plan = plan_row(connection, found.number)
    opener = found.means.opener
    async with opener.admitted(plan, found.row("anna")), opener.admitted(plan, found.row("bea")):
        await found.run(found.row("carl"))
        row = found.row("carl")
        assert (row.state, found.logins) == (State.PLANNED, [])
        assert "all connections to old.example" in row.reason
        assert [each.record.action for each in found.told()].count("delayed") == 0
    assert found.rows("permit") == []
    for person in found.people:
        await found.drive(State.SYNCED, person=person)
        assert len(found.targets[person].messages(INBOX_PATH)) == 3
    assert found.rows("permit") == []


async def test_the_day_s_octets_are_waited_for(tmp_path: Path) -> None:
    found = house(tmp_path, limited(Budget(octets_per_day=6000)), ("anna",))
    for number in range(8):
        found.sources["anna"].deliver(letter("x" * 900 + str(number)), INBOX_PATH)
    await found.drive(State.READY)
    begun = found.hand.time
    await found.drive(State.SYNCED)
    assert len(found.targets["anna"].messages(INBOX_PATH)) == 11
    assert found.hand.time - begun > 12 * 3600
    assert "source asked for it" in found.rows("passes")[0].waits


def test_places_are_what_the_stricter_side_allows(tmp_path: Path) -> None:
    found = House(tmp_path, limited(Budget(connections=9), connections_each=2))
    with found.database.begin() as connection:
        plan = plan_row(connection, found.number)
    assert places(plan, 16) == 4
    assert places(replace(plan, text=plan_of().model_dump_json(by_alias=True)), 16) == 16
