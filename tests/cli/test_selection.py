"""What is to be carried, as a person writes it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailhaul.cli.copy import COMMAND
from mailhaul.cli.parsing import parse
from mailhaul.cli.selection import folder_map, globs_given, moment
from mailhaul.core.errors import BadInput
from mailhaul.core.folder import FolderPath

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", NOW - timedelta(days=90)),
        ("0d", NOW),
        ("2024-01-31", datetime(2024, 1, 31).astimezone()),
        ("2024-01-31T08:00+01:00", datetime(2024, 1, 31, 8, tzinfo=timezone(timedelta(hours=1)))),
        ("2024-01-31T08:00:30Z", datetime(2024, 1, 31, 8, 0, 30, tzinfo=UTC)),
    ],
)
def test_since_takes_days_a_day_or_a_moment(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no date"),
        ("yesterday", "is no date"),
        ("90", "is no date"),
        ("-5d", "is no date"),
        ("31.01.2024", "is no date"),
        ("2024-02-30", "is no date"),
        ("999999d", "is no date"),
        ("2024-01-31T08:00", "names no time zone"),
        ("2031-01-01", "lies in the future"),
        ("\x1b[2J", "\\x1b[2J is no date"),
    ],
)
def test_since_says_what_is_wrong_and_what_is_right(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        moment(text, NOW)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("Sent=Archive/Sent", ("Sent",), ("Archive", "Sent")),
        ("inbox=Old", ("INBOX",), ("Old",)),
        ("A/inbox=INBOX/A", ("A", "inbox"), ("INBOX", "A")),
        (r"A\/B=C", ("A/B",), ("C",)),
        (r"1\=1=C", ("1=1",), ("C",)),
        (r"A\\/B=C\D", ("A\\", "B"), ("C\\D",)),
        ("Ü b/日=x", ("Ü b", "日"), ("x",)),
    ],
)
def test_maps_name_paths(text: str, source: FolderPath, target: FolderPath) -> None:
    assert folder_map([text]) == {source: target}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["Sent"], "takes one ="),
        (["a=b=c"], "takes one ="),
        (["=b"], "a folder has no name"),
        (["a="], "a folder has no name"),
        (["a//b=c"], "a folder has no name"),
        (["a=b", "a=c"], "already sent elsewhere"),
    ],
)
def test_maps_that_say_nothing_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        folder_map(texts)
    assert said in str(caught.value)


def test_the_same_map_twice_is_one() -> None:
    assert folder_map(["a=b", "a=b"]) == {("a",): ("b",)}


def test_an_empty_glob_is_refused() -> None:
    arguments = parse(COMMAND, ["x", "y", "--folder", ""])
    with pytest.raises(BadInput, match="--folder is empty"):
        globs_given(arguments, "--folder")
