"""Tables of expectations with words to be filled in, made `Expected`.

Profiles and `--expect` files are such tables; this reads both, and names each mistake by its key.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected, Filter, Moment, Wanted
from mailhaul.dns.names import domain_name, inside
from mailhaul.dns.records import Kind, MailHost
from mailhaul.dns.spelling import canonical, mail_host
from mailhaul.dns.spf_text import is_spf, term_of

Table = Mapping[str, object]
MOMENTS = {"now": Moment.NOW, "switch": Moment.SWITCH, "end": Moment.END}
WRITABLE = (Kind.A, Kind.AAAA, Kind.CNAME, Kind.MX, Kind.SRV, Kind.TXT, Kind.TLSA)
KEYS = frozenset(
    {"mx", "old_mx", "spf", "spf_old", "spf_all", "dkim", "ttl", "filter", "record", "optional"}
)
RECORD_KEYS = frozenset({"topic", "name", "kind", "values", "moment", "ttl"})
TTL_MOST = 604800

_WORD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Filling:
    """Words to be filled in. `where` names the table, for mistakes."""

    domain: str
    values: Mapping[str, str]
    optional: frozenset[str]
    where: str

    def fill(self, text: str, key: str) -> str | None:
        """The text; None where a word of it may be missing and is. Raises `BadInput` where it may
        not."""
        known = {**self.values, "domain": self.domain, "dashed": self.domain.replace(".", "-")}
        missing = [word for word in _WORD.findall(text) if not known.get(word)]
        if not missing:
            return _WORD.sub(lambda found: known[found[1]], text)
        if all(word in self.optional for word in missing):
            return None
        needed = next(word for word in missing if word not in self.optional)
        raise BadInput(f"{self.where}: {key} needs a value for {{{needed}}}; give {needed} one")

    def wrong(self, key: str, why: str) -> BadInput:
        return BadInput(f"{self.where}: {key}: {why}")


def words_of(table: Table) -> dict[str, bool]:
    """The words that the table wants filled in, but for the domain's own; True: it may be left."""
    optional = {str(each) for each in cast("Sequence[object]", table.get("optional", ()))}
    found = dict.fromkeys(word for text in _all_texts(table) for word in _WORD.findall(text))
    return {word: word in optional for word in found if word not in ("domain", "dashed")}


def expected_of(
    table: Table, domain: str, values: Mapping[str, str], *, where: str, source: str = ""
) -> Expected:
    """What the table expects of the domain. Raises `BadInput` at the first mistake."""
    optional = frozenset(_texts(table, "optional", where))
    filling = Filling(domain, values, optional, where)
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise filling.wrong(
            printable(unknown[0], 60), f"there is no such key; there are {', '.join(sorted(KEYS))}"
        )
    records = tuple(_records(table, filling))
    _check_together(records, filling)
    return Expected(
        domain=domain,
        mx=_mail_hosts(table, filling),
        old_mx=tuple(domain_name(each) for each in _filled(table, "old_mx", filling)),
        spf=_terms(table, "spf", filling),
        spf_old=_terms(table, "spf_old", filling),
        spf_all=_end(table, filling),
        dkim=tuple(domain_name(each) for each in _filled(table, "dkim", filling)),
        records=records,
        ttl=_ttl(table, filling) or Expected("").ttl,
        filter=_filter(table, filling),
        source=source or where,
    )


def _filled(table: Table, key: str, filling: Filling) -> Iterator[str]:
    for text in _texts(table, key, filling.where):
        found = filling.fill(text, key)
        if found is not None:
            yield found


def _mail_hosts(table: Table, filling: Filling) -> tuple[MailHost, ...]:
    hosts = map(mail_host, _filled(table, "mx", filling))
    return tuple(sorted(hosts, key=lambda each: (each.preference, each.host)))


def _terms(table: Table, key: str, filling: Filling) -> tuple[str, ...]:
    return tuple(str(term_of(each)) for each in _filled(table, key, filling))


def _end(table: Table, filling: Filling) -> str:
    text = table.get("spf_all", "")
    if text not in ("", "-all", "~all", "?all"):
        raise filling.wrong("spf_all", f"“{printable(str(text), 40)}” is not -all, ~all or ?all")
    return str(text)


