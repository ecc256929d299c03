"""What whoever runs a rehearsal has the hoster do: sell services, deliver accounts, make trouble,
tell what its MX has seen. Orders are JSON; they are carried out when they are answered."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.lab.hoster.books import Books, Line, Seen, Sold
from mailhaul.lab.hoster.platforms import Platform
from mailhaul.lab.hoster.rules import box_of, incoming
from mailhaul.lab.hoster.work import Work, new_box
from mailhaul.providers.actions_text import extra_of, written_extra
from mailhaul.providers.service import AccountState, Contacts, DomainStatus, HostedDomain, Mode

_SEEN = TypeAdapter(tuple[Seen, ...])
PROOF_TTL = 300


class _Order(BaseModel):
    """Whatever an order needs; which of it, the order knows."""

    model_config = ConfigDict(extra="forbid")

    service: str = ""
    line: Line = Line.NEW
    platform: str = ""
    quota: int | None = None
    seconds: float = 0.0
    proves: bool = False
    contacts: Contacts = Contacts("us-1", "us-1", "us-1", "us-1")
    address: str = ""
    addresses: tuple[str, ...] = ()
    password: str = ""
    name: str = ""
    placeholder: bool = False
    domain: str = ""
    status: DomainStatus = DomainStatus.OK
    mode: Mode = Mode.AUTHORITATIVE
    relay: str = ""
    extra: str = ""
    faults: tuple[str, ...] = ()
    always: bool = False


class Operator:
    """See the module."""

    def __init__(self, books: Books, platforms: Mapping[str, Platform], work: Work) -> None:
        self._books = books
        self._platforms = platforms
        self._work = work

    async def obey(self, verb: str, body: bytes) -> bytes:
        """Carries the order out; what it tells, in JSON. Raises `BadInput` for an unknown one."""
        order = _Order.model_validate_json(body or b"{}")
        books = self._books
        match verb:
            case "sell":
                self._sell(order)
            case "deliver":
                await self._deliver(order)
            case "domain":
                found = HostedDomain(order.domain, order.status, order.mode, order.relay)
                books.put_domain(order.service, found)
            case "no-domain":
                books.drop_domain(order.service, order.domain)
            case "extra":
                await self._extra(order)
            case "arm":
                books.arm(order.service, order.faults, always=order.always)
            case "disarm":
                books.disarm(order.service)
            case "forget":
                books.forget_jobs(order.service)
            case "seen":
                return _SEEN.dump_json(tuple(books.seen(order.address)))
            case "tasks":
                return _json(books.tasks(order.service))
            case _:
                raise BadInput(f"“{printable(verb, 40)}” is no order")
        return b"{}"

    def dressed(self, domain: HostedDomain) -> HostedDomain:
        """With what its zone is to say, and the proof that is waited for."""
        proof = None
        if domain.status is DomainStatus.UNPROVEN:
            name = f"_hoster-check.{domain.name}"
            proof = RecordSet(name, Kind.TXT, PROOF_TTL, (f"hoster-check={domain.name}",))
        return replace(domain, proof=proof, expected=Expected(domain.name, source="the hoster"))

    def _sell(self, order: _Order) -> None:
        if order.platform not in self._platforms:
            raise BadInput(f"there is no platform “{printable(order.platform, 40)}”")
        self._books.sell(
            Sold(
                order.service,
                order.line,
                order.platform,
                order.quota,
                order.seconds,
                order.proves,
                order.contacts,
            )
        )

    async def _deliver(self, order: _Order) -> None:
        """Accounts, all with one password, or placeholders; those that are there already get it."""
        sold = self._books.service(order.service)
        if sold is None:
            raise BadInput(f"there is no service “{printable(order.service, 40)}”")
        state = AccountState.PLACEHOLDER if order.placeholder else AccountState.CONFIGURED
        numbers = []
        for address in (*order.addresses, *([order.address] if order.address else ())):
            box = self._books.box(sold.name, address) or new_box(sold, address)
            box = replace(
                box,
                state=state,
                name=order.name,
                password=order.password or box.password,
                quota=box.quota if order.quota is None else order.quota,
            )
            with self._books.change(address):
                if box.id:
                    self._books.put_box(box)
                else:
                    box = self._books.add_box(box)
            numbers.append(box.id)
        await self._work.settle(numbers)

    async def _extra(self, order: _Order) -> None:
        """Somebody else makes one."""
        extra = extra_of(order.extra)
        box = box_of(self._books, order.service, extra)
        with self._books.change(incoming(extra) or extra.address):
            self._books.add_extra(order.service, box, written_extra(extra), incoming(extra))
        if box is not None:
            await self._work.settle([box.id])


def _json(found: Any) -> bytes:
    return json.dumps(found).encode()
