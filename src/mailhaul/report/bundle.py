"""A report as a directory of files that belong together, and the check that they still do.

`manifest.jsonl` is signed and names the other files by their hashes: who trusts the key can trust
every figure of every page.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.report import documents, manifest
from mailhaul.report.figures import Report

MANIFEST = "manifest.jsonl"
PAGE = "report.html"
FIGURES = "report.json"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the files, by name, how many messages the manifest holds, and the signing
    key's fingerprint."""

    directory: Path
    files: tuple[str, ...]
    messages: int
    key: str


def write(
    directory: Path,
    report: Report,
    folders: Iterable[manifest.FolderLines],
    key: Ed25519PrivateKey,
) -> Written:
    """Writes the report into `directory`, replacing an earlier one there, whole or not at all.

    Raises `BadInput` when the directory holds anything else, and OSError.
    """
    _check_free(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    fingerprint = manifest.fingerprint(key.public_key())
    texts = {
        PAGE: documents.as_html(report, fingerprint),
        FIGURES: documents.as_json(report),
        "mailboxes.csv": documents.mailboxes_csv(report),
        "folders.csv": documents.folders_csv(report),
        "not-carried.csv": documents.leftovers_csv(report),
    }
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        hashes: dict[str, str] = {}
        for name, text in texts.items():
            octets = text.encode()
            (made / name).write_bytes(octets)
            hashes[name] = hashlib.sha256(octets).hexdigest()
        with (made / MANIFEST).open("wb") as out:
            messages = manifest.write(
                out,
                key,
                plan=report.plan,
                drawn_at=report.drawn_at,
                folders=folders,
                documents=hashes,
            )
            out.flush()
            os.fsync(out.fileno())
        _put_in_place(made, directory)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Written(directory, (*texts, MANIFEST), messages, fingerprint)


def verify(directory: Path, key: str = "") -> manifest.Checked:
    """Checks the manifest in `directory` and every file it names; `key` as `manifest.check`.

    Raises `manifest.Untrue` with what isn't as it was signed, and `BadInput` when there is no
    report in the directory.
    """
    file = directory / MANIFEST if directory.is_dir() else directory
    try:
        with file.open("rb") as source:
            checked = manifest.check(source, key)
    except OSError as error:
        raise BadInput(
            f"there is no report at {printable(str(file), 200)}: {error.strerror}; give the "
            "directory that “mailhaul report” wrote"
        ) from error
    _check_documents(file.parent, checked.documents)
    return checked


def _check_documents(directory: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in sorted(hashes.items()):
        if Path(name).name != name:
            raise manifest.Untrue(f"“{printable(name, 80)}” is no name of a file in a report")
        try:
            found = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        except OSError as error:
            raise manifest.Untrue(f"{name} can't be read: {error.strerror}") from error
        if found != expected:
            raise manifest.Untrue(f"{name} has been changed since it was signed")


def _check_free(directory: Path) -> None:
    shown = printable(str(directory), 200)
    if directory.exists() and not directory.is_dir():
        raise BadInput(f"{shown} is a file; name a directory for the report")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / MANIFEST).exists():
        raise BadInput(f"{shown} holds other files; name a directory of its own for the report")


def _put_in_place(made: Path, directory: Path) -> None:
    made.chmod(0o755)
    if directory.exists():
        old = made.with_name(f"{made.name}-old")
        directory.rename(old)
        made.rename(directory)
        shutil.rmtree(old)
    else:
        made.rename(directory)
