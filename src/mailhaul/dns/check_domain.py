"""The diagnosis of one domain: every topic side by side, and none stops another."""

import asyncio
from collections.abc import Callable, Coroutine

from mailhaul.dns.checks.dane import check_dane
from mailhaul.dns.checks.dkim import check_dkim
from mailhaul.dns.checks.dmarc import check_dmarc
from mailhaul.dns.checks.looking import Asked, Look, prepared
from mailhaul.dns.checks.mta_sts import check_mta_sts, check_tls_reports
from mailhaul.dns.checks.mx import check_mx
from mailhaul.dns.checks.old_system import check_client_setup, check_stale_names
from mailhaul.dns.checks.spf import check_spf
from mailhaul.dns.checks.ttl import check_ttl
from mailhaul.dns.checks.wanted import check_wanted
from mailhaul.dns.checks.zone import check_zone
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.filters import Suffixes, known_filters
from mailhaul.dns.guard import Allowance
from mailhaul.dns.policy import Fetch
from mailhaul.dns.resolver import Resolver

Topic = Callable[[Look], Coroutine[None, None, list[Aspect]]]
TOPICS: tuple[Topic, ...] = (
    check_zone,
    check_mx,
    check_spf,
    check_dkim,
    check_dmarc,
    check_wanted,
    check_client_setup,
    check_stale_names,
    check_mta_sts,
    check_tls_reports,
    check_dane,
    check_ttl,
)


async def diagnose(
    resolver: Resolver,
    expected: Expected,
    *,
    moment: Moment = Moment.SWITCH,
    allowance: Allowance | None = None,
    fetch: Fetch | None = None,
    filters: Suffixes | None = None,
) -> list[Aspect]:
    """Everything that was looked at, expected beside found, topic by topic.

    `moment` is how far the move is: `NOW` before the switch, when what belongs to it is not red yet
    and an MX that leads to the new system already is; `SWITCH` since it; `END` after the sweeps.
    Without anything expected, what is found is judged for itself. `fetch` gets MTA-STS policies;
    None: they are not looked at. Each question is asked once. A server that fails is a finding of
    the records it was asked for, and nothing is raised for it.
    """
    asked = Asked(resolver)
    try:
        look = Look(
            expected=expected,
            moment=moment,
            resolver=asked,
            allowed=(allowance or Allowance()).allowed,
            fetch=fetch,
            filters=known_filters() if filters is None else filters,
        )
        look = await prepared(look)
        async with asyncio.TaskGroup() as group:
            topics = [group.create_task(topic(look)) for topic in TOPICS]
        return [aspect for topic in topics for aspect in topic.result()]
    finally:
        await asked.close()
