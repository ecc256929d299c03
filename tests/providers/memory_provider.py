"""The control plane of the hoster in memory: a `Provider` of one of its services."""

from collections.abc import Sequence

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import Action, verb_of_extra
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import Obstacle, finding, standing
from mailhaul.providers.provider import (
    Planned,
    Refused,
    Task,
    TaskState,
    Unsupported,
    demand,
)
from mailhaul.providers.service import Account, AccountState, Contacts, HostedDomain, Service
from tests.providers import memory_rules
from tests.providers.memory import Fault, MemoryHoster, MemoryService, Work

FAILED = (TaskState.ERROR, TaskState.CANCELLED)


class MemoryProvider:
    """One service of the hoster, as one process sees it."""

    def __init__(self, hoster: MemoryHoster, service: str) -> None:
        self._hoster = hoster
        self._name = service
        hoster.finish = lambda at, work: memory_rules.finish(hoster, at, work)

    async def service(self) -> Service:
        state = self._asked("service")
        placeholders = [e for e in state.accounts if e.state is AccountState.PLACEHOLDER]
        return Service(
            kind=state.kind,
            name=state.name,
            product=state.product,
            verbs=state.verbs,
            contents=state.contents,
            generation=state.generation,
            evidence=state.evidence,
            free=len(placeholders) if state.unused is None else state.unused,
            fresh=all(each.state is AccountState.PLACEHOLDER for each in state.accounts),
            quota=state.quota,
        )

    async def accounts(self) -> Sequence[Account]:
        state = self._asked("accounts")
        shown = (state.shown(each) for each in state.accounts)
        return sorted(shown, key=lambda account: account.address)

    async def account(self, address: str) -> Account | None:
        state = self._asked("account")
        found = state.found(address)
        return None if found is None else state.shown(found)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        state = self._asked("extras")
        return [
            each
            for each in state.extras
            if (not address or same(each.address, address))
            and verb_of_extra(each) in (None, *state.verbs)
        ]

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        state = self._asked("obstacles")
        if action is not None:
            demand(state.verbs, action, self._name)
            if memory_rules.holds(state, action):
                return []
            return list(memory_rules.refusals(self._hoster, state, action))
        found = state.found(address)
        if found is None and not state.group(address):
            return [Obstacle("ACCOUNT_EMPTY", printable(address, 200))]
        told = list(standing(address, state.extras))
        if found is not None and found.state is AccountState.BUSY:
            told.append(Obstacle("ACCOUNT_INPROGRESS", printable(address, 200)))
        return told

    async def domains(self) -> Sequence[HostedDomain]:
        return [each.shown for each in self._asked("domains").domains]

    async def contacts(self) -> Contacts:
        return self._asked("contacts").contacts

    async def zone(self, domain: str) -> ZoneWriter:
        zones = self._asked("zone").zones
        if domain not in zones:
            raise Unsupported(f"{self._name} doesn't hold the zone {printable(domain, 253)}")
        return zones[domain]

    async def plan(self, action: Action) -> Planned:
        state = self._asked("plan")
        demand(state.verbs, action, self._name)
        line = printable(f"{state.name}: {action}", 1000)
        if memory_rules.holds(state, action):
            return Planned(True, (line,))
        against = memory_rules.refusals(self._hoster, state, action)
        return Planned(False, (line,), tuple(map(finding, against)))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        state = self._asked("begin")
        demand(state.verbs, action, self._name)
        memory_rules.addresses(action)
        if state.meets(Fault.REQUEST_LOST):
            raise RetryLater(f"{self._name} hung up")
        task = self._begin(state, action, key, secret)
        if state.meets(Fault.ANSWER_LOST):
            raise RetryLater(f"{self._name} hung up")
        return task

    def _begin(self, state: MemoryService, action: Action, key: str, secret: Secret | None) -> Task:
        known = state.works.get(key)
        if known is not None and known.action != action:
            raise BadInput(f"the key {printable(key, 80)} began something else; use another")
        if known is not None and known.state not in FAILED:
            return known.task
        number = f"{state.name}-{sum(state.asked.values())}"
        if memory_rules.holds(state, action):
            work = Work(number, key, action, 0, state=TaskState.DONE, said="it stood already")
            state.works[key] = work
            return work.task
        if state.meets(Fault.REFUSED):
            raise Refused([finding(Obstacle("UNKNOW", state.name))])
        against = [
            *memory_rules.refusals(self._hoster, state, action, known is not None),
            *memory_rules.secret_refusals(state, action, secret),
        ]
        if against:
            raise Refused(list(map(finding, against)))
        work = Work(number, key, action, state.ticks, secret)
        _prepare(state, work)
        for account in memory_rules.touched(self._hoster, state, action):
            work.busy.append((account, account.state))
            account.state = AccountState.BUSY
        state.works[key] = work
        if work.left == 0:
            self._hoster.finish(state, work)
        return work.task

    async def task(self, number: str) -> Task:
        state = self._asked("task")
        if self._hoster.hurried:
            self._hoster.tick()
        found = next((each for each in state.works.values() if each.id == number), None)
        if found is None:
            raise BadInput(f"{self._name} knows no task {printable(number, 80)}")
        return found.task

    async def close(self) -> None:
        pass

    def _asked(self, verb: str) -> MemoryService:
        state = self._hoster.service(self._name)
        state.guarded(verb)
        return state


def _prepare(state: MemoryService, work: Work) -> None:
    """How the task will end."""
    match state.meets(Fault.FAILS, Fault.HALF, Fault.STALLS, Fault.CANCELLED):
        case Fault.FAILS:
            work.ends, work.said = TaskState.ERROR, "internal error"
        case Fault.HALF:
            work.ends, work.said, work.half = TaskState.ERROR, "internal error", True
        case Fault.CANCELLED:
            work.ends, work.said = TaskState.CANCELLED, "cancelled by support"
        case Fault.STALLS:
            work.left = 1_000_000_000
