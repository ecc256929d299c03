"""`mailhaul vault set`: keeps a secret under a name."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Operand
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def set_secret(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Keeps the secret; makes vault and key file when there are none. Raises `BadInput`."""
    from mailhaul.cli.vault import secret_given, vault_or_new

    name = arguments.text("NAME") or ""
    secret = secret_given(name, surroundings)
    vault = vault_or_new(arguments, surroundings)
    vault.set(name, secret)
    surroundings.console.tell(f"kept; a plan refers to it by vault:{printable(name, 200)}")
    return Exit.COMPLETE


COMMAND = Command(
    name="vault set",
    summary="keep a secret under a name, sealed",
    story=(
        "Asks for a secret, or reads it as one line from standard input, and keeps it in the vault "
        "under NAME; a plan refers to it by vault:NAME. An older one of that name is replaced. "
        "Where there is no vault yet, one is made, and a key file that opens it."
    ),
    operands=(Operand("NAME", "by which the plan refers to it, such as anna@old.example"),),
    groups=(Group("the vault", (VAULT, KEY_FILE)), Group("output", (DEBUG,))),
    run=set_secret,
    examples=(
        "mailhaul vault set anna@old.example",
        "pass show mail/anna | mailhaul vault set anna@old.example",
    ),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
