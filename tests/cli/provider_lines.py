"""One of each line of `--json` that the commands about providers and accounts send."""

from typing import Any, cast

from mailhaul.cli.accounts_report import looked_end, looked_line, made_end, made_line
from mailhaul.cli.blocks import Json
from mailhaul.cli.exits import Exit
from mailhaul.cli.inventory_report import inventory_end, inventory_line
from mailhaul.cli.moves_report import move_line, status_end, step_line
from mailhaul.cli.prospect_report import outlook_lines
from mailhaul.cli.provider_report import (
    Entry,
    account_line,
    domain_line,
    end_line,
    extra_line,
    obstacle_line,
    record_line,
    service_line,
    trouble_line,
)
from mailhaul.cli.provider_tasks import Asked
from mailhaul.cli.tasks_report import task_line, tasks_end
from mailhaul.cli.wizard_check import Checked
from mailhaul.cli.wizard_report import check_lines, move_end
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import Part, StepRow, StepState
from mailhaul.journey.inventory import Course
from mailhaul.journey.inventory import Entry as Beside
from mailhaul.providers.actions import Add, Configure, Create
from mailhaul.providers.extras import Alias, Redirection
from mailhaul.providers.making import Fate, Looked, Made
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.paths import Path, Route
from mailhaul.providers.prospect import Outlook, Prospect
from mailhaul.providers.provider import Task, TaskState
from mailhaul.providers.saga import Guard, Move, left_behind, steps
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Contacts,
    DomainStatus,
    Generation,
    HostedDomain,
    Service,
    Verb,
)

ADDRESS = "anna@acme.example"
MX = RecordSet("acme.example", Kind.MX, 300, ("10 mx.new.example",))
SERVICE = Service("lab", "ex", "Exchange", frozenset({Verb.CONFIGURE}))
OLD = Service("lab", "mx", "MX Plan", frozenset({Verb.RENAME}), generation=Generation.NEW, free=3)
ALIAS = Alias(ADDRESS, "a@acme.example")
FOUND = finding(Obstacle("FORWARD_EXIST", "to b@c"))
MOVE = Move(ADDRESS, placeholder="p@configureme.me", temporary="anna01@acme.example")
PROSPECT = Prospect(
    MOVE,
    Account(ADDRESS, AccountState.CONFIGURED, used=3, messages=1),
    steps(Path.NEW, MOVE, OLD, SERVICE),
    (FOUND,),
    left_behind(Path.NEW, Move(ADDRESS, extras=(ALIAS,)), SERVICE),
    Guard.ALIAS,
    2,
)
BARE = Prospect(Move(ADDRESS), None, (), (), (), Guard.NONE)
LOOKED = Looked(Configure("p@configureme.me", ADDRESS), lines=("POST /x",))
TASK = Task("4711", TaskState.DOING, "at it")
ROW = MoveRow(
    **{
        **cast("dict[str, Any]", dict.fromkeys(MoveRow.__dataclass_fields__)),
        "address": ADDRESS,
        "state": MoveState.MOVING,
        "ready": True,
        "path": "new",
        "placeholder": "",
        "temporary": "",
        "reason": "",
        "since_at": 1.0,
        "guarded": False,
    }
)
STEP = StepRow(
    **{
        **cast("dict[str, Any]", dict.fromkeys(StepRow.__dataclass_fields__)),
        "part": Part.MOVE,
        "position": 0,
        "side": Side.SOURCE,
        "kind": "rename",
        "words": "rename",
        "state": StepState.BEGUN,
        "task": "4711",
        "said": "",
        "by_person": False,
    }
)
LINES: list[dict[str, Json]] = [
    service_line("source", OLD, Contacts("us-1", "us-1")),
    service_line("target", SERVICE, Contacts("")),
    account_line("source", Account(ADDRESS, AccountState.BUSY)),
    account_line(
        "source", Account(ADDRESS, AccountState.LOCKED, "A", 9, 3, 1, ("a@b",), frozenset(Access))
    ),
    extra_line("source", ALIAS),
    domain_line("target", HostedDomain("acme.example", DomainStatus.OK)),
    domain_line("target", HostedDomain("acme.example", DomainStatus.UNPROVEN, proof=MX)),
    obstacle_line("source", ADDRESS, Obstacle("RESPONDER_EXIST", "on")),
    record_line("target", "acme.example", Entry("now", MX, None)),
    record_line("target", "acme.example", Entry("now", MX, True)),
    trouble_line("source", "away"),
    end_line("show", "acme", 2, 1, Exit.UNREACHABLE),
    *outlook_lines(
        "acme",
        Outlook(Route(Path.NEW, ("so",), (FOUND,)), OLD, SERVICE, (), (PROSPECT, BARE)),
        Exit.INCOMPLETE,
    ),
    *outlook_lines("acme", Outlook(Route(None), None, None, (), ()), Exit.COMPLETE),
    inventory_line(Beside(Redirection(ADDRESS, "b@c"), Course.BY_HAND, "can't")),
    inventory_end("acme", [Beside(ALIAS, Course.CARRIED)]),
    looked_line(LOOKED),
    looked_line(Looked(Create(ADDRESS), holds=True)),
    looked_end("acme", [LOOKED], None, "", Exit.COMPLETE),
    looked_end("acme", [LOOKED], 0, "1 more", Exit.INCOMPLETE),
    made_line(Made(Add(ALIAS), Fate.FAILED, "no")),
    made_line(Made(LOOKED.action, Fate.MADE)),
    made_end("acme", [Made(Add(ALIAS), Fate.THERE)], Exit.COMPLETE),
    task_line(Asked("source", "4711", ADDRESS, "rename", TASK)),
    task_line(Asked("source", "4711", why="gone")),
    tasks_end("acme", [], Exit.COMPLETE),
    *check_lines([Checked(ADDRESS, (FOUND,))]),
    move_end("acme", 1, 0, begun=True, code=Exit.COMPLETE),
    move_line("acme", ROW),
    step_line(ADDRESS, STEP),
    status_end("acme", [ROW]),
]
