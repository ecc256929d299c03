"""The live display: how far a pass is, drawn with Rich. Imported only once it is to be seen."""

from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mailhaul.cli.figures import (
    count,
    duration,
    fitted,
    octets,
    path_text,
    plural,
    rate,
    remaining,
)
from mailhaul.cli.meter import Meter

MOST_FOLDERS = 4
NAME_WIDTH = 30
BAR_WIDTH = 24


def start(stream: TextIO, first: RenderableType) -> Live:
    """A running display on `stream` that vanishes when it is stopped. No thread draws it."""
    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    live = Live(
        first,
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start(refresh=True)
    return live


def picture(meter: Meter, title: str, now: float, clean: Callable[[str], str]) -> RenderableType:
    """What is to be seen now. Every foreign word passes `clean`."""
    seconds = int(now - meter.started)
    elapsed = f"{seconds} s" if seconds < 60 else duration(seconds)
    head = Table.grid(expand=True)
    head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    head.add_column(justify="right", no_wrap=True)
    head.add_row(Text(clean(title), style="bold"), Text(elapsed, style="dim"))
    parts: list[RenderableType] = [head]
    if meter.mapped:
        parts.append(_bars(meter, clean))
        parts.append(_figures(meter, now))
    if pending := meter.pending(now):
        wait = meter.wait_left(now)
        left = f", {duration(wait)} left" if wait >= 1 else ""
        style = "yellow" if meter.waits else "dim"
        parts.append(Text(f"{clean(pending)}{left}", style=style, overflow="fold"))
    return Group(*parts)


def _bars(meter: Meter, clean: Callable[[str], str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=NAME_WIDTH, no_wrap=True)
    table.add_column(width=BAR_WIDTH)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for folder in meter.active(MOST_FOLDERS):
        table.add_row(
            Text(fitted(clean(path_text(folder.path)), NAME_WIDTH)),
            _bar(*folder.share),
            Text(
                f"{count(folder.carried_messages)} / {count(folder.messages + folder.to_come)}",
                style="dim",
            ),
            Text(octets(folder.carried_octets) if folder.carried_octets else "", style="dim"),
        )
    table.add_row(
        Text(f"folders {meter.folders_done} / {meter.links}", style="bold"),
        _bar(*meter.share),
        Text(f"{count(meter.carried_messages)} / {count(meter.messages_expected())}", style="bold"),
        Text(octets(meter.carried_octets) if meter.carried_octets else "", style="bold"),
    )
    return table


def _bar(done: float, whole: float) -> ProgressBar:
    # An empty whole is done; ProgressBar would draw it as not begun.
    total, completed = (whole, min(done, whole)) if whole > 0 else (1.0, 1.0)
    return ProgressBar(
        total=total,
        completed=completed,
        width=BAR_WIDTH,
        complete_style="cyan",
        finished_style="green",
    )


def _figures(meter: Meter, now: float) -> Text:
    messages, speed = meter.speed(now)
    parts = []
    if messages > 0:
        octets_too = f"{rate(speed)}, " if speed > 0 else ""
        parts.append(f"{octets_too}{messages:,.0f} messages/s")
    left = meter.seconds_left(now)
    if left is not None:
        parts.append(f"about {remaining(left)} left")
    text = Text(" · ".join(parts))
    for fate, number in meter.fates.items():
        text.append(f"{' · ' if text else ''}{plural(number, 'message')} {fate.value}", "yellow")
    return text
