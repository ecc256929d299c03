"""Every scenario, straight and twice, killed at every point, cut at every call, stopped.

On the best servers always at every point; on the poorer ones at every seventh, and at all of them
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
EVERY = {"best": 1, "plain": 1 if SOAK else 7, "poor": 1 if SOAK else 7}
Record = Callable[[str, object], None]


@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_straight_and_twice(scenario: Scenario, manner: str, record_property: Record) -> None:
    await straight(scenario, manner)
    record_property("straight", f"{scenario.name}|1")


@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_killed_at_every_point_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.KILLED, EVERY[manner])
    assert times > 0
    record_property("killed", f"{scenario.name}|{times}")


@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_cut_at_every_call_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.CUT, EVERY[manner])
    assert times > 0
    record_property("cut", f"{scenario.name}|{times}")


@pytest.mark.parametrize(("scenario", "manner"), CASES)
async def test_stopped_at_every_event_it_ends_the_same(
    scenario: Scenario, manner: str, record_property: Record
) -> None:
    times = await interrupted(scenario, manner, Kind.STOPPED, EVERY[manner])
    record_property("stopped", f"{scenario.name}|{times}")


def test_names_are_told_apart() -> None:
    assert len({scenario.name for scenario in ALL}) == len(ALL)
