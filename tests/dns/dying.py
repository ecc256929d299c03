"""A process that switches two zones and is killed at a chosen moment: `python -m tests.dns.dying`.

Reads from standard input, as JSON: `zones` (zone, address, port, key name, secret of each), the
`snapshot`'s text, the file to `keep` it in, and when to die: `before keeping`, `after keeping`,
`after 1`, `after 2` (zones written, before the answer is read).
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.snapshot import Snapshot, from_text, to_text
from mailhaul.dns.switch import apply
from mailhaul.dns.zone import Edit, Held, Key

MOMENTS = ("before keeping", "after keeping", "after 1", "after 2")


class Dying:
    """A writer after whose change the process is killed, if it is the `last` one's."""

    by_person = False

    def __init__(self, writer: UpdatedZone, last: bool) -> None:
        self._writer = writer
        self._last = last

    @property
    def zone(self) -> str:
        return self._writer.zone

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        return await self._writer.read(keys)

    async def change(self, edits: Sequence[Edit]) -> None:
        await self._writer.change(edits)
        if self._last:
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    told = json.loads(sys.stdin.read())
    moment = told["moment"]
    writers = [
        Dying(
            UpdatedZone(
                each["zone"],
                Server(each["address"], each["port"]),
                TsigKey(each["key"], Secret(each["secret"])),
                allowance(["127.0.0.0/8"]),
            ),
            moment == f"after {number}",
        )
        for number, each in enumerate(told["zones"], 1)
    ]

    async def keep(snapshot: Snapshot) -> None:
        if moment == "before keeping":
            die()
        path = Path(told["keep"])
        path.write_text(to_text(snapshot))  # noqa: ASYNC240
        if moment == "after keeping":
            die()

    await apply(writers, from_text(told["snapshot"]), keep)


if __name__ == "__main__":
    asyncio.run(main())
