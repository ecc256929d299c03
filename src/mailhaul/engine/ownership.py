"""Before anything is removed: is what lies under a key still the message that was put there?

A numbering that hasn't changed should be proof enough (RFC 3501 2.3.1.1). Servers that number
folders by the second they were made in give two folders the same; when a person swaps them, keys
point to other messages. So the header is asked for once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailhaul.core.folder import Folder
from mailhaul.core.store import Target
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Side
from mailhaul.engine.sides import closing


@dataclass(slots=True)
class Owned:
    """Rows by what is under their keys: what was put there, nothing any more, something else."""

    ours: list[MessageRow] = field(default_factory=list)
    gone: list[MessageRow] = field(default_factory=list)
    strange: list[MessageRow] = field(default_factory=list)


async def owned(target: Target, folder: Folder, rows: Sequence[MessageRow]) -> Owned:
    """Looks at each row's message at the target. Raises what the target raises."""
    keys = [row.target_key for row in rows if row.target_key is not None]
    there = {}
    async with closing(Side.TARGET, target.identify(folder, keys)) as found:
        async for key, identity in found:
            there[key] = identity
    sorted_out = Owned()
    for row in rows:
        now = None if row.target_key is None else there.get(row.target_key)
        if now is None:
            sorted_out.gone.append(row)
        elif row.identity is None or now.digest == row.identity.digest:
            sorted_out.ours.append(row)
        else:
            sorted_out.strange.append(row)
    return sorted_out
