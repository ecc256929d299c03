"""Zones by a person's word: written ahead, tidied, looked at, given back; and what a crash, a
stranger, a refusal and a slow person do about it."""
# ruff: noqa: E501 - tables are read by their columns

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.dns.expected import Moment
from mailhaul.dns.propagation import Seen
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.snapshot import Change, Snapshot, to_text
from mailhaul.dns.switch import Result
from mailhaul.dns.zone import Edit, Held, Key, ZoneError, difference, held
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.plans import PlanRow, plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.zone_looks import Sighted, sighted
from mailhaul.journey.zone_orders import (
    Written,
    ZonePlan,
    bring_back,
    facts_of,
    write_ahead,
    zone_plan,
)
from mailhaul.journey.zone_plans import Stage
from mailhaul.journey.zone_reach import Desk
from mailhaul.plan.model import Sweeps
from tests.dns.memory_zone import MemoryZone
from tests.journey.house import HOUR, House, plan_of
from tests.journey.memory_reach import CACHE, SECONDARY, MemoryReach, reach

DOMAIN = "acme.example"
OLD, NEW = "10 mx.old.example", "10 mx.new.example"
SPF = "v=spf1 include:spf.old.example -all"
BOTH = "v=spf1 include:spf.old.example include:spf.new.example -all"
ONLY_NEW = "v=spf1 include:spf.new.example -all"
PROOF = "somebody-site-verification=1"
EXPECT = """
spf_old = ["include:spf.old.example"]
[[record]]
topic = "ownership"
name = "{domain}"
kind = "TXT"
values = ["MS=ms1"]
moment = "now"
[[record]]
topic = "autodiscover"
name = "autodiscover.{domain}"
kind = "CNAME"
values = ["ad.new.example"]
moment = "switch"
"""
DAY = 24 * HOUR


