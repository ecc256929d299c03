"""What a person agrees to before accounts are moved: what is renamed or handed over, from when on
there is no way back, what users see before, while and after, and how long it takes."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import Connection

from mailhaul.core.text import octets, plural
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow, moves
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.control import section_of
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import ENDED
from mailhaul.journey.switching import moment
from mailhaul.plan.durations import duration_text
from mailhaul.plan.model import ExtrasRule
from mailhaul.providers.paths import Path

SHOWN = 20
"""So many accounts are told of one by one."""
USUAL_SPEED = 500_000
"""Octets a second: what a hand-over of OVHcloud's has been seen to take, at the least."""
_STEP_SECONDS = 60.0


def asked_about(
    connection: Connection, plan: PlanRow, rows: Sequence[MailboxRow], without: Collection[str]
) -> tuple[list[str], list[str], list[MoveRow], list[MoveRow]]:
    """The text's lines, what is lacking for a yes, whose accounts would be moved, and whose were
    left out of those that could be."""
    waiting = [
        row
        for row in moves(connection, plan.id)
        if row.state is MoveState.WAITING and row.person not in ENDED
    ]
    staying = [row for row in waiting if row.address in without]
    going = [row for row in waiting if row not in staying]
    started = {row.id for row in rows if row.started_at is not None}
    lacking = [f"{row.address} is not started" for row in going if row.mailbox not in started]
    lacking += [
        f"{row.address}: {row.reason or 'nobody has looked at it yet; a worker does'}"
        for row in going
        if row.mailbox in started and not row.ready
    ]
    if not going:
        lacking.append("no account waits for it")
    return _text(plan, going, staying), lacking, going, staying


def _text(plan: PlanRow, going: Sequence[MoveRow], staying: Sequence[MoveRow]) -> list[str]:
    accounts = plan.plan.accounts
    assert accounts is not None
    text = [f"Accounts of plan {plan.name} are moved{_between(plan)}: {len(going)}."]
    for path in (Path.LEGACY, Path.NEW, Path.CREATE):
        rows = [row for row in going if row.path == path]
        if rows:
            text += ["", *_of_path(path, rows), *_named(rows)]
    text.append("")
    if accounts.extras is ExtrasRule.CARRY:
        text.append(
            "Redirections, auto-replies, filters and aliases are removed at the source and put up "
            "again at the target, where that can have them."
        )
    elif accounts.extras is ExtrasRule.REMOVE:
        text.append("Redirections and auto-replies are removed at the source, and only listed.")
    if accounts.begin is not None:
        text.append(f"Nothing is done before {moment(plan.plan, accounts.begin.timestamp())}.")
    text.append(f"It takes about {_duration(going)} in all, by what accounts hold.")
    if staying:
        text.append(f"{plural(len(staying), 'account')} left out: {_list(staying)}")
    return text


def _between(plan: PlanRow) -> str:
    named = []
    for side, word in ((Side.SOURCE, "from"), (Side.TARGET, "to")):
        section = section_of(plan, side)
        if section is not None:
            named.append(f" {word} {section.kind} {section.service}".rstrip())
    return "".join(named)


def _of_path(path: Path, rows: Sequence[MoveRow]) -> list[str]:
    """Before, while, after, and the point of no return."""
    count = plural(len(rows), "account is", "accounts are")
    match path:
        case Path.LEGACY:
            return [
                f"{count} handed over to the provider, which carries the mail itself.",
                "Before: everything is copied to files here, as long as that takes. Users keep "
                "working; they should save what is no mail (contacts, calendars, filters).",
                "The point of no return: once the provider has begun, nothing takes it back.",
                "While: nobody gets into the old mailbox; mail that arrives lies in the new one.",
                "After: users log in to the new service by the same address and password, and set "
                "up their programs anew. Every message is then proven to be there, from the files.",
            ]
        case Path.NEW:
            return [
                f"{count} renamed at the source, and the address made at the target.",
                "Before: nothing changes for users.",
                "While: for the moments between the two the address is nowhere; what is done about "
                "mail that comes then stands in the steps of each.",
                "After: mail arrives in the new account at once, and what the old one holds is "
                "carried there. Users log in to the new service, and set up their programs anew.",
                "Until mail has arrived there it can be undone; after that, mailhaul return brings "
                "it back first.",
            ]
        case _:
            return [
                f"{count} made at the target. The source stays as it is.",
                "Before, while and after: nothing changes for users until their mail is switched.",
            ]


def _named(rows: Sequence[MoveRow]) -> list[str]:
    lines = []
    for row in rows[:SHOWN]:
        size = "" if row.octets is None else f" ({octets(row.octets)})"
        said = [f"is called {row.temporary} from then on"] if row.temporary else []
        said += [f"takes the place of {row.placeholder}"] if row.placeholder else []
        lines.append(f"  {row.address}{size}{': ' if said else ''}{', '.join(said)}")
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN} more")
    return lines


def _list(rows: Sequence[MoveRow]) -> str:
    names = ", ".join(row.address for row in rows[:SHOWN])
    return f"{names} and {len(rows) - SHOWN} more" if len(rows) > SHOWN else names


def _duration(rows: Sequence[MoveRow]) -> str:
    """By rule of thumb: what is handed over is copied twice, all else is a few tasks."""
    seconds = sum(
        _STEP_SECONDS * 3
        + (2 * (row.octets or 0) / USUAL_SPEED if row.path == Path.LEGACY else 0.0)
        for row in rows
    )
    minutes = max(1, round(seconds / 60))
    return duration_text(timedelta(minutes=minutes))
