"""`mailhaul provider obstacles`: what stands in the way of moving a plan's accounts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.provider_desk import EXITS, MAILBOX, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.providers.obstacles import Obstacle
    from mailhaul.providers.service import Service

    Found = tuple[Service, Mapping[str, Sequence[Obstacle]]]

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.

AT_ONCE = 4
"""Microsoft Graph allows an application four requests beside each other."""


def obstacles(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""
    wanted = arguments.texts("--mailbox")

    async def look(each: Reached) -> "Found":
        import asyncio

        free = asyncio.Semaphore(AT_ONCE)

        async def one(address: str) -> "tuple[str, Sequence[Obstacle]]":
            async with free:
                return address, await each.provider.obstacles(address)

        addresses = wanted or tuple(mailbox.address for mailbox in each.plan.mailboxes)
        found = await asyncio.gather(*map(one, addresses))
        return each.service, dict(found)

    def tell(side: str, found: "Found") -> Exit:
        from mailhaul.cli.provider_report import (
            heading,
            obstacle_blocks,
            obstacle_line,
            verdict,
        )

        service, every = found
        if arguments.given("--json"):
            for address, those in every.items():
                for obstacle in those:
                    surroundings.console.json(obstacle_line(side, address, obstacle))
        else:
            surroundings.console.show([heading(side, service), *obstacle_blocks(every)])
        return verdict(every.values())

    # What stands in the way of leaving is known where the accounts are.
    return each_side(arguments, surroundings, look, tell, usual="source")


COMMAND = Command(
    name="provider obstacles",
    summary="ask a provider what stands in the way of moving each account of a plan",
    story=(
        "Asks the source's control plane (the target's with --side target) about every mailbox of "
        "the plan: redirections, auto-replies, lists, tasks under way, reservations. Of each "
        "obstacle: the provider's own code, what it means, what to do, and whether trying again "
        "later helps. Changes nothing. Exit code 3: something blocks."
    ),
    operands=OPERANDS,
    groups=(Group("which", (SIDE, MAILBOX)), OUTPUT),
    run=obstacles,
    examples=(
        "mailhaul provider obstacles",
        "mailhaul provider obstacles plan.toml --mailbox anna@acme.example --json",
    ),
    exits=EXITS,
)
