"""Which run a mailbox's row asks for."""

from mailhaul.journey.engine import Run
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import PHASES, Phase


def run_of(row: MailboxRow) -> Run | None:
    """The run that the row's state asks for; None when nothing runs in it."""
    phase = PHASES.get(row.state)
    if phase is None:
        return None
    return Run(row.id, row.generation, row.step, phase, partition_of(row.plan, phase))


def partition_of(plan: int, phase: Phase) -> str:
    """Who shares a limit: what moves much mail, what people wait for at a cutover, what only looks
    something up."""
    if phase in (Phase.FINAL, Phase.SWEEP, Phase.RETURN, Phase.UNDO):
        return f"{plan}:switch"
    return f"{plan}:look" if phase is Phase.ANSWER else f"{plan}:carry"
