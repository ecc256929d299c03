"""Rows move by compare-and-set, each with its event, one by one and many together."""

import pytest

from mailhaul.db.database import Database
from mailhaul.journey.events import broken
from mailhaul.journey.rows import Change, Stale, mailbox, move, move_all, write
from mailhaul.journey.states import State, Trigger
from tests.journey.making import ACTOR, NOW, actions, listed, loaded, put, row

A, B = "anna@acme.example", "bert@acme.example"


def test_a_move_is_written_with_its_event(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A))
        moved = move(
            connection,
            row(connection, A),
            Trigger.CHECKED,
            at=NOW + 5,
            due=NOW + 9,
            figures={"messages": 7},
            expected_messages=7,
        )
        assert (moved.state, moved.due_at, moved.since_at) == (State.CHECKED, NOW + 9, NOW + 5)
        assert (moved.expected_messages, moved.step, moved.generation) == (7, 0, 0)
        assert actions(connection) == ["loaded", "checked"]
        assert broken(connection, plan.id) == ""


def test_who_read_an_older_row_is_refused(database: Database) -> None:
    with database.begin() as connection:
        loaded(connection, listed(A))
        read = row(connection, A)
        move(connection, read, Trigger.CHECKED, at=NOW)
    with database.begin() as connection:
        with pytest.raises(Stale):
            write(connection, read, failures=1)
        with pytest.raises(Stale):
            move(connection, read, Trigger.BLOCKED, at=NOW)
        assert row(connection, A).state is State.CHECKED
        assert actions(connection) == ["loaded", "checked"]


def test_staying_in_a_state_is_another_step_of_it(database: Database) -> None:
    with database.begin() as connection:
        loaded(connection, listed(A))
        before = put(connection, A, State.SWEEPING, since_at=NOW - 100, step=3)
        after = move(connection, before, Trigger.SWEPT, at=NOW, due=NOW + 3600)
        assert (after.step, after.since_at, after.generation) == (4, NOW - 100, 0)


INTERRUPTIONS = [
    ("a pause", State.COPYING, None, Trigger.PAUSED, State.PAUSED, State.COPYING),
    ("a pause of what waits", State.WAITING, "sweeping", Trigger.PAUSED, State.PAUSED, "sweeping"),
    ("a refusal", State.FINAL, None, Trigger.REFUSED, State.WAITING, State.FINAL),
    ("a failure", State.VERIFYING, None, Trigger.FAILED, State.FAILED, State.VERIFYING),
    ("an answer", State.WAITING, "copying", Trigger.ANSWERED, State.COPYING, None),
    ("a resumption", State.PAUSED, "synced", Trigger.RESUMED, State.SYNCED, None),
    ("undoing of a pass", State.SWEEPING, None, Trigger.UNDO, State.UNDOING, State.SWEEPING),
    ("hindered undoing", State.UNDOING, "synced", Trigger.HINDERED, State.UNDOING, "synced"),
    ("an undone pass", State.UNDOING, "synced", Trigger.TAKEN_BACK, State.PAUSED, "synced"),
    ("undoing of all", State.PAUSED, "synced", Trigger.RECALLED, State.UNDOING, None),
    ("a cancelled wait", State.WAITING, "copying", Trigger.CANCELLED, State.CANCELLED, None),
]


@pytest.mark.parametrize(
    ("state", "resume", "trigger", "target", "kept"),
    [case[1:] for case in INTERRUPTIONS],
    ids=[case[0] for case in INTERRUPTIONS],
)
def test_where_a_journey_was_is_kept_in_mind(
    database: Database,
    state: State,
    resume: str | None,
    trigger: Trigger,
    target: State,
    kept: str | None,
) -> None:
    with database.begin() as connection:
        loaded(connection, listed(A))
        before = put(connection, A, state, resume_state=resume)
        after = move(connection, before, trigger, at=NOW)
        assert (after.state, after.resume_state) == (target, kept)


def test_many_rows_move_as_one_would(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A), listed(B))
        changes = [
            Change(row(connection, A), Trigger.CHECKED, values={"expected_messages": 3}),
            Change(row(connection, B), Trigger.BLOCKED, why="no such account"),
        ]
        move_all(connection, changes, at=NOW + 1, actor=ACTOR)
        assert row(connection, A).expected_messages == 3
        assert row(connection, B).reason == "no such account"
        assert actions(connection) == ["loaded", "checked", "blocked"]
        assert broken(connection, plan.id) == ""


def test_many_rows_move_together_or_not_at_all(database: Database) -> None:
    with database.begin() as connection:
        loaded(connection, listed(A), listed(B))
        old = [row(connection, A), row(connection, B)]
        move(connection, old[1], Trigger.CHECKED, at=NOW)
    with pytest.raises(Stale), database.begin() as connection:
        move_all(connection, [Change(each, Trigger.BLOCKED) for each in old], at=NOW)
    with database.begin() as connection:
        assert mailbox(connection, old[0].id).state is State.PLANNED
        assert actions(connection) == ["loaded", "checked"]
