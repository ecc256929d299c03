"""What really stands at a provider, whatever a task says: after a crash, a lost answer, an error.

Everything here only reads. Its answers are what resuming and taking back are decided by.
"""

from collections.abc import Sequence
from enum import StrEnum

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
from mailhaul.providers.addresses import folded
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
)
from mailhaul.providers.provider import Provider
from mailhaul.providers.service import Account, AccountState, DomainStatus, HostedDomain


class Holding(StrEnum):
    """ABSENT: as if the action had never been. PARTLY: neither that nor done, which is what half
    done work leaves, or somebody else's. UNKNOWN: the provider is at work on it."""

    HOLDS = "holds"
    ABSENT = "absent"
    PARTLY = "partly"
    UNKNOWN = "unknown"


async def holding(provider: Provider, action: Action, other: Provider | None = None) -> Holding:
    """Whether what the action says holds at the provider; `other` is the service that a `HandOver`
    goes to, without which only the source is looked at. Raises what its reading verbs do."""
    match action:
        case Create(address=address):
            return _present(await provider.account(address))
        case Configure(placeholder=old, address=new) | Release(address=old, placeholder=new):
            before, after = await provider.account(old), await provider.account(new)
            wanted = AccountState.CONFIGURED
            if isinstance(action, Release):
                wanted = AccountState.PLACEHOLDER
            return _moved(before, after, wanted)
        case Rename(address=old, to=new):
            before, after = await provider.account(old), await provider.account(new)
            return _moved(before, after, None)
        case Lock(address=address):
            return _in_state(await provider.account(address), AccountState.LOCKED)
        case Unlock(address=address):
            return _in_state(await provider.account(address), AccountState.CONFIGURED)
        case Delete(address=address):
            return _absent(await provider.account(address))
        case Add(extra=extra):
            return _stands(extra, await provider.extras(extra.address))
        case Remove(extra=extra):
            stands = _stands(extra, await provider.extras(extra.address))
            return Holding.ABSENT if stands is Holding.HOLDS else Holding.HOLDS
        case Attach():
            return _attached(action, await _domain(provider, action.domain))
        case Detach(domain=domain):
            found = await _domain(provider, domain)
            if found is not None and found.status is DomainStatus.DELETING:
                return Holding.UNKNOWN
            return Holding.HOLDS if found is None else Holding.ABSENT
        case SetMode():
            return _mode(action, await _domain(provider, action.domain))
        case HandOver(address=address, placeholder=placeholder):
            source = await provider.account(address)
            gone = _absent(source)
            if source is not None and source.state is AccountState.LOCKED:
                gone = Holding.PARTLY  # shut for the hand-over
            if other is None:
                return gone
            empty, filled = await other.account(placeholder), await other.account(address)
            arrived = _moved(empty, filled, AccountState.CONFIGURED)
            if Holding.UNKNOWN in (gone, arrived):
                return Holding.UNKNOWN
            return gone if gone is arrived else Holding.PARTLY


def same_extra(one: Extra, other: Extra) -> bool:
    """Whether both say the same: addresses without regard to case, texts without regard to how
    their lines end."""
    return _plain(one) == _plain(other)


def rival(one: Extra, other: Extra) -> bool:
    """Whether both are of the kind that an account has one of, and say different things: adding
    the one would overwrite the other."""
    return not same_extra(one, other) and _place(one) == _place(other)


def _present(found: Account | None) -> Holding:
    if found is None:
        return Holding.ABSENT
    match found.state:
        case AccountState.BUSY:
            return Holding.UNKNOWN
        case AccountState.PLACEHOLDER:
            return Holding.PARTLY
        case _:
            return Holding.HOLDS


def _absent(found: Account | None) -> Holding:
    if found is None:
        return Holding.HOLDS
    return Holding.UNKNOWN if found.state is AccountState.BUSY else Holding.ABSENT


def _in_state(found: Account | None, wanted: AccountState) -> Holding:
    if found is None:
        return Holding.ABSENT
    if found.state is AccountState.BUSY:
        return Holding.UNKNOWN
    return Holding.HOLDS if found.state is wanted else Holding.ABSENT


def _moved(before: Account | None, after: Account | None, wanted: AccountState | None) -> Holding:
    """Whether an account went from the one address to the other, and is in that state there."""
    if AccountState.BUSY in (before and before.state, after and after.state):
        return Holding.UNKNOWN
    if before is None and after is not None:
        return Holding.HOLDS if wanted in (None, after.state) else Holding.PARTLY
    if before is not None and after is None:
        return Holding.ABSENT
    return Holding.PARTLY


def _stands(wanted: Extra, found: Sequence[Extra]) -> Holding:
    if any(same_extra(wanted, each) for each in found):
        return Holding.HOLDS
    return Holding.PARTLY if any(rival(wanted, each) for each in found) else Holding.ABSENT


async def _domain(provider: Provider, name: str) -> HostedDomain | None:
    found = await provider.domains()
    return next((each for each in found if each.name.casefold() == name.casefold()), None)


def _attached(action: Attach, found: HostedDomain | None) -> Holding:
    """A domain whose ownership isn't proven yet is on the service; what is missing then isn't the
    provider's work."""
    if found is None:
        return Holding.ABSENT
    if found.status is DomainStatus.CREATING:
        return Holding.UNKNOWN
    sound = found.status in (DomainStatus.OK, DomainStatus.UNPROVEN)
    alike = found.mode is action.mode and _host(found.relay) == _host(action.relay)
    return Holding.HOLDS if sound and alike else Holding.PARTLY


def _mode(action: SetMode, found: HostedDomain | None) -> Holding:
    if found is None:
        return Holding.ABSENT
    now = found.mode, _host(found.relay)
    if now == (action.mode, _host(action.relay)):
        return Holding.HOLDS
    before = action.mode_before, _host(action.relay_before)
    return Holding.ABSENT if now == before else Holding.PARTLY


def _host(name: str) -> str:
    return name.rstrip(".").casefold()


def _plain(extra: Extra) -> Extra:
    """The extra in the one form that all that are the same share."""
    address = folded(extra.address)
    match extra:
        case Alias(_, alias):
            return Alias(address, folded(alias))
        case Redirection(_, to, copy):
            return Redirection(address, folded(to), copy)
        case Responder(_, text, subject, begins, ends, copy_to):
            plain = _lines(text), _lines(subject)
            return Responder(address, *plain, begins, ends, folded(copy_to) if copy_to else "")
        case Filter(_, name, script, words):
            # Words are the provider's for what the script says, where there is a script.
            return Filter(address, name, _lines(script), "" if script else words)
        case Delegation(_, to, right):
            return Delegation(address, folded(to), right)
        case Group(_, members):
            return Group(address, tuple(sorted({folded(each) for each in members})))
        case Remark(_, kind, text):
            return Remark(address, kind, text)


def _place(extra: Extra) -> tuple[str, ...]:
    """What there is one of; extras of one place overwrite each other."""
    plain = _plain(extra)
    match plain:
        case Alias(_, alias):
            return "alias", alias
        case Redirection(address, to):
            return "redirection", address, to
        case Responder(address):
            return "responder", address
        case Filter(address, name):
            return "filter", address, name
        case Delegation(address, to, right):
            return "delegation", address, to, right.value
        case Group(address):
            return "group", address
        case Remark(address, kind, text):
            return "remark", address, kind, text


def _lines(text: str) -> str:
    return "\n".join(text.splitlines()).strip()
