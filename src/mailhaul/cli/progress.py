"""How a pass is shown while it runs: live on a terminal, in lines in a log, as JSON, or not at all.

What is shown is drawn from a `Meter`; what prints it is `render.Console`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from mailhaul.cli.blocks import Tone
from mailhaul.cli.figures import count, octets, rate, remaining
from mailhaul.cli.json_events import lines_for
from mailhaul.cli.meter import Meter
from mailhaul.cli.render import Console
from mailhaul.core.folder import FolderPath
from mailhaul.core.folder_text import path_text
from mailhaul.engine.outcomes import Event, Finished, FolderDone, Opened, Waiting

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""
LIVE_AFTER = 0.4
"""Seconds before the live display begins: most passes have nothing to do and are over by then,
and loading Rich takes longer than they do."""


class Progress(Protocol):
    """How a pass is shown while it runs. Times are of one clock that only goes forward."""

    def take(self, event: Event, now: float) -> None:
        """Something happened."""

    def tick(self, now: float) -> None:
        """Nothing need have happened; called a few times a second."""

    def end(self) -> None:
        """The pass is over, or broke off; called once more at most does nothing."""


Accounted = Callable[[], Mapping[FolderPath, int]]
"""Messages of each folder that the ledger knows what became of."""


def progress_for(
    console: Console,
    *,
    as_json: bool,
    quiet: bool,
    title: str,
    now: float,
    accounted: Accounted,
) -> Progress:
    """The way of showing that these options and this terminal call for. `accounted` is asked once,
    and only when there is something to guess."""
    if as_json:
        return JsonProgress(console, only_last=quiet)
    if quiet:
        return SilentProgress()
    if console.live:
        return LiveProgress(console, title, now, accounted)
    return PlainProgress(console, now, accounted)


class SilentProgress:
    """Shows nothing."""

    def take(self, event: Event, now: float) -> None:
        pass

    def tick(self, now: float) -> None:
        pass

    def end(self) -> None:
        pass


class JsonProgress:
    """Every event as one line of JSON; with `only_last` only the summary."""

    def __init__(self, console: Console, *, only_last: bool) -> None:
        self._console = console
        self._only_last = only_last

    def take(self, event: Event, now: float) -> None:
        for line in lines_for(event):
            if not self._only_last or line["event"] == "summary":
                self._console.json(line)

    def tick(self, now: float) -> None:
        pass

    def end(self) -> None:
        pass


class PlainProgress:
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: Console, now: float, accounted: Accounted) -> None:
        self._console = console
        self._meter = Meter(now)
        self._expectation = Expectation(self._meter, accounted)
        self._next = now + PLAIN_EVERY

    def take(self, event: Event, now: float) -> None:
        self._meter.take(event, now)
        if isinstance(event, Opened):
            self._console.tell(f"{event.side}: {event.server}")
        elif isinstance(event, Waiting) and event.seconds >= 1:
            self._console.tell(self._meter.pending(now))
        elif isinstance(event, FolderDone) and event.error:
            self._console.tell(f"{path_text(event.folder)}: {event.error}", Tone.WARNING)

    def tick(self, now: float) -> None:
        if now >= self._next:
            self._next = now + PLAIN_EVERY
            self._expectation.form()
            self._console.tell(plain_line(self._meter, now))

    def end(self) -> None:
        pass


class LiveProgress:
    """A display at the bottom of the terminal that is drawn anew a few times a second."""

    def __init__(self, console: Console, title: str, now: float, accounted: Accounted) -> None:
        self._console = console
        self._title = title
        self._began = now
        self._meter = Meter(now)
        self._expectation = Expectation(self._meter, accounted)
        self._live: Live | None = None
        self._ended = False
        console.uncover = self.end

    def take(self, event: Event, now: float) -> None:
        self._meter.take(event, now)
        if isinstance(event, Finished):
            self.end()

    def tick(self, now: float) -> None:
        if self._ended or now - self._began < LIVE_AFTER:
            return
        self._expectation.form()
        # Rich is loaded here and nowhere else.
        from mailhaul.cli.live import picture, start  # noqa: PLC0415

        width = self._console.width
        drawn = picture(self._meter, self._title, now, self._console.clean, width)
        if self._live is None:
            self._live = start(self._console.err, drawn)
        else:
            self._live.update(drawn, refresh=True)

    def end(self) -> None:
        self._ended = True
        if self._live is not None:
            self._live.stop()
            self._live = None


class Expectation:
    """Asks the ledger what to expect, once, when the folders are known and it is of use."""

    def __init__(self, meter: Meter, accounted: Accounted) -> None:
        self._meter = meter
        self._accounted = accounted
        self._formed = False

    def form(self) -> None:
        if self._meter.mapped and not self._formed:
            self._formed = True
            self._meter.expect(self._accounted())


def plain_line(meter: Meter, now: float) -> str:
    """Where the pass is, in one line."""
    parts = []
    if meter.mapped:
        parts.append(f"{meter.folders_done} of {meter.links} folders")
        parts.append(
            f"{count(meter.carried_messages)} of {count(meter.messages_expected())} messages"
        )
        expected = max(meter.octets_expected(), meter.carried_octets)
        if expected:
            parts.append(f"{octets(meter.carried_octets)} of {octets(expected)}")
    messages, speed = meter.speed(now)
    if speed > 0:
        parts.append(rate(speed))
    elif messages > 0:
        parts.append(f"{messages:,.0f} messages/s")
    left = meter.seconds_left(now)
    if left is not None:
        parts.append(f"about {remaining(left)} left")
    active = meter.active(1)
    if active:
        parts.append(f"in {path_text(active[0].path, 80)}")
    if pending := meter.pending(now):
        parts.append(pending)
    return " · ".join(parts)
