"""Whether anything of a plan goes on by itself, or everything that is left waits for people."""

from sqlalchemy import Connection, func, or_, select

from mailhaul.db import tables
from mailhaul.journey.account_rows import at_work, due_moves
from mailhaul.journey.canary_wants import expected_soon
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.gates import admissible, going
from mailhaul.journey.plans import PlanState, plan_row
from mailhaul.journey.states import State

_BY_ITSELF = (
    State.PLANNED,
    State.READY,
    State.COPYING,
    State.FINAL,
    State.SWEEPING,
    State.VERIFYING,
    State.RETURNING,
    State.UNDOING,
)
_FOR_PEOPLE = (State.SYNCED, State.WAITING)
"""Deltas and looks for new credentials go on for as long as people take: nobody waits for them."""

AT_ONCE = 1000


def goes_on(connection: Connection, number: int, at: float) -> bool:
    """Whether a worker still brings that plan on; false too for one that has ended or is paused."""
    plan = plan_row(connection, number)
    table = tables.mailbox
    mine = table.c.plan_id == number
    states = [each.value for each in _BY_ITSELF]
    people = [each.value for each in _FOR_PEOPLE]
    if plan.state is not PlanState.RUNNING:
        states, people = [State.UNDOING.value], []
    here = connection.execute(
        select(func.count()).where(
            mine,
            table.c.due_at.is_not(None),
            or_(table.c.state.in_(states), table.c.state.in_(people) & (table.c.due_at <= at)),
        )
    ).scalar_one()
    if plan.state is not PlanState.COMPLETED and plan.plan.dns is not None:
        # Whoever writes the records by hand is waited for: mailboxes stand before them. A look is
        # made when it is due, and not waited for.
        domain = tables.domain
        moving = domain.c.state == DomainState.RETURNING.value
        if plan.state is PlanState.RUNNING and plan.started_at is not None:
            moving |= domain.c.state == DomainState.SWITCHING.value
            moving |= domain.c.due_at <= at
        here += connection.execute(
            select(func.count()).where(domain.c.plan_id == number, moving)
        ).scalar_one()
    if here or at_work(connection, number):
        return True
    if plan.state is not PlanState.RUNNING:
        return False
    if any(row.plan == number for row in due_moves(connection, at, AT_ONCE)):
        return True
    if expected_soon(connection, plan, at):
        return True
    return any(row.plan == number for row in (*admissible(connection), *going(connection)))
