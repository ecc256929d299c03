"""`mailhaul accounts make`: mailboxes, aliases and groups made at the target, many at once."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit, Interrupted
from mailhaul.cli.installation import PLAN, WHERE, Installation, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import started_from
from mailhaul.cli.provider_desk import OUTPUT, close, opened, sections_meant
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.core.text import Secret
    from mailhaul.journey.bulk import Wanted
    from mailhaul.journey.plans import PlanRow
    from mailhaul.plan.model import Plan
    from mailhaul.providers.actions import Action
    from mailhaul.providers.making import Looked, Made, Pause
    from mailhaul.providers.provider import Provider

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.

FAREWELL = "interrupted; what was begun goes on at the provider, and is found by the same command"


@dataclass(frozen=True, slots=True)
class Desk:
    """What is at hand. `home` and `row` only where the plan has been started."""

    arguments: Arguments
    surroundings: Surroundings
    plan: "Plan"
    directory: Path
    listed: "Wanted | None"
    """What a list names instead of the plan."""
    home: Installation | None = None
    row: "PlanRow | None" = None

    @property
    def as_json(self) -> bool:
        return self.arguments.given("--json")


def make(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows what would be made, or makes it. Raises `BadInput`."""
    who = arguments.text("--as")
    if arguments.given("--go") and not who:
        raise BadInput("accounts are made by a person's word; say who with --as NAME")
    with ExitStack() as stack:
        desk = _desk(arguments, surroundings, stack)

        from mailhaul.cli.stopping import run

        async def work(stop: "Stop") -> Exit:
            return await _work(desk, stop)

        return run(work, surroundings.console, FAREWELL)


def _desk(arguments: Arguments, surroundings: Surroundings, stack: ExitStack) -> Desk:
    """A dry run needs no more than the plan's file; what is made is kept in its log."""
    from mailhaul.plan.load import load_plan

    listed = _listed(arguments)
    file = started_from(arguments.text("PLAN"))
    if file is not None and not arguments.given("--go"):
        return Desk(arguments, surroundings, load_plan(file), file.parent, listed)

    from mailhaul.journey.bulk import with_mailboxes

    home = stack.enter_context(installation(arguments, surroundings))
    with home.database.read() as connection:
        row = plan_meant(connection, arguments.text("PLAN"))
        plan = with_mailboxes(connection, row)
    return Desk(arguments, surroundings, plan, row.directory, listed, home, row)


def _listed(arguments: Arguments) -> "Wanted | None":
    from mailhaul.journey.bulk import wanted_of_list
    from mailhaul.plan.objects import load_objects

    file = arguments.text("--csv")
    if file is None:
        return None
    if arguments.given("--beside"):
        raise BadInput("--csv and --beside both say which aliases and groups; leave one out")
    return wanted_of_list(load_objects(Path(file).expanduser()))


async def _work(desk: Desk, stop: "Stop") -> Exit:
    from mailhaul.providers.making import address_of, look, settled

    console = desk.surroundings.console
    section = sections_meant(desk.plan, "target")["target"]
    wanted = await _wanted(desk)
    provider = opened(desk.surroundings, section, desk.directory)
    try:
        service = await provider.service()
        if desk.arguments.given("--go"):
            await settled(provider, _pause(desk))
        coming = [address_of(each) for each in wanted.accounts]
        looked = [await look(provider, each, _reserved(desk), coming) for each in wanted.phases]
        every = [each for phase in looked for each in phase]
        code = _show(desk, every, service.free)
        if not desk.arguments.given("--go"):
            return code
        if code is not Exit.COMPLETE and not desk.arguments.given("--despite"):
            console.error("nothing was begun; --despite makes the others")
            return code
        return await _make(desk, provider, looked, stop)
    finally:
        await close(provider)


async def _wanted(desk: Desk) -> "Wanted":
    from mailhaul.journey.bulk import wanted_of_plan

    if desk.listed is not None:
        return desk.listed
    if not desk.arguments.given("--beside"):
        return wanted_of_plan(desk.plan)
    section = sections_meant(desk.plan, "source")["source"]
    source = opened(desk.surroundings, section, desk.directory)
    try:
        return wanted_of_plan(desk.plan, await source.extras())
    finally:
        await close(source)


def _show(desk: Desk, looked: "Sequence[Looked]", free: int | None) -> Exit:
    from mailhaul.cli.accounts_report import looked_blocks, looked_end, looked_line
    from mailhaul.providers.making import lacking

    console = desk.surroundings.console
    lack = lacking(looked, free)
    code = Exit.INCOMPLETE if lack or any(each.why for each in looked) else Exit.COMPLETE
    if desk.as_json:
        for each in looked:
            console.json(looked_line(each))
        console.json(looked_end(desk.plan.name, looked, free, lack, code))
    else:
        console.show(looked_blocks(looked, free, lack, dry=not desk.arguments.given("--go")))
    able = [each for each in looked if not each.why]
    if desk.arguments.given("--go") and lacking(able, free):
        raise BadInput(lack)
    return code


