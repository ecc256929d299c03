"""What people order is done for whom it can be, and told for whom it can't."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey import orders
from mailhaul.journey.events import broken
from mailhaul.journey.gates import Shut, open_gate
from mailhaul.journey.loading import filled_in, load
from mailhaul.journey.orders import EVERYTHING, Result, Selection
from mailhaul.journey.plans import PlanRow, PlanState, plan_named, plan_row
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import State
from tests.journey.making import (
    ACTOR,
    NOW,
    a_pass,
    actions,
    listed,
    loaded,
    plan_model,
    put,
    row,
    started,
)

A, B, C = "anna@x", "bert@x", "cleo@x"


def one_mailbox(connection: Any, state: State, **values: Any) -> PlanRow:
    """A started plan with one mailbox in that state."""
    plan, _ = loaded(connection, listed(A))
    put(connection, A, state, **values)
    return started(connection, plan)


def by(order: Callable[..., Result], **more: Any) -> Callable[[Any, PlanRow], Result]:
    return lambda connection, plan: order(
        connection, plan, EVERYTHING, at=NOW + 1, **{"actor": ACTOR, **more}
    )


PAUSE, RESUME, RETRY = by(orders.pause), by(orders.resume), by(orders.retry)
RETRY_SAME = by(orders.retry, same_secret=True)
SYNC, KEEP, UNDO = by(orders.sync), by(orders.cancel, undo=False), by(orders.cancel, undo=True)

DONE = [
    ("a copy is paused", PAUSE, State.COPYING, {}, State.PAUSED, State.COPYING, None),
    (
        "a wait is paused",
        PAUSE,
        State.WAITING,
        {"resume_state": "final"},
        State.PAUSED,
        "final",
        None,
    ),
    ("a pause ends", RESUME, State.PAUSED, {"resume_state": "synced"}, State.SYNCED, None, NOW + 1),
    (
        "what waits for admission has nothing due",
        RESUME,
        State.PAUSED,
        {"resume_state": "checked"},
        State.CHECKED,
        None,
        None,
    ),
    (
        "refused credentials are refused after a pause too",
        RESUME,
        State.PAUSED,
        {"resume_state": "copying", "refused_secret": "f1"},
        State.WAITING,
        "copying",
        NOW + 1,
    ),
    (
        "a failure is tried again",
        RETRY,
        State.FAILED,
        {"resume_state": "final"},
        "final",
        None,
        NOW + 1,
    ),
    ("a blocked one is checked again", RETRY, State.BLOCKED, {}, State.PLANNED, None, NOW + 1),
    (
        "hindered undoing goes on",
        RETRY,
        State.UNDOING,
        {"resume_state": "synced"},
        "undoing",
        "synced",
        NOW + 1,
    ),
    (
        "a refused secret is tried by a person's word",
        RETRY_SAME,
        State.WAITING,
        {"resume_state": "copying", "refused_secret": "f1"},
        State.COPYING,
        None,
        NOW + 1,
    ),
    (
        "what a synced one was refused is offered again",
        RETRY,
        State.SYNCED,
        {"refused": 1, "due_at": NOW + 999},
        State.SYNCED,
        None,
        NOW + 1,
    ),
    (
        "a copy that is under way begins anew with what was refused",
        RETRY,
        State.COPYING,
        {"refused": 1},
        State.COPYING,
        None,
        NOW + 1,
    ),
    (
        "what was verified is swept again for what is missing",
        RETRY,
        State.VERIFIED,
        {"missing": 1},
        State.SWEEPING,
        None,
        NOW + 1,
    ),
    (
        "no comparison goes on beside another try",
        RETRY,
        State.VERIFYING,
        {"refused": 1},
        State.SWEEPING,
        None,
        NOW + 1,
    ),
    ("a delta comes early", SYNC, State.SYNCED, {"due_at": NOW + 999}, State.SYNCED, None, NOW + 1),
    ("a sweep comes early", SYNC, State.SWEEPING, {}, State.SWEEPING, None, NOW + 1),
    ("a verified one is swept again", SYNC, State.VERIFIED, {}, State.SWEEPING, None, NOW + 1),
    ("what was carried is kept", KEEP, State.SWEEPING, {}, State.CANCELLED, None, None),
    (
        "what was carried is undone",
        UNDO,
        State.PAUSED,
        {"resume_state": "synced"},
        "undoing",
        None,
        NOW + 1,
    ),
    ("what was kept is undone later", UNDO, State.CANCELLED, {}, "undoing", None, NOW + 1),
]


@pytest.mark.parametrize(
    ("order", "state", "values", "after", "resume", "due"),
    [case[1:] for case in DONE],
    ids=[case[0] for case in DONE],
)
def test_an_order_is_carried_out(
    database: Database,
    order: Callable[[Any, PlanRow], Result],
    state: State,
    values: dict[str, Any],
    after: str,
    resume: str | None,
    due: float | None,
) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, state, **values)
        before = row(connection, A)
        result = order(connection, plan)
        assert (result.done, result.left) == ([A], [])
        found = row(connection, A)
        assert (found.state, found.resume_state, found.due_at) == (after, resume, due)
        # Whatever was under way stops by itself.
        assert found.generation == before.generation + (
            state is not State.PAUSED or after != "waiting"
        )
        assert broken(connection, plan.id) == ""


LEFT = [
    ("a completed one is not paused", PAUSE, State.COMPLETED, {}, "it is completed"),
    ("a failed one has nothing to pause", PAUSE, State.FAILED, {}, "it is failed"),
    ("nothing is resumed that runs", RESUME, State.COPYING, {}, "it is copying"),
    (
        "a refused secret is not tried again by the way",
        RETRY,
        State.WAITING,
        {"resume_state": "copying", "refused_secret": "f1"},
        "its credentials were refused and have not changed",
    ),
    (
        "where nothing was refused there is nothing to retry",
        RETRY,
        State.VERIFIED,
        {"copied": 9},
        "it is verified, and nothing of it was refused or is missing",
    ),
    (
        "a paused one is resumed first",
        RETRY,
        State.PAUSED,
        {"resume_state": "synced", "refused": 1},
        "it is paused",
    ),
    ("what is completed stays so", RETRY, State.COMPLETED, {"refused": 1}, "it is completed"),
    ("a copy carries everything anyway", SYNC, State.COPYING, {}, "it is copying"),
    ("a completed one is not synced", SYNC, State.COMPLETED, {}, "it is completed"),
    ("a completed one is not undone", UNDO, State.COMPLETED, {}, "it is completed"),
    ("undoing is asked for once", UNDO, State.UNDOING, {}, "it is being undone already"),
]


@pytest.mark.parametrize(
    ("order", "state", "values", "why"),
    [case[1:] for case in LEFT],
    ids=[case[0] for case in LEFT],
)
def test_whom_an_order_can_not_be_done_for_is_told(
    database: Database,
    order: Callable[[Any, PlanRow], Result],
    state: State,
    values: dict[str, Any],
    why: str,
) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, state, **values)
        before = row(connection, A)
        result = order(connection, plan)
        assert result.done == []
        assert result.left[0].why.startswith(why)
        assert row(connection, A) == before


def test_an_order_is_for_those_chosen(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A, "one"), listed(B, "one"), listed(C, "two"))
        plan = started(connection, plan)

        def paused(selection: Selection) -> list[str]:
            found = [each.address for each in orders.chosen(connection, plan, selection)]
            return found

        assert paused(Selection(("ANNA@X", C))) == [A, C]
        assert paused(Selection(waves=("one",))) == [A, B]
        assert paused(Selection((A, C), ("two",))) == [C]
        assert paused(EVERYTHING) == [A, B, C]
        with pytest.raises(BadInput, match="no mailbox nobody@x"):
            paused(Selection(("nobody@x",)))
        with pytest.raises(BadInput, match="no wave “three”"):
            paused(Selection(waves=("three",)))


def test_a_plan_is_started_paused_resumed_and_cancelled(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A, "one"), listed(B, "two"))
        put(connection, B, State.CHECKED)

        def order(what: Callable[..., Result], *chosen: str, **more: Any) -> Result:
            now = plan_row(connection, plan.id)
            selection = Selection(waves=chosen)
            return what(connection, now, selection, at=NOW + 1, actor=ACTOR, **more)

        assert order(orders.start, "one").done == [A]
        assert row(connection, A).due_at == NOW + 1
        assert row(connection, B).started_at is None
        assert order(orders.start).done == [B]
        assert order(orders.start).done == []
        order(orders.pause)
        assert plan_row(connection, plan.id).state is PlanState.PAUSED
        with pytest.raises(BadInput, match="paused"):
            order(orders.start)
        assert order(orders.resume, "one").done == [A]
        assert plan_row(connection, plan.id).state is PlanState.RUNNING
        assert row(connection, B).state is State.PAUSED
        order(orders.cancel, undo=False)
        ended = plan_row(connection, plan.id)
        assert (ended.state, ended.ended_at) == (PlanState.CANCELLED, NOW + 1)
        with pytest.raises(BadInput, match="cancelled"):
            order(orders.resume)
        assert actions(connection) == [
            *("loaded", "started", "started", "paused", "paused", "plan_paused", "resumed"),
            *("plan_resumed", "cancelled", "cancelled", "plan_cancelled"),
        ]
        assert broken(connection, plan.id) == ""


def undo_order(connection: Any, plan: PlanRow, number: int) -> Result:
    return orders.request_undo(connection, plan, EVERYTHING, number, at=NOW + 1, actor=ACTOR)


def marked(connection: Any) -> list[int]:
    """Numbers of passes that are to be undone."""
    table = tables.passes
    return list(
        connection.execute(
            select(table.c.number).where(table.c.undo_at.is_not(None)).order_by(table.c.number)
        ).scalars()
    )


def test_a_pass_is_ordered_to_be_undone_once(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.SYNCED)
        number = row(connection, A).id
        a_pass(connection, number, 1)
        a_pass(connection, number, 2)
        assert undo_order(connection, plan, 2).done == [A]
        found = row(connection, A)
        assert (found.state, found.resume_state, found.due_at) == ("undoing", "synced", NOW + 1)
        assert marked(connection) == [2]
        assert undo_order(connection, plan, 2).left[0].why == "its pass 2 is undone already"
        assert undo_order(connection, plan, 3).left[0].why == "it has no pass 3"


def test_who_cancels_and_undoes_has_all_passes_undone(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.SYNCED)
        for number in (1, 2):
            a_pass(connection, row(connection, A).id, number)
        UNDO(connection, plan)
        assert marked(connection) == [1, 2]


def test_what_was_verified_is_swept_again_after_undoing(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.VERIFIED)
        a_pass(connection, row(connection, A).id, 1)
        undo_order(connection, plan, 1)
        assert row(connection, A).resume_state is State.SWEEPING


def leftover(connection: Any, key: str) -> None:
    connection.execute(
        insert(tables.leftover).values(
            mailbox_id=row(connection, A).id,
            folder="INBOX",
            key=key,
            fate="refused",
            reason="too large",
        )
    )


def approve(connection: Any, plan: PlanRow, *keys: str, who: str = "Olga") -> Result:
    return orders.approve(connection, plan, EVERYTHING, who=who, keys=keys or None, at=NOW + 1)


def test_what_was_refused_is_approved_message_by_message(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.VERIFIED, grade="investigate")
        for key in ("7", "8"):
            leftover(connection, key)
        assert approve(connection, plan, "7").done == [A]
        assert row(connection, A).approved_by is None
        assert approve(connection, plan, "7").left[0].why == "none of its 1 open messages is meant"
        assert approve(connection, plan).done == [A]
        found = row(connection, A)
        assert (found.approved_by, found.approved_at) == ("Olga", NOW + 1)
        assert approve(connection, plan).left[0].why == "Olga has approved it"
        assert actions(connection) == ["loaded", "approved", "approved"]


def test_what_was_approved_is_offered_again_by_name_only(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.VERIFIED, grade="investigate", refused=1)
        leftover(connection, "7")
        approve(connection, plan)
        (left,) = RETRY(connection, plan).left
        assert left.why == "what it lacks was approved; --mailbox has it offered again nonetheless"
        named = Selection((A,))
        assert orders.retry(connection, plan, named, at=NOW + 1, actor=ACTOR).done == [A]
        found = row(connection, A)
        assert (found.state, found.offer_refused, found.approved_by) == ("sweeping", True, None)


def test_poor_is_not_approved(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.VERIFIED, grade="poor")
        leftover(connection, "7")
        assert approve(connection, plan).remarks == [f"{A}: the grade poor can't be approved"]
        assert row(connection, A).approved_by is None


def test_another_pass_takes_an_approval_back(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.VERIFIED, grade="investigate", approved_by="Olga")
        SYNC(connection, plan)
        assert row(connection, A).approved_by is None


def signed(connection: Any, plan: PlanRow, *mailboxes: str) -> Result:
    now = plan_row(connection, plan.id)
    return orders.complete(connection, now, Selection(mailboxes), who="Olga", at=NOW + 1)


def test_a_plan_is_completed_by_its_gate_and_its_mailboxes(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A), listed(B))
        plan = started(connection, plan)
        put(connection, A, State.VERIFIED, grade="good")
        put(connection, B, State.SWEEPING)
        with pytest.raises(Shut):
            signed(connection, plan)
        assert signed(connection, plan, A).done == [A]
        assert signed(connection, plan, B).left[0].why == "it is sweeping"
        put(connection, B, State.VERIFIED, grade="poor")
        assert "poor" in signed(connection, plan, B).left[0].why
        put(connection, B, State.VERIFIED, grade="perfect")
        question = ask(connection, plan, Gate.SIGN_OFF)
        open_gate(connection, plan, question, who="Olga", login="o", at=NOW)
        assert signed(connection, plan).done == [B]
        ended = plan_row(connection, plan.id)
        assert (ended.state, ended.ended_at) == (PlanState.COMPLETED, NOW + 1)
        assert actions(connection)[-1] == "plan_completed"


def test_only_who_may_sign_off_does(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A), gates={"sign_off": ["Olga"]})
        put(connection, A, State.VERIFIED, grade="good")
        with pytest.raises(BadInput, match="Otto may not"):
            orders.complete(connection, plan, Selection((A,)), who="Otto", at=NOW)
        with pytest.raises(BadInput, match="Otto may not"):
            approve(connection, plan, who="Otto")


# loading


def again(connection: Any, *mailboxes: Any, **plan: Any) -> Any:
    return load(connection, plan_model(**plan), mailboxes, Path("/plans"), at=NOW, actor=ACTOR)


def test_loading_the_same_plan_again_changes_nothing(database: Database) -> None:
    with database.begin() as connection:
        loaded(connection, listed(A), listed(B))
        result = again(connection, listed(A), listed(B))
        assert (result.anything, result.kept, actions(connection)) == (False, [], ["loaded"])


def test_a_changed_plan_adds_moves_and_keeps(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A, "one"), listed(B, "one"), listed(C, "one"))
        started(connection, plan)
        put(connection, B, State.SWEEPING, passes=3)
        new = [listed("dora@x", "one"), listed(A, "two"), listed(B, "two")]
        result = again(connection, *new, sweeps={"every": "2h"})
        assert result.added == ["dora@x"]
        assert result.changed == ["sweeps changed", f"{A} moves to wave “two”"]
        assert [text.split(" ")[0] for text in result.kept] == [B, C]
        assert (row(connection, A).wave, row(connection, B).wave) == ("two", "one")
        assert [row(connection, each).position for each in ("dora@x", A, B)] == [0, 1, 2]
        assert row(connection, "dora@x").started_at is None
        assert plan_named(connection, "acme").plan.sweeps.every.total_seconds() == 7200


def test_who_joins_a_wave_that_has_gone_waits_for_a_go(database: Database) -> None:
    with database.begin() as connection:
        plan, _ = loaded(connection, listed(A, "one"), listed(B, "two"))
        plan = started(connection, plan)
        put(connection, A, State.SYNCED)
        question = ask(connection, plan, Gate.GO, "one")
        open_gate(connection, plan, question, who="Olga", login="o", at=NOW)
        again(connection, listed(A, "one"), listed(B, "one"), listed(C, "one"))
        assert [row(connection, each).left_out for each in (A, B, C)] == [False, True, True]


ENDPOINTS = [
    ("checked again while nothing was carried", State.CHECKED, {}, State.PLANNED),
    ("kept once something was carried", State.SYNCED, {"passes": 1}, State.SYNCED),
    (
        "kept when the first copy was refused on its way",
        State.WAITING,
        {"resume_state": "copying"},
        State.WAITING,
    ),
]


@pytest.mark.parametrize(
    ("state", "values", "after"),
    [case[1:] for case in ENDPOINTS],
    ids=[case[0] for case in ENDPOINTS],
)
def test_endpoints_change_only_before_the_first_message(
    database: Database, state: State, values: dict[str, Any], after: State
) -> None:
    with database.begin() as connection:
        one_mailbox(connection, state, **values)
        before = row(connection, A)
        result = again(connection, listed(A, source="imaps://anna@other.example"))
        found = row(connection, A)
        moved = after is not state
        assert (found.source != before.source, found.state) == (moved, after)
        assert (len(result.changed), len(result.kept)) == (int(moved), int(not moved))


def test_references_to_secrets_may_always_change(database: Database) -> None:
    with database.begin() as connection:
        one_mailbox(connection, State.SYNCED, passes=1)
        again(connection, listed(A, source_secret="vault:anna"))
        found: MailboxRow = row(connection, A)
        assert (found.source_secret, found.state) == ("vault:anna", State.SYNCED)


def test_an_ended_plan_is_not_loaded_again(database: Database) -> None:
    with database.begin() as connection:
        plan = one_mailbox(connection, State.SYNCED)
        KEEP(connection, plan)
        with pytest.raises(BadInput, match="another name"):
            again(connection, listed(A))


def test_a_plan_s_templates_are_filled_in_for_each_mailbox() -> None:
    plan = plan_model(
        source={"url": "imaps://{address}@old.example?admin=root", "secret": "file:s/{user}"},
        target={"url": "maildir:out/{address}"},
        mailboxes=[{"address": A, "line": 2}],
    )
    [found] = filled_in(plan, Path("/plans"))
    assert found.source == "imaps://anna%40x@old.example?admin=root"
    assert (found.target, found.source_secret) == (f"maildir:/plans/out/{A}", "file:s/anna")
