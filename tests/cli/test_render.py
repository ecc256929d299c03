"""What reaches standard output and standard error, and in which shape."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console as RichConsole

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.figures import cells
from mailhaul.cli.live import picture
from mailhaul.cli.meter import Meter
from mailhaul.cli.progress import (
    LIVE_AFTER,
    PLAIN_EVERY,
    JsonProgress,
    LiveProgress,
    PlainProgress,
    Progress,
    SilentProgress,
    progress_for,
)
from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.text import Secret
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Settled,
    Side,
    Tally,
    Waiting,
)

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COURSE: list[Event] = [
    Opened(Side.SOURCE, "Old 1.0"),
    Opened(Side.TARGET, "New 2.0"),
    Mapped((FolderLink(INBOX_PATH, INBOX_PATH, count=10, size=1000),)),
    Listed(INBOX_PATH, 10, 1000),
    Carried(INBOX_PATH, 9, 900),
    Settled(INBOX_PATH, 3, Fate.REFUSED, "hunter2 is too large", "hunter2"),
    Waiting(Side.TARGET, "throttled, says hunter2", 60.0, throttled=True),
    FolderDone(INBOX_PATH, "hunter2 stopped it"),
    Finished(Tally(census=10, copied=9, refused=1), 1.0, {}, 2),
]


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def console(
    *, terminal: bool = False, environ: dict[str, str] | None = None
) -> tuple[Console, io.StringIO, io.StringIO]:
    scrubber = Scrubber()
    scrubber.learn(Secret("hunter2"))
    kind = Terminal if terminal else io.StringIO
    out, err = kind(), kind()
    return Console(out, err, scrubber, environ or {"TERM": "xterm"}), out, err


def run_course(progress: Progress) -> None:
    for second, event in enumerate(COURSE):
        progress.take(event, float(second))
        progress.tick(float(second))
    progress.end()


@pytest.mark.parametrize(
    ("as_json", "quiet", "terminal", "kind"),
    [
        (False, False, True, LiveProgress),
        (False, False, False, PlainProgress),
        (False, True, True, SilentProgress),
        (True, False, True, JsonProgress),
        (True, True, False, JsonProgress),
    ],
)
def test_progress_is_shown_as_asked_and_as_the_terminal_can(
    as_json: bool, quiet: bool, terminal: bool, kind: type
) -> None:
    shown, _, _ = console(terminal=terminal)
    progress = progress_for(
        shown, as_json=as_json, quiet=quiet, title="a → b", now=0.0, accounted=dict
    )
    assert isinstance(progress, kind)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    shown, _, _ = console(terminal=True, environ={"TERM": "dumb"})
    progress = progress_for(shown, as_json=False, quiet=False, title="", now=0.0, accounted=dict)
    assert isinstance(progress, PlainProgress)


@pytest.mark.parametrize("way", ["json", "plain", "live", "quiet"])
def test_no_way_of_showing_lets_a_secret_out(way: str) -> None:
    shown, out, err = console(terminal=way == "live")
    progress = progress_for(
        shown,
        as_json=way == "json",
        quiet=way == "quiet",
        title="imaps://hunter2@host → b",
        now=-LIVE_AFTER,
        accounted=dict,
    )
    run_course(progress)
    shown.show([Line("it was hunter2", Tone.BAD)])
    shown.warn("hunter2")
    shown.error("hunter2")
    shown.tell("hunter2")
    assert "hunter2" not in out.getvalue() + err.getvalue()
    assert "it was ***" in out.getvalue()


def test_json_lines_are_json_and_the_last_is_the_summary() -> None:
    shown, out, err = console()
    run_course(JsonProgress(shown, only_last=False))
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events[:3] == ["opened", "opened", "mapped"]
    assert events[-1] == "summary"
    assert err.getvalue() == ""


def test_json_and_quiet_is_the_summary_alone() -> None:
    shown, out, _ = console()
    run_course(JsonProgress(shown, only_last=True))
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["summary"]


def test_a_secret_that_is_one_of_our_words_does_not_break_the_lines() -> None:
    shown, out, _ = console()
    shown.scrubber.learn(Secret("summary"))
    shown.json({"event": "summary", "text": "a summary"})
    assert json.loads(out.getvalue()) == {"event": "summary", "text": "a ***"}


def test_plain_lines_come_every_few_seconds_and_at_once_when_asked_to_wait() -> None:
    shown, out, err = console()
    run_course(PlainProgress(shown, 0.0, lambda: {INBOX_PATH: 10}))
    lines = err.getvalue().splitlines()
    assert lines == [
        "source: Old 1.0",
        "target: New 2.0",
        "0 of 1 folders · 9 of 10 messages · 900 B of 1.0 KB · 180 B/s · about 1 s left · "
        "in INBOX · comparing",
        "waiting 1:00 for the target, which asked for it: throttled, says ***",
        "INBOX: *** stopped it",
    ]
    assert PLAIN_EVERY == 5.0
    assert out.getvalue() == ""


def test_a_terminal_without_our_signs_gets_others_and_no_live_display() -> None:
    class Ascii(Terminal):
        encoding = "ascii"

    out = Ascii()
    shown = Console(out, out, Scrubber(), {"TERM": "xterm", "NO_COLOR": "1"})
    shown.show([Line("✓ a → “b” · …")])
    assert out.getvalue() == '+ a > "b" . ~\n'
    assert not shown.live


def test_the_live_display_goes_to_standard_error_and_vanishes() -> None:
    shown, out, err = console(terminal=True)
    progress = LiveProgress(shown, "a → b", 0.0, dict)
    for second, event in enumerate(COURSE[:5]):
        progress.take(event, float(second))
        progress.tick(float(second))
    assert "INBOX" in err.getvalue()
    before = len(err.getvalue())
    progress.end()
    progress.tick(10.0)
    erased = re.search(r"(?:\x1b\[1A\x1b\[2K)+$", err.getvalue()[before:])
    assert erased is not None
    assert erased[0].count("\x1b[2K") == err.getvalue()[before:].count("\n")
    assert out.getvalue() == ""


def test_a_pass_that_is_over_at_once_shows_no_live_display() -> None:
    shown, _, err = console(terminal=True)
    progress = LiveProgress(shown, "a → b", 0.0, dict)
    for event in COURSE:
        progress.take(event, 0.1)
        progress.tick(LIVE_AFTER / 2)
    progress.end()
    assert err.getvalue() == ""


def test_an_error_takes_the_live_display_down_first() -> None:
    shown, _, err = console(terminal=True)
    progress = LiveProgress(shown, "a → b", 0.0, dict)
    progress.tick(1.0)
    shown.error("broken")
    assert err.getvalue().endswith("mailhaul: broken\x1b[0m\n")
    before = len(err.getvalue())
    progress.tick(2.0)
    assert len(err.getvalue()) == before


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, True),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    terminal: bool, environ: dict[str, str], coloured: bool
) -> None:
    shown, out, _ = console(terminal=terminal, environ=environ or {"TERM": "xterm"})
    shown.show([Line("good", Tone.GOOD), Line("plain")])
    assert out.getvalue() == ("\x1b[32mgood\x1b[0m\nplain\n" if coloured else "good\nplain\n")


@contextmanager
def drawn(width: int) -> Iterator[io.StringIO]:
    meter = Meter(0.0)
    course: list[Event] = [
        *COURSE[:2],
        Mapped(
            tuple(
                FolderLink((name,), (name,), count=1000, size=10_000_000)
                for name in (
                    "日本語のとても長い名前のフォルダー" * 3,
                    "[bold]not markup[/bold]",
                    "C",
                )
            )
        ),
    ]
    course += [Listed((link.source), 1000, 10_000_000) for link in course[-1].links]  # type: ignore[union-attr]
    course += [Carried(("C",), 500, 5_000_000), Settled(("C",), 1, Fate.MISSING, "")]
    for second, event in enumerate(course):
        meter.take(event, second * 2.0)
    meter.take(Waiting(Side.TARGET, "busy", 90, throttled=True), 20.0)
    out = io.StringIO()
    rich = RichConsole(file=out, width=width, markup=False, emoji=False, force_terminal=True)
    rich.print(picture(meter, "imaps://a@old → imaps://a@new", 21.0, lambda text: text, width))
    yield out


def test_the_picture_tells_it_all() -> None:
    with drawn(100) as out:
        text = out.getvalue()
    for word in (
        "imaps://a@old → imaps://a@new",
        "21 s",
        "[bold]not markup[\\/bold]",
        "500 / 1,000",
        "500 / 3,000",
        "5.0 MB",
        "KB/s",
        "left",
        "1 message missing",
        "waiting 1:29 for the target, which asked for it: busy",
    ):
        assert word in text, word


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80, 200])
def test_the_picture_fits_any_terminal(width: int) -> None:
    with drawn(width) as out:
        lines = [ANSI.sub("", line) for line in out.getvalue().splitlines()]
    assert len(lines) >= 5
    assert [line for line in lines if cells(line) > width] == []
    assert sum(line.rstrip().endswith(("500 / 1,000", "5.0 MB")) for line in lines) >= 1
    assert any("500 / 3,000" in line for line in lines)
