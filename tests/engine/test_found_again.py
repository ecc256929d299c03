"""What a killed run left at the target is known as exactly as what any other run carried."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.message import Entry
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Fate, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox

LETTERS = [f"Message-ID: <{name}@x>\r\n\r\n{name}\r\n".encode() for name in ("one", "two", "three")]


async def a_pass(source: MemoryMailbox, target: MemoryMailbox, directory: Path) -> None:
    with Ledger.open(directory, "pair") as ledger:
        ledger.quiet = 60.0
        async for _ in run_pass(MemorySource(source), MemoryTarget(target), ledger, Options()):
            pass


def forget(directory: Path, *, intended: bool) -> None:
    """As if the run had been killed after the last octet and before the first commit of a row."""
    with Ledger.open(directory, "pair") as ledger:
        (folder,) = ledger.folders()
        rows = list(ledger.rows(folder))
        ledger.forget(row.id for row in rows if row.id is not None)
        ledger.move(
            replace(
                folder, source_state=None, source_cursor=None, target_tail=None, target_seen=None
            )
        )
        if intended:
            keys = [row.source_key for row in rows if row.source_key is not None]
            ledger.intend(folder, [Entry(key) for key in keys])
        ledger.commit()


@pytest.mark.parametrize(
    ("intended", "fate", "digests"),
    [
        (True, Fate.COPIED, [hashlib.sha256(letter).digest() for letter in LETTERS]),
        # Somebody else's copies: nobody reads thousands of them for the sake of a hash.
        (False, Fate.ADOPTED, [None, None, None]),
    ],
)
async def test_what_is_found_again_has_its_digest(
    intended: bool, fate: Fate, digests: list[bytes | None], tmp_path: Path
) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    for letter in LETTERS:
        source.deliver(letter, INBOX_PATH)
    await a_pass(source, target, tmp_path)
    forget(tmp_path, intended=intended)
    await a_pass(source, target, tmp_path)
    assert len(target.messages(INBOX_PATH)) == len(LETTERS)
    with Ledger.open(tmp_path, "pair") as ledger:
        (folder,) = ledger.folders()
        rows = list(ledger.rows(folder))
    assert [(row.fate, row.digest) for row in rows] == [(fate, digest) for digest in digests]
