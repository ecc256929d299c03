"""Which of a folder's messages a pass is about, by received date and place; the rest waits."""

from mailhaul.core.message import Entry
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Options

NOT_NEWEST = "not among the newest of its folder, which came first"


def left_out(options: Options, entry: Entry, behind: int | None) -> str:
    """Why a message is skipped in this pass; empty when it isn't.

    `behind` is how many messages of its folder come after it, None when that isn't known: such a
    message is carried.
    """
    received = entry.received
    if received is not None:
        if options.since is not None and received < options.since:
            return f"received before {options.since:%Y-%m-%d}"
        if options.before is not None and received >= options.before:
            return f"received on {options.before:%Y-%m-%d} or later, which comes later"
    if options.newest is not None and behind is not None and behind >= options.newest:
        return NOT_NEWEST
    return ""


def reconsidered(options: Options, row: MessageRow) -> bool:
    """Whether a message that was skipped before may be carried by this pass."""
    if options.newest is not None or options.once:
        return False
    if row.received is None:
        return True
    since, before = options.since, options.before
    return (since is None or row.received >= since.timestamp()) and (
        before is None or row.received < before.timestamp()
    )
