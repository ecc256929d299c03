"""The transition table holds together."""

import pytest

from mailhaul.journey.states import (
    ACTIVE,
    ENDED,
    PHASES,
    TRANSITIONS,
    State,
    Trigger,
    follows,
)


def reachable(start: State) -> set[State]:
    """Every state that a journey can come to; one that goes back may come to any active one."""
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for way in TRANSITIONS:
            if way.source is here and way.target is not None and way.target not in found:
                found.add(way.target)
                todo.append(way.target)
    return found


def test_each_state_and_trigger_lead_to_one_state() -> None:
    pairs = [(way.source, way.trigger) for way in TRANSITIONS]
    assert len(pairs) == len(set(pairs))


def test_every_state_can_be_reached() -> None:
    assert reachable(State.PLANNED) == set(State)


def test_every_trigger_means_something() -> None:
    assert {way.trigger for way in TRANSITIONS} == set(Trigger)


@pytest.mark.parametrize("state", sorted(set(State) - ENDED))
def test_every_journey_can_come_to_its_end(state: State) -> None:
    assert ENDED & (reachable(state) - {state})


def test_nothing_comes_after_the_end_but_undoing_what_was_cancelled() -> None:
    assert [way for way in TRANSITIONS if way.source in ENDED] == [
        way
        for way in TRANSITIONS
        if (way.source, way.trigger) == (State.CANCELLED, Trigger.RECALLED)
    ]


def test_what_runs_by_itself_can_be_paused() -> None:
    for state in set(PHASES) - {State.UNDOING}:
        assert follows(state, Trigger.PAUSED) is State.PAUSED


def test_everything_that_has_not_ended_can_be_cancelled() -> None:
    for state in set(State) - ENDED:
        assert follows(state, Trigger.CANCELLED) is State.CANCELLED
        assert follows(state, Trigger.RECALLED) is State.UNDOING


def test_only_a_person_leads_on_from_where_a_person_must_act() -> None:
    by_people = {
        *(Trigger.RETRIED, Trigger.CANCELLED, Trigger.RECALLED, Trigger.UNDO, Trigger.CHANGED),
        *(Trigger.RESUMED, Trigger.REFUSED, Trigger.SIGNED, Trigger.AGAIN, Trigger.TURNED_BACK),
    }
    for state in (State.FAILED, State.BLOCKED, State.PAUSED, State.VERIFIED):
        assert {way.trigger for way in TRANSITIONS if way.source is state} <= by_people


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_credentials_may_be_refused_anywhere_and_the_way_leads_back(state: State) -> None:
    assert follows(state, Trigger.REFUSED) is State.WAITING
    assert follows(State.WAITING, Trigger.ANSWERED, state) is state


def test_late_news_means_nothing() -> None:
    assert follows(State.SYNCED, Trigger.SLICED) is None
    assert follows(State.COMPLETED, Trigger.PAUSED) is None
