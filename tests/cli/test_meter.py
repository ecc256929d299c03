"""How far a pass is, by its events."""

import pytest

from mailhaul.cli.meter import AVERAGE, Meter
from mailhaul.cli.progress import plain_line
from mailhaul.core.folder import INBOX_PATH
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Settled,
    Side,
    Tally,
    Waiting,
)

SENT = ("Sent",)
OPENED: list[Event] = [Opened(Side.SOURCE, "a"), Opened(Side.TARGET, "b")]
MAPPED = Mapped(
    (
        FolderLink(INBOX_PATH, INBOX_PATH, count=100, size=1_000_000),
        FolderLink(SENT, SENT, count=300, size=2_000_000),
    )
)
FINISHED = Finished(Tally(), 1.0, {}, 0)


def meter(*events: tuple[float, Event]) -> Meter:
    made = Meter(0.0)
    for event in OPENED:
        made.take(event, 0.0)
    made.take(MAPPED, 0.0)
    for now, event in events:
        made.take(event, now)
    return made


def test_what_is_listed_and_carried_adds_up() -> None:
    here = meter(
        (1, Listed(INBOX_PATH, 60, 600)),
        (1, Listed(INBOX_PATH, 40, 400)),
        (1, Listed(SENT, 300, 3000)),
        (2, Carried(INBOX_PATH, 50, 500)),
    )
    assert (here.messages, here.octets) == (400, 4000)
    assert (here.carried_messages, here.carried_octets) == (50, 500)
    assert [folder.path for folder in here.active(4)] == [INBOX_PATH, SENT]
    assert here.folders_done == 0


def test_before_anything_is_listed_the_counts_of_the_source_are_expected() -> None:
    here = meter()
    here.expect({})
    assert here.messages_expected() == 400
    assert here.octets_expected() == 3_000_000


def test_what_the_ledger_accounts_for_is_not_expected_again() -> None:
    here = meter((1, Listed(INBOX_PATH, 5, 50_000)))
    here.expect({INBOX_PATH: 90, SENT: 300})
    assert here.messages_expected() == 10
    assert here.octets_expected() == 100_000


def test_an_expectation_formed_late_counts_what_was_carried_meanwhile() -> None:
    here = meter((1, Listed(INBOX_PATH, 50, 500)), (2, Carried(INBOX_PATH, 50, 500)))
    here.expect({INBOX_PATH: 50, SENT: 300})
    assert here.messages_expected() == 100


def test_sizes_nobody_told_are_guessed() -> None:
    here = Meter(0.0)
    here.take(Mapped((FolderLink(SENT, SENT, count=3),)), 0.0)
    here.expect({})
    assert here.octets_expected() == 3 * AVERAGE


def test_what_was_listed_but_not_carried_no_longer_counts_when_the_folder_is_done() -> None:
    here = meter(
        (1, Listed(INBOX_PATH, 100, 1000)),
        (2, Carried(INBOX_PATH, 98, 900)),
        (2, Settled(INBOX_PATH, 7, Fate.REFUSED, "too large")),
        (3, FolderDone(INBOX_PATH)),
    )
    here.expect({INBOX_PATH: 100, SENT: 300})
    assert here.messages_expected() == here.carried_messages == 98
    assert here.octets_expected() == 900
    assert here.fates == {Fate.REFUSED: 1}
    assert here.folders_done == 1


def test_the_rate_looks_at_the_last_seconds_only() -> None:
    events: list[tuple[float, Event]] = [(0, Listed(SENT, 400, 400_000))]
    events += [(float(second), Carried(SENT, 10, 10_000)) for second in range(1, 11)]
    here = meter(*events)
    messages, octets = here.speed(10.0)
    assert messages == pytest.approx(10.0)
    assert octets == pytest.approx(10_000)
    # Nothing moves any more: the rate sinks and then is nought.
    assert 0 < here.speed(18.0)[1] < 10_000
    assert here.speed(60.0)[1] < 500


def test_what_is_left_is_guessed_by_the_rate_and_the_wait() -> None:
    events: list[tuple[float, Event]] = [
        (0, Listed(INBOX_PATH, 100, 100_000)),
        (0, Listed(SENT, 300, 300_000)),
    ]
    events += [(float(second), Carried(SENT, 10, 10_000)) for second in range(1, 11)]
    here = meter(*events)
    assert here.seconds_left(10.0) == pytest.approx(30.0)
    here.take(Waiting(Side.TARGET, "throttled", 100, throttled=True), 10.0)
    assert here.seconds_left(10.0) == pytest.approx(130.0)


def test_there_is_no_guess_without_a_rate() -> None:
    assert meter((0, Listed(SENT, 1, 1))).seconds_left(10.0) is None
    assert meter((0, Carried(SENT, 1, 1))).seconds_left(0.1) is None


def test_a_whole_that_is_smaller_than_what_is_done_is_not_believed() -> None:
    here = meter((0, Listed(SENT, 300, 0)), (1, Carried(SENT, 30, 3_000_000)))
    here.folders[INBOX_PATH].expected = 0
    assert here.share == (30, 300)
    assert here.folders[SENT].share == (30, 300)
    assert here.seconds_left(10.0) == pytest.approx(90, rel=0.2)


def test_what_is_waited_for_is_said_step_by_step() -> None:
    here = Meter(0.0)
    assert here.pending(0) == "connecting to the source and the target"
    here.take(OPENED[0], 1)
    assert here.pending(1) == "connecting to the target"
    here.take(OPENED[1], 2)
    assert here.pending(2) == "reading the folder lists"
    here.take(MAPPED, 3)
    assert here.pending(3) == "comparing"
    here.take(Listed(SENT, 2, 2), 4)
    assert here.pending(4) == ""
    here.take(Waiting(Side.TARGET, "too many requests", 60, throttled=True), 5)
    assert here.pending(5) == "waiting 1:00 for the target, which asked for it: too many requests"
    assert here.wait_left(5) == pytest.approx(60)
    here.take(Waiting(Side.SOURCE, "the connection is gone", 2), 5)
    assert "waiting 2.0 s for the source: the connection is gone" in here.pending(5)
    assert here.pending(66) == ""
    here.take(Carried(SENT, 1, 1), 7)
    assert here.pending(7) == ""
    here.take(FINISHED, 8)
    assert here.pending(8) == ""


def test_the_plain_line_tells_it_all() -> None:
    events: list[tuple[float, Event]] = [(0, Listed(SENT, 300, 300_000))]
    events += [(float(second), Carried(SENT, 10, 10_000)) for second in range(1, 11)]
    events.append((10, FolderDone(INBOX_PATH)))
    events.append((10, Waiting(Side.TARGET, "busy", 30, throttled=True)))
    assert plain_line(meter(*events), 10.0) == (
        "1 of 2 folders · 100 of 300 messages · 100.0 KB of 300.0 KB · 10.0 KB/s · "
        "about 50 s left · in Sent · waiting 30 s for the target, which asked for it: busy"
    )
