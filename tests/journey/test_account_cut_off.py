"""A worker that dies amid a step of an account's move: whoever gets its run goes on at once, and
does not wait until the step's time is over."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.journey.account_rows import move_run
from mailhaul.journey.account_steps import StepState
from mailhaul.journey.accounts import carry_on
from mailhaul.journey.engine import Run
from mailhaul.providers.actions import Rename
from tests.journey.account_house import AccountHouse
from tests.journey.test_canaries import KilledError, Killing

BEGUN = 2
"""The transaction of a run that writes down what it is about to begin."""


async def cut_off(place: AccountHouse, *, before_answer: bool) -> Run:
    """The run that died while the account was being renamed."""
    await place.agreed()
    means = place.house.means
    while (run := move_run(place.move())) and not place.steps():
        await carry_on(means, run)
    # The provider has heard of it when the third transaction comes.
    killing = Killing(means.database, *((BEGUN, "after") if before_answer else (3, "before")))
    with pytest.raises(KilledError):
        await carry_on(replace(means, database=killing), run)  # type: ignore[arg-type]
    (first, *_) = place.steps()
    assert isinstance(first.action, Rename)
    assert (first.state, first.task) == (StepState.BEGUN, "")
    return run


@pytest.mark.parametrize("before_answer", [True, False])
async def test_its_run_is_made_again_and_goes_on(before_answer: bool, tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    run = await cut_off(place, before_answer=before_answer)
    now = place.house.hand.time
    await carry_on(place.house.means, run)
    assert place.steps()[0].task
    assert len(place.old.works) == 1
    assert place.house.hand.time == now
    # Made a third time, it has nothing to do.
    there = place.move()
    await carry_on(place.house.means, run)
    assert place.move() == there
