"""`mailhaul vault remove`: forgets a secret."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Operand
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def remove(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Forgets the secret. Raises `BadInput` when there is none of that name."""
    from mailhaul.cli.parsing import closest
    from mailhaul.cli.vault import vault_given

    name = arguments.text("NAME") or ""
    vault = vault_given(arguments, surroundings)
    if not vault.remove(name):
        raise BadInput(
            f"the vault holds nothing named {printable(name, 120)}" + closest(name, vault.names())
        )
    surroundings.console.tell("removed; copies of the vault's file still hold it")
    return Exit.COMPLETE


COMMAND = Command(
    name="vault remove",
    summary="forget a secret of the vault",
    story="Removes what the vault keeps under NAME. A plan that refers to it waits for another.",
    operands=(Operand("NAME", "as mailhaul vault list shows it"),),
    groups=(Group("the vault", (VAULT, KEY_FILE)), Group("output", (DEBUG,))),
    run=remove,
    examples=("mailhaul vault remove anna@old.example",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
