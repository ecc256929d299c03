"""How long it takes, when to begin, what binds: against figures that can be worked out by hand."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.plan.forecast import Amount, Limits, Rate, forecast, latest_start
from mailhaul.plan.model import Budget, Hours

START = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
RATE = Rate(10.0, 1_000_000.0)
HOUR = 3600.0
FREE = Budget()
# A mailbox of one hour: by its messages, by its octets.
BY_COUNT = Amount(36_000, 1_000)
BY_SIZE = Amount(10, 3_600_000_000)


def hours(start: int, end: int, *days: int) -> Hours:
    return Hours(start=time(start), end=time(end), days=days or (1, 2, 3, 4, 5, 6, 7))


CASES: list[tuple[str, list[Amount], dict[str, Any], float]] = [
    ("nothing", [], {}, 0),
    ("an empty mailbox", [Amount(0, 0)], {}, 0),
    ("by messages", [BY_COUNT], {}, 1),
    ("by octets", [BY_SIZE], {}, 1),
    ("side by side", [BY_COUNT, BY_SIZE], {}, 1),
    ("two connections each", [BY_SIZE], {"connections_each": (2, 3)}, 0.5),
    ("one after the other", [BY_COUNT] * 3, {"target": Budget(connections=1)}, 3),
    ("two at a time", [BY_COUNT] * 3, {"source": Budget(connections=2)}, 2),
    (
        "two connections each, two in all",
        [BY_COUNT] * 2,
        {"source": Budget(connections=2), "connections_each": (2, 2)},
        1,
    ),
    ("messages a second in all", [BY_COUNT] * 4, {"source": Budget(messages_per_second=20)}, 2),
    ("messages a second each", [BY_COUNT] * 4, {"target": Budget(messages_per_second_each=5)}, 2),
    ("octets a day: the day is enough", [BY_SIZE], {"source": Budget(octets_per_day=10**10)}, 1),
    (
        "octets a day: the rest at midnight",
        [BY_SIZE],
        {"source": Budget(octets_per_day=2_700_000_000)},
        24.25,
    ),
    (
        "octets a day each: three midnights",
        [BY_SIZE, BY_COUNT],
        {"target": Budget(octets_per_day_each=1_000_000_000)},
        72 + 1 / 6,
    ),
    ("hours of one night", [BY_COUNT], {"hours": hours(20, 6)}, 1),
    ("hours that open later", [BY_COUNT], {"hours": hours(10, 11)}, 11),
    (
        "hours that close in between",
        [BY_COUNT] * 2,
        {"hours": hours(10, 11), "source": Budget(connections=1)},
        35,
    ),
    ("only on Sundays", [BY_COUNT], {"hours": hours(10, 12, 7)}, 6 * 24 + 11),
]


def limits(**changes: Any) -> Limits:
    return Limits(**{"rate": RATE, "source": FREE, "target": FREE, **changes})


@pytest.mark.parametrize(
    ("amounts", "changes", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_how_long_it_takes(amounts: list[Amount], changes: dict[str, Any], expected: float) -> None:
    found = forecast(amounts, limits(**changes), START)
    assert found.seconds / HOUR == pytest.approx(expected, abs=0.001)


def test_a_night_is_an_hour_longer_when_clocks_are_put_back() -> None:
    zone = ZoneInfo("Europe/Paris")
    night = hours(0, 6)
    work = [Amount(36_000 * 7, 0)]
    usual = forecast(work, limits(hours=night, zone=zone), datetime(2026, 10, 23, tzinfo=zone))
    change = forecast(work, limits(hours=night, zone=zone), datetime(2026, 10, 25, tzinfo=zone))
    assert usual.seconds / HOUR == pytest.approx(25)
    assert change.seconds / HOUR == pytest.approx(7)


def test_what_can_never_end_says_so() -> None:
    found = forecast([BY_SIZE], limits(source=Budget(octets_per_day=1)), START)
    assert found.ends is None
    assert found.reliefs[0].limit == "octets a day in all at the source"
    assert found.reliefs[0].seconds == float("inf")


BINDS = [
    ({"source": Budget(octets_per_day=400_000_000)}, "octets a day in all at the source"),
    (
        {"target": Budget(octets_per_day_each=400_000_000)},
        "octets a day of one mailbox at the target",
    ),
    ({"target": Budget(connections=1)}, "connections in all at the target"),
    (
        {"source": Budget(messages_per_second_each=0.001)},
        "messages a second of one mailbox at the source",
    ),
    ({"hours": hours(10, 11)}, "working hours"),
    ({}, "the rate of a connection (twice as fast)"),
]


@pytest.mark.parametrize(("changes", "limit"), BINDS, ids=[row[1] for row in BINDS])
def test_what_binds_is_named_first(changes: dict[str, Any], limit: str) -> None:
    found = forecast([BY_SIZE] * 4, limits(**changes), START)
    assert found.reliefs[0].limit == limit
    assert 0 < found.reliefs[0].seconds <= found.seconds


def test_a_limit_that_does_not_bind_is_no_relief() -> None:
    found = forecast([BY_SIZE], limits(source=Budget(connections=50, octets_per_day=10**12)), START)
    assert [each.limit for each in found.reliefs] == ["the rate of a connection (twice as fast)"]


@pytest.mark.parametrize(
    ("work", "cutover", "latest"),
    [
        # An hour, and twelve hours of margin.
        (1, 48, 48 - 13),
        # Sixty hours; a quarter of that is more.
        (60, 100, 100 - 75),
        # Too late by an hour.
        (60, 74, None),
    ],
)
def test_the_latest_start_leaves_a_margin(work: int, cutover: int, latest: float | None) -> None:
    found = latest_start(
        [Amount(36_000 * work, 0)], limits(), START + timedelta(hours=cutover), START
    )
    if latest is None:
        assert found is None
    else:
        assert found is not None
        left = START + timedelta(hours=latest) - found
        assert timedelta() <= left <= timedelta(minutes=3)


amounts = st.lists(
    st.builds(Amount, st.integers(0, 10**6), st.integers(0, 10**11)), min_size=1, max_size=8
)
budgets = st.builds(
    Budget,
    connections=st.none() | st.integers(1, 30),
    messages_per_second=st.none() | st.floats(1, 1000),
    octets_per_day=st.none() | st.integers(10**9, 10**12),
    messages_per_second_each=st.none() | st.floats(1, 100),
    octets_per_day_each=st.none() | st.integers(10**9, 10**12),
)
nights = st.none() | st.builds(
    lambda start, length: hours(start, (start + length) % 24),
    st.integers(0, 23),
    st.integers(1, 23),
)


@given(amounts, budgets, budgets, nights)
def test_no_relief_is_larger_than_the_whole_and_more_mail_takes_no_less_time(
    held: list[Amount], source: Budget, target: Budget, night: Hours | None
) -> None:
    found = forecast(held, limits(source=source, target=target, hours=night), START)
    more = forecast([*held, held[0]], limits(source=source, target=target, hours=night), START)
    assert found.ends is not None
    assert found.ends >= START
    assert more.seconds >= found.seconds - 1e-3
    for relief in found.reliefs:
        assert 0 < relief.seconds <= found.seconds


@given(amounts, budgets, nights)
def test_beginning_at_the_latest_start_is_in_time_and_much_later_is_not(
    held: list[Amount], target: Budget, night: Hours | None
) -> None:
    known = limits(target=target, hours=night)
    cutover = START + timedelta(days=60)
    found = latest_start(held, known, cutover, START)
    if found is None:
        assert forecast(held, known, START).seconds * 1.25 > 59 * 86400 - 86400
        return
    ends = forecast(held, known, found).ends
    assert ends is not None
    assert ends + timedelta(hours=12) <= cutover
