"""`mailhaul check`: looks at every mailbox of a plan, and says what will go wrong."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.sides import DEBUG, check_endpoint
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.check.checked import Checked
    from mailhaul.cli.stopping import Stop
    from mailhaul.core.endpoint import Credentials, Endpoint
    from mailhaul.plan.model import Plan
    from mailhaul.plan.waves import Resolved

# ruff: noqa: PLC0415 - what opens sockets and files is imported once the plan is good.

Examine = Callable[["Resolved"], Awaitable["Checked"]]


def check(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Checks the plan's mailboxes. Raises `BadInput` for a plan that is wrong."""
    from mailhaul.plan.load import load_plan
    from mailhaul.plan.waves import resolved

    path = plan_file(arguments)
    plan = load_plan(path, now=surroundings.now())
    chosen = _chosen(resolved(plan, path.parent), arguments)

    from mailhaul.cli.stopping import run

    async def work(stop: "Stop") -> Exit:
        return await _check_all(arguments, surroundings, plan, path.parent, chosen, stop)

    probing = arguments.given("--probe")
    farewell = "interrupted; nothing was changed" + (
        ", and probes under way were cleaned up" if probing else ""
    )
    return run(work, surroundings.console, farewell)


def _chosen(mailboxes: Sequence["Resolved"], arguments: Arguments) -> list["Resolved"]:
    """Those of --mailbox and --wave; all without. Raises `BadInput` for one that isn't there."""
    from mailhaul.cli.parsing import closest

    wanted, waves = arguments.texts("--mailbox"), arguments.texts("--wave")
    known = {each.address.casefold(): each.address for each in mailboxes}
    for address in wanted:
        if address.casefold() not in known:
            raise BadInput(
                f"--mailbox {printable(address, 120)} isn't in the plan"
                + closest(address, list(known.values()))
            )
    for wave in waves:
        names = list(dict.fromkeys(each.wave for each in mailboxes if each.wave))
        if wave not in names:
            raise BadInput(
                f"--wave {printable(wave, 120)} has no mailbox in the plan"
                + (closest(wave, names) or f"; there are {', '.join(names) or 'no waves'}")
            )
    folded = {address.casefold() for address in wanted}
    return [
        each
        for each in mailboxes
        if (not folded or each.address.casefold() in folded) and (not waves or each.wave in waves)
    ]


