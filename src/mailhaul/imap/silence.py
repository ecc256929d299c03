"""Silence on a connection: how long it has lasted, and when it is taken for death (A4, A17)."""

import asyncio
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds without an octet after which a connection counts as dead (A4)."""
LONG_PATIENCE = 900.0
"""The same for commands that make a server read a whole folder first (A17)."""
LOOK_AGAIN = 2.0
"""Seconds without an octet after which somebody should look what is the matter."""

_SLOW_VERBS = frozenset(
    b"SELECT,EXAMINE,STATUS,LIST,APPEND,EXPUNGE,UID EXPUNGE,UID STORE,UID MOVE".split(b",")
)


class Silence:
    """Looks at the clock from `begin` to `end`. `awaited` tells the verb of the command that the
    server is to answer (empty: its greeting; None: none); `looked` is called at every look with
    the seconds of silence; `died`, once, when they are too many, with how many that is."""

    __slots__ = (
        "_awaited",
        "_died",
        "_long",
        "_looked",
        "_loop",
        "_often",
        "_short",
        "_timer",
        "at",
    )

    def __init__(
        self,
        patience: float,
        long_patience: float,
        look_again: float,
        awaited: Callable[[], bytes | None],
        looked: Callable[[float], None],
        died: Callable[[float], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._short, self._long = patience, long_patience
        self._often = min(patience / 8, look_again)
        self._awaited, self._looked, self._died = awaited, looked, died
        self._timer: asyncio.TimerHandle | None = None
        self.at = self._loop.time()
        """When it began: the last octet, in either direction."""

    def broken(self) -> float:
        """Something was heard or said just now; gives the time."""
        self.at = now = self._loop.time()
        return now

    def begin(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._often, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        silent = self._loop.time() - self.at
        verb = self._awaited()
        most = self._long if verb in _SLOW_VERBS else self._short
        if verb is not None and silent > most:
            self._died(most)
            return
        self.begin()
        self._looked(silent)
