"""The check of one mailbox pair: looks at both sides, and says what will go wrong, before it does.

Nothing is changed at either side, but by a probe, and that only in a scratch folder of its own.
Whatever happens is an answer, not an error: a refused login, a server that is away. The caller
hands in two stores, opened or not, and closes them.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailhaul.check import judging
from mailhaul.check.census import SourceCensus, Work, take_census
from mailhaul.check.checked import (
    UNMEASURED,
    Checked,
    Rate,
    Server,
    found,
    worst_first,
)
from mailhaul.check.codes import Code
from mailhaul.check.probe import Probed, try_out
from mailhaul.core.errors import Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.finding import Finding
from mailhaul.core.folder import Folder, NameRules
from mailhaul.core.store import Discards, Source, Target
from mailhaul.engine.folders import FolderMap, plan_folders
from mailhaul.engine.outcomes import Options, Side
from mailhaul.plan.model import Budget
from mailhaul.providers.obstacles import Obstacle, Obstacles, finding

PATIENCE = 30.0
"""Seconds that a check waits in all for servers that are away or ask to wait."""
NO_BUDGET = Budget()

Sleep = Callable[[float], Awaitable[None]]

_CLOSED = {
    ClosedReason.CREDENTIALS: (Code.SOURCE_CREDENTIALS, Code.TARGET_CREDENTIALS),
    ClosedReason.FORBIDDEN: (Code.SOURCE_FORBIDDEN, Code.TARGET_FORBIDDEN),
    ClosedReason.UNREACHABLE: (Code.SOURCE_UNREACHABLE, Code.TARGET_UNREACHABLE),
    ClosedReason.TLS: (Code.SOURCE_UNREACHABLE, Code.TARGET_UNREACHABLE),
    ClosedReason.PROTOCOL: (Code.SOURCE_UNREACHABLE, Code.TARGET_UNREACHABLE),
    ClosedReason.FULL: (Code.QUOTA_SHORT, Code.QUOTA_SHORT),
}
_AWAY = (Code.SOURCE_AWAY, Code.TARGET_AWAY)


@dataclass(slots=True)
class _Seen:
    """What is known so far."""

    findings: list[Finding] = field(default_factory=list)
    refused: set[Side] = field(default_factory=set)
    again_after: float | None = None
    folders: dict[Side, list[Folder]] = field(default_factory=dict)


@dataclass(slots=True)
class _Patience:
    """Waits as servers ask, for so many seconds in all."""

    left: float
    sleep: Sleep

    async def __call__(self, work: Work) -> None:
        while True:
            try:
                await work()
                return
            except RetryLater as error:
                pause = max(error.after, 0.1)
                if pause > self.left:
                    raise
                self.left -= pause
            await self.sleep(pause)


async def check_mailbox(
    source: Source,
    target: Target,
    options: Options,
    *,
    probe: bool = False,
    now: Callable[[], float],
    obstacles: Sequence[Obstacles] = (),
    source_budget: Budget = NO_BUDGET,
    target_budget: Budget = NO_BUDGET,
    append_limit: int | None = None,
    sleep: Sleep = asyncio.sleep,
    token: str = "",
) -> Checked:
    """Looks at both sides and judges. Raises nothing that a store raises.

    `options` are those of the passes to come. `now` is in seconds since 1970. `append_limit` holds
    where the target itself tells none. Limits are those of one mailbox. `token` is the end of the
    scratch folder's name, random unless given.
    """
    moment = datetime.fromtimestamp(now(), UTC)
    seen = _Seen()
    patient = _Patience(PATIENCE, sleep)
    await asyncio.gather(
        _open(source, Side.SOURCE, seen, patient), _open(target, Side.TARGET, seen, patient)
    )
    ours, theirs = seen.folders.get(Side.SOURCE), seen.folders.get(Side.TARGET)
    census: SourceCensus | None = None
    folder_map = FolderMap(())
    if ours is not None:
        rules = target.capabilities.names if theirs is not None else NameRules()
        folder_map = plan_folders(ours, theirs or (), rules, options)
        limit = target.capabilities.append_limit if theirs is not None else None
        census = SourceCensus(options.since, limit or append_limit, moment)
        await _take(source, ours, folder_map, census, seen, patient)
        if theirs is not None:
            seen.findings += judging.of_the_map(folder_map)
        seen.findings += judging.of_the_census(census)
        total = census.total
        for side, budget in ((Side.SOURCE, source_budget), (Side.TARGET, target_budget)):
            seen.findings += judging.of_the_limits(total.octets, total.messages, side, budget)
        if theirs is not None:
            subscribed = any(folder.subscribed for folder in ours)
            can = target.capabilities
            seen.findings += judging.of_the_target(
                census, can, folder_map.links, theirs, subscribed
            )
    for each in obstacles:
        await _ask(each, seen, patient)
    # Before the probe: what the connection had to say about our own odd messages is no news.
    servers = {Side.SOURCE: _server(source, ours), Side.TARGET: _server(target, theirs)}
    probed: Probed | None = None
    if probe and theirs is not None and not isinstance(target, Discards):
        seen.findings.append(found(Code.PROBE_SKIPPED, target.capabilities.server))
    elif probe and theirs is not None:
        probed = await try_out(target, moment, token or secrets.token_hex(4))
        seen.findings += judging.of_the_probe(probed, census)
    for side, server in servers.items():
        notices = () if server is None else server.notices
        seen.findings += [found(Code.NOTICE, f"{side.value}: {text}") for text in notices]
    return Checked(
        findings=worst_first(_each_once(seen.findings)),
        messages=0 if census is None else census.total.messages,
        octets=0 if census is None else census.total.octets,
        folders=() if census is None else tuple(census.folders),
        histogram=() if census is None else census.histogram,
        map=folder_map.links if theirs is not None else (),
        source=servers[Side.SOURCE],
        target=servers[Side.TARGET],
        rate=_rate(census, probed),
        fidelity=() if probed is None else probed.fidelity,
        refused=frozenset(seen.refused),
        again_after=seen.again_after,
    )


def checked_without_login(refusals: Iterable[tuple[Side, MailhaulError]]) -> Checked:
    """The check of a mailbox that can't even be tried: a reference leads nowhere, an endpoint is
    none. As `check_mailbox` would tell it."""
    seen = _Seen()
    for side, error in refusals:
        _failed(side, error, seen)
    return Checked(
        findings=worst_first(seen.findings),
        refused=frozenset(seen.refused),
        again_after=seen.again_after,
    )


async def _open(store: Source, side: Side, seen: _Seen, patient: _Patience) -> None:
    async def work() -> None:
        await store.open()
        seen.folders[side] = await store.folders()

    try:
        await patient(work)
    except MailhaulError as error:
        _failed(side, error, seen)


async def _take(
    source: Source,
    ours: Sequence[Folder],
    folder_map: FolderMap,
    census: SourceCensus,
    seen: _Seen,
    patient: _Patience,
) -> None:
    carried = {link.source for link in folder_map.links}
    folders = [folder for folder in ours if folder.path in carried and folder.selectable]
    try:
        await take_census(source, folders, census, patient)
    except MailhaulError as error:
        _failed(Side.SOURCE, error, seen)


async def _ask(each: Obstacles, seen: _Seen, patient: _Patience) -> None:
    told: Sequence[Obstacle] = ()

    async def work() -> None:
        nonlocal told
        told = await each.obstacles()

    try:
        await patient(work)
    except MailhaulError as error:
        _failed(Side.TARGET, error, seen)
        return
    seen.findings.extend(map(finding, told))


def _failed(side: Side, error: MailhaulError, seen: _Seen) -> None:
    place = 0 if side is Side.SOURCE else 1
    if isinstance(error, RetryLater):
        seen.again_after = max(seen.again_after or 0.0, error.after)
        seen.findings.append(found(_AWAY[place], str(error)))
        return
    reason = error.reason if isinstance(error, Closed) else ClosedReason.UNREACHABLE
    if reason is ClosedReason.CREDENTIALS:
        seen.refused.add(side)
    seen.findings.append(found(_CLOSED[reason][place], str(error)))


def _server(store: Source, folders: list[Folder] | None) -> Server | None:
    if folders is None:
        return None
    return Server(store.capabilities, tuple(dict.fromkeys(store.traffic.notices)))


def _rate(census: SourceCensus | None, probed: Probed | None) -> Rate:
    rate = UNMEASURED if census is None else census.rate
    if probed is None or not probed.messages or probed.seconds <= 0:
        return rate
    return replace(
        rate,
        octets_written=probed.octets / probed.seconds,
        messages_written=probed.messages / probed.seconds,
    )


def _each_once(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))
