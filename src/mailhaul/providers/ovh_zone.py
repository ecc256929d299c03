"""A zone at OVHcloud (/domain/zone): compared before it is written, published by /refresh.

What is written is seen by nobody until /refresh, so that a change that breaks off in the middle is
put back, and nothing of it has ever been served. Two things OVHcloud can't do: comparing and
writing are two steps there (somebody's change between the two, within a second or so, would be
overtaken by ours), and /refresh publishes whatever else has been edited meanwhile.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from mailhaul.core.errors import Closed, MailhaulError, RetryLater
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name, inside
from mailhaul.dns.records import Kind, zone_value
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.wire import value
from mailhaul.dns.zone import Edit, Held, Key, ZoneError, held, nothing
from mailhaul.providers.ovh_answers import fields, numbers
from mailhaul.providers.ovh_api import Api, Missing, Refusal
from mailhaul.providers.provider import Unsupported

_TEXTS = ("TXT", "SPF", "DKIM", "DMARC")
"""Types of OVHcloud's that are all TXT records in the zone that is served."""

_KINDS: Mapping[Kind, tuple[str, ...]] = {
    **{
        kind: (kind.value,)
        for kind in (Kind.A, Kind.AAAA, Kind.CNAME, Kind.MX, Kind.NS, Kind.SRV, Kind.TLSA)
    },
    Kind.TXT: _TEXTS,
}
"""What OVHcloud can hold of ours; DS is the registry's there and SOA a thing of its own."""

_SHORTEST_TTL = 60
_NO_TTL = 0


@dataclass(frozen=True, slots=True)
class _Record:
    """One record there. A `ttl` of 0 is the zone's own."""

    number: int
    subdomain: str
    type: str
    target: str
    ttl: int


