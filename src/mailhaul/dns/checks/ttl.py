"""How long what the switch changes is remembered: short before it, as ever after it."""

import asyncio

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import Look, evidence, found, listed
from mailhaul.dns.desired import Key
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.ttl_plan import AFTERWARDS, raised


async def check_ttl(look: Look) -> list[Aspect]:
    """Before the switch what it will change, after the sweeps what it has changed; between them
    TTLs are low, and that is well."""
    if look.moment is Moment.SWITCH:
        return []
    switched: list[Key] = [
        (each.name, each.kind) for each in look.expected.records if each.moment is Moment.SWITCH
    ]
    if look.expected.mx and look.expected.filter is None:
        switched.insert(0, (look.domain, Kind.MX))
    answers = await asyncio.gather(*(look.ask(*key) for key in dict.fromkeys(switched)))
    here = [each for each in answers if each.values and each.ttl is not None and _own(each)]
    if look.moment is Moment.END:
        return [aspect for each in here if (aspect := _after(look, each))]
    changing = [each for each in here if (each.name, each.kind) in look.writes]
    return [aspect for each in changing if (aspect := _before(look, each))]


def _own(answer: Answer) -> bool:
    """Whether the TTL is that of the record itself, and not of what an alias leads to."""
    return not answer.aliases or answer.kind is Kind.CNAME


def _before(look: Look, answer: Answer) -> Aspect | None:
    wanted, ttl = look.expected.ttl, answer.ttl or 0
    low = RecordSet(answer.name, answer.kind, wanted, answer.values)
    if ttl > wanted:
        return _aspect(answer, f"{wanted} s at most", found("TTL_LONG", evidence(answer)), (low,))
    if ttl == 0:
        return _aspect(answer, f"{wanted} s", found("TTL_ZERO", evidence(answer)), ())
    return None


def _after(look: Look, answer: Answer) -> Aspect | None:
    """A cache's answer says less than the zone has, and so says nothing here."""
    stands = RecordSet(answer.name, answer.kind, answer.ttl or 0, answer.values)
    if not answer.authoritative or stands.key in look.writes or stands.ttl > look.expected.ttl:
        return None
    high = tuple(raised([stands], {}))
    return _aspect(answer, f"{AFTERWARDS} s", found("TTL_STILL_LOW", evidence(answer)), high)


def _aspect(
    answer: Answer, expected: str, finding: Finding, write: tuple[RecordSet, ...]
) -> Aspect:
    return Aspect(
        "TTL",
        answer.name,
        answer.kind,
        expected=(expected,),
        found=(f"{answer.ttl} s: {listed(answer.values)}",),
        ttl=answer.ttl,
        findings=(finding,),
        write=write,
    )
