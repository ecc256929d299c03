"""Real mail between real servers: every difference is explained by name, none goes unreported."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.core.store import Source, Target
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Fate, Finished, Options, Settled
from mailhaul.engine.passes import run_pass
from mailhaul.engine.verdict import Kind, Verdict, Verified, VerifyOptions
from mailhaul.engine.verify import verify
from mailhaul.stores.imap import ImapSource, ImapTarget
from mailhaul.stores.maildir import MaildirSource
from tests.faults.oracle import Copy, compare, read_mailbox
from tests.faults.plain import Plain
from tests.realmail.corpus import MESSAGES, Real, corpus
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account, RunningServer

FLAGS = ((), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged",))
FIRST_DATE = 1_030_000_000


@dataclass(frozen=True, slots=True)
class Carried:
    """What a copy and its verification said."""

    finished: Finished
    settled: tuple[Settled, ...]
    verdict: Verdict


@pytest.fixture(scope="module")
def real() -> list[Real]:
    return list(corpus())


@pytest.fixture(scope="module")
def filled(dovecot: Dovecot, real: list[Real]) -> Account:
    """A Dovecot mailbox with all of it, a folder a group, flags and dates varied."""
    account = dovecot.account()
    with Plain(dovecot.host, dovecot.port, account.user, account.password) as connection:
        for group in dict.fromkeys(message.group for message in real):
            connection.command(b"CREATE " + group.encode())
        for number, message in enumerate(real):
            received = datetime.fromtimestamp(FIRST_DATE + 60 * number, UTC)
            date = received.strftime("%d-%b-%Y %H:%M:%S +0000")
            flags = FLAGS[number % len(FLAGS)]
            connection.append(message.group.encode(), message.octets, flags, date)
    return account


async def test_dovecot_to_dovecot_is_exact_but_for_what_dovecot_normalises(
    dovecot: Dovecot, filled: Account, tmp_path: Path
) -> None:
    target = dovecot.account()
    carried = await _carry(_source(dovecot, filled), dovecot, target, tmp_path)
    assert carried.finished.tally.copied == MESSAGES
    assert carried.finished.complete
    assert carried.verdict.equal
    # Dovecot takes one CR off CRCRLF each time it is handed one (failure-modes D3).
    assert _explained(carried.verdict) == {"CRCRLF → CRLF": 1}
    seen = compare(_contents(dovecot, filled), _contents(dovecot, target))
    assert (seen.lost, seen.doubled, seen.flags, seen.disordered) == (1, 1, 0, 0), seen


async def test_a_maildir_to_dovecot_is_exact_but_for_what_dovecot_normalises(
    dovecot: Dovecot, real: list[Real], tmp_path: Path
) -> None:
    _write_maildir(tmp_path / "mail", real)
    target = dovecot.account()
    source = MaildirSource(tmp_path / "mail")
    carried = await _carry(source, dovecot, target, tmp_path)
    assert carried.finished.tally.copied == MESSAGES
    there = Counter(
        copy.digest for copies in _contents(dovecot, target).values() for copy in copies
    )
    here = Counter(hashlib.sha256(message.octets).hexdigest() for message in real)
    altered = sum((here - there).values())
    assert altered == sum(b"\r\r\n" in message.octets for message in real)
    assert _explained(carried.verdict) == {"CRCRLF → CRLF": altered}


async def test_dovecot_to_cyrus_is_exact_but_for_what_is_named(
    dovecot: Dovecot, filled: Account, cyrus: Cyrus, tmp_path: Path
) -> None:
    target = cyrus.account()
    carried = await _carry(_source(dovecot, filled), cyrus, target, tmp_path)
    tally = carried.finished.tally
    refused = [each for each in carried.settled if each.fate is Fate.REFUSED]
    assert tally.copied + len(refused) == tally.census == MESSAGES
    assert tally.refused == len(refused)
    here, there = _digests(dovecot, filled), _digests(cyrus, target)
    for each in refused:
        assert each.saved is not None
        saved = hashlib.sha256(each.saved.read_bytes()).hexdigest()
        assert here[saved] > there[saved]
    altered = sum((here - there).values()) - len(refused)
    explained = _explained(carried.verdict)
    assert sum(explained.values()) == altered
    assert set(explained) <= {"8-bit header octets → X"}
    print(f"Dovecot → Cyrus: {altered} altered, all named; {len(refused)} refused, all saved")


def _source(server: RunningServer, account: Account) -> Source:
    return ImapSource(server.endpoint(account), server.credentials(account))


async def _carry(source: Source, server: RunningServer, account: Account, state: Path) -> Carried:
    target: Target = ImapTarget(server.endpoint(account), server.credentials(account))
    settled: list[Settled] = []
    finished: Finished | None = None
    verdict: Verdict | None = None
    try:
        with Ledger.open(state / "state", "real") as ledger:
            async for event in run_pass(source, target, ledger, Options()):
                if isinstance(event, Settled):
                    settled.append(event)
                elif isinstance(event, Finished):
                    finished = event
        async for said in verify(source, target, VerifyOptions(deep=True)):
            if isinstance(said, Verified):
                verdict = said.verdict
    finally:
        await source.close()
        await target.close()
    assert finished is not None
    assert verdict is not None
    return Carried(finished, tuple(settled), verdict)


def _contents(server: RunningServer, account: Account) -> dict[str, list[Copy]]:
    return read_mailbox(server.host, server.port, account.user, account.password)


def _digests(server: RunningServer, account: Account) -> Counter[str]:
    contents = _contents(server, account)
    return Counter(copy.digest for copies in contents.values() for copy in copies)


def _explained(verdict: Verdict) -> dict[str, int]:
    """What was altered, by name; nothing altered is without one."""
    assert not verdict.differences.get(Kind.ALTERED), verdict
    assert not verdict.problems
    return dict(verdict.explained)


def _write_maildir(root: Path, messages: Sequence[Real]) -> None:
    """A Maildir++ as a mail server leaves it: LF line ends, dates in the files' times."""
    for number, message in enumerate(messages):
        folder = root / f".{message.group}"
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (root / name).mkdir(exist_ok=True)
        file = folder / "cur" / f"{FIRST_DATE + number}.M{number}P1.test:2,{'S' * (number % 2)}"
        file.write_bytes(message.octets.replace(b"\r\n", b"\n"))
        os.utime(file, (FIRST_DATE + 60 * number,) * 2)