def _records(table: Table, filling: Filling) -> Iterator[Wanted]:
    rows = table.get("record", ())
    if not isinstance(rows, Sequence) or not all(isinstance(each, Mapping) for each in rows):
        raise filling.wrong("record", "write each as a table, [[record]]")
    for number, row in enumerate(cast("Sequence[Table]", rows), 1):
        key = f"record {number}"
        wanted = _record(row, filling, key)
        if wanted is not None:
            _check_place(wanted, filling, key)
            yield wanted


def _check_place(wanted: Wanted, filling: Filling, key: str) -> None:
    """What stands at the domain's own name is not all for a record to say."""
    if wanted.name != filling.domain:
        return
    if wanted.kind is Kind.CNAME:
        raise filling.wrong(key, "a domain's own name can't be a CNAME (RFC 1034 section 3.6.2)")
    if wanted.kind is Kind.MX:
        raise filling.wrong(key, "the domain's MX is said by the key mx")
    if wanted.kind is Kind.TXT and not wanted.values:
        raise filling.wrong(key, "the domain's texts are many people's; they can't all be removed")
    if wanted.kind is Kind.TXT and any(map(is_spf, wanted.values)):
        raise filling.wrong(key, "the domain's SPF is said by the keys spf, spf_old and spf_all")


def _check_together(records: Iterable[Wanted], filling: Filling) -> None:
    """Each set is said once, and no CNAME stands beside anything."""
    said: set[tuple[str, Kind, Moment]] = set()
    standing: dict[str, set[Kind]] = {}
    for wanted in records:
        place = wanted.name, wanted.kind, wanted.moment
        if place in said and wanted.kind is not Kind.TXT:
            raise filling.wrong("record", f"{wanted.name} {wanted.kind} is said twice")
        said.add(place)
        if wanted.values:
            standing.setdefault(wanted.name, set()).add(wanted.kind)
    for name, kinds in standing.items():
        if Kind.CNAME in kinds and len(kinds) > 1:
            raise filling.wrong("record", f"{name} can't be a CNAME and anything else beside")


def _record(row: Table, filling: Filling, key: str) -> Wanted | None:
    """None: a word that may be missing is."""
    unknown = sorted(set(row) - RECORD_KEYS)
    if unknown:
        raise filling.wrong(key, f"there is no key {printable(unknown[0], 60)}")
    for needed in ("name", "kind", "values"):
        if needed not in row:
            raise filling.wrong(key, f"{needed} is missing")
    kind, moment = str(row["kind"]).upper(), str(row.get("moment", "switch"))
    if kind not in WRITABLE:
        raise filling.wrong(key, f"{printable(kind, 40)} is none of {', '.join(WRITABLE)}")
    if moment not in MOMENTS:
        raise filling.wrong(key, f"{printable(moment, 40)} is none of {', '.join(MOMENTS)}")
    name = filling.fill(str(row["name"]), f"{key}: name")
    texts = _texts(row, "values", f"{filling.where}: {key}")
    values = [filling.fill(each, f"{key}: values") for each in texts]
    if name is None or None in values:
        return None
    name = domain_name(name)
    if not inside(name, filling.domain):
        raise filling.wrong(key, f"{name} doesn't lie in {filling.domain}")
    given = [canonical(Kind(kind), each) for each in values if each is not None]
    return Wanted(
        topic=str(row.get("topic", "other")),
        name=name,
        kind=Kind(kind),
        values=tuple(sorted(given)),
        moment=MOMENTS[moment],
        ttl=_ttl(row, filling),
    )


def _ttl(table: Table, filling: Filling) -> int | None:
    ttl = table.get("ttl")
    if ttl is None:
        return None
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 1 <= ttl <= TTL_MOST:
        raise filling.wrong("ttl", f"seconds from 1 to {TTL_MOST}, not {printable(str(ttl), 40)}")
    return ttl


def _filter(table: Table, filling: Filling) -> Filter | None:
    given = table.get("filter")
    if given is None:
        return None
    if isinstance(given, str):
        return Filter(given)
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise filling.wrong("filter", "a name, or a table with name and hosts")
    hosts = _texts(given, "hosts", f"{filling.where}: filter")
    return Filter(str(given["name"]), tuple(map(domain_name, hosts)))


def _texts(table: Table, key: str, where: str) -> tuple[str, ...]:
    given = table.get(key, ())
    if (
        isinstance(given, str)
        or not isinstance(given, Sequence)
        or not all(isinstance(each, str) for each in given)
    ):
        raise BadInput(f"{where}: {key}: a list of texts is wanted")
    return tuple(given)


def _all_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _all_texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _all_texts(each)
