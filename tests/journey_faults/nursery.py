"""Real processes of `mailhaul`, without waiting a second for each to import what it needs.

A nursery is one process that has imported the worker's modules and forks for every command: the
child is a process like any other, in a session of its own, and may be killed, stopped and waited
for. Two hundred kills need two hundred workers, and a test machine has two cores.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

IMPORTED = (
    "mailhaul.cli.main",
    "mailhaul.cli.run",
    "mailhaul.cli.worker",
    "mailhaul.cli.report",
    "mailhaul.journey.dbos_engine",
    "mailhaul.journey.shop",
    "mailhaul.journey.worker",
    "mailhaul.journey.orders",
    "mailhaul.db.migrate",
    "mailhaul.report.bundle",
    "mailhaul.stores.imap",
    "alembic.command",
    "psycopg",
)
POLL = 0.02


class Nursery:
    """A context manager; may be used by several threads."""

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self._file = ours.makefile("rb")
        self._lock = threading.Lock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._socket.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def start(
        self, words: Sequence[str], *, home: Path, environ: Mapping[str, str], log: Path
    ) -> "Child":
        """`mailhaul WORDS`; what it says goes to the end of `log`."""
        asked = {
            "words": [*words],
            "home": str(home),
            "environ": dict(environ),
            "log": str(log),
        }
        return Child(self, self._ask(asked), log)

    def run(self, words: Sequence[str], *, home: Path, environ: Mapping[str, str]) -> "Ran":
        """`mailhaul WORDS` to its end."""
        log = home / f"said-{time.monotonic_ns()}"
        child = self.start(words, home=home, environ=environ, log=log)
        code = child.wait(120)
        text = log.read_text(errors="replace")
        log.unlink()
        return Ran(code, text)

    def code(self, pid: int) -> int | None:
        """As `Popen.poll`."""
        found = self._ask({"wait": pid})
        return None if found == STILL else found

    def _ask(self, what: Mapping[str, Any]) -> int:
        with self._lock:
            self._socket.sendall(json.dumps(what).encode() + b"\n")
            line = self._file.readline()
        assert line, "the nursery has died"
        return int(line)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and all that it said."""

    code: int
    text: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its lines of JSON."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]


class Child:
    """A process of the nursery."""

    def __init__(self, nursery: Nursery, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._nursery = nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        if self._code is None:
            self._code = self._nursery.code(self.pid)
        return self._code

    def wait(self, seconds: float) -> int:
        """The exit code, once it has one. Raises `TimeoutError`."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"process {self.pid} has not ended in {seconds} s")
            time.sleep(POLL)
        return code

    def signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> int:
        """kill -9, unless it has ended by itself; the exit code."""
        self.signal(signal.SIGKILL)
        return self.wait(10)


# the nursery's own process

STILL = -1000


def _serve(handle: int) -> None:
    for name in IMPORTED:
        __import__(name)
    end = socket.socket(fileno=handle)
    alive: set[int] = set()
    ended: dict[int, int] = {}
    with end.makefile("rb") as lines:
        for line in lines:
            asked = json.loads(line)
            if "wait" in asked:
                answer = _code(asked["wait"], alive, ended)
            else:
                answer = os.fork()
                if answer == 0:
                    end.close()
                    _become(asked)
                alive.add(answer)
            end.sendall(b"%d\n" % answer)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _code(pid: int, alive: set[int], ended: dict[int, int]) -> int:
    if pid in alive:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            alive.discard(pid)
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended.get(pid, STILL)


def _become(asked: Mapping[str, Any]) -> None:
    """Is `mailhaul` from here on."""
    code = 1
    try:
        os.setsid()
        os.chdir(asked["home"])
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(asked["environ"])
        sys.argv = ["mailhaul", *asked["words"]]
        from mailhaul.cli.main import main

        code = int(main())
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
