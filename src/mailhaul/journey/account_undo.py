"""The way back of an account: what is to be taken back, and whose mail would be left behind."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from mailhaul.core.message import Key
from mailhaul.core.store import Source
from mailhaul.core.text import plural
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.account_steps import Planned, StepRow, StepState
from mailhaul.journey.control import Providers
from mailhaul.journey.ledgers import read_ledger
from mailhaul.journey.means import Means, opened_pair
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.providers.actions import Configure, Rename
from mailhaul.providers.actions_text import told
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.paths import Path
from mailhaul.providers.provider import Provider
from mailhaul.providers.saga import Part
from mailhaul.providers.service import AccountState

_UNSURE = (StepState.BEGUN, StepState.BROKEN)
_MAY_STAND = (StepState.DONE, *_UNSURE)


async def backwards(
    providers: Providers, plan: PlanRow, steps: Sequence[StepRow]
) -> list[Planned] | None:
    """The steps that take these back, the last first; None while the provider is at work on one.
    What was begun and doesn't stand needs nothing, and neither does what is a whole domain's."""
    found: list[Planned] = []
    async with AsyncExitStack() as stack:
        opened: dict[Side, Provider] = {}
        for step in reversed(steps):
            if step.action is None or step.inverse is None:
                continue
            if step.state in _UNSURE:
                if step.side not in opened:
                    entered = providers.opened(plan, step.side)
                    opened[step.side] = await stack.enter_async_context(entered)
                held = await holding(opened[step.side], step.action)
                if held is Holding.UNKNOWN:
                    return None
                if held is Holding.ABSENT:
                    continue
                if held is Holding.PARTLY and await _is_none_of_ours(opened[step.side], step):
                    continue
            elif step.state is not StepState.DONE:
                continue
            words = f"{told(step.inverse)}, at the {step.side.value}"
            found.append(Planned(step.side, step.kind, words, step.inverse))
    return found


async def _is_none_of_ours(provider: Provider, step: StepRow) -> bool:
    """Whether what stands of it is somebody else's doing, or nothing that mail comes to: a way back
    from there would be refused, and all that is behind it would wait for a person."""
    match step.action:
        case Rename(address=address):
            return await provider.account(address) is not None
        case Configure(placeholder=placeholder, address=address):
            made = await provider.account(address)
            return made is None or await provider.account(placeholder) is not None
        case _:
            return False


async def has_arrived(
    providers: Providers, plan: PlanRow, address: str, steps: Sequence[StepRow]
) -> bool:
    """Whether the account that these steps have made at the target may hold mail: it takes some
    from the moment on when it has the address, long before its move is through."""
    made = [each for each in steps if each.kind == Part.ARRIVE and each.state in _MAY_STAND]
    if not made:
        return False
    async with providers.opened(plan, Side.TARGET) as provider:
        found = await provider.account(address)
    if found is None or found.state is AccountState.PLACEHOLDER:
        return False
    if found.state is AccountState.BUSY and made[-1].state is not StepState.DONE:
        return False  # it is waited for, and looked at again
    return found.messages != 0


async def in_the_way(
    means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow, cure: str
) -> str:
    """Why the account at the target can't be given up: it holds mail that mailhaul has not carried
    there, nor back, or any at all where it would be deleted; and the cure. Empty where it holds
    none."""
    deleted = row.path == Path.CREATE
    # A pass may have the mailbox open; a look keeps out of its way.
    means = replace(means, opener=means.aside or means.opener)
    async with opened_pair(means, plan, person, rationed=False, back=True) as pair:
        new = pair.source
        await new.open()
        where = (means.database, means.directory, person)
        with read_ledger(*where) as forward, read_ledger(*where, back=True) as back:
            strange = await _strange(new, None if deleted else (forward, back))
    if not strange:
        return ""
    if deleted:
        return (
            f"the new account, which would be deleted, holds {plural(strange, 'message')}; what "
            "mailhaul carried there is taken out by mailhaul cancel --undo"
        )
    return (
        f"{plural(strange, 'message has', 'messages have')} arrived in the new account that the "
        f"old one hasn't got; {cure}"
    )


async def _strange(new: Source, ledgers: tuple[Ledger, Ledger] | None) -> int:
    """How many messages of the new account no ledger knows, of the way there and back; without
    them, how many there are."""
    strange = 0
    home = {} if ledgers is None else {row.source: row for row in ledgers[1].folders()}
    for folder in await new.folders():
        if not folder.selectable:
            continue
        keys: list[Key] = []
        async for page in new.changes(folder, None):
            keys += [each.key for each in page.entries]
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            known: set[Key] = set()
            if ledgers is not None:
                forward, back = ledgers
                known |= forward.written_keys(folder.path, min(some), max(some))
                if (here := home.get(folder.path)) is not None:
                    known |= back.among(here, some).keys()
            strange += len({*some} - known)
    return strange
