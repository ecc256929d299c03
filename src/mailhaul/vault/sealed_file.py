"""The vault's file: what stands in it, read with suspicion and written whole or not at all.

It is JSON, so that a person can see that no secret is in it: the vault's id, the sealed data key
with what is needed to open it, and one sealed entry a name. Names are readable.
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.vault.outer_keys import Cost

FORMAT = "mailhaul vault 1"
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sealed:
    """Octets that only the right key opens (AES-256-GCM, NIST SP 800-38D): nonce and ciphertext."""

    nonce: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """One secret. `version` counts up with each change of this name, and is never used again."""

    version: int
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Lock:
    """The data key, sealed by the outer key of `kind` ("key" or "passphrase")."""

    kind: str
    salt: bytes
    cost: Cost
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class VaultText:
    """The whole file. `seal` covers everything else; `last` is the highest version ever given."""

    id: str
    lock: Lock
    last: int
    entries: Mapping[str, SealedEntry]
    seal: bytes = b""


def covered(text: VaultText) -> bytes:
    """What the seal covers: all entries and their versions. The lock is left out, for the outer
    key changes without the data key, and it is sealed by itself."""
    rows = [
        [name, entry.version, _told(entry.sealed.nonce), _told(entry.sealed.octets)]
        for name, entry in sorted(text.entries.items())
    ]
    return json.dumps([FORMAT, text.id, text.last, rows], ensure_ascii=True).encode("ascii")


def read_vault(path: Path) -> VaultText:
    """What the file says, not yet believed. Raises `BadInput` when it is no vault, or cut off."""
    shown = printable(str(path), 200)
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise BadInput(
            f"there is no vault at {shown}; mailhaul vault set NAME makes one"
        ) from error
    except OSError as error:
        raise BadInput(f"the vault {shown} can't be read: {error.strerror}") from error
    try:
        if len(raw) > _LARGEST:
            raise ValueError("too large")
        return _parsed(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{shown} is no vault, or it was cut off or changed; restore it from a copy"
        ) from error


def write_vault(path: Path, text: VaultText) -> None:
    """Puts `text` in place of the file, at once and durably; readable by its owner alone."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_written(text))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise BadInput(
            f"the vault {printable(str(path), 200)} can't be written: {error.strerror}; "
            "nothing was changed"
        ) from error


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """While inside, no other process changes a vault in this directory. Waits for its turn."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise BadInput(
            f"the vault's directory {printable(str(path.parent), 200)} can't be used: "
            f"{error.strerror}; name another place"
        ) from error
    try:
        # The directory itself is locked: the file is replaced by each change, a lock on it too.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(text: VaultText) -> str:
    lock = text.lock
    shape = {
        "format": FORMAT,
        "id": text.id,
        "lock": {
            "kind": lock.kind,
            "salt": _told(lock.salt),
            "memory": lock.cost.memory,
            "time": lock.cost.time,
            "lanes": lock.cost.lanes,
            "nonce": _told(lock.sealed.nonce),
            "sealed": _told(lock.sealed.octets),
        },
        "last": text.last,
        "entries": {
            name: {
                "version": entry.version,
                "nonce": _told(entry.sealed.nonce),
                "sealed": _told(entry.sealed.octets),
            }
            for name, entry in sorted(text.entries.items())
        },
        "seal": _told(text.seal),
    }
    return json.dumps(shape, ensure_ascii=True, indent=1) + "\n"


def _parsed(shape: object) -> VaultText:
    whole = cast("Mapping[str, object]", shape)
    if whole["format"] != FORMAT:
        raise ValueError("another format")
    lock = cast("Mapping[str, object]", whole["lock"])
    entries = cast("Mapping[str, Mapping[str, object]]", whole["entries"])
    cost = Cost(_number(lock["memory"]), _number(lock["time"]), _number(lock["lanes"]))
    return VaultText(
        id=_words(whole["id"]),
        lock=Lock(_words(lock["kind"]), _octets(lock["salt"]), cost, _sealed(lock)),
        last=_number(whole["last"]),
        entries={
            name: SealedEntry(_number(entry["version"]), _sealed(entry))
            for name, entry in entries.items()
        },
        seal=_octets(whole["seal"]),
    )


def _sealed(entry: Mapping[str, object]) -> Sealed:
    return Sealed(_octets(entry["nonce"]), _octets(entry["sealed"]))


def _told(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(value: object) -> bytes:
    try:
        return base64.b64decode(_words(value), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a number")
    return value
