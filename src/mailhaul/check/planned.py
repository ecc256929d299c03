"""The check as a plan asks for it: its folders, its limits. The command line and journeys both
come through here, so that they say the same."""

from collections.abc import Callable, Sequence

from mailhaul.check.checked import Checked
from mailhaul.check.mailbox import check_mailbox
from mailhaul.core.folder_text import folder_path
from mailhaul.core.store import Source, Target
from mailhaul.engine.outcomes import Options
from mailhaul.plan.model import Plan
from mailhaul.plan.presets import Side, budget_of
from mailhaul.providers.obstacles import Obstacles

USUAL_PLACES = 8
"""Mailboxes looked at beside each other where the plan sets no limit."""


def options_of(plan: Plan) -> Options:
    """What a pass of the plan carries, as far as a check needs it."""
    carry = plan.carry
    since = carry.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=plan.zone)
    return Options(
        folders=carry.folders,
        exclude=carry.exclude,
        maps={folder_path(source): folder_path(target) for source, target in carry.map.items()},
        since=since,
    )


async def check_planned(
    plan: Plan,
    source: Source,
    target: Target,
    *,
    now: Callable[[], float],
    probe: bool = False,
    obstacles: Sequence[Obstacles] = (),
) -> Checked:
    """`check_mailbox` for one pair of the plan, under its limits."""
    return await check_mailbox(
        source,
        target,
        options_of(plan),
        probe=probe,
        now=now,
        obstacles=obstacles,
        source_budget=budget_of(plan.source, Side.SOURCE),
        target_budget=budget_of(plan.target, Side.TARGET),
    )


def places(plan: Plan) -> int:
    """How many mailboxes may be looked at at the same time: each takes one connection a side."""
    found = [
        budget.connections
        for system, side in ((plan.source, Side.SOURCE), (plan.target, Side.TARGET))
        if (budget := budget_of(system, side)).connections is not None
    ]
    return max(1, min([USUAL_PLACES, *found]))
