"""How a rehearsal is shown: a story of short lines, and below it, in a terminal, a live table of
the mailboxes. Elsewhere the table is printed where the story asks for it."""

import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mailhaul.journey.states import State
from mailhaul.lab.stage import Ran, Seen, Stage

WIDTH = 80
MOST_ROWS = 12
BAR = 14
_STYLES = {
    State.WAITING: "yellow",
    State.FAILED: "red",
    State.BLOCKED: "red",
    State.COPYING: "cyan",
    State.FINAL: "cyan",
    State.VERIFIED: "green",
    State.COMPLETED: "bold green",
}
_TONES = {"say": "", "good": "green", "trouble": "yellow", "bad": "bold red", "head": "bold"}


@dataclass(slots=True)
class Screen:
    """See the module. `stage` is what is shown, once there is something."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    stage: Stage | None = None
    title: Callable[[Sequence[Seen]], str] = lambda rows: ""
    _live: Live | None = None
    _console: Console = field(init=False)

    def __post_init__(self) -> None:
        console = Console(file=self.out, highlight=False, markup=False, emoji=False)
        self._console = Console(
            file=self.out,
            width=min(console.width, WIDTH) if console.is_terminal else WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def say(self, text: str, tone: str = "say") -> None:
        """A paragraph of the story."""
        self._paragraph(text, "", tone)

    def tell(self, text: str, tone: str = "say") -> None:
        """What happened now, by the wound clock."""
        assert self.stage is not None
        self._paragraph(text, f"{clock_text(self.stage.now)}  ", tone)

    def line(self, text: str) -> None:
        """A line of a table, as it is."""
        self._console.print(text)

    def item(self, mark: str, text: str) -> None:
        """A line of a list; where it is too long, it goes on below its own begin."""
        width = self._console.width
        for line in textwrap.wrap(
            text, width, initial_indent=mark, subsequent_indent=" " * len(mark)
        ):
            self._console.print(line)

    def run(self, words: Sequence[str], *, shown: bool = False, lines: int | None = None) -> Ran:
        """Runs the real command; what it says is shown, or only its last `lines`; with `shown` as
        it comes, with its colours, in place of the table."""
        assert self.stage is not None
        if shown:
            self.pause()
        # As wide as it is, so that it can be copied.
        self._console.print(f"\n$ mailhaul {shlex.join(words)}", style="bold", soft_wrap=True)
        self.out.flush()
        ran = self.stage.run(words, shown=shown)
        for line in ran.text.splitlines()[-(lines or 0) :]:
            width = self._console.width - 2
            for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]:
                self._console.print(f"  {part}", style="dim")
        return ran

    # the table

    def watch(self) -> None:
        """From now on the table is there, in a terminal."""
        if self._console.is_terminal and self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def refresh(self, rows: Sequence[Seen]) -> None:
        """Draws the table anew, where it is live."""
        if self._live is not None:
            self._live.update(self.picture(rows), refresh=True)

    def table(self, rows: Sequence[Seen]) -> None:
        """The table as it stands, for good."""
        self._console.print()
        self._console.print(self.picture(rows))

    def pause(self) -> None:
        """Takes the live table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def picture(self, rows: Sequence[Seen]) -> RenderableType:
        """The heading with the wound clock, and a line for each mailbox."""
        assert self.stage is not None
        table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim")
        table.add_column("mailbox", no_wrap=True, max_width=12)
        table.add_column("state", no_wrap=True)
        table.add_column("", width=BAR)
        table.add_column("messages", justify="right", no_wrap=True)
        table.add_column("passes", justify="right", no_wrap=True)
        table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
        for row in rows[:MOST_ROWS]:
            style = _STYLES.get(row.state, "")
            whole = max(row.census, row.expected or 0)
            there = row.copied + row.adopted
            table.add_row(
                row.user,
                Text(row.state.value, style),
                _bar(there, whole),
                f"{there} / {whole}" if whole else "",
                str(row.passes) if row.passes else "",
                Text(row.grade or row.reason, "green" if row.grade in _FINE else "yellow"),
            )
        if len(rows) > MOST_ROWS:
            table.add_row(f"+ {len(rows) - MOST_ROWS} more")
        heading = Text(f"{clock_text(self.stage.now)}  {self.title(rows)}", style="bold")
        return Group(Text("─" * self._console.width, "dim"), heading, table)

    def _paragraph(self, text: str, mark: str, tone: str) -> None:
        if not mark:
            self._console.print()
        lines = textwrap.wrap(
            text,
            self._console.width,
            initial_indent=mark,
            subsequent_indent=" " * len(mark),
            break_on_hyphens=False,
        )
        for line in lines:
            self._console.print(line, style=_TONES[tone])
        self.out.flush()


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FINE = frozenset({"perfect", "good"})


def clock_text(now: datetime) -> str:
    """`Fri 17:05`, by whatever clock."""
    # strftime would write the day in the locale's language.
    return f"{_DAYS[now.weekday()]} {now:%H:%M}"


def _bar(done: int, whole: int) -> ProgressBar | Text:
    if not whole:
        return Text("")
    return ProgressBar(
        total=whole,
        completed=min(done, whole),
        width=BAR,
        complete_style="cyan",
        finished_style="green",
    )
