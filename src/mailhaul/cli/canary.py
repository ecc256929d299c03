"""`mailhaul canary`: every probe and every marked message of a plan, and what came of it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.canary_figures import canary_words, figures_json
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import PLAN, WHERE, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.status_report import moment
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.journey.canary_account import CanaryFigures, CanaryShown
    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

NONE = "the plan has no canary mail; on = true under [canary] wants it"
_TONES = {Severity.BLOCKS: Tone.BAD, Severity.WARNS: Tone.WARNING, Severity.TELLS: Tone.PLAIN}


def canary(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows what stands in rows; says nothing to any mail host. Raises `BadInput`."""
    from mailhaul.journey.canary_account import canary_figures, canary_list

    with installation(arguments, surroundings) as home, home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        figures = canary_figures(connection, plan)
        shown = canary_list(connection, plan)
    wanted = arguments.texts("--mailbox")
    shown = [each for each in shown if not wanted or each.row.address in wanted]
    if arguments.given("--json"):
        for line in canary_lines(plan, figures, shown):
            surroundings.console.json(line)
    else:
        surroundings.console.show(canary_blocks(plan, figures, shown))
    return Exit.COMPLETE


def canary_blocks(
    plan: "PlanRow", figures: "list[CanaryFigures]", shown: "list[CanaryShown]"
) -> list[Block]:
    """All of it, for a person: a domain's figures, its probes and messages, what was found."""
    if not figures:
        return [Line(NONE)]
    blocks: list[Block] = []
    for each in figures:
        here = [one for one in shown if one.row.name == each.domain]
        blocks += [Line(f"{each.domain}: {canary_words(each)}", Tone.HEADING)]
        if here:
            blocks.append(_table(plan, here))
        told: dict[str, Tone] = {}
        for one in here:
            for found in one.findings:
                if found.severity is not Severity.TELLS:
                    cure = f"; {found.remedy}" if found.remedy else ""
                    text = f"  {found.severity}: {found.code}: {found.evidence}{cure}"
                    told[text] = _TONES[found.severity]
        blocks += [Line(text, tone) for text, tone in told.items()]
    return blocks


def canary_lines(
    plan: "PlanRow", figures: "list[CanaryFigures]", shown: "list[CanaryShown]"
) -> list[dict[str, Json]]:
    """All of it, for `--json`: each probe and message, then each domain."""
    lines = [canary_line(plan, each) for each in shown]
    return lines + [
        {
            "event": "canary_domain",
            "plan": plan.name,
            "domain": each.domain,
            **figures_json(each),
        }
        for each in figures
    ]


def canary_line(plan: "PlanRow", each: "CanaryShown") -> dict[str, Json]:
    """One probe or message."""
    row = each.row
    return {
        "event": "canary",
        "plan": plan.name,
        "domain": row.name,
        "mailbox": row.address,
        "via": row.via.value,
        "act": row.kind.value,
        "switched": row.era.switched,
        "state": row.stage.value,
        "outcome": row.outcome,
        "said": row.said,
        "at": row.sent_at,
        "taken_at": row.taken_at,
        "seconds": None if each.seconds is None else round(each.seconds, 3),
        "token": row.token,
        "places": [
            {
                "side": one.found.side.value,
                "folder": "/".join(one.found.path),
                "at": one.found.seen,
                "removed": one.gone,
            }
            for one in row.seen
        ],
        "due": row.due_at,
        "reason": row.reason,
        "findings": [asdict(found) for found in each.findings],
    }


def _table(plan: "PlanRow", shown: "list[CanaryShown]") -> Table:
    heading = ("mailbox", "when", "what", "by", "outcome", "after", "why")
    cells = tuple(
        (
            each.row.address,
            moment(each.row.sent_at, plan.plan.zone),
            "probe" if each.row.kind == "ask" else "message",
            each.row.via.words,
            each.row.outcome or each.row.stage.value,
            "" if each.seconds is None else f"{each.seconds:.0f} s",
            printable(each.row.reason or each.row.said, 200),
        )
        for each in shown
    )
    return Table(heading, cells, frozenset({5}))


COMMAND = Command(
    name="canary",
    summary="list the probes and marked messages of a plan, and what came of each",
    story=(
        "With on = true under [canary] a worker asks the new system's mail host, before the "
        "switch, whether it takes mail for every address, and sends nothing there; after the "
        "switch it sends each address one marked message by the MX that resolvers name, and looks "
        "where it comes out. The old host is asked too, and given one marked message before the "
        "switch and one after it: it may still deliver locally. Marked messages are taken out of "
        "the new mailboxes once they have been seen."
        "\n\n"
        "Here each of them is listed: by which way, what the host said, where it came out and "
        "after how many seconds, and what to do about it. All of it is read from the database; "
        "nobody is asked."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (Option("--mailbox", "this mailbox alone (repeatable)", "ADDRESS", repeated=True),),
        ),
        WHERE,
        OUTPUT,
    ),
    examples=("mailhaul canary acme", "mailhaul canary acme --json"),
    exits=(Exit.COMPLETE, Exit.USAGE),
    run=canary,
)
