"""How the control planes of a plan are reached. The wired way is `wired_providers`."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mailhaul.engine.outcomes import Side
from mailhaul.journey.plans import PlanRow
from mailhaul.plan.model import ProviderSection
from mailhaul.providers.places import asked_at
from mailhaul.providers.provider import Provider


class Providers(Protocol):
    """Opens the providers that plans name."""

    def opened(self, plan: PlanRow, side: Side) -> AbstractAsyncContextManager[Provider]:
        """The provider of that side, closed at the end. Raises `BadInput` where the plan names none
        or one that can't be. Errors that it raises say which side they are about."""
        ...


def section_of(plan: PlanRow, side: Side) -> ProviderSection | None:
    """What the plan says of that side's control plane."""
    system = plan.plan.source if side is Side.SOURCE else plan.plan.target
    return system.provider


def service_name(section: ProviderSection) -> str:
    """By what a service is known over all plans of an installation, however each spells it."""
    place = asked_at(section.kind, section.url, section.values)
    return f"{section.kind} {place} {section.service.casefold()}"
