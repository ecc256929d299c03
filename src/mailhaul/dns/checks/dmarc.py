"""DMARC: what receivers do with mail that neither SPF nor DKIM vouches for."""

import asyncio
from collections.abc import Iterator

from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import Look, evidence, found, listed, tags, untold
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind
from mailhaul.dns.spf_text import is_spf

TOPIC = "DMARC"
POLICIES = frozenset({"none", "quarantine", "reject"})
LEVELS_MOST = 7
"""So far up is looked; no registry's domain lies deeper."""
REPORTS_MOST = 5
"""So many addresses for reports are looked at."""


async def check_dmarc(look: Look) -> list[Aspect]:
    """The domain's record, or the one above it that counts then."""
    name = f"_dmarc.{look.domain}"
    answer = await look.ask(name, Kind.TXT)
    records = _records(answer)
    return [
        Aspect(
            TOPIC,
            name,
            Kind.TXT,
            found=tuple(records),
            ttl=answer.ttl,
            findings=tuple(await _findings(look, answer, records)),
            write=look.write((name, Kind.TXT)),
        )
    ]


def _records(answer: Answer) -> list[str]:
    """RFC 7489 section 6.6.3: what doesn't begin with the version is no DMARC record."""
    return [
        each
        for each in answer.values
        if tags(each.partition(";")[0]).get("v", "").upper() == "DMARC1"
    ]


async def _findings(look: Look, answer: Answer, records: list[str]) -> list[Finding]:
    if not answer.told:
        return [untold(answer)]
    if len(records) > 1:
        return [found("DMARC_SEVERAL", listed(records))]
    if not records:
        above = await _above(look)
        if above is not None:
            return [found("DMARC_INHERITED", evidence(above))]
        return [found("DMARC_MISSING", evidence(answer))]
    given = tags(records[0])
    findings = list(_health(records[0], given))
    if given.get("p", "").casefold() in ("reject", "quarantine"):
        findings += await _uncovered(look, given)
    return [*findings, *await _reports(look, given)]


async def _above(look: Look) -> Answer | None:
    """The next domain above that has a record; the top level has none for others."""
    name = look.domain.partition(".")[2]
    for _ in range(LEVELS_MOST):
        if "." not in name:
            break
        answer = await look.ask(f"_dmarc.{name}", Kind.TXT)
        if _records(answer):
            return answer
        name = name.partition(".")[2]
    return None


def _health(record: str, given: dict[str, str]) -> Iterator[Finding]:
    policy = given.get("p", "").casefold()
    if policy not in POLICIES:
        yield found("DMARC_SYNTAX", f"p={printable(policy, 40)}: {printable(record, 200)}")
    percent = given.get("pct", "100")
    if not percent.isascii() or not percent.isdigit() or int(percent) > 100:
        yield found("DMARC_SYNTAX", f"pct={printable(percent, 40)}")
    if "rua" not in given:
        yield found("DMARC_UNREPORTED", printable(record, 200))
    strict = [tag for tag in ("adkim", "aspf") if given.get(tag, "r").casefold() == "s"]
    if strict:
        yield found("DMARC_STRICT", " and ".join(f"{tag}=s" for tag in strict))


async def _uncovered(look: Look, given: dict[str, str]) -> list[Finding]:
    """Mail of the new system is refused where neither its SPF terms nor a key of its own stands."""
    expected = look.expected
    if not expected.spf and not expected.dkim:
        return []
    texts, *keys = await asyncio.gather(
        look.ask(look.domain, Kind.TXT),
        *(look.ask(f"{each}._domainkey.{look.domain}", Kind.TXT) for each in expected.dkim),
    )
    words = {
        word.casefold().lstrip("+")
        for text in texts.values
        if is_spf(text)
        for word in text.split()
    }
    if expected.spf and all(term.casefold() in words for term in expected.spf):
        return []
    if any(key.values or not key.told for key in keys) or not texts.told:
        return []
    return [found("DMARC_UNCOVERED", f"p={given['p']}, and nothing of the new system stands yet")]


async def _reports(look: Look, given: dict[str, str]) -> list[Finding]:
    """Reports to another domain need its consent (RFC 7489 section 7.1)."""
    wanted = []
    for address in given.get("rua", "").split(","):
        domain = address.strip().partition("!")[0].rpartition("@")[2].casefold().rstrip(".")
        foreign = not inside(domain, look.domain) and not inside(look.domain, domain)
        if domain and foreign and "." in domain:
            wanted.append(domain)
    domains = list(dict.fromkeys(wanted))[:REPORTS_MOST]
    answers = await asyncio.gather(
        *(look.ask(f"{look.domain}._report._dmarc.{domain}", Kind.TXT) for domain in domains)
    )
    return [
        found("DMARC_REPORTS_REFUSED", evidence(answer))
        for answer in answers
        if answer.told and not _records(answer)
    ]
