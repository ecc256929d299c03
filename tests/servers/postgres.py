"""A private PostgreSQL: its own directory, on a socket of its own in it, without a port.

As root it runs as a system user made for it, for PostgreSQL refuses root; else as whoever runs the
tests. What is written is never synced: a test kills processes, not the machine.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.servers.process import (
    MOURNING,
    SHELL,
    START_DEADLINE,
    StartFailed,
    Unavailable,
    fast,
    is_root,
    program,
)

USER = "mailhaul-postgres"
PROGRAMS = Path("/usr/lib/postgresql")
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


class Postgres:
    """A PostgreSQL server; a context manager. `database()` gives the URL of a fresh database.
    `crashes`: what was committed is there after `stop` and `start`."""

    name = "postgres"

    def __init__(self, *, crashes: bool = False) -> None:
        self._settings = {**SETTINGS, **({"synchronous_commit": "on"} if crashes else {})}
        self.directory = Path()
        self._programs = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._mourner: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Self:
        self._programs = _programs()
        self.directory = Path(tempfile.mkdtemp(prefix="mailhaul-postgres-", dir=fast()))
        try:
            if is_root():
                shutil.chown(self.directory, _user(), _user())
            self._as_owner([self._programs / "initdb", "-D", self._data, "-U", USER, "-A", "trust"])
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def url(self, database: str = "postgres") -> str:
        """As one gives it to `--database`."""
        return f"postgresql://{USER}@/{database}?host={self.directory}"

    def database(self) -> str:
        """The URL of a database that no other test uses."""
        self._databases += 1
        name = f"test{self._databases}"
        self._as_owner(
            [self._programs / "createdb", "-h", self.directory, "-U", USER, "-T", "template0", name]
        )
        return self.url(name)

    def start(self) -> None:
        """Starts the server on what it holds; also after `kill`."""
        options = [
            part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")
        ]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(self._programs / "postgres"), "-D", str(self._data)),
                    *("-k", str(self.directory), *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
                user=_user() if is_root() else None,
                group=_user() if is_root() else None,
                extra_groups=[] if is_root() else None,
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
                raise StartFailed(f"postgres ended at once:\n{self.log()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise StartFailed(f"postgres did not answer within {START_DEADLINE} s:\n{self.log()}")

    def stop(self) -> None:
        """Ends the server at once, as a crash would; what it holds stays, for `start`."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            # SIGQUIT: immediate shutdown. Its children and its shared memory go with it.
            process.send_signal(signal.SIGQUIT)
            process.wait()
        mourner, self._mourner = self._mourner, None
        if mourner is not None:
            mourner.kill()
            mourner.wait()
            assert mourner.stdin is not None
            mourner.stdin.close()

    def close(self) -> None:
        """Ends the server and removes everything."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _answers(self) -> bool:
        asked = subprocess.run(
            [str(self._programs / "pg_isready"), "-q", "-h", str(self.directory)], check=False
        )
        return asked.returncode == 0

    def _as_owner(self, command: Sequence[str | Path]) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            user=_user() if is_root() else None,
            group=_user() if is_root() else None,
            extra_groups=[] if is_root() else None,
        )
        if done.returncode:
            raise StartFailed(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")


def _programs() -> Path:
    """Where the newest PostgreSQL's programs lie; Debian keeps them out of the path."""
    versions = [path for path in PROGRAMS.glob("*/bin") if (path / "initdb").exists()]
    if not versions:
        raise Unavailable("postgresql is not installed: apt-get install postgresql, or make test")
    return max(versions, key=lambda path: int(path.parent.name))


def _user() -> str:
    subprocess.run(
        [
            program("useradd", "passwd"),
            *("--system", "--user-group", "--no-create-home"),
            *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", USER),
        ],
        check=False,  # it may be there
        capture_output=True,
    )
    return USER
