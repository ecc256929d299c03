"""What is to be said of the servers that answer for a domain. Pure: it judges an `Authority`."""

from collections.abc import Iterator

from mailhaul.core.finding import Finding
from mailhaul.core.text import plural, printable
from mailhaul.dns.answers import Outcome
from mailhaul.dns.authority import Authority, Standing
from mailhaul.dns.diagnosis import Aspect, finding
from mailhaul.dns.names import shown
from mailhaul.dns.network import NO_ROUTE
from mailhaul.dns.records import Kind
from mailhaul.dns.server_codes import MEANINGS, Code

_FAULTS = {
    Outcome.REFUSED: Code.SERVER_LAME,
    Outcome.LAME: Code.SERVER_LAME,
    Outcome.NXDOMAIN: Code.SERVER_LAME,
    Outcome.NODATA: Code.SERVER_LAME,
    Outcome.SERVFAIL: Code.SERVER_FAILS,
    Outcome.TIMEOUT: Code.SERVER_SILENT,
    Outcome.UNREACHABLE: Code.SERVER_SILENT,
    Outcome.MALFORMED: Code.SERVER_GARBLED,
    Outcome.FORBIDDEN: Code.SERVER_PRIVATE,
}
"""What a server that doesn't speak for the zone is found to be, by what it said to SOA."""


def server_aspects(authority: Authority) -> tuple[Aspect, ...]:
    """Three aspects: the name servers, the zone's version, the signatures. Where the name isn't
    there, the first one alone."""
    servers = Aspect(
        "name servers",
        authority.zone or authority.domain,
        Kind.NS,
        authority.cut.names,
        _found(authority),
        authority.cut.heard.ttl,
        tuple(_on_servers(authority)),
    )
    if not authority.standings:
        return (servers,)
    versions = sorted({str(each.serial) for each in authority.standings if each.serving})
    version = Aspect(
        "zone's version",
        authority.zone,
        Kind.SOA,
        found=tuple(versions),
        ttl=next((each.soa.ttl for each in authority.standings if each.serving), None),
        findings=tuple(_on_versions(authority)),
    )
    signatures = Aspect(
        "signatures",
        authority.zone,
        Kind.DS,
        found=authority.cut.ds,
        findings=(_on_signatures(authority),),
    )
    return servers, version, signatures


def _found(authority: Authority) -> tuple[str, ...]:
    """The NS that the zone itself gives, or the parent's where nobody speaks for it."""
    own = {name for each in authority.standings if each.serving for name in each.names.values}
    return tuple(sorted(own)) or authority.cut.names


def _on_servers(authority: Authority) -> Iterator[Finding]:
    cut = authority.cut
    if cut.heard.outcome is Outcome.NXDOMAIN:
        yield _finding(Code.DOMAIN_ABSENT, f"{cut.heard.server} says so of {authority.domain}")
        return
    if not cut.heard.told:
        asked = cut.heard.server.host or cut.heard.server if cut.heard.server else "the resolver"
        yield _finding(Code.PARENT_SILENT, f"{asked}: {_why(cut.heard.outcome, cut.heard.said)}")
        if authority.verdict.outcome is Outcome.NXDOMAIN:
            evidence = f"{authority.verdict.server} says so of {authority.domain}"
            yield _finding(Code.DOMAIN_ABSENT, evidence)
            return
    if authority.standings or authority.hosts or cut.heard.told:
        if not authority.servers:
            number = plural(len(authority.standings), "server was", "servers were")
            yield _finding(Code.NOBODY_SERVES, f"{number} asked")
        elif len({each.address for each in authority.servers}) == 1:
            yield _finding(Code.SINGLE_SERVER, str(authority.servers[0]))
    yield from _on_hosts(authority)
    yield from _on_standings(authority)
    yield from _on_names(authority)


def _on_hosts(authority: Authority) -> Iterator[Finding]:
    for host in authority.hosts:
        name = shown(host.name)
        if host.failure is not None:
            why = _why(host.failure.outcome, host.failure.said)
            yield _finding(Code.SERVER_WITHOUT_ADDRESS, f"{name}: {why}")
        if host.alias:
            yield _finding(Code.SERVER_ALIAS, name)
        if host.glue and host.resolved and not set(host.glue) <= set(host.resolved):
            sent, own = ", ".join(host.glue), ", ".join(host.resolved)
            yield _finding(Code.GLUE_DIFFERS, f"{name}: the parent sends {sent}, its own are {own}")


