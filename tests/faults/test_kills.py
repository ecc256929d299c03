"""kill -9 of a real `mailhaul copy` at random instants, Dovecot to Cyrus, again and again.

A chain is one mailbox pair with one state directory: run, kill, run, kill … and where a run came to
its end before the kill, its copy must be exact, and the owner of the source adds, flags and deletes
some more. After the last kill a run that nobody disturbs must end with 0 and leave an exact copy.
The instants are spread over the life of a run and over its work, as measured first. Chains run side
by side, for they wait more than they work.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.mailboxes import Person
from tests.faults.oracle import Verdict, compare, read_mailbox
from tests.faults.soaking import KILLS, SEED
from tests.servers.process import Account, RunningServer

CHAINS = 8
MESSAGES = 600
CROWD = 2.5
"""So much longer a run takes beside the other chains than alone."""
SETTLED = 1.5
"""Seconds after which a server has stored, or dropped, what it had received at a kill."""
DEADLINE = 60.0
MAILHAUL = Path(sys.executable).with_name("mailhaul")


@dataclass(frozen=True, slots=True)
class Instant:
    """`seconds` after the run has told of this event; after the start of the process if empty."""

    seconds: float
    event: bytes = b""


@dataclass(frozen=True, slots=True)
class Usual:
    """What undisturbed runs take, in seconds: one with nothing to do, one with all to do."""

    idle: float
    full: float

    def instant(self, draw: random.Random) -> Instant:
        """A third of all instants is spread over the whole life of a process, a third over the
        time in which it carries, a third lies close behind the first messages that are durable;
        all as if a run took longer, for others run beside it."""
        work = CROWD * (self.full - self.idle / 2)
        return draw.choice(
            (
                Instant(draw.uniform(self.idle / 2, CROWD * self.full)),
                Instant(draw.uniform(0.0, work), b'"mapped"'),
                Instant(draw.uniform(0.0, work / 5), b'"carried"'),
            )
        )


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
                "--json",
            ],
            env={
                **os.environ,
                "XDG_STATE_HOME": str(self.state.parent),
                "MAILHAUL_SOURCE_PASSWORD": ours.password,
                "MAILHAUL_TARGET_PASSWORD": theirs.password,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )

    def finish(self) -> tuple[int, str]:
        """An undisturbed run: its exit code and its output."""
        process = self.start()
        output, _ = process.communicate(timeout=DEADLINE)
        return process.returncode, output.decode(errors="replace")

    def killed(self, instant: Instant) -> bool:
        """Starts a run and kills it at that instant; false when it had come to its end before."""
        process = self.start()
        assert process.stdout is not None
        # A run that never tells of the event comes to its end instead.
        while instant.event and (line := process.stdout.readline()) and instant.event not in line:
            pass
        try:
            output, _ = process.communicate(timeout=instant.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            # Between the time-out and the kill it may have come to its end after all.
            return process.returncode == -signal.SIGKILL
        assert process.returncode == 0, output.decode(errors="replace")
        return False

    def check(self, before: Sequence[object], when: str) -> None:
        """The copy is exact, and the source is as it was `before`."""
        verdict = self.verdict()
        assert verdict.exact, f"{when}: {verdict}"
        assert _source(self) == before, f"{when}: the source was touched"

    def age(self) -> None:
        """The ledger looks as if it had been written to long ago."""
        then = time.time() - 60
        for file in self.state.glob("ledger.sqlite*"):
            os.utime(file, (then, then))

    def verdict(self) -> Verdict:
        """How the target differs from the source at this moment."""
        sides = [
            read_mailbox(server.host, server.port, account.user, account.password)
            for server, account in (self.source, self.target)
        ]
        return compare(*sides)


@dataclass(frozen=True, slots=True)
class Kills:
    """How many fell, and how many of them while a part of the mail had been carried."""

    all: int
    amid: int


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_at_random_instants_and_run_again_later_it_ends_exact(
    dovecot: RunningServer, cyrus: RunningServer, tmp_path: Path
) -> None:
    kills = _chains(dovecot, cyrus, tmp_path, KILLS, rest=SETTLED)
    assert kills.all >= KILLS
    assert kills.amid >= kills.all // 20, "the kills miss what they should hit"


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_at_random_instants_and_run_again_at_once_it_ends_exact(
    dovecot: RunningServer, cyrus: RunningServer, tmp_path: Path
) -> None:
    kills = _chains(dovecot, cyrus, tmp_path, KILLS // 5, rest=0.0)
    assert kills.all >= KILLS // 5


def _chains(
    dovecot: RunningServer, cyrus: RunningServer, directory: Path, kills: int, rest: float
) -> Kills:
    """Runs all chains side by side; `rest` seconds pass between a kill and the next run, which
    then needs no rest of its own; with none it has to take one."""
    usual = _undisturbed(dovecot, cyrus, directory)
    draws = [random.Random(f"kills {SEED} {rest} {number}") for number in range(CHAINS)]
    chains = [
        _chain(dovecot, cyrus, directory / str(number), draw) for number, draw in enumerate(draws)
    ]
    with ThreadPoolExecutor(CHAINS) as pool:
        runs = [
            pool.submit(_kill_on, chain, person, usual, draw, -(-kills // CHAINS), rest)
            for (chain, person), draw in zip(chains, draws, strict=True)
        ]
        ended = [run.result() for run in runs]
    return Kills(sum(kills.all for kills in ended), sum(kills.amid for kills in ended))


def _kill_on(
    chain: Chain, person: Person, usual: Usual, draw: random.Random, most: int, rest: float
) -> Kills:
    before = _source(chain)
    missing = chain.verdict().lost
    kills = amid = 0
    while kills < most:
        if chain.killed(usual.instant(draw)):
            kills += 1
            time.sleep(rest)
            if rest:
                chain.age()
                missing, earlier = chain.verdict().lost, missing
                amid += 0 < missing < earlier
            continue
        chain.check(before, f"seed {SEED}, after {kills} kills")
        person.go_on(new=draw.randrange(150, 300), flagged=20, deleted=220)
        before = _source(chain)
        missing = chain.verdict().lost
    code, output = chain.finish()
    assert code == 0, output
    chain.check(before, f"seed {SEED}, after {kills} kills")
    return Kills(kills, amid)


def _undisturbed(dovecot: RunningServer, cyrus: RunningServer, directory: Path) -> Usual:
    """A first copy and a run with nothing to do, of a mailbox like the others."""
    chain, _ = _chain(dovecot, cyrus, directory / "usual", random.Random(0))
    took = []
    for _ in range(2):
        begun = time.monotonic()
        code, output = chain.finish()
        took.append(time.monotonic() - begun)
        assert code == 0, output
        assert chain.verdict().exact, chain.verdict()
    return Usual(took[1], took[0])


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
