"""When to try again, and when to stop trying."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailhaul.core.errors import RetryLater

LONGEST_PAUSE = 60.0
LONGEST_THROTTLE = 3600.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Pace:
    """Counts failures in a row. A throttle is waited out however often it comes and is no
    failure (B1–B5); a failure is tried again after a pause that doubles, `retries` times, and
    every progress in between starts the count anew."""

    retries: int
    random: random.Random
    failures: int = 0

    def progressed(self) -> None:
        self.failures = 0

    def pause(self, error: RetryLater) -> float | None:
        """Seconds to wait before the next try; None when it has been tried often enough."""
        if error.throttled:
            return min(max(error.after, 0.0), LONGEST_THROTTLE)
        if self.failures >= self.retries:
            return None
        self.failures += 1
        doubled = min(error.after * 2.0 ** (self.failures - 1), LONGEST_PAUSE)
        return doubled * (0.75 + self.random.random() / 2)
