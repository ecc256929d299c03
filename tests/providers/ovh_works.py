"""Tasks and accounts behind OVHcloud's simulator: the hoster in memory, by OVHcloud's numbers."""

from dataclasses import dataclass, field

from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Action,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Release,
    Rename,
    SetMode,
    Unlock,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Alias, Right
from mailhaul.providers.provider import OVER, TaskState
from mailhaul.providers.service import AccountState, DomainStatus, Mode
from tests.providers import memory_rules
from tests.providers.memory import MemoryAccount, MemoryHoster, MemoryService, Work
from tests.providers.memory_provider import MemoryProvider, _prepare
from tests.providers.ovh_routes import PUBLISHED, PUBLISHED_MODELS, REFERENCE, REFERENCE_MODELS
from tests.providers.ovh_schema import book

BOOK = book(PUBLISHED + REFERENCE, PUBLISHED_MODELS + REFERENCE_MODELS)
NEVER = "2026-01-01T00:00:00+00:00"
PLACEHOLDERS = "configureme.me"
GIB = 1 << 30

FUNCTIONS: dict[type[Action], str] = {
    Create: "addAccount",
    Configure: "setAccount",
    Release: "setAccount",
    Rename: "setAccount",
    Unlock: "changePassword",
    Delete: "deleteAccount",
    Attach: "addDomain",
    Detach: "deleteDomain",
    SetMode: "setDomain",
    HandOver: "internalMigration",
}
RIGHTS = {
    Right.FULL: ("fullAccess", "FullAccess"),
    Right.SEND_AS: ("sendAs", "SendAs"),
    Right.SEND_ON_BEHALF: ("sendOnBehalfTo", "SendOnBehalfTo"),
}
MODES = {Mode.AUTHORITATIVE: "authoritative", Mode.NON_AUTHORITATIVE: "nonAuthoritative"}
STATES = {DomainStatus.CREATING: "creating", DomainStatus.DELETING: "deleting"}


class Fault(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, str] = {"message": message} | ({"errorCode": code} if code else {})


@dataclass
class OvhWorks:
    """What is under way, and what was at once. `numbers` are the works', `instant` the rest's."""

    hoster: MemoryHoster
    numbers: dict[str, int] = field(default_factory=dict)
    instant: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.planes = {name: MemoryProvider(self.hoster, name) for name in self.hoster.services}
        self.hoster.finish = self._finish

    async def begin(
        self, state: MemoryService, action: Action, secret: Secret | None = None
    ) -> Work:
        """Has the action begun, as the hoster does; the same again is another work, and what ended
        badly goes on."""
        turn = 0
        while (known := state.works.get(f"{action}#{turn}")) and known.state is TaskState.DONE:
            turn += 1
        key = f"{action}#{turn}"
        await self.planes[state.name].begin(action, key, secret)
        return state.works[key]

    def password(self, state: MemoryService, account: MemoryAccount, password: str) -> Work:
        """An account gets another password."""
        if account.state is AccountState.BUSY:
            raise Fault(409, "There is already a task on this account")
        key = f"password#{len(state.works)}"
        action = Unlock(account.address)
        work = Work(key, key, action, state.ticks, Secret(password))
        _prepare(state, work)
        work.busy.append((account, account.state))
        account.state = AccountState.BUSY
        state.works[key] = work
        if state.ticks == 0:
            self._finish(state, work)
        return work

    def number(self, work: Work) -> int:
        """What the API calls it."""
        return self.numbers.setdefault(work.id, 1000 + len(self.numbers) + len(self.instant))

    def at_once(self, function: str, address: str) -> int:
        """A task that is over as soon as it is begun."""
        number = 1000 + len(self.numbers) + len(self.instant)
        self.instant[number] = (function, address)
        return number

    def _finish(self, state: MemoryService, work: Work) -> None:
        if not work.id.startswith("password#"):
            memory_rules.finish(self.hoster, state, work)
            return
        for account, before in work.busy:
            account.state = before
            if work.ends is TaskState.DONE and work.secret is not None:
                account.password = work.secret.reveal()
        work.state = work.ends


class Side:
    """What both kinds of service have."""

    def __init__(self, works: OvhWorks, state: MemoryService) -> None:
        self.works = works
        self.state = state

    def account(self, address: str) -> MemoryAccount:
        found = self.state.found(address)
        if found is None:
            raise Fault(404, "The requested object (email) does not exist")
        return found

    def alias(self, address: str, alias: str) -> Alias:
        for each in self.state.extras:
            if isinstance(each, Alias) and same(each.address, address) and same(each.alias, alias):
                return each
        raise Fault(404, "The requested object (alias) does not exist")

    def under_way(self, account: MemoryAccount) -> list[Work]:
        return [
            work
            for work in self.state.works.values()
            if work.state not in OVER and any(each is account for each, _ in work.busy)
        ]
