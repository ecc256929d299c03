"""The check at the end of the wizard, at this very moment: obstacles, places, and whether the
passwords that the move needs are there and open the accounts. Nothing is changed by it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import Installation
from mailhaul.cli.provider_desk import close, opened
from mailhaul.cli.stopping import Stop, closing, run
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.endpoint import Credentials, parse_endpoint
from mailhaul.core.errors import Closed, ClosedReason, MailhaulError
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import Secret, printable
from mailhaul.db import tables
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.control import service_name
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, mailbox
from mailhaul.providers.addresses import folded
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from mailhaul.providers.paths import Path
from mailhaul.providers.prospect import Rules, outlook
from mailhaul.providers.provider import Provider
from mailhaul.providers.saga import ExtrasRule, Guard
from mailhaul.providers.service import AccountState
from mailhaul.stores.registry import open_source
from mailhaul.vault.references import Kind, parse_reference, resolve
from mailhaul.vault.usual import usual_vault

AT_ONCE = 4
FAREWELL = "interrupted; nothing was begun"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Places:
    """What is left at the target: unconfigured accounts beside all that are reserved, or accounts
    that can be made; None where nobody counts them. `why` it isn't known."""

    left: int | None
    fresh: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One account as it is at this moment."""

    address: str
    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        return any(each.severity is Severity.BLOCKS for each in self.findings)


def places_left(surroundings: Surroundings, home: Installation, plan: PlanRow) -> Places:
    """How many places remain once all that are reserved are taken."""
    section = plan.plan.target.provider
    if section is None:
        return Places(None)
    reserved = _reserved(home, service_name(section))

    async def look() -> Places:
        provider = opened(surroundings, section, plan.directory)
        try:
            service = await provider.service()
            spare = [
                each.address
                for each in await provider.accounts()
                if each.state is AccountState.PLACEHOLDER
            ]
        finally:
            await close(provider)
        if not spare:
            return Places(service.free, service.fresh)
        return Places(sum(folded(each) not in reserved for each in spare), service.fresh)

    try:
        return _run(surroundings, look)
    except MailhaulError as error:
        return Places(None, why=printable(str(error), 300))


def checked(
    surroundings: Surroundings,
    home: Installation,
    plan: PlanRow,
    going: Sequence[MoveRow],
) -> list[Checked]:
    """All that stands in the way of these now. Raises what the control planes raise."""
    with home.database.read() as connection:
        people = {row.id: mailbox(connection, row.mailbox) for row in going}
    section = plan.plan.target.provider
    mine = {folded(row.placeholder) for row in going if row.placeholder}
    reserved = _reserved(home, service_name(section)) - mine if section else frozenset()
    return _run(surroundings, lambda: _checked(surroundings, plan, going, people, reserved))


def ask_for(surroundings: Surroundings, home: Installation, going: Sequence[MoveRow]) -> None:
    """Asks a person for the sources' passwords that the plan wants from the vault and that aren't
    there, and puts them there, sealed."""
    import getpass  # noqa: PLC0415 - only a person at a terminal needs it

    vault = usual_vault(surroundings.environ)
    if vault is None:
        return
    with home.database.read() as connection:
        people = [mailbox(connection, row.mailbox) for row in going if _needs_login(row)]
    for person in people:
        reference = parse_reference(person.source_secret) if person.source_secret else None
        if reference is None or reference.kind is not Kind.VAULT:
            continue
        if vault.get(reference.place) is not None:
            continue
        shown = printable(person.address, 200)
        answer = getpass.getpass(f"password of {shown} at the source, for the vault: ")
        if answer:
            secret = Secret(answer)
            surroundings.scrubber.learn(secret, person.address)
            vault.set(reference.place, secret)


async def _checked(
    surroundings: Surroundings,
    plan: PlanRow,
    going: Sequence[MoveRow],
    people: dict[int, MailboxRow],
    reserved: frozenset[str],
) -> list[Checked]:
    free = asyncio.Semaphore(AT_ONCE)

    async def password(row: MoveRow) -> list[Finding]:
        if not _needs_login(row):
            return []
        async with free:
            return await _password(surroundings, plan, people[row.id], Path(row.path))

    told, passwords = await asyncio.gather(
        _obstacles(surroundings, plan, going, reserved), asyncio.gather(*map(password, going))
    )
    return [
        Checked(row.address, (*told.get(row.address, ()), *more))
        for row, more in zip(going, passwords, strict=True)
    ]


def _needs_login(row: MoveRow) -> bool:
    """Whether somebody logs in to the source by the account's own password."""
    return row.path in (Path.LEGACY, Path.NEW)


