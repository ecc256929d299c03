"""What Maildirs, mbox files and .eml files have in common beyond the contract."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from mailhaul.core.folder import INBOX_PATH, Cursor
from mailhaul.core.message import Message
from mailhaul.core.store import Source, Target
from mailhaul.stores.eml import EmlSource
from mailhaul.stores.eml_target import eml_target
from mailhaul.stores.file_messages import BATCH_MESSAGES
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_target import maildir_target
from mailhaul.stores.mbox import MboxSource
from mailhaul.stores.mbox_target import mbox_target
from tests.stores.awkward import mail
from tests.stores.conformance import keys_of, listed_changes, put

SOURCES: dict[str, Callable[[Path], Source]] = {
    "maildir": MaildirSource,
    "mbox": MboxSource,
    "eml": EmlSource,
}
TARGETS: dict[str, Callable[[Path], Target]] = {
    "maildir": maildir_target,
    "mbox": mbox_target,
    "eml": eml_target,
}
MANY = 5 * BATCH_MESSAGES


async def turns_during(deed: Coroutine[None, None, object]) -> int:
    """How often another task could run meanwhile."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await deed
    ticking.cancel()
    return turns


async def drained(stream: AsyncIterator[object]) -> None:
    async for each in stream:
        if isinstance(each, Message):
            each.blob.close()


@pytest.mark.parametrize("kind", TARGETS)
async def test_others_have_their_turn_with_every_batch(tmp_path: Path, kind: str) -> None:
    target = TARGETS[kind](tmp_path)
    await target.open()
    inbox = await target.create(INBOX_PATH, None)
    messages = [mail(f"n{number}") for number in range(MANY)]
    assert await turns_during(put(target, inbox, *messages)) >= 5
    entries = (await listed_changes(target, inbox)).entries
    keys = [entry.key for entry in entries]
    assert await turns_during(drained(target.changes(inbox, None))) >= 1
    assert await turns_during(drained(target.identify(inbox, keys))) >= 5
    assert await turns_during(drained(target.fetch(inbox, entries))) >= 5
    assert await turns_during(target.remove(inbox, keys[::2])) >= 2
    assert len((await listed_changes(target, inbox)).entries) == MANY // 2
    await target.close()


@pytest.mark.parametrize("kind", ["maildir", "mbox", "eml"])
async def test_others_have_their_turn_while_foreign_mail_is_listed(
    tmp_path: Path, kind: str
) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / "maildir" / part).mkdir(parents=True)
    for name in ("mbox", "eml"):
        (tmp_path / name).mkdir()
    for number in range(MANY):
        (tmp_path / "maildir" / "cur" / f"{number}.M1P1.host:2,").write_bytes(mail(f"n{number}"))
        (tmp_path / "eml" / f"{number}.eml").write_bytes(mail(f"n{number}"))
    line = b"From a@b Mon Jan  1 10:00:00 2024\n"
    (tmp_path / "mbox" / "Inbox").write_bytes((line + b"Subject: x\n\n\n") * MANY)
    source = SOURCES[kind](tmp_path / kind)
    await source.open()
    [inbox] = await source.folders()
    assert await turns_during(drained(source.changes(inbox, None))) >= 5
    assert len((await listed_changes(source, inbox)).entries) == MANY
    await source.close()


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "place", ["", "C", "T", "C x", "T x y z", "F 1 2 3", "F 1", "C x 1", "T x 1 2", "gibberish"]
)
async def test_no_place_makes_moving_past_fail(tmp_path: Path, kind: str, place: str) -> None:
    target = TARGETS[kind](tmp_path)
    await target.open()
    inbox = await target.create(INBOX_PATH, None)
    ours = keys_of(await put(target, inbox, mail("ours")))
    assert target.past(Cursor(place), ours) == place
    await target.close()


async def test_an_mbox_of_another_program_has_places_that_can_be_moved_past(
    tmp_path: Path,
) -> None:
    (tmp_path / "Inbox").write_text("From a@b Mon Jan  1 10:00:00 2024\nSubject: x\n\n\n")
    target = mbox_target(tmp_path)
    await target.open()
    [inbox] = await target.folders()
    seen = await listed_changes(target, inbox)
    assert target.past(seen.cursor, ()) == seen.cursor
    await target.close()
