"""Every scenario, straight and twice, killed at every point, cut at every call, stopped.

On the best servers always killed at every point; the rest is sampled (`EVERY`), and played in full
with MAILHAUL_SOAK=1.
"""

import os
from collections.abc import Callable

import pytest

from tests.engine.scenarios import SERVERS, Kind, Scenario, interrupted, straight
from tests.engine.tables import ALL

CASES = [
    pytest.param(scenario, manner, id=f"{scenario.name} ({manner})")
    for scenario in ALL
    for manner in SERVERS
    if manner in scenario.servers.split()
]
SOAK = os.environ.get("MAILHAUL_SOAK") == "1"
EVERY = {
    Kind.KILLED: {"best": 1, "plain": 7, "poor": 7},
    Kind.CUT: {"best": 2, "plain": 11, "poor": 11},
    Kind.STOPPED: {"best": 2, "plain": 11, "poor": 11},
}
Record = Callable[[str, object], None]


@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_straight_and_twice(scenario: Scenario, manner: str, record_property: Record) -> None:
    await straight(scenario, manner)
    record_property("straight", f"{scenario.name}|1")


@pytest.mark.soak
@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_killed_at_every_point_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.KILLED, _every(Kind.KILLED, manner))
    assert times > 0 or _every(Kind.KILLED, manner) > 1
    record_property("killed", f"{scenario.name}|{times}")


@pytest.mark.soak
@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_cut_at_every_call_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.CUT, _every(Kind.CUT, manner))
    record_property("cut", f"{scenario.name}|{times}")


@pytest.mark.soak
@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_stopped_at_every_event_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.STOPPED, _every(Kind.STOPPED, manner))
    record_property("stopped", f"{scenario.name}|{times}")


def test_names_are_told_apart() -> None:
    assert len({scenario.name for scenario in ALL}) == len(ALL)


def _every(kind: Kind, manner: str) -> int:
    return 1 if SOAK else EVERY[kind][manner]
