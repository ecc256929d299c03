"""`mailhaul provider accounts`: the accounts of a plan's services, and what stands beside them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.provider_desk import EXITS, MAILBOX, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.providers.extras import Extra
    from mailhaul.providers.service import Account, Service

    Found = tuple[Service, Sequence[Account], Sequence[Extra]]

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def accounts(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""
    wanted = arguments.texts("--mailbox")

    async def look(each: Reached) -> "Found":
        if not wanted:
            every = await each.provider.accounts()
            beside = await each.provider.extras() if arguments.given("--beside") else ()
            return each.service, every, beside
        found: list[Account] = []
        extras: list[Extra] = []
        for address in wanted:
            account = await each.provider.account(address)
            if account is None:
                raise BadInput(f"there is no account {printable(address, 120)} on it")
            found.append(account)
            extras += await each.provider.extras(address)
        return each.service, found, extras

    def tell(side: str, found: "Found") -> Exit:
        from mailhaul.cli.provider_report import (
            account_blocks,
            account_line,
            extra_blocks,
            extra_line,
        )

        console = surroundings.console
        service, every, extras = found
        if arguments.given("--json"):
            for account in every:
                console.json(account_line(side, account))
            for extra in extras:
                console.json(extra_line(side, extra))
        else:
            console.show([*account_blocks(side, service, every), *extra_blocks(extras)])
        return Exit.COMPLETE

    return each_side(arguments, surroundings, look, tell)


COMMAND = Command(
    name="provider accounts",
    summary="list the accounts of a plan's services: state, size, quota, aliases",
    story=(
        "Lists every account of the services that the plan names, those that wait to be configured "
        "too. With --mailbox only that one, with its sizes where listing all is too dear, and what "
        "stands beside it: aliases, redirections, auto-replies, filters, delegations, groups. "
        "Changes nothing."
    ),
    operands=OPERANDS,
    groups=(
        Group(
            "which",
            (SIDE, MAILBOX, Option("--beside", "also what stands beside the accounts, of all")),
        ),
        OUTPUT,
    ),
    run=accounts,
    examples=(
        "mailhaul provider accounts --side target",
        "mailhaul provider accounts plan.toml --side source --mailbox anna@acme.example",
    ),
    exits=EXITS,
)
