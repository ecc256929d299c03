"""OVHcloud's older MX Plan (/email/domain): redirections, auto-replies and filters by the API, no
renaming, and OVHcloud itself carries an account into an Exchange or Email Pro.

Its tasks stand in a queue that doesn't say how they end: one that is there no more is over, and
what stands then tells how it ended. There is no lock either: locking is a random password and a
mark in the account's description.
"""

import asyncio
from collections.abc import Sequence

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.dns.names import domain_name
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import (
    Action,
    Add,
    Create,
    Delete,
    HandOver,
    Lock,
    Remove,
    Unlock,
)
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Extra, Filter, Redirection, Remark, Responder
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.ovh_answers import Fields, fields, numbers, objects, texts
from mailhaul.providers.ovh_api import Api, Missing, Refusal
from mailhaul.providers.ovh_domains import recommended
from mailhaul.providers.ovh_filters import rule_of
from mailhaul.providers.ovh_legacy_extras import beside, extra_steps, redirections, responders
from mailhaul.providers.ovh_platform import contacts_of
from mailhaul.providers.ovh_platform_steps import MARK, addresses_of, marked, unmarked
from mailhaul.providers.ovh_refusals import in_the_way, refused, unfit
from mailhaul.providers.ovh_steps import Field, Queue, Step, Ticket, send, ticket
from mailhaul.providers.ovh_zone import zone_of
from mailhaul.providers.passwords import random_password
from mailhaul.providers.provider import Planned, Refused, Task, TaskState, demand
from mailhaul.providers.service import (
    Account,
    AccountState,
    Contacts,
    Content,
    DomainStatus,
    Generation,
    HostedDomain,
    Service,
    Verb,
)
from mailhaul.providers.web import PAUSE

VERBS = frozenset(
    {
        *(Verb.CREATE, Verb.DELETE, Verb.LOCK, Verb.HAND_OVER),
        *(Verb.REDIRECTIONS, Verb.RESPONDERS, Verb.FILTERS, Verb.ZONES),
    }
)
_LOCKING = "(being locked by mailhaul)"
_UNLOCKING = "(being unlocked by mailhaul)"
"""While the password is changed. Only an account that says so gets the last mark: whoever asks
after an old task does nothing by that."""
_BUSY = {
    "addAccount": Create,
    "deleteAccount": Delete,
    "changePassword": Lock | Unlock,
    "changeAccount": Lock | Unlock,
    "internalMigration": HandOver,
    "migration": HandOver,
}
"""What OVHcloud calls the tasks of an account, and the actions that they are for."""
_OTHERWISE: dict[type[Action], frozenset[str]] = {
    Add: frozenset({"change", "delete"}),
    Remove: frozenset({"add", "change"}),
}
"""What it calls tasks of what stands beside an account that are never for the action. They don't
say of which redirection or filter they are: one of the same word may be for it."""


