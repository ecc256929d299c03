"""A person's word on a task, from the command line."""

import asyncio
from pathlib import Path

import pytest

from mailhaul.cli.exits import Exit
from mailhaul.core.endpoint import Credentials
from mailhaul.providers.actions import Rename
from mailhaul.providers.provider import TaskState
from mailhaul.providers.registry import Settings, open_provider
from tests.cli.hoster_desk import PLAN, HosterDesk, hoster_desk

LISTED = PLAN.replace(
    'kind = "lab"\nservice = "mx"\nurl = "http://127.0.0.1:1"\nsecret = "env:KEY"',
    'kind = "static"\nservice = "Old Hoster"\nvalues = { domains = "acme.example" }',
    1,
)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HosterDesk:
    desk = hoster_desk(tmp_path, monkeypatch, LISTED)
    listed(desk).write_text("address\nanna@acme.example\n")
    return desk


def listed(desk: HosterDesk) -> Path:
    return Path(desk.file).parent / "accounts.csv"


def begun(desk: HosterDesk) -> str:
    """A task that a move has begun; its number."""

    async def login() -> Credentials:
        return Credentials()

    values = {"domains": "acme.example"}
    settings = Settings("static", "Old Hoster", login, "", values, listed(desk).parent)
    action = Rename("anna@acme.example", "anna01@acme.example")
    task = asyncio.run(open_provider(settings).begin(action, "key"))
    assert task.state is TaskState.DOING
    return task.id


def test_a_word_is_kept_with_its_name_and_the_list_follows(desk: HosterDesk) -> None:
    number = begun(desk)
    ran = desk.run("provider", "done", desk.file, "--task", number, "--as", "Ann Example")
    assert ran.code is Exit.COMPLETE, ran.err
    assert f"source {number}: done: Ann Example says so\n" in ran.out
    assert "anna01@acme.example" in listed(desk).read_text()
    ran = desk.run("provider", "done", desk.file, "--task", number, "--as", "Bob", "--json")
    line = ran.lines[0]
    assert (line["event"], line["side"], line["task"]) == ("provider_task", "source", number)
    assert (line["state"], line["said"]) == ("done", "Ann Example says so")


def test_what_is_refused_ends_with_its_reason(desk: HosterDesk) -> None:
    number = begun(desk)
    refused = ("--as", "Ann", "--refused", "the hoster can't")
    ran = desk.run("provider", "done", desk.file, "--task", number, *refused)
    assert ran.code is Exit.COMPLETE, ran.err
    assert "cancelled: the hoster can't" in ran.out
    assert "anna01" not in listed(desk).read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as", "Ann"), "--task ID"),
        (("--task", "1"), "--as NAME"),
        (("--task", "77", "--as", "Ann"), "no task “77”"),
        (("--task", "1", "--as", "Ann", "--side", "target"), "does its tasks itself"),
    ],
)
def test_a_word_that_can_not_be_is_bad_input(
    arguments: tuple[str, ...], said: str, desk: HosterDesk
) -> None:
    ran = desk.run("provider", "done", desk.file, *arguments)
    assert ran.code is Exit.USAGE
    assert said in ran.err
