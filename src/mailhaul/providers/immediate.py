"""What control planes have in common that do at once what they are asked, and keep no tasks: what
an action meets, and that what is begun under a key is begun once."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Severity
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    Delete,
    Lock,
    Release,
    Remove,
    Rename,
    Unlock,
)
from mailhaul.providers.actions_text import written
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import Holding, holding, rival, same_extra
from mailhaul.providers.extras import Alias, Extra, Group, Remark
from mailhaul.providers.journal import Entry, Journal
from mailhaul.providers.obstacles import Obstacle, finding, standing
from mailhaul.providers.provider import (
    OVER,
    Planned,
    Provider,
    Refused,
    TaskState,
    demand,
)
from mailhaul.providers.service import Account, AccountState, Verb

STOOD = "it stood already"
_RENEWED = frozenset({TaskState.ERROR, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Rules:
    """What a control plane demands beside what all do. `unfit` tells why it can't have an account
    of that address, empty where it can; `left_out` what of an extra it can't keep."""

    domains: frozenset[str]
    unfit: Callable[[str], str]
    left_out: Callable[[Extra], str] = lambda extra: ""


async def foreseen(
    provider: Provider, rules: Rules, action: Action, lines: Sequence[str]
) -> Planned:
    """`Provider.plan` of the action, which would be done by `lines`."""
    service = await provider.service()
    demand(service.verbs, action, service.name)
    unfit = list(_unfit(rules, action))
    if unfit:
        return Planned(False, tuple(lines), tuple(map(finding, unfit)))
    if await holding(provider, action) is Holding.HOLDS:
        return Planned(True)
    met = await _met(provider, action)
    return Planned(False, tuple(lines), tuple(map(finding, met)))


async def standing_in_the_way(provider: Provider, rules: Rules, address: str) -> list[Obstacle]:
    """`Provider.obstacles` of moving the account."""
    found = await provider.account(address)
    if found is None:
        domain = address.rpartition("@")[2].casefold()
        if rules.domains and domain not in rules.domains:
            return [Obstacle("DOMAIN_EMPTY", f"{domain} is not among {_listed(rules.domains)}")]
        return [Obstacle("ACCOUNT_EMPTY", f"there is no account {address}")]
    met = list(standing(address, await provider.extras(address)))
    match found.state:
        case AccountState.LOCKED:
            met.append(Obstacle("ACCOUNT_LOCKED", f"{address} is locked"))
        case AccountState.PLACEHOLDER:
            met.append(Obstacle("ACCOUNT_UNCONFIGURED", f"{address} is unconfigured"))
        case AccountState.BUSY:
            met.append(Obstacle("ACCOUNT_INPROGRESS", f"{address} is being changed"))
    return met


async def carried_out(
    provider: Provider,
    journal: Journal,
    action: Action,
    key: str,
    do: Callable[[], Awaitable[str]],
) -> Entry:
    """`Provider.begin`: has `do` done, which gives a printable word on it and does no harm when it
    is done twice. What it raises leaves the task DOING, and the same key does it again."""
    async with journal.alone():
        entry = await entered(provider, journal, action, key)
        if entry.state is TaskState.DONE:
            return entry
        try:
            said = await do()
        except Refused as error:
            journal.settle(entry.number, TaskState.CANCELLED, str(error))
            raise
        return journal.settle(entry.number, TaskState.DONE, said)


async def entered(provider: Provider, journal: Journal, action: Action, key: str) -> Entry:
    """What was begun under the key, DONE where it stands already. Where nothing was, or that came
    to nothing, it is begun now. Raises `Refused` where something blocks."""
    entry = journal.find(key)
    if entry is not None and entry.action != written(action):
        raise BadInput("this key has begun another action; take one key for each")
    if entry is not None and entry.state not in _RENEWED:
        return entry
    planned = await provider.plan(action)
    if planned.holds:
        return journal.begin(key, written(action), TaskState.DONE, STOOD)
    refuse(planned)
    return journal.begin(key, written(action), TaskState.DOING)


def refuse(planned: Planned) -> None:
    """Raises `Refused` where something blocks."""
    blocking = [each for each in planned.findings if each.severity is Severity.BLOCKS]
    if blocking:
        raise Refused(blocking)


def refusal(code: str, evidence: str) -> Refused:
    """The control plane said no, for this reason."""
    return Refused([finding(Obstacle(code, evidence))])