class LegacyPlan:
    """A `Provider` of one such domain."""

    def __init__(self, domain: str, api: Api) -> None:
        self._domain = domain
        self._api = api
        self._root = ("email", "domain", domain)

    async def service(self) -> Service:
        """See `Provider`."""
        found, quota, summary = await asyncio.gather(
            self._fields(), self._fields("quota"), self._fields("summary")
        )
        offer, moved = found.text("offer"), found.text("migratedMXPlanServiceName")
        evidence = [f"it answers under /email/domain/{self._domain}"]
        if offer:
            evidence.append(f"its offer is “{offer}”")
        if moved:
            evidence.append(f"OVHcloud has moved it to the new MX Plan {moved}")
        if found.text("status") not in ("", "ok"):
            evidence.append(f"its status is “{found.text('status')}”")
        most, there = quota.number("account"), summary.number("account") or 0
        sizes = numbers(found.values.get("allowedAccountSize"), "/".join(self._root))
        return Service(
            kind="ovh-domain",
            name=self._domain,
            product=printable(f"MX Plan (older) {offer}".strip(), 100),
            verbs=VERBS,
            contents=frozenset({Content.MAIL, Content.RULES}),
            generation=Generation.LEGACY,
            evidence=tuple(printable(line, 300) for line in evidence),
            free=None if most is None else max(0, most - there),
            fresh=not there,
            quota=max(sizes, default=None),
        )

    async def accounts(self) -> Sequence[Account]:
        """See `Provider`; without sizes."""
        names = texts(await self._api.get(*self._root, "account"), "account")
        busy = await self._busy_names()
        found = await asyncio.gather(*(self._raw(name) for name in names))
        told = [self._account(each, busy) for each in found if each is not None]
        return sorted(told, key=lambda each: each.address)

    async def account(self, address: str) -> Account | None:
        """See `Provider`."""
        local = self._local(address)
        found = None if local is None else await self._raw(local)
        if local is None or found is None:
            return None
        busy, usage = await asyncio.gather(
            self._busy_names(local), self._fields("account", local, "usage")
        )
        return self._account(found, busy, usage)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        """See `Provider`. Mailing lists and delegations can only be listed: a list is run by
        OVHcloud's own list server, and a delegation names an OVHcloud customer."""
        local = self._local(address) if address else ""
        if local is None:
            return []
        found: list[Extra] = [
            *(await redirections(self._api, self._root, local)),
            *(await responders(self._api, self._root, local)),
        ]
        names = texts(await self._api.get(*self._root, "account"), "account")
        whose = [each for each in names if not local or each.casefold() == local.casefold()]
        for each in await asyncio.gather(*(beside(self._api, self._root, one) for one in whose)):
            found += each
        lists = texts(await self._api.get(*self._root, "mailingList"), "mailingList")
        for name in lists:
            if not local or name.casefold() == local.casefold():
                found.append(Remark(self._at(name), "mailing list", printable(name, 200)))
        return found

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        """See `Provider`; for a hand-over what OVHcloud's own check says (checkMigrate)."""
        if action is not None:
            demand(VERBS, action, self._domain)
            addresses_of(action)
            return await self._against(action)
        told = list(await in_the_way(self, address))
        for each in await self.extras(address):
            if isinstance(each, Remark):
                is_list = each.kind == "mailing list"
                code = "MAILINGLIST_EXIST" if is_list else "DELEGATION_EXIST"
                told.append(Obstacle(code, printable(f"{each.kind}: {each.text}", 300)))
        return told

    async def domains(self) -> Sequence[HostedDomain]:
        """See `Provider`: the one that the service is for."""
        found = await self._fields()
        answer = await self._api.get(*self._root, "recommendedDNSRecords")
        expected = recommended(self._domain, objects(answer, "recommendedDNSRecords"))
        ok = found.text("status") in ("ok", "")
        status = DomainStatus.OK if ok else DomainStatus.ERROR
        return [HostedDomain(self._domain, status, expected=expected)]

    async def contacts(self) -> Contacts:
        """See `Provider`."""
        me = fields(await self._api.get("me"), "/me").text("nichandle")
        return contacts_of(me, await self._fields("serviceInfos"))

    async def zone(self, domain: str) -> ZoneWriter:
        """See `Provider`."""
        return await zone_of(self._api, domain)

    async def plan(self, action: Action) -> Planned:
        """See `Provider`. The lines are the requests, in the order in which they are sent."""
        demand(VERBS, action, self._domain)
        addresses_of(action)
        lines = tuple(str(step) for step, _ in await self._steps(action, Secret("")))
        if await holding(self, action) is Holding.HOLDS:
            return Planned(True, lines)
        return Planned(False, lines, tuple(map(finding, await self._against(action))))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        """See `Provider`. OVHcloud keeps no keys: what was begun is found among the tasks of the
        account."""
        demand(VERBS, action, self._domain)
        addresses_of(action)
        held = await holding(self, action)
        if held is Holding.HOLDS:
            return Task(str(Ticket(Queue.LOOK)), TaskState.DONE, "it stood already")
        under_way = await self._under_way(action)
        if under_way is not None:
            return Task(str(under_way), TaskState.DOING)
        against = [*await self._against(action), *unfit(action, secret)]
        if blocking := refused(against, half=held is Holding.PARTLY):
            raise Refused(blocking)
        its = Ticket(Queue.LOOK, 0, action)
        steps = await self._steps(action, secret)
        # What waits for its forerunner is sent by `task`.
        for step, queue in steps[:2] if isinstance(action, Lock | Unlock) else steps:
            answer = await self._sent(action, step)
            if isinstance(answer, dict):
                number = fields(answer, str(step)).number("id") or 0
                its = Ticket(queue, number, action)
        return Task(str(its), TaskState.DOING)

    async def task(self, number: str) -> Task:
        """See `Provider`. One that is in its queue no more is judged by what stands."""
        its = ticket(number)
        if its == Ticket(Queue.LOOK):
            return Task(number, TaskState.DONE)
        if its.action is None or its.queue is Queue.TASK:
            raise BadInput(f"OVHcloud knows no task “{printable(number, 80)}”; look at what stands")
        if its.queue is not Queue.LOOK and await self._queued(its):
            return Task(str(its), TaskState.DOING, f"OVHcloud's task {its.number} is in its queue")
        held = await holding(self, its.action)
        if held is Holding.ABSENT and await self._half_locked(its.action):
            try:
                for step, _ in (await self._steps(its.action, None))[-1:]:
                    await self._sent(its.action, step)
            except Refused as error:
                return Task(str(its), TaskState.ERROR, printable(str(error), 300))
            held = await holding(self, its.action)
        if held is Holding.HOLDS:
            return Task(str(its), TaskState.DONE)
        if held is Holding.UNKNOWN:
            return Task(str(its), TaskState.DOING)
        said = f"OVHcloud's task {its.number} is over, and what it was for does not hold"
        return Task(str(its), TaskState.ERROR, said)

    async def close(self) -> None:
        """See `Provider`."""
        await self._api.close()

    async def _against(self, action: Action) -> list[Obstacle]:
        found = list(await in_the_way(self, "", action))
        match action:
            case Create() if (await self.service()).free == 0:
                found.append(Obstacle("NO_FREE_ACCOUNT", self._domain))
            case Add(Filter() as rule) if rule_of(rule) is None:
                found.append(
                    Obstacle("EXTRA_REFUSED", "OVHcloud's filters are one word in one header")
                )
            case HandOver() if not found:
                found += await self._check_migrate(action)
        return found

    async def _check_migrate(self, action: HandOver) -> list[Obstacle]:
        local = parts(action.address).local
        path: tuple[str, ...] = (*self._root, "account", local, "migrate")
        if action.service not in texts(await self._api.get(*path), "migrate"):
            return [Obstacle("SERVICE_UNKNOWN", printable(action.service, 200))]
        path = (*path, action.service, "destinationEmailAddress")
        free = texts(await self._api.get(*path), "destinationEmailAddress")
        if not any(same(each, action.placeholder) for each in free):
            return [Obstacle("PLACEHOLDER_GONE", printable(action.placeholder, 200))]
        answer = await self._api.get(*path, action.placeholder, "checkMigrate")
        told = fields(answer, "checkMigrate")
        return [
            Obstacle(printable(each.text("code"), 40), printable(each.text("details"), 300))
            for name in ("error", "warning")
            for each in objects(told.values.get(name), "checkMigrate")
        ]

    async def _steps(self, action: Action, secret: Secret | None) -> list[tuple[Step, Queue]]:
        """What is sent, and the queue in which its task stands."""
        account = (*self._root, "account")
        match action:
            case Create(address=address, name=name, quota=quota):
                body: dict[str, Field] = {
                    "accountName": parts(address).local,
                    "password": secret or random_password(),
                }
                body |= {"description": name} if name else {}
                body |= {"size": quota} if quota is not None else {}
                return [(Step("POST", account, body), Queue.ACCOUNT)]
            case Delete(address=address):
                return [(Step("DELETE", (*account, parts(address).local)), Queue.ACCOUNT)]
            case Lock(address=address) | Unlock(address=address):
                return await self._lock_steps(action, address, secret)
            case HandOver(address=address, service=service, placeholder=placeholder):
                path: tuple[str, ...] = (*account, parts(address).local, "migrate", service)
                path = (*path, "destinationEmailAddress", placeholder, "migrate")
                return [(Step("POST", path, {"password": secret or Secret("")}), Queue.ACCOUNT)]
            case Add(extra) | Remove(extra):
                adds = isinstance(action, Add)
                return await extra_steps(self._api, self._root, extra, adds=adds)
            case _:
                raise BadInput(f"/email/domain/{self._domain} has no request for this")

    async def _lock_steps(
        self, action: Lock | Unlock, address: str, secret: Secret | None
    ) -> list[tuple[Step, Queue]]:
        """The mark that it begins, the password, and, when that is done, the mark that it holds."""
        path = (*self._root, "account", parts(address).local)
        locks = isinstance(action, Lock)
        password = random_password() if locks else secret
        found = await self._raw(parts(address).local)
        # As it is, not as it is shown: it is written back.
        name = "" if found is None else _unmarked(found.text("description"))
        begun, held = (_LOCKING, MARK) if locks else (_UNLOCKING, "")
        last = (Step("PUT", path, {"description": marked(name, held)}), Queue.LOOK)
        if password is None:
            return [last]
        change = Step("POST", (*path, "changePassword"), {"password": password})
        first = Step("PUT", path, {"description": marked(name, begun)})
        return [(first, Queue.LOOK), (change, Queue.ACCOUNT), last]

    async def _sent(self, action: Action, step: Step) -> object:
        try:
            answer = await send(self._api, step)
        except Refusal as error:
            against = refused(await self._against(action), half=False)
            word = f"{error.code} {error.said}".casefold()
            if isinstance(action, HandOver) and "password" in word:
                against.append(finding(Obstacle("PASSWORD_WRONG", action.address)))
            raise Refused(against or [finding(Obstacle("UNKNOW", str(error)))]) from error
        # Deleting a filter answers with a list of tasks.
        return answer[-1] if isinstance(answer, list) and answer else answer

    async def _under_way(self, action: Action) -> Ticket | None:
        """The task for this that was begun already. Raises `Refused` where others are at work on
        the account, and `RetryLater` where one stands that can't be for this beside it."""
        queue, name = Queue.ACCOUNT, "name"
        if isinstance(action, Add | Remove):
            name = "account"
            match action.extra:
                case Redirection():
                    queue = Queue.REDIRECTION
                case Responder():
                    queue = Queue.RESPONDER
                case _:
                    queue = Queue.FILTER
        for address in addresses_of(action):
            path, local = (*self._root, "task", queue.value), self._local(address)
            if local is None:
                continue
            for number in numbers(await self._api.get(*path, **{name: local}), "/".join(path)):
                try:
                    told = fields(await self._api.get(*path, str(number)), "/".join(path))
                except Missing:
                    continue
                word = told.text("action")
                if queue is not Queue.ACCOUNT and word in _OTHERWISE[type(action)]:
                    # Somebody else's, or an earlier one of ours: ours is begun when it is over.
                    said = printable(f"task {number}, {word}", 100)
                    waits = f"{address} is waited for: OVHcloud is at work on it ({said})"
                    raise RetryLater(waits, after=PAUSE)
                if queue is not Queue.ACCOUNT or isinstance(action, _BUSY.get(word, ())):
                    return Ticket(queue, number, action)
                said = printable(f"task {number}, {word}", 100)
                raise Refused([finding(Obstacle("ACCOUNT_INPROGRESS", said))])
        return None

    async def _half_locked(self, action: Action) -> bool:
        """Whether the password of the account is another by now, and only the mark is missing."""
        if not isinstance(action, Lock | Unlock):
            return False
        found = await self._raw(parts(action.address).local)
        begun = _LOCKING if isinstance(action, Lock) else _UNLOCKING
        return found is not None and found.text("description").endswith(begun)

    async def _queued(self, its: Ticket) -> bool:
        try:
            await self._api.get(*self._root, "task", its.queue.value, str(its.number))
        except Missing:
            return False
        return True

    async def _busy_names(self, local: str = "") -> frozenset[str]:
        """Local parts of accounts of which a task is under way."""
        path = (*self._root, "task", "account")
        query = {"name": local} if local else {}
        found = []
        for number in numbers(await self._api.get(*path, **query), "/".join(path)):
            try:
                told = fields(await self._api.get(*path, str(number)), "/".join(path))
            except Missing:
                continue
            found.append(told.text("name").casefold())
        return frozenset(found)

    def _account(self, found: Fields, busy: frozenset[str], usage: Fields | None = None) -> Account:
        local, said = found.text("accountName"), found.text("description")
        state = AccountState.CONFIGURED
        if local.casefold() in busy:
            state = AccountState.BUSY
        elif found.flag("isBlocked") or said.endswith((MARK, _UNLOCKING)):
            state = AccountState.LOCKED
        return Account(
            address=found.text("email") or self._at(local),
            state=state,
            name=printable(_unmarked(said), 200),
            quota=found.number("size"),
            used=None if usage is None else usage.number("quota"),
            messages=None if usage is None else usage.number("emailCount"),
        )

    async def _raw(self, local: str) -> Fields | None:
        try:
            return await self._fields("account", local)
        except Missing:
            return None

    async def _fields(self, *path: str) -> Fields:
        return fields(await self._api.get(*self._root, *path), "/".join((*self._root, *path)))

    def _local(self, address: str) -> str | None:
        """The name of an address of this domain; None for another's."""
        found = parts(address)
        return found.local if found.domain == domain_name(self._domain) else None

    def _at(self, local: str) -> str:
        return local if "@" in local else f"{local}@{self._domain}"


def _unmarked(description: str) -> str:
    for mark in (MARK, _LOCKING, _UNLOCKING):
        description = unmarked(description, mark)
    return description
