"""The whole night under a world that keeps writing, to both sides, every second: switch, way back,
switch again, sweeps, verification. Every message that anybody has delivered is there once."""

from pathlib import Path

from tests.cutover.town import NAME, WHO, Town, town
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.knot import Knot
from tests.servers.unbound import Unbound


def go(place: Town) -> None:
    """Everybody is synced, the gate is opened once caches can't hold older records any more, and
    the zone says the new system."""
    place.until("everybody to be synced", place.all_are("synced"))
    place.insist("approve", NAME, "--gate", "go", "--as", WHO, "--yes")
    place.until("the sweeps", place.all_are("sweeping", "verifying", "verified"))
    assert place.mx() == [f"10 mx.new.{place.domain}."]


def under_way(place: Town) -> list[str]:
    """Canaries by MX that have not been found and removed yet. They are looked for on the other
    side for minutes more, and one that was given to the old host for an hour."""
    return [
        each["mailbox"]
        for each in place.canaries()
        if each["via"] == "mx" and each["state"] in ("due", "sought")
        if not each["places"] or not all(found["removed"] for found in each["places"])
    ]


def test_a_switch_a_way_back_and_a_switch_under_mail_lose_and_double_nothing(
    tmp_path: Path, dovecot: Dovecot, cyrus: Cyrus, knot: Knot, unbound: Unbound
) -> None:
    with town(tmp_path, dovecot, cyrus, knot, unbound) as place:
        world, laggards = place.world, place.laggards
        place.order("start", "plan.toml")
        place.start_worker()
        go(place)
        place.until("mail at the new system", lambda status: world.went[place.new_host] > 10)

        place.order("return", NAME, "--as", WHO)
        place.until("everybody to be back", place.all_are("synced"), 150)
        with world.silent(), laggards.silent():
            assert place.mx() == [f"10 mx.old.{place.domain}."]
            back = place.accounts_for("old")
        assert not back, "\n".join(back[:20])
        returned = {side: place.delivered(side) for side in ("old", "new")}

        go(place)
        more = world.went[place.new_host] + 10
        place.until("mail at the new system", lambda status: world.went[place.new_host] > more)
        laggards.stop()
        place.until("everybody to be verified", place.all_are("verified"), 150)
        world.stop()
        place.until("every canary", lambda status: not under_way(place), 150)
        there = place.accounts_for("new")
        assert not there, "\n".join(there[:20])
        place.order("complete", NAME, "--as", WHO, "--yes")
        assert not world.refused + laggards.refused
        assert all(place.delivered(side) > count > 5 for side, count in returned.items())
        sent = [each for each in place.canaries() if each["act"] == "send" and each["via"] == "mx"]
        arrived = [each for each in sent if each["places"]]
        assert arrived
        print(f"{len(arrived)} canaries of {len(sent)} arrived, and none was left")
        print(
            f"{place.delivered('old')} messages came to the old system and "
            f"{place.delivered('new')} to the new one, during two switches and a way back; each is "
            f"there once, with {place.before} that were there before"
        )
