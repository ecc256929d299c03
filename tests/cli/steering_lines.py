"""Lines of `--json` of the commands that steer plans, for the test of docs/json-events.md."""

from pathlib import Path
from typing import Any

from mailhaul.canary.routes import Act, Via
from mailhaul.canary.watch import Found as Spotted
from mailhaul.canary.watch import Side
from mailhaul.cli.approve import opened_line
from mailhaul.cli.blocks import Json
from mailhaul.cli.canary import canary_lines
from mailhaul.cli.cutover_report import (
    Intended,
    report_lines,
    step_done_line,
    sweeps_ended_line,
)
from mailhaul.cli.log import proof_line, record_line
from mailhaul.cli.ordering import result_line
from mailhaul.cli.start import started_line
from mailhaul.cli.status_report import mailbox_line, row_line, status_line
from mailhaul.core.finding import Finding, Severity
from mailhaul.journey.account import Account
from mailhaul.journey.canary_account import CanaryFigures, CanaryShown
from mailhaul.journey.canary_rows import CanaryRow, Era, Sighting, Stage
from mailhaul.journey.details import Details, Found, Leftover, PassDone
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.events import Logged, Record
from mailhaul.journey.gates import Opened
from mailhaul.journey.loading import Loaded
from mailhaul.journey.orders import Left, Result
from mailhaul.journey.plans import PlanRow, PlanState, plan_text
from mailhaul.journey.questions import Gate
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.runbook import Owner, Progress, Step
from mailhaul.journey.states import State
from mailhaul.journey.status import Due, Figures, Pace, Status, WaveStatus
from mailhaul.journey.waits import Wait
from mailhaul.plan.model import Plan, System

NOW = 1_800_000_000.0
RESULT = Result(["a@b"], [Left("c@d", "it is completed")], ["see"])
OPENED = Opened(Gate.GO, "one", 1, NOW, "Olga", "o@desk", "Go?")
PLAN = Plan(name="p", source=System(url="imaps://{address}@h"), target=System(url="eml:x"))
ROW = PlanRow(1, "p", plan_text(PLAN), Path("/p"), PlanState.RUNNING, NOW, None, None)
FIGURES = Figures(2, Account(9, 4, 2, 1, 1, 1), 800, 9, 900, 100)
EMPTY = Status(ROW, NOW, {}, {}, Figures(), (), (), (), (), 0, 0, None, None)
FULL = Status(
    ROW,
    NOW,
    {State.SYNCED: 2},
    {"synced": 2},
    FIGURES,
    (WaveStatus("one", {State.SYNCED: 2}, FIGURES, NOW, OPENED),),
    (OPENED,),
    (Wait("the gate", 2, "approve", ("a@b",)),),
    (Due(NOW, "a@b", State.SYNCED),),
    1,
    1,
    Pace(1.5, 3.5),
    NOW,
    {"good": 1},
    1,
    CanaryFigures("", True, 2, 2, 1, 1, 3, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, (2.5, 3.5)),
)


def mailbox(*, far: bool) -> MailboxRow:
    """A mailbox's row with everything in it, or with next to nothing."""
    texts = ("address", "wave", "source", "target", "source_secret", "target_secret", "reason")
    unset = ("due_at", "expected_messages", "expected_octets", "approved_at", "started_at")
    nothing = ("resume_state", "refused_secret", "approved_by", *unset)
    values: dict[str, Any] = dict.fromkeys(MailboxRow.__dataclass_fields__, 1)
    values |= dict.fromkeys(texts, "x") | {"grade": "good", "opened_once": far, "left_out": far}
    values |= {"state": State.PAUSED, "resume_state": State.SYNCED, "approved_by": "Olga"}
    if not far:
        values |= dict.fromkeys(nothing) | {"state": State.PLANNED, "grade": ""}
    return MailboxRow(**values)


DETAILS = Details(
    mailbox(far=True),
    (PassDone(1, "initial", NOW, None, "", 1, 2, 3, 4, None),),
    (Leftover("INBOX", "7", "refused", "too large", "Hi", None),),
    (Found("warns", "quota", "nearly full", "make room"),),
    (Found("note", "altered", "NUL"),),
)

LINES: list[dict[str, Json]] = [
    started_line("p", None, RESULT),
    started_line("p", Loaded(1, added=["a@b"], changed=["new"], kept=["old"]), RESULT),
    result_line("pause", "p", RESULT),
    opened_line("p", OPENED),
    status_line(EMPTY),
    status_line(FULL),
    row_line(mailbox(far=False)),
    row_line(mailbox(far=True)),
    mailbox_line(DETAILS),
    record_line(Logged(1, NOW, Record("loaded"), "0", "1"), ""),
    record_line(Logged(2, NOW, Record("checked", mailbox=1, figures={"n": 1}), "1", "2"), "a@b"),
    proof_line("", 2, "2"),
]

STEP = Step("go", "go or no-go", Owner.BOTH, Progress.NOW, 1.5, "seen", "mailhaul return")
ZONE = DomainRow(
    1, 1, "acme.example", DomainState.WATCHED, None, 0, 0, None, 1.0, "why", 0, None, None, 2.0,
    "old", True, 300, 1.0, 2.0, None, None, None, None,
)  # fmt: skip
LINES += [
    *report_lines(ROW, "w", [STEP], [ZONE], [Intended(ZONE.name, ("+ x",))]),
    *report_lines(ROW, "w", [], [ZONE], []),
    step_done_line("acme", "w", "people", True),
    sweeps_ended_line("acme", "w", ["a@b"]),
]


def canary(*, far: bool) -> CanaryShown:
    """A message that came out, or a probe that nobody has made yet."""
    values: dict[str, Any] = dict.fromkeys(CanaryRow.__dataclass_fields__)
    values |= {"id": 1, "plan": 1, "domain": 1, "mailbox": 1, "step": 0, "tries": 0, "sent_at": 1.0}
    values |= {"name": "acme.example", "address": "a@acme.example", "person": State.SYNCED}
    values |= {"via": Via.MX, "kind": Act.SEND, "era": Era(True, 1.0), "stage": Stage.SOUGHT}
    values |= dict.fromkeys(("token", "verdict", "said", "reached", "outcome", "reason"), "x")
    found = Spotted("x", Side.NEW, ("INBOX",), 7, 2.5)
    values |= {"seen": (Sighting(found, True),) if far else (), "since": {}}
    if far:
        values |= {"due_at": 3.0, "taken_at": 1.5}
    findings = (Finding("CANARY_ARRIVED", Severity.TELLS, "there", ""),) if far else ()
    return CanaryShown(CanaryRow(**values), 1.0 if far else None, findings)


LINES += canary_lines(
    ROW,
    [CanaryFigures("acme.example"), CanaryFigures("b.example", seconds=(1.5,))],
    [canary(far=False), canary(far=True)],
)