def _on_standings(authority: Authority) -> Iterator[Finding]:
    away = [each for each in authority.standings if _out_of_reach(each)]
    if away:
        addresses = ", ".join(each.server.address for each in away)
        yield _finding(Code.NO_IPV6_HERE, addresses)
    for each in authority.standings:
        if not each.serving and not _out_of_reach(each):
            code = _FAULTS.get(each.soa.outcome, Code.SERVER_LAME)
            why = _why(each.soa.outcome, each.soa.said)
            yield _finding(code, f"{_called(each)}: {why}")


def _on_names(authority: Authority) -> Iterator[Finding]:
    """The parent's list beside each that the zone's servers give."""
    parents = set(authority.cut.names)
    told: dict[tuple[str, ...], list[str]] = {}
    for each in authority.standings:
        telling = each.serving and each.names.outcome is Outcome.RECORDS
        if telling and set(each.names.values) != parents:
            told.setdefault(each.names.values, []).append(_called(each))
    for names, servers in told.items():
        parts = []
        if more := sorted(parents - set(names)):
            parts.append(f"only the parent names {', '.join(map(shown, more))}")
        if fewer := sorted(set(names) - parents):
            parts.append(f"only the zone names {', '.join(map(shown, fewer))}")
        yield _finding(Code.SERVERS_DISAGREE, f"{'; '.join(parts)} (by {', '.join(servers)})")


def _on_versions(authority: Authority) -> Iterator[Finding]:
    by_serial: dict[int, list[str]] = {}
    for each in authority.standings:
        if each.serial is not None:
            by_serial.setdefault(each.serial, []).append(_called(each))
    if len(by_serial) > 1:
        told = (f"{number} at {', '.join(by_serial[number])}" for number in sorted(by_serial))
        yield _finding(Code.SERIALS_DIFFER, "; ".join(told))


def _on_signatures(authority: Authority) -> Finding:
    """The parent's word (DS), the servers' (signatures) and the resolver's (verified)."""
    signing = [each for each in authority.standings if each.serving and each.signed]
    serving = [each for each in authority.standings if each.serving]
    verdict = authority.verdict
    if authority.cut.ds:
        key = f"the parent's DS is {authority.cut.ds[0].split(' ')[0]}"
        if serving and not signing:
            return _finding(Code.CHAIN_BROKEN, f"{key}, and no server sends signatures")
        if verdict.secure and verdict.told:
            return _finding(Code.SIGNED, f"{key}; verified by {verdict.server}")
        if verdict.outcome is Outcome.SERVFAIL and serving:
            why = _why(verdict.outcome, verdict.said)
            return _finding(Code.CHAIN_BROKEN, f"{key}; {verdict.server} refuses the zone: {why}")
        if not verdict.told:
            why = _why(verdict.outcome, verdict.said)
            return _finding(Code.RESOLVER_SILENT, f"{verdict.server or 'no resolver'}: {why}")
        return _finding(Code.NOT_VERIFIED, f"{key}; {verdict.server} verifies nothing")
    if not verdict.told:
        why = _why(verdict.outcome, verdict.said)
        return _finding(Code.RESOLVER_SILENT, f"{verdict.server or 'no resolver'}: {why}")
    if signing:
        return _finding(Code.ISLAND, f"{_called(signing[0])} sends signatures; there is no DS")
    return _finding(Code.UNSIGNED, "there is no DS and there are no signatures")


def _out_of_reach(standing: Standing) -> bool:
    return standing.soa.said == NO_ROUTE and ":" in standing.server.address


def _called(standing: Standing) -> str:
    return printable(str(standing.server), 200)


def _why(outcome: Outcome, said: str) -> str:
    return f"{outcome} ({printable(said, 200)})" if said else str(outcome)


def _finding(code: Code, evidence: str) -> Finding:
    return finding(MEANINGS, code, evidence)
