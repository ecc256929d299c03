"""`--delete mirror`: what mailhaul put at the target and the source no longer has is removed.

Never what anybody else put there (each message's header is looked at first), never after a source
came up empty, never more than the guard. Flags that changed in such a folder were left for here,
so that it is opened once for both; they are changed whatever becomes of the removals.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mailhaul.core.errors import FolderFailed, RetryLater
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.store import Amended, Amends, FlagChange, Target
from mailhaul.core.text import plural
from mailhaul.engine.accounting import Effects
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Delete, Side
from mailhaul.engine.ownership import owned
from mailhaul.engine.pair import Pair
from mailhaul.engine.sides import together
from mailhaul.engine.trips import Trip
from mailhaul.engine.visit import Postponed


@dataclass(frozen=True, slots=True)
class _Visit:
    """What is to be done in one folder of the target."""

    folder: Folder
    rows: Sequence[MessageRow]
    postponed: Postponed | None
    effects: Effects | None


async def mirror(
    pair: Pair,
    linked: AbstractSet[FolderPath],
    targets: Mapping[FolderPath, Folder],
    counts: Mapping[FolderPath, Folder],
    trips: Sequence[Trip] = (),
) -> int:
    """Removes what the options let one remove, and returns how many are gone. Does what the trips
    have postponed.

    `linked` are the source folders that this pass is through with, `targets` the target's folders,
    `counts` the source's as last counted. What is left undone is told in `pair.unfinished`.
    """
    if pair.options.delete is not Delete.MIRROR:
        return 0
    waiting = {trip.link.source: trip for trip in trips if trip.postponed is not None}
    known = [
        (row, pair.ledger.orphans(row))
        for row in pair.ledger.folders()
        if row.source in linked and row.target in targets
    ]
    total = sum(len(rows) for _, rows in known)
    allowed = total > 0 and _may_remove(pair, total, counts)
    visits = [
        _Visit(
            targets[row.target],
            rows if allowed else (),
            trip.postponed if trip is not None else None,
            trip.effects if trip is not None else None,
        )
        for row, rows in known
        if (trip := waiting.get(row.source)) is not None or (allowed and rows)
    ]
    return sum(await together(*(_amend(pair, visit) for visit in visits)))


def _may_remove(pair: Pair, total: int, counts: Mapping[FolderPath, Folder]) -> bool:
    if not any(folder.count is None or folder.count for folder in counts.values()):
        pair.unfinished.append(
            "the source lists no message at all, which is more likely a fault than an order: "
            f"{plural(total, 'message was', 'messages were')} not removed at the target"
        )
        return False
    if total > pair.options.max_delete:
        pair.unfinished.append(
            f"{plural(total, 'message')} would be removed at the target, more than the "
            f"{pair.options.max_delete} allowed: none was; raise --max-delete if it is meant"
        )
        return False
    return True


async def _amend(pair: Pair, visit: _Visit) -> int:
    folder, postponed = visit.folder, visit.postponed
    orders = postponed.orders if postponed is not None else ()

    async def act() -> Amended:
        return await _amended(pair.target, folder, orders, visit.rows)

    if postponed is not None and orders:
        pair.ledger.intend_flags(postponed.row, postponed.unsure)
    try:
        amended = await pair.patiently(act, Side.TARGET)
    except (FolderFailed, RetryLater) as error:
        undone = " and ".join(
            (*(("flags not changed",) if orders else ()), *(("not removed",) if visit.rows else ()))
        )
        pair.unfinished.append(f"{shown(folder.path)}: {undone}: {error}")
        return 0
    settled = [row for row in visit.rows if row.target_key not in amended.strange]
    pair.ledger.forget(row.id for row in settled if row.id is not None)
    if postponed is not None:
        pair.ledger.agree(postponed.agreed)
        pair.ledger.flags_settled(postponed.row)
        pair.ledger.move(postponed.row)
    if visit.effects is not None:
        visit.effects.flagged += len(orders)
    if amended.strange:
        pair.unfinished.append(
            f"{shown(folder.path)}: {plural(len(amended.strange), 'message')} not removed: other "
            "mail lies under the numbers that ours had; look whether folders have changed places"
        )
    return amended.removed


async def _amended(
    target: Target, folder: Folder, orders: Sequence[FlagChange], rows: Sequence[MessageRow]
) -> Amended:
    if rows and isinstance(target, Amends):
        doomed = {row.target_key: row.identity for row in rows if row.target_key is not None}
        return await target.amend(folder, orders, doomed)
    if orders:
        await target.flag(folder, orders)
    found = await owned(target, folder, rows)
    keys = [row.target_key for row in found.ours if row.target_key is not None]
    strange = frozenset(row.target_key for row in found.strange if row.target_key is not None)
    return Amended(await target.remove(folder, keys) if keys else 0, strange)
