"""Whether an account's mailbox can be logged in to: the old one before anything begins, and both
once the account stands in its new place."""

import asyncio
import hashlib
from contextlib import suppress

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.errors import Closed, ClosedReason, MailhaulError
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_places import renamed
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.means import CLOSING, Means, Opening, login_of
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.trouble import NO_SECRET, TOKEN, known_again
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.paths import Path

LOGIN = "login"
"""Before the moment and the mark of a login that the source's server has refused, in a move's
`refused_secret`, beside those of control planes: `login@MOMENT:MARK`."""
TOKEN_EVERY = 3600.0
"""Seconds after which another token is tried: they differ from one login to the next."""


async def source_opens(
    means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow
) -> tuple[list[Finding], str | None]:
    """Whether the source can be logged in to, as it will have to be; and what its server refused,
    for the move's row. That is not tried again while secret and endpoint are the same: servers lock
    accounts (F4). Raises as `closed`."""
    now = means.clock.now()
    secret = await known_again(means, plan, person, Side.SOURCE)
    mark = f"{secret}/{hashlib.sha256(person.source.encode()).hexdigest()[:8]}"
    known = refused_login(row)
    moment, _, before = known.removeprefix(f"{LOGIN}@").partition(":")
    if before == mark and not (secret.startswith(TOKEN) and now - float(moment) >= TOKEN_EVERY):
        said = "the source's server has refused this login; it is tried again with another secret"
        return [finding(Obstacle("PASSWORD_WRONG", said))], known
    error = await closed(means, plan, person, Side.SOURCE, parse_endpoint(person.source))
    if error is None:
        return [], None
    said = printable(str(error), 500)
    if error.reason is ClosedReason.CREDENTIALS:
        # Without a secret nobody was asked.
        refused = None if secret == NO_SECRET else f"{LOGIN}@{now:.0f}:{mark}"
        return [finding(Obstacle("PASSWORD_WRONG", said))], refused
    remedy = "mailhaul check tells what is in the way"
    return [Finding("SOURCE_CLOSED", Severity.BLOCKS, said, remedy)], None


def refused_login(row: MoveRow) -> str:
    """What `source_opens` has put into the row; empty where nothing was refused."""
    pairs = (row.refused_secret or "").split()
    return next((each for each in pairs if each.startswith(f"{LOGIN}@")), "")


async def closed(
    means: Means, plan: PlanRow, person: MailboxRow, side: Side, endpoint: Endpoint
) -> Closed | None:
    """Why the mailbox of that side, reached at `endpoint`, can't be opened; None where it can.
    Raises `RetryLater`, `Busy`, and `Closed` where its server can't be reached."""
    try:
        login = await login_of(means, plan, person, side)
    except Closed as error:
        return error
    # A pass may have it open; a look keeps out of its way.
    opener = means.aside or means.opener
    async with opener.admitted(plan, person, rationed=False):
        back = side is Side.TARGET
        spool = means.spool(person)
        opening = Opening(plan, person, endpoint, login, spool, rationed=False, back=back)
        store = opener.source(opening)
        try:
            await store.open()
        except Closed as error:
            if error.reason is ClosedReason.UNREACHABLE:
                raise
            return error
        finally:
            with suppress(TimeoutError, MailhaulError):
                async with asyncio.timeout(CLOSING):
                    await store.close()
    return None


async def still_shut(means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow) -> str:
    """Why an account that stands in its new place can't be logged in to yet: servers learn of a new
    name or password later than control planes. Empty where it can."""
    doors = [(Side.TARGET, parse_endpoint(person.target))]
    if row.path == Path.NEW:
        old = renamed(person.source, row.address, row.temporary)
        doors.insert(0, (Side.SOURCE, parse_endpoint(old)))
    for side, endpoint in doors:
        if (error := await closed(means, plan, person, side, endpoint)) is not None:
            return f"{side}: {error}"
    return ""


def without_password(plan: PlanRow, person: MailboxRow) -> bool:
    """Whether nobody says which password a new account gets, and it is logged in to by its own."""
    accounts, endpoint = plan.plan.accounts, parse_endpoint(person.target)
    stated = bool(person.target_secret or (accounts is not None and accounts.password))
    return not stated and not endpoint.options.keys() & {"admin", "login"}
