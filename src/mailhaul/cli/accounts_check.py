"""`mailhaul accounts check`: how a plan's accounts would move, and what stands in the way."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import WHERE, installation
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.provider_desk import EXITS, MAILBOX, OUTPUT, close, opened
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.plan.model import Plan
    from mailhaul.providers.prospect import Outlook, Rules

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def check(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows it. Raises `BadInput`."""
    from mailhaul.cli.prospect_report import outlook_blocks, outlook_lines, verdict
    from mailhaul.cli.stopping import run
    from mailhaul.plan.load import load_plan

    path = plan_file(arguments)
    plan = load_plan(path)
    rules = replace(_rules(plan), reserved=_reserved(arguments, surroundings, plan))
    addresses = _addresses(plan, arguments.texts("--mailbox"))
    console = surroundings.console

    async def work(stop: "Stop") -> Exit:
        found = await _look(surroundings, plan, path.parent, addresses, rules)
        code = verdict(found)
        if arguments.given("--json"):
            for line in outlook_lines(plan.name, found, code):
                console.json(line)
        else:
            steps = arguments.given("--steps") or len(addresses) == 1
            console.show(outlook_blocks(plan.name, found, steps=steps))
        return code

    return run(work, console, "interrupted; nothing was changed")


def _rules(plan: "Plan") -> "Rules":
    from mailhaul.plan.model import AccountPath
    from mailhaul.providers.paths import Path as Way
    from mailhaul.providers.prospect import Rules
    from mailhaul.providers.saga import ExtrasRule, Guard

    accounts = plan.accounts
    if accounts is None:
        return Rules()
    told = accounts.path is not AccountPath.AUTO
    return Rules(
        Way(accounts.path.value) if told else None,
        accounts.temporary,
        ExtrasRule(accounts.extras.value),
        Guard(accounts.guard.value),
        relay=plan.dns.mx[0].split()[-1] if plan.dns is not None and plan.dns.mx else "",
    )


def _reserved(arguments: Arguments, surroundings: Surroundings, plan: "Plan") -> tuple[str, ...]:
    """What moves of other plans have chosen, where plans have been started here."""
    from mailhaul.journey.bulk import reserved_placeholders

    if plan.target.provider is None:
        return ()
    try:
        with installation(arguments, surroundings) as home, home.database.read() as connection:
            return reserved_placeholders(connection, plan.target.provider, besides=plan.name)
    except BadInput:
        return ()


def _addresses(plan: "Plan", only: tuple[str, ...]) -> tuple[str, ...]:
    every = {each.address.casefold(): each.address for each in plan.mailboxes}
    for address in only:
        if address.casefold() not in every:
            raise BadInput(f"--mailbox {printable(address, 120)} isn't in the plan")
    return tuple(every[each.casefold()] for each in only) or tuple(every.values())


async def _look(
    surroundings: Surroundings,
    plan: "Plan",
    directory: Path,
    addresses: tuple[str, ...],
    rules: "Rules",
) -> "Outlook":
    from contextlib import AsyncExitStack

    from mailhaul.providers.prospect import outlook

    async with AsyncExitStack() as stack:
        sides = []
        for side, section in (("source", plan.source.provider), ("target", plan.target.provider)):
            if section is None and side == "target":
                raise BadInput(
                    f"{printable(plan.name, 80)} names no provider of its target; write "
                    "[target.provider] into it (docs/providers.md)"
                )
            provider = None
            if section is not None:
                provider = opened(surroundings, section, directory)
                stack.push_async_callback(close, provider)
            sides.append(provider)
        source, target = sides
        return await outlook(source, target, addresses, rules)


COMMAND = Command(
    name="accounts check",
    summary="say how a plan's accounts would move, and what stands in the way",
    story=(
        "Asks the providers of both sides, and says which path the accounts go (legacy: the "
        "provider carries them; new: rename, create, copy; create: they are made beside the old "
        "ones), by which evidence; of each account which unconfigured one it becomes and how many "
        "remain, what it is called meanwhile, what guards its address, what stands in the way and "
        "what to do about it. Also what accounts of the source can hold and those of the target "
        "can't. Changes nothing. Exit code 3: something blocks."
    ),
    operands=(PLAN,),
    groups=(
        Group("which", (MAILBOX, Option("--steps", "also each account's steps, in order"))),
        WHERE,
        OUTPUT,
    ),
    run=check,
    examples=("mailhaul accounts check", "mailhaul accounts check --mailbox anna@acme.example"),
    exits=EXITS,
)
