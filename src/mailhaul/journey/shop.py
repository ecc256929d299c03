"""A worker's shop, from what a command line gives: the installation's directory, its database."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from mailhaul.check.checked import Checked
from mailhaul.check.mailbox import check_mailbox
from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput
from mailhaul.core.store import Source, Target
from mailhaul.core.text import Secret
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.clock import Clock, installed_clock
from mailhaul.journey.dbos_engine import DbosEngine, engine_url
from mailhaul.journey.ledgers import open_back, open_ledger
from mailhaul.journey.means import Examine, Means, Resolve, folder_options
from mailhaul.journey.opening import BudgetedOpener
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.post import WiredPost
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.slots import take_slot
from mailhaul.journey.webhooks import deliver_due
from mailhaul.journey.wired_providers import WiredProviders
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.journey.worker import Shop, Tell
from mailhaul.plan.presets import Side, budget_of
from mailhaul.vault.oauth_tokens import Tokens
from mailhaul.vault.references import fingerprint, resolve
from mailhaul.vault.sealed import Vault
from mailhaul.vault.usual import usual_vault

SALT = "secret salt"
FASTEST = 0.05
"""Seconds: so often at most anybody looks, however fast the clock is wound."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation is. `database` is a PostgreSQL URL, or None for the file in
    `directory`."""

    directory: Path
    database: str | None
    environ: Mapping[str, str]
    learn: Callable[[Secret], None] = lambda secret: None
    warn: Callable[[str], None] = lambda text: None
    tell: Tell = field(default=lambda error: type(error).__name__)


@asynccontextmanager
async def opened_shop(place: Place, database: Database) -> AsyncIterator[Shop]:
    """The shop of a worker on `database`, whose tables are there. Raises `Busy` and `BadInput` when
    there is no slot for it."""
    clock, salt = await database.run(lambda c: (installed_clock(c), salt_of(c)))
    slot = take_slot(place.database, place.directory)
    opener = BudgetedOpener(database, clock, slot.name)
    vault: Vault | None = None
    tokens: Tokens | None = None

    async def resolved(reference: str, directory: Path) -> Credentials:
        nonlocal vault, tokens
        # It may be made while the worker runs: people are told to.
        if vault is None and (vault := usual_vault(place.environ)) is not None:
            tokens = Tokens(vault, learn=place.learn)
        return await resolve(
            reference,
            directory,
            place.environ,
            vault,
            tokens=tokens,
            learn=place.learn,
            warn=place.warn,
        )

    key = _keys(resolved)
    means = Means(
        database=database,
        clock=clock,
        worker=slot.name,
        directory=place.directory,
        resolve=resolved,
        fingerprint=lambda login: fingerprint(login, salt),
        examine=_examining(clock),
        open_ledger=lambda row: open_ledger(database, place.directory, row),
        open_back=lambda row, forward: open_back(database, place.directory, row, forward),
        opener=opener,
        zones=WiredZones(key),
        post=WiredPost(clock),
        providers=WiredProviders(resolved),
        # Under another name, so that a pass and a look never have the same mailbox open.
        aside=BudgetedOpener(database, clock, f"{slot.name} aside"),
    )
    # An hour of a wound clock may be a second: who waits for it looks more often.
    every = min(1.0, max(FASTEST, 30.0 / clock.speed))
    engine = DbosEngine(
        engine_url(place.database, place.directory),
        slot.name,
        speed=clock.speed,
        polling=min(0.25, every),
    )
    try:
        yield Shop(
            means,
            engine,
            slot,
            deliver=lambda: deliver_due(database, clock, key),
            tell=place.tell,
            reconcile_every=every,
        )
    finally:
        await opener.close()
        slot.release()


def zones_of(
    environ: Mapping[str, str],
    *,
    learn: Callable[[Secret], None],
    warn: Callable[[str], None],
) -> WiredZones:
    """DNS for a command that looks at it by itself."""
    vault = usual_vault(environ)

    async def resolved(reference: str, directory: Path) -> Credentials:
        return await resolve(reference, directory, environ, vault, learn=learn, warn=warn)

    return WiredZones(_keys(resolved))


def _keys(resolved: Resolve) -> Callable[[str, Path], Awaitable[Secret]]:
    async def key(reference: str, directory: Path) -> Secret:
        found = await resolved(reference, directory)
        if found.password is None:
            raise BadInput("such a key is no token; write file:, env:, keyring: or vault:")
        return found.password

    return key


def salt_of(connection: Connection) -> bytes:
    """The installation's salt for fingerprints of secrets; made at the first asking, by whichever
    worker asks first."""
    table = tables.installation
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = insert(table).values(name=SALT, value=secrets.token_hex(16))
    connection.execute(fresh.on_conflict_do_nothing())
    found = connection.execute(select(table.c.value).where(table.c.name == SALT)).scalar_one()
    return bytes.fromhex(found)


def _examining(
    clock: Clock,
) -> Examine:
    async def examine(source: Source, target: Target, plan: PlanRow, row: MailboxRow) -> Checked:
        return await check_mailbox(
            source,
            target,
            folder_options(plan),
            now=clock.now,
            source_budget=budget_of(plan.plan.source, Side.SOURCE),
            target_budget=budget_of(plan.plan.target, Side.TARGET),
        )

    return examine
