"""When TTLs are lowered, when the cutover may be made, and what they become again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mailhaul.dns.desired import Key
from mailhaul.dns.expected import Expected, Filter, Moment, Wanted
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.dns.ttl_plan import MARGIN, raised, ttl_plan

NIGHT = datetime(2030, 1, 31, 20, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MX: Key = ("example.org", Kind.MX)
AD: Key = ("autodiscover.example.org", Kind.CNAME)
NEW = Expected(
    "example.org",
    mx=(MailHost(10, "mx.new.example"),),
    records=(Wanted("autodiscover", AD[0], Kind.CNAME, ("ad.new.example",), Moment.SWITCH),),
    ttl=300,
)
FILTERED = Expected("example.org", mx=NEW.mx, filter=Filter("Mimecast"))


@dataclass(frozen=True)
class Case:
    """`ttls` of MX and autodiscover as they stand; `lowered`: MX had a day's, and was seen with it
    so long before the night."""

    name: str
    ttls: tuple[int, int]
    now: timedelta
    lower: frozenset[Key]
    longest: timedelta
    late: bool
    lowered: timedelta | None = None
    expected: Expected = NEW
    mx: str = "10 mx.old.example"


CASES = [
    Case("a day's TTL two days ahead", (86400, 300), 2 * DAY, frozenset({MX}), DAY, False),
    Case("a day's TTL an hour ahead", (86400, 300), HOUR, frozenset({MX}), DAY, True),
    Case("the longest counts", (3600, 86400), 2 * DAY, frozenset({MX, AD}), DAY, False),
    Case("all is low", (300, 60), HOUR, frozenset(), 0 * DAY, False),
    Case("lowered an hour ago, and held for a day", (300, 300), HOUR, frozenset(), 0 * DAY, True,
         lowered=2 * HOUR),
    Case("lowered long ago", (300, 300), HOUR, frozenset(), 0 * DAY, False, lowered=2 * DAY),
    Case("with a filter MX doesn't change", (86400, 300), HOUR, frozenset(), 0 * DAY, False,
         expected=FILTERED),
    Case("MX stands already", (86400, 300), HOUR, frozenset(), 0 * DAY, False,
         mx="10 mx.new.example"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_when_to_lower(case: Case) -> None:
    present = {
        MX: RecordSet(*MX, case.ttls[0], (case.mx,)),
        AD: RecordSet(*AD, case.ttls[1], ("ad.old.example",)),
    }
    lowered = {MX: (86400, NIGHT - case.lowered)} if case.lowered is not None else None
    plan = ttl_plan(case.expected, present, NIGHT, NIGHT - case.now, lowered)
    assert {each.key for each in plan.lower} == case.lower
    assert all(each.ttl == 300 and each.values == present[each.key].values for each in plan.lower)
    assert plan.lower_by == NIGHT - case.longest - MARGIN
    assert plan.late is case.late


def test_afterwards_they_are_what_they_were() -> None:
    written = [
        RecordSet(*MX, 300, ("10 mx.new.example",)),
        RecordSet(*AD, 300, ("ad.new.example",)),
        RecordSet("a.example.org", Kind.A, 7200, ("192.0.2.1",)),
        RecordSet("b.example.org", Kind.A, 300, ()),
    ]
    assert [(each.name, each.ttl) for each in raised(written, {MX: 86400})] == [
        ("example.org", 86400),
        ("autodiscover.example.org", 3600),
    ]
