"""The vault: secrets sealed in one file, for those that lie nowhere else.

A random 256-bit data key seals every entry by AES-256-GCM, bound to the vault's id, the entry's
name and its version: an entry put in another's place, or an older one put back, doesn't open. A
seal over the list of entries finds out when one was taken away. The data key itself is sealed by an
outer key (`vault.outer_keys`), which can be changed without touching an entry. What this doesn't
find out is a whole older copy of the file put in its place: that is how backups are restored.
"""

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.vault.outer_keys import KEY_LENGTH, Cost, OuterKey, sealing_key
from mailhaul.vault.sealed_file import (
    Lock,
    Sealed,
    SealedEntry,
    VaultText,
    covered,
    only_writer,
    read_vault,
    write_vault,
)

LONGEST_NAME = 200
LONGEST_SECRET = 64 * 1024
_NONCE = 12
_SALT = 16
USUAL_COST = Cost()


class Vault:
    """A vault at `path`. `outer` is asked for the key when a secret is first needed; every reading
    looks at the file anew, so that what another process has set is seen."""

    def __init__(self, path: Path, outer: Callable[[], OuterKey]) -> None:
        self.path = path
        self._outer = outer
        self._data_key: tuple[str, bytes] | None = None
        """Vault id and key, once it was opened."""
        self._opening = threading.Lock()
        """A passphrase costs memory to check: one check at a time, though many logins wait."""

    def names(self) -> list[str]:
        """Every entry's name, sorted; needs no key."""
        return sorted(read_vault(self.path).entries)

    def get(self, name: str) -> Secret | None:
        """The secret of that name; None when there is none. Raises `BadInput`."""
        text = read_vault(self.path)
        key = self._opened(text)
        entry = text.entries.get(name)
        if entry is None:
            return None
        try:
            bound = _bound(text.id, name, entry.version)
            opened = AESGCM(key).decrypt(entry.sealed.nonce, entry.sealed.octets, bound)
        except (InvalidTag, ValueError) as error:
            raise _changed(self.path) from error
        return Secret(opened.decode())

    def set(self, name: str, secret: Secret) -> None:
        """Keeps `secret` under `name`, in place of an older one. Raises `BadInput`."""
        _check_name(name)
        octets = secret.reveal().encode(errors="replace")
        if not 0 < len(octets) <= LONGEST_SECRET or octets.decode() != secret.reveal():
            raise BadInput(f"a secret in the vault is 1 to {LONGEST_SECRET} octets of UTF-8")
        with only_writer(self.path):
            text = read_vault(self.path)
            key = self._opened(text)
            version = text.last + 1
            sealed = _seal(key, octets, _bound(text.id, name, version))
            entries = {**text.entries, name: SealedEntry(version, sealed)}
            write_vault(self.path, _sealed_whole(key, replace(text, last=version, entries=entries)))

    def remove(self, name: str) -> bool:
        """Forgets the secret of that name; False when there was none. Raises `BadInput`."""
        with only_writer(self.path):
            text = read_vault(self.path)
            key = self._opened(text)
            if name not in text.entries:
                return False
            entries = {other: entry for other, entry in text.entries.items() if other != name}
            write_vault(self.path, _sealed_whole(key, replace(text, entries=entries)))
            return True

    def lock_with(self, outer: OuterKey, cost: Cost = USUAL_COST) -> None:
        """From now on `outer` opens the vault, and the old key doesn't. Copies of the file made
        before still open with the old key. Raises `BadInput`."""
        with only_writer(self.path):
            text = read_vault(self.path)
            key = self._opened(text)
            write_vault(self.path, replace(text, lock=_locked(key, text.id, outer, cost)))
        self._outer = lambda: outer

    def _opened(self, text: VaultText) -> bytes:
        """The data key, once it is certain that the file is what was written with it."""
        with self._opening:
            if self._data_key is None or self._data_key[0] != text.id:
                self._data_key = text.id, _data_key(self.path, text, self._outer())
            key = self._data_key[1]
        if not hmac.compare_digest(_seal_of(key, text), text.seal):
            raise _changed(self.path)
        return key


def make_vault(path: Path, outer: OuterKey, cost: Cost = USUAL_COST) -> Vault:
    """A new, empty vault at `path`. Raises `BadInput` when there is one already."""
    with only_writer(path):
        if path.exists():
            raise BadInput(f"there is a vault at {printable(str(path), 200)} already")
        key, name = secrets.token_bytes(KEY_LENGTH), secrets.token_hex(16)
        text = VaultText(name, _locked(key, name, outer, cost), 0, {})
        write_vault(path, _sealed_whole(key, text))
    return Vault(path, lambda: outer)


def _locked(key: bytes, name: str, outer: OuterKey, cost: Cost) -> Lock:
    salt = secrets.token_bytes(_SALT)
    return Lock(
        outer.kind,
        salt,
        cost,
        _seal(sealing_key(outer, salt, cost), key, _lock_bound(name, outer.kind)),
    )


def _data_key(path: Path, text: VaultText, outer: OuterKey) -> bytes:
    shown = printable(str(path), 200)
    lock = text.lock
    if lock.kind != outer.kind:
        takes = "a passphrase" if lock.kind == "passphrase" else "a key (of a file or a variable)"
        raise BadInput(f"the vault {shown} takes {takes}; give that")
    try:
        key = AESGCM(sealing_key(outer, lock.salt, lock.cost)).decrypt(
            lock.sealed.nonce, lock.sealed.octets, _lock_bound(text.id, lock.kind)
        )
    except (InvalidTag, ValueError) as error:
        raise BadInput(
            f"the vault {shown} doesn't open with this {lock.kind}: it is another vault's, or the "
            "file was changed; give the right one, or restore the file from a copy"
        ) from error
    return key


def _seal(key: bytes, octets: bytes, bound: bytes) -> Sealed:
    # Random nonces: one data key seals far fewer than 2^32 entries (SP 800-38D 8.3).
    nonce = secrets.token_bytes(_NONCE)
    return Sealed(nonce, AESGCM(key).encrypt(nonce, octets, bound))


def _sealed_whole(key: bytes, text: VaultText) -> VaultText:
    return replace(text, seal=_seal_of(key, text))


def _seal_of(key: bytes, text: VaultText) -> bytes:
    own = hmac.digest(key, b"mailhaul vault: list of entries", hashlib.sha256)
    return hmac.digest(own, covered(text), hashlib.sha256)


def _bound(vault: str, name: str, version: int) -> bytes:
    return json.dumps([vault, name, version]).encode("ascii")


def _lock_bound(vault: str, kind: str) -> bytes:
    return json.dumps([vault, kind, "data key"]).encode("ascii")


def _check_name(name: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise BadInput(
            f"“{printable(name, 60)}” can't name a secret; a name has 1 to {LONGEST_NAME} "
            "printable characters and no blanks around"
        )


def _changed(path: Path) -> BadInput:
    return BadInput(
        f"the vault {printable(str(path), 200)} was changed by something else than mailhaul; "
        "restore it from a copy"
    )
