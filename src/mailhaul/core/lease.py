"""A lease: for how long after it was last proven something counts as surely ours.

Whoever takes a mailbox over lets some time go by before it looks at the target; whoever had it says
nothing to the target once that time is over without another proof. So a worker that was frozen, or
cut off from its database, sends nothing that its successor has not seen (docs/decisions/0072).
"""

import time
from collections.abc import Callable


def awake() -> float:
    """Seconds by a clock that goes on while this process is stopped, and where there is such a
    clock also while its machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Lease:
    """Holds for `lasts` seconds after what was last proven; not at all before the first proof."""

    def __init__(self, lasts: float, now: Callable[[], float] = awake) -> None:
        self.now = now
        self._lasts = lasts
        self._until = float("-inf")
        self._ended = False

    @property
    def holds(self) -> bool:
        """Whether it is surely ours at this moment."""
        return not self._ended and self.now() < self._until

    def end(self) -> None:
        """It is another's: never holds again."""
        self._ended = True

    def proven(self, asked: float) -> None:
        """Somebody who knows said that it is ours; `asked` is the moment, by `now`, before which
        the question was not asked."""
        self._until = max(self._until, asked + self._lasts)
