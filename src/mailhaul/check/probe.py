"""The probe: odd messages go into a scratch folder of the target, are read back, and removed.

The only part of a check that writes, and only where a person asked for it. It writes into a folder
of its own with a name that nobody else has, and takes that folder away again; where it can't, the
finding says so. What came back tells what the target will do to the source's mail.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from mailhaul.check.checked import Fidelity
from mailhaul.check.oddities import OddMessage, probe_messages
from mailhaul.core.blob import MemoryBlob
from mailhaul.core.errors import FolderFailed, MailhaulError, RetryLater
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.message import Entry, Key, Message, folded
from mailhaul.core.store import Capabilities, Discards, Refused, Target
from mailhaul.engine.alterations import compare
from mailhaul.engine.census import seconds
from mailhaul.engine.listed import received_difference

SCRATCH = "mailhaul-probe-"
_TRIES = 3
_PAUSE = 1.0


@dataclass(slots=True)
class Probed:
    """What came of a probe. `left` is the scratch folder when it is still there, `problem` why the
    probe did not come to its end; both None else."""

    fidelity: tuple[Fidelity, ...] = ()
    messages: int = 0
    octets: int = 0
    seconds: float = 0.0
    left: FolderPath | None = None
    problem: str | None = None


def is_scratch(path: FolderPath) -> bool:
    """Whether the folder is one of a probe's."""
    return path[-1].startswith(SCRATCH)


async def try_out(target: Target, now: datetime, token: str) -> Probed:
    """Tries the target out. `token` makes the scratch folder's name one that nobody else has.
    Raises nothing that a store raises: what went wrong is part of the answer."""
    probed = Probed()
    odd = probe_messages(now, _largest(target.capabilities))
    folder: Folder | None = None
    try:
        folder = await target.create((f"{SCRATCH}{token}",), None)
        refused = await _put(target, folder, odd, probed)
        probed.fidelity = await _look(target, folder, odd, refused, now)
    except MailhaulError as error:
        probed.problem = str(error)
    finally:
        # Also when a person breaks the check off: nothing of ours stays if it can be helped.
        if folder is not None and not await _cleaned_up(target, folder):
            probed.left = folder.path
    return probed


def _largest(can: Capabilities) -> int | None:
    """How large a message may be tried; None: as large as one likes. A probe never fills anybody's
    mailbox."""
    quota = can.quota
    limits = [] if can.append_limit is None else [can.append_limit]
    if quota is not None and quota.limit and quota.used is not None:
        limits.append(max(quota.limit - quota.used, 0) // 4)
    return min(limits, default=None)


async def _put(
    target: Target, folder: Folder, odd: Sequence[OddMessage], probed: Probed
) -> dict[int, str]:
    """Stores the messages; gives the server's words for those it refused, by place."""
    refused: dict[int, str] = {}
    began = time.monotonic()

    async def messages() -> AsyncIterator[Message]:
        for place, each in enumerate(odd):
            entry = Entry(place + 1, each.flags, len(each.data), each.received)
            yield Message(entry, MemoryBlob(each.data))

    stream = messages()
    async with aclosing(stream):  # type: ignore[type-var]
        async for answer in target.append(folder, stream):
            place = int(answer.entry.key) - 1
            if isinstance(answer, Refused):
                refused[place] = answer.reason
            else:
                probed.messages += 1
                probed.octets += len(odd[place].data)
    probed.seconds = time.monotonic() - began
    return refused


async def _look(
    target: Target,
    folder: Folder,
    odd: Sequence[OddMessage],
    refused: dict[int, str],
    now: datetime,
) -> tuple[Fidelity, ...]:
    """What the target made of each. A folder nobody else writes to keeps the order in which it was
    filled, so that keys need not have been told."""
    entries = await _listed(target, folder)
    taken = [place for place in range(len(odd)) if place not in refused]
    if len(entries) != len(taken):
        raise FolderFailed(
            f"the target said that it had stored {len(taken)} messages in {shown(folder.path)} and "
            f"lists {len(entries)}; look into it before anything is carried there"
        )
    by_key = dict(zip((entry.key for entry in entries), taken, strict=True))
    found: dict[int, Fidelity] = {
        place: Fidelity(odd[place].oddity, kept=False, refused=True, detail=reason)
        for place, reason in refused.items()
    }
    async for each in target.fetch(folder, entries):
        place = by_key[each.entry.key]
        if isinstance(each, Message):
            found[place] = _compared(odd[place], each, now)
            each.blob.close()
        else:
            detail = f"taken, but not handed out again: {each.reason}"
            found[place] = Fidelity(odd[place].oddity, kept=False, detail=detail)
    for place in taken:
        if place not in found:
            found[place] = Fidelity(odd[place].oddity, kept=False, detail="taken, and gone")
    return tuple(found[place] for place in sorted(found))


def _compared(given: OddMessage, came: Message, now: datetime) -> Fidelity:
    alteration = compare(MemoryBlob(given.data), came.blob)
    detail = ""
    if alteration is not None:
        detail = ", ".join(alteration.names) or f"altered, unexplained: {alteration.detail}"
    date = received_difference(
        seconds(given.received), seconds(came.entry.received), now.timestamp()
    )
    lost = sorted(flag for flag in given.flags if flag.lower() not in folded(came.entry.flags))
    return Fidelity(
        given.oddity,
        kept=alteration is None,
        detail=detail,
        date="" if date is None else date.detail,
        flags=f"loses {', '.join(lost)}" if lost else "",
    )


async def _cleaned_up(target: Target, folder: Folder) -> bool:
    """Removes everything from the scratch folder and the folder itself; false when it is still
    there. All in it is ours, whatever became of the probe."""
    for _ in range(_TRIES):
        try:
            entries = await _listed(target, folder)
            keys: list[Key] = [entry.key for entry in entries]
            if keys:
                await target.remove(folder, keys)
            return isinstance(target, Discards) and await target.discard(folder)
        except RetryLater as error:
            await asyncio.sleep(min(error.after, _PAUSE))
        except MailhaulError:
            return False
    return False


async def _listed(target: Target, folder: Folder) -> list[Entry]:
    found: list[Entry] = []
    async for page in target.changes(folder, None):
        found += page.entries
    return sorted(found, key=lambda entry: entry.key)
