"""What stores found the last time is kept in the ledger, and given back to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailhaul.core.store import Remembers
from mailhaul.engine.outcomes import Side
from mailhaul.engine.pair import Pair


@asynccontextmanager
async def remembering(pair: Pair) -> AsyncIterator[None]:
    """Around a pass, its stores not open yet. What they have come to remember is written down
    however the pass ends, for what they have to forget has to be forgotten; a dry run writes
    nothing."""
    both = ((Side.SOURCE, pair.source), (Side.TARGET, pair.target))
    stores = [(side, store) for side, store in both if isinstance(store, Remembers)]
    given = {side: pair.ledger.memory(side) for side, _ in stores}
    for side, store in stores:
        store.memory = given[side]
    try:
        yield
    finally:
        for side, store in stores:
            if store.memory != given[side] and not pair.options.dry_run:
                pair.ledger.remember(side, store.memory)
