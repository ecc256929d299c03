"""How well a mailbox has come over, in one word that a person can decide by.

Perfect and Good may be signed off. Investigate may be once a named person has approved what is not
there. Poor may not: something is missing and nobody knows why, or nobody has looked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailhaul.engine.verdict import Kind


class Grade(StrEnum):
    PERFECT = "perfect"
    GOOD = "good"
    INVESTIGATE = "investigate"
    POOR = "poor"


WORST_FIRST = (Grade.POOR, Grade.INVESTIGATE, Grade.GOOD, Grade.PERFECT)

FEW_DEPARTED = 10
MANY_DEPARTED = 0.1
"""Of what was carried, so much may be removed by its user before somebody asks them: a
target that loses what it said it had looks just like it."""

_JUDGED_APART = frozenset({Kind.MISSING, Kind.FOLDER_MISSING, Kind.FOLDER_FAILED, Kind.FLAGS})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a grade is given for.

    The five fates and `census` are the last pass's accounting, `unfinished` how many things it
    could not finish. `differences` counts messages by kind as the verification found them, notes
    left out; `notes` counts those. `compared` is false when the verification could not compare
    everything. What users did at the target since the messages were carried is theirs to do:
    `departed` messages are no longer where they were put, of which `moved` lie in other folders;
    `retouched` have other flags.
    """

    census: int
    copied: int = 0
    adopted: int = 0
    skipped: int = 0
    refused: int = 0
    missing: int = 0
    unfinished: int = 0
    compared: bool = True
    differences: Mapping[Kind, int] = field(default_factory=dict)
    notes: int = 0
    departed: int = 0
    moved: int = 0
    retouched: int = 0


@dataclass(frozen=True, slots=True)
class Graded:
    """The grade, and why it is no better, as sentences."""

    grade: Grade
    reasons: tuple[str, ...] = ()


def graded(outcome: Outcome) -> Graded:
    """The grade of a mailbox that has been verified."""
    poor = [*_poor(outcome)]
    if poor:
        return Graded(Grade.POOR, tuple(poor))
    doubtful = [*_doubtful(outcome)]
    if doubtful:
        return Graded(Grade.INVESTIGATE, tuple(doubtful))
    remarks = [
        (outcome.skipped, "left out as the plan says"),
        (outcome.departed - outcome.moved, "no longer there: removed at the target since"),
        (outcome.moved, "in other folders: moved at the target since"),
        (outcome.retouched, "given other flags at the target since"),
        (outcome.notes, "not quite as they were, each explained"),
    ]
    reasons = tuple(f"{count} messages {what}" for count, what in remarks if count)
    return Graded(Grade.GOOD if reasons else Grade.PERFECT, reasons)


def may_be_signed(grade: str, approved: bool) -> bool:
    """Whether a mailbox with that grade may be signed off; `approved`: a person has approved it."""
    return grade in (Grade.PERFECT, Grade.GOOD) or (grade == Grade.INVESTIGATE and approved)


def worst(grades: Mapping[str, int]) -> Grade | None:
    """A plan is graded as its worst mailbox; None when none has a grade."""
    return next((grade for grade in WORST_FIRST if grades.get(grade, 0)), None)


def _poor(outcome: Outcome) -> list[str]:
    reasons = []
    accounted = (
        outcome.copied + outcome.adopted + outcome.skipped + outcome.refused + outcome.missing
    )
    if accounted != outcome.census:
        reasons.append(f"{outcome.census} messages counted, {accounted} accounted for")
    if outcome.unfinished:
        reasons.append(f"{outcome.unfinished} things could not be finished")
    if not outcome.compared or outcome.differences.get(Kind.FOLDER_FAILED, 0):
        reasons.append("not everything could be compared")
    known = outcome.refused + outcome.missing + outcome.departed
    lost = outcome.differences.get(Kind.MISSING, 0) - known
    if lost > 0:
        reasons.append(f"{lost} messages are not at the target and nothing says why")
    folders = outcome.differences.get(Kind.FOLDER_MISSING, 0)
    if folders and not outcome.departed:
        reasons.append(f"{folders} folders are not at the target and nothing says why")
    return reasons


def _doubtful(outcome: Outcome) -> list[str]:
    reasons = []
    if outcome.refused:
        reasons.append(f"{outcome.refused} messages were refused by the target")
    if outcome.missing:
        reasons.append(f"{outcome.missing} messages could not be had from the source")
    if folders := outcome.differences.get(Kind.FOLDER_MISSING, 0):
        reasons.append(f"{folders} folders are no longer at the target")
    carried = outcome.copied + outcome.adopted
    gone = outcome.departed - outcome.moved
    if gone > max(FEW_DEPARTED, carried * MANY_DEPARTED):
        reasons.append(
            f"{gone} of {carried} messages are no longer there; ask the mailbox's user whether "
            "they removed them"
        )
    if (flags := outcome.differences.get(Kind.FLAGS, 0) - outcome.retouched) > 0:
        reasons.append(f"{flags} messages have other flags and nothing says why")
    reasons += [
        f"{count} messages differ: {kind}"
        for kind, count in sorted(outcome.differences.items())
        if count and kind not in _JUDGED_APART
    ]
    return reasons
