"""A plan's domain on a real Knot, seen through a real Unbound: lowered, switched, spread, returned;
by signed updates, by hand, and with a key that the server does not know."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.network import WireNetwork
from mailhaul.dns.records import Kind
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.zone import Edit, difference, held
from mailhaul.journey import orders
from mailhaul.journey.domain_orders import chosen_domains, recall, say_done
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.gates import Shut
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.plan.model import Sweeps
from tests.journey.house import HOUR, House, plan_of
from tests.journey.test_cutover import look, waits
from tests.servers.knot import Knot
from tests.servers.unbound import Unbound

LONG, SHORT = 4, 1
"""Seconds of TTL."""
LOOPBACK = allowance(["127.0.0.0/8"])


class Stage:
    """A zone with old and new mail hosts, delegated, and a plan to switch it."""

    def __init__(
        self, directory: Path, knot: Knot, unbound: Unbound, *, kind: str = "rfc2136", **more: Any
    ) -> None:
        self.knot = knot
        parent = knot.fresh("parent")
        self.domain = f"acme.{parent}"
        self.old, self.new = f"10 mx.old.{self.domain}", f"10 mx.new.{self.domain}"
        knot.zone(parent)
        knot.zone(
            self.domain,
            f"@ {LONG} MX {self.old}.",
            f"mx.old {LONG} A 127.0.0.2",
            f"mx.new {LONG} A 127.0.0.3",
        )
        knot.delegate(parent, self.domain, [knot])
        unbound.serve(parent, [knot])
        unbound.serve(self.domain, [knot])
        self.secret = knot.key.secret
        signed = {
            "kind": "rfc2136",
            "server": knot.address,
            "port": knot.port,
            "key": knot.key.name,
            "algorithm": knot.key.algorithm,
            "secret": "env:TSIG",
        }
        sweeps = Sweeps.model_validate({"every": "1h", "for": "48h", "until_quiet": 2})
        dns = {
            "mx": (self.new,),
            "ttl": f"{SHORT}s",
            "resolvers": (f"{unbound.address}@{unbound.port}",),
            "port": knot.port,
            "allow_networks": ("127.0.0.0/8",),
            "writer": signed if kind == "rfc2136" else {"kind": kind},
            **more,
        }
        self.house = House(
            directory,
            plan_of(dns=dns, sweeps=sweeps),
            zones=WiredZones(self.key),
            domain=self.domain,
        )

    async def key(self, reference: str, directory: Path) -> Secret:
        assert reference == "env:TSIG"
        return Secret(self.secret)

    async def write(self, ttl: int, before: tuple[int, str], after: str) -> None:
        """The zone's holder changes MX with a key of his own."""
        key = TsigKey(self.knot.key.name, Secret(self.knot.key.secret), self.knot.key.algorithm)
        server = Server(self.knot.address, self.knot.port)
        zone = UpdatedZone(self.domain, server, key, LOOPBACK)
        change = (
            held(self.domain, Kind.MX, each[0], {each[1]: f"{each[1]}."})
            for each in (before, (ttl, after))
        )
        await zone.change([Edit(*change)])

    async def mx(self) -> tuple[str, ...]:
        network = WireNetwork(LOOPBACK)
        server = Server(self.knot.address, self.knot.port)
        return (await network.ask(server, self.domain, Kind.MX, recursive=False)).values

    async def ready(self) -> None:
        """Synced, the TTL low, and everything remembered forgotten by the house's clock."""
        await self.house.drive(State.SYNCED)
        with pytest.raises(Shut) as shut:
            self.house.open(Gate.GO)
        assert f"remembered for {LONG} s" in str(shut.value.lacking)
        await self.write(SHORT, (LONG, self.old), self.old)
        await look(self.house)
        self.house.hand.time += LONG + 1
        await look(self.house)


def servers(stage: Stage) -> set[tuple[str, str]]:
    """Who says what of MX, as last seen."""
    rows = [row for row in stage.house.rows("look") if row.kind == "MX"]
    latest = max(row.last_at for row in rows)
    return {
        ("zone" if row.authoritative else "cache", row.standing)
        for row in rows
        if row.last_at == latest
    }


