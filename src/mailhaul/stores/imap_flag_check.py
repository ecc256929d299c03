"""Whether flags that were given with APPEND stay: some servers keep them on STORE alone (D19).

Found out once for a mailbox, at the first batch that has flags. Its messages are read back by
commands that go out right behind it, so that nothing waits for them; batches of other folders that
are answered meanwhile wait for the verdict, lest their flags be lost unseen.
"""

import asyncio
from collections.abc import Mapping, Sequence

from mailhaul.core.folder import Folder
from mailhaul.core.message import NO_FLAGS, Flags, folded
from mailhaul.core.store import Appended, FlagChange
from mailhaul.imap import commands, sequence
from mailhaul.imap.lane import Lane, Selection
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName
from mailhaul.stores.imap_dress import Carried
from mailhaul.stores.imap_flags import flag
from mailhaul.stores.imap_listing import FLAGS, check_folder, collected
from mailhaul.stores.imap_mailbox import Mailbox

Sight = tuple[Selection, Pending]
"""A folder opened, and the flags of what is new in it, both on their way."""


class FlagCheck:
    """One folder's part in it."""

    def __init__(self, mailbox: Mailbox, lane: Lane, folder: Folder) -> None:
        self._mailbox = mailbox
        self._lane = lane
        self._folder = folder
        self._verdict: asyncio.Event | None = None
        """Ours to give."""
        self._sight: Sight | None = None

    def look(self, group: Sequence[Carried], begin: int) -> None:
        """Called when `group` has just been sent, to get no UID under `begin`: asks for its flags,
        if nobody has and the connection is free."""
        mailbox = self._mailbox
        if mailbox.flags_checked or mailbox.flags_verdict or not any(c.flags for c in group):
            return
        new = commands.fetch(f"{begin}:*", FLAGS)
        asked = self._lane.ask_now(self._folder.native, new)
        if asked is not None:
            self._sight = asked[0], asked[1][0]
            self._claim()

    async def settle(self, group: Sequence[Carried]) -> None:
        """Called when `group` is stored: flags that did not stay are stored once more; what can't
        be made to stay is written down as lost."""
        mailbox, known = self._mailbox, _flagged(group)
        while known and mailbox.flags_verdict not in (None, self._verdict):
            assert mailbox.flags_verdict is not None
            await mailbox.flags_verdict.wait()
        if known and not mailbox.flags_checked:
            self._claim()
            await self._check(group, known)
        elif mailbox.stores_flags:
            await self._store(group)
        self.release()

    def release(self) -> None:
        """Leaves it to others, if no verdict was given."""
        if self._sight is not None:
            self._sight[1].abandon()
            self._sight = None
        if self._verdict is not None:
            self._mailbox.flags_verdict = None
            self._verdict.set()
            self._verdict = None

    def _claim(self) -> None:
        if self._verdict is None:
            self._verdict = self._mailbox.flags_verdict = asyncio.Event()

    async def _check(self, group: Sequence[Carried], known: Mapping[int, Appended]) -> None:
        mailbox = self._mailbox
        missing = await self._missing(known)
        if missing:
            mailbox.quirks[QuirkName.FORGOTTEN_FLAG] += len(missing)
            mailbox.stores_flags = True
            await self._store(group)
            missing = await self._missing(known)
        for key, flags in missing.items():
            known[key].lost |= flags
        mailbox.flags_checked = True

    async def _store(self, group: Sequence[Carried]) -> None:
        changes = [
            FlagChange(key, appended.entry.flags - appended.lost, NO_FLAGS)
            for key, appended in _flagged(group).items()
        ]
        if changes:
            await flag(self._mailbox, self._folder, changes)

    async def _missing(self, known: Mapping[int, Appended]) -> dict[int, Flags]:
        """Flags that messages should have and don't. What was asked for behind the batch tells it
        of those it names; the others are asked for now."""
        have: dict[int, Flags] = {}
        sight, self._sight = self._sight, None
        if sight is not None:
            have = await self._seen(*sight)
        unseen = [uid for uid in known if uid not in have]
        for uids in sequence.split(unseen):
            command = commands.fetch(uids, FLAGS)
            selection, [pending] = await self._lane.ask_in(self._folder.native, command, fresh=True)
            have |= await self._seen(selection, pending)
        missing: dict[int, Flags] = {}
        for uid, appended in known.items():
            if uid in have:
                kept = folded(have[uid])
                wanted = appended.entry.flags - appended.lost
                gone = frozenset(each for each in wanted if each.lower() not in kept)
                if gone:
                    missing[uid] = gone
        return missing

    async def _seen(self, selection: Selection, pending: Pending) -> dict[int, Flags]:
        await check_folder(self._mailbox, self._folder, selection)
        return {int(entry.key): entry.flags for entry in (await collected(pending))[0]}


def _flagged(group: Sequence[Carried]) -> dict[int, Appended]:
    return {
        carried.result.key: carried.result
        for carried in group
        if isinstance(carried.result, Appended)
        and isinstance(carried.result.key, int)
        and carried.flags
    }
