"""Messages into a folder, as fast as the server takes them, each accounted for.

Messages gather into batches, one MULTIAPPEND each where the server has it, and a few batches are
under way at once. A batch is all or nothing (RFC 3502): when it is refused, what arrived is looked
for first, unless the server is known to keep to that, then its halves are tried until the culprit
stands alone. A message of which it isn't known what became is never sent again (A2).

What was under way behind the first batch that a folder's target refuses lies before its halves: it
is moved behind them (`imap_order`). From then on nothing is sent behind a batch before its answer
is known, so that what is tried again keeps its place.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import Folder
from mailhaul.core.message import Flags, Message
from mailhaul.core.store import Appended, Refused
from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.codes import Verdict, as_error, judge
from mailhaul.imap.commands import AppendMessage, Literal
from mailhaul.imap.lane import MOST_FAILURES
from mailhaul.imap.pending import Pending
from mailhaul.imap.responses import Status
from mailhaul.stores.imap_arrivals import (
    appended_uids,
    keys_of,
    learn_uidnext,
    why_not_told,
)
from mailhaul.stores.imap_dress import SYSTEM, Carried, dressed, redress
from mailhaul.stores.imap_flag_check import FlagCheck
from mailhaul.stores.imap_mailbox import Mailbox
from mailhaul.stores.imap_order import can_move, out_of_turn, put_behind

_MOST_MESSAGES = 100
_MOST_OCTETS = 2304 * 1024
_MOST_UNDER_WAY = 2
_MOST_ONE_BY_ONE = 16
"""Messages of a batch where each waits for the server's `+`."""
_LEARNT_AFTER = 2
"""Times that a message is taken without the keywords it was refused with, before others of the
same flags go without them at once."""
_LINGER = 0.01
"""Seconds that a batch waits for more messages while the server has nothing to do."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Messages sent together. `sent` are its commands, each with the messages in it; `begin` is
    the least UID they could get when they were sent."""

    carried: list[Carried]
    sent: list[tuple[Pending, list[Carried]]] = field(default_factory=list)
    begin: int = 1


async def append(
    mailbox: Mailbox, folder: Folder, messages: AsyncIterable[Message]
) -> AsyncIterator[Appended | Refused]:
    """`Target.append`."""
    work = _Appending(mailbox, folder)
    await work.prepare()
    feeder = asyncio.create_task(work.feed(messages))
    try:
        while (batch := await work.oldest()) is not None:
            for result in await work.settled(batch):
                yield result
        work.raise_what_stopped_it()
    finally:
        feeder.cancel()
        with suppress(asyncio.CancelledError):
            await feeder
        work.drop()


