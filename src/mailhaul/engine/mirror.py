"""`--delete mirror`: what mailhaul put at the target and the source no longer has is removed.

Never what anybody else put there (each message's header is looked at first), never after a source
came up empty, never more than the guard.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from mailhaul.core.errors import FolderFailed, RetryLater
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.text import plural
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Delete, Side
from mailhaul.engine.ownership import Owned, owned
from mailhaul.engine.pair import Pair
from mailhaul.engine.sides import together


async def mirror(
    pair: Pair,
    linked: AbstractSet[FolderPath],
    targets: Mapping[FolderPath, Folder],
    counts: Mapping[FolderPath, Folder],
) -> int:
    """Removes what the options let one remove, and returns how many are gone.

    `linked` are the source folders that this pass is through with, `targets` the target's folders,
    `counts` the source's as last counted. What is left undone is told in `pair.unfinished`.
    """
    if pair.options.delete is not Delete.MIRROR:
        return 0
    doomed = [
        (targets[row.target], rows)
        for row in pair.ledger.folders()
        if row.source in linked and row.target in targets and (rows := pair.ledger.orphans(row))
    ]
    total = sum(len(rows) for _, rows in doomed)
    if not total or not _may_remove(pair, total, counts):
        return 0
    return sum(await together(*(_remove(pair, folder, rows) for folder, rows in doomed)))


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


async def _remove(pair: Pair, folder: Folder, rows: Sequence[MessageRow]) -> int:
    found = Owned()

    async def act() -> int:
        nonlocal found
        found = await owned(pair.target, folder, rows)
        keys = [row.target_key for row in found.ours if row.target_key is not None]
        return await pair.target.remove(folder, keys) if keys else 0

    try:
        removed = await pair.patiently(act, Side.TARGET)
    except (FolderFailed, RetryLater) as error:
        pair.unfinished.append(f"{shown(folder.path)}: not removed: {error}")
        return 0
    pair.ledger.forget(row.id for row in (*found.ours, *found.gone) if row.id is not None)
    if found.strange:
        pair.unfinished.append(
            f"{shown(folder.path)}: {plural(len(found.strange), 'message')} not removed: other "
            "mail lies under the numbers that ours had; look whether folders have changed places"
        )
    return removed
