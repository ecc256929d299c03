"""What the commands `mailhaul vault …` share: where the vault is, and what opens it."""

import getpass
import sys
from pathlib import Path

from mailhaul.cli.options import Arguments
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.vault.outer_keys import (
    KEY_VARIABLE,
    PASSPHRASE_VARIABLE,
    OuterKey,
    key_from,
    make_key_file,
)
from mailhaul.vault.sealed import Vault, make_vault
from mailhaul.vault.usual import key_file_path, usual_key_file, vault_path

LONGEST = 64 * 1024


def path_given(arguments: Arguments, surroundings: Surroundings) -> Path:
    """Where the vault is: --vault, else the usual place."""
    given = arguments.text("--vault")
    return vault_path(surroundings.environ) if given is None else Path(given).expanduser()


def key_file_given(arguments: Arguments, surroundings: Surroundings) -> Path | None:
    """The key file: --key-file, else the usual one if it is there."""
    given = arguments.text("--key-file")
    return key_file_path(surroundings.environ) if given is None else Path(given).expanduser()


def vault_given(arguments: Arguments, surroundings: Surroundings) -> Vault:
    """The vault that is meant, opened when a secret is first needed."""
    key_file = key_file_given(arguments, surroundings)

    def outer() -> OuterKey:
        return key_from(surroundings.environ, key_file, _passphrase)

    return Vault(path_given(arguments, surroundings), outer)


def vault_or_new(arguments: Arguments, surroundings: Surroundings) -> Vault:
    """The vault that is meant; where there is none yet, a new one, and a key file that opens it.
    Raises `BadInput`."""
    path = path_given(arguments, surroundings)
    if path.exists():
        return vault_given(arguments, surroundings)
    console = surroundings.console
    key_file = key_file_given(arguments, surroundings)
    if key_file is None and not _has_key(surroundings):
        key_file = usual_key_file(surroundings.environ)
    if key_file is not None and not key_file.exists():
        outer = make_key_file(key_file)
        console.tell(f"made a key for the vault: {printable(str(key_file), 300)}")
        console.tell("keep a copy of it apart from the vault; without it nothing opens it")
    else:
        outer = key_from(surroundings.environ, key_file)
    vault = make_vault(path, outer)
    console.tell(f"made a vault: {printable(str(path), 300)}")
    return vault


def secret_given(name: str, surroundings: Surroundings) -> Secret:
    """The secret for `name`: asked for twice at a terminal, else the first line of standard input.
    Raises `BadInput` when there is none."""
    if sys.stdin.isatty():
        found = _asked(f"secret for {name}: ")
        if found != _asked("the same again: "):
            raise BadInput("the two were not the same; nothing was kept")
    else:
        raw = sys.stdin.buffer.read(LONGEST + 1)
        if len(raw) > LONGEST:
            raise BadInput("what stands on standard input is too long to be a secret")
        try:
            found = raw.decode("utf-8-sig").partition("\n")[0].removesuffix("\r")
        except UnicodeDecodeError as error:
            raise BadInput("what stands on standard input is not UTF-8") from error
    if not found:
        raise BadInput("no secret was given; type it at the prompt, or pipe it in as one line")
    secret = Secret(found)
    surroundings.scrubber.learn(secret)
    return secret


def _has_key(surroundings: Surroundings) -> bool:
    """Whether a variable says what opens the vault."""
    return any(surroundings.environ.get(name) for name in (KEY_VARIABLE, PASSPHRASE_VARIABLE))


def _passphrase() -> str:
    return _asked("the vault's passphrase: ") if sys.stdin.isatty() else ""


def _asked(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""