def is_over(entry: Entry) -> bool:
    """Whether nothing more comes of it."""
    return entry.state in OVER


async def _met(provider: Provider, action: Action) -> list[Obstacle]:
    match action:
        case Create(address=address):
            return await _taken(provider, address)
        case Configure(placeholder=old, address=new):
            return [*await _unavailable(provider, old), *await _taken(provider, new)]
        case Release(address=old, placeholder=new) | Rename(address=old, to=new):
            return [*await _missing(provider, old), *await _taken(provider, new)]
        case Lock(address=address) | Unlock(address=address):
            return await _missing(provider, address)
        case Delete(address=address, empty=empty):
            return _filled(await provider.account(address)) if empty else []
        case Add(extra=Group(address=address) as group):
            stands = await provider.extras(address)
            return _rivals(group, stands) or await _taken(provider, address)
        case Add(extra=extra):
            met = await _missing(provider, extra.address)
            if isinstance(extra, Alias):
                met += await _taken(provider, extra.alias)
            return [*met, *_rivals(extra, await provider.extras(extra.address))]
        case Remove():
            return []
        case _:
            raise AssertionError(f"nobody here can do {type(action).__name__}")


async def _missing(provider: Provider, address: str) -> list[Obstacle]:
    if await provider.account(address) is None:
        return [Obstacle("ACCOUNT_EMPTY", f"there is no account {address}")]
    return []


async def _unavailable(provider: Provider, placeholder: str) -> list[Obstacle]:
    found = await provider.account(placeholder)
    if found is None or found.state is not AccountState.PLACEHOLDER:
        return [Obstacle("PLACEHOLDER_GONE", f"{placeholder} is no unconfigured account")]
    return []


async def _taken(provider: Provider, address: str) -> list[Obstacle]:
    """Whether an account, an alias or a group has the address."""
    found = await provider.account(address)
    if found is not None:
        return [Obstacle("ADDRESS_TAKEN", f"there is an account {found.address}")]
    if not (await provider.service()).verbs & {Verb.ALIASES, Verb.GROUPS}:
        return []
    for each in await provider.extras():
        if isinstance(each, Alias) and same(each.alias, address):
            return [Obstacle("ADDRESS_TAKEN", f"{address} is an alias of {each.address}")]
        if isinstance(each, Group) and same(each.address, address):
            return [Obstacle("ADDRESS_TAKEN", f"{address} is a group")]
    return []


def _filled(found: Account | None) -> list[Obstacle]:
    """Who doesn't know whether it is empty takes it for filled."""
    if found is None or found.messages == 0 or found.used == 0:
        return []
    if found.messages is None and found.used is None:
        said = f"nobody can tell whether {found.address} is empty"
    else:
        said = f"{found.address} holds mail"
    return [Obstacle("ACCOUNT_NOT_EMPTY", said)]


def _rivals(extra: Extra, stands: Sequence[Extra]) -> list[Obstacle]:
    return [
        Obstacle("EXTRA_DIFFERS", f"{extra.address} has another {type(each).__name__.lower()}")
        for each in stands
        if rival(extra, each) and not same_extra(extra, each)
    ]


def _unfit(rules: Rules, action: Action) -> Iterator[Obstacle]:
    for address in _addresses(action):
        try:
            domain = parts(address).domain
        except BadInput as error:
            yield Obstacle("ADDRESS_REFUSED", str(error))
            continue
        if why := rules.unfit(address):
            yield Obstacle("ADDRESS_REFUSED", why)
        elif rules.domains and domain not in rules.domains:
            yield Obstacle("DOMAIN_EMPTY", f"{domain} is not among {_listed(rules.domains)}")
    if isinstance(action, Add) and (why := rules.left_out(action.extra)):
        yield Obstacle("EXTRA_REFUSED", why)


def _addresses(action: Action) -> tuple[str, ...]:
    match action:
        case Create(address=address) | Lock(address=address) | Unlock(address=address):
            return (address,)
        case Delete(address=address):
            return (address,)
        case Configure(placeholder=one, address=other) | Release(address=one, placeholder=other):
            return one, other
        case Rename(address=one, to=other):
            return one, other
        case Add(extra=extra) | Remove(extra=extra):
            named = (extra.alias,) if isinstance(extra, Alias) else ()
            return () if isinstance(extra, Remark) else (extra.address, *named)
        case _:
            return ()


def _listed(domains: frozenset[str]) -> str:
    return ", ".join(sorted(domains))
