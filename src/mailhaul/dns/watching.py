"""Whether a change has come to the zone's own servers: each of them asked for each record set.

The answer of one server is its own; what caches still hold is another question
(`dns.propagation`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.records import Kind
from mailhaul.dns.resolver import Network
from mailhaul.dns.zone import Edit


class Standing(StrEnum):
    """What a server has of an edit."""

    NEW = "new"
    OLD = "old"
    OTHER = "neither"
    SILENT = "no answer"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one server said of one edit."""

    server: Server
    edit: Edit
    standing: Standing
    answer: Answer


async def verify(
    network: Network, servers: Sequence[Server], edits: Iterable[Edit]
) -> tuple[Seen, ...]:
    """What each server has of each edit, all asked side by side. Raises nothing that a server could
    cause. The change is everywhere when all are NEW."""
    return tuple(
        await asyncio.gather(
            *(_seen(network, server, edit) for edit in edits for server in servers)
        )
    )


async def watched(
    network: Network,
    servers: Sequence[Server],
    edits: Sequence[Edit],
    *,
    every: float,
    rounds: int,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[tuple[Seen, ...]]:
    """Looks until all servers say NEW, `every` seconds, `rounds` times at most; each round is told.
    The last one tells how it ended."""
    for number in range(rounds):
        if number:
            await sleep(every)
        seen = await verify(network, servers, edits)
        yield seen
        if everywhere(seen):
            return


def everywhere(seen: Iterable[Seen]) -> bool:
    """Whether all of them are NEW."""
    return all(each.standing is Standing.NEW for each in seen)


async def _seen(network: Network, server: Server, edit: Edit) -> Seen:
    name, kind = edit.key
    answer = await network.ask(server, name, kind, recursive=False)
    if not answer.told:
        return Seen(server, edit, Standing.SILENT, answer)
    values = own_values(answer)
    if _has(values, answer.ttl, edit):
        return Seen(server, edit, Standing.NEW, answer)
    if values and not edit.after.values and await by_wildcard(network, server, answer):
        return Seen(server, edit, Standing.NEW, answer)
    old = _has(values, answer.ttl, edit.undone)
    return Seen(server, edit, Standing.OLD if old else Standing.OTHER, answer)


def own_values(answer: Answer) -> frozenset[str]:
    """What stands at the name itself; what a CNAME leads to stands elsewhere."""
    if answer.outcome is not Outcome.RECORDS:
        return frozenset()
    if answer.aliases and answer.kind is not Kind.CNAME:
        return frozenset()
    return frozenset(answer.values)


async def by_wildcard(network: Network, server: Server, answer: Answer) -> bool:
    """Whether a wildcard above the name says the same (RFC 4592): seen from outside, it is then the
    wildcard that answers, whether or not the name has records of its own."""
    labels = answer.name.split(".")
    above = [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels) - 1)]
    for name in above:
        found = await network.ask(server, name, answer.kind, recursive=False)
        if found.outcome is Outcome.RECORDS:
            return own_values(found) == own_values(answer)
    return False


def _has(values: frozenset[str], ttl: int | None, edit: Edit) -> bool:
    """Of TXT, other people's texts don't count."""
    if edit.before.values == edit.after.values:
        return values >= edit.after.values and ttl == edit.after.records.ttl
    if edit.key[1] is Kind.TXT:
        return edit.fresh <= values and not edit.gone & values
    return values == edit.after.values
