"""SPF: one record that receivers can evaluate, with the new system's terms and still the old's."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.checks.looking import Look, evidence, found, listed, untold
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind
from mailhaul.dns.spf_text import ASKING, Term, is_spf, looks_like_spf, term_of, terms_of

TOPIC = "SPF"
LOOKUPS = 10
"""Terms that may cost a look-up, in all (RFC 7208 section 4.6.4)."""
VOIDS = 2
"""Look-ups that may find nothing (RFC 7208 section 4.6.4)."""
MX_HOSTS = 10
"""Hosts that an "mx" term may find (RFC 7208 section 4.6.4)."""
ASKED_MOST = 40
"""Where the count is no longer followed: the record is far beyond its limit."""
OCTETS = 450
"""What fits into an answer by UDP of old, beside the rest (RFC 7208 section 3.4)."""


async def check_spf(look: Look) -> list[Aspect]:
    """The one record, beside its terms that are expected."""
    answer = await look.ask(look.domain, Kind.TXT)
    records = [each for each in answer.values if is_spf(each)]
    return [
        Aspect(
            TOPIC,
            look.domain,
            Kind.TXT,
            expected=_expected(look),
            found=tuple(records),
            ttl=answer.ttl,
            findings=tuple(await _findings(look, answer, records)),
            write=look.write((look.domain, Kind.TXT)),
        )
    ]


def _expected(look: Look) -> tuple[str, ...]:
    expected = look.expected
    old = () if look.moment is Moment.END else expected.spf_old
    end = (expected.spf_all,) if look.moment is Moment.END and expected.spf_all else ()
    words = [*dict.fromkeys((*old, *expected.spf)), *end]
    return (f"v=spf1 … {' '.join(words)}",) if words else ()


async def _findings(look: Look, answer: Answer, records: list[str]) -> list[Finding]:
    if not answer.told:
        return [untold(answer)]
    findings = [
        found("SPF_NOT_TAKEN", printable(each, 300))
        for each in answer.values
        if looks_like_spf(each)
    ]
    if not records:
        code = "SPF_TERM_MISSING" if look.expected.spf else "SPF_MISSING"
        return [*findings, found(code, f"no SPF record; {evidence(answer)}")]
    if len(records) > 1:
        return [*findings, found("SPF_SEVERAL", listed(records))]
    try:
        terms = terms_of(records[0])
    except BadInput as error:
        return [*findings, found("SPF_SYNTAX", f"{error}: {printable(records[0], 300)}")]
    findings += _compared(look, terms)
    findings += _health(records[0], terms)
    return [*findings, *await _evaluated(look, terms)]


def _compared(look: Look, terms: Sequence[Term]) -> Iterator[Finding]:
    here = {term.same: term for term in _read(terms)}
    expected = look.expected
    missing = [
        text
        for text in expected.spf
        if (term := here.get(term_of(text).same)) is None or term.qualifier not in "+"
    ]
    if missing:
        yield found("SPF_TERM_MISSING", f"missing: {listed(missing)}")
    old = [text for text in expected.spf_old if text not in expected.spf]
    if look.moment is Moment.END:
        left = [text for text in old if term_of(text).same in here]
        if left:
            yield found("SPF_OLD_LEFT", f"still there: {listed(left)}")
        end = next((str(term) for term in terms if term.name == "all"), "")
        if expected.spf_all and end != expected.spf_all:
            yield found("SPF_END", f"it ends with {end or 'nothing'}, not with {expected.spf_all}")
    else:
        gone = [text for text in old if term_of(text).same not in here]
        if gone:
            yield found("SPF_OLD_GONE", f"missing: {listed(gone)}")


def _read(terms: Sequence[Term]) -> Iterator[Term]:
    """The terms that receivers come to: none after `all`, and no redirect where there is one."""
    ends = any(term.name == "all" for term in terms)
    for term in terms:
        if not (term.name == "redirect" and ends):
            yield term
        if term.name == "all":
            return


def _health(record: str, terms: Sequence[Term]) -> Iterator[Finding]:
    read = [*_read(terms)]
    unread = [str(term) for term in terms if term not in read and not term.modifier]
    if unread:
        yield found("SPF_AFTER_ALL", f"behind the end: {listed(unread)}")
    ends = [term for term in read if term.name == "all"]
    if ends and ends[0].qualifier == "+":
        yield found("SPF_PASSES_ALL", printable(record, 300))
    if not ends and not any(term.name == "redirect" for term in read):
        yield found("SPF_OPEN", printable(record, 300))
    if any(term.name == "mx" and not term.target for term in read):
        yield found("SPF_FOLLOWS_MX", printable(record, 300))
    if any(term.name == "ptr" for term in read):
        yield found("SPF_PTR", printable(record, 300))
    octets = len(record.encode(errors="surrogateescape"))
    if octets > OCTETS:
        yield found("SPF_LONG", f"{octets} octets")


@dataclass(slots=True)
class _Tally:
    """What the evaluation of a record comes to."""

    asked: int = 0
    voids: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


async def _evaluated(look: Look, terms: Sequence[Term]) -> list[Finding]:
    tally = _Tally()
    await _follow(look, terms, (look.domain,), tally)
    more = "or more" if tally.asked >= ASKED_MOST else "look-ups"
    if tally.asked > LOOKUPS:
        tally.findings.append(found("SPF_LOOKUPS", f"{tally.asked} {more}"))
    elif tally.asked == LOOKUPS:
        tally.findings.append(found("SPF_LOOKUPS_FULL", f"{tally.asked} look-ups"))
    if len(tally.voids) > VOIDS:
        tally.findings.append(found("SPF_VOIDS", listed(sorted(tally.voids))))
    # Side by side they come in any order; the same record must give the same findings.
    return sorted(dict.fromkeys(tally.findings), key=lambda each: (each.code, each.evidence))


async def _follow(look: Look, terms: Sequence[Term], way: tuple[str, ...], tally: _Tally) -> None:
    """Counts what a receiver that matches nothing would ask. `way` are the domains that led here,
    the present one last."""
    asking = [term for term in _read(terms) if term.name in ASKING]
    tally.asked += len(asking)
    if tally.asked < ASKED_MOST:
        await asyncio.gather(*(_ask(look, term, way, tally) for term in asking))


async def _ask(look: Look, term: Term, way: tuple[str, ...], tally: _Tally) -> None:
    target = (term.target or way[-1]).casefold().rstrip(".")
    if "%" in target or term.name == "ptr":
        return  # it depends on the sender of a mail, so nobody can ask ahead
    if term.name in ("include", "redirect"):
        await _enter(look, term, target, way, tally)
    elif term.name == "mx":
        answer = await look.ask(target, Kind.MX)
        _judge(answer, term, tally)
        if len(answer.values) > MX_HOSTS:
            tally.findings.append(found("SPF_MX_MANY", f"{term}: {len(answer.values)} hosts"))
    elif term.name == "exists":
        # Mere existence of a fixed name says nothing; it only must not be void too often.
        _judge(await look.ask(target, Kind.A), term, tally)
    else:
        four, six = await asyncio.gather(look.ask(target, Kind.A), look.ask(target, Kind.AAAA))
        if not (six.values or four.values):
            _judge(four, term, tally)


async def _enter(look: Look, term: Term, target: str, way: tuple[str, ...], tally: _Tally) -> None:
    """Goes into another domain's record."""
    if target in way:
        tally.findings.append(found("SPF_LOOP", " → ".join([*way[way.index(target) :], target])))
        return
    answer = await look.ask(target, Kind.TXT)
    _judge(answer, term, tally)
    if not answer.told:
        return
    records = [each for each in answer.values if is_spf(each)]
    if len(records) != 1:
        number = "no SPF record" if not records else f"{len(records)} SPF records"
        tally.findings.append(found("SPF_INCLUDE_BROKEN", f"{term}: {number}; {evidence(answer)}"))
        return
    try:
        terms = terms_of(records[0])
    except BadInput as error:
        tally.findings.append(found("SPF_INCLUDE_BROKEN", f"{term}: {error}"))
        return
    await _follow(look, terms, (*way, target), tally)


def _judge(answer: Answer, term: Term, tally: _Tally) -> None:
    if answer.outcome is Outcome.MALFORMED:
        tally.findings.append(found("SPF_SYNTAX", f"{term}: {evidence(answer)}"))
    elif not answer.told:
        tally.findings.append(found("SPF_UNREADABLE", f"{term}: {evidence(answer)}"))
    elif not answer.values:
        tally.voids.append(str(term))
