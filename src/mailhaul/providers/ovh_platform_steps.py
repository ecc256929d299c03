"""Which requests an action takes on OVHcloud's newer platforms."""

from collections.abc import Mapping, Sequence

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.dns.names import domain_name
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
from mailhaul.providers.addresses import parts
from mailhaul.providers.extras import Alias, Delegation, Extra, Group
from mailhaul.providers.ovh_answers import fields
from mailhaul.providers.ovh_api import Api, Missing
from mailhaul.providers.ovh_domains import MODES
from mailhaul.providers.ovh_extras import alias_step, group_steps, right_step
from mailhaul.providers.ovh_steps import Field, Step
from mailhaul.providers.passwords import random_password
from mailhaul.providers.provider import Provider

MARK = "(locked by mailhaul)"
"""Behind the display name of an account that is locked; OVHcloud has no lock of its own."""

_TYPES = {mode: word for word, mode in MODES.items()}
_PASSWORD = frozenset({"changePassword"})
_ACCOUNT = frozenset({"setAccount"})


def addresses_of(action: Action) -> tuple[str, ...]:
    """The accounts that the action is about, the one that is there first. Raises `BadInput` for
    what can't be an address, anywhere in the action."""
    match action:
        case Configure(placeholder=one, address=two) | Release(address=one, placeholder=two):
            found: tuple[str, ...] = (one, two)
        case Rename(address=one, to=two):
            found = (one, two)
        case HandOver(address=one, placeholder=two):
            parts(two)
            found = (one,)
        case Create() | Lock() | Unlock() | Delete():
            found = (action.address,)
        case Add(extra) | Remove(extra):
            for each in _beside(extra):
                parts(each)
            found = () if isinstance(extra, Group) else (extra.address,)
        case Attach(domain=domain) | Detach(domain=domain) | SetMode(domain=domain):
            domain_name(domain)
            found = ()
    return tuple(str(parts(each)) for each in found)


def marked(name: str, mark: str) -> str:
    """The name, which is otherwise kept to the octet, with the mark behind it."""
    return f"{name} {mark}" if name and mark else name or mark


def unmarked(name: str, mark: str) -> str:
    """What `marked` was given; a name without the mark as it is."""
    return name.removesuffix(mark).removesuffix(" ") if name.endswith(mark) else name


def functions_of(action: Action) -> frozenset[str]:
    """What OVHcloud calls the tasks of the action. More than one: it takes several requests."""
    match action:
        case Create():
            return frozenset({"addAccount"})
        case Configure() | Lock() | Unlock():
            return _PASSWORD | _ACCOUNT
        case Release() | Rename():
            return _ACCOUNT
        case Delete():
            return frozenset({"deleteAccount"})
        case Add(Group()):
            return frozenset({"addDistributionGroup", "addDistributionGroupMember"})
        case Remove(Group()):
            return frozenset({"deleteDistributionGroup"})
        case Add(Delegation(right=right)):
            return frozenset({f"add{_right(right.name)}"})
        case Remove(Delegation(right=right)):
            return frozenset({f"delete{_right(right.name)}"})
        case Add():
            return frozenset({"addAlias"})
        case Remove():
            return frozenset({"deleteAlias"})
        case Attach():
            return frozenset({"addDomain"})
        case Detach():
            return frozenset({"deleteDomain"})
        case SetMode():
            return frozenset({"setDomain"})
        case HandOver():
            return frozenset()


def first_of_all(action: Action, steps: Sequence[Step]) -> int:
    """How many of the steps are sent at once: a password is set before anything else is done, and
    what follows waits for it."""
    waits = isinstance(action, Configure | Lock | Unlock) and len(steps) > 1
    return 1 if waits else len(steps)


