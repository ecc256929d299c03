"""`python -m mailhaul.lab.tether WORDS` is `mailhaul WORDS` that ends with whoever started it.

Its standard input is a pipe of which nobody else has the other end: when the parent goes, even by
kill -9, the pipe ends and the program is asked to stop, as by SIGTERM.
"""

import os
import signal
import sys
import threading

_STANDARD_INPUT = 0
_ENOUGH = 4096


def tether() -> None:
    """From now on this process ends when its standard input does."""
    threading.Thread(target=_hold_on, name="tether", daemon=True).start()


def _hold_on() -> None:
    while os.read(_STANDARD_INPUT, _ENOUGH):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _main() -> int:
    tether()
    from mailhaul.cli.main import main  # noqa: PLC0415 - a parent that goes meanwhile is noticed

    return main()


if __name__ == "__main__":
    sys.exit(_main())
