"""A switch on a real Knot, looked at through a real Unbound and taken back by a person's word."""

from pathlib import Path

from mailhaul.dns.propagation import Seen
from mailhaul.dns.records import Kind
from mailhaul.dns.switch import Result
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.journey.zone_looks import sighted
from mailhaul.journey.zone_orders import bring_back
from mailhaul.journey.zone_reach import Desk
from tests.journey.test_cutover_real import Stage
from tests.servers.knot import Knot
from tests.servers.unbound import Unbound


async def test_a_switch_is_seen_and_taken_back_here_and_now(
    tmp_path: Path, knot: Knot, unbound: Unbound
) -> None:
    stage = Stage(tmp_path, knot, unbound)
    house = stage.house
    zones = house.means.zones
    assert isinstance(zones, WiredZones)
    desk = Desk(house.database, house.hand.clock, zones)
    with house.database.begin() as connection:
        plan = plan_row(connection, house.number)

    async def own() -> tuple[Seen, Seen, float | None]:
        """What should stand of MX, what the zone's own server says, and until when caches may say
        otherwise."""
        found = await sighted(desk, plan, house.zone())
        (told,) = [each for each in found.told if each.record.kind is Kind.MX and each.ttl is None]
        (look,) = [each for each in told.looks if each.authoritative]
        return told.should, look.seen, told.gone

    await stage.ready()
    assert (await own())[:2] == (Seen.OLD, Seen.OLD)
    house.open(Gate.GO)
    await house.drive(State.FINAL)
    should, seen, gone = await own()
    assert (should, seen) == (Seen.NEW, Seen.NEW)
    assert gone is not None
    (done,) = await bring_back(desk, plan, house.zone(), who="Kim", login="kim")
    assert done.result is Result.DONE
    assert await stage.mx() == (stage.old,)
    assert house.zone().state is DomainState.RETURNED
    assert (await own())[:2] == (Seen.OLD, Seen.OLD)
    assert await bring_back(desk, plan, house.zone(), who="Kim", login="kim") == []
