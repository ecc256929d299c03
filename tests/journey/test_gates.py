"""Gates open by a named person's yes to what is true at that moment, and by nothing else."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.events import broken
from mailhaul.journey.gates import (
    Shut,
    TextChanged,
    admissible,
    going,
    is_open,
    open_gate,
    opened,
)
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.states import State
from tests.journey.making import NOW, a_pass, listed, loaded, put, started

A, B, C = "anna@x", "bert@x", "cleo@x"
GATES = {"objects": ["Olga"], "go": ["Olga", "Otto"], "sign_off": []}


def plan_with(connection: Any, **states: State) -> PlanRow:
    """A started plan with gates: anna and bert in wave one, cleo in wave two."""
    plan, _ = loaded(
        connection,
        listed(A, "one"),
        listed(B, "one"),
        listed(C, "two"),
        gates=GATES,
        waves=[{"name": "one"}, {"name": "two"}],
    )
    for name, state in states.items():
        put(connection, f"{name}@x", state, census=10, copied=9, refused=1, octets=5000)
    return started(connection, plan)


def agree(
    connection: Any,
    plan: PlanRow,
    gate: Gate,
    wave: str = "",
    *,
    who: str = "Olga",
    without: tuple[str, ...] = (),
) -> None:
    question = ask(connection, plan, gate, wave, without)
    open_gate(connection, plan, question, who=who, login="o@desk", without=without, at=NOW + 1)


def test_what_was_agreed_to_is_kept_with_name_time_and_login(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.SYNCED)
        question = ask(connection, plan, Gate.GO, "one")
        assert question.lacking == ()
        assert "2 mailboxes are synced" in question.text
        assert "20, of which 18 copied, 2 refused; 10,000 octets" in question.text
        open_gate(connection, plan, question, who=" otto ", login="o@desk", at=NOW + 1)
        [gate] = opened(connection, plan.id)
        assert (gate.gate, gate.wave, gate.by, gate.login) == (Gate.GO, "one", "otto", "o@desk")
        assert (gate.at, gate.text) == (NOW + 1, question.text)
        event = connection.execute(
            select(tables.event).where(tables.event.c.action == "gate_opened")
        ).one()
        digest = hashlib.sha256(question.text.encode()).hexdigest()
        assert json.loads(event.figures)["text"] == digest
        assert (event.actor, broken(connection, plan.id)) == ("otto", "")


LACKING = [
    ("not all are synced", {"anna": State.SYNCED, "bert": State.COPYING}, (), "bert@x is copying"),
    ("one failed", {"anna": State.SYNCED, "bert": State.FAILED}, (), "bert@x is failed"),
    ("nobody is left", {"anna": State.SYNCED, "bert": State.SYNCED}, (A, B), "no mailbox"),
]


@pytest.mark.parametrize(
    ("states", "without", "lacking"),
    [case[1:] for case in LACKING],
    ids=[case[0] for case in LACKING],
)
def test_a_wave_goes_whole_or_not_at_all(
    database: Database, states: dict[str, State], without: tuple[str, ...], lacking: str
) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, **states)
        with pytest.raises(Shut) as caught:
            agree(connection, plan, Gate.GO, "one", without=without)
        assert any(lacking in line for line in caught.value.lacking)
        assert opened(connection, plan.id) == []
        assert going(connection) == []


def test_who_ended_does_not_hold_up_a_wave(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.CANCELLED)
        agree(connection, plan, Gate.GO, "one")
        assert [row.address for row in going(connection)] == [A]


def test_who_stayed_behind_goes_by_a_yes_of_its_own(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.COPYING)
        agree(connection, plan, Gate.GO, "one", without=(B,))
        assert [row.address for row in going(connection)] == [A]
        put(connection, A, State.FINAL)
        put(connection, B, State.SYNCED)
        assert going(connection) == []
        agree(connection, plan, Gate.GO, "one", who="Otto")
        assert [row.address for row in going(connection)] == [B]
        assert [(gate.round, gate.by) for gate in opened(connection, plan.id)] == [
            (1, "Olga"),
            (2, "Otto"),
        ]


def test_a_gate_opens_once(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.SYNCED)
        agree(connection, plan, Gate.GO, "one")
        put(connection, A, State.FINAL)
        put(connection, B, State.FINAL)
        with pytest.raises(Shut) as caught:
            agree(connection, plan, Gate.GO, "one")
        assert caught.value.lacking == ("it is open already",)
        assert is_open(connection, plan, Gate.GO, "one")
        assert not is_open(connection, plan, Gate.GO, "two")


def test_a_text_that_is_no_longer_true_opens_nothing(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.SYNCED)
        question = ask(connection, plan, Gate.GO, "one")
        put(connection, A, State.SYNCED, refused=2, copied=8)
        with pytest.raises(TextChanged) as caught:
            open_gate(connection, plan, question, who="Olga", login="o@desk", at=NOW)
        assert "17 copied, 3 refused" in caught.value.question.text
        open_gate(connection, plan, caught.value.question, who="Olga", login="o", at=NOW)


REFUSED = [
    ("a name that the plan does not know", Gate.GO, "one", "Eve", (), "Eve may not open"),
    ("no name", Gate.GO, "one", "  ", (), "give a name"),
    ("a wave that is not there", Gate.GO, "three", "Olga", (), "no mailbox in wave “three”"),
    ("another wave's mailbox", Gate.GO, "one", "Olga", (C,), "--without cleo@x"),
    ("a wave for the whole plan", Gate.OBJECTS, "one", "Olga", (), "the whole plan's"),
]


@pytest.mark.parametrize(
    ("gate", "wave", "who", "without", "text"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_what_the_plan_does_not_allow_is_refused(
    database: Database, gate: Gate, wave: str, who: str, without: tuple[str, ...], text: str
) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.SYNCED, bert=State.SYNCED)
        with pytest.raises(BadInput, match=text):
            agree(connection, plan, gate, wave, who=who, without=without)


def test_the_objects_gate_waits_for_every_check(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.CHECKED, bert=State.BLOCKED)
        with pytest.raises(Shut) as caught:
            agree(connection, plan, Gate.OBJECTS)
        assert caught.value.lacking == ("1 not checked yet: cleo@x",)
        assert admissible(connection) == []
        put(connection, C, State.CHECKED)
        agree(connection, plan, Gate.OBJECTS)
        assert [row.address for row in admissible(connection)] == [A, C]


def test_a_plan_without_objects_gate_admits_who_is_checked(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A), listed(B))
        put(connection, A, State.CHECKED)
        assert admissible(connection) == []
        started(connection, plan)
        assert [row.address for row in admissible(connection)] == [A]
        with pytest.raises(BadInput, match="no gate"):
            ask(connection, plan, Gate.OBJECTS)
        connection.exec_driver_sql("update plan set state = 'paused'")
        assert admissible(connection) == []


def test_sign_off_needs_every_mailbox_verified_and_well_graded(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection, anna=State.VERIFIED, bert=State.VERIFIED, cleo=State.SWEEPING)
        put(connection, A, State.VERIFIED, grade="poor")
        put(connection, B, State.VERIFIED, grade="investigate")
        lacking = ask(connection, plan, Gate.SIGN_OFF).lacking
        assert [line.split(" ")[0].rstrip(":") for line in lacking] == [C, A, B]
        put(connection, A, State.VERIFIED, grade="good")
        put(connection, B, State.VERIFIED, grade="investigate", approved_by="Olga")
        put(connection, C, State.ROLLED_BACK)
        question = ask(connection, plan, Gate.SIGN_OFF)
        assert question.lacking == ()
        assert "1 good, 1 investigate" in question.text
        assert "bert@x: approved by Olga." in question.text
        open_gate(connection, plan, question, who="anybody", login="x", at=NOW)


def test_a_plan_that_does_not_run_opens_nothing(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A))
        put(connection, A, State.SYNCED)
        assert ask(connection, plan, Gate.GO).lacking == ("plan acme has not been started",)


def test_the_text_says_since_when_everybody_is_up_to_date(database: Database) -> None:
    with database.begin() as connection:
        plan = plan_with(connection)
        row = put(connection, C, State.SYNCED, passes=2)
        a_pass(connection, row.id, 1, began_at=NOW - 9000)
        a_pass(connection, row.id, 2, began_at=NOW - 60)
        assert "since 2027-01-15 07:59 UTC" in ask(connection, plan, Gate.GO, "two").text