class OvhZone:
    """A `ZoneWriter` of the zone of that name. Whoever opened `api` closes it; with `closes` it is
    closed after every read and change, for those who have no end to close it at."""

    by_person = False

    def __init__(self, zone: str, api: Api, *, closes: bool = False) -> None:
        self._zone = domain_name(zone)
        self._api = api
        self._closes = closes

    @property
    def zone(self) -> str:
        return self._zone

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        """As `ZoneWriter` has it, of what has been written, published or not."""
        try:
            return {key: _held(key, *found) for key, found in (await self._read(keys)).items()}
        finally:
            await self._end()

    async def change(self, edits: Sequence[Edit]) -> None:
        """As `ZoneWriter` has it; see the module for what it can't."""
        try:
            await self._change(edits)
        finally:
            await self._end()

    async def _change(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            ttl = edit.after.records.ttl
            if edit.after.values and ttl < _SHORTEST_TTL:
                said = f"a TTL of {ttl} s for {edit.key[0]}: OVHcloud's shortest is 60 s"
                raise ZoneError(Code.ZONE_UPDATE_REFUSED, said, remedy="choose a longer TTL")
        there = await self._read(edit.key for edit in edits)
        for edit in edits:
            found = _held(edit.key, *there[edit.key])
            if found.values != edit.before.values:
                name, kind = edit.key
                now = "; ".join(sorted(found.values)) or "nothing"
                said = f"{kind} {name} is now {printable(now, 300)}"
                raise ZoneError(Code.ZONE_EDITED, said)
        if not edits:
            return
        try:
            # What must give way goes first: nothing stands beside a CNAME.
            for edit in edits:
                for record in there[edit.key][0]:
                    if _value(edit.key, record)[0] not in edit.after.values:
                        await self._gone(record.number)
            for edit in edits:
                await self._bring(edit, *there[edit.key])
        except MailhaulError as error:
            back = await self._put_back(edits, there)
            raise self._failed(error, written=False if back else None) from error
        try:
            await self._api.post("domain", "zone", self._zone, "refresh")
        except MailhaulError as error:
            raise self._failed(error, written=None) from error

    async def _bring(self, edit: Edit, there: Sequence[_Record], ttl: int) -> None:
        wanted = edit.after.records.ttl
        stands: set[str] = set()
        for record in there:
            own, _ = _value(edit.key, record)
            if own not in edit.after.values:
                continue
            if own in stands:
                await self._gone(record.number)
            elif (record.ttl or ttl) != wanted:
                await self._api.put(*self._record(record.number), body={"ttl": wanted})
            stands.add(own)
        subdomain = "" if edit.key[0] == self._zone else edit.key[0].removesuffix(f".{self._zone}")
        for own, text in edit.after.texts().items():
            if own not in stands:
                await self._written(_Record(0, subdomain, edit.key[1].value, text, wanted))

    async def _written(self, record: _Record) -> None:
        body: dict[str, object] = {
            "fieldType": record.type,
            "subDomain": record.subdomain,
            "target": record.target,
        }
        if record.ttl != _NO_TTL:
            body["ttl"] = record.ttl
        path = ("domain", "zone", self._zone, "record")
        await self._api.post(*path, body=body)

    async def _gone(self, number: int) -> None:
        try:
            await self._api.delete(*self._record(number))
        except Missing:
            return

    async def _put_back(
        self, edits: Sequence[Edit], before: Mapping[Key, tuple[list[_Record], int]]
    ) -> bool:
        """Whether everything is as it was; nothing has been published. What stands is looked at
        anew: a request whose answer was lost may have been carried out."""
        try:
            now = await self._read(before)
            for edit in edits:
                old = {each.number for each in before[edit.key][0]}
                for record in now[edit.key][0]:
                    ours = record.number not in old
                    if ours and _value(edit.key, record)[0] in edit.after.values:
                        await self._gone(record.number)
            for key, (records, _) in before.items():
                left = {each.number: each for each in now[key][0]}
                for record in records:
                    if record.number not in left:
                        await self._written(record)
                    elif left[record.number].ttl != record.ttl:
                        await self._api.put(*self._record(record.number), body={"ttl": record.ttl})
        except MailhaulError:
            return False
        return True

    async def _read(self, keys: Iterable[Key]) -> dict[Key, tuple[list[_Record], int]]:
        """The records under each key, and the TTL of those that have none of their own."""
        keys = tuple(keys)
        for name, kind in keys:
            if not inside(name, self._zone) or kind not in _KINDS:
                said = f"OVHcloud's zone {self._zone} can't hold {kind} {printable(name, 253)}"
                raise ZoneError(Code.ZONE_NOT_SERVED, said)
        try:
            found = {key: await self._records(key) for key in keys}
            own = _NO_TTL
            if any(record.ttl == _NO_TTL for each in found.values() for record in each):
                path = ("domain", "zone", self._zone, "soa")
                own = fields(await self._api.get(*path), "/".join(path)).number("ttl") or 3600
        except MailhaulError as error:
            raise self._failed(error, written=False) from error
        return {key: (records, own) for key, records in found.items()}

    async def _records(self, key: Key) -> list[_Record]:
        name, kind = key
        subdomain = "" if name == self._zone else name.removesuffix(f".{self._zone}")
        path = ("domain", "zone", self._zone, "record")
        listed: set[int] = set()
        for type_ in _KINDS[kind]:
            answer = await self._api.get(*path, fieldType=type_, subDomain=subdomain)
            listed.update(numbers(answer, "/".join(path)))
        asked = (self._api.get(*self._record(number)) for number in sorted(listed))
        records = [_record(each, "/".join(path)) for each in await asyncio.gather(*asked)]
        # The filter by name is OVHcloud's; what it means by an empty one is looked at here.
        return [
            each for each in records if each.subdomain == subdomain and each.type in _KINDS[kind]
        ]

    def _record(self, number: int) -> tuple[str, ...]:
        return ("domain", "zone", self._zone, "record", str(number))

    def _failed(self, error: MailhaulError, *, written: bool | None) -> ZoneError:
        if isinstance(error, ZoneError):
            return ZoneError(error.code, error.finding.evidence, written=written)
        said = printable(str(error), 500)
        if isinstance(error, Missing):
            return ZoneError(
                Code.ZONE_NOT_SERVED,
                f"OVHcloud holds no zone {self._zone}: {said}",
                remedy="name the zone as OVHcloud's panel does, and the account that it is in",
                written=written,
            )
        if isinstance(error, RetryLater):
            return ZoneError(Code.ZONE_UNREACHABLE, said, remedy="try again later", written=written)
        if isinstance(error, Refusal | Closed):
            return ZoneError(
                Code.ZONE_UPDATE_REFUSED,
                said,
                remedy="look at the keys' rights, and at what else stands at that name",
                written=written,
            )
        return ZoneError(Code.ZONE_SERVER_FAILED, said, written=written)

    async def _end(self) -> None:
        if self._closes:
            await self._api.close()


async def zone_of(api: Api, domain: str) -> OvhZone:
    """The zone that holds the domain: its own, or one above. Raises `Unsupported` where OVHcloud
    has none of them, or not for these keys."""
    labels = domain_name(domain).split(".")
    for start in range(len(labels) - 1):
        zone = ".".join(labels[start:])
        try:
            await api.get("domain", "zone", zone)
        except Missing:
            continue
        return OvhZone(zone, api)
    raise Unsupported(f"OVHcloud holds no zone of {printable(domain, 253)} for these keys")


def _held(key: Key, records: Sequence[_Record], own: int) -> Held:
    if not records:
        return nothing(key)
    # A record set has one TTL (RFC 2181 section 5.2), and OVHcloud's records one each.
    ttl = min(record.ttl or own for record in records)
    return held(*key, ttl, dict(_value(key, each) for each in records))


def _value(key: Key, record: _Record) -> tuple[str, str]:
    """The record's value as in `dns.records`, and how the zone spells it."""
    name, kind = key
    target = record.target.strip()
    if kind is Kind.TXT and not target.startswith('"'):
        target = zone_value(kind, target)
    data = _parsed(key, record, target)
    if data is None and kind is Kind.TXT and len(target) > 1 and target.endswith('"'):
        # One string of more than 255 octets: OVHcloud cuts it when it publishes.
        data = _parsed(key, record, zone_value(kind, target[1:-1]))
    if data is None:
        said = f"OVHcloud's {kind} {name} is no such record: {printable(record.target, 200)}"
        raise ZoneError(
            Code.ZONE_SERVER_FAILED, said, remedy="correct or remove it in OVHcloud's panel"
        )
    return value(data), data.to_text()


def _parsed(key: Key, record: _Record, target: str) -> dns.rdata.Rdata | None:
    """Names without a final dot are the zone's."""
    name, kind = key
    zone = name.removeprefix(f"{record.subdomain}.") if record.subdomain else name
    try:
        return dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.from_text(kind.value),
            target,
            origin=dns.name.from_text(zone),
            relativize=False,
        )
    except (dns.exception.DNSException, UnicodeError, ValueError):
        return None


def _record(answer: object, where: str) -> _Record:
    found = fields(answer, where)
    return _Record(
        number=found.number("id") or 0,
        subdomain=found.text("subDomain").casefold(),
        type=found.text("fieldType"),
        target=found.text("target"),
        ttl=found.number("ttl") or _NO_TTL,
    )
