"""`Zones` on the real network: the domain's servers, the plan's resolvers, its zone's writer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.finding import Severity
from mailhaul.core.text import Secret, printable
from mailhaul.dns.answers import Server
from mailhaul.dns.asking import Asking, asking
from mailhaul.dns.authority import Authority
from mailhaul.dns.check_domain import diagnose
from mailhaul.dns.desired import desired, keys, present_of
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.guard import Allowance, allowance
from mailhaul.dns.manual import ManualZone
from mailhaul.dns.names import domain_name, shown
from mailhaul.dns.network import Patience
from mailhaul.dns.policy import Fetched, fetched
from mailhaul.dns.propagation import watched
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.server_checks import server_aspects
from mailhaul.dns.snapshot import Snapshot, from_text, planned, to_text
from mailhaul.dns.switch import Applied, Fate, Result, apply, put_back, read
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.zone import Edit, ZoneError, ZoneWriter
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.zone_reach import Ears
from mailhaul.journey.zones import Done, Keep, Seen, Sight, expected_of, judged
from mailhaul.plan.model import Dns, Writer, WriterKind

_PASSING = frozenset({Code.ZONE_UNREACHABLE, Code.ZONE_SERVER_FAILED})
"""What may be over by itself in a minute."""
_SINCE = (DomainState.SWITCHED, DomainState.RETURNING)


@dataclass(frozen=True, slots=True)
class WiredZones:
    """See the module. `key` follows a reference to a TSIG key, seen from the plan's directory."""

    key: Callable[[str, Path], Awaitable[Secret]]
    patience: Patience | None = None

    async def look(self, plan: PlanRow, row: DomainRow) -> Sight:
        """See `Zones`."""
        whom, allowed = self._whom(plan), _allowed(plan)
        expected = expected_of(plan.plan, row.name, row.old_mx or ())
        resolver = whom.own(row.name)

        async def fetch(domain: str) -> Fetched:
            return await fetched(domain, resolver, allowed.allowed)

        moment = Moment.SWITCH if row.was in _SINCE else Moment.NOW
        authority, aspects = await asyncio.gather(
            whom.delegations.survey(row.name),
            diagnose(resolver, expected, moment=moment, allowance=allowed, fetch=fetch),
        )
        seen = await _seen(whom, authority, await _wanted(whom, row.name, expected))
        return Sight(seen, (*_grave(server_aspects(authority)), *aspects))

    async def switch(self, plan: PlanRow, row: DomainRow, kept: str | None, keep: Keep) -> Done:
        """See `Zones`."""
        writers = await self.writers(plan, row)
        if kept is None:
            snapshot = await self._planned(plan, row, writers)
        else:
            snapshot = from_text(kept)
        if not snapshot.edits:
            return Done(True)

        async def keeping(taken: Snapshot) -> None:
            await keep(to_text(taken))

        return _done(await apply(writers, snapshot, keeping), len(snapshot.edits))

    async def give_back(self, plan: PlanRow, row: DomainRow, kept: tuple[str, ...]) -> Done:
        """See `Zones`."""
        writers = await self.writers(plan, row)
        records = 0
        for text in kept:
            snapshot = from_text(text)
            done = _done(await put_back(writers, snapshot), len(snapshot.edits))
            if not done.finished:
                return done
            records += done.records
        return Done(True, records=records)

    async def intended(self, plan: PlanRow, row: DomainRow) -> tuple[Edit, ...]:
        """What the switch would write now; nothing is written. Raises as `switch` does."""
        writers = await self.writers(plan, row)
        return (await self._planned(plan, row, writers)).edits

    async def _planned(
        self, plan: PlanRow, row: DomainRow, writers: tuple[ZoneWriter, ...]
    ) -> Snapshot:
        expected = expected_of(plan.plan, row.name, row.old_mx or ())
        try:
            there = await read(writers, keys(expected))
        except ZoneError as error:
            raise _passing(error) from error
        present = {key: held.records for key, held in there.items() if held.records.values}
        wanted = desired(expected, present, Moment.SWITCH)
        return planned([each.zone for each in writers], there, wanted, datetime.now(UTC))

    async def writers(self, plan: PlanRow, row: DomainRow) -> tuple[ZoneWriter, ...]:
        """The domain's zone and the right to change it, or a person's. Raises as `switch` does."""
        dns = _dns(plan)
        whom = self._whom(plan)
        if dns.writer.kind is WriterKind.MANUAL:
            authority = await whom.delegations.survey(row.name)
            if not authority.servers:
                raise RetryLater(f"none of the servers of {shown(row.name)} answers for it")
            return (ManualZone(authority.zone, authority.servers, whom.network),)
        secret = await self.key(_filled(dns.writer.secret, row.name), plan.directory)
        if dns.writer.kind is WriterKind.OVH:
            return (_at_ovhcloud(dns.writer, row.name, secret),)
        server = await _address(whom, dns.writer.server)
        host = "" if server in dns.writer.server else dns.writer.server
        zone = domain_name(dns.writer.zone) if dns.writer.zone else row.name
        key = TsigKey(dns.writer.key, secret, dns.writer.algorithm)
        return (UpdatedZone(zone, Server(server, dns.writer.port, host), key, _allowed(plan)),)

    async def ears(self, plan: PlanRow, row: DomainRow) -> Ears:
        """See `Reach`."""
        whom = self._whom(plan)
        authority = await whom.delegations.survey(row.name)
        own = ManualZone(authority.zone, authority.servers, whom.network)
        return Ears(whom.network, watched(authority, whom.caches), own)

    def _whom(self, plan: PlanRow) -> Asking:
        dns = _dns(plan)
        return asking(_allowed(plan), dns.resolvers, port=dns.port, patience=self.patience)


