"""`mailhaul provider show`: what a plan's services say of themselves."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.provider_desk import EXITS, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.providers.service import Contacts, Service

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def show(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""

    async def look(each: Reached) -> "tuple[Service, Contacts]":
        return each.service, await each.provider.contacts()

    def tell(side: str, found: "tuple[Service, Contacts]") -> Exit:
        from mailhaul.cli.provider_report import service_blocks, service_line

        if arguments.given("--json"):
            surroundings.console.json(service_line(side, *found))
        else:
            surroundings.console.show(service_blocks(side, *found))
        return Exit.COMPLETE

    return each_side(arguments, surroundings, look, tell)


COMMAND = Command(
    name="provider show",
    summary="show what a plan's providers say of their services, and what they can do",
    story=(
        "Asks the control planes that the plan names ([source.provider], [target.provider]) what "
        "their service is: product, generation with the evidence for it, what accounts can hold, "
        "what can be asked of it, how many accounts are free, who may decide about it. Changes "
        "nothing."
    ),
    operands=OPERANDS,
    groups=(Group("which", (SIDE,)), OUTPUT),
    run=show,
    examples=("mailhaul provider show", "mailhaul provider show plan.toml --side target --json"),
    exits=EXITS,
)
