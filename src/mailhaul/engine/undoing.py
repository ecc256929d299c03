"""Undoes a pass: removes at the target what it wrote there, message by message.

What the person has touched since stands: a message whose flags are not as mailhaul left them, or
that is no longer where it was put. Flags that the pass changed and folders that it made stay. A
later pass would carry the messages again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mailhaul.core.errors import CursorExpired, FolderFailed
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.message import SYSTEM_FLAGS, Flags, Key, folded
from mailhaul.core.store import Target
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.outcomes import Side
from mailhaul.engine.ownership import owned
from mailhaul.engine.sides import blamed, closing
from mailhaul.engine.visit import id_of


@dataclass(frozen=True, slots=True)
class Undone:
    """One folder is through, by its target path. `touched` messages were left because the person
    has changed them, or because others lie under their numbers; `gone` ones weren't there any more.
    `error` says why the folder was left as it is, else empty."""

    folder: FolderPath
    removed: int = 0
    touched: int = 0
    gone: int = 0
    error: str = ""


async def undo(target: Target, ledger: Ledger, number: int, reason: str) -> AsyncIterator[Undone]:
    """Undoes that pass, telling of each folder in which it wrote anything.

    `reason` is what the ledger says of the messages afterwards. Killed and begun again it goes on.
    Raises `Closed` and `RetryLater` as the target does; opens it and leaves it open.
    """
    await target.open()
    async with blamed(Side.TARGET):
        there = {folder.path: folder for folder in await target.folders()}
    for row in ledger.folders():
        written = ledger.written_by(row, number)
        if not written:
            continue
        folder = there.get(row.target)
        if folder is None:
            yield Undone(row.target, gone=len(written))
            continue
        try:
            yield await _folder(target, ledger, row, folder, written, reason)
        except CursorExpired:
            text = "it was renumbered since: nothing there can be told to be ours"
            yield Undone(row.target, error=f"{shown(row.target)}: {text}")
        except FolderFailed as error:
            yield Undone(row.target, error=f"{shown(row.target)}: {error}")


async def _folder(
    target: Target,
    ledger: Ledger,
    row: FolderRow,
    folder: Folder,
    written: list[MessageRow],
    reason: str,
) -> Undone:
    now = await _flags_of(target, folder, row)
    ours: list[MessageRow] = []
    touched = gone = 0
    keywords = target.capabilities.keeps_keywords
    for each in written:
        flags = now.get(_key_of(each))
        if flags is None:
            gone += 1
        elif _compared(flags, keywords) != _compared(each.flags, keywords):
            touched += 1
        else:
            ours.append(each)
    found = await owned(target, folder, ours)
    if found.ours:
        async with blamed(Side.TARGET):
            await target.remove(folder, [_key_of(each) for each in found.ours])
        ledger.undo((id_of(each) for each in found.ours), reason)
        ledger.commit()
    return Undone(row.target, len(found.ours), touched + len(found.strange), gone + len(found.gone))


async def _flags_of(target: Target, folder: Folder, row: FolderRow) -> dict[Key, Flags]:
    """What is there now. Raises `CursorExpired` when keys don't mean what they meant."""
    if row.target_anchor is None:
        raise CursorExpired("it is not known in whose numbering the rows are")
    async with closing(Side.TARGET, target.changes(folder, row.target_anchor)) as pages:
        async for _ in pages:
            pass
    flags: dict[Key, Flags] = {}
    async with closing(Side.TARGET, target.changes(folder, None)) as pages:
        async for page in pages:
            flags.update((entry.key, entry.flags) for entry in page.entries)
    return flags


def _key_of(row: MessageRow) -> Key:
    """Where a row that was written to the target is there."""
    assert row.target_key is not None
    return row.target_key


def _compared(flags: Flags, keywords: bool) -> Flags:
    known = folded(flags)
    return known if keywords else known & SYSTEM_FLAGS.keys()
