"""The mailboxes of a plan, each with its own endpoints and references; by wave, in order."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailhaul.core.endpoint import Endpoint
from mailhaul.plan.model import ListedMailbox, Plan
from mailhaul.plan.templates import endpoint_for, filled_reference


@dataclass(frozen=True, slots=True)
class Resolved:
    """One mailbox with everything filled in. The secrets are references, empty where none is
    given. `templates.endpoint_text` writes an endpoint so that it can be read back."""

    address: str
    wave: str
    source: Endpoint
    target: Endpoint
    source_secret: str
    target_secret: str
    line: int


@dataclass(frozen=True, slots=True)
class WaveOf:
    """One wave: its name (empty where the plan has no waves), its cutover, its mailboxes."""

    name: str
    cutover: datetime | None
    mailboxes: tuple[Resolved, ...]


def resolved(plan: Plan, directory: Path = Path()) -> tuple[Resolved, ...]:
    """Every mailbox in the order of the waves, then of the file; relative paths of endpoints count
    from `directory`, the plan's own. `plan` has been accepted by `load_plan`."""
    return tuple(each for wave in waves(plan, directory) for each in wave.mailboxes)


def waves(plan: Plan, directory: Path = Path()) -> tuple[WaveOf, ...]:
    """The waves in the plan's order, each with its mailboxes in the file's order."""
    names = dict.fromkeys([wave.name for wave in plan.waves] or [""])
    members: dict[str, list[Resolved]] = {name: [] for name in names}
    for each in plan.mailboxes:
        members.setdefault(each.wave, []).append(resolve(plan, each, directory))
    return tuple(
        WaveOf(name, plan.cutover_of(name), tuple(found)) for name, found in members.items()
    )


def resolve(plan: Plan, each: ListedMailbox, directory: Path = Path()) -> Resolved:
    """One mailbox. Raises `BadInput` where its address doesn't fit the plan's templates."""
    source, target = plan.source, plan.target
    return Resolved(
        address=each.address,
        wave=each.wave,
        source=endpoint_for(each.source or source.url, each.address, directory),
        target=endpoint_for(each.target or target.url, each.address, directory),
        source_secret=filled_reference(each.source_secret or source.secret, each.address),
        target_secret=filled_reference(each.target_secret or target.secret, each.address),
        line=each.line,
    )