class Place:
    """A plan whose domain's zone is in memory."""

    def __init__(self, directory: Path, *, by_person: bool = False, **dns: Any) -> None:
        self.memory = MemoryZone(
            DOMAIN,
            RecordSet(DOMAIN, Kind.MX, 86400, (OLD,)),
            RecordSet(DOMAIN, Kind.TXT, 3600, tuple(sorted((SPF, PROOF)))),
            RecordSet(f"autodiscover.{DOMAIN}", Kind.A, 7200, ("192.0.2.9",)),
            by_person=by_person,
        )
        self.reach: MemoryReach = reach(self.memory)
        dns = {"mx": (NEW,), "spf": ("include:spf.new.example",), "ttl": "5m", **dns}
        plan = plan_of(
            dns=dns,
            sweeps=Sweeps.model_validate({"every": "1h", "for": "2h", "until_quiet": 1}),
        ).model_copy(update={"expect_text": EXPECT})
        self.house = House(directory, plan, zones=self.reach, domain=DOMAIN)
        self.first = self.memory.records()

    @property
    def desk(self) -> Desk:
        return Desk(self.house.database, self.house.hand.clock, self.reach)

    @property
    def plan(self) -> PlanRow:
        with self.house.database.begin() as connection:
            return plan_row(connection, self.house.number)

    async def planned(self) -> ZonePlan:
        return await zone_plan(self.desk, self.plan, self.house.zone())

    async def apply(self) -> list[Written]:
        return await write_ahead(self.desk, self.plan, self.house.zone(), who="Kim", login="kim")

    async def back(self, **more: bool) -> list[Written]:
        return await bring_back(
            self.desk, self.plan, self.house.zone(), who="Kim", login="kim", **more
        )

    async def verify(self) -> Sighted:
        return await sighted(self.desk, self.plan, self.house.zone())

    async def switch(self) -> None:
        """Synced, and the domain switched by the worker."""
        await self.house.drive(State.SYNCED)
        await self.house.run(self.house.zone())
        self.house.hand.time += DAY + HOUR
        await self.house.run(self.house.zone())
        self.house.open(Gate.GO, "the zone is looked after elsewhere")
        await self.house.run(self.house.zone())
        assert self.house.zone().state is DomainState.SWITCHED

    def texts(self) -> set[str]:
        return set(self.memory.records()[DOMAIN, Kind.TXT].records.values)

    def ttl(self, kind: Kind = Kind.MX) -> int:
        return self.memory.records()[DOMAIN, kind].records.ttl

    def events(self) -> list[str]:
        return [
            each.record.action
            for each in self.house.told()
            if each.record.action.startswith("zone_")
        ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def lines(found: ZonePlan, moment: Moment) -> list[str]:
    (share,) = [each for each in found.shares if each.moment is moment]
    return difference(share.snapshot.edits)


async def test_the_plan_has_every_line_once_at_its_moment(place: Place) -> None:
    found = await place.planned()
    assert found.stage is Stage.BEFORE
    assert sorted(lines(found, Moment.NOW)) == sorted([
        f"- {DOMAIN}. 86400 IN MX {OLD}.",
        f"+ {DOMAIN}. 300 IN MX {OLD}.",
        f'- {DOMAIN}. 3600 IN TXT "{SPF}"',
        f'+ {DOMAIN}. 3600 IN TXT "{BOTH}"',
        f'+ {DOMAIN}. 3600 IN TXT "MS=ms1"',
        f"- autodiscover.{DOMAIN}. 7200 IN A 192.0.2.9",
        f"+ autodiscover.{DOMAIN}. 300 IN A 192.0.2.9",
    ])  # fmt: skip
    assert sorted(lines(found, Moment.SWITCH)) == sorted([
        f"- autodiscover.{DOMAIN}. 300 IN A 192.0.2.9",
        f"- {DOMAIN}. 300 IN MX {OLD}.",
        f"+ {DOMAIN}. 300 IN MX {NEW}.",
        f"+ autodiscover.{DOMAIN}. 300 IN CNAME ad.new.example.",
    ])  # fmt: skip
    assert f'+ {DOMAIN}. 3600 IN TXT "{ONLY_NEW}"' in lines(found, Moment.END)
    assert f"+ {DOMAIN}. 3600 IN MX {NEW}." in lines(found, Moment.END)
    assert place.memory.records() == place.first
    assert place.events() == []


async def test_what_is_written_ahead_goes_back_exactly(place: Place) -> None:
    (done,) = await place.apply()
    assert (done.moment, done.result, len(done.edits)) == ("now", Result.DONE, 3)
    assert place.texts() == {BOTH, PROOF, "MS=ms1"}
    assert (place.ttl(), place.memory.records()[DOMAIN, Kind.MX].records.values) == (300, (OLD,))
    assert await place.apply() == []
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.memory.records() == place.first
    assert await place.back() == []
    assert place.events() == ["zone_writing", "zone_written", "zone_put_back"]


async def test_it_is_never_said_without_a_name(place: Place) -> None:
    with pytest.raises(BadInput, match="--as NAME"):
        await write_ahead(place.desk, place.plan, place.house.zone(), who=" ", login="kim")
    assert place.memory.records() == place.first


async def test_the_whole_way_there_and_back(place: Place) -> None:
    await place.apply()
    ahead = place.memory.records()
    await place.switch()
    assert place.memory.records()[DOMAIN, Kind.MX].records.values == (NEW,)
    assert BOTH in place.texts()
    assert (await place.planned()).stage is Stage.SINCE
    assert await place.apply() == []
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.house.zone().state is DomainState.RETURNED
    assert place.memory.records() == ahead
    # Said twice at night, it does no more than once.
    assert await place.back() == []
    assert place.memory.records() == ahead
    assert [each.moment for each in await place.back(everything=True)] == ["now"]
    assert place.memory.records() == place.first


async def test_after_the_sweeps_it_is_tidied_and_that_goes_back_too(place: Place) -> None:
    await place.apply()
    ahead = place.memory.records()
    await place.switch()
    switched = place.memory.records()
    place.reach.network.spread()
    await place.house.drive(State.VERIFIED)
    assert place.house.row().state is State.VERIFIED
    found = await place.planned()
    assert found.stage is Stage.AFTER
    assert [each.moment for each in found.due if each.snapshot.edits] == [Moment.END]
    (done,) = await place.apply()
    assert (done.moment, done.result) == ("end", Result.DONE)
    assert place.texts() == {ONLY_NEW, PROOF, "MS=ms1"}
    assert place.ttl() == 86400
    assert place.memory.records()[f"autodiscover.{DOMAIN}", Kind.CNAME].records.ttl == 3600
    assert place.memory.records() != switched
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.memory.records() == ahead


async def test_nothing_is_written_while_it_is_switched(place: Place) -> None:
    await place.house.drive(State.SYNCED)
    place.house.open(Gate.GO, "now")
    with pytest.raises(BadInput, match="being switched; wait"):
        await place.apply()
    assert (await place.planned()).due == ()


Meddling = Callable[[MemoryZone], None]


def put(zone: MemoryZone) -> None:
    zone.put(DOMAIN, Kind.TXT, 3600, "v=spf1 include:elsewhere.example -all", PROOF)


STRANGERS: list[tuple[str, Meddling, str]] = [
    ("another SPF record", put, "find out who changed them"),
    ("another MX", lambda zone: zone.put(DOMAIN, Kind.MX, 86400, "10 mx.elsewhere.example"), "find out who changed them"),
    ("a server that refuses", lambda zone: setattr(zone, "refuses", True), "refuses"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "says"), STRANGERS)
async def test_what_comes_between_is_told_and_never_overwritten(
    name: str, change: Meddling, says: str, place: Place
) -> None:
    left: dict[Key, Held] = {}

    def between() -> None:
        change(place.memory)
        left.update(place.memory.records())

    place.memory.before_change = between
    (done,) = await place.apply()
    assert done.result is Result.NOTHING
    assert says in done.why
    assert place.memory.records() == left
    assert place.events() == ["zone_writing", "zone_failed"]
    # Nothing of it stands, and nothing is there to be put back.
    assert await place.back() == []


async def test_what_was_changed_since_is_told_and_stays(place: Place) -> None:
    await place.apply()
    put(place.memory)
    left = place.memory.records()
    (back,) = await place.back()
    assert back.result is Result.NOTHING
    assert "elsewhere.example" in back.why
    assert place.memory.records() == left
    place.memory.put_held(place.first[DOMAIN, Kind.TXT])
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.memory.records() == place.first


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before writing", "after writing"])
async def test_a_kill_between_snapshot_and_record_is_gone_on_with(
    moment: str, place: Place
) -> None:
    real = place.memory.change

    async def change(edits: Any) -> None:
        if moment == "after writing":
            await real(edits)
        raise Killed

    place.memory.change = change  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await place.apply()
    place.memory.change = real  # type: ignore[method-assign]
    done = await place.apply()
    assert len(done) == (1 if moment == "before writing" else 0)
    assert place.texts() == {BOTH, PROOF, "MS=ms1"}
    assert place.memory.changes == 1
    assert len(place.house.rows("snapshot")) == 1
    assert place.events() == ["zone_writing", "zone_written"]
    assert [each.result for each in await place.back()] == [Result.DONE]
    assert place.memory.records() == place.first


async def test_what_a_kill_left_is_dropped_when_something_else_is_wanted_by_then(
    place: Place,
) -> None:
    other = Edit(place.first[DOMAIN, Kind.MX], held(DOMAIN, Kind.MX, 60, {OLD: f"{OLD}."}))
    old = Snapshot(datetime(2030, 1, 1, tzinfo=UTC), (Change(DOMAIN, (other,)),))
    number = place.house.zone().id
    with place.house.database.begin() as connection:
        connection.execute(
            insert(tables.snapshot).values(
                domain_id=number, kept_at=1.0, moment="now", text=to_text(old)
            )
        )
    await place.apply()
    facts = await facts_of(place.desk, place.plan, place.house.zone())
    assert [len(each.snapshot.edits) for each in facts.open] == [3]


async def test_a_person_writes_and_it_is_noted_when_it_stands(tmp_path: Path) -> None:
    place = Place(tmp_path, by_person=True)
    (done,) = await place.apply()
    assert done.result is Result.WAITS
    assert f"+ {DOMAIN}. 300 IN MX {OLD}." in done.lines
    assert place.events() == ["zone_writing"]
    place.memory.put(DOMAIN, Kind.MX, 300, OLD)
    place.memory.put(DOMAIN, Kind.TXT, 3600, BOTH, PROOF, "MS=ms1")
    (done,) = await place.apply()
    assert [line.split()[-2:] for line in done.lines] == [["A", "192.0.2.9"]] * 2
    place.memory.put(f"autodiscover.{DOMAIN}", Kind.A, 300, "192.0.2.9")
    assert await place.apply() == []
    assert len(place.house.rows("snapshot")) == 1
    (back,) = await place.back()
    assert back.result is Result.WAITS
    assert f"+ {DOMAIN}. 86400 IN MX {OLD}." in back.lines
    for each in place.first.values():
        place.memory.put_held(each)
    assert [each.result for each in await place.back()] == [Result.DONE]
    assert await place.back() == []
    assert place.events() == ["zone_writing", "zone_written", "zone_put_back"]


async def test_a_switch_that_a_person_takes_back_shows_its_lines(tmp_path: Path) -> None:
    place = Place(tmp_path, by_person=True)
    await place.house.drive(State.SYNCED)
    await place.house.run(place.house.zone())
    place.house.open(Gate.GO, "now")
    await place.house.run(place.house.zone())
    place.memory.put(DOMAIN, Kind.MX, 300, NEW)
    place.memory.put(f"autodiscover.{DOMAIN}", Kind.A, 1)
    place.memory.put(f"autodiscover.{DOMAIN}", Kind.CNAME, 300, "ad.new.example")
    await place.house.run(place.house.zone())
    assert place.house.zone().state is DomainState.SWITCHED
    (back,) = await place.back()
    assert back.result is Result.WAITS
    assert f"- {DOMAIN}. 300 IN MX {NEW}." in back.lines
    assert f"+ {DOMAIN}. 86400 IN MX {OLD}." in back.lines
    for each in place.first.values():
        place.memory.put_held(each)
    place.memory.put(f"autodiscover.{DOMAIN}", Kind.CNAME, 1)
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.house.zone().state is DomainState.RETURNED


async def test_a_switch_that_may_be_under_way_is_waited_for(place: Place) -> None:
    await place.house.drive(State.SYNCED)
    place.house.open(Gate.GO, "now")
    assert place.house.zone().state is DomainState.SWITCHING
    (back,) = await place.back()
    assert back.result is Result.WAITS
    assert "may be on its way" in back.why
    assert (await place.back())[0].result is Result.WAITS
    place.house.hand.time += 61
    (back,) = await place.back()
    assert back.result is Result.DONE
    assert place.house.zone().state is DomainState.RETURNED
    assert place.memory.records() == place.first


async def test_a_zone_that_can_not_be_read_is_told(place: Place) -> None:
    place.memory.silent = True
    with pytest.raises(ZoneError, match="says nothing"):
        await place.apply()
    assert place.events() == []


# looking


def seen(found: Sighted, kind: Kind, name: str = DOMAIN) -> dict[str, str]:
    (told,) = [each for each in found.told if each.record.key == (name, kind) and each.ttl is None]
    return {look.server.address: look.seen.value for look in told.looks}


async def test_before_anything_is_written_it_says_what_is_lacking(place: Place) -> None:
    found = await place.verify()
    assert not found.good
    assert set(seen(found, Kind.MX).values()) == {"old"}
    wrong = {each.record.key for each in found.told if not each.good}
    assert wrong == {
        (DOMAIN, Kind.TXT), (DOMAIN, Kind.MX), (f"autodiscover.{DOMAIN}", Kind.A),
    }  # fmt: skip
    assert {each.ttl for each in found.told if not each.good} == {None, 300}


async def test_once_all_is_written_ahead_every_server_is_as_it_should_be(place: Place) -> None:
    await place.apply()
    assert not (await place.verify()).good
    place.reach.network.spread(SECONDARY)
    found = await place.verify()
    assert [each.record.key for each in found.told if not each.good] == [(DOMAIN, Kind.TXT)]
    place.reach.network.spread(CACHE)
    found = await place.verify()
    assert found.good
    # Of what was lowered, caches may hold the longer-lived for as long as that lived.
    assert found.gone == place.house.hand.time + 86400


async def test_since_the_switch_the_new_ones_should_stand(place: Place) -> None:
    await place.apply()
    place.reach.network.spread()
    await place.switch()
    found = await place.verify()
    assert seen(found, Kind.MX) == {"192.0.2.1": "new", "192.0.2.2": "old", "192.0.2.3": "old"}
    assert not found.good
    assert found.gone is None
    place.reach.network.spread(SECONDARY)
    place.reach.network.silent.add(CACHE)
    assert seen(await place.verify(), Kind.MX)["192.0.2.3"] == "silent"
    place.reach.network.silent.clear()
    place.reach.network.spread(CACHE)
    found = await place.verify()
    assert found.good
    left = (found.gone or 0.0) - place.house.hand.time
    assert 0 < left <= 600
    place.house.hand.time += left
    found = await place.verify()
    assert seen(found, Kind.CNAME, f"autodiscover.{DOMAIN}")["192.0.2.1"] == "new"


async def test_after_it_was_taken_back_the_old_ones_should_stand_again(place: Place) -> None:
    await place.apply()
    await place.switch()
    place.reach.network.spread()
    await place.back()
    found = await place.verify()
    assert seen(found, Kind.MX) == {"192.0.2.1": "old", "192.0.2.2": "new", "192.0.2.3": "new"}
    (told,) = [each for each in found.told if each.record.key == (DOMAIN, Kind.MX) and not each.ttl]
    assert told.should is Seen.OLD
    place.reach.network.spread()
    assert (await place.verify()).good


async def test_an_mx_that_is_new_too_early_is_not_as_it_should_be(place: Place) -> None:
    await place.house.run(place.house.zone())
    place.memory.put(DOMAIN, Kind.MX, 300, NEW)
    place.reach.network.spread()
    assert set(seen(await place.verify(), Kind.MX).values()) == {"new"}
    assert not (await place.verify()).good
