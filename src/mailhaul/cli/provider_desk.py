"""What the commands about providers have in common: a plan's control planes, each asked by itself,
so that one that is away keeps nothing about the other back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mailhaul.cli.exits import Exit, Interrupted, exit_for
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.core.endpoint import Credentials
    from mailhaul.plan.model import Plan
    from mailhaul.plan.model import ProviderSection as Section
    from mailhaul.providers.provider import Provider
    from mailhaul.providers.service import Service

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.

SIDES = ("source", "target")
SIDE = Option("--side", "only this side; both unless told", "SIDE", choices=SIDES)
MAILBOX = Option("--mailbox", "only this address (repeatable)", "ADDRESS", repeated=True)
OUTPUT = Group("output", (JSON, DEBUG))
OPERANDS = (PLAN,)
EXITS = (
    *(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.CREDENTIALS),
    *(Exit.UNREACHABLE, Exit.INTERRUPTED),
)
CLOSING = 5.0
"""Seconds for a polite goodbye."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Reached:
    """One side's control plane, which has said what it is."""

    side: str
    plan: "Plan"
    directory: Path
    provider: "Provider"
    service: "Service"


def each_side(
    arguments: Arguments,
    surroundings: Surroundings,
    look: Callable[[Reached], Awaitable[Found]],
    tell: Callable[[str, Found], Exit],
    *,
    usual: str | None = None,
) -> Exit:
    """Asks each side that is meant, only `usual` unless --side says another, and tells of one after
    the other. Raises `BadInput` for a plan that is wrong or names no provider there, `Interrupted`
    when stopped."""
    from mailhaul.cli.provider_report import end_line, trouble_line
    from mailhaul.cli.stopping import run
    from mailhaul.plan.load import load_plan

    path = plan_file(arguments)
    plan = load_plan(path)
    sections = sections_meant(plan, arguments.text("--side") or usual)
    console, as_json = surroundings.console, arguments.given("--json")

    async def work(stop: "Stop") -> Exit:
        found = await _ask_all(surroundings, plan, path.parent, sections, look)
        if stop.asked:
            raise Interrupted("interrupted; nothing was changed")
        codes = [Exit.COMPLETE]
        failed = 0
        for side, each in found:
            if isinstance(each, MailhaulError):
                failed += 1
                why = printable(str(each), 1000)
                console.error(f"{side}: {why}")
                if as_json:
                    console.json(trouble_line(side, why))
                codes.append(exit_for(each))
            else:
                codes.append(tell(side, each))
        code = next((each for each in codes if each is not Exit.COMPLETE), Exit.COMPLETE)
        if as_json:
            command = arguments.command.removeprefix("provider ")
            console.json(end_line(command, plan.name, len(found), failed, code))
        return code

    return run(work, console, "interrupted; nothing was changed")


def sections_meant(plan: "Plan", side: str | None) -> "dict[str, Section]":
    """The plan's provider sections by side. Raises `BadInput` where it has none there."""
    every = {"source": plan.source.provider, "target": plan.target.provider}
    found = {name: each for name, each in every.items() if each is not None}
    if side is not None:
        found = {name: each for name, each in found.items() if name == side}
    if not found:
        where = f"[{side}.provider]" if side else "[source.provider] or [target.provider]"
        raise BadInput(
            f"{printable(plan.name, 80)} names no provider; write {where} into it "
            "(docs/providers.md)"
        )
    return found


def opened(surroundings: Surroundings, section: "Section", directory: Path) -> "Provider":
    """The provider of a plan's section; it has not been asked anything yet. Raises `BadInput`."""
    from mailhaul.providers.registry import Settings, open_provider
    from mailhaul.vault.references import resolve
    from mailhaul.vault.usual import usual_vault

    environ = surroundings.environ
    vault = usual_vault(environ)

    async def login() -> "Credentials":
        return await resolve(
            section.secret,
            directory,
            environ,
            vault,
            learn=surroundings.scrubber.learn,
            warn=surroundings.console.warn,
        )

    settings = Settings(
        kind=section.kind.value,
        service=section.service,
        login=login,
        url=section.url,
        values=section.values,
        directory=directory,
    )
    return open_provider(settings)


async def close(provider: "Provider") -> None:
    """Says goodbye; one that is slow is left without."""
    import asyncio

    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING):
            await provider.close()


async def _ask_all(
    surroundings: Surroundings,
    plan: "Plan",
    directory: Path,
    sections: "dict[str, Section]",
    look: Callable[[Reached], Awaitable[Found]],
) -> "Sequence[tuple[str, Found | MailhaulError]]":
    import asyncio

    async def one(side: str, section: "Section") -> "Found | MailhaulError":
        try:
            provider = opened(surroundings, section, directory)
            try:
                return await look(
                    Reached(side, plan, directory, provider, await provider.service())
                )
            finally:
                await close(provider)
        except Interrupted:
            raise
        except MailhaulError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(side, section)) for side, section in sections.items()]
    return [(side, task.result()) for side, task in zip(sections, tasks, strict=True)]
