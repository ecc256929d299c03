"""What the phases work with: the database, the clock, and what opens mailboxes and ledgers.

The worker makes one `Means` for all its runs. What differs between a rehearsal and the real thing,
and between one machine and several, is in here and nowhere else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mailhaul.check.checked import Checked
from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint, parse_endpoint
from mailhaul.core.errors import Closed, MailhaulError
from mailhaul.core.folder_text import folder_path
from mailhaul.core.lease import Lease
from mailhaul.core.store import Source, Target
from mailhaul.db.database import Database
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Options, Side
from mailhaul.journey.clock import Clock
from mailhaul.journey.control import Providers
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.post import Post
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.zones import Zones
from mailhaul.plan.model import System
from mailhaul.stores.registry import open_source, open_target

CLOSING = 5.0
"""Seconds for a polite goodbye to a server."""


Examine = Callable[[Source, Target, PlanRow, MailboxRow], Awaitable[Checked]]
Resolve = Callable[[str, Path], Awaitable[Credentials]]
"""The credentials that a reference of a plan leads to now. Raises `Closed` (credentials)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides of a mailbox, ready to be opened."""

    source: Source
    target: Target


@dataclass(frozen=True, slots=True)
class Opening:
    """One side of a mailbox that is to be opened. What is not `rationed` keeps within the
    connections that are allowed, but counts for no day: a look costs little, and one that can't be
    finished within a day's budget would never end. The target hears nothing unless the `lease`
    holds."""

    plan: PlanRow
    row: MailboxRow
    endpoint: Endpoint
    login: Credentials
    spool: Spool
    rationed: bool = True
    lease: Lease | None = None
    back: bool = False
    """The way back: the source is the plan's target, and the target its source."""

    @property
    def read(self) -> System:
        """The plan's system that is the source here."""
        plan = self.plan.plan
        return plan.target if self.back else plan.source

    @property
    def written(self) -> System:
        """The plan's system that is the target here."""
        plan = self.plan.plan
        return plan.source if self.back else plan.target


class Opener(Protocol):
    """Makes the stores of one side; budgets ration what they do."""

    def source(self, opening: Opening) -> Source: ...

    def target(self, opening: Opening) -> Target: ...

    def admitted(
        self, plan: PlanRow, row: MailboxRow, *, rationed: bool = True
    ) -> AbstractAsyncContextManager[None]:
        """Holds the connections that the mailbox needs. Raises `Busy` when none are free now, and
        `RetryLater` when nothing `rationed` goes any more today."""


class PlainOpener:
    """Opens what the registry knows, without budgets."""

    def source(self, opening: Opening) -> Source:
        """See `Opener`."""
        each = opening.read.connections_each
        return open_source(opening.endpoint, opening.login, connections=each, spool=opening.spool)

    def target(self, opening: Opening) -> Target:
        """See `Opener`."""
        each = opening.written.connections_each
        return open_target(
            opening.endpoint,
            opening.login,
            connections=each,
            spool=opening.spool,
            lease=opening.lease,
        )

    @asynccontextmanager
    async def admitted(
        self, plan: PlanRow, row: MailboxRow, *, rationed: bool = True
    ) -> AsyncIterator[None]:
        """See `Opener`: always."""
        yield


@dataclass(frozen=True, slots=True)
class Means:
    """See the module. `directory` is the installation's, `salt` what fingerprints are made with."""

    database: Database
    clock: Clock
    worker: str
    directory: Path
    resolve: Resolve
    fingerprint: Callable[[Credentials], str | None]
    examine: Examine
    open_ledger: Callable[[MailboxRow], Ledger]
    """The mailbox's ledger, written by whoever holds the row's epoch. Raises `Busy` while somebody
    else has it."""
    open_back: Callable[[MailboxRow, Ledger], Ledger]
    """The ledger of its way back, for whoever has the first one open."""
    opener: Opener = field(default_factory=PlainOpener)
    zones: Zones | None = None
    """How DNS is looked at and changed; None: this worker leaves domains to others."""
    post: Post | None = None
    """How mail hosts are asked and given canaries; None: this worker leaves them to others."""
    providers: Providers | None = None
    """How control planes are reached; None: this worker leaves accounts to others."""
    aside: Opener | None = None
    """Opens mailboxes for a look beside the passes, which it keeps out meanwhile, as they do it;
    None: the usual opener does."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker is asked to stop: what is under way stops at a message boundary."""
    slice_seconds: float = 900.0
    """Of a clock on the wall: so long may one mailbox be carried before others have their turn."""
    look_seconds: float = 1.0
    """So often a pass under way looks at its row."""
    stay_seconds: float = 5.0
    """Of a clock on the wall: so long a run stays with a provider's task while an address may be
    nowhere, rather than leave it to the next one."""

    def spool(self, row: MailboxRow) -> Spool:
        """Where large messages lie for a moment."""
        directory = self.directory / "spool" / str(row.id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Spool(directory)


@asynccontextmanager
async def opened_pair(
    means: Means,
    plan: PlanRow,
    row: MailboxRow,
    *,
    rationed: bool = True,
    lease: Lease | None = None,
    back: bool = False,
) -> AsyncIterator[Pair]:
    """Both stores, made but not opened yet, with the secrets of this moment; closed at the end.

    Errors of secrets say which side they are about. Holds the connections that the plan's budgets
    grant; raises `Busy` when they grant none now. Nothing is said to the target while a `lease`
    does not hold. The way `back` is the only one on which the old side can be written.
    """
    async with means.opener.admitted(plan, row, rationed=rationed):
        logins = {side: await login_of(means, plan, row, side) for side in Side}
        ends = {Side.SOURCE: parse_endpoint(row.source), Side.TARGET: parse_endpoint(row.target)}
        openings = {
            side: Opening(
                plan, row, ends[side], logins[side], means.spool(row), rationed, lease, back
            )
            for side in Side
        }
        read, written = (Side.TARGET, Side.SOURCE) if back else (Side.SOURCE, Side.TARGET)
        source = means.opener.source(openings[read])
        target = means.opener.target(openings[written])
        try:
            yield Pair(source, target)
        finally:
            for store in (source, target):
                with suppress(TimeoutError, MailhaulError):
                    async with asyncio.timeout(CLOSING):
                        await store.close()


async def login_of(means: Means, plan: PlanRow, row: MailboxRow, side: Side) -> Credentials:
    """What logs in to that side now; nothing for a side without a reference. Raises `Closed`."""
    reference = row.source_secret if side is Side.SOURCE else row.target_secret
    if not reference:
        return Credentials()
    try:
        return await means.resolve(reference, plan.directory)
    except Closed as error:
        error.side = side
        raise


def folder_options(plan: PlanRow) -> Options:
    """The part of a pass's options that is the same for all passes of the plan, and for check and
    verification."""
    carry = plan.plan.carry
    since = carry.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=plan.plan.zone)
    return Options(
        folders=carry.folders,
        exclude=carry.exclude,
        maps={folder_path(source): folder_path(target) for source, target in carry.map.items()},
        since=since,
        connections=max(plan.plan.source.connections_each, plan.plan.target.connections_each),
    )
