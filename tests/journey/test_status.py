"""Status says how a plan stands, in a number of statements that its size does not change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert

from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.gates import open_gate
from mailhaul.journey.grades import Grade
from mailhaul.journey.plans import plan_named, plan_row
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.states import State
from mailhaul.journey.status import Status, status
from tests.journey.making import NOW, a_pass, listed, loaded, put, row, started

HOURS = {"start": "22:00", "end": "06:00"}
"""NOW is 08:00."""


def look(connection: Any, at: float = NOW) -> Status:
    return status(connection, plan_named(connection, "acme"), at)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    statements: list[str] = []

    def executed(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", executed)
    yield statements
    event.remove(database.engine, "before_cursor_execute", executed)


def many(database: Database, count: int) -> None:
    """A started plan of so many mailboxes in all kinds of states, with two passes each."""
    states = list(State)
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("first@x"))
        first = row(connection, "first@x").id
        connection.execute(
            insert(tables.mailbox),
            [
                {
                    "plan_id": plan.id,
                    "position": number,
                    "address": f"m{number}@x",
                    "wave": f"wave {number % 20}",
                    "source": "imaps://a@old.example",
                    "target": "imaps://a@new.example",
                    "state": states[number % len(states)].value,
                    "since_at": NOW,
                    "due_at": NOW + number,
                    "reason": f"reason {number % 7}",
                    "passes": 2,
                    "octets": 10,
                    "expected_octets": 20,
                }
                for number in range(1, count)
            ],
        )
        passes = {"kind": "delta", "waits": {}, "unfinished": [], "notes": []}
        connection.execute(
            insert(tables.passes),
            [
                {**passes, "mailbox_id": first + number, "number": which, "began_at": NOW - 9}
                for number in range(1, count)
                for which in (1, 2)
            ],
        )
        started(connection, plan)


def test_ten_thousand_mailboxes_take_no_more_statements_than_ten(database: Database) -> None:
    many(database, 10)
    with counted(database) as few, database.begin() as connection:
        assert look(connection).mailboxes == 10
    with database.begin() as connection:
        for table in (tables.passes, tables.event, tables.mailbox, tables.plan):
            connection.execute(table.delete())
    many(database, 10_000)
    with counted(database) as lots, database.begin() as connection:
        found = look(connection)
        assert found.mailboxes == 10_000
        assert sum(found.states.values()) == 10_000
    assert len(lots) == len(few) <= 16


def test_milestones_count_where_a_mailbox_was(database: Database) -> None:
    cases = {
        "a": (State.PLANNED, None),
        "b": (State.PAUSED, "copying"),
        "c": (State.FAILED, "sweeping"),
        "d": (State.WAITING, "planned"),
        "e": (State.COMPLETED, None),
        "f": (State.CANCELLED, None),
    }
    with database.begin() as connection:
        plan, _ = loaded(connection, *(listed(f"{name}@x") for name in cases))
        started(connection, plan)
        for name, (state, resume) in cases.items():
            put(connection, f"{name}@x", state, resume_state=resume)
        found = look(connection)
        assert found.milestones == {
            **{"checked": 3, "synced": 2, "switched": 2},
            **{"verified": 1, "completed": 1},
        }
        assert found.states[State.PAUSED] == 1


def test_figures_are_sums_and_waves_stand_in_the_plan_s_order(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(
            connection,
            *(listed("a@x", "late"), listed("b@x", "early"), listed("c@x", "early")),
            waves=[{"name": "early", "cutover": "2027-01-20T18:00:00Z"}, {"name": "late"}],
        )
        started(connection, plan)
        counts = {"census": 10, "copied": 6, "adopted": 1, "skipped": 1, "refused": 1, "missing": 1}
        for name in "abc":
            put(connection, f"{name}@x", State.SYNCED, octets=100, **counts)
        found = look(connection)
        account = found.figures.account
        assert (account.census, account.accounted, found.figures.octets) == (30, 30, 300)
        assert [(wave.name, wave.mailboxes) for wave in found.waves] == [("early", 2), ("late", 1)]
        assert found.waves[0].cutover == 1_800_468_000.0
        assert found.waves[0].figures.account.copied == 12
        plan = plan_row(connection, plan.id)
        question = ask(connection, plan, Gate.GO, "late")
        open_gate(connection, plan, question, who="O", login="o", at=NOW)
        found = look(connection)
        assert [wave.gone and wave.gone.by for wave in found.waves] == [None, "O"]


def test_the_forecast_goes_by_pace_and_working_hours(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("a@x"), listed("b@x"), hours=HOURS)
        started(connection, plan)
        put(connection, "a@x", State.COPYING, expected_octets=500_000, octets=140_000, passes=1)
        put(connection, "b@x", State.SYNCED, expected_octets=500_000, octets=1, passes=1)
        assert look(connection).synced_at is None
        number = row(connection, "a@x").id
        a_pass(connection, number, began_at=NOW - 1000, ended_at=NOW, carried=50, octets=100_000)
        a_pass(connection, number, 2, began_at=NOW - 9000, ended_at=NOW - 3601, carried=99)
        found = look(connection)
        assert found.pace is not None
        assert (found.pace.octets, found.pace.messages) == (100.0, 0.05)
        # 360,000 octets at 100 a second are an hour of the night, which begins at 22:00.
        assert found.figures.left_octets == 360_000
        assert found.synced_at == NOW + 14 * 3600 + 3600


@pytest.mark.parametrize("ended_at", [NOW, None])
def test_a_pass_of_many_hours_has_a_pace_too(database: Database, ended_at: float | None) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("a@x"))
        started(connection, plan)
        put(connection, "a@x", State.COPYING, expected_octets=9_000_000, octets=3_600_000, passes=1)
        number = row(connection, "a@x").id
        began = NOW - 10 * 3600
        a_pass(
            connection, number, began_at=began, ended_at=ended_at, carried=3600, octets=3_600_000
        )
        found = look(connection)
        assert found.pace is not None
        assert (found.pace.octets, found.pace.messages) == pytest.approx((100.0, 0.1))
        assert found.synced_at == pytest.approx(NOW + 54_000)


def test_a_wave_of_two_words_is_told_as_it_is_typed(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("a@x", wave="Week 1"))
        started(connection, plan)
        put(connection, "a@x", State.SYNCED)
        (wait,) = look(connection).waits
        assert wait.cure.startswith("mailhaul approve --gate go --wave 'Week 1' --as NAME")


WAITS = [
    ("a refused password", State.WAITING, {"reason": "login refused"}, "waiting: login refused"),
    ("a failure", State.FAILED, {"reason": "target full"}, "failed: target full"),
    ("a blocked one", State.BLOCKED, {"reason": "no account"}, "blocked: no account"),
    ("a pause", State.PAUSED, {"reason": "paused by olga"}, "paused: paused by olga"),
    ("hindered undoing", State.UNDOING, {"reason": "away"}, "undoing: away"),
    ("a wave that may go", State.SYNCED, {}, "the gate “go” of the mailboxes without a wave"),
    ("one that was left out", State.SYNCED, {"left_out": True}, "the gate “go” of the mailboxes"),
    ("the sign-off", State.VERIFIED, {}, "the gate “sign off”"),
    ("the accounts", State.CHECKED, {}, "the gate “objects”"),
    ("working hours", State.READY, {}, "the working hours to begin"),
    ("the start", State.PLANNED, {"started_at": None}, "to be started"),
]


@pytest.mark.parametrize(
    ("state", "values", "what"), [case[1:] for case in WAITS], ids=[case[0] for case in WAITS]
)
def test_what_waits_is_told(
    database: Database, state: State, values: dict[str, Any], what: str
) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("a@x"), hours=HOURS, gates={"objects": ["Olga"]})
        started(connection, plan)
        put(connection, "a@x", state, **values)
        [wait] = look(connection).waits
        assert wait.what.startswith(what)
        assert wait.mailboxes == 1
        assert wait.cure or state is State.READY


def test_what_goes_on_by_itself_waits_for_nobody(database: Database) -> None:
    with database.begin() as connection:
        names = ["copying", "final", "sweeping", "verifying", "undoing", "completed"]
        plan, _ = loaded(connection, *(listed(f"{name}@x") for name in names))
        started(connection, plan)
        for name in names:
            put(connection, f"{name}@x", State(name), due_at=NOW + 60)
        found = look(connection)
        assert found.waits == ()
        assert len(found.next_due) == 5
        assert found.next_due[0].at == NOW + 60


def test_what_is_under_way_is_counted(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed("a@x"), listed("b@x"))
        started(connection, plan)
        for name, ended in (("a@x", None), ("b@x", NOW)):
            number = put(connection, name, State.COPYING, passes=1, due_at=NOW - 1).id
            a_pass(connection, number, ended_at=ended)
        found = look(connection)
        assert (found.running, found.overdue) == (1, 2)


def test_a_plan_is_graded_as_its_worst_mailbox(database: Database) -> None:
    with database.begin() as connection:
        loaded(connection, listed("a@x"), listed("b@x"))
        assert look(connection).grade is None
        put(connection, "a@x", State.VERIFIED, grade="perfect")
        put(connection, "b@x", State.VERIFIED, grade="investigate")
        found = look(connection)
        assert (dict(found.grades), found.grade) == (
            {"perfect": 1, "investigate": 1},
            Grade.INVESTIGATE,
        )
