"""From a plan's [dns] to what its zones are to hold, and what is seen of them.

`Zones` is all that journeys know of DNS from the outside: looking, switching, giving back. The
worker is handed one in its means; tests have one without a network.
"""

import json
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expect_file import expected_by
from mailhaul.dns.expected import Expected, Filter
from mailhaul.dns.names import domain_name
from mailhaul.dns.network import NO_ROUTE
from mailhaul.dns.profiles import profile
from mailhaul.dns.records import Kind, RecordSet, mail_hosts
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.plan.model import Dns, Plan


class Standing(StrEnum):
    """What a server's answer is, measured by what is to stand after the switch."""

    OLD = "old"
    NEW = "new"
    MIXED = "mixed"
    SILENT = "silent"
    KEPT = "kept"
    """Nothing of it changes: a filter's MX."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one server said of one record set that the switch changes. One that does not `count`
    can't be asked from this machine, whatever the zone says."""

    server: str
    name: str
    kind: Kind
    standing: Standing
    outcome: str
    values: tuple[str, ...] = ()
    ttl: int | None = None
    authoritative: bool = False
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at a domain has shown: each server's answers, the diagnosis, and the old MX where
    it is not known otherwise."""

    seen: tuple[Seen, ...]
    aspects: tuple[Aspect, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What came of switching or giving back. Not `finished`: `why` says what is waited for, and it
    is asked again; or it is `stuck`, and a person must act. `untouched`: nothing of it stands, so
    that another try begins from what is there then."""

    finished: bool
    why: str = ""
    records: int = 0
    stuck: bool = False
    untouched: bool = False


Keep = Callable[[str], Awaitable[None]]
"""Keeps the snapshot, a text, durably; awaited before the first record is written."""


class Zones(Protocol):
    """DNS from the outside. Everything may be asked again after a crash, at any point of it."""

    async def look(self, plan: PlanRow, row: DomainRow) -> Sight:
        """What the domain's own servers and the plan's resolvers say now. Raises nothing that a
        server could cause."""

    async def switch(self, plan: PlanRow, row: DomainRow, kept: str | None, keep: Keep) -> Done:
        """Brings the new records into the zone, or waits until somebody has. `kept` is the snapshot
        of a try that was cut off, which this one goes on with. Raises `RetryLater` when it may
        succeed by itself later, any other `MailhaulError` when a person must act and nothing was
        written."""

    async def give_back(self, plan: PlanRow, row: DomainRow, kept: tuple[str, ...]) -> Done:
        """Brings the records of those snapshots back, the newest first, or waits until somebody
        has. Raises as `switch` does."""


def expected_of(plan: Plan, name: str, old_mx: Iterable[str] = ()) -> Expected:
    """What the plan expects of the domain. `old_mx` are values of MX as first seen, for a plan that
    does not name the old system's hosts. Raises `BadInput` for a profile, a value or a file that
    makes no sense."""
    assert plan.dns is not None
    dns = plan.dns
    base = _base(plan, dns, name)
    old_hosts = tuple(domain_name(host) for host in dns.old_hosts) or base.old_mx
    if not old_hosts:
        old_hosts = tuple(each.host for each in mail_hosts(old_mx))
    mx = tuple(mail_hosts(_spelled(value) for value in dns.mx)) or base.mx
    old_hosts = tuple(host for host in old_hosts if host not in {each.host for each in mx})
    in_front = base.filter
    if not mx and in_front is None and not dns.filter:
        raise BadInput(f"nothing says where mail for {name} is to go; write mx under [dns]")
    if dns.filter:
        hosts = tuple(each.host for each in mail_hosts(old_mx))
        in_front = Filter(dns.filter, in_front.hosts if in_front else hosts)
    return replace(
        base,
        mx=mx,
        old_mx=old_hosts,
        spf=dns.spf or base.spf,
        ttl=int(dns.ttl.total_seconds()) if "ttl" in dns.model_fields_set else base.ttl,
        filter=in_front,
    )


def check_expectations(plan: Plan, names: Iterable[str]) -> None:
    """Raises `BadInput` where `expected_of` would, for the first of those domains."""
    if plan.dns is not None:
        for name in names:
            expected_of(plan, name)


def judged(answer: Answer, wanted: RecordSet, server: Server, *, authoritative: bool) -> Seen:
    """The answer of that server, measured by the record set that is to stand."""
    return Seen(
        server=printable(str(server), 300),
        name=wanted.name,
        kind=wanted.kind,
        standing=_standing(answer, wanted),
        outcome=answer.outcome.value,
        values=answer.values,
        ttl=answer.ttl if answer.outcome is Outcome.RECORDS else None,
        authoritative=authoritative,
        counts=not (answer.outcome is Outcome.UNREACHABLE and answer.said == NO_ROUTE),
    )


def overall(seen: Iterable[Seen]) -> Standing:
    """What all of them together say; those that are silent say nothing."""
    told = {each.standing for each in seen if each.standing is not Standing.SILENT}
    if not told:
        return Standing.SILENT
    return told.pop() if len(told) == 1 else Standing.MIXED


def canonical(values: Iterable[str]) -> str:
    """Values as a row holds them."""
    # ASCII only: octets that are no text are held as lone surrogates, which no database takes.
    return json.dumps(sorted(values))


def _base(plan: Plan, dns: Dns, name: str) -> Expected:
    if plan.expect_text is not None:
        where = printable(dns.expect, 200)
        try:
            table = tomllib.loads(plan.expect_text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{where} is no TOML: {printable(str(error), 200)}") from error
        if dns.profile:
            table.setdefault("profile", dns.profile)
            table["values"] = {**dns.values, **table.get("values", {})}
        return expected_by(table, name, where=where)
    if dns.profile:
        return profile(dns.profile, name, dns.values)
    return Expected(domain_name(name), source="the plan")


def _spelled(value: str) -> str:
    preference, _, host = value.strip().partition(" ")
    return f"{preference} {domain_name(host)}"


def _standing(answer: Answer, wanted: RecordSet) -> Standing:
    if not answer.told:
        return Standing.SILENT
    found, new = set(answer.values), set(wanted.values)
    if wanted.kind is Kind.CNAME and answer.aliases:
        found = set(answer.aliases[:1])
    if found == new:
        return Standing.NEW
    # Of texts others stand beside ours: what counts is whether ours are among them.
    if wanted.kind is Kind.TXT and new and new <= found:
        return Standing.NEW
    return Standing.MIXED if found & new and wanted.kind is not Kind.TXT else Standing.OLD
