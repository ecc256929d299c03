"""The resolver of the tables: a dict of zones, after whose fashion every answer can be made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.records import Kind

Zone = Mapping[str, Mapping[str, object]]
"""Name → kind → values (a text, or several in a list), or an `Outcome` instead of values. A name
`*.example.org` answers for every name below it that isn't there (RFC 4592)."""


@dataclass
class DictResolver:
    """Answers from a dict. `asked` is every question, in order."""

    zone: Zone
    ttl: int = 300
    negative_ttl: int = 600
    secure: bool = False
    asked: list[tuple[str, Kind]] = field(default_factory=list)

    async def look_up(self, name: str, kind: Kind) -> Answer:
        self.asked.append((name, kind))
        aliases: list[str] = []
        while True:
            node = self._node(name)
            if node is None:
                return self._answer(name, kind, Outcome.NXDOMAIN, (), aliases)
            there = node.get(kind.value)
            if isinstance(there, Outcome):
                return self._answer(name, kind, there, (), aliases)
            if there is not None:
                values = (there,) if isinstance(there, str) else tuple(map(str, there))  # type: ignore[call-overload]
                return self._answer(name, kind, Outcome.RECORDS, tuple(sorted(values)), aliases)
            alias = node.get("CNAME")
            if isinstance(alias, Outcome):
                return self._answer(name, kind, alias, (), aliases)
            if alias is None or len(aliases) > 8:
                return self._answer(name, kind, Outcome.NODATA, (), aliases)
            name = str(alias)
            aliases.append(name)

    def _node(self, name: str) -> Mapping[str, object] | None:
        if name in self.zone:
            return self.zone[name]
        if any(each.endswith(f".{name}") for each in self.zone):
            return {}
        parent = name
        while "." in parent:
            parent = parent.partition(".")[2]
            if f"*.{parent}" in self.zone:
                return self.zone[f"*.{parent}"]
            if parent in self.zone:
                break
        return None

    def _answer(
        self, name: str, kind: Kind, outcome: Outcome, values: tuple[str, ...], aliases: list[str]
    ) -> Answer:
        ttl = self.ttl if outcome is Outcome.RECORDS else self.negative_ttl
        asked = self.asked[-1][0]
        return Answer(
            asked, kind, outcome, values, ttl, tuple(aliases), authoritative=True,
            secure=self.secure,
        )  # fmt: skip
