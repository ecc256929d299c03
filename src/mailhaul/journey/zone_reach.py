"""What orders about zones need of DNS beside looking and switching: the zone's writer, and whom to
ask whether a change has come there."""

from dataclasses import dataclass
from typing import Protocol

from mailhaul.db.database import Database
from mailhaul.dns.propagation import Watched
from mailhaul.dns.resolver import Network
from mailhaul.dns.zone import ZoneWriter
from mailhaul.journey.clock import Clock
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.zones import Zones


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom to ask about a domain, and by what. `own` reads the zone as its own servers show it,
    without any key."""

    network: Network
    asked: tuple[Watched, ...]
    own: ZoneWriter


class Reach(Zones, Protocol):
    """DNS for whoever gives orders about zones."""

    async def writers(self, plan: PlanRow, row: DomainRow) -> tuple[ZoneWriter, ...]:
        """The domain's zone and the right to change it, or a person's. Raises as `switch` does."""

    async def ears(self, plan: PlanRow, row: DomainRow) -> Ears:
        """Whom to ask. Raises nothing that a server could cause."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What orders about zones are carried out with. It has all that a domain's run needs, too: what
    a worker would do can be done here."""

    database: Database
    clock: Clock
    zones: Reach
