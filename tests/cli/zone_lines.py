"""One of each line of `--json` that the commands about zones send."""

from datetime import UTC, datetime
from typing import Any, cast

from mailhaul.cli.blocks import Json
from mailhaul.cli.exits import Exit
from mailhaul.cli.zone_desk import end_line, trouble_line
from mailhaul.cli.zone_ordering import heard_line
from mailhaul.cli.zone_report import share_lines, written_line
from mailhaul.cli.zone_table import sight_lines
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.expected import Moment
from mailhaul.dns.propagation import Look, Seen, Switched
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.snapshot import Change, Snapshot
from mailhaul.dns.switch import Result
from mailhaul.dns.ttl_plan import TtlPlan
from mailhaul.dns.watching import Seen as Heard
from mailhaul.dns.watching import Standing
from mailhaul.dns.zone import Edit, held
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.zone_looks import Sighted, Told
from mailhaul.journey.zone_orders import Written, ZonePlan
from mailhaul.journey.zone_plans import Share, Stage, Ttls

NAME, KIND = "acme.example", Kind.MX
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
ROW = DomainRow(
    **{
        **cast("dict[str, Any]", dict.fromkeys(DomainRow.__dataclass_fields__)),
        "name": NAME,
        "state": DomainState.WATCHED,
    }
)
EDIT = Edit(held(NAME, KIND, 9, {"1 a": "1 a."}), held(NAME, KIND, 3, {"1 b": "1 b."}))
SHARE = Share(Moment.NOW, Snapshot(MOMENT, (Change(NAME, (EDIT,)),)))
LOW = RecordSet(NAME, KIND, 3, ("1 a",))
LOOK = Look(1.0, Server("192.0.2.1"), True, NAME, KIND, Seen.OLD, ("1 a",), 3)
RECORD = Switched(NAME, KIND, ("1 a",), ("1 b",), 3)
ANSWER = Answer(NAME, KIND, Outcome.RECORDS)
DONE = {"done": 1, "waits": 2, "failed": 3}
LINES: list[dict[str, Json]] = [
    *share_lines(
        ZonePlan(
            ROW,
            Stage.BEFORE,
            (SHARE,),
            Ttls(3, (LOW,), TtlPlan(MOMENT, (LOW,), MOMENT, MOMENT), 9, 1.0, 2.0),
            by_person=False,
        )
    ),
    *share_lines(ZonePlan(ROW, Stage.BEFORE, (), Ttls(3, ()), by_person=True)),
    trouble_line(NAME, "no"),
    written_line("apply", NAME, Written("now", Result.DONE, (EDIT,))),
    written_line("return", NAME, Written("switch", Result.WAITS, (EDIT,), lines=("+ x",))),
    dict(heard_line(NAME, Heard(Server("192.0.2.1"), EDIT, Standing.NEW, ANSWER))),
    *sight_lines(
        Sighted(
            ROW,
            Stage.SINCE,
            5.0,
            (Told(RECORD, Seen.NEW, (LOOK,), 9.0), Told(RECORD, Seen.NEW, (LOOK,), None, 3)),
        )
    ),
    end_line("plan", "acme", 1, {"to_write": 2, "failed": 3}, Exit.DIFFERENT),
    end_line("apply", "acme", 1, DONE, Exit.INCOMPLETE),
    end_line("return", "acme", 1, DONE, Exit.INCOMPLETE),
    end_line("verify", "acme", 1, {"records": 2, "wrong": 3, "failed": 0}, Exit.DIFFERENT),
]