async def _check_all(
    arguments: Arguments,
    surroundings: Surroundings,
    plan: "Plan",
    directory: Path,
    chosen: Sequence["Resolved"],
    stop: "Stop",
) -> Exit:
    import asyncio

    from mailhaul.check.planned import places
    from mailhaul.cli.check_report import (
        Row,
        end_line,
        forecasts,
        kept,
        row_line,
        row_remark,
        summary,
        wave_line,
    )
    from mailhaul.cli.exits import Interrupted
    from mailhaul.cli.stopping import loaded

    console = surroundings.console
    as_json = arguments.given("--json")
    examine = _examiner(arguments, surroundings, plan, directory)
    rows: list[Row] = []
    free = asyncio.Semaphore(places(plan))
    every = max(1, len(chosen) // 20)
    loaded()

    async def one(each: "Resolved") -> None:
        async with free:
            if stop.asked:
                return
            row = Row(each.address, each.wave, await examine(each))
        rows.append(kept(row))
        if as_json:
            console.json(row_line(row))
        elif len(rows) % every == 0 and not arguments.given("--quiet"):
            console.tell(f"{len(rows)} of {len(chosen)}: {row_remark(row)}")

    async with asyncio.TaskGroup() as group:
        for each in chosen:
            group.create_task(one(each))
    if stop.asked:
        raise Interrupted(f"interrupted after {len(rows)} of {len(chosen)} mailboxes")
    order = {each.address: place for place, each in enumerate(chosen)}
    rows.sort(key=lambda row: order[row.address])
    waves = forecasts(plan, rows, surroundings.now())
    blocked = any(row.checked.blocked for row in rows)
    code = Exit.INCOMPLETE if blocked else Exit.COMPLETE
    if as_json:
        for wave in waves:
            console.json(wave_line(wave))
        console.json(end_line(plan.name, rows, code))
    else:
        console.show(summary(plan, rows, waves, probed=arguments.given("--probe")))
    return code


def _examiner(
    arguments: Arguments, surroundings: Surroundings, plan: "Plan", directory: Path
) -> Examine:
    """What checks one mailbox: finds its secrets, opens both sides, looks, closes them."""
    from mailhaul.check.mailbox import checked_without_login
    from mailhaul.check.planned import check_planned
    from mailhaul.cli.stopping import closing
    from mailhaul.engine.outcomes import Side
    from mailhaul.stores.registry import open_source, open_target
    from mailhaul.vault.oauth_tokens import Tokens
    from mailhaul.vault.references import resolve
    from mailhaul.vault.usual import usual_vault

    environ, console = surroundings.environ, surroundings.console
    vault = usual_vault(environ)
    tokens = Tokens(vault, learn=surroundings.scrubber.learn) if vault is not None else None
    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:
            warned.add(text)
            console.warn(text)

    async def login(endpoint: "Endpoint", reference: str, side: str) -> "Credentials | None":
        check_endpoint(endpoint, side)
        if not reference:
            return None
        user = endpoint.options.get("admin") or endpoint.user
        return await resolve(
            reference,
            directory,
            environ,
            vault,
            tokens=tokens,
            learn=lambda secret: surroundings.scrubber.learn(secret, user),
            warn=warn,
        )

    async def examine(each: "Resolved") -> "Checked":
        refusals: list[tuple[Side, MailhaulError]] = []
        logins: dict[Side, Credentials | None] = {}
        for side, endpoint, reference in (
            (Side.SOURCE, each.source, each.source_secret),
            (Side.TARGET, each.target, each.target_secret),
        ):
            try:
                logins[side] = await login(endpoint, reference, side.value)
            except MailhaulError as error:
                refusals.append((side, error))
        if refusals:
            return checked_without_login(refusals)
        source = open_source(each.source, logins[Side.SOURCE])
        target = open_target(each.target, logins[Side.TARGET])
        try:
            async with closing(source, target):
                return await check_planned(
                    plan,
                    source,
                    target,
                    now=lambda: surroundings.now().timestamp(),
                    probe=arguments.given("--probe"),
                )
        except MailhaulError as error:
            return checked_without_login([(Side.SOURCE, error)])
        except OSError as error:
            # A disk of this machine, where the stores themselves have no words for it; the other
            # mailboxes lie elsewhere.
            where = f" at {printable(str(error.filename), 200)}" if error.filename else ""
            text = f"this machine says: {error.strerror or type(error).__name__}{where}; mend that"
            closed = Closed(text, ClosedReason.UNREACHABLE)
            return checked_without_login([(Side.SOURCE, closed)])

    return examine


COMMAND = Command(
    name="check",
    summary="look at every mailbox of a plan and say what will go wrong, before it does",
    story=(
        "Looks at both sides of every mailbox in the plan PLAN: logins, what each server can do, a "
        "census by folder, sizes against limits and quota, where folders go, duplicates and "
        "awkward messages. Says what blocks, what is worth a warning, what to do about each, and "
        "how long the waves will take. A mailbox that is blocked blocks no other. Changes nothing "
        "at either side, unless --probe is given."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what to check",
            (
                Option("--mailbox", "only this address; may be repeated", "A", repeated=True),
                Option("--wave", "only this wave; may be repeated", "W", repeated=True),
                Option(
                    "--probe",
                    "also put some odd messages into a scratch folder of each target, read them "
                    "back, and remove them: what it keeps, alters, refuses",
                ),
            ),
        ),
        Group(
            "output",
            (
                Option("--json", "lines of JSON on standard output (docs/check.md)"),
                Option("--quiet", "no progress"),
                DEBUG,
            ),
        ),
    ),
    run=check,
    examples=(
        "mailhaul check plan.toml",
        "mailhaul check plan.toml --mailbox anna@old.example --probe",
    ),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.INTERRUPTED),
)
