"""Flags three ways: what changed at the source since both sides agreed; the rest stands.

Before flags are changed at the target it is written down which ones: should the run be cut off, and
should they change again at the source meanwhile, then what it had changed is taken for ours and not
for a person's.
"""

from collections.abc import Sequence

from mailhaul.core.message import Entry, folded
from mailhaul.core.store import FlagChange
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.ledger_row import Unsure
from mailhaul.engine.outcomes import Side
from mailhaul.engine.sides import blamed
from mailhaul.engine.visit import Visit, id_of


def differs(visit: Visit, row: MessageRow, entry: Entry) -> bool:
    """Whether the source has other flags than both sides agreed on, or nobody knows which ones the
    target has."""
    return row.flags != entry.flags or (bool(visit.unsure) and row.id in visit.unsure)


async def apply_flags(visit: Visit, changed: Sequence[tuple[MessageRow, Entry]]) -> None:
    """Applies what changed at the source since both sides agreed; the rest stands. Where messages
    are to be removed too, both are left for one look at the folder (`Postponed`)."""
    orders: list[FlagChange] = []
    agreed = []
    for row, entry in changed:
        if row.target_key is None:
            continue
        number = id_of(row)
        agreed.append((number, entry.flags))
        there = visit.unsure.get(number) or Unsure(row.flags, row.flags)
        sure, now = folded(there.sure), folded(entry.flags)
        add = frozenset(flag for flag in entry.flags if flag.lower() not in sure)
        remove = frozenset(flag for flag in there.maybe if flag.lower() not in now)
        if add or remove:
            orders.append(FlagChange(row.target_key, add, remove))
            kept = frozenset(flag for flag in there.sure if flag.lower() in now)
            visit.unsure[number] = Unsure(kept, there.maybe | add)
    if orders and visit.removes:
        visit.orders += orders
        visit.agreed += agreed
        return
    if orders:
        visit.ledger.intend_flags(visit.row, visit.unsure)
        await order(visit, orders)
    visit.ledger.agree(agreed)
    for number, _ in agreed:
        visit.unsure.pop(number, None)
    if orders:
        visit.ledger.intend_flags(visit.row, visit.unsure)
    visit.ledger.commit()


async def order(visit: Visit, orders: Sequence[FlagChange]) -> None:
    """Has the target change flags, and counts it."""
    if not orders:
        return
    async with blamed(Side.TARGET):
        await visit.carrier.target.flag(visit.target, orders)
    visit.carrier.effects.flagged += len(orders)
