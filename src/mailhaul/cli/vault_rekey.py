"""`mailhaul vault rekey`: from now on another key opens the vault."""

from pathlib import Path

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def rekey(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Changes the outer key; no secret changes. Raises `BadInput`."""
    from mailhaul.cli.vault import secret_given, vault_given
    from mailhaul.vault.outer_keys import OuterKey, key_in_file, make_key_file

    given, passphrase = arguments.text("--new-key-file"), arguments.given("--new-passphrase")
    if (given is None) == (not passphrase):
        raise BadInput("give either --new-key-file FILE or --new-passphrase")
    vault = vault_given(arguments, surroundings)
    if given is None:
        outer = OuterKey(passphrase=secret_given("the vault, its new passphrase", surroundings))
    else:
        path = Path(given).expanduser()
        outer = key_in_file(path) if path.exists() else make_key_file(path)
        surroundings.console.tell(f"the new key is in {printable(str(path), 300)}")
    vault.lock_with(outer)
    surroundings.console.tell("changed; older copies of the vault's file open with the old key")
    return Exit.COMPLETE


COMMAND = Command(
    name="vault rekey",
    summary="change the key or passphrase that opens the vault",
    story=(
        "Locks the vault with another key file, which is made when it isn't there, or with a "
        "passphrase. The secrets in it stay as they are; workers that run go on."
    ),
    operands=(),
    groups=(
        Group("the vault as it is", (VAULT, KEY_FILE)),
        Group(
            "the vault as it shall be",
            (
                Option("--new-key-file", "the file with the new key", "FILE"),
                Option("--new-passphrase", "asked for, or a line of standard input"),
            ),
        ),
        Group("output", (DEBUG,)),
    ),
    run=rekey,
    examples=("mailhaul vault rekey --new-key-file /etc/mailhaul/vault.key",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
