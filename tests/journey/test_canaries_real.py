"""Canary mail of a plan through real servers, before the switch and after it: exchanges that
deliver into Dovecot, a zone on Knot, a cache in Unbound."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import update

from mailhaul.canary.routes import Act, Via
from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.db import tables
from mailhaul.journey.canary_account import CanaryFigures, canary_figures, canary_list
from mailhaul.journey.gates import Shut
from mailhaul.journey.means import PlainOpener
from mailhaul.journey.plans import plan_row
from mailhaul.journey.post import WiredPost
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.plan.model import Sweeps
from mailhaul.stores.imap import ImapSource
from tests.journey.house import BEGIN, HOUR, House, plan_of
from tests.journey.test_cutover import look
from tests.servers.dovecot import Dovecot
from tests.servers.knot import Knot
from tests.servers.mx import MailExchange, into_maildir
from tests.servers.process import Account, free_port
from tests.servers.unbound import Unbound

PEOPLE = ("anna", "bob")
TTL = 1
"""Seconds."""
LETTER = b"Subject: hello\r\nMessage-ID: <hello@x>\r\n\r\nHello.\r\n"


class Move:
    """Anna and Bob move from one Dovecot account to another; each system has an exchange of its
    own, at an address of its own."""

    def __init__(self, directory: Path, dovecot: Dovecot, knot: Knot, unbound: Unbound) -> None:
        self.dovecot = dovecot
        parent = knot.fresh("parent")
        self.domain = f"acme.{parent}"
        knot.zone(parent)
        knot.zone(
            self.domain,
            f"@ {TTL} MX 10 mx.old.{self.domain}.",
            f"mx.old {TTL} A 127.0.0.2",
            f"mx.new {TTL} A 127.0.0.3",
        )
        knot.delegate(parent, self.domain, [knot])
        unbound.serve(parent, [knot])
        unbound.serve(self.domain, [knot])
        self.knot = knot
        self.port = free_port()
        self.old = {person: dovecot.account() for person in PEOPLE}
        self.new = {person: dovecot.account() for person in PEOPLE}
        for account in self.old.values():
            into_maildir(dovecot, account)(LETTER)
        signed = {
            "kind": "rfc2136",
            "server": knot.address,
            "port": knot.port,
            "key": knot.key.name,
            "algorithm": knot.key.algorithm,
            "secret": "env:TSIG",
        }
        dns = {
            "mx": (f"10 mx.new.{self.domain}",),
            "ttl": f"{TTL}s",
            "every": "30m",
            "resolvers": (f"{unbound.address}@{unbound.port}",),
            "port": knot.port,
            "allow_networks": ("127.0.0.0/8",),
            "writer": signed,
        }
        canary = {"on": True, "per_minute": 1200, "port": self.port, "name": "probe.example.net"}
        sweeps = Sweeps.model_validate({"every": "1h", "for": "48h", "until_quiet": 2})
        self.house = House(
            directory,
            plan_of(dns=dns, canary=canary, sweeps=sweeps),
            people=PEOPLE,
            zones=WiredZones(self.key),
            domain=self.domain,
        )
        self.house.post = WiredPost(self.house.hand.clock)
        self.house.means = replace(
            self.house.means, post=self.house.post, opener=PlainOpener(), resolve=self.resolve
        )
        with self.house.database.begin() as connection:
            for person in PEOPLE:
                connection.execute(
                    update(tables.mailbox)
                    .where(tables.mailbox.c.address == self.address(person))
                    .values(
                        source=dovecot.url(self.old[person]),
                        target=dovecot.url(self.new[person]),
                        source_secret=f"env:old-{person}",
                        target_secret=f"env:new-{person}",
                    )
                )

    def address(self, person: str) -> str:
        return f"{person}@{self.domain}"

    async def key(self, reference: str, directory: Path) -> Secret:
        return Secret(self.knot.key.secret)

    async def resolve(self, reference: str, directory: Path) -> Credentials:
        side, _, person = reference.removeprefix("env:").partition("-")
        account = (self.old if side == "old" else self.new)[person]
        return self.dovecot.credentials(account)

    @contextmanager
    def exchanges(self) -> Iterator[tuple[MailExchange, MailExchange]]:
        """The old system's and the new one's."""

        def into(accounts: dict[str, Account]) -> dict[str, object]:
            return {self.address(p): into_maildir(self.dovecot, accounts[p]) for p in PEOPLE}

        with (
            MailExchange(into(self.old), host="127.0.0.2", port=self.port) as old,  # type: ignore[arg-type]
            MailExchange(into(self.new), host="127.0.0.3", port=self.port) as new,  # type: ignore[arg-type]
        ):
            yield old, new

    async def messages(self, account: Account) -> int:
        store = ImapSource(self.dovecot.endpoint(account), self.dovecot.credentials(account))
        await store.open()
        try:
            return sum(folder.count or 0 for folder in await store.folders())
        finally:
            await store.close()

    def figures(self) -> CanaryFigures:
        with self.house.database.begin() as connection:
            (found,) = canary_figures(connection, plan_row(connection, self.house.number))
        return found

    async def spread(self) -> None:
        """Waits until the cache has let go."""
        async with asyncio.timeout(30):
            while self.house.zone().settled_at is None:
                await asyncio.sleep(0.3)
                self.house.hand.time += 1
                await look(self.house)


async def test_who_moves_is_asked_about_sent_to_found_and_left_with_their_own_mail_alone(
    tmp_path: Path, dovecot: Dovecot, knot: Knot, unbound: Unbound
) -> None:
    move = Move(tmp_path, dovecot, knot, unbound)
    house = move.house
    bob = move.address("bob")
    with move.exchanges() as (old, new):
        delivers = new.mailboxes.pop(bob)
        await house.drive(hours=0.5)
        try:
            house.open(Gate.GO)
            raise AssertionError("Bob's mail would bounce")
        except Shut as error:
            (why,) = error.lacking
        assert bob in why
        assert "User unknown" in why
        assert move.address("anna") not in why
        new.mailboxes[bob] = delivers
        await house.drive(hours=2)
        before = move.figures()
        assert (before.wanted, before.accepted, before.by_old_at_old) == (2, 2, 1)
        assert new.taken == []
        assert len(old.taken) == 1
        house.open(Gate.GO)
        await house.drive(State.SWEEPING)
        await move.spread()
        await house.drive(hours=3)
        after = move.figures()
        assert (after.sent, after.arrived, after.lost, after.unsent) == (2, 2, 0, 0)
        assert (after.by_old, after.by_old_at_old) == (1, 1)
        assert all(second <= 5 for second in after.seconds)
        assert sorted(address for address, _ in new.taken) == [move.address("anna"), bob]
        assert len(old.taken) == 2
    with house.database.begin() as connection:
        every = canary_list(connection, plan_row(connection, house.number))
    sent = [each.row for each in every if each.row.kind is Act.SEND and each.row.via is Via.MX]
    assert all(one.gone for row in sent for one in row.seen)
    await house.drive(State.VERIFIED)
    assert [await move.messages(move.new[person]) for person in PEOPLE] == [1, 1]
    assert [await move.messages(move.old[person]) for person in PEOPLE] == [3, 1]
    assert house.row("anna").grade == "perfect"
    assert {each.partition("@")[2] for each in (*old.named, *new.named)} == {move.domain}
    assert house.hand.time > BEGIN + HOUR
