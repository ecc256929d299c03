"""A hoster in memory: services, accounts that hold real (memory) mailboxes, tasks that take time.

The reference of what a provider does: other providers' simulators stand on it, and the scenarios of
the journey. Time passes by `tick` alone, or by every question after a task (`hurried`). Methods
without an underscore that no `Provider` has are other people: they make accounts, order
placeholders, write to an address, configure by hand what was meant for us.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret
from mailhaul.dns.expected import Expected
from mailhaul.dns.records import RecordSet
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import Action
from mailhaul.providers.addresses import folded, same
from mailhaul.providers.extras import Alias, Extra, Group, Redirection
from mailhaul.providers.provider import Task, TaskState
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Contacts,
    Content,
    DomainStatus,
    Generation,
    HostedDomain,
    Mode,
    Verb,
)
from mailhaul.stores.memory_mailbox import MemoryMailbox

PASSWORD = "correct horse 9"
"""What opens every account that was made without a password."""


class Fault(StrEnum):
    """What can be made to go wrong: with the next task, the next begin, the next question."""

    FAILS = "the task ends in error, and nothing was done"
    HALF = "the task ends in error, half done"
    STALLS = "the task never ends"
    CANCELLED = "the provider cancels the task"
    REFUSED = "the provider says no without a reason that we know"
    ANSWER_LOST = "what is asked for is begun, and the answer is lost"
    REQUEST_LOST = "nothing is begun, and the answer is lost"
    AWAY = "the provider is away"
    THROTTLED = "the provider asks for a pause"
    EXPIRED = "the login to the control plane has expired"


@dataclass(slots=True)
class MemoryAccount:
    """One account. `box` is its mail, which goes where the account goes."""

    address: str
    state: AccountState = AccountState.CONFIGURED
    name: str = ""
    quota: int | None = None
    password: str = PASSWORD
    access: frozenset[Access] | None = frozenset(Access)
    box: MemoryMailbox = field(default_factory=MemoryMailbox)

    @property
    def used(self) -> int:
        return sum(len(each.data) for path in self.box.paths for each in self.box.messages(path))


@dataclass(slots=True)
class MemoryDomain:
    """One domain on a service."""

    name: str
    status: DomainStatus = DomainStatus.OK
    mode: Mode = Mode.AUTHORITATIVE
    relay: str = ""
    proof: RecordSet | None = None
    expected: Expected | None = None

    @property
    def shown(self) -> HostedDomain:
        return HostedDomain(
            self.name, self.status, self.mode, self.relay, self.proof, self.expected
        )


@dataclass(slots=True)
class Work:
    """One task: `left` ticks to go. `ends` is how it ends, `half`: with half of it done. While it
    is under way `busy` is what the accounts' states were before."""

    id: str
    key: str
    action: Action
    left: int
    secret: Secret | None = None
    state: TaskState = TaskState.TODO
    ends: TaskState = TaskState.DONE
    half: bool = False
    said: str = ""
    busy: list[tuple[MemoryAccount, AccountState]] = field(default_factory=list)

    @property
    def task(self) -> Task:
        return Task(self.id, self.state, self.said)


