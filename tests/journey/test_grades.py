"""Which grade a mailbox gets, and who may sign it off."""

from typing import Any

import pytest

from mailhaul.engine.verdict import Kind
from mailhaul.journey.grades import Grade, Outcome, graded, may_be_signed, worst


def outcome(**more: Any) -> Outcome:
    """Ten messages, all copied."""
    return Outcome(**{"census": 10, "copied": 10, **more})


GRADES = [
    ("nothing differs", outcome(), Grade.PERFECT),
    ("an empty mailbox", Outcome(census=0), Grade.PERFECT),
    ("some were there already", Outcome(census=10, copied=4, adopted=6), Grade.PERFECT),
    ("some were left out by the plan", Outcome(census=10, copied=8, skipped=2), Grade.GOOD),
    ("explained differences", outcome(notes=3), Grade.GOOD),
    (
        "its user deleted some",
        outcome(differences={Kind.MISSING: 2}, departed=2),
        Grade.GOOD,
    ),
    (
        "its user deleted a whole folder",
        outcome(differences={Kind.FOLDER_MISSING: 1}, departed=2),
        Grade.INVESTIGATE,
    ),
    (
        "its user deleted a tenth",
        outcome(census=200, copied=200, differences={Kind.MISSING: 20}, departed=20),
        Grade.GOOD,
    ),
    (
        "more are gone than a user deletes in two days",
        outcome(census=200, copied=200, differences={Kind.MISSING: 21}, departed=21),
        Grade.INVESTIGATE,
    ),
    (
        "its user put many away",
        outcome(census=200, copied=200, differences={Kind.MISSING: 90}, departed=90, moved=80),
        Grade.GOOD,
    ),
    ("its user read some", outcome(differences={Kind.FLAGS: 4}, retouched=4), Grade.GOOD),
    (
        "flags that nobody changed",
        outcome(differences={Kind.FLAGS: 4}, retouched=3),
        Grade.INVESTIGATE,
    ),
    (
        "one was refused",
        Outcome(census=10, copied=9, refused=1, differences={Kind.MISSING: 1}),
        Grade.INVESTIGATE,
    ),
    (
        "one could not be read",
        Outcome(census=10, copied=9, missing=1, differences={Kind.UNREADABLE: 1}),
        Grade.INVESTIGATE,
    ),
    ("one was altered", outcome(differences={Kind.ALTERED: 1}), Grade.INVESTIGATE),
    ("one is there twice", outcome(differences={Kind.DOUBLED: 1}), Grade.INVESTIGATE),
    ("one is not accounted for", Outcome(census=10, copied=9), Grade.POOR),
    ("one more than counted", Outcome(census=10, copied=11), Grade.POOR),
    ("one is not there", outcome(differences={Kind.MISSING: 1}), Grade.POOR),
    (
        "one more is not there than was refused",
        Outcome(census=10, copied=9, refused=1, differences={Kind.MISSING: 2}),
        Grade.POOR,
    ),
    ("a folder is not there", outcome(differences={Kind.FOLDER_MISSING: 1}), Grade.POOR),
    ("a folder failed", outcome(differences={Kind.FOLDER_FAILED: 1}), Grade.POOR),
    ("the pass did not end", outcome(unfinished=1), Grade.POOR),
    ("nobody could compare", outcome(compared=False), Grade.POOR),
]


@pytest.mark.parametrize(
    ("given", "grade"), [case[1:] for case in GRADES], ids=[case[0] for case in GRADES]
)
def test_a_mailbox_is_graded(given: Outcome, grade: Grade) -> None:
    found = graded(given)
    assert found.grade is grade
    assert bool(found.reasons) == (grade is not Grade.PERFECT)


@pytest.mark.parametrize(
    ("grade", "approved", "allowed"),
    [
        ("perfect", False, True),
        ("good", False, True),
        ("investigate", False, False),
        ("investigate", True, True),
        ("poor", True, False),
        ("", True, False),
    ],
)
def test_investigate_can_be_approved_and_poor_cannot(
    grade: str, approved: bool, allowed: bool
) -> None:
    assert may_be_signed(grade, approved) == allowed


def test_a_plan_is_as_good_as_its_worst_mailbox() -> None:
    assert worst({"perfect": 9, "investigate": 1, "good": 3}) is Grade.INVESTIGATE
    assert worst({"poor": 1, "perfect": 9}) is Grade.POOR
    assert worst({}) is None
