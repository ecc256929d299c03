"""What `verify` says of what it finds."""

from collections.abc import Sequence

import pytest

from mailhaul.cli.blocks import Block, laid_out
from mailhaul.cli.exits import Exit
from mailhaul.cli.proof import (
    MOST_LISTED,
    AsPass,
    Findings,
    difference_text,
    grave_findings,
    proof,
    proof_lines,
)
from mailhaul.cli.verify import exit_of
from mailhaul.core.folder import INBOX_PATH
from mailhaul.engine.outcomes import (
    Carried,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Side,
    Waiting,
)
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Progress,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
)

HARD, SOFT = Severity.DIFFERENCE, Severity.NOTE
MISSING = Difference(Kind.MISSING, HARD, INBOX_PATH, "not at the target", 7, subject="Hi")


def texts(blocks: Sequence[Block]) -> list[str]:
    return [line.text for line in laid_out(blocks)]


@pytest.mark.parametrize(
    ("verdict", "code", "said"),
    [
        (Verdict(False, 2, 9, 9, 9), Exit.COMPLETE, "equal: the target holds all of the source: 9"),
        (
            Verdict(True, differences={Kind.MISSING: 3, Kind.FLAGS: 1}),
            Exit.DIFFERENT,
            "different: missing 3, flags 1, see above",
        ),
        (
            Verdict(True, differences={Kind.UNREADABLE: 1, Kind.FOLDER_FAILED: 1}),
            Exit.INCOMPLETE,
            "incomplete: not all could be compared (unreadable 1, folder failed 1), see above",
        ),
        (
            Verdict(True, differences={Kind.UNREADABLE: 1, Kind.MISSING: 1}),
            Exit.DIFFERENT,
            "different: unreadable 1, missing 1, see above",
        ),
        (Verdict(False, problems=("no such",)), Exit.USAGE, "nothing was compared, see above"),
        (Verdict(False, notes={Kind.EXTRA: 4}), Exit.COMPLETE, "equal: the target holds all"),
    ],
)
def test_the_verdict_has_one_sentence_and_one_exit_code(
    verdict: Verdict, code: Exit, said: str
) -> None:
    assert exit_of(verdict) is code
    assert any(text.startswith(said) for text in texts(proof(Findings(), verdict, ())))


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict(False, differences={Kind.MISSING: 1}), True),
        (Verdict(False, differences={Kind.FLAGS: 1}), False),
    ],
)
def test_another_copy_is_advised_where_it_helps(verdict: Verdict, told: bool) -> None:
    last = texts(proof(Findings(), verdict, ()))[-1]
    assert last.startswith("next: mailhaul copy") == told


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (MISSING, "missing: INBOX UID 7 “Hi”: not at the target"),
        (
            Difference(Kind.FLAGS, HARD, ("A", "B"), "only at the target: \\Seen", 1, 2),
            "flags: A/B UID 1, at the target UID 2: only at the target: \\Seen",
        ),
        (
            Difference(Kind.FOLDER_MISSING, HARD, ("\x1b[2J",), "gone"),
            "folder missing: \\x1b[2J: gone",
        ),
        (
            Difference(Kind.ALTERED, HARD, INBOX_PATH, "x", "a.eml", subject="\u202eevil"),
            "altered: INBOX a.eml “\\u202eevil”: x",
        ),
    ],
)
def test_each_difference_is_one_line(found: Difference, said: str) -> None:
    assert difference_text(found) == said


def test_the_table_shows_octets_compared_only_when_they_were() -> None:
    findings = Findings()
    findings.take(FolderCompared((INBOX_PATH,), INBOX_PATH, 3, 2, 2, 2, 1, 0))
    findings.take(FolderCompared((("E",),), ("E",), 0, 0, 0, 0, 0, 0))
    findings.take(MISSING)
    verdict = Verdict(True, 2, 3, 2, 2, 2, 99, {Kind.MISSING: 1})
    lines = texts(proof(findings, verdict, ("sent in plaintext",)))
    assert lines[:6] == [
        "folder  source  target  paired  identical  differences  harmless",
        "INBOX        3       2       2          2            1         ·",
        "in all       3       2       2          2            1         ·",
        "1 folder without messages",
        "",
        "missing: INBOX UID 7 “Hi”: not at the target",
    ]
    assert "note: sent in plaintext" in lines
    shallow = texts(proof(findings, Verdict(False, 2, 3, 2, 2), ()))
    assert shallow[0] == "folder  source  target  paired  differences  harmless"


def test_explanations_and_harmless_ones_are_counted() -> None:
    verdict = Verdict(False, notes={Kind.EXTRA: 2}, explained={"8-bit header bytes → X": 12})
    lines = texts(proof(Findings(), verdict, ()))
    assert "  12 messages: 8-bit header bytes → X" in lines
    assert "harmless: extra: 2 (--json names each)" in lines


def test_however_many_differences_there_are_the_list_ends() -> None:
    findings = Findings()
    for _ in range(MOST_LISTED + 3):
        findings.take(MISSING)
    findings.take(Difference(Kind.EXTRA, SOFT, INBOX_PATH, "more", count=5))
    lines = texts(grave_findings(findings, Verdict(False)))
    assert len(lines) == MOST_LISTED + 1
    assert lines[-1] == "and 3 more: --json names each"


MAPPED = Mapped(
    (
        FolderLink(("A",), ("T",), count=3, size=30),
        FolderLink(("B",), ("T",), count=4, size=40),
    )
)


@pytest.mark.parametrize(
    ("deep", "listed"), [(False, Listed(("T",), 7, 0)), (True, Listed(("T",), 7, 140))]
)
def test_while_it_runs_it_is_shown_like_a_pass(deep: bool, listed: Listed) -> None:
    told = AsPass(deep)
    (mapped,) = told.events(MAPPED)
    assert isinstance(mapped, Mapped)
    assert [(link.source, link.count) for link in mapped.links] == [(("T",), 7)]
    events = [
        event
        for progress in (Progress(("T",), 5), Progress(("T",), 0, 4, 50), Progress(("T",), 2))
        for event in told.events(progress)
    ]
    carried = [event for event in events if isinstance(event, Carried)]
    assert events[0] == listed
    assert all((event.octets > 0) == deep for event in carried)
    assert sum(event.messages for event in carried) == (4 if deep else 7)
    waiting = Waiting(Side.TARGET, "busy", 1.0)
    assert list(told.events(waiting)) == [waiting]
    assert list(told.events(MISSING)) == []
    done = FolderCompared((("A",), ("B",)), ("T",), 7, 7, 7, 7, 0, 0)
    assert list(told.events(done)) == [FolderDone(("T",))]


def test_the_last_json_line_is_the_verdict() -> None:
    events: list[VerifyEvent] = [
        Opened(Side.SOURCE, "x"),
        MISSING,
        Verified(Verdict(True, messages=1)),
    ]
    lines = [line for event in events for line in proof_lines(event)]
    assert [line["event"] for line in lines] == ["opened", "difference", "verdict"]
    assert lines[-1]["equal"] is True
