"""Ten thousand journeys of three days, by a clock that jumps, with restarts: nothing leaks, nothing
is left in a queue, everything is counted once. `make soak` takes all of them, `make test` a few."""

import time
from collections import Counter
from pathlib import Path

import pytest

from mailhaul.journey.events import broken
from mailhaul.journey.plans import plan_row
from mailhaul.journey.states import State
from mailhaul.journey.status import Status, status
from tests.faults.soaking import SOAKING
from tests.journey_scale.weekend import SWEEPS, Weekend, statements

pytestmark = pytest.mark.soak

MAILBOXES = 10_000 if SOAKING else 200
GIGABYTE = 1 << 30
MOST_GROWTH = 64 << 20
"""Octets that the process may grow by in two days of sweeps, whatever the number of mailboxes."""
MOST_STATEMENTS = 30


async def test_a_weekend_of_many_mailboxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.perf_counter()
    weekend = Weekend(tmp_path, MAILBOXES)
    await weekend.go_by()
    took = time.perf_counter() - begun
    shown = looked_at(weekend, State.VERIFIED)
    weekend.complete()
    seconds, asked = looked_at(weekend, State.COMPLETED)
    ours, ledgers = weekend.octets()
    growth = weekend.memory[-1] - weekend.memory[24]
    with capsys.disabled():
        print(
            f"\n{MAILBOXES:,} journeys of 72 h: {weekend.runs:,} runs in {took:.0f} s,"
            f" {1000 * took / weekend.runs:.1f} ms each; {weekend.restarts} restarts,"
            f" {weekend.lost_engines} of them without the engine's rows\n"
            f"database {ours / 2**20:,.0f} MiB and ledgers {ledgers / 2**20:,.0f} MiB:"
            f" {ours / MAILBOXES / 1024:.1f} and {ledgers / MAILBOXES / 1024:.1f} KiB a mailbox\n"
            f"memory {weekend.memory[-1] / 2**20:.0f} MiB,"
            f" over the sweeps {growth / 2**20:+.0f} MiB\n"
            f"status in {max(shown[0], seconds):.2f} s by {asked} statements"
        )
    everything_is_counted_once(weekend)
    nothing_is_left(weekend)
    assert growth < MOST_GROWTH
    assert ours + ledgers < 2 * GIGABYTE * MAILBOXES / 10_000
    assert shown[1] == asked <= MOST_STATEMENTS


def looked_at(weekend: Weekend, state: State) -> tuple[float, int]:
    """How long `status` takes and how many statements it needs; all are in that state."""
    house = weekend.house
    with house.database.begin() as connection, statements(connection) as asked:
        begun = time.perf_counter()
        found: Status = status(connection, plan_row(connection, house.number), house.hand.time)
        took = time.perf_counter() - begun
    assert dict(found.states) == {state: MAILBOXES}
    assert set(found.grades) == {"perfect"}
    return took, len(asked)


def everything_is_counted_once(weekend: Weekend) -> None:
    table = weekend.house.rows("mailbox")
    once = Counter(
        dict.fromkeys(
            ("checked", "admitted", "begun", "went", "quiet", "verified", "signed"), MAILBOXES
        )
    )
    sweeps = sum(row.sweeps for row in table)
    deltas = weekend.actions()["touched_up"]
    assert SWEEPS * MAILBOXES <= sweeps <= (SWEEPS + 1) * MAILBOXES
    assert MAILBOXES <= deltas <= 2 * MAILBOXES
    plans = {"loaded": 1, "started": 1, "gate_opened": 2, "plan_completed": 1}
    assert weekend.actions() == once + Counter(
        plans | {"carried": 2 * MAILBOXES, "touched_up": deltas, "swept": sweeps - MAILBOXES}
    )
    passes = weekend.house.rows("passes")
    assert len(passes) == sum(row.passes for row in table) == 2 * MAILBOXES + deltas + sweeps
    assert {each.outcome for each in passes} == {"complete"}
    assert sum(each.carried for each in passes) == weekend.delivered
    assert weekend.sums("census", "copied") == (weekend.delivered, weekend.delivered)
    targets = weekend.house.targets.values()
    assert sum(len(each.messages(("INBOX",))) for each in targets) == weekend.delivered
    with weekend.house.database.begin() as connection:
        assert broken(connection, weekend.house.number) == ""


def nothing_is_left(weekend: Weekend) -> None:
    kept = weekend.kept
    assert not kept.live
    assert not kept.delayed
    assert not kept.under_way
    assert not any(kept.waiting.values())
    assert len(kept.ended) <= 3 * MAILBOXES
    assert {row.due_at for row in weekend.house.rows("mailbox")} == {None}
    assert weekend.house.rows("permit") == []
