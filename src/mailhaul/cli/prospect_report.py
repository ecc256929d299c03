"""How accounts would move: to a person, and as lines of JSON. Pure; nothing here prints."""

from collections.abc import Iterator, Sequence

from mailhaul.cli.blocks import NONE, Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import octets, plural
from mailhaul.cli.finding_report import finding_lines, findings_json, shared_findings
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.providers.paths import Path
from mailhaul.providers.prospect import Outlook, Prospect
from mailhaul.providers.saga import Guard

LONGEST = 300
PATHS = {
    Path.LEGACY: "legacy: the provider itself carries each account over; nothing takes that back",
    Path.NEW: "new: each is renamed, its address made at the target, and its mail copied",
    Path.CREATE: "create: each is made at the target, and left as it is at the source",
    Path.NONE: "none: accounts are left alone",
}


def verdict(found: Outlook) -> Exit:
    """Incomplete where something blocks."""
    every = [*found.route.findings, *(each for one in found.prospects for each in one.findings)]
    blocked = any(each.severity is Severity.BLOCKS for each in every)
    return Exit.INCOMPLETE if blocked else Exit.COMPLETE


def outlook_blocks(plan: str, found: Outlook, *, steps: bool) -> list[Block]:
    """All of it, for a person: the path and why, the accounts, what stands in the way of which."""
    path = found.route.path
    words = PATHS[path] if path else "no path can be told"
    blocks: list[Block] = [Line(f"{printable(plan, 80)}: {words}", Tone.HEADING)]
    blocks += [Line(f"  {printable(each, LONGEST)}", Tone.FAINT) for each in found.route.evidence]
    blocks += finding_lines([*found.route.findings, *found.gap])
    blocks.append(Line())
    if found.prospects:
        blocks += [_table(found.prospects), Line()]
    blocks += shared_findings(
        {each.move.address: each.findings for each in found.prospects},
        {one.code for one in found.gap},
    )
    if steps:
        for each in found.prospects:
            blocks += _steps(each)
    blocks += _summary(found)
    return blocks


def outlook_lines(plan: str, found: Outlook, code: Exit) -> Iterator[dict[str, Json]]:
    """The same for `--json`: the path, a line an account, the end."""
    yield {
        "event": "accounts_path",
        "plan": plan,
        "path": found.route.path.value if found.route.path else None,
        "evidence": list(found.route.evidence),
        "findings": findings_json([*found.route.findings, *found.gap]),
    }
    for each in found.prospects:
        yield {
            "event": "account_prospect",
            "address": printable(each.move.address, LONGEST),
            "octets": each.account.used if each.account else None,
            "messages": each.account.messages if each.account else None,
            "placeholder": printable(each.move.placeholder, LONGEST),
            "remaining": each.remaining,
            "temporary": printable(each.move.temporary, LONGEST),
            "guard": each.guard.value,
            "steps": [step.words for step in each.steps],
            "left": [remark.kind for remark in each.remarks],
            "findings": findings_json(each.findings),
            "blocked": each.blocked,
        }
    yield {
        "event": "accounts_check",
        "plan": plan,
        "accounts": len(found.prospects),
        "blocked": sum(each.blocked for each in found.prospects),
        "exit": code.value,
    }


def _table(prospects: Sequence[Prospect]) -> Table:
    rows = tuple(
        (
            "✗" if each.blocked else "✓",
            printable(each.move.address, 120),
            octets(used) if each.account and (used := each.account.used) is not None else NONE,
            printable(each.move.placeholder, 120),
            NONE if each.remaining is None else str(each.remaining),
            printable(each.move.temporary, 120),
            "" if each.guard is Guard.NONE else each.guard.value,
        )
        for each in prospects
    )
    heads = ("", "account", "size", "becomes", "remain", "meanwhile", "guard")
    return Table(heads, rows, frozenset({2, 4}))


def _steps(each: Prospect) -> Iterator[Line]:
    """What is done about the account, in order."""
    yield Line(printable(each.move.address, 120), Tone.HEADING)
    for number, step in enumerate(each.steps, 1):
        last = "" if step.undoable or step.shared else " (nothing takes this back)"
        yield Line(f"  {number}. {step.words}{last}", Tone.WARNING if last else Tone.PLAIN)
    for remark in each.remarks:
        yield Line(f"  stays behind: {remark.kind} ({remark.text})", Tone.FAINT)
    yield Line()


def _summary(found: Outlook) -> Iterator[Line]:
    blocked = sum(each.blocked for each in found.prospects)
    able = len(found.prospects) - blocked
    left = sum(len(each.remarks) for each in found.prospects)
    if found.prospects:
        text = f"{plural(able, 'account')} can move"
        text += f", {blocked} can't yet" if blocked else ""
        yield Line(text, Tone.BAD if blocked else Tone.GOOD)
    if left:
        things = plural(left, "thing")
        text = f"{things} beside them won't come along: mailhaul accounts inventory"
        yield Line(text, Tone.WARNING)
