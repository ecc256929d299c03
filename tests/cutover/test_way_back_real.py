"""From Dovecot to Cyrus and back: mail arrives on both sides, its owner moves some, passes are cut
off; in the end every message is at the old side, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Event, Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.engine.returning import run_return
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.faults.oracle import read_mailbox
from tests.faults.plain import Plain
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account, RunningServer

SWITCH = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
LONG_AGO = SWITCH - timedelta(days=300)

Place = tuple[RunningServer, Account]


def letter(name: str) -> bytes:
    header = f"From: ada@example.org\r\nSubject: {name}\r\nMessage-ID: <{name}@example.org>\r\n"
    return (header + f"\r\nHello from {name}.\r\n" + "x" * 200 + "\r\n").encode()


def deliver(place: Place, folder: str, names: list[str], when: datetime, *flags: str) -> None:
    with opened(place) as line:
        if folder != "INBOX":
            line.command(b"CREATE " + folder.encode())
        for name in names:
            date = when.strftime("%d-%b-%Y %H:%M:%S +0000")
            line.append(folder.encode(), letter(name), flags, date)


def opened(place: Place) -> Plain:
    server, account = place
    return Plain(server.host, server.port, account.user, account.password)


def held(place: Place) -> dict[str, Counter[tuple[str, frozenset[str]]]]:
    """What lies in each folder: content and flags."""
    server, account = place
    contents = read_mailbox(server.host, server.port, account.user, account.password)
    return {
        folder: Counter((each.digest, each.flags) for each in copies)
        for folder, copies in contents.items()
        if copies
    }


def source(place: Place) -> ImapSource:
    server, account = place
    return ImapSource(server.endpoint(account), server.credentials(account))


def target(place: Place) -> ImapTarget:
    server, account = place
    return ImapTarget(server.endpoint(account), server.credentials(account))


async def forth(old: Place, new: Place, state: Path) -> Finished:
    here, there = source(old), target(new)
    try:
        with Ledger.open(state, "forth") as ledger:
            ledger.quiet = 60.0
            return await told(run_pass(here, there, ledger, Options()))
    finally:
        await here.close()
        await there.close()


async def back(old: Place, new: Place, state: Path, *, cut_after: int = 0) -> Finished | None:
    """A pass back; cut off after so many events, it has no end."""
    here, there = source(new), target(old)
    try:
        with Ledger.open(state, "forth") as ledger, Ledger.open(state / "back", "forth") as other:
            events = run_return(here, there, ledger, other, Options(since=SWITCH))
            return await told(events, cut_after)
    except TimeoutError:
        return None
    finally:
        await here.close()
        await there.close()


async def told(events: AsyncIterator[Event], cut_after: int = 0) -> Finished:
    heard = 0
    async with aclosing(cast("AsyncGenerator[Event, None]", events)) as stream:
        async for event in stream:
            if isinstance(event, Finished):
                return event
            heard += 1
            if heard == cut_after:
                raise TimeoutError
    raise AssertionError("no end was told")


def test_there_and_back_nothing_is_lost_and_nothing_doubled(
    dovecot: Dovecot, cyrus: Cyrus, tmp_path: Path
) -> None:
    old: Place = (dovecot, dovecot.account())
    new: Place = (cyrus, cyrus.account())
    deliver(old, "INBOX", [f"old-{n}" for n in range(30)], LONG_AGO, "\\Seen")
    deliver(old, "Work", [f"work-{n}" for n in range(10)], LONG_AGO)
    first = asyncio.run(forth(old, new, tmp_path))
    assert first.complete
    # After the switch: stragglers at the old side, everything else at the new one.
    deliver(old, "INBOX", [f"swept-{n}" for n in range(5)], SWITCH + timedelta(hours=1))
    assert asyncio.run(forth(old, new, tmp_path)).tally.carried == 5
    deliver(new, "INBOX", [f"new-{n}" for n in range(25)], SWITCH + timedelta(hours=2), "\\Flagged")
    deliver(new, "New", ["deep-1", "deep-2"], SWITCH + timedelta(hours=3))
    deliver(new, "Empty", [], SWITCH)
    with opened(new) as line:
        line.command(b"SELECT INBOX")
        line.command(b"UID MOVE 1:2 Work")  # two of long ago
        line.command(b"UID MOVE 31:32 Work")  # two that were swept
    at_old, at_new = held(old), held(new)

    cuts = 0
    while asyncio.run(back(old, new, tmp_path, cut_after=cuts + 2)) is None:
        cuts += 1
    assert cuts > 4
    again = asyncio.run(back(old, new, tmp_path))
    assert again is not None
    assert (again.tally.carried, again.unfinished, again.wire_writes) == (0, (), 0)
    assert held(new) == at_new, "the new side is only read"
    arrived = at_new["INBOX"] - at_old["INBOX"]
    assert sum(arrived.values()) == 25
    expected = {**at_old, "INBOX": at_old["INBOX"] + arrived, "New": at_new["New"]}
    assert held(old) == expected

    # Forward again: the new side has it all already, wherever its owner has put it since.
    with opened(new) as line:
        line.command(b"SELECT INBOX")
        line.command(b"UID MOVE 36:38 Work")
    at_new = held(new)
    onward = asyncio.run(forth(old, new, tmp_path))
    assert (onward.tally.carried, onward.unfinished) == (0, ())
    assert onward.tally.census == 30 + 10 + 5 + 25 + 2
    assert onward.tally.adopted == 27
    assert held(new) == at_new
    print(f"Dovecot → Cyrus → Dovecot: 27 carried back in {cuts + 1} passes, 0 lost, 0 doubled")
