"""kill -9 of a real `mailhaul copy` at random instants, Dovecot to Cyrus, again and again.

A chain is one mailbox pair with one state directory: run, kill, run, kill … and where a run came to
its end before the kill, its copy must be exact, and the owner of the source adds, flags and deletes
some more. After the last kill a run that nobody disturbs must end with 0 and leave an exact copy.
The instants are spread over the time that an undisturbed run takes, measured first.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.mailboxes import Person
from tests.faults.oracle import compare, read_mailbox
from tests.faults.soaking import KILLS, SEED
from tests.servers.process import Account, RunningServer

CHAINS = 4
MESSAGES = 250
DEADLINE = 60.0
MAILHAUL = Path(sys.executable).with_name("mailhaul")


@dataclass(frozen=True, slots=True)
class Chain:
    """One pair, by the command that a person would give."""

    source: tuple[RunningServer, Account]
    target: tuple[RunningServer, Account]
    state: Path

    def start(self) -> subprocess.Popen[bytes]:
        """`mailhaul copy`, in a process group of its own."""
        (source, ours), (target, theirs) = self.source, self.target
        return subprocess.Popen(
            [
                *(MAILHAUL, "copy", source.url(ours), target.url(theirs)),
                *("--state", self.state, "--delete", "mirror", "--max-delete", "10000"),
                *("--json", "--quiet"),
            ],
            env={
                **os.environ,
                "MAILHAUL_SOURCE_PASSWORD": ours.password,
                "MAILHAUL_TARGET_PASSWORD": theirs.password,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def finish(self) -> tuple[int, str]:
        """An undisturbed run: its exit code and its output."""
        process = self.start()
        output, _ = process.communicate(timeout=DEADLINE)
        return process.returncode, output.decode(errors="replace")

    def killed_after(self, seconds: float) -> bool:
        """Starts a run and kills it after `seconds`; false when it had come to its end before."""
        process = self.start()
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            # Between the time-out and the kill it may have come to its end after all.
            return process.returncode == -signal.SIGKILL
        assert process.returncode == 0, output.decode(errors="replace")
        return False

    def difference(self) -> str:
        """Empty when the copy is exact."""
        sides = [
            read_mailbox(server.host, server.port, account.user, account.password)
            for server, account in (self.source, self.target)
        ]
        verdict = compare(*sides)
        return "" if verdict.exact else str(verdict)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(CHAINS))
def test_killed_at_random_instants_it_ends_exact(
    number: int, dovecot: RunningServer, cyrus: RunningServer, tmp_path: Path
) -> None:
    draw = random.Random(f"kills {SEED} {number}")
    chain, person = _chain(dovecot, cyrus, tmp_path / "chain", draw)
    usual = _undisturbed(dovecot, cyrus, tmp_path)
    before = _source(chain)
    kills = 0
    while kills < KILLS // CHAINS:
        if chain.killed_after(usual.random(draw)):
            kills += 1
            continue
        assert not chain.difference(), f"seed {SEED}, after {kills} kills"
        assert _source(chain) == before, "the source was touched"
        person.go_on(new=draw.randrange(40, 120), flagged=20, deleted=60)
        before = _source(chain)
    code, output = chain.finish()
    assert code == 0, output
    assert not chain.difference(), f"seed {SEED}, after {kills} kills"
    assert _source(chain) == before, "the source was touched"


@dataclass(frozen=True, slots=True)
class Usual:
    """Seconds until a run has anything to lose, and seconds until it ends."""

    start: float
    end: float

    def random(self, draw: random.Random) -> float:
        return draw.uniform(self.start, self.end)


def _undisturbed(dovecot: RunningServer, cyrus: RunningServer, directory: Path) -> Usual:
    """A first copy and a run with nothing to do, of a mailbox like the others."""
    chain, _ = _chain(dovecot, cyrus, directory / "usual", random.Random(0))
    took = []
    for _ in range(2):
        begun = time.monotonic()
        code, output = chain.finish()
        took.append(time.monotonic() - begun)
        assert code == 0, output
        assert not chain.difference()
    return Usual(took[1] / 2, took[0])


def _chain(
    dovecot: RunningServer, cyrus: RunningServer, state: Path, draw: random.Random
) -> tuple[Chain, Person]:
    source, target = dovecot.account(), cyrus.account()
    person = Person(dovecot.host, dovecot.port, source.user, source.password, draw)
    person.fill(MESSAGES)
    return Chain((dovecot, source), (cyrus, target), state), person


def _source(chain: Chain) -> Sequence[object]:
    server, account = chain.source
    contents = read_mailbox(server.host, server.port, account.user, account.password)
    return sorted(contents.items())
