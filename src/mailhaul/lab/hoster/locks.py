"""One lock for each account: whoever delivers to it, moves it or carries it away waits."""

import asyncio


class Locks:
    """They live as long as the hoster's process; what has to outlive that stands in its books."""

    def __init__(self) -> None:
        self._held: dict[int, asyncio.Lock] = {}

    def of(self, account: int) -> asyncio.Lock:
        return self._held.setdefault(account, asyncio.Lock())
