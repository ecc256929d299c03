"""`mailhaul status`: how a plan stands, once or again and again."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import PLAN, WHERE, Installation, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.journey.status import Status

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

EVERY = 2.0
"""Seconds between two looks of --watch."""

Show = Callable[["Status"], None]


def status(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows how the plan stands. Raises `BadInput`."""
    with installation(arguments, surroundings) as home:
        if arguments.texts("--mailbox") or arguments.given("--all"):
            _mailboxes(arguments, surroundings, home)
        elif arguments.given("--watch"):
            # Who has seen enough is not interrupted: nothing was under way here.
            with suppress(KeyboardInterrupt):
                _watch(arguments, surroundings, home)
        else:
            _shower(arguments, surroundings)(_look(arguments, home))
    return Exit.COMPLETE


def _look(arguments: Arguments, home: Installation) -> "Status":
    from mailhaul.journey.status import status as status_of

    with home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        return status_of(connection, plan, home.clock.now())


def _shower(arguments: Arguments, surroundings: Surroundings) -> Show:
    """Shows all of it."""
    from mailhaul.cli.status_report import status_blocks, status_line

    if arguments.given("--json"):
        return lambda found: surroundings.console.json(status_line(found))
    return lambda found: surroundings.console.show(status_blocks(found))


def _mailboxes(arguments: Arguments, surroundings: Surroundings, home: Installation) -> None:
    """Those named in detail, or all in a table."""
    from mailhaul.cli.status_report import mailbox_blocks, mailbox_line, mailbox_table, row_line
    from mailhaul.journey.details import details
    from mailhaul.journey.orders import Selection, chosen

    console, wanted = surroundings.console, arguments.texts("--mailbox")
    with home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        rows = chosen(connection, plan, Selection(wanted))
        found = [details(connection, row) for row in rows] if wanted else []
    if arguments.given("--json"):
        for line in map(mailbox_line, found) if wanted else map(row_line, rows):
            console.json(line)
    elif wanted:
        for each in found:
            console.show(mailbox_blocks(each, plan.plan.zone))
    else:
        console.show([mailbox_table(rows)])


def _watch(arguments: Arguments, surroundings: Surroundings, home: Installation) -> None:
    """Until the plan has ended or somebody presses Ctrl-C."""
    console = surroundings.console
    if console.live and console.out.isatty() and not arguments.given("--json"):
        _watch_live(arguments, surroundings, home)
        return
    show = _changes_shower(arguments, surroundings)
    while True:
        found = _look(arguments, home)
        show(found)
        if found.plan.ended_at is not None:
            return
        time.sleep(EVERY)


def _watch_live(arguments: Arguments, surroundings: Surroundings, home: Installation) -> None:
    """A picture that is drawn anew; the last one stays."""
    from rich.text import Text

    from mailhaul.cli.blocks import laid_out
    from mailhaul.cli.live import start
    from mailhaul.cli.status_report import status_blocks

    def picture(found: "Status") -> Text:
        lines = laid_out(status_blocks(found))
        return Text(surroundings.console.clean("\n".join(line.text for line in lines)))

    found = _look(arguments, home)
    display = start(surroundings.console.out, picture(found))
    try:
        while found.plan.ended_at is None:
            time.sleep(EVERY)
            found = _look(arguments, home)
            display.update(picture(found), refresh=True)
    finally:
        display.stop()
        _shower(arguments, surroundings)(found)


def _changes_shower(arguments: Arguments, surroundings: Surroundings) -> Show:
    """A line for each look at which something had changed."""
    from mailhaul.cli.status_report import status_line, watch_text

    last: list[Mapping[str, object] | str] = [""]

    def show(found: "Status") -> None:
        if arguments.given("--json"):
            line = status_line(found)
            told: Mapping[str, object] | str = {**line, "at": None}
        else:
            told = watch_text(found)
        if told == last[0]:
            return
        last[0] = told
        if arguments.given("--json"):
            surroundings.console.json(line)
        else:
            surroundings.console.say(f"{told}\n")

    return show


COMMAND = Command(
    name="status",
    summary="show how a plan stands: states, figures, what waits for what, what is next",
    story=(
        "Shows how far a plan is: how many mailboxes are checked, synced, switched, verified and "
        "completed, wave by wave; the figures; what waits for what and what you can do about it; "
        "what runs next; and when the copies may be done, by the pace of the last hour. All of it "
        "is read from the database, so it is right after any crash, and nobody need be connected."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (
                Option("--watch", "look again every 2 seconds, until the plan has ended"),
                Option("--all", "list every mailbox with its state"),
                Option(
                    "--mailbox",
                    "this mailbox in detail: passes, what was refused, findings (repeatable)",
                    "ADDRESS",
                    repeated=True,
                ),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=status,
    examples=("mailhaul status", "mailhaul status acme --mailbox anna@acme.example"),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