async def _obstacles(
    surroundings: Surroundings, plan: PlanRow, going: Sequence[MoveRow], reserved: Iterable[str]
) -> dict[str, tuple[Finding, ...]]:
    accounts = plan.plan.accounts
    assert accounts is not None
    told: dict[str, tuple[Finding, ...]] = {}
    async with AsyncExitStack() as stack:
        sides: list[Provider | None] = []
        for section in (plan.plan.source.provider, plan.plan.target.provider):
            provider = None
            if section is not None:
                provider = opened(surroundings, section, plan.directory)
                stack.push_async_callback(close, provider)
            sides.append(provider)
        source, target = sides
        for path in dict.fromkeys(row.path for row in going):
            rules = Rules(
                Path(path),
                accounts.temporary,
                ExtrasRule(accounts.extras.value),
                Guard(accounts.guard.value),
                frozenset(reserved),
            )
            addresses = [row.address for row in going if row.path == path]
            found = await outlook(source, target, addresses, rules)
            told |= {each.move.address: each.findings for each in found.prospects}
    return told


async def _password(
    surroundings: Surroundings, plan: PlanRow, person: MailboxRow, path: Path
) -> list[Finding]:
    """Whether the source's password is there, fit, and opens the account. It is tried once."""
    endpoint = parse_endpoint(person.source)
    shown = printable(person.address, 200)
    if endpoint.is_file or not person.source_secret:
        return []
    try:
        login = await _resolved(surroundings, plan, person.source_secret)
    except Closed as error:
        return [finding(Obstacle("PASSWORD_WRONG", printable(str(error), 500)))]
    if path is Path.LEGACY and not _fit(login.password):
        said = f"{shown}: {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters are taken"
        return [finding(Obstacle("PASSWORD_UNFIT", said))]
    source = open_source(endpoint, login)
    try:
        async with closing(source):
            await source.open()
    except Closed as error:
        code = "PASSWORD_WRONG" if error.reason is ClosedReason.CREDENTIALS else "IMAP_OFF"
        if error.reason not in (ClosedReason.CREDENTIALS, ClosedReason.FORBIDDEN):
            raise
        return [finding(Obstacle(code, printable(f"{shown}: {error}", 500)))]
    return []


def _fit(password: Secret | None) -> bool:
    return password is not None and (
        SHORTEST_PASSWORD <= len(password.reveal()) <= LONGEST_PASSWORD
    )


async def _resolved(surroundings: Surroundings, plan: PlanRow, reference: str) -> Credentials:
    return await resolve(
        reference,
        plan.directory,
        surroundings.environ,
        usual_vault(surroundings.environ),
        learn=surroundings.scrubber.learn,
        warn=surroundings.console.warn,
    )


def _reserved(home: Installation, service: str) -> frozenset[str]:
    table = tables.placeholder
    with home.database.read() as connection:
        names = connection.execute(select(table.c.name).where(table.c.service == service))
        return frozenset(map(folded, names.scalars()))


def _run(surroundings: Surroundings, work: Callable[[], Awaitable[Found]]) -> Found:
    """What the work finds, in an event loop of its own. Raises `Interrupted` when stopped."""
    found: list[Found] = []

    async def one(stop: Stop) -> Exit:
        found.append(await work())
        return Exit.COMPLETE

    run(one, surroundings.console, FAREWELL)
    return found[0]
