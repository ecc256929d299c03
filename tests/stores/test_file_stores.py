"""What Maildirs, mbox files and .eml files have in common beyond the contract."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailhaul.core.folder import INBOX_PATH, Cursor
from mailhaul.core.store import Target
from mailhaul.stores.eml import EmlTarget
from mailhaul.stores.maildir import MaildirTarget
from mailhaul.stores.mbox import MboxTarget
from tests.stores.awkward import mail
from tests.stores.conformance import keys_of, listed_changes, put

TARGETS: dict[str, Callable[[Path], Target]] = {
    "maildir": MaildirTarget,
    "mbox": MboxTarget,
    "eml": EmlTarget,
}


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
    target = MboxTarget(tmp_path)
    await target.open()
    [inbox] = await target.folders()
    seen = await listed_changes(target, inbox)
    assert target.past(seen.cursor, ()) == seen.cursor
    await target.close()
