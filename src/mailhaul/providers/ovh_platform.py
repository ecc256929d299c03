"""OVHcloud's newer platforms: the new MX Plan, Email Pro and Exchange, which are asked alike.

Accounts are changed by PUT, which answers nothing and leaves a task on the account; everything else
answers with its task. An account that nobody has configured is a placeholder. There is no lock
there: locking is a random password and a mark behind the account's display name, so that people
and we see it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.dns.names import domain_name
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import Action, Configure, SetMode
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.ovh_answers import Fields, fields, numbers, texts
from mailhaul.providers.ovh_api import Api, Missing, Refusal
from mailhaul.providers.ovh_domains import hosted
from mailhaul.providers.ovh_extras import read_extras
from mailhaul.providers.ovh_platform_steps import (
    MARK,
    addresses_of,
    first_of_all,
    functions_of,
    next_steps,
    unmarked,
)
from mailhaul.providers.ovh_refusals import in_the_way, refused, unfit
from mailhaul.providers.ovh_steps import Queue, Step, Ticket, send, shown, ticket
from mailhaul.providers.ovh_zone import zone_of
from mailhaul.providers.provider import OVER, Planned, Refused, Task, TaskState, demand
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Contacts,
    Content,
    Generation,
    HostedDomain,
    Service,
    Verb,
)

_GIB = 1 << 30
_KIB = 1 << 10
_ACCESS = {
    "IMAP": Access.IMAP,
    "POP": Access.POP,
    "activeSync": Access.ACTIVESYNC,
    "webMail": Access.WEBMAIL,
}
_CHANGING = frozenset({"creating", "deleting", "reopening", "suspending", "internalMigration"})
_MAIL = frozenset({Content.MAIL, Content.RULES})
_ALL = frozenset(Content)
_COMMON = frozenset(
    {
        *(Verb.CONFIGURE, Verb.RENAME, Verb.LOCK, Verb.DELETE),
        *(Verb.ALIASES, Verb.DELEGATIONS, Verb.RELAY, Verb.ZONES),
    }
)
_MAKES_ACCOUNTS = frozenset({"provider", "dedicated", "dedicatedCluster"})
"""Offers of Exchange on which accounts are made; on others they are ordered, as placeholders."""


class Platform(StrEnum):
    """The three, by the kind that plans call them."""

    MXPLAN = "ovh-mxplan"
    PRO = "ovh-pro"
    EXCHANGE = "ovh-exchange"


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs: where the service is asked, and which routes it hasn't got."""

    platform: Platform
    root: tuple[str, ...]

    @property
    def account_tasks(self) -> str:
        return "task" if self.platform is Platform.MXPLAN else "tasks"


