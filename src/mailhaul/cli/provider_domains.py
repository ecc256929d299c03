"""`mailhaul provider domains`: the domains on a plan's services."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.provider_desk import EXITS, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.providers.service import HostedDomain, Service

    Found = tuple[Service, Sequence[HostedDomain]]

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def domains(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""

    async def look(each: Reached) -> "Found":
        return each.service, await each.provider.domains()

    def tell(side: str, found: "Found") -> Exit:
        from mailhaul.cli.provider_report import domain_blocks, domain_line
        from mailhaul.providers.service import DomainStatus

        if arguments.given("--json"):
            for domain in found[1]:
                surroundings.console.json(domain_line(side, domain))
        else:
            surroundings.console.show(domain_blocks(side, *found))
        good = all(domain.status is DomainStatus.OK for domain in found[1])
        return Exit.COMPLETE if good else Exit.INCOMPLETE

    return each_side(arguments, surroundings, look, tell)


COMMAND = Command(
    name="provider domains",
    summary="list the domains on a plan's services: status, mode, proof asked for",
    story=(
        "Lists the domains of the services that the plan names: whether they are ready, whether "
        "the service refuses recipients that it doesn't know (authoritative) or hands them on "
        "(non-authoritative, with the relay), and the record to be written where the provider "
        "still asks whose the domain is. Changes nothing. Exit code 3: one isn't ready."
    ),
    operands=OPERANDS,
    groups=(Group("which", (SIDE,)), OUTPUT),
    run=domains,
    examples=("mailhaul provider domains --side target",),
    exits=EXITS,
)
