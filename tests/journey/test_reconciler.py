"""The worker's loops in one process: what is due is done, and nothing is forgotten."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection, update

from mailhaul.core.folder import INBOX_PATH
from mailhaul.db import tables
from mailhaul.journey import orders
from mailhaul.journey.going import goes_on
from mailhaul.journey.questions import Gate
from mailhaul.journey.runs import run_of
from mailhaul.journey.slots import FileSlot
from mailhaul.journey.states import State
from mailhaul.journey.worker import Reconciler, Shop, work
from mailhaul.lab.wound_engine import Kept, WoundEngine
from mailhaul.plan.model import Budget, System
from tests.journey.house import House, plan_of


def shop_of(house: House, kept: Kept | None = None) -> Shop:
    engine = WoundEngine(house.hand.clock.now, house.hand.clock.sleep, kept)
    slot = FileSlot(house.directory)
    return Shop(house.means, engine, slot, reconcile_every=0.02, adopt_every=0.05)


async def worked(house: House, shop: Shop) -> None:
    """Works until nothing goes on by itself; the clock goes on an hour at a time meanwhile."""
    stop = asyncio.Event()

    def usual(connection: Connection) -> bool:
        return not goes_on(connection, house.number, house.hand.time)

    async def hours() -> None:
        while True:
            await asyncio.sleep(0.05)
            await house.hand.advance(3600)

    passing = asyncio.create_task(hours())
    try:
        async with asyncio.timeout(60):
            await work(shop, stop, usual)
    finally:
        passing.cancel()


async def test_everything_is_done_until_people_are_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of(), ("anna", "bea", "carl"))
    await worked(house, shop_of(house))
    assert {house.row(each).state for each in house.people} == {State.SYNCED}
    house.open(Gate.GO)
    house.means.stopping.clear()
    await worked(house, shop_of(house))
    assert {house.row(each).state for each in house.people} == {State.VERIFIED}
    assert {house.row(each).grade for each in house.people} == {"perfect"}


async def test_a_defect_stops_its_own_mailbox_alone(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of(), ("anna", "bea"))

    def defect(side: str, operation: str, folder: str) -> None:
        if operation == "before append":
            raise ZeroDivisionError("a defect")

    house.wrong["anna"] = defect
    await worked(house, shop_of(house))
    assert house.row("anna").state is State.FAILED
    assert "defect of mailhaul: ZeroDivisionError" in house.row("anna").reason
    assert house.row("bea").state is State.SYNCED
    house.wrong.clear()
    house.order(orders.retry)
    house.means.stopping.clear()
    await worked(house, shop_of(house))
    assert house.row("anna").state is State.SYNCED
    assert len(house.targets["anna"].messages(INBOX_PATH)) == 3


async def test_what_is_due_is_handed_over_once(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of(), ("anna", "bea"))
    kept = Kept()
    reconciler = Reconciler(shop_of(house, kept))
    for _ in range(3):
        await reconciler.turn()
    assert len(kept.live) == 2
    assert sum(map(len, kept.waiting.values())) == 2


async def test_a_run_of_which_nothing_came_is_asked_for_anew(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of())
    first = run_of(house.row())
    assert first is not None
    kept = Kept(ended={first.id})
    reconciler = Reconciler(shop_of(house, kept))
    for _ in range(3):
        await reconciler.turn()
    again = run_of(house.row())
    assert again is not None
    assert again.step == 1
    assert kept.live == {again.id}


async def test_an_engine_that_has_forgotten_everything_is_filled_again(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of(), ("anna", "bea"))
    for person in house.people:
        await house.drive(State.SYNCED, person=person)
    house.open(Gate.GO)
    await worked(house, shop_of(house, Kept()))
    assert house.row().state is State.VERIFIED


async def test_urgent_things_come_first(tmp_path: Path) -> None:
    people = tuple(f"p{number}" for number in range(200))
    one = System(url="imaps://{user}@old.example", budget=Budget(connections=1))
    house = House(tmp_path, plan_of().model_copy(update={"source": one}), people)
    with house.database.begin() as connection:
        late = house_number(connection, "p199@x")
        connection.execute(
            update(tables.mailbox)
            .where(tables.mailbox.c.id == late)
            .values(state=State.SWEEPING.value, due_at=house.hand.time)
        )
    kept = Kept()
    shop = shop_of(house, kept)
    await Reconciler(shop).turn()
    assert any(each.startswith(f"{late}:") for each in kept.live)
    assert len(kept.live) < 200
    assert kept.limits[f"{house.number}:carry"] == 1


def house_number(connection: Connection, address: str) -> int:
    table = tables.mailbox
    found = connection.execute(table.select().where(table.c.address == address)).one()
    return int(found.id)


async def test_a_paused_plan_rests(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of(), ("anna", "bea"))
    house.order(orders.pause)
    kept = Kept()
    await Reconciler(shop_of(house, kept)).turn()
    assert kept.live == set()
