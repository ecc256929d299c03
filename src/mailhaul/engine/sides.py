"""Speaking to both sides: whose fault an error is, what is done side by side, and iterators that
are closed in time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from mailhaul.core.errors import MailhaulError
from mailhaul.engine.outcomes import Side

_Each = TypeVar("_Each")
_Done = TypeVar("_Done")


@asynccontextmanager
async def blamed(side: Side) -> AsyncIterator[None]:
    """Errors that pass through here are about that side, unless they know better already."""
    try:
        yield
    except MailhaulError as error:
        if error.side is None:
            error.side = side
        raise


class Ahead(Generic[_Each]):
    """An iterator whose first element is asked for at once, to be taken later."""

    def __init__(self, iterator: AsyncIterator[_Each]) -> None:
        self._iterator = iterator
        self._first: asyncio.Task[_Each] | None = asyncio.create_task(self._begin())

    async def _begin(self) -> _Each:
        return await anext(self._iterator)

    def __aiter__(self) -> AsyncIterator[_Each]:
        return self

    async def __anext__(self) -> _Each:
        if self._first is None:
            return await anext(self._iterator)
        first, self._first = self._first, None
        return await first

    async def aclose(self) -> None:
        """Asks for nothing more. An error that nobody took is forgotten."""
        if self._first is not None:
            self._first.cancel()
            await asyncio.wait([self._first])
            self._first.cancelled() or self._first.exception()
            self._first = None
        if isinstance(self._iterator, AsyncGenerator):
            await self._iterator.aclose()


@asynccontextmanager
async def closing(
    side: Side, iterator: AsyncIterator[_Each]
) -> AsyncIterator[AsyncIterator[_Each]]:
    """The side's iterator, closed at the end if it wasn't consumed; errors are about that side."""
    async with blamed(side):
        try:
            yield iterator
        finally:
            if isinstance(iterator, (AsyncGenerator, Ahead)):
                await iterator.aclose()


async def together(*tasks: Coroutine[None, None, _Done]) -> list[_Done]:
    """Runs them side by side; at the first error the others are cancelled and it is raised."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
