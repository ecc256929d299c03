"""What must hold before an account moves: asked of both services, told as findings with codes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import octets, printable
from mailhaul.providers.addresses import parts
from mailhaul.providers.obstacles import DOMAIN_CODES, KNOWN, Obstacle, finding, standing
from mailhaul.providers.paths import Path
from mailhaul.providers.picking import Picked
from mailhaul.providers.saga import ExtrasRule, Guard, Move, guard_of
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Contacts,
    HostedDomain,
    Service,
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the providers of both sides said, for one move. None and empty: not asked, or not
    there; `account` is the source's, `taken` the target's of that address."""

    source: Service | None
    target: Service
    account: Account | None = None
    taken: Account | None = None
    domains: Sequence[HostedDomain] = ()
    source_contacts: Contacts | None = None
    target_contacts: Contacts | None = None
    picked: Picked | None = None


def before(path: Path, move: Move, sight: Sight) -> tuple[Finding, ...]:
    """Everything in the way of that move, and what should be known; empty for the path `none`."""
    return tuple(map(finding, _told(path, move, sight))) + (
        sight.picked.findings if sight.picked is not None and path is not Path.NONE else ()
    )


def feature_gap(source: Service, target: Service) -> tuple[Finding, ...]:
    """What accounts at the source can hold and those at the target can't."""
    return tuple(map(finding, _gap(source, target)))


def missing_roles(source: Contacts, target: Contacts) -> Iterator[Obstacle]:
    """Which of the four roles whoever asks hasn't got (journey 12)."""
    for side, contacts in (("SOURCE", source), ("TARGET", target)):
        for role, who in (
            ("ADMINISTRATOR", contacts.administrator),
            ("TECHNICAL", contacts.technical),
        ):
            if not who or not contacts.me:
                yield Obstacle("CONTACTS_UNTOLD", f"the {side.lower()}'s {role.lower()} contact")
            elif who.casefold() != contacts.me.casefold():
                said = f"the {side.lower()}'s {role.lower()} contact is {who}, not {contacts.me}"
                yield Obstacle(f"{side}_{role}", printable(said, 200))


def domain_obstacle(domain: str, domains: Sequence[HostedDomain]) -> Obstacle | None:
    """Why nothing can be made in that domain on a service that has these; None where it can."""
    found = next((each for each in domains if each.name.casefold() == domain.casefold()), None)
    shown = printable(domain, 253)
    if found is None:
        return Obstacle("DOMAIN_EMPTY", f"{shown} isn't on the target service")
    code = DOMAIN_CODES.get(found.status)
    return None if code is None else Obstacle(code, f"{shown}: {found.status.value}")


def _told(path: Path, move: Move, sight: Sight) -> Iterator[Obstacle]:
    if path is Path.NONE:
        return
    if sight.source is not None:
        yield from _account(path, move, sight.account)
        yield from _gap(sight.source, sight.target)
        yield from _extras(move)
    if path is Path.LEGACY and sight.source_contacts and sight.target_contacts:
        yield from missing_roles(sight.source_contacts, sight.target_contacts)
    if path is not Path.LEGACY:
        # A provider that carries accounts over by itself may attach the domain too.
        domain = domain_obstacle(parts(move.address).domain, sight.domains)
        if domain is not None:
            yield domain
    if sight.taken is not None:
        yield Obstacle("ADDRESS_TAKEN", f"{printable(sight.taken.address, 200)}, at the target")
    if path is Path.NEW and sight.source and guard_of(move, sight.source) is Guard.NONE:
        yield Obstacle("UNGUARDED", printable(move.address, 200))
    if path is not Path.LEGACY:
        yield from _room(move, sight)


def _account(path: Path, move: Move, account: Account | None) -> Iterator[Obstacle]:
    shown = printable(move.address, 200)
    if account is None:
        yield Obstacle("ACCOUNT_EMPTY", f"{shown}, at the source")
        return
    if code := _STATES.get(account.state):
        yield Obstacle(code, shown)
    if account.access is not None and Access.IMAP not in account.access:
        yield Obstacle("IMAP_OFF", shown)


_STATES = {
    AccountState.PLACEHOLDER: "ACCOUNT_UNCONFIGURED",
    AccountState.LOCKED: "ACCOUNT_LOCKED",
    AccountState.BUSY: "ACCOUNT_INPROGRESS",
}


def _extras(move: Move) -> Iterator[Obstacle]:
    """What the steps don't take out of the way themselves."""
    for each in standing(move.address, move.extras):
        blocks = KNOWN[each.code].severity is Severity.BLOCKS
        if not blocks or move.rule is ExtrasRule.REFUSE or each.code == "MAILINGLIST_EXIST":
            yield each


def _gap(source: Service, target: Service) -> Iterator[Obstacle]:
    if gone := sorted(each.value for each in source.contents - target.contents):
        said = f"{target.product} has no {', '.join(gone)}"
        yield Obstacle("FEATURE_GAP", printable(said, 200))


def _room(move: Move, sight: Sight) -> Iterator[Obstacle]:
    """Whether an account can be made that holds it; for placeholders, picking has told."""
    if move.placeholder or sight.picked is not None:
        return
    if sight.target.free is not None and sight.target.free < 1:
        yield Obstacle("NO_FREE_ACCOUNT", printable(sight.target.name, 100))
    used = sight.account.used if sight.account else None
    quota = sight.target.quota if move.quota is None else move.quota
    if used is not None and quota is not None and used > quota:
        yield Obstacle("QUOTA_TOO_SMALL", f"{octets(used)} don't fit into {octets(quota)}")
