"""Flags three ways: what changed at the source since both sides agreed; the rest stands."""

from collections.abc import Sequence

from mailhaul.core.message import Entry, Flags, folded
from mailhaul.core.store import FlagChange
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Side
from mailhaul.engine.sides import blamed
from mailhaul.engine.visit import Visit, id_of


async def apply_flags(visit: Visit, changed: Sequence[tuple[MessageRow, Entry]]) -> None:
    """Applies what changed at the source since both sides agreed; the rest stands. Where messages
    are to be removed too, both are left for one look at the folder (`Postponed`)."""
    orders: list[FlagChange] = []
    agreed: list[tuple[int, Flags]] = []
    for row, entry in changed:
        if row.target_key is None:
            continue
        agreed.append((id_of(row), entry.flags))
        before, now = folded(row.flags), folded(entry.flags)
        add = frozenset(flag for flag in entry.flags if flag.lower() not in before)
        remove = frozenset(flag for flag in row.flags if flag.lower() not in now)
        if add or remove:
            orders.append(FlagChange(row.target_key, add, remove))
    if orders and visit.removes:
        visit.orders += orders
        visit.agreed += agreed
        return
    await order(visit, orders)
    visit.ledger.agree(agreed)
    visit.ledger.commit()


async def order(visit: Visit, orders: Sequence[FlagChange]) -> None:
    """Has the target change flags, and counts it."""
    if not orders:
        return
    async with blamed(Side.TARGET):
        await visit.carrier.target.flag(visit.target, orders)
    visit.carrier.effects.flagged += len(orders)
