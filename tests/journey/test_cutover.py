"""A plan with [dns], from the first look to the last sweep: what opens the gate, what is switched,
when sweeps end, and what a crash, a stranger and a person can do about it."""
# ruff: noqa: E501 - tables are read by their columns

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.folder import INBOX_PATH
from mailhaul.journey import orders
from mailhaul.journey.domain_orders import chosen_domains, end_sweeps, recall, say_done
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.gates import Shut
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.status import status
from mailhaul.plan.model import Sweeps
from tests.journey.house import HOUR, House, letter, plan_of
from tests.journey.played_zones import NEW, OLD, PlayedZones
from tests.servers.postgres import Postgres

DOMAIN = "acme.example"
DNS: dict[str, Any] = {"mx": (NEW,), "ttl": "5m", "every": "15m"}
DAY = 24 * HOUR


def house(directory: Path, zones: PlayedZones, **more: Any) -> House:
    people = more.pop("people", ("anna",))
    dns = {**DNS, **more.pop("dns", {})}
    url = more.pop("database_url", None)
    sweeps = Sweeps.model_validate({"every": "1h", "for": "48h", "until_quiet": 2})
    return House(
        directory,
        plan_of(dns=dns, sweeps=sweeps, **more),
        people=people,
        database_url=url,
        zones=zones,
        domain=DOMAIN,
    )


async def ready(place: House, zones: PlayedZones) -> None:
    """The mailbox is synced and the TTL has been low for longer than anybody remembers."""
    await place.drive(State.SYNCED)
    zones.lower(300)
    place.hand.time += HOUR
    await look(place)
    place.hand.time += DAY + HOUR
    await look(place)


async def look(place: House) -> None:
    """A look at the domain, whenever it is due."""
    await place.run(place.zone())


def lacking(place: House) -> tuple[str, ...]:
    """What keeps the gate shut."""
    try:
        place.open(Gate.GO)
    except Shut as error:
        return error.lacking
    return ()


def said(place: House, action: str) -> list[str]:
    return [each.record.why for each in place.told() if each.record.action == action]


def waits(place: House) -> list[str]:
    with place.database.begin() as connection:
        plan = plan_row(connection, place.number)
        return [each.what for each in status(connection, plan, place.hand.time).waits]


