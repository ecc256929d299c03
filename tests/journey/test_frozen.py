"""A worker that is frozen while it carries, loses its mailbox, and wakes: it sends nothing more.

Its slot is taken from it, but it does not watch that: what keeps it from sending is its lease
alone.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from mailhaul.journey.states import State
from tests.cli.running import environment
from tests.journey.frozen import INSTANTS
from tests.journey.moving import Moving, stop
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

LARGE = 3_000_000
"""Octets: more than goes out at once."""


@pytest.mark.parametrize("instant", INSTANTS)
def test_who_wakes_without_its_mailbox_doubles_nothing(
    instant: str, tmp_path: Path, dovecot: Dovecot, postgres: Postgres
) -> None:
    moving = Moving(tmp_path, dovecot, postgres.database(), speed=1.0, people=1)
    (address,) = moving.accounts
    moving.deliver(address, "small")
    moving.deliver(address, "large", LARGE)
    moving.start()
    process = _frozen(moving, instant)
    try:
        _until_stopped(process)
        (row,) = moving.rows()
        assert row.state is State.COPYING
        assert "large" not in moving.names(address, 1)
        _thought_dead(moving)
        with moving.working() as other:
            moving.until(State.SYNCED)
            process.send_signal(signal.SIGCONT)
            # What it does now is what it must not do.
            time.sleep(3.0)
            assert Counter(moving.names(address, 1)) == {"small": 1, "large": 1}
            assert stop(other) < 20
    finally:
        process.kill()
        process.wait()
        moving.database.close()


def _thought_dead(moving: Moving) -> None:
    """Does to its slot what keepalives do to one whose machine is gone."""
    with psycopg.connect(moving.database_url or "", autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'mailhaul slot' AND datname = current_database()"
        )


def _frozen(moving: Moving, instant: str) -> subprocess.Popen[bytes]:
    with (moving.home / "workers.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.journey.frozen", instant, "worker", *moving.where],
            cwd=Path(__file__).parents[2],
            env=environment(moving.home, moving.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _until_stopped(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
        if pid:
            assert os.WIFSTOPPED(status), status
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)