async def test_a_domain_is_switched_by_a_signed_update_and_returned(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound)
    house = stage.house
    await stage.ready()
    house.open(Gate.GO)
    await house.drive(State.FINAL)
    assert await stage.mx() == (stage.new,)
    assert house.zone().state is DomainState.SWITCHED
    # The cache goes on saying old until its TTL has really run out.
    house.hand.time += 1
    await look(house)
    assert ("zone", "new") in servers(stage)
    assert house.zone().settled_at is None
    async with asyncio.timeout(10 * LONG):
        while house.zone().settled_at is None:
            await asyncio.sleep(0.5)
            house.hand.time += 1
            await look(house)
    assert servers(stage) == {("zone", "new"), ("cache", "new")}
    await house.drive(State.VERIFIED)
    assert house.row().state is State.VERIFIED
    with house.database.begin() as connection:
        plan = plan_row(connection, house.number)
        rows = chosen_domains(connection, plan)
        assert len(recall(connection, plan, rows, who="Kim", at=house.hand.time)) == 1
    await look(house)
    assert await stage.mx() == (stage.old,)
    assert house.zone().state is DomainState.RETURNED


async def test_a_key_that_the_server_refuses_changes_nothing_and_can_be_mended(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound)
    house = stage.house
    await stage.ready()
    house.open(Gate.GO)
    stage.secret = "c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnMhISE="
    await look(house)
    assert house.zone().state is DomainState.FAILED
    assert await stage.mx() == (stage.old,)
    assert any("correct the secret" in each for each in waits(house))
    stage.secret = knot.key.secret
    assert stage.domain in house.order(orders.retry).done
    await look(house)
    assert await stage.mx() == (stage.new,)


async def test_what_somebody_else_wrote_after_the_go_is_not_overwritten(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound)
    house = stage.house
    await stage.ready()
    house.open(Gate.GO)
    zones = house.means.zones
    assert isinstance(zones, WiredZones)
    elsewhere = f"10 mx.elsewhere.{stage.domain}"
    before, text = house.zone(), []
    with house.database.begin() as connection:
        plan = plan_row(connection, house.number)

    async def meddle(snapshot: str) -> None:
        text.append(snapshot)
        await stage.write(SHORT, (SHORT, stage.old), elsewhere)

    done = await zones.switch(plan, before, None, meddle)
    assert (done.finished, done.stuck, done.untouched) == (False, True, True)
    assert "find out who changed them" in done.why
    assert await stage.mx() == (elsewhere,)
    assert stage.old in text[0]


async def test_a_zone_written_by_hand_is_seen_at_its_servers(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound, kind="manual")
    house = stage.house
    await stage.ready()
    house.open(Gate.GO)
    await house.drive(State.FINAL, hours=0.1)
    assert house.row().state is State.SYNCED
    (told,) = [each for each in waits(house) if "to be written" in each]
    assert f"+ {stage.domain}. {SHORT} IN MX {stage.new}." in told
    await stage.write(60, (SHORT, stage.old), stage.new)
    await house.drive(State.FINAL, hours=0.1)
    assert house.row().state is State.FINAL
    assert len(house.rows("snapshot")) == 1
    assert house.hand.time > HOUR


async def test_what_the_switch_would_write_is_known_before(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound)
    zones, house = stage.house.means.zones, stage.house
    assert isinstance(zones, WiredZones)
    with house.database.begin() as connection:
        plan = plan_row(connection, house.number)
    assert difference(await zones.intended(plan, house.zone())) == [
        f"- {stage.domain}. {LONG} IN MX {stage.old}.",
        f"+ {stage.domain}. {SHORT} IN MX {stage.new}.",
    ]
    assert await stage.mx() == (stage.old,)


async def test_behind_a_filter_mx_stays(tmp_path: Path, knot: Knot, unbound: Unbound) -> None:
    stage = Stage(tmp_path, knot, unbound, filter="Hornet")
    house = stage.house
    await house.drive(State.SYNCED)
    house.open(Gate.GO)
    await look(house)
    assert house.zone().state is DomainState.SWITCHING
    with house.database.begin() as connection:
        plan = plan_row(connection, house.number)
        at = house.hand.time
        say_done(connection, plan, "", "forward", who="Kim", login="kim", at=at)
    await house.drive(State.VERIFIED)
    assert house.row().state is State.VERIFIED
    assert await stage.mx() == (stage.old,)