class _Appending:
    """One call of `append`: what gathers, what is under way, and what the server is known to do."""

    def __init__(self, mailbox: Mailbox, folder: Folder) -> None:
        self._mailbox = mailbox
        self._folder = folder
        self._lane = mailbox.lane(folder.native, folder.count or 1)
        self._flag_check = FlagCheck(mailbox, self._lane, folder)
        self._session: Session | None = None
        self._gathered = _Batch([])
        self._octets = 0
        self._given: set[int] = set()
        self._highest = 0
        self._unkept: Counter[Flags] = Counter()
        self._sent: deque[_Batch] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._timer: asyncio.TimerHandle | None = None
        extensions = mailbox.extensions
        self._at_once = "LITERAL+" in extensions
        self._many = self._at_once and "MULTIAPPEND" in extensions
        # Behind a batch that may be refused its halves would come too late for their order; where
        # keys are looked up, the next batch would be in the way.
        alone = "UIDPLUS" not in extensions or folder.native in mailbox.refusing
        self._most = 1 if alone else _MOST_UNDER_WAY

    # --- Gathering ---------------------------------------------------------------------------

    async def prepare(self) -> None:
        self._session = await self._lane.connected()
        if self._mailbox.uidnext.get(self._folder.native) is None:
            await learn_uidnext(self._mailbox, self._lane, self._folder)

    async def feed(self, messages: AsyncIterable[Message]) -> None:
        """Takes the messages and sends them in batches, as far as there is room."""
        try:
            async for message in messages:
                self._add(message)
                if self._is_full():
                    await self._room.wait()
                    if self._error is not None:
                        break
                    self._submit()
        except (MailhaulError, OSError) as error:
            self._error = self._error or error
        finally:
            self._ended = True
            self._news.set()
            if isinstance(messages, AsyncGenerator):
                await messages.aclose()

    def _add(self, message: Message) -> None:
        self._gathered.carried.append(dressed(self._mailbox, self._folder, message))
        self._octets += message.blob.size
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LINGER, self._linger_no_longer)

    def _is_full(self) -> bool:
        most = _MOST_MESSAGES if self._at_once else _MOST_ONE_BY_ONE
        return self._octets >= _MOST_OCTETS or len(self._gathered.carried) >= most

    def _linger_no_longer(self) -> None:
        self._timer = None
        if self._room.is_set() and not self._ended and self._error is None:
            self._submit()

    # --- Sending -----------------------------------------------------------------------------

    def _submit(self) -> None:
        batch, self._gathered, self._octets = self._gathered, _Batch([]), 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not batch.carried:
            return
        self._sent.append(batch)
        self._news.set()
        if len(self._sent) >= self._most:
            self._room.clear()
        session = self._session
        if session is None or not session.usable or session.failures >= MOST_FAILURES:
            return  # `settled` sends it, once what was sent before is settled
        self._send(batch, session)

    def _send(self, batch: _Batch, session: Session) -> None:
        native = self._folder.native
        batch.begin = self._mailbox.uidnext[native]
        whole = [carried for carried in batch.carried if carried.result is None]
        groups = [whole] if self._many else [[carried] for carried in whole]
        for group in groups:
            if group:
                if self._unkept:
                    self._leave_out_unkept(group)
                parts = [
                    AppendMessage(
                        carried.flags,
                        carried.message.entry.received if carried.dated else None,
                        Literal(carried.message.blob, carried.binary),
                    )
                    for carried in group
                ]
                batch.sent.append((session.send(commands.append(native, parts)), group))
        if session is self._lane.session:
            self._flag_check.look(whole, batch.begin)

    def _leave_out_unkept(self, group: list[Carried]) -> None:
        for carried in group:
            if self._unkept[carried.flags] >= _LEARNT_AFTER:
                carried.lost |= carried.flags - SYSTEM
                carried.flags &= SYSTEM

    async def oldest(self) -> _Batch | None:
        """The batch that is to be settled next; None when there will be no more."""
        while not self._sent:
            if self._ended or self._error is not None:
                if self._gathered.carried and self._error is None:
                    self._submit()
                    continue
                return None
            self._news.clear()
            if not self._sent and not self._ended:
                await self._news.wait()
        return self._sent[0]

    # --- Settling ----------------------------------------------------------------------------

    async def settled(self, batch: _Batch) -> list[Appended | Refused]:
        """What became of a batch's messages, in their order. An error that stops the work is kept
        for `raise_what_stopped_it`: batches already sent are settled first."""
        waits = not batch.sent and any(carried.result is None for carried in batch.carried)
        if waits and self._error is None:
            self._session = await self._renewed()
            self._send(batch, self._session)
        looking = []
        for pending, group in batch.sent:
            status = await pending.done()
            if status.kind == b"OK":
                if not self._told(status, group, batch.begin):
                    looking += group
            else:
                await self._refused(status, group, batch.begin)
        if looking:
            await self._look(looking, batch.begin)
        await self._keep_order(batch.carried)
        await self._flag_check.settle(batch.carried)
        self._sent.popleft()
        if len(self._sent) < self._most:
            self._room.set()
        results = []
        for carried in batch.carried:
            carried.message.blob.close()
            if carried.result is not None:
                results.append(carried.result)
        return results

    async def _keep_order(self, group: Sequence[Carried]) -> None:
        """Sees to it that the messages lie behind one another, as far as the server can."""
        stored = {uid: each for each in group if (uid := each.uid) is not None}
        moving = out_of_turn(list(stored), self._highest)
        if moving and can_move(self._mailbox):
            blobs = {uid: stored[uid].message.blob for uid in moving}
            mailbox, lane, folder = self._mailbox, self._lane, self._folder
            for old, new in (await put_behind(mailbox, lane, folder, blobs, self._given)).items():
                self._settle(stored[old], new)
        self._highest = max([self._highest, *(each.uid or 0 for each in group)])

    def raise_what_stopped_it(self) -> None:
        if self._error is not None:
            raise self._error

    def drop(self) -> None:
        """Frees what is still held."""
        self._flag_check.release()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for batch in (*self._sent, self._gathered):
            for carried in batch.carried:
                carried.message.blob.close()

    async def _renewed(self) -> Session:
        """The session to go on with, once nothing sent on an earlier one is open."""
        if self._session is not None and self._session.error is not None:
            raise self._session.error
        return await self._lane.connected()

    def _told(self, status: Status, group: list[Carried], begin: int) -> bool:
        """Whether the answer tells every message's key, believably."""
        validity = self._mailbox.validity.get(self._folder.native)
        keys = appended_uids(status, len(group), validity, begin)
        if keys is None or not self._given.isdisjoint(keys):
            quirk = why_not_told(status, "UIDPLUS" in self._mailbox.extensions)
            if quirk is not None:
                self._mailbox.quirks[quirk] += 1
            return False
        for carried, uid in zip(group, keys, strict=True):
            self._settle(carried, uid)
        return True

    def _settle(self, carried: Carried, uid: int | None) -> None:
        carried.result = Appended(carried.message.entry, uid, carried.lost, carried.note)
        if uid is not None:
            self._given.add(uid)
            native = self._folder.native
            self._mailbox.uidnext[native] = max(self._mailbox.uidnext[native], uid + 1)

    async def _refused(self, status: Status, group: list[Carried], begin: int) -> None:
        judgement = judge(b"APPEND", status, batch=len(group))
        if judgement.verdict not in (Verdict.HALVE, Verdict.REFUSE_MESSAGE):
            self._error = self._error or as_error(judgement)
            return
        self._mailbox.refusing.add(self._folder.native)
        self._most = 1
        if self._sent:
            self._room.clear()
        if len(group) > 1:
            if not self._mailbox.is_atomic:
                await self._look(group, begin, strict=True)
            rest = [carried for carried in group if carried.result is None]
            middle = (len(rest) + 1) // 2
            for half in (rest[:middle], rest[middle:]):
                if half and self._error is None:
                    await self._again(half)
            return
        carried = group[0]
        keywords = carried.flags
        if redress(self._mailbox, carried):
            await self._again([carried])
            if isinstance(carried.result, Appended) and carried.flags != keywords:
                self._unkept[keywords] += 1
        else:
            carried.result = Refused(carried.message.entry, judgement.reason)

    async def _again(self, group: list[Carried]) -> None:
        """Sends messages that were refused, and not stored, once more."""
        self._session = session = await self._lane.connected()
        batch = _Batch(group)
        self._send(batch, session)
        looking = []
        for pending, sent in batch.sent:
            status = await pending.done()
            if status.kind != b"OK":
                await self._refused(status, sent, batch.begin)
            elif not self._told(status, sent, batch.begin):
                looking += sent
        if looking:
            await self._look(looking, batch.begin)

    async def _look(self, group: list[Carried], begin: int, strict: bool = False) -> None:
        """Finds the keys of messages that were stored; with `strict`, what isn't found was not."""
        blobs = [carried.message.blob for carried in group]
        keys = await keys_of(self._mailbox, self._lane, self._folder, blobs, begin, self._given)
        for carried, uid in zip(group, keys, strict=True):
            if uid is not None or not strict:
                self._settle(carried, uid)
