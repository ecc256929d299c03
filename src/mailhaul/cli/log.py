"""`mailhaul log`: what happened in a plan, and whether the log of it is whole."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mailhaul.cli.blocks import Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import PLAN, WHERE, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.journey.events import Logged

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

PAGE = 1000
"""Records that are read at a time."""


def log(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Tells the records, oldest first. Raises `BadInput`."""
    from mailhaul.journey import events
    from mailhaul.journey.orders import EVERYTHING, Selection, chosen

    console = surroundings.console
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            everybody = {row.id: row.address for row in chosen(connection, plan, EVERYTHING)}
            wanted = arguments.texts("--mailbox")
            only = {row.id for row in chosen(connection, plan, Selection(wanted))} if wanted else {}
        after = arguments.number("--after", 0)
        while True:
            # A page at a time: while one is read, what workers write piles up beside the file.
            with home.database.read() as connection:
                page = list(islice(events.log(connection, plan.id, after), PAGE))
            if not page:
                break
            after = page[-1].number
            for logged in page:
                if only and logged.record.mailbox not in only:
                    continue
                address = everybody.get(logged.record.mailbox or 0, "")
                if arguments.given("--json"):
                    console.json(record_line(logged, address))
                else:
                    console.show([Line(record_text(logged, address, plan.plan.zone))])
        if not arguments.given("--proof"):
            return Exit.COMPLETE
        with home.database.read() as connection:
            wrong = events.broken(connection, plan.id)
            head = events.head(connection, plan.id)
    if arguments.given("--json"):
        console.json(proof_line(wrong, head.number, head.digest))
    elif wrong:
        console.show([Line(f"the log is not whole: {wrong}", Tone.BAD)])
    else:
        records = plural(head.number, "record")
        console.show([Line(f"the log is whole: {records}, the last is {head.digest}", Tone.GOOD)])
    return Exit.DIFFERENT if wrong else Exit.COMPLETE


def record_text(logged: "Logged", address: str, zone: ZoneInfo) -> str:
    """One record in one line."""
    what = logged.record
    moment = datetime.fromtimestamp(logged.at, zone).strftime("%Y-%m-%d %H:%M:%S")
    words = [f"{logged.number:>6}", moment, what.actor, what.action.replace("_", " ")]
    if address:
        words.append(address)
    if "from" in what.figures and "to" in what.figures:
        words.append(f"{what.figures['from']} → {what.figures['to']}")
    text = "  ".join(words)
    if what.why:
        text += f": {what.why}"
    rest = _figures(what.figures)
    return printable(f"{text}{rest}", 1000)


def record_line(logged: "Logged", address: str) -> dict[str, Json]:
    """One record for `--json`."""
    what = logged.record
    return {
        "event": "logged",
        "number": logged.number,
        "at": logged.at,
        "actor": what.actor,
        "action": what.action,
        "mailbox": address or None,
        "why": what.why,
        "figures": dict(what.figures),
        "digest": logged.digest,
    }


def proof_line(problem: str, records: int, digest: str) -> dict[str, Json]:
    """Whether the log is whole, for `--json`."""
    return {
        "event": "log",
        "whole": not problem,
        "problem": problem,
        "records": records,
        "digest": digest,
    }


def _figures(figures: Mapping[str, object]) -> str:
    shown = [
        f"{name} {value}"
        for name, value in figures.items()
        if name not in ("from", "to", "text") and value not in ("", None)
    ]
    return f" ({', '.join(shown)})" if shown else ""


COMMAND = Command(
    name="log",
    summary="tell what happened in a plan, and prove that nothing of it was changed",
    story=(
        "Tells every event of a plan, oldest first: when, who or what, which mailbox, what, why, "
        "and the figures. Each record's digest covers the one before; --proof checks them all and "
        "tells the last one, which can be compared with the one in a report."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "which",
            (
                Option("--mailbox", "only of this mailbox (repeatable)", "ADDRESS", repeated=True),
                Option("--after", "only what comes after record N", "N", lowest=0),
                Option("--proof", "check the digests of all records"),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=log,
    examples=("mailhaul log acme --mailbox anna@acme.example", "mailhaul log acme --proof"),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.DIFFERENT),
)
