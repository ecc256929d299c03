"""The steps by which one account goes from one service to another, as values, in order.

The new path, for one address at two services of one hoster: what stands in the way at the source
goes, the source is renamed, a guard takes mail for the old address meanwhile, the address is
configured at the target, the guard goes, aliases change sides one by one, and what is carried over
is put up. The legacy path: what stands in the way goes, and the provider does the rest. The create
path leaves the source as it is. Every step is undone by its inverse, in reverse order, up to a
hand-over: nothing takes that back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from mailhaul.core.finding import Severity
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    HandOver,
    Remove,
    Rename,
    SetMode,
    inverse,
    verb_of_extra,
)
from mailhaul.providers.actions_text import told, told_extra
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.extras import Alias, Extra, Filter, Group, Remark
from mailhaul.providers.obstacles import KNOWN, standing
from mailhaul.providers.paths import Path
from mailhaul.providers.service import HostedDomain, Mode, Service, Verb


class On(StrEnum):
    """Whose provider does it."""

    SOURCE = "source"
    TARGET = "target"


class Part(StrEnum):
    """What a step is for. The address is nowhere from the end of RENAME to that of ARRIVE."""

    CLEAR = "clear the way"
    RENAME = "rename"
    GUARD = "guard"
    ARRIVE = "make the address at the target"
    UNGUARD = "take the guard away"
    FOLLOW = "carry what stands beside it"
    HAND_OVER = "hand over"


class Needed(StrEnum):
    """The secret that is given with a step."""

    NOTHING = "nothing"
    NEW_PASSWORD = "the new account's password"  # noqa: S105 what is asked for
    SOURCE_PASSWORD = "the source account's password"  # noqa: S105 what is asked for


class ExtrasRule(StrEnum):
    """What becomes of what stands beside an account. REFUSE: the account isn't moved while
    something stands in the way. CARRY: removed at the source, put up at the target. REMOVE: removed
    at the source and listed."""

    REFUSE = "refuse"
    CARRY = "carry"
    REMOVE = "remove"


class Guard(StrEnum):
    """What takes mail while the address is nowhere."""

    AUTO = "auto"
    ALIAS = "alias"
    RELAY = "relay"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `words` say it for people. `shared`: it is about the whole domain, holds for all
    accounts that move, and isn't taken back with one of them."""

    on: On
    part: Part
    action: Action
    needed: Needed = Needed.NOTHING
    shared: bool = False

    @property
    def words(self) -> str:
        return f"{told(self.action)}, at the {self.on.value}"

    @property
    def undoable(self) -> bool:
        return inverse(self.action) is not None


@dataclass(frozen=True, slots=True)
class Move:
    """One account's move. `temporary` is needed by the new path, `placeholder` by the legacy path
    and wherever the target configures placeholders; `extras` are what stands beside the account at
    the source; `domain` is the address's domain at the source and `relay` the host that a relay
    guard sends to."""

    address: str
    name: str = ""
    quota: int | None = None
    temporary: str = ""
    placeholder: str = ""
    extras: tuple[Extra, ...] = ()
    rule: ExtrasRule = ExtrasRule.REFUSE
    guard: Guard = Guard.AUTO
    domain: HostedDomain | None = None
    relay: str = ""


def steps(path: Path, move: Move, source: Service | None, target: Service) -> tuple[Step, ...]:
    """The steps in order; none where there is nothing to do. `source` is needed by every path but
    create and none, and raises `AssertionError` without; the same values make the same steps."""
    match path:
        case Path.NEW:
            assert source is not None
            assert move.temporary
            return tuple(_new(move, source, target))
        case Path.LEGACY:
            assert move.placeholder
            return tuple(_legacy(move, source, target))
        case Path.CREATE:
            return (_arrive(move), *_put_up(move, target, _carried(move, target)))
        case Path.NONE:
            return ()


def undoing(step: Step) -> Step | None:
    """The step that takes it back, None where nothing does or where it is shared."""
    back = inverse(step.action)
    if back is None or step.shared:
        return None
    return replace(step, action=back, needed=Needed.NOTHING)


def guard_of(move: Move, source: Service) -> Guard:
    """Which guard there will be: an alias where the provider has them, else a relay where it has
    that and the domain and a host for it are known."""
    alias = Verb.ALIASES in source.verbs
    relay = Verb.RELAY in source.verbs and move.domain is not None and bool(move.relay)
    if alias and move.guard in (Guard.AUTO, Guard.ALIAS):
        return Guard.ALIAS
    if relay and move.guard in (Guard.AUTO, Guard.RELAY):
        return Guard.RELAY
    return Guard.NONE


