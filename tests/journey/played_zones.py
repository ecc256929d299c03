"""DNS for journeys without a network: a zone, servers that copy it when told to, a cache."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mailhaul.core.finding import Finding, Severity
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.desired import desired
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.zones import Done, Keep, Sight, expected_of, judged

OLD, NEW = "10 mx.old.example", "10 mx.new.example"


@dataclass
class PlayedZones:
    """One domain's MX at `primary`; `secondary` and `cache` lag behind until `spread`."""

    name: str
    ttl: int = 86_400
    primary: RecordSet = field(init=False)
    views: dict[str, RecordSet] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    by_hand: bool = False
    blocked: str = ""
    wrong: Callable[[str], None] = field(default=lambda moment: None)
    """Called with `before keeping`, `before writing`, `after writing`; may raise."""
    stuck: str = ""
    looks: int = 0

    def __post_init__(self) -> None:
        self.primary = RecordSet(self.name, Kind.MX, self.ttl, (OLD,))
        self.spread()

    def spread(self) -> None:
        """Every server holds what the primary holds."""
        self.views = dict.fromkeys(("secondary", "cache"), self.primary)

    def lower(self, ttl: int) -> None:
        """The zone's holder gives its records another TTL."""
        self.primary = replace(self.primary, ttl=ttl)
        self.spread()

    def write(self, *values: str) -> None:
        """Somebody changes the primary by hand."""
        self.primary = replace(self.primary, values=values)

    async def look(self, plan: PlanRow, row: DomainRow) -> Sight:
        self.looks += 1
        expected = expected_of(plan.plan, row.name, row.old_mx or ())
        wanted = desired(expected, {self.primary.key: self.primary}, Moment.SWITCH)
        mx = next((each for each in wanted if each.kind is Kind.MX), None)
        if mx is None:
            return Sight(())
        mx = replace(mx, values=tuple(map(str, expected.mx)))
        seen = []
        for server, held in {"primary": self.primary, **self.views}.items():
            answer = Answer(
                self.name, Kind.MX, Outcome.RECORDS, held.values, held.ttl
            )  # fmt: skip
            if server in self.silent:
                answer = replace(answer, outcome=Outcome.TIMEOUT, values=(), ttl=None)
            asked = Server("192.0.2.1", host=server)
            seen.append(judged(answer, mx, asked, authoritative=server != "cache"))
        findings: tuple[Finding, ...] = ()
        if self.blocked:
            findings = (Finding("X", Severity.BLOCKS, self.blocked, "mend it"),)
        return Sight(tuple(seen), (Aspect("SPF", self.name, Kind.TXT, findings=findings),))

    async def switch(self, plan: PlanRow, row: DomainRow, kept: str | None, keep: Keep) -> Done:
        if self.stuck:
            return Done(False, self.stuck, stuck=True, untouched=True)
        if kept is None:
            self.wrong("before keeping")
            before = {"ttl": self.primary.ttl, "values": self.primary.values}
            await keep(json.dumps(before, sort_keys=True))
        self.wrong("before writing")
        if self.by_hand and self.primary.values != (NEW,):
            return Done(False, f"write {self.name}. IN MX {NEW}.")
        self.primary = RecordSet(self.name, Kind.MX, 300, (NEW,))
        self.wrong("after writing")
        return Done(True, records=1)

    async def give_back(self, plan: PlanRow, row: DomainRow, kept: tuple[str, ...]) -> Done:
        for text in kept:
            held = json.loads(text)
            self.primary = RecordSet(self.name, Kind.MX, held["ttl"], tuple(held["values"]))
            self.spread()
        self.wrong("after writing")
        return Done(True, records=len(kept))
