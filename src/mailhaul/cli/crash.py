"""What is said and kept when mailhaul itself is at fault."""

import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from mailhaul import __version__
from mailhaul.cli.scrub import Scrubber


def crash_report(error: BaseException, scrubber: Scrubber) -> str:
    """The traceback of `error` with every live secret taken out, and the versions.

    Values of variables are not part of it, for they may be mail.
    """
    trace = "".join(traceback.format_exception(error))
    head = f"mailhaul {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n\n"
    return scrubber.clean(head + trace)


def keep_crash_report(report: str, environ: Mapping[str, str]) -> Path | None:
    """Writes `report` where only its owner can read it; None when that can't be done."""
    home = environ.get("XDG_STATE_HOME", "")
    root = Path(home) if home.startswith("/") else Path.home() / ".local/state"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = root / "mailhaul" / "crashes" / f"{stamp}-{os.getpid()}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(report)
    except OSError:
        return None
    return path