def left_behind(path: Path, move: Move, target: Service) -> tuple[Remark, ...]:
    """What won't be at the target by itself, each with its reason: for the list that a person works
    by. Groups are listed, since they are nobody's own."""
    if path is Path.NONE:
        return ()
    carried = _carried(move, target)
    return tuple(
        Remark(move.address, told_extra(each), _why(each, move, target))
        for each in move.extras
        if each not in carried
    )


def _new(move: Move, source: Service, target: Service) -> Iterator[Step]:
    carried = _carried(move, target)
    guard = guard_of(move, source)
    yield from _clear(move)
    if guard is Guard.RELAY and move.domain is not None:
        yield from _relay(move.domain, move.relay)
    yield Step(On.SOURCE, Part.RENAME, Rename(move.address, move.temporary))
    standing_in = Alias(move.temporary, move.address)
    if guard is Guard.ALIAS:
        yield Step(On.SOURCE, Part.GUARD, Add(standing_in))
    yield _arrive(move)
    if guard is Guard.ALIAS:
        yield Step(On.SOURCE, Part.UNGUARD, Remove(standing_in))
    for alias in (each for each in move.extras if isinstance(each, Alias)):
        # Mail to it arrives in the renamed account up to the moment when it changes sides.
        if move.rule is not ExtrasRule.REFUSE:
            yield Step(On.SOURCE, Part.FOLLOW, Remove(Alias(move.temporary, alias.alias)))
        if alias in carried:
            yield Step(On.TARGET, Part.FOLLOW, Add(alias))
    yield from _put_up(move, target, [each for each in carried if not isinstance(each, Alias)])


def _legacy(move: Move, source: Service | None, target: Service) -> Iterator[Step]:
    yield from _clear(move)
    yield Step(
        On.SOURCE,
        Part.HAND_OVER,
        HandOver(move.address, target.name, move.placeholder),
        Needed.SOURCE_PASSWORD,
    )
    yield from _put_up(move, target, _carried(move, target))


def _clear(move: Move) -> Iterator[Step]:
    """What a provider refuses the move for."""
    if move.rule is ExtrasRule.REFUSE:
        return
    for each in move.extras:
        if _stands_in_the_way(each, move.address):
            yield Step(On.SOURCE, Part.CLEAR, Remove(each))


def _stands_in_the_way(extra: Extra, address: str) -> bool:
    """As OVHcloud has it: redirections and auto-replies. A group of that very address is a person's
    business, and blocks."""
    return not isinstance(extra, Group) and any(
        KNOWN[each.code].severity is Severity.BLOCKS for each in standing(address, [extra])
    )


def _relay(domain: HostedDomain, relay: str) -> Iterator[Step]:
    if (domain.mode, domain.relay) != (Mode.NON_AUTHORITATIVE, relay):
        action = SetMode(domain.name, Mode.NON_AUTHORITATIVE, relay, domain.mode, domain.relay)
        yield Step(On.SOURCE, Part.GUARD, action, shared=True)


def _arrive(move: Move) -> Step:
    action: Action = Create(move.address, move.name, move.quota)
    if move.placeholder:
        action = Configure(move.placeholder, move.address, move.name)
    return Step(On.TARGET, Part.ARRIVE, action, Needed.NEW_PASSWORD)


def _put_up(move: Move, target: Service, carried: Iterable[Extra]) -> Iterator[Step]:
    for each in carried:
        yield Step(On.TARGET, Part.FOLLOW, Add(each))


def _carried(move: Move, target: Service) -> list[Extra]:
    return [each for each in move.extras if not _why(each, move, target)]


def _why(extra: Extra, move: Move, target: Service) -> str:
    """Why it isn't carried over; empty: it is."""
    verb = verb_of_extra(extra)
    if verb is None:
        return "can only be listed"
    if isinstance(extra, Group):
        return "groups are made by themselves, not with an account"
    if not same(extra.address, move.address):
        return "stands at another address"
    if move.rule is not ExtrasRule.CARRY:
        return 'the plan doesn\'t carry it; extras = "carry" under [accounts] would'
    if verb not in target.verbs:
        return f"the target can't do {verb.value}"
    if isinstance(extra, Filter) and not extra.script:
        return "the rule can't be said in Sieve"
    if isinstance(extra, Alias) and parts(extra.alias).domain != parts(move.address).domain:
        return "lies in another domain than the account"
    return ""
