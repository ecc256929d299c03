"""Names and places that collide with nobody's: temporary addresses, and unconfigured accounts."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailhaul.core.finding import Finding
from mailhaul.core.text import octets, printable
from mailhaul.providers.addresses import LONGEST_LOCAL_PART, folded, parts
from mailhaul.providers.extras import Alias, Extra, Group, Redirection
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.service import Account, AccountState

_MOST = 999
_BARE = 64 << 10
"""Octets that an account may take up in which nobody has put anything."""


def addresses_taken(accounts: Iterable[Account], extras: Iterable[Extra]) -> frozenset[str]:
    """Every address that mail to it would find something, folded: accounts, aliases, groups, and
    redirections, which some providers hold where there is no account."""
    return frozenset(_taken(accounts, extras))


def _taken(accounts: Iterable[Account], extras: Iterable[Extra]) -> Iterator[str]:
    for account in accounts:
        yield folded(account.address)
        yield from map(folded, account.aliases)
    for extra in extras:
        match extra:
            case Alias(_, alias):
                yield folded(alias)
            case Group(address) | Redirection(address):
                yield folded(address)


def temporary_address(address: str, taken: Collection[str], suffix: str = "") -> str | None:
    """An address in the same domain that is not among `taken` (folded): with a suffix, the name and
    that where it is free; else with 01, 02 … behind (john.smith01 for john.smith). The name is cut
    where it would be too long. None: all of them are taken. Raises `BadInput` for what is no
    address, with the suffix too."""
    whole = parts(address)
    for end in ([suffix] if suffix else []) + [f"{suffix}{n:02}" for n in range(1, _MOST + 1)]:
        local = _cut(whole.local, LONGEST_LOCAL_PART - len(end.encode())) + end
        candidate = str(parts(f"{local}@{whole.domain}"))
        if folded(candidate) not in taken:
            return candidate
    return None


def _cut(local: str, longest: int) -> str:
    """The first so many octets, no character cut in two and no dot left at the end."""
    return local.encode()[: max(0, longest)].decode(errors="ignore").rstrip(".")


@dataclass(frozen=True, slots=True)
class Picked:
    """An unconfigured account, None where none is fit; how many unconfigured and unreserved ones
    remain beside it. The findings say why none was, or what couldn't be compared."""

    placeholder: str | None
    remaining: int
    findings: tuple[Finding, ...] = ()


def is_filled(account: Account) -> bool:
    """Whether the account is known to hold mail: somebody's whose move was taken back."""
    if account.messages is not None:
        return account.messages > 0
    return account.used is not None and account.used > _BARE


def pick(
    accounts: Iterable[Account],
    size: int | None,
    reserved: Collection[str] = (),
    quota: int | None = None,
) -> Picked:
    """The unconfigured account of the smallest quota that `size` octets fit into, the first by
    address of those. `reserved` ones are others', and those that hold mail had an owner before;
    `quota` is the service's, for accounts that don't tell theirs. The same accounts make the same
    choice, in whatever order."""
    unconfigured = [each for each in accounts if each.state is AccountState.PLACEHOLDER]
    others = {folded(each) for each in reserved}
    own = [each for each in unconfigured if folded(each.address) not in others]
    free = [each for each in own if not is_filled(each)]
    if own and not free:
        said = ", ".join(printable(each.address, 100) for each in own[:3])
        return Picked(None, 0, (finding(Obstacle("PLACEHOLDER_FILLED", said)),))
    if not free:
        code = "PLACEHOLDER_RESERVED" if unconfigured else "NO_FREE_ACCOUNT"
        said = f"{len(unconfigured)} unconfigured, all of them reserved" if unconfigured else ""
        return Picked(None, 0, (finding(Obstacle(code, said)),))
    rooms = [(each.quota if each.quota is not None else quota, each.address) for each in free]
    fit = [room for room in rooms if room[0] is None or size is None or room[0] >= size]
    if not fit:
        largest = max(room[0] or 0 for room in rooms)
        said = f"it holds {octets(size or 0)}; the largest free account takes {octets(largest)}"
        return Picked(None, len(free), (finding(Obstacle("QUOTA_TOO_SMALL", said)),))
    room, address = min(fit, key=lambda each: (each[0] is None, each[0] or 0, each[1]))
    untold = () if room is not None and size is not None else (finding(Obstacle("SIZE_UNKNOWN")),)
    return Picked(address, len(free) - 1, untold)


def pick_all(
    accounts: Sequence[Account],
    sizes: Mapping[str, int | None],
    reserved: Collection[str] = (),
    quota: int | None = None,
) -> dict[str, Picked]:
    """One for each of the addresses in `sizes`, no two the same; the largest choose first, so that
    no small mailbox takes the only account that a large one fits into."""
    picked: dict[str, Picked] = {}
    gone = list(reserved)
    for address in sorted(sizes, key=lambda each: (sizes[each] is None, -(sizes[each] or 0), each)):
        picked[address] = pick(accounts, sizes[address], gone, quota)
        if found := picked[address].placeholder:
            gone.append(found)
    return {address: picked[address] for address in sizes}
