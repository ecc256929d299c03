"""Servers that lack an extension, or offer it and lie: the copy is exact, and made only once."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailhaul.engine.outcomes import Delete, Options
from tests.faults.cutting_proxy import (
    CuttingProxy,
    Filter,
    hide,
    strip_appenduid,
    swap_appenduid,
)
from tests.faults.mailboxes import Person
from tests.faults.pairs import Mailbox, Pair
from tests.servers.process import RunningServer

MIRROR = Options(delete=Delete.MIRROR, max_delete=1000)
WRITES = ("APPEND", "STORE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "MOVE", "COPY")
POOR = hide(
    *("LITERAL+", "LITERAL-", "MULTIAPPEND", "UIDPLUS", "CONDSTORE", "QRESYNC", "LIST-EXTENDED"),
    *("LIST-STATUS", "NAMESPACE", "ENABLE", "ID", "SASL-IR", "SPECIAL-USE", "ESEARCH", "UNSELECT"),
)
NO_CONDSTORE = (hide("CONDSTORE", "QRESYNC"),)
NO_QRESYNC = (hide("QRESYNC"),)
NO_LIST_STATUS = (hide("LIST-STATUS", "LIST-EXTENDED"),)


@dataclass(frozen=True, slots=True)
class Lie:
    """What the proxies do to what the two servers say."""

    name: str
    source: Sequence[Filter] = ()
    target: Sequence[Filter] = ()
    chunk: int | None = None


LIES = (
    Lie("nothing at all"),
    Lie("everything comes byte by byte", chunk=1),
    Lie("everything comes seven bytes at a time", chunk=7),
    Lie("the target promises UIDPLUS and never sends APPENDUID", target=(strip_appenduid,)),
    Lie("the target swaps UID and UIDVALIDITY in APPENDUID", target=(swap_appenduid,)),
    Lie("the target has no UIDPLUS", target=(hide("UIDPLUS"), strip_appenduid)),
    Lie("the target has no MULTIAPPEND", target=(hide("MULTIAPPEND"),)),
    Lie("the target has no LITERAL+", target=(hide("LITERAL+"),)),
    Lie("neither has CONDSTORE", NO_CONDSTORE, NO_CONDSTORE),
    Lie("neither has QRESYNC", NO_QRESYNC, NO_QRESYNC),
    Lie("neither has LIST-STATUS", NO_LIST_STATUS, NO_LIST_STATUS),
    Lie("both are as poor as servers get", (POOR,), (POOR, strip_appenduid)),
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
@pytest.mark.parametrize("target_name", ["dovecot", "cyrus"])
async def test_it_is_carried_once_whatever_the_servers_say(
    target_name: str,
    lie: Lie,
    dovecot: RunningServer,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    target: RunningServer = request.getfixturevalue(target_name)
    pair = Pair(
        Mailbox(dovecot, dovecot.account()), Mailbox(target, target.account()), tmp_path, MIRROR
    )
    account = pair.source.account
    person = Person(dovecot.host, dovecot.port, account.user, account.password, random.Random(8))
    person.fill(40)

    first = await _pass_through(pair, lie)
    assert first.messages == _count(pair)
    still = await _pass_through(pair, lie)
    assert {verb: still.commands[verb] for verb in WRITES if still.commands[verb]} == {}

    person.go_on(new=7, flagged=9, deleted=5)
    delta = await _pass_through(pair, lie)
    assert 7 <= delta.messages <= 14, "each new message is sent once, twins and all"
    still = await _pass_through(pair, lie)
    assert {verb: still.commands[verb] for verb in WRITES if still.commands[verb]} == {}


async def _pass_through(pair: Pair, lie: Lie) -> CuttingProxy:
    """One pass; gives the target's proxy, whose figures are complete."""
    ours, theirs = pair.source.server, pair.target.server
    with (
        CuttingProxy(ours.host, ours.port, filters=lie.source, chunk=lie.chunk) as source,
        CuttingProxy(theirs.host, theirs.port, filters=lie.target, chunk=lie.chunk) as target,
    ):
        ended = await pair.run(source_port=source.port, target_port=target.port)
    assert {verb: source.commands[verb] for verb in WRITES if source.commands[verb]} == {}
    assert ended.complete, ended
    assert pair.verdict().exact, pair.verdict()
    return target


def _count(pair: Pair) -> int:
    return sum(len(copies) for copies in pair.source.contents().values())
