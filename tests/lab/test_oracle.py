"""What people do is written down as they do it; the oracle sees whatever differs from that."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.folder import INBOX_PATH
from mailhaul.lab.mail import SampleMessage, poison, sample_mailbox
from mailhaul.lab.oracle import Count, counted, report_faults
from mailhaul.lab.people import People, Person, Where, close
from mailhaul.lab.stage import Stage, stage

FOLDERS = (INBOX_PATH, ("Sent",), ("日本語", "請求書 & Co"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), "old.example", "new.example") as found:
        yield found


@pytest.fixture
def person(running: Stage, request: pytest.FixtureRequest) -> Iterator[Person]:
    name = f"{request.node.name}@old.example".replace("[", "-").replace("]", "")
    found = running.person(name, FOLDERS)
    found.fill(sample())
    yield found
    close([found])


def sample() -> list[SampleMessage]:
    every = sample_mailbox(60, keywords=False)
    return [replace(each, folder=FOLDERS[n % 3]) for n, each in enumerate(every)]


def carry(person: Person) -> None:
    """What a faultless migration would do: all that is at the old system, as it is."""
    for folder in FOLDERS[1:]:
        person.new.create(folder)
    person.new.fill(sample())


def test_what_was_carried_is_as_it_should_be(person: Person) -> None:
    carry(person)
    assert counted(person) == Count(person.address, 60, 60, 60, 0, ())


def test_nothing_carried_is_all_lost(person: Person) -> None:
    count = counted(person)
    assert (count.old, count.new, count.expected) == (60, 0, 60)
    assert "INBOX: 20 lost" in count.wrong
    assert "the new system has other folders than it should" in count.wrong


@pytest.mark.parametrize(
    ("harm", "wrong"),
    [
        ("delete", ("Sent: 1 lost",)),
        ("double", ("Sent: 1 too many",)),
        ("flag", ("Sent: 1 with other flags",)),
        ("move", ("INBOX: 1 too many", "Sent: 1 lost")),
    ],
)
def test_whatever_nobody_did_is_seen(person: Person, harm: str, wrong: tuple[str, ...]) -> None:
    carry(person)
    sent = FOLDERS[1]
    unflagged = next(each for each in sample() if each.folder == sent and not each.flags)
    person.new.select(sent)
    match harm:
        case "delete":
            person.new.store(sent, "101 +FLAGS (\\Deleted)")
            person.new.command(b"EXPUNGE")
        case "double":
            person.new.fill([unflagged])
        case "flag":
            person.new.store(sent, "101 +FLAGS (\\Draft)")
        case _:
            person.new.command(b"UID MOVE 101 INBOX")
    assert counted(person).wrong == wrong


def test_what_is_refused_is_not_expected_and_counts_at_the_old_system(person: Person) -> None:
    carry(person)
    person.arrive(poison(person.address), poison=True)
    assert counted(person) == Count(person.address, 61, 60, 60, 1, ())


def test_people_at_work_leave_what_was_written_down(person: Person) -> None:
    people = People([person], pause=0.002)
    carry(person)
    people.move([person.address], Where.NEW)
    people.begin()
    deadline = time.monotonic() + 30
    while len(people.done) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    people.stop()
    assert set(people.done) == {"arrived", "read or marked", "moved", "deleted"}
    # What arrived at the old system meanwhile is all that is lacking.
    strays = people.done["arrived"]
    count = counted(person)
    assert count.wrong == (f"INBOX: {strays} lost",)
    assert count.old == 60 + strays


def test_who_has_gone_home_does_nothing_and_who_is_not_tidy_removes_nothing(
    person: Person,
) -> None:
    people = People([person], pause=0.002)
    person.tidy = False
    people.begin()
    time.sleep(0.5)
    people.move([person.address], Where.AWAY)
    done = people.done
    time.sleep(0.1)
    people.stop()
    assert people.done == done
    assert set(done) <= {"arrived", "read or marked"}
    assert counted(person).old == 60 + done["arrived"]


FIGURES = {"census": 5, "copied": 3, "adopted": 1, "skipped": 0, "refused": 1, "missing": 0}


@pytest.mark.parametrize(
    ("figures", "wrong"),
    [
        ({}, []),
        ({"census": 6}, ["a@x: 5 counted, the report says 6"]),
        ({"copied": 2}, ["a@x: the report accounts for 4 of 5"]),
        ({"refused": 0, "missing": 1}, ["a@x: 1 refused, not 0"]),
    ],
)
def test_a_report_that_says_something_else_is_found_out(
    tmp_path: Path, figures: dict[str, int], wrong: list[str]
) -> None:
    told = {"mailboxes": [{"address": "a@x", "account": {**FIGURES, **figures}}]}
    (tmp_path / "report.json").write_text(json.dumps(told), encoding="utf-8")
    assert report_faults([tmp_path], [Count("a@x", 5, 4, 4, 1, ())]) == wrong