class PlatformProvider:
    """A `Provider` of one such service. `values` are the plan's: `license` of new accounts."""

    def __init__(self, shape: Shape, name: str, api: Api, values: Mapping[str, str]) -> None:
        self._shape = shape
        self._name = name
        self._api = api
        self._values = values

    async def service(self) -> Service:
        """See `Provider`."""
        found, accounts = await asyncio.gather(self._service(), self._raw_accounts())
        free = [each for each in accounts if not each.flag("configured")]
        quotas = [quota for each in accounts if (quota := _quota(each)) is not None]
        offer = printable(found.text("offer"), 60)
        exchange = self._shape.platform is Platform.EXCHANGE
        titles = {
            Platform.MXPLAN: "MX Plan (new)",
            Platform.PRO: "Email Pro",
            Platform.EXCHANGE: "Exchange",
        }
        product = f"{titles[self._shape.platform]} {offer}".strip()
        verbs = self._verbs(offer)
        return Service(
            kind=self._shape.platform,
            name=self._name,
            product=product,
            verbs=verbs,
            contents=_ALL if exchange else _MAIL,
            generation=Generation.NEW if self._shape.platform is Platform.MXPLAN else None,
            evidence=self._evidence(found, offer),
            free=None if Verb.CREATE in verbs and not free else len(free),
            fresh=len(free) == len(accounts),
            quota=max(quotas, default=None),
        )

    async def accounts(self) -> Sequence[Account]:
        """See `Provider`; with aliases, and sizes as OVHcloud counted them last."""
        found = await asyncio.gather(*map(self._account, await self._raw_accounts()))
        return sorted(found, key=lambda each: each.address)

    async def account(self, address: str) -> Account | None:
        """See `Provider`."""
        found = await self._raw_account(address)
        return None if found is None else await self._account(found, access=True)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        """See `Provider`: aliases and delegations; of Exchange the whole service's groups and what
        can only be listed, too. Redirections, auto-replies and rules lie in the mailboxes, where
        this API doesn't see them."""
        if not address:
            path = (*self._shape.root, "account")
            whose: Sequence[str] = texts(await self._api.get(*path), "/".join(path))
        else:
            whose = [] if await self._raw_account(address) is None else [address]
        exchange = self._shape.platform is Platform.EXCHANGE
        return await read_extras(self._api, self._shape.root, whose, address, exchange=exchange)

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        """See `Provider`."""
        if action is not None:
            demand(await self._own_verbs(), action, self._name)
        return await in_the_way(self, address, action)

    async def domains(self) -> Sequence[HostedDomain]:
        """See `Provider`."""
        path = (*self._shape.root, "domain")
        names = texts(await self._api.get(*path), "/".join(path))
        return await asyncio.gather(*map(self._domain, sorted(names)))

    async def contacts(self) -> Contacts:
        """See `Provider`. The new MX Plan's API doesn't tell."""
        me = fields(await self._api.get("me"), "/me").text("nichandle")
        if self._shape.platform is Platform.MXPLAN:
            return Contacts(printable(me, 60))
        path = (*self._shape.root, "serviceInfos")
        return contacts_of(me, fields(await self._api.get(*path), "/".join(path)))

    async def zone(self, domain: str) -> ZoneWriter:
        """See `Provider`."""
        return await zone_of(self._api, domain)

    async def plan(self, action: Action) -> Planned:
        """See `Provider`. The lines are the requests, in the order in which they are sent."""
        demand(await self._own_verbs(), action, self._name)
        addresses_of(action)
        steps = await self._steps(action, None, shown_only=True)
        lines = tuple(map(str, steps))
        if await holding(self, action) is Holding.HOLDS:
            return Planned(True, lines)
        against = await in_the_way(self, "", action)
        return Planned(False, lines, tuple(map(finding, against)))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        """See `Provider`. OVHcloud keeps no keys: what was begun is found by what it left on the
        account."""
        demand(await self._own_verbs(), action, self._name)
        addresses_of(action)
        held = await holding(self, action)
        if held is Holding.HOLDS:
            return Task(str(Ticket(Queue.LOOK)), TaskState.DONE, "it stood already")
        under_way = await self._under_way(action)
        if under_way is not None and not under_way[1]:
            raise Refused([finding(Obstacle("ACCOUNT_INPROGRESS", under_way[0].said))])
        if under_way is not None:
            return under_way[0]
        looked = await in_the_way(self, "", action, thorough=False)
        against = [*looked, *unfit(action, secret)]
        # A rename that broke off and a name that is another's look alike, but not to OVHcloud.
        half = held is Holding.PARTLY and not isinstance(action, Configure | SetMode)
        blocking = refused(against, half=half)
        if blocking:
            raise Refused(blocking)
        steps = await self._steps(action, secret)
        return await self._send(action, steps[: first_of_all(action, steps)])

    async def task(self, number: str) -> Task:
        """See `Provider`. Where an action takes several requests, the next one is sent when its
        forerunner is asked after and done."""
        its = ticket(number)
        if its.queue not in (Queue.TASK, Queue.LOOK):
            raise BadInput(f"{self._name} knows no task “{printable(number, 80)}”")
        if its.queue is Queue.TASK:
            found = await self._task(its)
            if its.action is None or found.state is not TaskState.DONE:
                return found
        if its.action is None:
            return Task(number, TaskState.DONE)
        return await self._go_on(its, its.action)

    async def close(self) -> None:
        """See `Provider`."""
        await self._api.close()

    async def _go_on(self, its: Ticket, action: Action) -> Task:
        held = await holding(self, action)
        if held is Holding.HOLDS:
            return Task(str(its), TaskState.DONE)
        latest = await self._latest(action, its.number)
        if latest is not None and latest.state in OVER:
            return Task(str(its), latest.state, latest.said)
        if latest is None and its.queue is Queue.TASK:
            if len(functions_of(action)) == 1:
                return Task(str(its), TaskState.DONE)
            # Members of a group leave no task on an account: what stands tells that it is there.
            if held is Holding.PARTLY or (held is Holding.ABSENT and addresses_of(action)):
                steps = await self._steps(action, None)
                left = [step for step in steps if step.path[-1] != "changePassword"]
                try:
                    await self._send_all(action, left)
                except Refused as error:
                    return Task(str(its), TaskState.ERROR, printable(str(error), 300))
        return Task(str(its), TaskState.DOING, "OVHcloud is at work on it")

    async def _latest(self, action: Action, after: int) -> Task | None:
        """The newest task of the accounts concerned that was begun after that one for this."""
        found: list[tuple[int, str]] = []
        for address in addresses_of(action):
            path = (*self._shape.root, "account", address, self._shape.account_tasks)
            try:
                listed = numbers(await self._api.get(*path), "/".join(path))
            except Missing:
                continue
            found += [(number, address) for number in listed if number > after]
        for number, address in sorted(found, reverse=True):
            path = (*self._shape.root, "account", address, self._shape.account_tasks, str(number))
            told = fields(await self._api.get(*path), "/".join(path))
            if told.text("function") in functions_of(action):
                return shown(Ticket(Queue.TASK, number), told)
        return None

    async def _under_way(self, action: Action) -> tuple[Task, bool] | None:
        """The task that is under way of an account concerned, and whether it is for this."""
        for address in addresses_of(action):
            found = await self._raw_account(address)
            number = 0 if found is None else found.number("taskPendingId") or 0
            if not number:
                continue
            path = (*self._shape.root, "task", str(number))
            try:
                told = fields(await self._api.get(*path), "/".join(path))
            except Missing:
                continue
            pending = shown(Ticket(Queue.TASK, number, action), told)
            if pending.state not in OVER:
                return pending, told.text("function") in functions_of(action)
        return None

    async def _send(self, action: Action, steps: Sequence[Step]) -> Task:
        """Sends them all; the task of the last."""
        answer = await self._send_all(action, steps)
        if isinstance(answer, dict):
            told = fields(answer, str(steps[-1]))
            several = action if len(functions_of(action)) > 1 else None
            return shown(Ticket(Queue.TASK, told.number("id") or 0, several), told)
        # A PUT answers nothing, and leaves its task on what it changes.
        under_way = await self._under_way(action)
        if under_way is not None and under_way[1]:
            return under_way[0]
        held = await holding(self, action)
        state = TaskState.DONE if held is Holding.HOLDS else TaskState.DOING
        return Task(str(Ticket(Queue.LOOK, 0, action)), state)

    async def _send_all(self, action: Action, steps: Sequence[Step]) -> object:
        answer: object = None
        try:
            for step in steps:
                answer = await send(self._api, step)
        except Refusal as error:
            raise await self._explained(action, error) from error
        return answer

    async def _explained(self, action: Action, error: Refusal) -> Refused:
        """Why OVHcloud said no, in a code where we see the reason ourselves."""
        against = refused(await in_the_way(self, "", action), half=False)
        return Refused(against or [finding(Obstacle("UNKNOW", str(error)))])

    async def _task(self, its: Ticket) -> Task:
        path = (*self._shape.root, "task", str(its.number))
        try:
            return shown(its, fields(await self._api.get(*path), "/".join(path)))
        except Missing as error:
            if its.action is not None:
                return Task(str(its), TaskState.DONE)
            raise BadInput(
                f"OVHcloud knows no task {its.number} any more; look at what stands"
            ) from error

    async def _steps(
        self, action: Action, secret: Secret | None, *, shown_only: bool = False
    ) -> list[Step]:
        """What is still to be sent."""
        return await next_steps(
            self._api, self._shape.root, self, action, secret, self._values, shown_only=shown_only
        )

    async def _service(self) -> Fields:
        return fields(await self._api.get(*self._shape.root), "/".join(self._shape.root))

    async def _own_verbs(self) -> frozenset[Verb]:
        return self._verbs((await self._service()).text("offer"))

    def _verbs(self, offer: str) -> frozenset[Verb]:
        match self._shape.platform:
            case Platform.MXPLAN:
                return _COMMON
            case Platform.PRO:
                return _COMMON | {Verb.DOMAINS}
            case Platform.EXCHANGE:
                makes = {Verb.CREATE} if offer in _MAKES_ACCOUNTS else set()
                return _COMMON | {Verb.DOMAINS, Verb.GROUPS} | makes

    def _evidence(self, found: Fields, offer: str) -> tuple[str, ...]:
        """What a person would look for in OVHcloud's panel."""
        host = printable(found.text("hostname"), 253)
        lines = [f"it answers under /{'/'.join(self._shape.root)}"]
        if offer:
            lines.append(f"its offer is “{offer}”")
        if host:
            model = " (the new MX Plan)" if host.startswith("mxplan-") else ""
            lines.append(f"its server model is “{host}”{model}")
        return tuple(printable(line, 300) for line in lines)

    async def _raw_accounts(self) -> list[Fields]:
        path = (*self._shape.root, "account")
        names = texts(await self._api.get(*path), "/".join(path))
        found = await asyncio.gather(*map(self._raw_account, names))
        return [each for each in found if each is not None]

    async def _raw_account(self, address: str) -> Fields | None:
        """The account itself: OVHcloud may find it by an alias too."""
        path = (*self._shape.root, "account", str(parts(address)))
        try:
            found = fields(await self._api.get(*path), "/".join(path))
        except Missing:
            return None
        return found if same(found.text("primaryEmailAddress"), address) else None

    async def _account(self, found: Fields, *, access: bool = False) -> Account:
        address = found.text("primaryEmailAddress")
        path = (*self._shape.root, "account", address)
        aliases = texts(await self._api.get(*path, "alias"), "/".join(path))
        ways = None
        if access and self._shape.platform is Platform.EXCHANGE:
            told = fields(await self._api.get(*path, "protocol"), "/".join(path))
            # SMTP is not among what OVHcloud switches.
            ways = frozenset(
                {Access.SMTP, *(way for name, way in _ACCESS.items() if told.flag(name))}
            )
        used = found.number("currentUsage")
        return Account(
            address=address,
            state=await self._state(found),
            name=printable(unmarked(found.text("displayName"), MARK), 200),
            quota=_quota(found),
            used=None if used is None else used * _KIB,
            aliases=tuple(sorted(aliases)),
            access=ways,
        )

    async def _state(self, found: Fields) -> AccountState:
        if found.text("state") in _CHANGING:
            return AccountState.BUSY
        if number := found.number("taskPendingId"):
            path = (*self._shape.root, "task", str(number))
            try:
                told = fields(await self._api.get(*path), "/".join(path))
                if shown(Ticket(Queue.TASK, number), told).state not in OVER:
                    return AccountState.BUSY
            except Missing:
                pass
        if not found.flag("configured"):
            return AccountState.PLACEHOLDER
        locked = found.text("state") == "suspended" or found.text("displayName").endswith(MARK)
        return AccountState.LOCKED if locked else AccountState.CONFIGURED

    async def _domain(self, name: str) -> HostedDomain:
        path = (*self._shape.root, "domain", domain_name(name))
        found = fields(await self._api.get(*path), "/".join(path))
        if self._shape.platform is Platform.MXPLAN:
            return hosted(found)
        selectors = texts(await self._api.get(*path, "dkim"), "/".join(path))
        asked = (self._api.get(*path, "dkim", each) for each in selectors)
        dkim = [fields(each, "/".join(path)) for each in await asyncio.gather(*asked)]
        return hosted(found, dkim)


def contacts_of(me: str, found: Fields) -> Contacts:
    """The contacts of a service (services.Service)."""
    return Contacts(
        printable(me, 60),
        printable(found.text("contactAdmin"), 60),
        printable(found.text("contactTech"), 60),
        printable(found.text("contactBilling"), 60),
    )


def _quota(found: Fields) -> int | None:
    """OVHcloud says gigabytes."""
    number = found.number("quota")
    return None if number is None else number * _GIB