@dataclass(slots=True)
class MemoryService:
    """One service. `ticks`: how long its tasks take, 0 for at once. `unused` is what `Service.free`
    counts where accounts are created; `hand_over_to` names the services that it can hand accounts
    over to. `proves`: a domain that is attached waits for its proof."""

    name: str
    product: str = "memory"
    kind: str = "memory"
    verbs: frozenset[Verb] = frozenset(Verb) - {Verb.HAND_OVER}
    contents: frozenset[Content] = frozenset({Content.MAIL})
    generation: Generation | None = None
    evidence: tuple[str, ...] = ()
    quota: int | None = 5_000_000_000
    unused: int | None = None
    ticks: int = 2
    host: str = ""
    proves: bool = False
    contacts: Contacts = field(default_factory=lambda: Contacts("us-1", "us-1", "us-1", "us-1"))
    accounts: list[MemoryAccount] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)
    domains: list[MemoryDomain] = field(default_factory=list)
    zones: dict[str, ZoneWriter] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    always: set[Fault] = field(default_factory=set)
    hand_over_to: frozenset[str] = frozenset()
    loses: Callable[[MemoryMailbox], None] = lambda box: None
    """What a hand-over does to the mail that it carries."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each verb was asked for."""

    def account(
        self,
        address: str,
        *mail: bytes,
        name: str = "",
        quota: int | None = None,
        password: str = PASSWORD,
    ) -> MemoryAccount:
        """Makes an account that holds this mail."""
        made = MemoryAccount(address, name=name, quota=quota or self.quota, password=password)
        for each in mail:
            made.box.deliver(each)
        self.accounts.append(made)
        return made

    def placeholder(self, address: str, quota: int | None = None) -> MemoryAccount:
        """An account is delivered that nobody has configured."""
        made = MemoryAccount(address, AccountState.PLACEHOLDER, quota=quota or self.quota)
        self.accounts.append(made)
        return made

    def domain(self, name: str, **what: object) -> MemoryDomain:
        """The domain is on the service."""
        made = MemoryDomain(name)
        for field_name, value in what.items():
            setattr(made, field_name, value)
        self.domains.append(made)
        return made

    def found(self, address: str) -> MemoryAccount | None:
        """The account of that address."""
        return next((each for each in self.accounts if same(each.address, address)), None)

    def alias_of(self, address: str) -> str | None:
        """The account that it is an alias of."""
        return next(
            (
                each.address
                for each in self.extras
                if isinstance(each, Alias) and same(each.alias, address)
            ),
            None,
        )

    def group(self, address: str) -> Group | None:
        return next(
            (e for e in self.extras if isinstance(e, Group) and same(e.address, address)), None
        )

    def knows(self, address: str) -> bool:
        """Whether mail to it arrives in something here."""
        return bool(self.found(address) or self.alias_of(address) or self.group(address))

    def has_domain(self, name: str) -> MemoryDomain | None:
        return next((each for each in self.domains if each.name == name.casefold()), None)

    def shown(self, account: MemoryAccount) -> Account:
        """The account as the provider tells of it."""
        aliases = (
            each.alias
            for each in self.extras
            if isinstance(each, Alias) and same(each.address, account.address)
        )
        return Account(
            account.address,
            account.state,
            account.name,
            account.quota,
            account.used,
            account.box.total(),
            tuple(sorted(aliases)),
            account.access,
        )

    def arm(self, *faults: Fault, always: bool = False) -> None:
        """They happen, one after the other, or from now on."""
        if always:
            self.always.update(faults)
        else:
            self.faults.extend(faults)

    def meets(self, *faults: Fault) -> Fault | None:
        """The fault of these that happens now."""
        if self.faults and self.faults[0] in faults:
            return self.faults.pop(0)
        return next((each for each in faults if each in self.always), None)

    def forget_tasks(self) -> None:
        """The provider no longer knows the tasks that are over."""
        self.works = {
            key: each
            for key, each in self.works.items()
            if each.state in (TaskState.TODO, TaskState.DOING)
        }

    def guarded(self, verb: str) -> None:
        """What every question goes through. Raises as a provider does that is away."""
        self.asked[verb] += 1
        match self.meets(Fault.AWAY, Fault.THROTTLED, Fault.EXPIRED):
            case Fault.AWAY:
                raise RetryLater(f"{self.name} is away; it is asked again", after=1.0)
            case Fault.THROTTLED:
                raise RetryLater(f"{self.name} asks for a pause", after=7.0, throttled=True)
            case Fault.EXPIRED:
                raise Closed(
                    f"{self.name} no longer knows the key it was given; log in anew",
                    ClosedReason.CREDENTIALS,
                )


class MemoryHoster:
    """All services of one hoster, and the way mail takes to them. `bounced` is mail that nobody
    took, as (address, message)."""

    def __init__(self, *services: MemoryService, hurried: bool = False) -> None:
        self.services = {each.name: each for each in services}
        self.hurried = hurried
        self.bounced: list[tuple[str, bytes]] = []
        self.forwarded: list[tuple[str, bytes]] = []
        self.finish: Callable[[MemoryService, Work], None] = lambda service, work: None
        """What a task does when it ends (`memory_rules.finish`)."""

    def service(self, name: str) -> MemoryService:
        """Raises `BadInput` for one that isn't here."""
        if name not in self.services:
            raise BadInput(f"there is no service “{name}”")
        return self.services[name]

    def tick(self, times: int = 1) -> None:
        """Time passes."""
        for _ in range(times):
            for service in self.services.values():
                for work in list(service.works.values()):
                    self._advance(service, work)

    def _advance(self, service: MemoryService, work: Work) -> None:
        if work.state not in (TaskState.TODO, TaskState.DOING):
            return
        work.left -= 1
        work.state = TaskState.DOING
        if work.left <= 0:
            self.finish(service, work)

    def deliver(self, address: str, message: bytes) -> list[str]:
        """Somebody writes to the address; the accounts in which it arrives. It goes to whichever
        service has an account of that address, else an alias or a group of it, else back."""
        arrived = self._deliver(address, message, set())
        if not arrived:
            self.bounced.append((address, message))
        return arrived

    def _deliver(self, address: str, message: bytes, seen: set[str]) -> list[str]:
        if folded(address) in seen:
            return []
        seen.add(folded(address))
        routes = self._routes(address)
        service = next((each for each in routes if each.found(address)), None)
        service = service or next((each for each in routes if each.knows(address)), None)
        if service is None:
            return []
        if group := service.group(address):
            return self._fan(group.members, message, seen)
        found = service.found(service.alias_of(address) or address)
        assert found is not None
        onward = [
            each
            for each in service.extras
            if isinstance(each, Redirection) and same(each.address, found.address)
        ]
        arrived = self._fan((each.to for each in onward), message, seen)
        if not onward or any(each.copy for each in onward):
            found.box.deliver(message)
            arrived.append(found.address)
        return arrived

    def _fan(self, addresses: Iterable[str], message: bytes, seen: set[str]) -> list[str]:
        arrived = []
        for each in addresses:
            there = self._deliver(each, message, seen)
            if not there:
                self.forwarded.append((each, message))
                there = [each]
            arrived += there
        return arrived

    def _routes(self, address: str) -> list[MemoryService]:
        domain = address.rpartition("@")[2]
        return [each for each in self.services.values() if each.has_domain(domain)]
