"""A mailbox pair under test: one pass of the engine inside this process, whatever befalls it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import MailhaulError
from mailhaul.core.text import Secret
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.registry import open_source, open_target
from tests.faults.oracle import Contents, Verdict, compare, read_mailbox
from tests.servers.process import Account, RunningServer

HASTE = 0.3
"""Pauses are shortened to this share. Not to nothing: a server goes on taking in what it received
before a cut, and who looks at once what arrived looks too early."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One side: where it really is. A pass may be sent through a proxy instead."""

    server: RunningServer
    account: Account

    def contents(self) -> Contents:
        """As the oracle reads it, around every proxy."""
        server, account = self.server, self.account
        return read_mailbox(server.host, server.port, account.user, account.password)

    def endpoint(self, port: int | None) -> Endpoint:
        return Endpoint("imap", self.server.host, port or self.server.port, self.account.user)

    @property
    def credentials(self) -> Credentials:
        return Credentials(password=Secret(self.account.password))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pass ended: with `finished`, or with the one sentence of its `error`."""

    finished: Finished | None
    error: str
    waits: int

    @property
    def complete(self) -> bool:
        return self.finished is not None and self.finished.complete


@dataclass(frozen=True, slots=True)
class Pair:
    """Source, target and the directory of their ledger."""

    source: Mailbox
    target: Mailbox
    directory: Path
    options: Options = field(default_factory=Options)

    async def run(
        self,
        *,
        source_port: int | None = None,
        target_port: int | None = None,
        options: Options | None = None,
    ) -> Ended:
        """One pass. What mailhaul foresees ends up in `error`; anything else is raised: a bug."""
        source = open_source(self.source.endpoint(source_port), self.source.credentials)
        target = open_target(self.target.endpoint(target_port), self.target.credentials)
        finished: Finished | None = None
        error = ""
        waited: list[float] = []

        async def soon(seconds: float) -> None:
            waited.append(seconds)
            await asyncio.sleep(min(seconds * HASTE, 1.0))

        try:
            with Ledger.open(self.directory, "a pair under test") as ledger:
                run = run_pass(source, target, ledger, options or self.options, sleep=soon)
                async for event in run:
                    if isinstance(event, Finished):
                        finished = event
        except MailhaulError as foreseen:
            error = f"{type(foreseen).__name__}: {foreseen}"
        finally:
            await source.close()
            await target.close()
        return Ended(finished, error, len(waited))

    def verdict(self) -> Verdict:
        return compare(self.source.contents(), self.target.contents())
