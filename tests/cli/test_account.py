"""The end of a pass on paper."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailhaul.cli.account import (
    MOST_LISTED,
    Leftovers,
    accounting,
    folder_map,
    grave_matters,
    to_be_carried,
    verdict,
)
from mailhaul.cli.blocks import Block, Tone, laid_out
from mailhaul.core.folder import INBOX_PATH, FolderPath, Role
from mailhaul.engine.outcomes import Fate, Finished, FolderLink, Mapped, Settled, Side, Tally


def texts(blocks: Sequence[Block]) -> list[str]:
    return [line.text for line in laid_out(blocks)]


def finished(
    tally: Tally, *, unfinished: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> Finished:
    return Finished(
        tally,
        2.0,
        {Side.SOURCE: 5, Side.TARGET: 7},
        3,
        folders={INBOX_PATH: tally, ("Empty",): Tally()},
        unfinished=unfinished,
        notes=notes,
    )


ALL = Tally(census=1500, copied=1400, adopted=100, flagged=3, removed=1, carried=10, octets=2000)


def test_the_table_has_every_folder_with_messages_and_the_sum() -> None:
    lines = texts(accounting(finished(ALL), Leftovers()))
    assert lines[:4] == [
        "folder  messages  copied  adopted  skipped  refused  missing",
        "INBOX      1,500   1,400      100        ·        ·        ·",
        "in all     1,500   1,400      100        ·        ·        ·",
        "1 folder without messages",
    ]


def test_what_the_pass_itself_did_is_told() -> None:
    lines = texts(accounting(finished(ALL), Leftovers()))
    assert "carried 10 messages, 2.0 KB in 2.0 s (1.0 KB/s, 5 messages/s)" in lines
    assert "flags of 3 messages brought up to date" in lines
    assert "1 message removed at the target" in lines
    assert "round trips: 5 source, 7 target; 3 writing commands" in lines


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            Settled(("A", "B"), 7, Fate.REFUSED, "too large", "Hi", Path("/s/7.eml")),
            "refused: A/B UID 7 “Hi”: too large; saved as /s/7.eml",
        ),
        (Settled(INBOX_PATH, "x:2,S", Fate.MISSING, "gone"), "missing: INBOX x:2,S: gone"),
        (
            Settled(INBOX_PATH, 1, Fate.REFUSED, "no", "a\x1b[2J\r\nb"),
            "refused: INBOX UID 1 “a\\x1b[2J\\x0d\\x0ab”: no",
        ),
    ],
)
def test_each_message_that_did_not_come_over_is_named(event: Settled, said: str) -> None:
    leftovers = Leftovers()
    leftovers.take(event)
    assert said in texts(accounting(finished(ALL), leftovers))
    assert texts(grave_matters(finished(ALL), leftovers)) == [said]


def test_however_many_they_are_the_list_ends() -> None:
    leftovers = Leftovers()
    for uid in range(MOST_LISTED + 5):
        leftovers.take(Settled(INBOX_PATH, uid, Fate.REFUSED, "no"))
    lines = texts(accounting(finished(ALL), leftovers))
    assert sum(line.startswith("refused:") for line in lines) == MOST_LISTED
    assert "and 5 more: --json names each" in lines


def test_skipped_messages_are_told_by_their_reason_only() -> None:
    leftovers = Leftovers()
    for uid in range(1200):
        leftovers.take(Settled(INBOX_PATH, uid, Fate.SKIPPED, "older than asked"))
    lines = texts(accounting(finished(ALL), leftovers))
    assert "skipped: 1,200 messages: older than asked" in lines
    assert grave_matters(finished(ALL), leftovers) == []


VERDICTS = [
    (
        "all",
        Tally(census=2, copied=2),
        (),
        "complete: all 2 messages of the source are at",
        Tone.GOOD,
    ),
    (
        "one",
        Tally(census=1, adopted=1),
        (),
        "complete: 1 message of the source is at the",
        Tone.GOOD,
    ),
    ("none", Tally(), (), "complete: the source holds no messages", Tone.GOOD),
    (
        "some skipped",
        Tally(census=3, copied=1, skipped=2),
        (),
        "complete: 1 of 3 messages",
        Tone.GOOD,
    ),
    ("refused", Tally(census=2, copied=1, refused=1), (), "incomplete: 1 message could", Tone.BAD),
    (
        "no sum",
        Tally(census=30, copied=1, adopted=2, refused=3, missing=1),
        ("x",),
        "incomplete: 3 of 30 messages are at the target so far, 4 refused or missing",
        Tone.BAD,
    ),
    (
        "no sum, and not why",
        Tally(census=2, copied=1),
        (),
        "incomplete: 1 of 2 messages is at the target so far",
        Tone.BAD,
    ),
    ("not done", Tally(census=1, copied=1), ("x",), "incomplete: not all could be done", Tone.BAD),
]


REHEARSALS = [
    ("nothing", (), {}, False, ["to be carried: 0 messages"]),
    (
        "a first pass",
        (FolderLink(("A",), ("A",), count=3, size=2000), FolderLink(("B",), ("B",), count=0)),
        {},
        False,
        ["to be carried: 3 messages, about 2.0 KB"],
    ),
    (
        "a first pass to where something is",
        (FolderLink(("A",), ("A",), count=3, size=2000, exists=True),),
        {},
        False,
        ["to be carried: at most 3 messages, about 2.0 KB"],
    ),
    (
        "a later pass",
        (FolderLink(("A",), ("A",), count=10, size=1000, exists=True),),
        {("A",): 8},
        False,
        [
            "to be carried: 2 messages, about 200 B",
            "8 messages accounted for by earlier passes",
        ],
    ),
    (
        "only some, and sizes that nobody knows",
        (FolderLink(("A",), ("A",), count=1), FolderLink(("B",), ("B",))),
        {},
        True,
        ["to be carried: at most 1 message; 1 folder not counted"],
    ),
    (
        "nothing can be counted beforehand",
        (FolderLink(("A",), ("A",)), FolderLink(("B",), ("B",))),
        {},
        False,
        ["to be carried: all of 2 folders, which only carrying counts"],
    ),
    (
        "more known than there is",
        (FolderLink(("A",), ("A",), count=1, size=9, exists=True),),
        {("A",): 2, ("elsewhere",): 7},
        False,
        ["to be carried: 0 messages", "2 messages accounted for by earlier passes"],
    ),
]


@pytest.mark.parametrize(
    ("links", "accounted", "some_only", "said"),
    [row[1:] for row in REHEARSALS],
    ids=[row[0] for row in REHEARSALS],
)
def test_a_rehearsal_says_what_is_to_be_carried_and_no_more(
    links: tuple[FolderLink, ...],
    accounted: dict[FolderPath, int],
    some_only: bool,
    said: list[str],
) -> None:
    lines = texts(to_be_carried(Mapped(links), accounted, some_only=some_only))
    assert [line for line in lines if line] == said


@pytest.mark.parametrize(
    ("tally", "unfinished", "said", "tone"),
    [row[1:] for row in VERDICTS],
    ids=[r[0] for r in VERDICTS],
)
def test_the_verdict_is_one_sentence(
    tally: Tally, unfinished: tuple[str, ...], said: str, tone: Tone
) -> None:
    end = finished(tally, unfinished=unfinished)
    line = next(
        line for line in verdict(end, "mailhaul copy A B", "mailhaul verify A B") if line.text
    )
    assert line.text.startswith(said)
    assert line.tone is tone
    assert (tone is Tone.GOOD) == end.complete


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(census=1, refused=1), "--retry-refused"),
        (Tally(census=1, missing=1), "asks the source again"),
        (Tally(census=2, copied=1), "mailhaul copy A B"),
        (Tally(census=1, copied=1), "mailhaul verify"),
    ],
)
def test_the_last_line_says_what_to_do_next(tally: Tally, said: str) -> None:
    last = verdict(finished(tally), "mailhaul copy A B", "mailhaul verify A B")[-1].text
    assert last.startswith("next: ")
    assert said in last


def test_notes_and_what_is_not_done_stand_below() -> None:
    end = finished(ALL, unfinished=("“X” is gone",), notes=("sent in plaintext",))
    lines = texts(accounting(end, Leftovers()))
    assert "not done: “X” is gone" in lines
    assert "note: sent in plaintext" in lines
    assert "not done: “X” is gone" in texts(grave_matters(end, Leftovers()))


def test_the_folder_map_shows_where_each_folder_goes_and_why() -> None:
    mapped = Mapped(
        (
            FolderLink(INBOX_PATH, INBOX_PATH, Role.INBOX, exists=True, count=3, size=3000),
            FolderLink(("A/B",), ("A_B",), notes=("/ can't stand in a name here",)),
        ),
        idle=2,
        excluded=tuple((f"x{n}",) for n in range(10)),
        problems=("--folder Nix matches nothing",),
    )
    assert texts(folder_map(mapped)) == [
        "source  target  role          messages    size",
        "INBOX   =       inbox  there         3  3.0 KB",
        "A\\/B    A_B            new           ?       ?",
        "  A\\/B: / can't stand in a name here",
        "2 folders unchanged since the last pass",
        "left out: x0, x1, x2, x3, x4, x5, x6, x7 and 2 more",
        "problem: --folder Nix matches nothing",
    ]


def test_an_empty_map_is_no_error() -> None:
    assert folder_map(Mapped(())) == []