async def _make(
    desk: Desk, provider: "Provider", phases: "Sequence[Sequence[Looked]]", stop: "Stop"
) -> Exit:
    from contextlib import aclosing

    from mailhaul.cli.accounts_report import made_blocks, made_end, made_line, made_remark
    from mailhaul.journey.bulk import key_of
    from mailhaul.providers.making import Fate, look
    from mailhaul.providers.making import make as make_all

    console, name = desk.surroundings.console, desk.plan.name
    secrets = await _passwords(desk, [each for phase in phases for each in phase])
    done: list[Made] = []

    async def secret(action: "Action") -> "Secret | None":
        return secrets.get(action)

    def key(action: "Action", attempt: int) -> str:
        return key_of(name, action, attempt)

    try:
        for number, phase in enumerate(phases):
            # What the phases before have made wasn't there at the first look.
            again = await look(provider, [e.action for e in phase]) if number else phase
            async with aclosing(make_all(provider, again, key, secret, _pause(desk))) as making:
                async for made in making:
                    done.append(made)
                    if desk.as_json:
                        console.json(made_line(made))
                    elif made.fate is not Fate.THERE:
                        console.tell(made_remark(made))
                    if stop.asked:
                        raise Interrupted(FAREWELL)
    finally:
        _note(desk, done)
    good = all(each.fate in (Fate.MADE, Fate.THERE) for each in done)
    code = Exit.COMPLETE if good else Exit.INCOMPLETE
    if desk.as_json:
        console.json(made_end(name, done, code))
    else:
        console.show(made_blocks(done))
    return code


async def _passwords(desk: Desk, looked: "Sequence[Looked]") -> "dict[Action, Secret]":
    """The password of each account that is to be made; all are found before anything is begun.
    Raises `Closed` for one that isn't where its reference leads."""
    from mailhaul.journey.bulk import password_reference
    from mailhaul.providers.actions import Configure, Create
    from mailhaul.vault.references import resolve
    from mailhaul.vault.usual import usual_vault

    surroundings = desk.surroundings
    vault = usual_vault(surroundings.environ)
    found: dict[Action, Secret] = {}
    for each in looked:
        action = each.action
        if each.holds or each.why or not isinstance(action, Create | Configure):
            continue
        reference = password_reference(desk.plan, action.address)
        if not reference:
            continue
        credentials = await resolve(
            reference,
            desk.directory,
            surroundings.environ,
            vault,
            learn=surroundings.scrubber.learn,
            warn=surroundings.console.warn,
        )
        if credentials.password is not None:
            found[action] = credentials.password
    return found


def _note(desk: Desk, done: "Sequence[Made]") -> None:
    from mailhaul.journey.bulk import note_made

    assert desk.home is not None and desk.row is not None
    if done:
        with desk.home.database.begin() as connection:
            note_made(
                connection,
                desk.row,
                done,
                who=desk.arguments.text("--as") or "",
                at=desk.home.clock.now(),
            )


def _reserved(desk: Desk) -> tuple[str, ...]:
    """Placeholders that moves of accounts have chosen."""
    from mailhaul.journey.bulk import reserved_placeholders

    section = sections_meant(desk.plan, "target")["target"]
    if desk.home is None:
        return ()
    with desk.home.database.read() as connection:
        return reserved_placeholders(connection, section)


def _pause(desk: Desk) -> "Pause":
    from mailhaul.providers.making import Pause

    return Pause(patience=60.0 * desk.arguments.number("--patience", 60))


COMMAND = Command(
    name="accounts make",
    summary="make a plan's mailboxes, aliases and groups at the target; --go does it",
    story=(
        "Asks the target's provider what making every mailbox of the plan would do, and shows it: "
        "what is there already, what would be made (from an unconfigured account where the service "
        "has such), what can't be and why. Accounts and licences are counted before anything is "
        "begun. Changes nothing unless told."
        "\n\n"
        "With --go, makes what can be, waits for the provider's tasks, and says of each whether it "
        "was created. Interrupted, say it again: what stands is left as it is. The result is kept "
        "in the plan's log and shown at the gate objects, where a named person agrees to it and to "
        "the date of the switch."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (
                Option(
                    "--csv",
                    "what this list names instead: mailboxes, aliases, groups (docs/accounts.md)",
                    "FILE",
                ),
                Option(
                    "--beside",
                    "also the aliases and groups that the source's provider tells of these "
                    "mailboxes",
                ),
            ),
        ),
        Group(
            "making",
            (
                Option("--go", "make it"),
                Option("--as", "who says so; it is kept with the time", "NAME"),
                Option("--despite", "with --go: make the others where some can't be made"),
                Option(
                    "--patience",
                    "minutes that one of them may take before the next is waited for; 60",
                    "MINUTES",
                    lowest=1,
                    highest=10_000,
                ),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=make,
    examples=(
        "mailhaul accounts make acme",
        'mailhaul accounts make acme --beside --go --as "Olga Weiss"',
        'mailhaul accounts make acme --csv objects.csv --go --as "Olga Weiss"',
    ),
    exits=(
        *(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.CREDENTIALS),
        *(Exit.UNREACHABLE, Exit.INTERRUPTED),
    ),
)
