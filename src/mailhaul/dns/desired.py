"""What a zone should hold: what is expected, laid over what is there.

Pure. The checks show the difference, the switch writes it; both ask here, so that what a person is
told to write is what mailhaul would write.
"""

from collections.abc import Iterable, Mapping

from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.spf_text import is_spf, merged

Key = tuple[str, Kind]
Present = Mapping[Key, RecordSet]
"""Record sets of a zone by name and kind. What isn't in it, isn't in the zone."""

BESIDE = (Kind.A, Kind.AAAA, Kind.CNAME, Kind.MX, Kind.SRV, Kind.TXT)
"""Kinds that may stand at a name where a CNAME is wanted, and must give way to it."""


def keys(expected: Expected) -> tuple[Key, ...]:
    """All record sets that `desired` must know for any moment, to be read from the zone."""
    found: dict[Key, None] = {}
    if expected.mx and expected.filter is None:
        found[expected.domain, Kind.MX] = None
        found[expected.domain, Kind.CNAME] = None
    if expected.spf or expected.spf_old or expected.spf_all:
        found[expected.domain, Kind.TXT] = None
    for wanted in expected.records:
        found[wanted.name, wanted.kind] = None
        beside = BESIDE if wanted.kind is Kind.CNAME else (Kind.CNAME,)
        found.update(dict.fromkeys((wanted.name, kind) for kind in beside))
    return tuple(found)


def desired(expected: Expected, present: Present, moment: Moment) -> tuple[RecordSet, ...]:
    """The record sets that should stand once the writing that belongs to `moment` is done: all
    that it says anything about, whole. One that stands already comes back as it is, TTL and all;
    one without values is to be removed. Nothing else in the zone is to be touched.

    It is that moment's own share: the other moments' are asked for themselves, each over what is
    present then. `present` must hold what the zone has under `keys(expected)`; a set whose reading
    failed must not be passed off as missing.

    - `NOW`: the SPF record with the new system's terms, the old ones kept; and `records` so marked.
    - `SWITCH`: MX, unless a filter stands in front, whose MX stays; and `records` so marked. New
      sets get `expected.ttl`, so that a mistake is soon mended.
    - `END`: SPF without the old terms, closed as expected; and `records` so marked.

    Of TXT, other people's texts at the same name are kept: a text takes the place of one with the
    same version tag (`v=DMARC1`), at a DKIM name of all, else it is added. A CNAME takes the place
    of everything at its name, and gives way to anything else that is wanted there (RFC 1034
    section 3.6.2). Raises `BadInput` where the SPF record that stands can't be read.
    """
    standing = dict(present)
    touched: dict[Key, None] = {}

    def put(wanted: RecordSet) -> None:
        beside = BESIDE if wanted.kind is Kind.CNAME else (Kind.CNAME,)
        if wanted.values:
            for key in ((wanted.name, kind) for kind in beside if kind is not wanted.kind):
                if key in standing and standing[key].values:
                    standing[key] = RecordSet(*key, standing[key].ttl, ())
                    touched[key] = None
        before = standing.get(wanted.key)
        if before is None or set(before.values) != set(wanted.values):
            standing[wanted.key] = wanted
        touched[wanted.key] = None

    if moment is Moment.SWITCH and expected.mx and expected.filter is None:
        values = tuple(sorted(map(str, expected.mx)))
        put(RecordSet(expected.domain, Kind.MX, expected.ttl, values))
    for wanted in expected.records:
        if wanted.moment is moment:
            put(_laid_over(wanted, standing.get((wanted.name, wanted.kind)), expected))
    spf = _spf(expected, standing.get((expected.domain, Kind.TXT)), moment)
    if spf is not None:
        put(spf)
    # What must give way goes first: a server refuses a CNAME beside anything.
    order = sorted(touched, key=lambda key: bool(standing.get(key) and standing[key].values))
    return tuple(standing.get(key) or RecordSet(*key, expected.ttl, ()) for key in order)


def present_of(answers: Iterable[Answer]) -> dict[Key, RecordSet]:
    """The record sets that answers show. What came through a CNAME stands elsewhere: of it, the
    CNAME is what stands at the name."""
    found: dict[Key, RecordSet] = {}
    for answer in answers:
        if answer.outcome is Outcome.RECORDS and not answer.aliases:
            found[answer.name, answer.kind] = RecordSet(
                answer.name, answer.kind, answer.ttl or 0, answer.values
            )
        elif answer.aliases and answer.kind is not Kind.CNAME:
            found.setdefault(
                (answer.name, Kind.CNAME),
                RecordSet(answer.name, Kind.CNAME, answer.ttl or 0, answer.aliases[:1]),
            )
    return found


def _laid_over(wanted: Wanted, before: RecordSet | None, expected: Expected) -> RecordSet:
    ttl = wanted.ttl
    if ttl is None:
        settled = wanted.moment is not Moment.SWITCH and before is not None
        ttl = before.ttl if settled and before is not None else expected.ttl
    values = set(wanted.values)
    if wanted.kind is Kind.TXT and before is not None and "._domainkey." not in wanted.name:
        tags = {tag for value in values if (tag := _version(value))}
        if wanted.values:
            values |= {each for each in before.values if _version(each) not in tags}
    return RecordSet(wanted.name, wanted.kind, ttl, tuple(sorted(values)))


def _version(text: str) -> str:
    """`v=dmarc1` of a text that begins so; else empty."""
    first = text.partition(";")[0].split()[:1]
    return first[0].casefold() if first and first[0].casefold().startswith("v=") else ""


def _spf(expected: Expected, before: RecordSet | None, moment: Moment) -> RecordSet | None:
    """The domain's TXT set with the SPF record of that moment; None: it says nothing about it."""
    texts = before.values if before is not None else ()
    records = sorted(each for each in texts if is_spf(each))
    if moment is Moment.NOW and expected.spf:
        # A record that is new begins leniently: senders nobody has thought of are still found.
        old = () if records else expected.spf_old
        text = merged(records, add=(*old, *expected.spf))
    elif moment is Moment.END and (expected.spf_old or expected.spf_all):
        if not records and not expected.spf:
            return None
        gone = [each for each in expected.spf_old if each not in expected.spf]
        text = merged(records, add=expected.spf, remove=gone, closing=expected.spf_all)
    else:
        return None
    others = [each for each in texts if not is_spf(each)]
    ttl = before.ttl if before is not None else expected.ttl
    return RecordSet(expected.domain, Kind.TXT, ttl, tuple(sorted([*others, text])))