def _dns(plan: PlanRow) -> Dns:
    assert plan.plan.dns is not None
    return plan.plan.dns


def _allowed(plan: PlanRow) -> Allowance:
    return allowance(_dns(plan).allow_networks)


def _at_ovhcloud(writer: Writer, domain: str, secret: Secret) -> ZoneWriter:
    # Late: only plans with such a zone need what speaks HTTPS.
    from mailhaul.providers.ovh_api import Api  # noqa: PLC0415
    from mailhaul.providers.ovh_zone import OvhZone  # noqa: PLC0415

    async def login() -> Credentials:
        return Credentials(password=secret)

    return OvhZone(writer.zone or domain, Api(writer.place, login), closes=True)


def _filled(reference: str, domain: str) -> str:
    return reference.replace("{domain}", domain)


async def _address(whom: Asking, server: str) -> str:
    """The address of the writer's server, which may be named by its host."""
    try:
        return str(ip_address(server.strip("[]")))
    except ValueError:
        pass
    host = domain_name(server)
    for kind in (Kind.A, Kind.AAAA):
        answer = await whom.recursive.look_up(host, kind)
        if answer.values:
            return answer.values[0]
        if not answer.told:
            raise RetryLater(f"{shown(host)}: {answer.outcome}")
    raise BadInput(f"{shown(host)} has no address; correct server under [dns.writer]")


async def _wanted(whom: Asking, domain: str, expected: Expected) -> tuple[RecordSet, ...]:
    """What is to stand after the switch, laid over what stands now at the domain's own servers."""
    resolver = whom.own(domain)
    answers = await asyncio.gather(*(resolver.look_up(*key) for key in keys(expected)))
    try:
        wanted = desired(expected, present_of(answers), Moment.SWITCH)
    except BadInput:
        # What stands can't be read; MX can be watched all the same, and the diagnosis tells.
        wanted = ()
    # What stands beside a CNAME and gives way to it is seen by the CNAME.
    kept = tuple(each for each in wanted if each.values)
    if expected.mx and expected.filter is None and not any(k.kind is Kind.MX for k in kept):
        values = tuple(sorted(map(str, expected.mx)))
        kept = (RecordSet(domain, Kind.MX, expected.ttl, values), *kept)
    return kept


async def _seen(
    whom: Asking, authority: Authority, wanted: Iterable[RecordSet]
) -> tuple[Seen, ...]:
    """Each record set at each of the zone's servers and each resolver."""
    asked = [(each, records) for records in wanted for each in watched(authority, whom.caches)]
    answers = await asyncio.gather(
        *(
            whom.network.ask(
                each.server, records.name, records.kind, recursive=not each.authoritative
            )
            for each, records in asked
        )
    )
    return tuple(
        judged(answer, records, each.server, authoritative=each.authoritative)
        for answer, (each, records) in zip(answers, asked, strict=True)
    )


def _grave(aspects: Iterable[Aspect]) -> Iterable[Aspect]:
    """Those of the servers that say something."""
    return (
        each
        for each in aspects
        if any(finding.severity is not Severity.TELLS for finding in each.findings)
    )


def _passing(error: ZoneError) -> RetryLater | ZoneError:
    return RetryLater(str(error)) if error.code in _PASSING else error


def _done(applied: Applied, records: int) -> Done:
    """What the switch makes of it. Raises `RetryLater` where nothing was done and a server may just
    have been away."""
    lines = [line for zone in applied.zones for line in zone.lines if zone.fate is Fate.WAITS]
    why = "; ".join(
        f"{each.evidence}; {each.remedy}" if each.remedy else each.evidence
        for each in applied.findings
        if each.severity is Severity.BLOCKS
    )
    match applied.result:
        case Result.DONE:
            return Done(True, records=records)
        case Result.WAITS:
            return Done(False, printable(f"to be written: {'; '.join(lines)}", 1000))
        case Result.NOTHING:
            codes = {each.code for each in applied.findings if each.severity is Severity.BLOCKS}
            if codes and codes <= {code.value for code in _PASSING}:
                raise RetryLater(printable(why, 1000))
            return Done(False, printable(why, 1000), stuck=True, untouched=True)
        case Result.PARTLY:
            return Done(False, printable(why, 1000), stuck=True)
