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
    from mailhaul.cli.vault import (
        has_key,
        key_file_given,
        path_given,
        secret_given,
        vault_given,
    )
    from mailhaul.vault.outer_keys import key_from, make_key_file
    from mailhaul.vault.sealed import make_vault
    from mailhaul.vault.usual import usual_key_file

    name = arguments.text("NAME") or ""
    path = path_given(arguments, surroundings)
    secret = secret_given(name, surroundings)
    console = surroundings.console
    if path.exists():
        vault = vault_given(arguments, surroundings)
    else:
        key_file = key_file_given(arguments, surroundings)
        if key_file is None and not has_key(surroundings):
            key_file = usual_key_file(surroundings.environ)
        if key_file is not None and not key_file.exists():
            outer = make_key_file(key_file)
            console.tell(f"made a key for the vault: {printable(str(key_file), 300)}")
            console.tell("keep a copy of it apart from the vault; without it nothing opens it")
        else:
            outer = key_from(surroundings.environ, key_file)
        vault = make_vault(path, outer)
        console.tell(f"made a vault: {printable(str(path), 300)}")
    vault.set(name, secret)
    console.tell(f"kept; a plan refers to it by vault:{printable(name, 200)}")
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
