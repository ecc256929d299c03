"""What the hoster's tasks do. Each can be done again from its begin, so that a hoster that was
killed goes on: the books are changed first, the platform is then made to be as they say."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mailhaul.core.text import printable
from mailhaul.lab.hoster.books import Books, Box, Job, Sold
from mailhaul.lab.hoster.carrying import carry
from mailhaul.lab.hoster.locks import Locks
from mailhaul.lab.hoster.platforms import BadScript, NotDelivered, Platform
from mailhaul.lab.hoster.rules import box_of, extras, incoming
from mailhaul.lab.hoster.sieve import script
from mailhaul.lab.wire import Refusal
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Lock,
    Release,
    Remove,
    Rename,
    SetMode,
    Unlock,
)
from mailhaul.providers.actions_text import action_of, written_extra
from mailhaul.providers.addresses import same
from mailhaul.providers.effects import rival, same_extra
from mailhaul.providers.extras import Alias, Extra, Group
from mailhaul.providers.provider import TaskState
from mailhaul.providers.service import AccountState, DomainStatus, HostedDomain, Mode


class Work:
    """The tasks under way."""

    def __init__(self, books: Books, platforms: Mapping[str, Platform], locks: Locks) -> None:
        self._books = books
        self._platforms = platforms
        self._locks = locks
        self._running: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Goes on with what was under way when the hoster ended."""
        for job in self._books.open_jobs():
            self.start(job)

    def start(self, job: Job) -> None:
        running = asyncio.create_task(self._run(job), name=f"task {job.id}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def settle(self, numbers: Iterable[int]) -> None:
        """The platforms have these accounts as the books do."""
        await asyncio.gather(*map(self._settle, numbers))

    async def _run(self, job: Job) -> None:
        """A fault decides how it ends; a stalled one doesn't."""
        sold = self._books.service(job.service)
        assert sold is not None
        await asyncio.sleep(max(0.0, job.due - time.time()) / 2)
        self._books.put_job(job, TaskState.DOING)
        await asyncio.sleep(max(0.0, job.due - time.time()))
        state, said = TaskState.DONE, ""
        try:
            match job.fault:
                case "stalls":
                    return
                case "cancelled":
                    state, said = TaskState.CANCELLED, "cancelled by support"
                case "fails":
                    state, said = TaskState.ERROR, "internal error"
                case "half":
                    await self._half(sold, action_of(job.action))
                    state, said = TaskState.ERROR, "internal error"
                case _:
                    await self._do(sold, job, action_of(job.action))
        except (OSError, Refusal, BadScript, NotDelivered) as error:
            state, said = TaskState.ERROR, printable(str(error), 300)
        self._books.put_job(job, state, said)

    async def _do(self, sold: Sold, job: Job, action: Action) -> None:
        books = self._books
        match action:
            case Create(address=address, name=name, quota=quota):
                box = books.box(sold.name, address) or books.add_box(new_box(sold, address))
                box = replace(
                    box,
                    state=AccountState.CONFIGURED,
                    name=name,
                    quota=box.quota if quota is None else quota,
                    password=job.secret or box.password,
                )
                await self._put(box)
            case Configure(placeholder=placeholder, address=address, name=name):
                box = self._existing(sold, placeholder, address)
                password = job.secret or box.password
                state = AccountState.CONFIGURED
                await self._put(
                    replace(box, address=address, name=name, state=state, password=password)
                )
            case Release(address=address, placeholder=placeholder):
                box = self._existing(sold, address, placeholder)
                state = AccountState.PLACEHOLDER
                await self._put(replace(box, address=placeholder, name="", state=state))
            case Rename(address=address, to=to):
                await self._rename(sold, address, to)
            case Lock(address=address):
                box = self._existing(sold, address)
                await self._put(replace(box, state=AccountState.LOCKED))
            case Unlock(address=address):
                box = self._existing(sold, address)
                password = job.secret or box.password
                await self._put(replace(box, state=AccountState.CONFIGURED, password=password))
            case Delete(address=address):
                await self._delete(sold, address)
            case Add(extra):
                await self._add(sold, extra)
            case Remove(extra):
                await self._remove(sold, extra)
            case Attach(domain, mode, relay):
                status = DomainStatus.UNPROVEN if sold.proves else DomainStatus.OK
                books.put_domain(sold.name, HostedDomain(domain, status, mode, relay))
            case SetMode(domain, mode, relay):
                self._set_mode(sold, domain, mode, relay)
            case Detach(domain):
                books.drop_domain(sold.name, domain)
            case HandOver():
                await self._hand_over(sold, action)

    async def _put(self, box: Box) -> None:
        """The books say so, and then the platform is made so."""
        before = self._books.box_by_id(box.id)
        assert before is not None
        with self._books.change(before.address, box.address):
            self._books.put_box(box)
        await self._settle(box.id)

    async def _settle(self, number: int) -> None:
        """The platform has the account as the books do. Mail that comes in meanwhile waits."""
        async with self._locks.of(number):
            box = self._books.box_by_id(number)
            assert box is not None
            platform = self._platform(box.service)
            placed = await platform.settle(box)
            box = replace(box, placed=placed)
            self._books.put_box(box)
            await self._act(platform, box)

    async def _act(self, platform: Platform, box: Box) -> None:
        if platform.sieve:
            mine = [e for _, e in extras(self._books, box.service) if same(e.address, box.address)]
            aliases = [each.alias for each in mine if isinstance(each, Alias)]
            await platform.acts(box, script(box.address, aliases, mine))

    async def _rename(self, sold: Sold, address: str, to: str) -> None:
        """What stands beside the account goes with it; groups know it by its new address, and an
        alias of that name is none any more."""
        books = self._books
        box = self._existing(sold, address, to)
        other = books.box(sold.name, to)
        if other is not None and other.id != box.id:
            await self._drop(other)
        with books.change(address, to):
            for number, extra in extras(books, sold.name):
                if isinstance(extra, Alias) and same(extra.alias, to):
                    books.drop_extra(number)
                elif isinstance(extra, Group) and any(same(m, address) for m in extra.members):
                    members = sorted(to if same(m, address) else m for m in extra.members)
                    books.drop_extra(number)
                    self._write(sold, replace(extra, members=tuple(members)))
            books.put_box(replace(box, address=to))
        await self._settle(box.id)

    async def _delete(self, sold: Sold, address: str) -> None:
        if (box := self._books.box(sold.name, address)) is not None:
            with self._books.change(address):
                self._books.put_box(replace(box, leaving=True))
        for box in self._books.leaving(sold.name, address):
            await self._drop(box)

    async def _drop(self, box: Box) -> None:
        async with self._locks.of(box.id):
            with self._books.change(box.address):
                self._books.put_box(replace(box, leaving=True))
            await self._platform(box.service).drop(box)
            self._books.drop_box(box)

    async def _add(self, sold: Sold, extra: Extra) -> None:
        with self._books.change(incoming(extra) or extra.address):
            standing = extras(self._books, sold.name)
            for number, each in standing:
                if rival(extra, each):
                    self._books.drop_extra(number)
            if not any(same_extra(extra, each) for _, each in standing):
                self._write(sold, extra)
        await self._refresh(sold, extra)

    async def _remove(self, sold: Sold, extra: Extra) -> None:
        with self._books.change(incoming(extra) or extra.address):
            for number, each in extras(self._books, sold.name):
                if same_extra(extra, each):
                    self._books.drop_extra(number)
        await self._refresh(sold, extra)

    def _write(self, sold: Sold, extra: Extra) -> None:
        box = box_of(self._books, sold.name, extra)
        self._books.add_extra(sold.name, box, written_extra(extra), incoming(extra))

    async def _refresh(self, sold: Sold, extra: Extra) -> None:
        box = box_of(self._books, sold.name, extra)
        if box is not None and box.placed:
            async with self._locks.of(box.id):
                await self._act(self._platform(sold.name), box)

    def _set_mode(self, sold: Sold, domain: str, mode: Mode, relay: str) -> None:
        there = self._books.domain(sold.name, domain)
        if there is None:
            raise NotDelivered(f"{domain} isn't on the service any more", forever=True)
        self._books.put_domain(sold.name, replace(there, mode=mode, relay=relay))

    async def _hand_over(self, sold: Sold, action: HandOver) -> None:
        """First nobody gets in, then mail goes to the new account, then what was there follows."""
        books = self._books
        source = books.box(sold.name, action.address)
        if source is not None:
            await self._put(replace(source, state=AccountState.LOCKED))
            source = books.box(sold.name, action.address)
            assert source is not None
            target = books.box(action.service, action.placeholder)
            if target is None:
                raise NotDelivered("the placeholder isn't there any more", forever=True)
            with books.change(action.address):
                books.put_box(replace(source, leaving=True))
                books.put_box(
                    replace(
                        target,
                        address=action.address,
                        name=source.name,
                        password=source.password,
                        state=AccountState.CONFIGURED,
                    )
                )
        found = books.box(action.service, action.address)
        assert found is not None
        await self._settle(found.id)
        target = books.box_by_id(found.id)
        assert target is not None
        loses = int(books.met(action.service, *(f"loses {n}" for n in range(100)))[6:] or 0)
        for left in books.leaving(sold.name, action.address):
            platforms = self._platform(sold.name), self._platform(action.service)
            await asyncio.to_thread(_carry, *platforms, left, target, loses)
            await self._drop(left)

    async def _half(self, sold: Sold, action: Action) -> None:
        """What is left of an action that broke off in the middle."""
        books = self._books
        match action:
            case Create(address=address):
                made = replace(new_box(sold, address), state=AccountState.PLACEHOLDER)
                await self._put(books.add_box(made))
            case Configure(placeholder=placeholder, address=address):
                await self._put(replace(self._existing(sold, placeholder), address=address))
            case Release(address=address, placeholder=placeholder):
                await self._put(replace(self._existing(sold, address), address=placeholder))
            case Rename(address=address, to=to):
                box = self._existing(sold, address)
                await self._put(books.add_box(replace(box, address=to, placed="")))
            case Delete(address=address) | HandOver(address=address):
                box = self._existing(sold, address)
                await self._put(replace(box, state=AccountState.LOCKED))
            case Add(Group(address, members, name)):
                await self._add(sold, Group(address, members[: len(members) // 2], name))
            case Attach(domain, mode, relay):
                books.put_domain(sold.name, HostedDomain(domain, DomainStatus.ERROR, mode, relay))
            case SetMode(domain, mode, _, _, relay):
                self._set_mode(sold, domain, mode, relay)
            case Lock() | Unlock() | Add() | Remove() | Detach():
                pass

    def _existing(self, sold: Sold, *addresses: str) -> Box:
        """The account of the first of these addresses that has one."""
        for address in addresses:
            if (box := self._books.box(sold.name, address)) is not None:
                return box
        raise NotDelivered(f"there is no account {addresses[0]} any more", forever=True)

    def _platform(self, service: str) -> Platform:
        sold = self._books.service(service)
        assert sold is not None
        return self._platforms[sold.platform]


def _carry(old: Platform, new: Platform, source: Box, target: Box, loses: int) -> None:
    with old.connect(source) as reading, new.connect(target) as writing:
        carry(reading, writing, loses)


def new_box(sold: Sold, address: str) -> Box:
    """An account that nobody has the password of."""
    return Box(
        id=0,
        service=sold.name,
        address=address,
        state=AccountState.CONFIGURED,
        name="",
        password=secrets.token_urlsafe(16),
        quota=sold.quota,
        placed="",
        leaving=False,
    )
