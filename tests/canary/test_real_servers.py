"""Through real mail exchanges into real mailboxes and out again: aiosmtpd, Dovecot, IMAP."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from mailhaul.canary.codes import Code
from mailhaul.canary.judging import Fate, Judged, judge_canary, judge_probes
from mailhaul.canary.mark import new_canary
from mailhaul.canary.pace import Pace
from mailhaul.canary.probe import ask
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Exchanger, Route, Via
from mailhaul.canary.send import send
from mailhaul.canary.smtp import trusting
from mailhaul.canary.terms import Terms, agreed
from mailhaul.canary.watch import Place, Side, bookmark, remove, watch
from mailhaul.core.store import Source
from mailhaul.dns.guard import allowance
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import Dovecot
from tests.servers.mx import MailExchange, into_maildir, nowhere, through
from tests.servers.process import Account

ANN, BOB = "ann@example.org", "bob@example.org"
TERMS = agreed([ANN, BOB], ["example.org"], speaker="probe.example.net", per_minute=6000)
LOOPBACK = allowance(["127.0.0.0/8"])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("mx"))


def way(via: Via, exchange: MailExchange) -> Route:
    host = Exchanger("localhost", (exchange.host,), 10, exchange.port)
    return Route(via, "example.org", (host,))


Store = TypeVar("Store", bound=Source)


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def source(server: Dovecot, account: Account) -> ImapSource:
    return ImapSource(server.endpoint(account), server.credentials(account))


def target(server: Dovecot, account: Account) -> ImapTarget:
    return ImapTarget(server.endpoint(account), server.credentials(account))


class Move:
    """Ann's mailboxes on both sides, open."""

    def __init__(self, old: ImapSource, new: ImapTarget, server: Dovecot) -> None:
        self.old, self.new, self.server = old, new, server

    async def canary(
        self,
        via: Via,
        exchange: MailExchange,
        *,
        seconds: float = 5.0,
        trust: str | None = None,
        terms: Terms = TERMS,
    ) -> Judged:
        """One canary, from its making to its end."""
        places = [
            Place(Side.OLD, self.old, await bookmark(self.old)),
            Place(Side.NEW, self.new, await bookmark(self.new)),
        ]
        canary = new_canary(ANN, via, time.time())
        sent = await send(canary, way(via, exchange), terms, Pace(6000), LOOPBACK, trusting(trust))
        looks = await watch(places, [canary], seconds=seconds, every=0.2) if sent.at else ()
        found = [each for look in looks for each in look.found]
        await remove(self.new, [each for each in found if each.side is Side.NEW])
        return judge_canary(sent, found, over=True)

    async def counts(self) -> dict[str, int]:
        """Messages at the new side by folder, those without any left out."""
        return {
            "/".join(folder.path): folder.count
            for folder in await self.new.folders()
            if folder.count
        }


@asynccontextmanager
async def moving(dovecot: Dovecot, old: Account, new: Account) -> AsyncIterator[Move]:
    async with AsyncExitStack() as stack:
        old_side = await stack.enter_async_context(opened(source(dovecot, old)))
        new_side = await stack.enter_async_context(opened(target(dovecot, new)))
        yield Move(old_side, new_side, dovecot)


async def test_it_arrives_by_tls_is_found_and_removed(
    dovecot: Dovecot, certificates: Certificates
) -> None:
    old, new = dovecot.account(), dovecot.account()
    into_maildir(dovecot, new)(b"Subject: other mail\r\n\r\nhello\r\n")
    mailbox = into_maildir(dovecot, new)
    with MailExchange({ANN: mailbox}, certificates=certificates) as exchange:
        async with moving(dovecot, old, new) as move:
            judged = await move.canary(Via.MX, exchange, trust=str(certificates.authority))
            assert judged.fate is Fate.ARRIVED
            assert [each.code for each in judged.findings] == [Code.CANARY_ARRIVED]
            assert "by way of localhost" in judged.findings[-1].evidence
            assert judged.seconds is not None
            assert judged.seconds < 5
            assert await move.counts() == {"INBOX": 1}, "the other mail stays"
    assert exchange.encrypted == [True]
    assert exchange.named == [ANN]


async def test_the_old_host_still_delivers_locally(dovecot: Dovecot) -> None:
    old, new = dovecot.account(), dovecot.account()
    with MailExchange({ANN: into_maildir(dovecot, old)}) as exchange:
        async with moving(dovecot, old, new) as move:
            judged = await move.canary(Via.OLD, exchange)
            assert judged.fate is Fate.AT_OLD
            assert [each.code for each in judged.findings] == [Code.OLD_HOST_DELIVERS]
            (inbox,) = [each for each in await move.old.folders() if each.count]
            assert inbox.count == 1, "a source has no verb that writes"


async def test_the_old_host_forwards(dovecot: Dovecot) -> None:
    old, new = dovecot.account(), dovecot.account()
    with (
        MailExchange({ANN: into_maildir(dovecot, new)}, name="mx.new.example") as behind,
        MailExchange({ANN: through(behind, ANN)}, name="mx.old.example") as exchange,
    ):
        async with moving(dovecot, old, new) as move:
            judged = await move.canary(Via.OLD, exchange)
            assert judged.fate is Fate.ARRIVED
            (finding,) = judged.findings
            assert finding.code == Code.OLD_HOST_FORWARDS
            assert finding.evidence.endswith("by way of mx.old.example, mx.new.example")
            assert await move.counts() == {}


