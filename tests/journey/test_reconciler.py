"""The worker's loops in one process: what is due is done, and nothing is forgotten."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection, update

from mailhaul.core.folder import INBOX_PATH
from mailhaul.db import tables
from mailhaul.journey import orders
from mailhaul.journey.domains import domain_run
from mailhaul.journey.going import goes_on
from mailhaul.journey.phases import perform
from mailhaul.journey.questions import Gate
from mailhaul.journey.runs import run_of
from mailhaul.journey.slots import FileSlot
from mailhaul.journey.states import State
from mailhaul.journey.worker import Reconciler, Shop, work
from mailhaul.lab.wound_engine import Kept, WoundEngine
from mailhaul.plan.model import Budget, System
from tests.journey.house import House, plan_of
from tests.journey.played_zones import NEW, PlayedZones


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


async def test_a_cutover_is_made_by_a_worker(tmp_path: Path) -> None:
    zones = PlayedZones("acme.example", ttl=60)
    dns = {"mx": (NEW,), "ttl": "5m"}
    house = House(tmp_path, plan_of(dns=dns), ("anna", "bea"), zones=zones, domain="acme.example")
    await worked(house, shop_of(house))
    assert {house.row(each).state for each in house.people} == {State.SYNCED}
    assert house.zone().mx == "old"
    house.hand.time += 3600
    await perform(house.means, domain_run(house.zone()))
    house.open(Gate.GO)

    def spread() -> None:
        zones.spread()

    zones.wrong = lambda moment: spread() if moment == "after writing" else None
    house.means.stopping.clear()
    await worked(house, shop_of(house))
    assert {house.row(each).state for each in house.people} == {State.VERIFIED}
    assert zones.views["cache"].values == (NEW,)


async def test_a_worker_without_dns_leaves_domains_to_others(tmp_path: Path) -> None:
    dns = {"mx": (NEW,)}
    house = House(tmp_path, plan_of(dns=dns), domain="acme.example")
    kept = Kept()
    await Reconciler(shop_of(house, kept)).turn()
    assert len(kept.live) == 1


async def test_a_domain_of_a_paused_plan_rests(tmp_path: Path) -> None:
    dns = {"mx": (NEW,)}
    zones = PlayedZones("acme.example")
    house = House(tmp_path, plan_of(dns=dns), zones=zones, domain="acme.example")
    house.order(orders.pause)
    kept = Kept()
    reconciler = Reconciler(shop_of(house, kept))
    await reconciler.turn()
    assert not kept.live
    house.order(orders.resume)
    await reconciler.turn()
    assert len(kept.live) == 2
