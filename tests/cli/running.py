"""Runs the command line as a process of its own, with an environment that is ours alone."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """No password, no keyring, no terminal; the state below `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    return {
        **kept,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "TERM": "dumb",
        **(extra or {}),
    }


def command(words: Sequence[str | Path]) -> list[str]:
    """The process's own command line."""
    return [sys.executable, "-m", "mailhaul.cli", *(str(word) for word in words)]


def mailhaul(
    *words: str | Path, home: Path, environ: Mapping[str, str] | None = None, stdin: str = ""
) -> Ran:
    """Runs `mailhaul WORDS` to its end."""
    done = subprocess.run(
        command(words),
        capture_output=True,
        check=False,
        cwd=home,
        encoding="utf-8",
        env=environment(home, environ),
        input=stdin,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def maildir(path: Path, folders: Mapping[str, int], size: int = 2) -> Path:
    """A Maildir++ at `path` with so many messages of about `size` octets in each folder ("" is the
    inbox)."""
    for name, count in {"": 0, **folders}.items():
        folder = path / f".{name}" if name else path
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            body = "x" * size
            text = f"Subject: {name} {number}\nMessage-ID: <{number}@{name or 'inbox'}>\n\n{body}\n"
            file = folder / "cur" / f"17000{number:05d}.M{number}P1.host:2,S"
            file.write_text(text, encoding="utf-8")
    return path
