"""The phases, run by run: each case is a house, something that happens, and what the rows say."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import update

from mailhaul.core.errors import Closed, ClosedReason, Disconnected, FolderFailed, RetryLater
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.message import Flags
from mailhaul.db import tables
from mailhaul.journey import orders
from mailhaul.journey.phases import perform
from mailhaul.journey.questions import Gate
from mailhaul.journey.runs import run_of
from mailhaul.journey.states import State
from mailhaul.plan.model import Carry, Delete, Hours, Order, Sweeps
from tests.journey.house import BEGIN, HOUR, House, letter, plan_of
from tests.servers.postgres import Postgres


def house(tmp_path: Path, people: tuple[str, ...] = ("anna",), **settings: object) -> House:
    return House(tmp_path, plan_of(**settings), people)


def slowly(side: str, operation: str, folder: str) -> None:
    """What is wrong with a server that takes its time."""
    sleep(0.002)


def at_target(found: House, person: str = "anna") -> int:
    return len(found.targets[person].messages(INBOX_PATH))


async def test_a_mailbox_goes_all_the_way(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.SYNCED)
    assert at_target(found) == 3
    found.sources["anna"].deliver(letter("late"), INBOX_PATH)
    await found.drive(hours=25)
    assert (found.row().state, at_target(found)) == (State.SYNCED, 4)
    found.sources["anna"].deliver(letter("last"), INBOX_PATH)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    assert at_target(found) == 5
    begun = found.hand.time
    found.sources["anna"].deliver(letter("stray"), INBOX_PATH)
    await found.drive(State.VERIFYING)
    row = found.row()
    assert at_target(found) == 6
    assert found.hand.time - begun == pytest.approx(48 * HOUR, abs=HOUR)
    assert (row.sweeps, row.quiet_sweeps) == (48, 47)
    await found.drive(State.VERIFIED)
    row = found.row()
    assert (row.grade, row.census, row.copied, row.missing) == ("perfect", 6, 6, 0)
    found.open(Gate.SIGN_OFF)
    found.order(orders.complete, who="Kim")
    assert found.row().state is State.COMPLETED
    steps = [each for each in found.actions() if each not in ("swept", "touched_up")]
    assert steps == [
        *("checked", "admitted", "begun", "carried", "went", "carried", "quiet", "verified"),
        "signed",
    ]
    folders = [(each.source, each.census, each.copied) for each in found.rows("folder")]
    assert folders == [("INBOX", 6, 6)]
    passes = [(each.kind, each.carried, each.outcome) for each in found.rows("passes")]
    assert passes[:4] == [
        ("initial", 3, "complete"),
        ("delta", 1, "complete"),
        ("final", 1, "complete"),
        ("sweep", 1, "complete"),
    ]


@pytest.mark.parametrize(
    ("deep", "compared"),
    [
        (False, {"compared": "lists", "paired": 3}),
        (True, {"compared": "octets", "paired": 3, "identical": 3}),
    ],
)
async def test_the_log_says_what_a_verification_compared(
    tmp_path: Path, deep: bool, compared: dict[str, object]
) -> None:
    found = house(tmp_path, carry=Carry(verify_deep=deep))
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    told = [each.record.figures for each in found.told() if each.record.action == "verified"]
    states = {"from": "verifying", "to": "verified"}
    assert told == [{**states, "grade": "perfect", "messages": 3, "differences": 0, **compared}]


async def test_the_newest_are_carried_first(tmp_path: Path) -> None:
    found = house(
        tmp_path,
        carry=Carry(order=Order.NEWEST_FIRST, newest_window=timedelta(days=30)),
    )
    await found.drive(State.SYNCED)
    assert [each.kind for each in found.rows("passes")] == ["newest", "initial"]
    assert at_target(found) == 3


async def test_sweeps_go_on_until_the_last_were_quiet(tmp_path: Path) -> None:
    sweeps = Sweeps(every=timedelta(hours=1), for_=timedelta(hours=3), until_quiet=2)
    found = house(tmp_path, sweeps=sweeps)
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    for number in range(5):
        found.sources["anna"].deliver(letter(f"stray {number}"), INBOX_PATH)
        await found.drive(hours=1)
    await found.drive(State.VERIFIED)
    row = found.row()
    assert (row.sweeps, row.quiet_sweeps, at_target(found)) == (7, 2, 8)


async def test_sweeps_end_though_a_folder_can_never_be_read(tmp_path: Path) -> None:
    sweeps = Sweeps(every=timedelta(hours=1), for_=timedelta(hours=3), until_quiet=2)
    found = house(tmp_path, sweeps=sweeps)
    found.sources["anna"].make(("Broken",))
    found.sources["anna"].deliver(letter("kept"), ("Broken",))
    await found.drive(State.SYNCED)

    def broken(side: str, operation: str, folder: str) -> None:
        if side == "source" and folder == "Broken":
            raise FolderFailed("the server can't read it")

    found.wrong["anna"] = broken
    found.sources["anna"].deliver(letter("out of reach"), ("Broken",))
    found.open(Gate.GO)
    await found.drive(State.VERIFIED, hours=100)
    row = found.row()
    assert (row.state, row.grade) == (State.VERIFIED, "poor"), row


async def test_refused_credentials_wait_until_they_have_changed(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)
    found.secrets["anna-target"] = "wrong"
    await found.drive(State.WAITING)
    tried = len(found.logins)
    assert found.row().refused_secret == "target:wrong"
    assert "password is wrong" in found.row().reason
    await found.drive(hours=2)
    assert (found.row().state, len(found.logins)) == (State.WAITING, tried)
    found.secrets["anna-target"] = "right"
    await found.drive(State.SYNCED)
    assert at_target(found) == 3
    assert sum("target: wrong" in each for each in found.logins) == 1


@pytest.mark.parametrize("mark", ["first", ""], ids=["by oauth", "by a command"])
async def test_a_refused_token_is_tried_each_hour_or_once_somebody_logs_in_anew(
    tmp_path: Path, mark: str
) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)
    found.secrets["anna-target"] = "wrong"
    found.marks["anna-target"] = mark
    await found.drive(State.WAITING)
    assert found.row().refused_secret == ("target:token-first" if mark else "target:token")

    def tried() -> int:
        return sum("target: wrong" in each for each in found.logins)

    assert tried() == 1
    await found.drive(hours=0.9)
    assert tried() == 1
    await found.drive(hours=0.2)
    assert tried() == 2
    await found.drive(State.WAITING)
    if mark:
        found.marks["anna-target"] = "second"
        await found.drive(hours=0.1)
        assert tried() == 3
    found.secrets["anna-target"] = "right"
    await found.drive(State.SYNCED)
    assert at_target(found) == 3


async def test_the_check_waits_for_credentials_too(tmp_path: Path) -> None:
    found = house(tmp_path)
    del found.secrets["anna-source"]
    await found.drive(State.WAITING)
    assert (found.row().refused_secret, found.logins) == ("source:none", [])
    found.secrets["anna-source"] = "wrong"
    await found.drive(State.CHECKED, hours=1)
    assert found.row().refused_secret == "source:wrong"
    found.secrets["anna-source"] = "right"
    await found.drive(State.SYNCED)


@pytest.mark.parametrize("reason", [ClosedReason.FULL, ClosedReason.FORBIDDEN, ClosedReason.TLS])
async def test_what_a_person_must_mend_stops_the_mailbox_alone(
    tmp_path: Path, reason: ClosedReason
) -> None:
    found = house(tmp_path, ("anna", "bea"))

    def wrong(side: str, operation: str, folder: str) -> None:
        if side == "target" and operation == "before append":
            raise Closed("no more room", reason)

    found.wrong["anna"] = wrong
    await found.drive(State.SYNCED, person="bea")
    await found.drive(State.FAILED)
    assert (found.row("anna").state, found.row("bea").state) == (State.FAILED, State.SYNCED)
    assert found.row("anna").reason == "target: no more room"
    del found.wrong["anna"]
    found.order(orders.retry)
    await found.drive(State.SYNCED)
    assert at_target(found) == 3


async def test_temporary_trouble_waits_longer_and_longer_and_tells(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)

    def away(side: str, operation: str, folder: str) -> None:
        if operation == "open":
            raise Closed("no route to host", ClosedReason.UNREACHABLE)

    found.wrong["anna"] = away
    await found.drive(hours=24)
    row = found.row()
    assert (row.state, row.reason) == (State.COPYING, "source: no route to host")
    pauses = [
        float(each.record.figures["pause"] or 0)
        for each in found.told()
        if each.record.action == "delayed"
    ]
    assert 25 < len(pauses) < 50
    assert pauses[0] < 60
    assert 2500 < max(pauses) < 5400
    del found.wrong["anna"]
    await found.drive(State.SYNCED)
    assert (found.row().failures, at_target(found)) == (0, 3)


async def test_a_throttle_is_waited_out_as_the_server_says(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)
    begun, times = found.hand.time, 0

    def throttled(side: str, operation: str, folder: str) -> None:
        nonlocal times
        if operation == "fetch" and times < 3:
            times += 1
            raise RetryLater("slow down", after=600, throttled=True)

    found.wrong["anna"] = throttled
    await found.drive(State.SYNCED)
    assert found.hand.time - begun == pytest.approx(1800, abs=10)
    (only,) = found.rows("passes")
    assert (only.waits["source asked for it"], only.outcome) == (1800, "complete")


async def test_a_pause_stops_a_pass_at_a_message_boundary(tmp_path: Path) -> None:
    found = house(tmp_path)
    for number in range(300):
        found.sources["anna"].deliver(letter(f"more {number}"), INBOX_PATH)
    await found.drive(State.READY)

    def paused(side: str, operation: str, folder: str) -> None:
        if operation == "after append" and at_target(found) >= 5:
            found.order(orders.pause)
            found.wrong["anna"] = slowly

    found.wrong["anna"] = paused
    await found.run(found.row())
    row = found.row()
    assert (row.state, row.resume_state) == (State.PAUSED, State.COPYING)
    carried = at_target(found)
    assert 5 <= carried < 303
    found.wrong.clear()
    await found.drive(hours=100)
    assert (found.row().state, at_target(found)) == (State.PAUSED, carried)
    found.order(orders.resume)
    await found.drive(State.SYNCED)
    assert (at_target(found), found.row().copied) == (303, 303)


async def test_slices_are_one_pass(tmp_path: Path) -> None:
    found = house(tmp_path)
    for number in range(400):
        found.sources["anna"].deliver(letter(f"more {number}"), INBOX_PATH)
    found.wrong["anna"] = slowly
    found.means = replace(found.means, slice_seconds=0.0, look_seconds=0.01)
    await found.drive(State.SYNCED)
    (only,) = found.rows("passes")
    assert (only.number, only.outcome, at_target(found)) == (1, "complete", 403)
    assert "sliced" in found.actions()


async def test_working_hours_hold_for_copies_and_not_for_the_switch(tmp_path: Path) -> None:
    found = house(tmp_path, hours=Hours(start=time(20), end=time(6)))
    await found.drive(State.SYNCED)
    copied = [each.at for each in found.told() if each.record.action == "carried"]
    assert copied[0] % 86400 == pytest.approx(20 * HOUR, abs=60)
    found.hand.time = copied[0] - copied[0] % 86400 + 86400 + 12 * HOUR
    found.open(Gate.GO)
    begun = found.hand.time
    await found.drive(State.SWEEPING)
    assert found.hand.time - begun < HOUR


async def test_hours_that_are_too_short_for_anything_are_told_and_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    found = house(tmp_path, hours=Hours(start=time(20), end=time(21)))
    found.means = replace(found.means, slice_seconds=0.0)

    def slower_than_the_hours(side: str, operation: str, folder: str) -> None:
        if operation == "before append":
            found.hand.time += HOUR
            raise Disconnected("it takes its time", after=0.2)

    found.wrong["anna"] = slower_than_the_hours
    await found.drive(State.COPYING)
    row = found.row()
    assert (row.state, row.failures) == (State.COPYING, 1)
    assert "over before anything was carried" in row.reason
    await found.drive(State.FAILED, hours=100)
    row = found.row()
    assert (row.state, row.resume_state, row.due_at) == (State.FAILED, State.COPYING, None)
    assert "[hours]" in row.reason
    assert found.actions().count("sliced") == 2
    found.wrong.clear()
    found.order(orders.retry)
    await found.drive(State.SYNCED)
    assert (at_target(found), found.row().failures) == (3, 0)


async def test_what_is_refused_is_left_over_and_graded(tmp_path: Path) -> None:
    found = house(tmp_path)
    target = found.targets["anna"]
    target.habits = replace(
        target.habits, refuses=lambda data: "it is poison" if b"anna-two" in data else None
    )
    await found.drive(State.SYNCED)
    (left,) = found.rows("leftover")
    assert (left.folder, left.fate) == ("INBOX", "refused")
    assert "poison" in left.reason
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    row = found.row()
    assert (row.grade, row.refused, row.copied) == ("investigate", 1, 2)


@pytest.mark.parametrize("state", [State.SYNCED, State.SWEEPING, State.VERIFIED])
async def test_what_was_refused_is_offered_again_when_a_person_asks(
    tmp_path: Path, state: State
) -> None:
    found = house(tmp_path)
    target, habits = found.targets["anna"], found.targets["anna"].habits
    target.habits = replace(habits, refuses=lambda data: "too large" if b"-t" in data else None)
    await found.drive(State.SYNCED)
    if state is not State.SYNCED:
        found.open(Gate.GO)
        await found.drive(state)
    found.order(orders.approve, who="Kim")
    target.habits = replace(habits, refuses=lambda data: "still" if b"-two" in data else None)
    await found.drive(hours=2)
    assert (at_target(found), found.row().refused) == (1, 2)
    found.order(orders.retry, selection=orders.Selection(("anna@x",)))
    await found.drive(hours=0)
    row = found.row()
    assert (at_target(found), row.refused, row.copied, row.offer_refused) == (2, 1, 2, False)
    # It was approved that it is too large, not that it is whatever it is said to be now.
    (left,) = found.rows("leftover")
    assert ("still" in left.reason, left.approved_by) == (True, None)
    target.habits = habits
    await found.drive(hours=2)
    assert at_target(found) == 2


async def test_what_the_person_did_at_the_target_is_no_fault(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    mailbox = found.targets["anna"]
    first, second, _ = mailbox.messages(INBOX_PATH)
    mailbox.expunge(first.uid)
    mailbox.flag(second.uid, add=Flags(frozenset({"\\Seen"})))
    await found.drive(State.VERIFIED)
    assert (found.row().grade, at_target(found)) == ("good", 2)


async def test_of_differences_beyond_the_most_the_number_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailhaul.journey.proving.MOST_KEPT", 1)
    found = house(tmp_path)
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.VERIFYING)
    for message in found.targets["anna"].messages(INBOX_PATH):
        found.targets["anna"].flag(message.uid, Flags({"\\Flagged"}), Flags(), INBOX_PATH)
    await found.drive(State.VERIFIED)
    kinds = [(each.kind, each._mapping["count"]) for each in found.rows("difference")]
    assert kinds == [("flags", 1), ("more", 2)]


async def test_nothing_is_removed_at_the_target_after_the_switch(tmp_path: Path) -> None:
    found = house(tmp_path, carry=Carry(delete=Delete.MIRROR))
    await found.drive(State.SYNCED)
    source = found.sources["anna"]
    source.expunge(source.messages(INBOX_PATH)[0].uid)
    await found.drive(hours=25)
    assert at_target(found) == 2
    found.open(Gate.GO)
    source.expunge(source.messages(INBOX_PATH)[0].uid)
    await found.drive(State.VERIFIED)
    assert at_target(found) == 2


async def test_a_run_of_an_earlier_state_does_nothing(tmp_path: Path) -> None:
    found = house(tmp_path)
    old = run_of(found.row())
    assert old is not None
    await found.drive(State.SYNCED)
    before, told = found.row(), found.told()
    assert await perform(found.means, old) is None
    assert (found.row(), found.told()) == (before, told)


async def test_two_workers_never_write_one_mailbox(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)
    row = found.row()
    with found.means.open_ledger(row):
        await found.run(row)
    assert found.row().state is State.COPYING
    assert "another run works on this pair" in found.row().reason
    assert found.logins == ["anna-source: right", "anna-target: right"]
    await found.drive(State.SYNCED)
    assert at_target(found) == 3


async def test_a_cut_connection_is_the_pass_s_own_trouble(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.READY)
    cuts = 0

    def cut(side: str, operation: str, folder: str) -> None:
        nonlocal cuts
        if operation == "after append" and cuts < 1:
            cuts += 1
            raise Disconnected("cut", after=0.0)

    found.wrong["anna"] = cut
    await found.drive(State.SYNCED)
    assert (at_target(found), found.row().copied) == (3, 3)


async def test_a_pass_is_undone_and_the_mailbox_rests(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.SYNCED)
    found.sources["anna"].deliver(letter("late"), INBOX_PATH)
    await found.drive(hours=25)
    assert at_target(found) == 4
    found.order(orders.request_undo, number=2)
    await found.drive(State.PAUSED)
    row = found.row()
    assert (row.state, row.resume_state, at_target(found)) == (State.PAUSED, State.SYNCED, 3)
    undone = [each.undone_at is not None for each in found.rows("passes")]
    assert undone == [False, True]


async def test_cancelled_with_everything_undone_the_target_is_as_before(tmp_path: Path) -> None:
    found = house(tmp_path)
    found.targets["anna"].deliver(letter("theirs"), INBOX_PATH)
    await found.drive(State.SYNCED)
    assert at_target(found) == 4
    found.order(orders.cancel, undo=True)
    await found.drive(State.ROLLED_BACK)
    assert (found.row().state, at_target(found)) == (State.ROLLED_BACK, 1)
    assert found.actions()[-2:] == ["recalled", "undone"]
    assert [row.undone_at is not None for row in found.rows("passes")] == [True]


async def test_a_trial_carries_the_newest_of_each_folder_first(tmp_path: Path) -> None:
    found = house(tmp_path)
    source = found.sources["anna"]
    for number in range(20):
        source.deliver(letter(f"more-{number}"), INBOX_PATH)
    source.make(("Work",))
    source.deliver(letter("work"), ("Work",))
    with found.database.begin() as connection:
        connection.execute(update(tables.mailbox).values(trial=True))
    await found.drive(State.READY)
    await found.run(found.row())
    assert [(each.kind, each.carried) for each in found.rows("passes")] == [("trial", 11)]
    newest = {each.data for each in source.messages(INBOX_PATH)[-10:]}
    assert {each.data for each in found.targets["anna"].messages(INBOX_PATH)} >= newest
    await found.drive(State.SYNCED)
    assert [each.kind for each in found.rows("passes")] == ["trial", "initial"]
    assert (found.row().copied, found.row().skipped) == (24, 0)


async def test_the_old_is_carried_first_where_the_plan_says_so(tmp_path: Path) -> None:
    found = house(tmp_path, carry=Carry(prestage_older_than=timedelta(days=30)))
    old = datetime.fromtimestamp(BEGIN, UTC) - timedelta(days=100)
    source = found.sources["anna"]
    source.expunge(*(each.uid for each in source.messages(INBOX_PATH)))
    source.deliver(letter("old"), INBOX_PATH, received=old)
    for name in ("one", "two", "three"):
        source.deliver(letter(name), INBOX_PATH, received=datetime.fromtimestamp(BEGIN, UTC))
    await found.drive(State.READY)
    await found.run(found.row())
    assert [each.kind for each in found.rows("passes")] == ["pre-stage"]
    assert at_target(found) == 1
    await found.drive(State.SYNCED)
    assert [each.kind for each in found.rows("passes")] == ["pre-stage", "initial"]
    assert at_target(found) == 4


async def test_on_postgresql_whoever_was_superseded_writes_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    found = House(tmp_path, plan_of(), database_url=postgres.database())
    for number in range(300):
        found.sources["anna"].deliver(letter(f"more {number}"), INBOX_PATH)
    await found.drive(State.READY)

    def taken_over(side: str, operation: str, folder: str) -> None:
        if operation == "after append" and at_target(found) >= 5:
            found.wrong["anna"] = slowly
            with found.database.begin() as connection:
                connection.execute(update(tables.mailbox).values(epoch=100))

    found.wrong["anna"] = taken_over
    await found.run(found.row())
    row = found.row()
    assert (row.state, row.step, row.copied) == (State.COPYING, 0, 0)
    found.wrong.clear()
    found.hand.time += 1
    await found.drive(State.SYNCED)
    assert (found.row().epoch, found.row().census) == (101, 303)
    assert len({each.data for each in found.targets["anna"].messages(INBOX_PATH)}) == 303
    assert at_target(found) == 303
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    assert found.row().grade == "perfect"
