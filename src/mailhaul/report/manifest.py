"""The manifest: a line a message with its hash, a Merkle root a folder, signed as a whole.

A text file of JSON lines that anyone can check without mailhaul: `head`, then for each folder of
each mailbox a `folder` line and its `message` lines, a `root` line after them, at the end
`documents` (hashes of the report's other files) and `sealed` with the signature (Ed25519, RFC 8032)
over the SHA-256 of all octets before that line. docs/report.md describes it for who writes a
checker.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.report.merkle import leaf, root

VERSION = 1
LONGEST_LINE = 64 * 1024
_KEY_SIZE = 32


@dataclass(frozen=True, slots=True)
class MessageLine:
    """One message of the source. `sha256` is hexadecimal, empty where its octets were never read
    (adopted by its header, skipped, refused); `received` seconds since 1970."""

    source_key: str
    target_key: str
    fate: str
    size: int | None
    received: int | None
    sha256: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FolderLines:
    """One folder's messages, read once."""

    mailbox: str
    source: str
    target: str
    messages: Iterable[MessageLine]


@dataclass(frozen=True, slots=True)
class Checked:
    """A manifest that was found true. `key` is the public key's fingerprint."""

    plan: str
    folders: int
    messages: int
    hashed: int
    key: str
    documents: Mapping[str, str]


class Untrue(BadInput):
    """The manifest, or a file it speaks of, is not as it was signed. The text says where."""


def signing_key(file: Path) -> Ed25519PrivateKey:
    """The key in `file`, made when missing, readable by its owner only.

    Raises `BadInput` when the file holds no key or can't be read.
    """
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as made:
                made.write(Ed25519PrivateKey.generate().private_bytes_raw())
        octets = file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"the signing key {printable(str(file), 200)} can't be used: {error.strerror}"
        ) from error
    if len(octets) != _KEY_SIZE:
        raise BadInput(
            f"{printable(str(file), 200)} holds no signing key; move it away, and a new one is made"
        )
    return Ed25519PrivateKey.from_private_bytes(octets)


def fingerprint(key: Ed25519PublicKey) -> str:
    """What people compare: the public key's SHA-256, its first 16 octets in hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def write(
    out: IO[bytes],
    key: Ed25519PrivateKey,
    *,
    plan: str,
    drawn_at: float,
    folders: Iterable[FolderLines],
    documents: Mapping[str, str],
) -> int:
    """Writes the manifest and returns how many messages it holds."""
    digest = hashlib.sha256()
    messages = 0

    def put(kind: str, **values: object) -> bytes:
        line = _canonical({"": kind, **values})
        digest.update(line + b"\n")
        out.write(line + b"\n")
        return line

    public = key.public_key().public_bytes_raw().hex()
    put("head", version=VERSION, plan=plan, drawn_at=drawn_at, key=public)
    for folder in folders:
        put("folder", mailbox=folder.mailbox, source=folder.source, target=folder.target)
        count = 0

        def hashes(folder: FolderLines = folder) -> Iterator[bytes]:
            nonlocal count
            for message in folder.messages:
                count += 1
                values = {name: getattr(message, name) for name in MessageLine.__slots__}
                yield leaf(put("message", **values))

        top = root(hashes())
        put("root", messages=count, root=top.hex())
        messages += count
    put("documents", sha256=dict(documents))
    signature = key.sign(digest.digest())
    out.write(_canonical({"": "sealed", "signature": signature.hex()}) + b"\n")
    return messages


def check(source: IO[bytes], key: str = "") -> Checked:
    """Reads a manifest to its end and says what it vouches for.

    With `key`, a fingerprint, only that signer counts. Raises `Untrue` with the first line that is
    not as it was signed.
    """
    lines = _Lines(source)
    first = lines.next("head")
    if first.get("version") != VERSION:
        raise Untrue(
            f"line 1: version {printable(str(first.get('version')), 20)} is not known here"
        )
    public = _public(first.get("key"))
    if key and fingerprint(public) != key.replace(":", "").lower():
        raise Untrue(f"it is signed by {fingerprint(public)}, not by {printable(key, 80)}")
    folders = messages = hashed = 0
    while (kind := lines.kind()) == "folder":
        lines.next("folder")
        leaves: list[bytes] = []
        while lines.kind() == "message":
            line = lines.line
            message = lines.next("message")
            leaves.append(leaf(line))
            hashed += bool(message.get("sha256"))
        told = lines.next("root")
        if told.get("messages") != len(leaves) or told.get("root") != root(leaves).hex():
            raise Untrue(f"line {lines.number}: the messages above are not those of the root")
        folders += 1
        messages += len(leaves)
    if kind != "documents":
        raise Untrue(f"line {lines.number + 1}: a folder or the documents should stand here")
    documents = lines.next("documents").get("sha256")
    covered = lines.covered()
    sealed = lines.next("sealed")
    try:
        public.verify(bytes.fromhex(str(sealed.get("signature"))), covered)
    except (InvalidSignature, ValueError) as error:
        raise Untrue("the signature is not that of these lines") from error
    if lines.kind() is not None:
        raise Untrue(f"line {lines.number + 1}: something was added after the signature")
    if not isinstance(documents, dict):
        raise Untrue("the documents' hashes are missing")
    hashes = {str(name): str(value) for name, value in documents.items()}
    plan = printable(str(first.get("plan")), 200)
    return Checked(plan, folders, messages, hashed, fingerprint(public), hashes)


class _Lines:
    """The lines one by one, with the next one looked at already."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.number = 0
        self.line = b""
        self._parsed: dict[str, object] | None = None
        self._read()

    def kind(self) -> str | None:
        return None if self._parsed is None else str(self._parsed.get(""))

    def covered(self) -> bytes:
        """The digest of all lines taken so far."""
        return self._digest.digest()

    def next(self, kind: str) -> dict[str, object]:
        if self._parsed is None:
            raise Untrue(f"it ends after line {self.number}; “{kind}” should follow")
        if self.kind() != kind:
            raise Untrue(f"line {self.number + 1}: “{kind}” should stand here")
        parsed = self._parsed
        self._digest.update(self.line + b"\n")
        self.number += 1
        self._read()
        return parsed

    def _read(self) -> None:
        raw = self._source.readline(LONGEST_LINE)
        self._parsed = None
        if not raw:
            return
        if not raw.endswith(b"\n"):
            raise Untrue(f"line {self.number + 1} is cut off or too long")
        self.line = raw[:-1]
        try:
            parsed = json.loads(self.line)
        except (ValueError, RecursionError) as error:
            raise Untrue(f"line {self.number + 1} is no JSON") from error
        if not isinstance(parsed, dict):
            raise Untrue(f"line {self.number + 1} is no record")
        self._parsed = parsed


def _public(text: object) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(text)))
    except ValueError as error:
        raise Untrue("line 1: there is no public key") from error


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
