"""Every run opens its provider anew; what that remembers in its process is there all the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.engine.outcomes import Side
from mailhaul.journey.plans import PlanRow, PlanState, plan_text
from mailhaul.journey.wired_providers import WiredProviders
from mailhaul.plan.model import Plan, ProviderKind, ProviderSection, System
from mailhaul.providers import static
from mailhaul.providers.actions import Create
from mailhaul.providers.provider import TaskState

NEW = "new@own.test"


async def resolve(reference: str, directory: Path) -> Credentials:
    return Credentials()


def plan(directory: Path, **more: str) -> PlanRow:
    (directory / "accounts.csv").write_text("address\n")
    values = {"domains": "own.test", "imap": "imap://%u@mail.own.test", **more}
    section = ProviderSection(kind=ProviderKind.STATIC, service="Old", values=values)
    system = System(url="imaps://{user}@mail.own.test", provider=section)
    text = plan_text(Plan(name="lists", source=system, target=system))
    return PlanRow(1, "lists", text, directory, PlanState.RUNNING, 0.0, 0.0, None)


class Door:
    """An account that opens with `opens`; what has been tried is in `tried`."""

    def __init__(self, opens: str) -> None:
        self._opens = opens
        self.tried: list[str] = []

    async def knock(self, imap: str, address: str, secret: Secret) -> bool:
        self.tried.append(secret.reveal())
        return secret.reveal() == self._opens


def written(directory: Path) -> bytes:
    """All that stands in its files."""
    return b"".join(each.read_bytes() for each in directory.iterdir())


async def begun(control: WiredProviders, row: PlanRow) -> str:
    async with control.opened(row, Side.TARGET) as provider:
        return (await provider.begin(Create(NEW), "key", Secret("right"))).id


async def seen(control: WiredProviders, row: PlanRow, number: str) -> TaskState:
    async with control.opened(row, Side.TARGET) as provider:
        return (await provider.task(number)).state


@pytest.mark.parametrize(
    ("password", "every", "state", "tried"),
    [
        ("right", "60", TaskState.DONE, 1),
        ("another", "60", TaskState.DOING, 1),
        ("another", "0", TaskState.DOING, 3),
    ],
    ids=["it opens", "it doesn't yet", "it doesn't, and is asked each time"],
)
async def test_a_login_is_watched_for_by_later_runs_and_as_often_as_is_due(
    password: str,
    every: str,
    state: TaskState,
    tried: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = Door(password)
    monkeypatch.setattr(static, "opens", door.knock)
    control, row = WiredProviders(resolve), plan(tmp_path, watch_every=every)
    number = await begun(control, row)
    found = [await seen(control, row, number) for _ in range(3)]
    assert found == [state] * 3
    assert door.tried == ["right"] * tried
    assert b"right" not in written(tmp_path)


async def test_who_has_just_looked_is_known_to_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door("another")
    monkeypatch.setattr(static, "opens", door.knock)
    row = plan(tmp_path)
    here, there = WiredProviders(resolve), WiredProviders(resolve)
    number = await begun(here, row)
    assert await begun(there, row) == number
    await seen(here, row, number)
    await seen(there, row, number)
    assert door.tried == ["right"]


async def test_plans_that_are_loaded_again_leave_nothing_behind(tmp_path: Path) -> None:
    control = WiredProviders(resolve)
    for number in range(5):
        row = plan(tmp_path, product=f"product {number}")
        for text in (row.text, row.text.replace('"lists"', '"lists anew"')):
            async with control.opened(replace(row, text=text), Side.TARGET) as provider:
                assert (await provider.service()).product == f"product {number}"
    assert len(control._kept) == 1
