"""What the three steps of moving accounts show: to a person, and as lines of JSON. Pure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import NONE, Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import octets, plural
from mailhaul.cli.finding_report import findings_json, shared_findings
from mailhaul.cli.prospect_report import PATHS
from mailhaul.core.text import printable
from mailhaul.providers.paths import Path

if TYPE_CHECKING:
    from mailhaul.cli.wizard_check import Checked, Places
    from mailhaul.journey.account_rows import MoveRow


def destination_blocks(
    rows: "Sequence[MoveRow]", places: "Places", *, numbered: bool
) -> list[Block]:
    """Step 1, for a person: the path, and where each account goes."""
    blocks: list[Block] = []
    for path in dict.fromkeys(row.path for row in rows if row.path):
        blocks.append(Line(f"  {PATHS[Path(path)]}"))
        evidence = next(row.evidence for row in rows if row.path == path)
        blocks += [Line(f"    {printable(each, 300)}", Tone.FAINT) for each in evidence]
    if places.fresh:
        blocks.append(Line("  nothing has been set up on the target service yet", Tone.FAINT))
    table = tuple(
        (
            f"{number}" if numbered else ("✓" if row.ready else "✗"),
            printable(row.address, 120),
            NONE if row.octets is None else octets(row.octets),
            _becomes(row),
            printable(row.temporary, 120),
        )
        for number, row in enumerate(rows, 1)
    )
    blocks.append(Table(("", "account", "size", "becomes", "meanwhile"), table, frozenset({2})))
    if places.why:
        blocks.append(Line(f"  how many remain is not known: {places.why}", Tone.WARNING))
    elif places.left is not None:
        left = max(0, places.left - sum(not row.ready for row in rows))
        text = f"  after these {plural(left, 'unconfigured account')} will remain"
        blocks.append(Line(text, Tone.PLAIN if left else Tone.WARNING))
    blocks.append(Line("  each step: mailhaul accounts check --steps", Tone.FAINT))
    return [*blocks, Line()]


def _becomes(row: "MoveRow") -> str:
    """The placeholder, once it is this move's own."""
    if not row.path:
        return "not looked at yet"
    return printable(row.placeholder, 120) if row.ready or row.chosen else ""


def check_blocks(found: "Sequence[Checked]") -> Iterator[Block]:
    """Step 3, for a person: what stands in the way of whom."""
    yield from shared_findings({each.address: each.findings for each in found})
    blocked = sum(each.blocked for each in found)
    if blocked:
        text = f"  something stands in the way of {plural(blocked, 'account')}"
        yield Line(text, Tone.BAD)
    else:
        text = f"  nothing stands in the way of {plural(len(found), 'account')}"
        yield Line(text, Tone.GOOD)
    yield Line()


def check_lines(found: "Sequence[Checked]") -> Iterator[dict[str, Json]]:
    """The same for `--json`."""
    for each in found:
        yield {
            "event": "account_checked",
            "address": printable(each.address, 300),
            "blocked": each.blocked,
            "findings": findings_json(each.findings),
        }


def move_end(plan: str, accounts: int, blocked: int, *, begun: bool, code: Exit) -> dict[str, Json]:
    """The end for `--json`."""
    return {
        "event": "accounts_move",
        "plan": plan,
        "accounts": accounts,
        "blocked": blocked,
        "begun": begun,
        "exit": code.value,
    }