def test_the_way_from_the_first_look_to_the_last_sweep(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        assert place.zone().state is DomainState.SWITCHING
        await place.drive(State.FINAL)
        assert zones.primary.values == (NEW,)
        assert place.zone().state is DomainState.SWITCHED
        zones.spread()
        place.sources["anna"].deliver(letter("late"), INBOX_PATH)
        await place.drive(State.VERIFIED)
        assert place.row().copied == 4
        went = place.hand.time - (place.zone().switched_at or 0.0)
        assert 48 * HOUR <= went < 52 * HOUR
        assert len(place.rows("snapshot")) == 1

    asyncio.run(run())


def mx(*values: str) -> Callable[[PlayedZones], None]:
    def change(zones: PlayedZones) -> None:
        zones.write(*values)
        zones.spread()

    return change


LACKING: list[tuple[str, Callable[[PlayedZones], None], str]] = [
    ("a TTL that is long", lambda zones: zones.lower(86_400), "remembered for 86400 s"),
    ("a TTL that is a second too long", lambda zones: zones.lower(301), "remembered for 301 s"),
    ("MX that is new already", mx(NEW), "already"),
    ("MX of both", mx(OLD, NEW), "both systems"),
    ("a zone nobody answers for", lambda zones: zones.silent.update(("primary", "secondary")), "none of its servers"),
    ("a record that is missing", lambda zones: setattr(zones, "blocked", "no SPF of the new"), "no SPF of the new"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "expected"), LACKING)
def test_the_gate_asks_what_was_seen(
    name: str, change: Callable[[PlayedZones], None], expected: str, tmp_path: Path
) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        change(zones)
        await look(place)
        (why,) = lacking(place)
        assert expected in why
        assert DOMAIN in why
        assert place.zone().state is DomainState.WATCHED

    asyncio.run(run())


def test_a_ttl_that_was_lowered_is_waited_for_as_long_as_it_was(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await place.drive(State.SYNCED)
        zones.lower(300)
        await look(place)
        (why,) = lacking(place)
        assert "caches may hold its records as they were until" in why
        place.hand.time += DAY - 60
        await look(place)
        assert lacking(place)
        place.hand.time += 61
        assert lacking(place) == ()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_octets_that_are_no_text_in_a_zone_stop_nobody(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A TXT record may hold any octets; those that are no UTF-8 are held as lone surrogates."""

    async def story() -> None:
        zones = PlayedZones(DOMAIN)
        url = request.getfixturevalue("postgres").database() if kind == "postgres" else None
        place = house(tmp_path, zones, database_url=url)
        zones.write(OLD, "20 mx.\udcff\udc80.example")
        zones.spread()
        await look(place)
        assert place.zone().old_mx == (OLD, "20 mx.\udcff\udc80.example")

    asyncio.run(story())


def test_nothing_that_was_seen_long_ago_opens_the_gate(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.hand.time += 2 * HOUR
        (why,) = lacking(place)
        assert "was last looked at" in why

    asyncio.run(run())


def test_a_named_person_goes_despite_it_and_that_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await place.drive(State.SYNCED)
        await look(place)
        assert lacking(place)
        place.open(Gate.GO, despite="the board wants it today")
        (override,) = place.rows("override")
        assert (override.given_by, override.why) == ("Kim", "the board wants it today")
        assert "86400 s" in override.lacking
        (gate,) = place.rows("gate")
        assert "the board wants it today" in gate.text
        assert "86400 s" in gate.text
        await place.drive(State.SWEEPING)
        # What caches were given for a day they may hold for a day.
        zone = place.zone()
        assert (zone.released_at or 0) - (zone.switched_at or 0) == DAY

    asyncio.run(run())


def test_sweeps_go_on_until_every_server_says_new_and_caches_let_go(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        await place.drive(State.SWEEPING)
        # The secondary and the cache keep saying old.
        await place.drive(State.VERIFYING, hours=60)
        row = place.row()
        assert row.state is State.SWEEPING
        assert "sweeps go on: not every server says new" in row.reason
        assert "secondary" in row.reason
        assert any("sweeps go on" in each for each in waits(place))
        zones.views["secondary"] = zones.primary
        await place.drive(State.VERIFYING, hours=3)
        assert "cache" in place.row().reason
        zones.spread()
        await place.drive(State.VERIFYING, hours=3)
        assert place.row().state is State.VERIFYING
        assert said(place, "domain_spread") == [f"{DOMAIN}: every server asked says new"]

    asyncio.run(run())


def test_sweeps_wait_for_caches_that_were_filled_before_the_switch(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN, ttl=5 * 86_400)
        place = house(tmp_path, zones)
        await place.drive(State.SYNCED)
        await look(place)
        place.open(Gate.GO, despite="we can't lower it")
        await place.drive(State.SWEEPING)
        zones.spread()
        await place.drive(State.VERIFYING, hours=72)
        assert place.row().state is State.SWEEPING
        assert "caches may hold the old records" in place.row().reason
        await place.drive(State.VERIFYING)
        zone = place.zone()
        assert 5 * DAY <= place.hand.time - (zone.switched_at or 0) < 5 * DAY + 2 * HOUR

    asyncio.run(run())


def test_a_server_that_is_silent_keeps_sweeps_going_and_a_person_ends_them(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        await place.drive(State.SWEEPING)
        zones.spread()
        zones.silent.add("secondary")
        await place.drive(State.VERIFYING, hours=60)
        assert "secondary" in place.row().reason
        with place.database.begin() as connection:
            plan = plan_row(connection, place.number)
            with pytest.raises(BadInput, match="for a reason"):
                end_sweeps(connection, plan, "", who="Kim", login="k", why=" ", at=0.0)
            swept = end_sweeps(
                connection, plan, "", who="Kim", login="kim", why="that server is dead",
                at=place.hand.time,
            )  # fmt: skip
        assert swept == [f"anna@{DOMAIN}"]
        await place.drive(State.VERIFYING, hours=1)
        assert place.row().state is State.VERIFYING
        assert "ended by Kim: that server is dead" in place.row().reason
        (override,) = place.rows("override")
        assert override.gate == "sweeps"
        assert "not every server says new" in override.lacking
        assert said(place, "sweeps_ended") == ["that server is dead"]

    asyncio.run(run())


@pytest.mark.parametrize("moment", ["before keeping", "before writing", "after writing"])
def test_a_crash_of_the_switch_is_gone_on_with_from_the_first_snapshot(
    moment: str, tmp_path: Path
) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        crashes = [moment]

        def crash(now: str) -> None:
            if now in crashes:
                crashes.remove(now)
                raise asyncio.CancelledError

        zones.wrong = crash
        with pytest.raises(asyncio.CancelledError):
            await place.run(place.zone())
        assert place.zone().state is DomainState.SWITCHING
        assert place.row().state is State.SYNCED
        await place.drive(State.FINAL)
        (kept,) = place.rows("snapshot")
        assert OLD in kept.text
        assert kept.written_at is not None

    asyncio.run(run())


def test_what_fails_holds_the_mailboxes_back_and_is_tried_again_by_order(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        zones.stuck = "the key is not known there"
        await place.drive(State.FINAL, hours=5)
        assert place.row().state is State.SYNCED
        assert place.zone().state is DomainState.FAILED
        assert f"the switch of {DOMAIN}: the key is not known there" in waits(place)
        zones.stuck = ""
        assert DOMAIN in place.order(orders.retry).done
        await place.drive(State.FINAL, hours=1)
        assert place.row().state is State.FINAL

    asyncio.run(run())


def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        away = [1, 2, 3]

        def fail(moment: str) -> None:
            if away:
                away.pop()
                raise RetryLater("192.0.2.1 does not answer")

        zones.wrong = fail
        await place.drive(State.FINAL, hours=1)
        assert place.row().state is State.FINAL
        assert zones.primary.values == (NEW,)

    asyncio.run(run())


def test_a_zone_written_by_hand_is_watched_until_it_is(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN, by_hand=True)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        await place.drive(State.FINAL, hours=2)
        assert place.row().state is State.SYNCED
        assert f"the switch of {DOMAIN}: write {DOMAIN}. IN MX {NEW}." in waits(place)
        zones.write(NEW)
        await place.drive(State.FINAL, hours=0.1)
        assert place.row().state is State.FINAL

    asyncio.run(run())


def test_behind_a_filter_a_person_says_that_it_forwards(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones, dns={"filter": "Hornet"})
        await place.drive(State.SYNCED)
        await look(place)
        place.open(Gate.GO)
        (gate,) = place.rows("gate")
        assert "MX stays, Hornet forwards to the new system" in gate.text
        await place.drive(State.FINAL, hours=1)
        assert place.row().state is State.SYNCED
        assert any("Hornet is to forward" in each for each in waits(place))
        for expected in (True, False):
            with place.database.begin() as connection:
                plan = plan_row(connection, place.number)
                done = say_done(
                    connection, plan, "", "forward", who="Kim", login="kim", at=place.hand.time
                )
            assert done is expected
        await place.drive(State.FINAL, hours=1)
        assert place.row().state is State.FINAL

    asyncio.run(run())


def test_an_mx_that_is_new_too_early_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await place.drive(State.SYNCED)
        zones.write(NEW)
        zones.spread()
        await look(place)
        assert any("nobody has said go" in each for each in waits(place))
        assert said(place, "domain_seen")[-1] == f"MX of {DOMAIN}: old → new"

    asyncio.run(run())


def test_a_domain_goes_with_the_last_of_its_waves(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones, people=("anna", "bert"))
        await ready(place, zones)
        await place.drive(State.SYNCED, person="bert")
        await look(place)
        with place.database.begin() as connection:
            connection.exec_driver_sql("UPDATE mailbox SET wave = 'late' WHERE position = 1")
        place.open(Gate.GO)
        assert place.zone().state is DomainState.WATCHED
        assert "No domain is switched with it" in place.rows("gate")[0].text
        await place.drive(State.SWEEPING)
        await place.drive(State.VERIFYING, hours=60)
        assert "has not been switched" in place.row().reason

    asyncio.run(run())


def test_the_old_records_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)
        await place.drive(State.SWEEPING)
        with place.database.begin() as connection:
            plan = plan_row(connection, place.number)
            rows = chosen_domains(connection, plan, [DOMAIN.upper()])
            (row,) = recall(connection, plan, rows, who="Kim", at=place.hand.time)
            assert recall(connection, plan, [row], who="Kim", at=place.hand.time) == []
        await look(place)
        assert zones.primary.values == (OLD,)
        assert place.zone().state is DomainState.RETURNED
        (kept,) = place.rows("snapshot")
        assert kept.returned_at == place.hand.time
        await place.drive(State.VERIFYING, hours=60)
        assert "returned to the old system" in place.row().reason

    asyncio.run(run())


def test_what_is_recalled_while_it_is_switched_waits_for_what_is_on_its_way(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await ready(place, zones)
        place.open(Gate.GO)

        def recalled(moment: str) -> None:
            """A person recalls it after the run has begun to write."""
            row = place.zone()
            if moment == "after writing" and row.state is DomainState.SWITCHING:
                with place.database.begin() as connection:
                    plan = plan_row(connection, place.number)
                    recall(connection, plan, [row], who="Kim", at=place.hand.time)

        zones.wrong = recalled
        await look(place)
        assert place.zone().state is DomainState.RETURNING
        assert (place.zone().due_at or 0) >= place.hand.time + 30
        await place.drive(State.FINAL, hours=1)
        assert place.zone().state is DomainState.RETURNED
        assert zones.primary.values == (OLD,)
        assert place.row().state is State.SYNCED

    asyncio.run(run())


def test_what_each_server_said_is_one_row_for_as_long_as_it_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones)
        await place.drive(State.SYNCED)
        for _ in range(5):
            place.hand.time += 900
            await look(place)
        rows = place.rows("look")
        assert len(rows) == 3
        assert {each.last_at for each in rows} == {place.hand.time}
        zones.write(NEW)
        await look(place)
        assert len(place.rows("look")) == 4

    asyncio.run(run())


def test_a_plan_without_dns_has_no_domains(tmp_path: Path) -> None:
    place = House(tmp_path, plan_of())
    assert place.rows("domain") == []


def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    async def run() -> None:
        zones = PlayedZones(DOMAIN)
        place = house(tmp_path, zones, database_url=postgres.database())
        await ready(place, zones)
        place.open(Gate.GO, despite="nothing speaks against it")
        await place.drive(State.SWEEPING)
        zones.spread()
        with place.database.begin() as connection:
            plan = plan_row(connection, place.number)
            why, at = "enough", place.hand.time
            end_sweeps(connection, plan, "", who="Kim", login="kim", why=why, at=at)
        await place.drive(State.VERIFIED)
        assert place.row().state is State.VERIFIED
        assert zones.primary.values == (NEW,)
        # Nothing spoke against it, so there was nothing to keep.
        assert [each.gate for each in place.rows("override")] == ["sweeps"]
        assert DOMAIN not in place.order(orders.retry).done
        place.database.close()

    asyncio.run(run())
