"""The verification of a mailbox at the end of its journey, and what it is worth in one word.

What differs because the person at the target has read, flagged, moved or removed mail since it was
carried is told apart from what nobody can explain: the ledger knows what both sides last agreed on.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import Connection, delete, insert

from mailhaul.core.folder_text import WHOLE, path_text
from mailhaul.core.text import plural, printable
from mailhaul.db import tables
from mailhaul.engine.ledger import FolderRow, Ledger
from mailhaul.engine.outcomes import Fate
from mailhaul.engine.verdict import (
    Difference,
    Kind,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
    VerifyOptions,
)
from mailhaul.engine.verify import verify
from mailhaul.journey.canary_rows import places_at_old
from mailhaul.journey.events import Figure
from mailhaul.journey.grades import Graded, Outcome, graded
from mailhaul.journey.means import Means, folder_options, opened_pair
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow

MOST_KEPT = 1000
"""Differences of one mailbox that are kept one by one; of the rest only the number."""
MORE = "more"
"""The kind of a row that holds such a number."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verification found. `departed` messages are no longer where they were put,
    `retouched` have other flags than they were given: the person's doing."""

    verdict: Verdict
    differences: tuple[Difference, ...]
    more: Mapping[Severity, int]
    """Messages that differ too, and of which only the number is kept."""
    departed: int
    retouched: int


async def proven(means: Means, plan: PlanRow, row: MailboxRow) -> Proof:
    """Compares both sides, from outside. Raises what `verify` raises, and `Busy`."""
    common, kept, more = folder_options(plan), list[Difference](), Counter[Severity]()
    options = VerifyOptions(
        deep=plan.plan.carry.verify_deep,
        folders=common.folders,
        exclude=common.exclude,
        maps=common.maps,
        since=common.since,
    )
    verdict: Verdict | None = None
    theirs: Counter[Kind] = Counter()
    ours = 0
    canaries = await means.database.run(lambda c: places_at_old(c, row.id))
    with means.open_ledger(row) as ledger:
        folders = {each.source: each for each in ledger.folders()}
        async with opened_pair(means, plan, row, rationed=False) as pair:
            events = cast(
                "AsyncGenerator[VerifyEvent, None]", verify(pair.source, pair.target, options)
            )
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Verified):
                        verdict = event.verdict
                    elif isinstance(event, Difference):
                        if event.kind is Kind.MISSING and (
                            (event.folder, event.source_key) in canaries
                        ):
                            # Nobody's mail: what a sweep had carried of it was taken out again.
                            ours += event.count
                            continue
                        if _persons(ledger, folders.get(event.folder), event):
                            theirs[event.kind] += event.count
                        if len(kept) < MOST_KEPT:
                            kept.append(event)
                        else:
                            more[event.severity] += event.count
    assert verdict is not None
    if ours:
        left = {**verdict.differences, Kind.MISSING: verdict.differences[Kind.MISSING] - ours}
        verdict = replace(verdict, differences={kind: n for kind, n in left.items() if n})
    return Proof(verdict, tuple(kept), more, theirs[Kind.MISSING], theirs[Kind.FLAGS])


def write_proof(connection: Connection, row: MailboxRow, proof: Proof) -> Graded:
    """Writes the differences in place of those of the verification before, and grades."""
    table = tables.difference
    connection.execute(delete(table).where(table.c.mailbox_id == row.id))
    rows = [
        {
            "mailbox_id": row.id,
            "kind": each.kind.value,
            "severity": each.severity.value,
            "folder": path_text(each.folder, WHOLE),
            "detail": printable(each.detail, 1000),
            "subject": printable(each.subject, 200),
            "count": each.count,
        }
        for each in proof.differences
    ]
    rows += [
        {
            "mailbox_id": row.id,
            "kind": MORE,
            "severity": severity.value,
            "folder": "",
            "detail": f"{plural(count, 'message')} more, not listed one by one",
            "subject": "",
            "count": count,
        }
        for severity, count in proof.more.items()
    ]
    if rows:
        connection.execute(insert(table), rows)
    verdict = proof.verdict
    return graded(
        Outcome(
            census=row.census,
            copied=row.copied,
            adopted=row.adopted,
            skipped=row.skipped,
            refused=row.refused,
            missing=row.missing,
            compared=not verdict.problems,
            differences=dict(verdict.differences),
            notes=sum(n for kind, n in verdict.notes.items() if kind is not Kind.MOVED),
            departed=proof.departed,
            moved=min(proof.departed, verdict.notes.get(Kind.MOVED, 0)),
            retouched=proof.retouched,
        )
    )


def compared(verdict: Verdict) -> dict[str, Figure]:
    """What was looked at, for the log: of messages that were not read nobody knows whether their
    octets are the same."""
    figures: dict[str, Figure] = {"messages": verdict.messages, "paired": verdict.paired}
    if not verdict.deep:
        return {**figures, "compared": "lists"}
    return {**figures, "compared": "octets", "identical": verdict.identical}


def _persons(ledger: Ledger, folder: FolderRow | None, difference: Difference) -> bool:
    """Whether the ledger shows that we left the message as the source has it: what is otherwise
    now, somebody at the target has made so."""
    if folder is None or difference.severity is not Severity.DIFFERENCE:
        return False
    if difference.kind not in (Kind.MISSING, Kind.FLAGS) or difference.source_key is None:
        return False
    key = difference.source_key
    row = ledger.between(folder, key, key).get(key)
    return row is not None and row.fate in (Fate.COPIED, Fate.ADOPTED)
