"""From a plan and what resolvers say to the ways that canary mail takes (`mailhaul.canary`)."""

import asyncio
from collections.abc import Iterable

from mailhaul.canary.routes import PORT, Exchanger, Route, Via
from mailhaul.canary.terms import Terms, address_of, agreed
from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.names import domain_name, shown
from mailhaul.dns.records import Kind, MailHost, mail_hosts
from mailhaul.dns.resolver import Resolver
from mailhaul.plan.model import Canary

AGAIN = 60.0
"""Seconds after which resolvers that said nothing are asked again."""


def canary_terms(canary: Canary, addresses: Iterable[str], domains: Iterable[str]) -> Terms:
    """What the plan has agreed to. Raises `BadInput` where it has agreed to nothing, and for an
    address that no mail host can be told."""
    if not canary.on:
        raise BadInput("the plan wants no canary mail; write on = true under [canary]")
    return agreed(
        map(mail_address, addresses),
        map(domain_name, domains),
        speaker=domain_name(canary.name) if canary.name else "",
        sender=mail_address(canary.sender) if canary.sender else "",
        per_minute=canary.per_minute,
    )


def mail_address(text: str) -> str:
    """The address as mail hosts are told it: its domain in A-labels. Raises `BadInput`."""
    local, _, domain = text.strip().rpartition("@")
    return address_of(f"{local}@{domain_name(domain)}")


async def route_by_mx(
    resolver: Resolver, domain: str, via: Via = Via.MX, port: int = PORT
) -> Route:
    """The way that mail for the domain takes by what the resolver says (RFC 5321 section 5.1): its
    MX, else the domain itself; nobody where that is a null MX (RFC 7505). Raises `RetryLater` when
    the resolver doesn't say."""
    answer = await resolver.look_up(domain, Kind.MX)
    _told(answer)
    hosts = mail_hosts(answer.values)
    if answer.outcome is Outcome.NODATA:
        hosts = [MailHost(0, domain)]
    return await route_to(resolver, domain, hosts, via, port)


async def route_to(
    resolver: Resolver, domain: str, hosts: Iterable[MailHost], via: Via, port: int = PORT
) -> Route:
    """The way to these hosts, whatever MX says; IPv4 first, which more machines have. Raises
    `RetryLater` when the resolver doesn't say where they are."""
    named = [host for host in hosts if host.host]
    found = await asyncio.gather(*(_addresses(resolver, host.host) for host in named))
    return Route(
        via,
        domain,
        tuple(
            Exchanger(host.host, addresses, host.preference, port)
            for host, addresses in zip(named, found, strict=True)
        ),
    )


async def _addresses(resolver: Resolver, host: str) -> tuple[str, ...]:
    old, new = await asyncio.gather(
        resolver.look_up(host, Kind.A), resolver.look_up(host, Kind.AAAA)
    )
    if not (old.values or new.values):
        _told(old)
        _told(new)
    return (*old.values, *new.values)


def _told(answer: Answer) -> None:
    if not answer.told:
        raise RetryLater(
            f"{answer.kind} of {shown(answer.name)}: {answer.outcome}; asked again later",
            after=AGAIN,
        )
