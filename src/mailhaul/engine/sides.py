"""Speaking to one side: whose fault an error is, and iterators that are closed in time."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from mailhaul.core.errors import MailhaulError
from mailhaul.engine.outcomes import Side

_Each = TypeVar("_Each")


@asynccontextmanager
async def blamed(side: Side) -> AsyncIterator[None]:
    """Errors that pass through here are about that side, unless they know better already."""
    try:
        yield
    except MailhaulError as error:
        if error.side is None:
            error.side = side
        raise


@asynccontextmanager
async def closing(
    side: Side, iterator: AsyncIterator[_Each]
) -> AsyncIterator[AsyncIterator[_Each]]:
    """The side's iterator, closed at the end if it wasn't consumed; errors are about that side."""
    async with blamed(side):
        try:
            yield iterator
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
