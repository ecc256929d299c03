"""Private servers for tests: what the ones in this package have in common.

How to use them (everything here is a plain context manager; starting takes well under a second
for Dovecot, about one for Cyrus and pymap):

    def test_something(dovecot: Dovecot) -> None:          # session fixture, tests/conftest.py
        account = dovecot.account()                        # a fresh, empty mailbox each call
        endpoint = dovecot.endpoint(account)               # imap://user@127.0.0.1:port
        credentials = dovecot.credentials(account)

    with Dovecot(hidden={"UIDPLUS", "MULTIAPPEND"}, prefix="INBOX.", separator=".") as server:
        ...                                                # one with knobs, for this test alone

Fixtures: `dovecot`, `cyrus`, `pymap_server` (session), and `server` (each of the three in turn).
A test whose server can't be had is skipped, one line says so; with CI=true the run fails instead.
Each server has its own directory, port and processes; any number of runs at once don't collide.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.text import Secret

HOST = "127.0.0.1"
START_DEADLINE = 20.0
ATTEMPTS = 5
ROOM = 4 * 1024**3
SHELL = "/bin/sh"
MOURNING = 'cat >/dev/null; kill -9 "-$0" 2>/dev/null; rm -rf -- "$1"'
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def fast() -> Path | None:
    """Where files cost no disk, when there is room; None: the usual place."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return None


class Unavailable(Exception):
    """This server can't be had on this machine; the text says what to install."""


class StartFailed(Exception):
    """The server was started and did not greet; the text is its log."""


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox on a test server."""

    user: str
    password: str


class RunningServer:
    """What a started server offers; each server's class fills in how it is started.

    `host`, `port`: plaintext IMAP on loopback. `directory`: everything it keeps, removed at the
    end. `name`: "dovecot", "cyrus", "pymap".
    """

    name = ""

    def __init__(self) -> None:
        self.host = HOST
        self.port = 0
        self.directory = Path()
        self.token = f"{random.getrandbits(40):010x}"
        self.password = f"secret-{self.token}"
        self._process: subprocess.Popen[bytes] | None = None
        self._mourner: subprocess.Popen[bytes] | None = None
        self._accounts = 0
        self.adding = threading.Lock()
        """Held while the server's list of accounts is changed: tests ask for them in threads."""

    def __enter__(self) -> Self:
        for attempt in range(ATTEMPTS):
            self.directory = Path(tempfile.mkdtemp(prefix=f"mailhaul-{self.name}-", dir=fast()))
            # The server's own users have to get in.
            self.directory.chmod(0o755)
            try:
                self.start()
            except StartFailed:
                # Another process may have taken the port between our look and the server's bind.
                self.stop()
                if attempt == ATTEMPTS - 1:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Writes the configuration, launches, waits for the greeting. Raises `StartFailed`."""
        raise NotImplementedError

    def add_user(self, user: str, password: str) -> Account:
        """An account with an empty mailbox; adding one that is there changes its password."""
        raise NotImplementedError

    def account(self) -> Account:
        """A fresh account that no other test uses."""
        return self.add_user(f"user{self.next_account()}", self.password)

    def next_account(self) -> int:
        """A number that no other account has."""
        with self.adding:
            self._accounts += 1
            return self._accounts

    def endpoint(self, account: Account) -> Endpoint:
        return Endpoint("imap", self.host, self.port, account.user)

    def url(self, account: Account) -> str:
        """The endpoint as one writes it on the command line."""
        return str(self.endpoint(account))

    def credentials(self, account: Account) -> Credentials:
        return Credentials(password=Secret(account.password))

    def log(self) -> str:
        """What the server has written to its log so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def launch(self, command: Sequence[str | Path], greeting: Callable[[bytes], bool]) -> None:
        """Starts `command` in its own session and waits until `port` answers with `greeting`."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
            )
        # Should the tests be killed, their end of this pipe closes and the server goes too.
        self._mourner = subprocess.Popen(
            [SHELL, "-c", MOURNING, str(self._process.pid), str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartFailed(f"{self.name} ended at once:\n{self.log()}")
            line = _first_line(self.host, self.port)
            if line and greeting(line):
                return
            if line:
                raise StartFailed(f"another server answers on port {self.port}: {line!r}")
            time.sleep(0.01)
        raise StartFailed(f"{self.name} did not greet within {START_DEADLINE} s:\n{self.log()}")

    def stop(self) -> None:
        """Ends the server's processes and removes its directory; doing so twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            # Its state goes with it, so that nothing is gained by asking politely.
            _end_group(process.pid)
            process.wait()
        mourner, self._mourner = self._mourner, None
        if mourner is not None:
            mourner.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on, below the range from which outgoing connections draw."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def program(name: str, package: str) -> Path:
    """Where `name` lies, also in the sbin directories. Raises `Unavailable`."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise Unavailable(
            f"{name} is not installed: apt-get install {package}, or make test as root"
        )
    return Path(found)


def is_root() -> bool:
    return os.geteuid() == 0


def _first_line(host: str, port: int) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            return connection.makefile("rb").readline()
    except OSError:
        return b""


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