async def next_steps(
    api: Api,
    root: tuple[str, ...],
    provider: Provider,
    action: Action,
    secret: Secret | None,
    values: Mapping[str, str],
    *,
    shown_only: bool = False,
) -> list[Step]:
    """What is to be sent for the action, or, where a part of it has been done, what is left. With
    `shown_only` for people to read: passwords that will be needed are among it."""
    match action:
        case Create(address=address, name=name):
            new = parts(address)
            body: dict[str, Field] = {
                "login": new.local,
                "domain": new.domain,
                "license": values.get("license", "basic"),
                "password": secret or random_password(),
                "displayName": name or new.local,
            }
            return [Step("POST", (*root, "account"), body)]
        case Configure(placeholder=placeholder, address=address, name=name):
            there = await provider.account(placeholder)
            now = placeholder if there is not None or shown_only else address
            change = _named(root, now, address, {"displayName": name} if name else {})
            password = secret or (Secret("***") if shown_only else None)
            return [*_password(root, now, password), change]
        case Release(address=address, placeholder=placeholder):
            there = await provider.account(address)
            now = address if there is not None or shown_only else placeholder
            return [_named(root, now, placeholder, {"displayName": None})]
        case Rename(address=address, to=to):
            return [_named(root, address, to, {})]
        case Lock(address=address):
            return [
                *_password(root, address, random_password()),
                await _mark(api, root, address, MARK),
            ]
        case Unlock(address=address):
            return [*_password(root, address, secret), await _mark(api, root, address, "")]
        case Delete(address=address):
            return [Step("DELETE", (*root, "account", address))]
        case Add(Group() as group):
            return await group_steps(api, root, group, adds=True)
        case Remove(Group() as group):
            return await group_steps(api, root, group, adds=False)
        case Add(Delegation() as right) | Remove(Delegation() as right):
            return [await right_step(api, root, right, adds=isinstance(action, Add))]
        case Add(Alias() as alias) | Remove(Alias() as alias):
            return [await alias_step(root, alias, adds=isinstance(action, Add))]
        case Attach(domain=domain, mode=mode, relay=relay):
            attached: dict[str, Field] = {
                "name": domain_name(domain),
                "type": _TYPES[mode],
                # The zone is changed at the cutover, by what is planned there, not by the way.
                "configureMx": False,
                "configureAutodiscover": False,
                "configureSPF": False,
                "configureDKIM": False,
            }
            if relay:
                attached["mxRelay"] = relay
            return [Step("POST", (*root, "domain"), attached)]
        case Detach(domain=domain):
            return [Step("DELETE", (*root, "domain", domain_name(domain)))]
        case SetMode(domain=domain, mode=mode, relay=relay):
            changed: dict[str, Field] = {"type": _TYPES[mode], "mxRelay": relay or None}
            return [Step("PUT", (*root, "domain", domain_name(domain)), changed)]
        case _:
            raise BadInput(f"{'/'.join(root)} has no request for this")


def _beside(extra: Extra) -> tuple[str, ...]:
    match extra:
        case Alias(address, alias):
            return address, alias
        case Delegation(address, to):
            return address, to
        case Group(address, members):
            return address, *members
        case _:
            return (extra.address,)


def _named(root: tuple[str, ...], now: str, to: str, more: Mapping[str, Field]) -> Step:
    new = parts(to)
    body: dict[str, Field] = {"login": new.local, "domain": new.domain, **more}
    return Step("PUT", (*root, "account", now), body)


def _password(root: tuple[str, ...], address: str, password: Secret | None) -> list[Step]:
    if password is None:
        return []
    path = (*root, "account", address, "changePassword")
    return [Step("POST", path, {"password": password})]


async def _mark(api: Api, root: tuple[str, ...], address: str, mark: str) -> Step:
    path = (*root, "account", address)
    try:
        found = fields(await api.get(*path), "/".join(path)).text("displayName")
    except Missing:
        found = ""
    body: dict[str, Field] = {"displayName": marked(unmarked(found, MARK), mark) or None}
    return Step("PUT", path, body)


def _right(name: str) -> str:
    words = {"FULL": "FullAccess", "SEND_AS": "SendAs", "SEND_ON_BEHALF": "SendOnBehalfTo"}
    return words[name]
