"""What was begun here is found again by its key, and one thing is changed at a time."""

import asyncio
import stat
from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput, Closed, RetryLater
from mailhaul.providers import journal as journals
from mailhaul.providers.journal import Journal
from mailhaul.providers.provider import TaskState


def test_a_task_is_found_by_key_and_number_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal"
    begun = Journal(path).begin("k1", "action", TaskState.DOING)
    Journal(path).begin("k2", "other", TaskState.DONE, "at once")
    assert Journal(path).find("k1") == begun == Journal(path).entry(begun.number)
    assert Journal(path).open() == [begun]
    ended = Journal(path).settle(begun.number, TaskState.CANCELLED, "no", "Ann")
    assert (ended.state, ended.said, ended.told_by) == (TaskState.CANCELLED, "no", "Ann")
    assert Journal(path).open() == []
    anew = Journal(path).begin("k1", "action", TaskState.DOING)
    assert (anew.number, anew.state, anew.told_by) == (begun.number, TaskState.DOING, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reading_makes_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.find("k") is None
    assert journal.open() == []
    for number in ("1", "", "x", "²", "9" * 30, "1; DROP TABLE task"):
        with pytest.raises(BadInput):
            journal.entry(number)
    assert not journal.path.exists()


async def test_only_one_changes_anything_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    async def alone(number: int) -> None:
        async with Journal(tmp_path / "journal").alone():
            inside.append(number)
            await asyncio.sleep(0.005)
            assert inside[-1] == number

    await asyncio.gather(*map(alone, range(8)))
    assert sorted(inside) == list(range(8))


async def test_who_waits_too_long_comes_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "PATIENCE", 0.05)
    async with Journal(tmp_path / "journal").alone():
        with pytest.raises(RetryLater):
            async with Journal(tmp_path / "journal").alone():
                raise AssertionError("two at once")


async def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory, and no database")
    for path in (tmp_path / "file" / "journal", tmp_path / "file"):
        journal = Journal(path)
        with pytest.raises(Closed, match="can't be kept"):
            async with journal.alone():
                journal.begin("k", "action", TaskState.DOING)
