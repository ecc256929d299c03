"""Numbers, times and paths as they are shown."""

import pytest

from mailhaul.cli.blocks import Line, Table, Tone, laid_out
from mailhaul.cli.figures import (
    WIDEST,
    broken,
    cells,
    columns,
    duration,
    fitted,
    octets,
    plural,
    remaining,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (61_000_000, "61.0 MB"),
        (999_949_999, "999.9 MB"),
        (999_960_000, "1.0 GB"),
        (2**31, "2.1 GB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_octets_are_shown_in_decimal_units(number: float, text: str) -> None:
    assert octets(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (299, "4:59"),
        (7384, "2:03:04"),
        (86_400 + 7380, "1 day 2:03"),
        (3 * 86_400, "3 days 0:00"),
    ],
)
def test_durations_grow_coarser_as_they_grow(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (7.6, "8 s"),
        (12, "10 s"),
        (54, "55 s"),
        (56, "1 min"),
        (3599, "1 h"),
        (7800, "2 h 10 min"),
        (90_000, "1 day 1 h"),
    ],
)
def test_a_guess_is_shown_as_coarse_as_it_is(seconds: float, text: str) -> None:
    assert remaining(seconds) == text


def test_one_is_not_many() -> None:
    assert [plural(n, "message") for n in (0, 1, 1200)] == [
        "0 messages",
        "1 message",
        "1,200 messages",
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本語", 6), ("e\u0301", 1), ("ｆｕｌｌ", 8), ("", 0)],
)
def test_wide_and_combining_characters_take_their_columns(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize("width", range(3, 30))
def test_a_name_that_is_cut_fits_and_keeps_both_ends(width: int) -> None:
    text = "Projekte/日本語のフォルダー/2024"
    cut = fitted(text, width)
    assert cells(cut) <= width
    assert cut == text or "…" in cut
    assert cut == text or text.startswith(cut.partition("…")[0])
    assert cut == text or text.endswith(cut.partition("…")[2])


LONG = "  anna@x: the target takes messages of 35 MB at most, and two here are larger than that"
BROKEN = [
    ("what fits", "as it is", 8, ["as it is"]),
    ("no width", LONG, None, [LONG]),
    (
        "at blanks, further in",
        LONG,
        40,
        [
            "  anna@x: the target takes messages of",
            "    35 MB at most, and two here are",
            "    larger than that",
        ],
    ),
    (
        "a word that is too long",
        "an/unbreakably/long/path is",
        9,
        ["an/unbreakably/long/path", "  is"],
    ),
    ("one word", "unbreakable", 4, ["unbreakable"]),
    ("wide characters", "日本 日本 日本", 9, ["日本 日本", "  日本"]),
    (
        "a command",
        "it is checked with: mailhaul report verify acme-report",
        30,
        ["it is checked with:", "  mailhaul report verify acme-report"],
    ),
    ("columns in a line", "  7  lee  paused by lee", 16, ["  7  lee  paused", "    by lee"]),
]


@pytest.mark.parametrize(
    ("text", "width", "lines"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_lines_are_broken_at_blanks(text: str, width: int | None, lines: list[str]) -> None:
    assert list(broken(text, width)) == lines


def test_columns_align_by_what_is_seen() -> None:
    lines = columns([("日本", "1"), ("a", "200")], right=frozenset({1}))
    assert lines == ["日本    1", "a     200"]


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_columns_are_cut_to_the_width_and_numbers_never_are(width: int) -> None:
    rows = [("Archive/日本語/a very long name", "Somewhere/else", "1,234"), ("a", "b", "5")]
    lines = columns(rows, frozenset({2}), width)
    assert all(cells(line) <= max(width, 12 + 2 + 12 + 2 + 5) for line in lines)
    assert lines[0].endswith("1,234")
    assert lines[1].endswith("    5")
    assert columns(rows, frozenset({2}), 80) == columns(rows, frozenset({2}))


def test_what_is_shown_is_broken_to_the_width_of_the_terminal() -> None:
    shown = list(laid_out([Line(LONG, Tone.WARNING)], 40))
    assert [line.text for line in shown] == list(broken(LONG, 40))
    assert {line.tone for line in shown} == {Tone.WARNING}


def test_without_a_width_nothing_is_cut_and_one_long_name_pushes_its_own_line_only() -> None:
    long = "L" * 200
    lines = columns([("folder", "messages"), (long, "1"), ("b", "2")], frozenset({1}))
    assert lines == [
        f"{'folder':<{WIDEST}}  messages",
        f"{long}         1",
        f"{'b':<{WIDEST}}         2",
    ]


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (60, "folder      messages  copied  refused  missing"),
        (40, "folder      messages  copied  refused"),
        (20, "folder      messages  copied  refused"),
    ],
)
def test_columns_that_tell_nothing_give_way_in_a_narrow_terminal(width: int, heading: str) -> None:
    head = ("folder", "messages", "copied", "refused", "missing")
    table = Table(head, (("INBOX/work", "1", "1", "1", "·"),), frozenset(range(1, 5)))
    assert next(laid_out([table], width)).text == heading


def test_no_rows_are_no_lines() -> None:
    assert columns([]) == []
