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
    plural,
    rate,
    remaining,
)
from mailhaul.cli.meter import Meter
from mailhaul.core.folder_text import path_text

MOST_FOLDERS = 4
NAME_WIDTH = 30
BAR_WIDTH = 24
SHORTEST_BAR = 8


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


def picture(
    meter: Meter, title: str, now: float, clean: Callable[[str], str], width: int = 80
) -> RenderableType:
    """What is to be seen now, in a terminal of that `width`. Every foreign word passes `clean`."""
    seconds = int(now - meter.started)
    elapsed = f"{seconds} s" if seconds < 60 else duration(seconds)
    head = Table.grid(expand=True, padding=(0, 1, 0, 0))
    head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    head.add_column(justify="right", no_wrap=True)
    head.add_row(Text(clean(title), style="bold"), Text(elapsed, style="dim"))
    parts: list[RenderableType] = [head]
    if meter.mapped:
        parts.append(_bars(meter, clean, width))
        parts.append(_figures(meter, now))
    if pending := meter.pending(now):
        style = "yellow" if meter.waits else "dim"
        parts.append(Text(clean(pending), style=style, overflow="fold"))
    return Group(*parts)


def _bars(meter: Meter, clean: Callable[[str], str], width: int) -> Table:
    """A line for each folder on its way and one for all. Where there is little room names and bars
    are shorter, then there are names and numbers of messages only: a number is never cut."""
    rows = [
        (
            clean(path_text(folder.path)),
            folder.share,
            f"{count(folder.carried_messages)} / {count(folder.messages + folder.to_come)}",
            octets(folder.carried_octets) if folder.carried_octets else "",
            "dim",
        )
        for folder in meter.active(MOST_FOLDERS)
    ]
    rows.append(
        (
            f"folders {meter.folders_done} / {meter.links}",
            meter.share,
            f"{count(meter.carried_messages)} / {count(meter.messages_expected())}",
            octets(meter.carried_octets) if meter.carried_octets else "",
            "bold",
        )
    )
    numbers = max(len(row[2]) for row in rows) + 2
    sizes = max(len(row[3]) for row in rows) + 2
    bar = min(BAR_WIDTH, (width - numbers - sizes - 2) // 2)
    wide = bar >= SHORTEST_BAR
    room = width - numbers - (sizes + bar + 2 if wide else 0)
    name_width = max(1, min(NAME_WIDTH, room))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=name_width, no_wrap=True)
    if wide:
        table.add_column(width=bar)
    table.add_column(justify="right", no_wrap=True)
    if wide:
        table.add_column(justify="right", no_wrap=True)
    for name, share, messages, size, style in rows:
        cells = [Text(fitted(name, name_width), style="bold" if style == "bold" else "")]
        if wide:
            table.add_row(*cells, _bar(*share, bar), Text(messages, style), Text(size, style))
        else:
            table.add_row(*cells, Text(messages, style))
    return table


def _bar(done: float, whole: float, width: int) -> ProgressBar:
    # An empty whole is done; ProgressBar would draw it as not begun.
    total, completed = (whole, min(done, whole)) if whole > 0 else (1.0, 1.0)
    return ProgressBar(
        total=total,
        completed=completed,
        width=width,
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
