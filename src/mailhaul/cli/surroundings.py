"""What a command has around it: where it prints, its environment, its clock."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime

from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Handed to every command by the edge (and by tests, with their own)."""

    console: Console
    environ: MutableMapping[str, str]
    scrubber: Scrubber
    now: Callable[[], datetime]
    """The time, aware, in the person's own zone."""
