"""New messages from the source to the target, each recorded as it arrives."""

from collections.abc import Sequence
from pathlib import Path

from mailhaul.core.identity import HEADER_LIMIT, subject_of
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended, Refused
from mailhaul.engine.cargo import Cargo
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.outcomes import Carried, Fate, Listed, Side
from mailhaul.engine.sides import closing
from mailhaul.engine.visit import Visit, note, settle

ROWS_A_COMMIT = 250
"""So many messages are lost to the ledger at most when the process is killed; they are found again
at the target by looking."""


async def send(visit: Visit, entries: Sequence[Entry]) -> None:
    """Carries them. Their keys are written down before the first octet leaves, and a row as soon as
    a message has arrived; what the target refuses is saved beside the state."""
    tell, path, target = visit.carrier.tell, visit.source.path, visit.carrier.target
    tell(Listed(path, len(entries), sum(entry.size or 0 for entry in entries)))
    visit.ledger.intend(visit.row, entries, visit.place, visit.attempt)
    cargo = Cargo(visit.carrier.source, visit.source, entries, read=visit.told_all)
    done: list[MessageRow] = []
    refused: list[Refused] = []

    def record() -> None:
        keys = [row.target_key for row in done if row.target_key is not None]
        tail = visit.row.target_tail
        if tail is not None and keys and not visit.strangers:
            tail = target.past(tail, keys)
        visit.row = visit.ledger.add(visit.row, done, tail)
        octets = sum(row.size or 0 for row in done)
        visit.carrier.effects.carried += len(done)
        visit.carrier.effects.octets += octets
        tell(Carried(path, len(done), octets))
        done.clear()

    try:
        async with (
            closing(Side.SOURCE, cargo.messages()) as messages,
            closing(Side.TARGET, target.append(visit.target, messages)) as results,
        ):
            async for result in results:
                if isinstance(result, Refused):
                    cargo.refused(result.entry)
                    refused.append(result)
                    continue
                done.append(cargo.row(result))
                if result.lost or result.note:
                    _lossy(visit, result)
                if len(done) >= ROWS_A_COMMIT:
                    record()
    finally:
        if done:
            record()
    for unreadable in cargo.unreadable:
        settle(visit, unreadable.entry, Fate.MISSING, unreadable.reason)
    for each in refused:
        await _refuse(visit, each)
    visit.known = True


def _lossy(visit: Visit, result: Appended) -> None:
    effects = visit.carrier.effects
    for flag in result.lost:
        effects.lost_flags[flag] = effects.lost_flags.get(flag, 0) + 1
    if result.note:
        note(visit, visit.source, f"{result.entry.key}: {result.note}")


async def _refuse(visit: Visit, refused: Refused) -> None:
    """Records it, and saves the message, unless nothing is in it, beside the state."""
    entry, reason = refused.entry, refused.reason
    subject, saved = "", None
    async with closing(Side.SOURCE, visit.carrier.source.fetch(visit.source, [entry])) as messages:
        async for message in messages:
            if isinstance(message, Message):
                subject = subject_of(message.blob.head(HEADER_LIMIT))
                if message.blob.size:
                    saved = _save(visit, message)
                else:
                    reason = f"empty message: {reason}"
                message.blob.close()
    settle(visit, entry, Fate.REFUSED, reason, subject, saved)


def _save(visit: Visit, message: Message) -> Path:
    directory = visit.ledger.directory / "refused"
    directory.mkdir(exist_ok=True, mode=0o700)
    file = directory / f"{visit.row.id:04d}-{message.blob.digest().hex()[:16]}.eml"
    with file.open("wb") as out:
        for chunk in message.blob.chunks():
            out.write(chunk)
    return file
