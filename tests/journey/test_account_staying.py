"""While an address may be nowhere a run stays with its provider's task, for a while."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.journey import account_taking
from mailhaul.journey.account_rows import move_run
from mailhaul.journey.account_steps import StepState
from mailhaul.journey.accounts import carry_on
from mailhaul.providers.actions import Rename
from tests.journey.account_house import AccountHouse


@pytest.mark.parametrize(
    ("stay", "state"), [(60.0, StepState.DONE), (0.0, StepState.BEGUN)], ids=["stays", "leaves"]
)
async def test_a_run_stays_with_the_rename(
    stay: float, state: StepState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_taking, "ASK_EVERY", 0.0)
    place = AccountHouse(tmp_path)
    await place.agreed()
    means = replace(place.house.means, stay_seconds=stay)
    while (run := move_run(place.move())) and not place.steps():
        await carry_on(means, run)
    await carry_on(means, run)
    first = place.steps()[0]
    assert isinstance(first.action, Rename)
    assert first.state is state
