"""The key that a vault is locked with: 32 octets in a file or a variable, or a passphrase.

A key file is readable by its owner alone. A passphrase becomes a key by Argon2id (RFC 9106), so
that guessing is slow; the cost stands in the vault, and one beyond reason is refused.
"""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable

KEY_VARIABLE = "MAILHAUL_VAULT_KEY"
PASSPHRASE_VARIABLE = "MAILHAUL_VAULT_PASSPHRASE"  # noqa: S105 - a variable's name
KEY_LENGTH = 32
_MOST_MEMORY = 1024 * 1024
_MOST_TIME = 20
_MOST_LANES = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a passphrase costs: KiB of memory, rounds over it, lanes (RFC 9106 4,
    second recommendation)."""

    memory: int = 64 * 1024
    time: int = 3
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class OuterKey:
    """What opens a vault: either `octets` (32 of them) or a `passphrase`."""

    octets: Secret | None = None
    passphrase: Secret | None = None

    @property
    def kind(self) -> str:
        return "key" if self.octets is not None else "passphrase"


def key_in_file(path: Path) -> OuterKey:
    """The key in a key file. Raises `BadInput` when others may read the file, or it holds none."""
    shown = printable(str(path), 200)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(1024)
    except OSError as error:
        raise BadInput(
            f"the vault's key file {shown} can't be read: {error.strerror}; name the right one"
        ) from error
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        raise BadInput(
            f"the vault's key file {shown} can be read by others on this machine; "
            "run chmod 400 on it, and make a new key if others have accounts here"
        )
    return key_from_text(raw.decode("latin-1"), f"the vault's key file {shown}")


def key_from_text(text: str, label: str) -> OuterKey:
    """The key that `text` writes, in base64. Raises `BadInput`, which never holds the text."""
    try:
        octets = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != KEY_LENGTH:
        raise BadInput(
            f"{label} holds no key: it is to be {KEY_LENGTH} random octets in base64, "
            "as mailhaul vault set makes them"
        )
    return OuterKey(octets=Secret(base64.b64encode(octets).decode("ascii")))


def make_key_file(path: Path) -> OuterKey:
    """Makes a new key file that its owner alone can read (0400), and returns its key. Raises
    `BadInput` when there is a file already."""
    text = base64.b64encode(secrets.token_bytes(KEY_LENGTH)).decode("ascii")
    shown = printable(str(path), 200)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise BadInput(f"{shown} is there already; name a new file for the new key") from error
    except OSError as error:
        raise BadInput(
            f"the key file {shown} can't be written: {error.strerror}; name another place"
        ) from error
    return OuterKey(octets=Secret(text))


def key_from(
    environ: Mapping[str, str], key_file: Path | None, ask: Callable[[], str] | None = None
) -> OuterKey:
    """The outer key: of the key file that is named, else of the environment, else what a person
    answers. Raises `BadInput` when there is none of these."""
    if key_file is not None:
        return key_in_file(key_file)
    if text := environ.get(KEY_VARIABLE, ""):
        return key_from_text(text, KEY_VARIABLE)
    if text := environ.get(PASSPHRASE_VARIABLE, ""):
        return OuterKey(passphrase=Secret(text))
    answer = ask() if ask is not None else ""
    if not answer:
        raise BadInput(
            f"nothing opens the vault; name its key file, or set {KEY_VARIABLE} or "
            f"{PASSPHRASE_VARIABLE}"
        )
    return OuterKey(passphrase=Secret(answer))


def sealing_key(outer: OuterKey, salt: bytes, cost: Cost) -> bytes:
    """The 32 octets that seal the data key. Raises `BadInput` for a cost beyond reason, which only
    somebody who wants to hold us up would write."""
    if outer.octets is not None:
        return base64.b64decode(outer.octets.reveal())
    assert outer.passphrase is not None
    within = (
        8 <= cost.memory <= _MOST_MEMORY
        and 1 <= cost.time <= _MOST_TIME
        and 1 <= cost.lanes <= _MOST_LANES
    )
    if not within:
        raise BadInput("the vault asks for a costlier passphrase check than mailhaul ever writes")
    from argon2.low_level import Type, hash_secret_raw  # noqa: PLC0415 - passphrases alone need it

    return hash_secret_raw(
        outer.passphrase.reveal().encode(),
        salt,
        time_cost=cost.time,
        memory_cost=cost.memory,
        parallelism=cost.lanes,
        hash_len=KEY_LENGTH,
        type=Type.ID,
    )
