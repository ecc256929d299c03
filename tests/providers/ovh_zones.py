"""Zones at OVHcloud, for its simulator: records by number, published by /refresh alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailhaul.core.errors import RetryLater
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.zone import Held
from tests.providers.ovh_works import Fault

KINDS = {kind.value for kind in Kind}


@dataclass
class Record:
    """One record. `ttl` None: the zone's own."""

    type: str
    subdomain: str
    target: str
    ttl: int | None


@dataclass
class Zones:
    """All zones. `published` is what the name servers have, `broken` how many further writes still
    go well before all fail, `lost` how many before the answer to one that is carried out is."""

    zones: dict[str, dict[int, Record]] = field(default_factory=dict)
    published: dict[str, list[tuple[str, str, str, int | None]]] = field(default_factory=dict)
    broken: int | None = None
    lost: int | None = None
    number: int = 5000

    def zone(self, name: str, sets: Iterable[RecordSet] = ()) -> None:
        """There is such a zone."""
        self.zones[name] = {}
        for each in sets:
            subdomain = "" if each.name == name else each.name.removesuffix(f".{name}")
            for text in Held(each).texts().values():
                self._add(name, Record(each.kind.value, subdomain, text, each.ttl))
        self._publish(name)

    def answer(
        self,
        method: str,
        path: str,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        """What the API says."""
        value = self._answer(method, path, names, query, body)
        if method != "GET" and self.lost is not None:
            self.lost -= 1
            if self.lost < 0:
                self.lost = None
                raise RetryLater("hung up")
        return value

    def _answer(
        self,
        method: str,
        path: str,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        name = names["zoneName"]
        if name not in self.zones:
            raise Fault(404, "This service does not exist")
        records = self.zones[name]
        tail = path.partition("{zoneName}")[2]
        if method != "GET" and self.broken is not None:
            if self.broken <= 0:
                raise Fault(400, "Internal rule refuses this record")
            self.broken -= 1
        match method, tail:
            case "GET", "":
                return {"name": name, "nameServers": ["dns10.ovh.net", "ns10.ovh.net"]}
            case "GET", "/soa":
                return {"ttl": 3600}
            case "POST", "/refresh":
                self._publish(name)
                return None
            case "GET", "/record":
                type_, subdomain = query.get("fieldType"), query.get("subDomain")
                return [
                    number
                    for number, each in records.items()
                    if type_ in (None, each.type) and subdomain in (None, "", each.subdomain)
                ]
            case "POST", "/record":
                record = Record(
                    str(body["fieldType"]),
                    str(body.get("subDomain") or ""),
                    str(body["target"]),
                    int(str(body["ttl"])) if "ttl" in body else None,
                )
                beside = [e for e in records.values() if e.subdomain == record.subdomain]
                if beside and "CNAME" in {record.type, *(each.type for each in beside)}:
                    raise Fault(400, "A CNAME can't stand beside other records")
                number = self._add(name, record)
                return self._shown(name, number)
        number = int(names["id"])
        if number not in records:
            raise Fault(404, "The requested object (id) does not exist")
        match method:
            case "GET":
                return self._shown(name, number)
            case "PUT":
                ttl = body.get("ttl", records[number].ttl)
                records[number].ttl = None if ttl is None else int(str(ttl))
                records[number].target = str(body.get("target", records[number].target))
            case "DELETE":
                del records[number]
        return None

    def _add(self, zone: str, record: Record) -> int:
        self.number += 1
        self.zones[zone][self.number] = record
        return self.number

    def _shown(self, zone: str, number: int) -> dict[str, object]:
        record = self.zones[zone][number]
        return {
            "fieldType": record.type,
            "id": number,
            "subDomain": record.subdomain,
            "target": record.target,
            "ttl": record.ttl,
            "zone": zone,
        }

    def _publish(self, name: str) -> None:
        records = self.zones[name].values()
        self.published[name] = [(e.type, e.subdomain, e.target, e.ttl) for e in records]
