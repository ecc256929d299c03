"""Which path accounts take from one service to another, and by which evidence.

legacy  the provider itself carries each account over (OVHcloud's `migrate`); nothing takes it back
new     the source is renamed, its address configured at the target, and the mail carried by us
create  the address is made at the target while it stays at the source: another hoster's, mostly
none    the accounts are there already, or people make them
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.service import Generation, Service, Verb


class Path(StrEnum):
    LEGACY = "legacy"
    NEW = "new"
    CREATE = "create"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Route:
    """The path, None where only a person can say; `evidence` in printable lines. The findings
    block where it can't be gone."""

    path: Path | None
    evidence: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def route(source: Service | None, target: Service | None, wanted: Path | None = None) -> Route:
    """The path from what both services say of themselves; `wanted` is what the plan says, which is
    only looked at for whether it is possible. None: no provider tells of that side."""
    evidence = (*_evidence("source", source), *_evidence("target", target))
    if wanted is not None:
        return Route(
            wanted, (*evidence, f"the plan says “{wanted}”"), _gaps(wanted, source, target)
        )
    path, why = _found(source, target)
    if path is None:
        return Route(None, evidence, (finding(Obstacle("PATH_UNKNOWN", why)),))
    return Route(path, (*evidence, why), _gaps(path, source, target))


def _found(source: Service | None, target: Service | None) -> tuple[Path | None, str]:
    if target is None:
        return Path.NONE, "no provider is asked for the target's accounts"
    makes = target.verbs & {Verb.CREATE, Verb.CONFIGURE}
    if source is None or _hoster(source) != _hoster(target):
        if makes:
            return Path.CREATE, "an address can be at both hosters at once"
        return Path.NONE, "the target's provider makes no accounts"
    match source.generation:
        case Generation.LEGACY:
            return Path.LEGACY, "the source is of the legacy generation, at the target's hoster"
        case Generation.NEW:
            return Path.NEW, "the source is of the new generation, at the target's hoster"
        case None:
            return None, (
                f"{printable(source.name, 80)} and {printable(target.name, 80)} are at hosters of "
                "one kind; whether an address can be at both at once isn't said"
            )


def _hoster(service: Service) -> str:
    """Kinds of one hoster share their first word: ovh-mxplan, ovh-exchange."""
    return service.kind.partition("-")[0]


def _gaps(path: Path, source: Service | None, target: Service | None) -> tuple[Finding, ...]:
    """What the path needs and the services haven't got."""
    return tuple(
        finding(Obstacle("PATH_IMPOSSIBLE", f"the {side} can't {_one_of(verbs)}"))
        for side, verbs in _NEEDS[path]
        if not verbs & _verbs(source if side == "source" else target)
    )


_MAKES = frozenset({Verb.CREATE, Verb.CONFIGURE})
_NEEDS = {
    Path.LEGACY: (("source", frozenset({Verb.HAND_OVER})),),
    Path.NEW: (("source", frozenset({Verb.RENAME})), ("target", _MAKES)),
    Path.CREATE: (("target", _MAKES),),
    Path.NONE: (),
}
"""One verb of each set is needed."""


def _verbs(service: Service | None) -> frozenset[Verb]:
    return frozenset() if service is None else service.verbs


def _one_of(verbs: frozenset[Verb]) -> str:
    return " or ".join(sorted(each.value for each in verbs))


def _evidence(side: str, service: Service | None) -> tuple[str, ...]:
    if service is None:
        return ()
    generation = f", {service.generation} generation" if service.generation else ""
    head = f"{service.name} is {service.product}{generation}"
    return tuple(printable(f"{side}: {each}", 200) for each in (head, *service.evidence))
