"""`mailhaul vault list`: the names in the vault, and no secret."""

from mailhaul.cli.blocks import Line
from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import VAULT

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def list_names(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Lists the names. Raises `BadInput`."""
    from mailhaul.cli.vault import path_given
    from mailhaul.vault.sealed_file import read_vault

    names = sorted(read_vault(path_given(arguments, surroundings)).entries)
    if arguments.given("--json"):
        for name in names:
            surroundings.console.json({"event": "secret", "name": name})
    else:
        surroundings.console.show([Line(name) for name in names])
    return Exit.COMPLETE


COMMAND = Command(
    name="vault list",
    summary="list the names in the vault",
    story=(
        "Lists the names under which the vault keeps secrets, one a line. Needs no key, and shows "
        "no secret: there is no command that does."
    ),
    operands=(),
    groups=(
        Group("the vault", (VAULT,)),
        Group("output", (Option("--json", "as lines of JSON on standard output"), DEBUG)),
    ),
    run=list_names,
    examples=("mailhaul vault list",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