async def test_a_filter_that_still_forwards_to_both(dovecot: Dovecot) -> None:
    """What it does to the message on its way doesn't hide it."""
    old, new = dovecot.account(), dovecot.account()

    def both(message: bytes) -> None:
        into_maildir(dovecot, new)(message)
        into_maildir(dovecot, old)(message)

    def tagging(message: bytes) -> bytes:
        return message.replace(b"Subject: ", b"X-Scanned: yes\r\nSubject: [EXTERNAL] ")

    with MailExchange({ANN: both}, alters=tagging) as exchange:
        async with moving(dovecot, old, new) as move:
            judged = await move.canary(Via.FILTER, exchange)
            assert judged.fate is Fate.AT_BOTH
            assert [each.code for each in judged.findings] == [Code.NO_TLS, Code.CANARY_AT_OLD]
            assert await move.counts() == {}


async def test_one_that_is_lost(dovecot: Dovecot) -> None:
    old, new = dovecot.account(), dovecot.account()
    with MailExchange({ANN: nowhere}) as exchange:
        async with moving(dovecot, old, new) as move:
            judged = await move.canary(Via.MX, exchange, seconds=1.0)
    assert judged.fate is Fate.MISSING
    assert [each.code for each in judged.findings] == [Code.NO_TLS, Code.CANARY_MISSING]


async def test_one_that_lands_among_junk_is_removed_there(dovecot: Dovecot) -> None:
    old, new = dovecot.account(), dovecot.account()
    async with moving(dovecot, old, new) as move:
        await move.new.create(("Junk",), None)
        with MailExchange({ANN: into_maildir(dovecot, new, "Junk")}) as exchange:
            judged = await move.canary(Via.MX, exchange)
            assert Code.CANARY_IN_JUNK in {each.code for each in judged.findings}
            assert await move.counts() == {}


async def test_greylisting_is_waited_out_by_coming_again() -> None:
    with MailExchange({ANN: nowhere}, greylists=0.3) as exchange:
        canary = new_canary(ANN, Via.MX, time.time())
        came = []
        for _ in range(2):
            came.append(
                await send(canary, way(Via.MX, exchange), TERMS, Pace(6000), LOOPBACK, trusting())
            )
            time.sleep(0.4)  # noqa: ASYNC251 - nothing else is to go on meanwhile
    assert [each.verdict for each in came] == [Verdict.TEMPORARY, Verdict.ACCEPTED]
    assert [address for address, _ in exchange.taken] == [ANN]


@pytest.mark.parametrize(
    ("catch_all", "codes"),
    [
        (None, [Code.NO_TLS, Code.RECIPIENTS_KNOWN, Code.RECIPIENT_REFUSED]),
        (nowhere, [Code.NO_TLS, Code.TAKES_ANYONE]),
    ],
    ids=["a host that knows its people", "one that takes anyone"],
)
async def test_probes_send_nothing(catch_all: object, codes: list[Code]) -> None:
    with MailExchange({ANN: nowhere}, catch_all=catch_all) as exchange:  # type: ignore[arg-type]
        probes = await ask(
            way(Via.NEW, exchange), [ANN, BOB], TERMS, Pace(6000), LOOPBACK, trusting(), "ab" * 16
        )
    assert [each.code for each in judge_probes(probes)] == codes
    assert exchange.taken == []
    assert exchange.named[1:] == [ANN, BOB]


async def test_loopback_is_not_connected_to_unless_it_is_allowed() -> None:
    with MailExchange({ANN: nowhere}) as exchange:
        canary = new_canary(ANN, Via.MX, time.time())
        sent = await send(
            canary, way(Via.MX, exchange), TERMS, Pace(6000), allowance([]), trusting()
        )
    assert (sent.verdict, exchange.named) == (Verdict.FORBIDDEN, [])


async def test_what_a_sweep_has_carried_of_it_is_removed_too(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    """It came out at the old side; the copy at the new side is found by the same look."""
    old, new = dovecot.account(), dovecot.account()
    with MailExchange({ANN: into_maildir(dovecot, old)}) as exchange:
        async with moving(dovecot, old, new) as move:
            before = await bookmark(move.new)
            judged = await move.canary(Via.OLD, exchange)
            assert judged.fate is Fate.AT_OLD
            await carry(move.old, move.new, tmp_path)
            assert await move.counts() == {"INBOX": 1}
            canary = judged.sent.canary
            (look,) = await watch([Place(Side.NEW, move.new, before)], [canary], seconds=0)
            assert len((await remove(move.new, look.found)).removed) == 1
            assert await move.counts() == {}
            await carry(move.old, move.new, tmp_path)
            assert await move.counts() == {}, "it is not carried again"


async def carry(old: ImapSource, new: ImapTarget, directory: Path) -> None:
    """One pass, as a sweep makes it."""
    with Ledger.open(directory, "ann") as ledger:
        events = run_pass(old, new, ledger, Options())
        async with aclosing(events):  # type: ignore[type-var]
            (finished,) = [each async for each in events if isinstance(each, Finished)]
    assert not finished.unfinished
