"""When it is tried again, and when no more."""

import random

import pytest

from mailhaul.core.errors import Disconnected, RetryLater, TooManyConnections
from mailhaul.engine.pace import LONGEST_PAUSE, LONGEST_THROTTLE, Pace

FAILURE = RetryLater("out of order", after=1.0)
THROTTLE = RetryLater("slow down", after=7.0, throttled=True)

PAUSES: dict[str, tuple[list[RetryLater], list[float]]] = {
    "the first failure waits about what the server says": ([FAILURE], [1.0]),
    "each failure in a row waits twice as long": ([FAILURE] * 4, [1.0, 2.0, 4.0, 8.0]),
    "no failure waits longer than the longest pause": (
        [RetryLater("later", after=50.0)] * 3,
        [50.0, LONGEST_PAUSE, LONGEST_PAUSE],
    ),
    "a cut connection is a failure": ([Disconnected("cut", after=0.5)] * 2, [0.5, 1.0]),
    "too many connections is a failure": ([TooManyConnections("nine", after=2.0)], [2.0]),
    "a failure that may be tried at once is": ([RetryLater("now", after=0.0)] * 2, [0.0, 0.0]),
}


@pytest.mark.parametrize("name", PAUSES)
def test_pauses_are_spread_by_a_quarter_around(name: str) -> None:
    errors, wanted = PAUSES[name]
    for seed in range(20):
        pace = Pace(retries=9, random=random.Random(seed))
        for error, seconds in zip(errors, wanted, strict=True):
            pause = pace.pause(error)
            assert pause is not None and 0.75 * seconds <= pause <= 1.25 * seconds


def test_two_that_fail_together_do_not_return_together() -> None:
    pauses = {Pace(3, random.Random(seed)).pause(FAILURE) for seed in range(10)}
    assert len(pauses) == 10


@pytest.mark.parametrize("retries", [0, 1, 6])
def test_it_gives_up_after_so_many_failures_in_a_row(retries: int) -> None:
    pace = Pace(retries, random.Random(1))
    assert all(pace.pause(FAILURE) is not None for _ in range(retries))
    assert pace.pause(FAILURE) is None
    assert pace.pause(FAILURE) is None


def test_progress_begins_the_count_anew() -> None:
    pace = Pace(2, random.Random(1))
    for _ in range(10):
        assert pace.pause(FAILURE) is not None
        assert pace.pause(FAILURE) is not None
        pace.progressed()
    first = pace.pause(FAILURE)
    assert first is not None and first <= 1.25


def test_a_throttle_is_waited_out_however_often_and_exactly() -> None:
    pace = Pace(1, random.Random(1))
    assert [pace.pause(THROTTLE) for _ in range(50)] == [7.0] * 50
    assert pace.failures == 0
    assert pace.pause(FAILURE) is not None
    assert pace.pause(THROTTLE) == 7.0
    assert pace.pause(FAILURE) is None


@pytest.mark.parametrize(
    ("asked", "waited"), [(-5.0, 0.0), (0.0, 0.0), (299.961, 299.961), (1e9, LONGEST_THROTTLE)]
)
def test_what_a_server_asks_for_has_bounds(asked: float, waited: float) -> None:
    error = RetryLater("slow down", after=asked, throttled=True)
    assert Pace(1, random.Random(1)).pause(error) == waited
