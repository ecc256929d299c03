"""`mailhaul provider runbook`: what a provider's interface can't do, for a person to run."""

from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.provider_desk import EXITS, close, opened, sections_meant
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailhaul.cli.stopping import Stop
    from mailhaul.plan.model import Plan
    from mailhaul.providers.extras import Extra

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def runbook(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Prints it. Raises `BadInput`."""
    from mailhaul.plan.load import load_plan
    from mailhaul.plan.model import ProviderKind

    path = plan_file(arguments)
    plan = load_plan(path)
    section = sections_meant(plan, "target")["target"]
    if section.kind is not ProviderKind.MICROSOFT365:
        raise BadInput(
            f"there is a runbook for microsoft365 only, and the plan's target is {section.kind}; "
            "mailhaul accounts check says what it can't do"
        )
    if not arguments.given("--beside"):
        surroundings.console.say(_written(arguments, plan, ()))
        return Exit.COMPLETE

    from mailhaul.cli.stopping import run

    async def work(stop: "Stop") -> Exit:
        extras = await _beside(surroundings, plan, path.parent)
        surroundings.console.say(_written(arguments, plan, extras))
        return Exit.COMPLETE

    return run(work, surroundings.console, "interrupted; nothing was changed")


def _written(arguments: Arguments, plan: "Plan", extras: "Sequence[Extra]") -> str:
    from mailhaul.providers.microsoft365_runbook import Needs
    from mailhaul.providers.microsoft365_runbook import runbook as written

    addresses = tuple(each.address for each in plan.mailboxes)
    domains = tuple(dict.fromkeys(each.rpartition("@")[2].casefold() for each in addresses))
    relay = arguments.text("--relay")
    return written(
        Needs(
            addresses,
            tenant=arguments.text("--tenant") or "",
            application=arguments.text("--application") or "",
            enterprise=arguments.text("--enterprise") or "",
            extras=tuple(extras),
            relays=dict.fromkeys(domains, relay) if relay else {},
            domains=domains,
        )
    )


async def _beside(surroundings: Surroundings, plan: "Plan", directory: Path) -> "list[Extra]":
    from mailhaul.journey.inventory import inventory

    source = opened(surroundings, sections_meant(plan, "source")["source"], directory)
    try:
        return [each.extra for each in inventory(plan, await source.extras(), None)]
    finally:
        await close(source)


COMMAND = Command(
    name="provider runbook",
    summary="print what a provider's interface can't do, for a person to read and run",
    story=(
        "Prints PowerShell for an administrator of Exchange Online: IMAP switched on for each "
        "mailbox of the plan, the application let in, large messages taken, relay and DKIM of the "
        "domains, and how all of it is taken back. With --beside also the aliases, redirections, "
        "rights and groups that the source's provider tells of. mailhaul runs nothing of it and "
        "changes nothing: read it first."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what is put in",
            (
                Option("--tenant", "the tenant, as acme.onmicrosoft.com", "NAME"),
                Option("--application", "the application's (client) id", "ID"),
                Option("--enterprise", "the object id of its enterprise application", "ID"),
                Option(
                    "--relay", "the host that mail for people who aren't there yet goes to", "HOST"
                ),
                Option("--beside", "also what stands beside the accounts at the source"),
            ),
        ),
        Group("output", (DEBUG,)),
    ),
    run=runbook,
    examples=(
        "mailhaul provider runbook > acme.ps1",
        "mailhaul provider runbook --tenant acme.onmicrosoft.com --beside",
    ),
    exits=EXITS,
)
