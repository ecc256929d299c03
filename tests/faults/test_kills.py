"""kill -9 of a real `mailhaul copy` at random instants, Dovecot to Cyrus, again and again.

A chain is one mailbox pair with one state directory: run, kill, run, kill … and where a run came to
its end before the kill, its copy must be exact, and the owner of the source adds, flags and deletes
some more. After the last kill a run that nobody disturbs must end with 0 and leave an exact copy.
The instants are spread over the life of a run, as measured first, and over its work, as it tells of
it. Chains run side by side, for they wait more than they work.
"""

import json
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
from tests.faults.oracle import Contents, Verdict, compare, read_mailbox
from tests.faults.soaking import KILLS, SEED
from tests.servers.process import Account, RunningServer

CHAINS = 8
MESSAGES = 400
CROWD = 2.5
"""So much longer a run takes beside the other chains than alone."""
SETTLED = 1.5
"""Seconds after which a server has stored, or dropped, what it had received at a kill."""
DEADLINE = 60.0
MAILHAUL = Path(sys.executable).with_name("mailhaul")


@dataclass(frozen=True, slots=True)
class Instant:
    """`seconds` after the run has told that it carried `carried` messages, or, with none, after it
    has told of the event; after the start of the process when there is neither."""

    seconds: float
    event: bytes = b""
    carried: int = 0


@dataclass(frozen=True, slots=True)
class Usual:
    """What undisturbed runs take, in seconds: one with nothing to do, one with all to do."""

    idle: float
    full: float

    def instant(self, draw: random.Random, missing: int) -> Instant:
        """A quarter of all instants is spread over the whole life of a process, and a quarter over
        the time in which it carries, as if a run took longer, for others run beside it. The others
        lie close behind the moment at which a part of the `missing` messages is durable, so that
        they hit whatever this machine is capable of."""
        work = CROWD * (self.full - self.idle / 2)
        part = draw.randint(1, max(1, missing * 2 // 3))
        amid = Instant(draw.uniform(0.0, work / 20), carried=part)
        return draw.choice(
            (
                Instant(draw.uniform(self.idle / 2, CROWD * self.full)),
                Instant(draw.uniform(0.0, work), b'"mapped"'),
                amid,
                amid,
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

    def finish(self) -> None:
        """An undisturbed run, which is complete."""
        process = self.start()
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, output.decode(errors="replace")

    def killed(self, instant: Instant) -> int | None:
        """Starts a run and kills it at that instant: how many messages it had told of as carried.
        None when it had come to its end before."""
        process = self.start()
        assert process.stdout is not None
        lines: list[bytes] = []
        # A run that never tells of what is waited for comes to its end instead.
        while not _reached(instant, lines) and (line := process.stdout.readline()):
            lines.append(line)
        try:
            output, _ = process.communicate(timeout=instant.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            # Between the time-out and the kill it may have come to its end after all.
            if process.returncode == -signal.SIGKILL:
                return _carried([*lines, *output.splitlines(keepends=True)])
        assert process.returncode == 0, b"".join([*lines, output]).decode(errors="replace")
        return None

    def check(self, before: Contents, when: str) -> None:
        """The copy is exact, and the source is as it was `before`."""
        verdict = self.verdict(before)
        assert verdict.exact, f"{when}: {verdict}"
        assert _contents(self.source) == before, f"{when}: the source was touched"

    def age(self) -> None:
        """The ledger looks as if it had been written to long ago."""
        then = time.time() - 60
        for file in self.state.glob("ledger.sqlite*"):
            os.utime(file, (then, then))

    def verdict(self, source: Contents) -> Verdict:
        """How the target differs at this moment from what the source holds."""
        return compare(source, _contents(self.target))


@dataclass(frozen=True, slots=True)
class Kills:
    """How many fell, and how many of them amid the carrying: when some of what was missing, and not
    all of it, had been told of as carried, or was found at the target afterwards."""

    all: int
    amid: int


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_at_random_instants_and_run_again_later_it_ends_exact(
    dovecot: RunningServer, cyrus: RunningServer, states: Path
) -> None:
    kills = _chains(dovecot, cyrus, states, KILLS, rest=SETTLED)
    print(kills)
    assert kills.all >= KILLS
    assert kills.amid >= kills.all // 5, "the kills miss what they should hit"


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_at_random_instants_and_run_again_at_once_it_ends_exact(
    dovecot: RunningServer, cyrus: RunningServer, states: Path
) -> None:
    kills = _chains(dovecot, cyrus, states, KILLS // 5, rest=0.0)
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
    before = _contents(chain.source)
    missing = chain.verdict(before).lost
    kills = amid = 0
    while kills < most:
        carried = chain.killed(usual.instant(draw, missing))
        if carried is not None:
            kills += 1
            time.sleep(rest)
            if rest:
                chain.age()
                left = chain.verdict(before).lost
                amid += 0 < carried < missing or 0 < left < missing
                missing = left
            if missing:
                continue
            # Nothing is left to be carried, where kills would hit; and the owner goes on only once
            # all is known: what was stored by a run that could not note it is nobody's to remove.
            chain.finish()
        chain.check(before, f"seed {SEED}, after {kills} kills")
        person.go_on(new=draw.randrange(150, 300), flagged=20, deleted=220)
        before = _contents(chain.source)
        missing = chain.verdict(before).lost
    chain.finish()
    chain.check(before, f"seed {SEED}, after {kills} kills")
    return Kills(kills, amid)


def _reached(instant: Instant, lines: Sequence[bytes]) -> bool:
    if instant.carried:
        return _carried(lines) >= instant.carried
    return not instant.event or (bool(lines) and instant.event in lines[-1])


def _carried(lines: Sequence[bytes]) -> int:
    """How many messages the run has told of as carried; a line may have been cut off."""
    told = (json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}\n"))
    return sum(event["messages"] for event in told if event["event"] == "carried")


def _undisturbed(dovecot: RunningServer, cyrus: RunningServer, directory: Path) -> Usual:
    """A first copy and a run with nothing to do, of a mailbox like the others."""
    chain, _ = _chain(dovecot, cyrus, directory / "usual", random.Random(0))
    took = []
    for _ in range(2):
        begun = time.monotonic()
        chain.finish()
        took.append(time.monotonic() - begun)
        verdict = chain.verdict(_contents(chain.source))
        assert verdict.exact, verdict
    return Usual(took[1], took[0])


def _chain(
    dovecot: RunningServer, cyrus: RunningServer, state: Path, draw: random.Random
) -> tuple[Chain, Person]:
    source, target = dovecot.account(), cyrus.account()
    person = Person(dovecot.host, dovecot.port, source.user, source.password, draw)
    person.fill(MESSAGES)
    return Chain((dovecot, source), (cyrus, target), state), person


def _contents(side: tuple[RunningServer, Account]) -> Contents:
    server, account = side
    return read_mailbox(server.host, server.port, account.user, account.password)
