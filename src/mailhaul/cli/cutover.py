"""`mailhaul cutover`: the night of the switch, step by step; and what a person does about it."""

from typing import TYPE_CHECKING

from mailhaul.cli.answering import Answer, open_gate, tell_nobody_works
from mailhaul.cli.approve import AS, DESPITE, YES, opened_line, wave_meant
from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import (
    PLAN,
    WHERE,
    Installation,
    installation,
    login_name,
    plan_meant,
)
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import EXITS, OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.cli.cutover_report import Intended
    from mailhaul.cli.stopping import Stop
    from mailhaul.journey.domains import DomainRow
    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def cutover(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows the runbook, or gives one of the orders. Raises `BadInput`, and `Shut` when the wave
    can't go yet."""
    given = [each for each in ("--go", "--end-sweeps") if arguments.given(each)]
    given += [] if arguments.text("--done") is None else ["--done"]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} are two orders; give them one after the other")
    who = arguments.text("--as")
    if given and not who:
        raise BadInput(f"{given[0]} is said by a person; say who with --as NAME")
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
        wave = wave_meant(arguments, home, plan)
        match given:
            case ["--go"]:
                return _go(arguments, surroundings, home, plan, wave)
            case ["--done"]:
                _done(arguments, surroundings, home, plan, wave)
            case ["--end-sweeps"]:
                _end_sweeps(arguments, surroundings, home, plan, wave)
            case _:
                _show(arguments, surroundings, home, plan, wave)
    return Exit.COMPLETE


def _show(
    arguments: Arguments, surroundings: Surroundings, home: Installation, plan: "PlanRow", wave: str
) -> None:
    """The runbook, and what the switch would write now. Changes nothing anywhere."""
    from mailhaul.cli.cutover_report import report_blocks, report_lines
    from mailhaul.journey.domains import domains
    from mailhaul.journey.runbook import runbook

    now = home.clock.now()
    with home.database.read() as connection:
        steps = runbook(connection, plan, wave, now)
        zones = domains(connection, plan.id)
    intended = () if arguments.given("--no-look") else _intended(surroundings, plan, zones)
    if arguments.given("--json"):
        for line in report_lines(plan, wave, steps, zones, intended):
            surroundings.console.json(line)
    else:
        surroundings.console.show(report_blocks(plan, wave, steps, zones, intended, now))


def _intended(
    surroundings: Surroundings, plan: "PlanRow", zones: "list[DomainRow]"
) -> "tuple[Intended, ...]":
    """What would be written for each domain that has not been switched; servers are asked."""
    from mailhaul.cli.cutover_report import Intended
    from mailhaul.cli.stopping import run
    from mailhaul.core.errors import MailhaulError
    from mailhaul.dns.zone import difference
    from mailhaul.journey.domain_states import DomainState
    from mailhaul.journey.shop import zones_of

    before = (DomainState.WATCHED, DomainState.SWITCHING, DomainState.RETURNED, DomainState.FAILED)
    waiting = [row for row in zones if row.state in before]
    if not waiting:
        return ()
    wired = zones_of(
        surroundings.environ, learn=surroundings.scrubber.learn, warn=surroundings.console.warn
    )
    found: list[Intended] = []

    async def work(stop: "Stop") -> Exit:
        for row in waiting:
            if stop.asked:
                break
            try:
                edits = await wired.intended(plan, row)
                found.append(Intended(row.name, tuple(difference(edits))))
            except MailhaulError as error:
                found.append(Intended(row.name, trouble=str(error)))
        return Exit.COMPLETE

    run(work, surroundings.console, "interrupted; nothing was changed")
    return tuple(found)


def _go(
    arguments: Arguments, surroundings: Surroundings, home: Installation, plan: "PlanRow", wave: str
) -> Exit:
    from mailhaul.journey.questions import Gate

    as_json = arguments.given("--json")
    answer = Answer(arguments.text("--as") or "", arguments.given("--yes"), as_json)
    opened = open_gate(
        home,
        surroundings,
        plan,
        Gate.GO,
        answer,
        wave,
        arguments.texts("--without"),
        arguments.text("--despite") or "",
    )
    if opened is None:
        surroundings.console.error("not agreed; nothing is switched")
        return Exit.INCOMPLETE
    if as_json:
        surroundings.console.json(opened_line(plan.name, opened))
    else:
        text = f"go, by the word of {opened.by}; a worker switches, `mailhaul cutover` shows it"
        surroundings.console.show([Line(text, Tone.GOOD)])
        tell_nobody_works(home, surroundings)
    return Exit.COMPLETE


def _done(
    arguments: Arguments, surroundings: Surroundings, home: Installation, plan: "PlanRow", wave: str
) -> None:
    from mailhaul.cli.cutover_report import step_done_line
    from mailhaul.journey.domain_orders import say_done
    from mailhaul.journey.runbook import check_step

    key, who = arguments.text("--done") or "", arguments.text("--as") or ""
    check_step(plan.plan, key)
    login = login_name(surroundings.environ)
    with home.database.begin() as connection:
        fresh = say_done(connection, plan, wave, key, who=who, login=login, at=home.clock.now())
    if arguments.given("--json"):
        surroundings.console.json(step_done_line(plan.name, wave, key, fresh))
    else:
        text = f"{key}: done, by the word of {who}" if fresh else f"{key} was done already"
        surroundings.console.show([Line(text, Tone.GOOD if fresh else Tone.PLAIN)])


def _end_sweeps(
    arguments: Arguments, surroundings: Surroundings, home: Installation, plan: "PlanRow", wave: str
) -> None:
    from mailhaul.cli.cutover_report import sweeps_ended_line
    from mailhaul.journey.domain_orders import end_sweeps

    login = login_name(surroundings.environ)
    with home.database.begin() as connection:
        swept = end_sweeps(
            connection,
            plan,
            wave,
            who=arguments.text("--as") or "",
            login=login,
            why=arguments.text("--despite") or "",
            at=home.clock.now(),
        )
    if arguments.given("--json"):
        surroundings.console.json(sweeps_ended_line(plan.name, wave, swept))
    else:
        said = plural(len(swept), "mailbox is", "mailboxes are")
        text = f"{said} swept once more, and then verified"
        surroundings.console.show([Line(text, Tone.GOOD)])


COMMAND = Command(
    name="cutover",
    summary="show a wave's cutover step by step, and what it would write; --go makes it",
    story=(
        "Shows the runbook of a wave: each step with its owner, how it stands, by when, what "
        "proves it and how it is undone; and, asking the zones' servers, what the switch would "
        "write. Changes nothing unless told."
        "\n\n"
        "With --go, opens the gate go (as `mailhaul approve --gate go` does): a worker then writes "
        "the new records, or watches until whoever holds the zone has, and carries what is new at "
        "once. What DNS says against it keeps the gate shut; --despite goes nonetheless, with a "
        "reason that is kept with your name. `mailhaul return` is the way back."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (
                Option(
                    "--wave", "the wave that goes (unless there is only one)", "WAVE", repeated=True
                ),
                Option("--go", "switch now: shows what is to be agreed to, and asks for a yes"),
                Option(
                    "--without",
                    "with --go: this mailbox stays behind, and goes by a yes of its own "
                    "(repeatable)",
                    "ADDRESS",
                    repeated=True,
                ),
                Option(
                    "--done",
                    "say that this step is done, which nobody can see: people, forward, clients "
                    "or tidy",
                    "STEP",
                ),
                Option(
                    "--end-sweeps", "end the sweeps of the wave before the evidence; see --despite"
                ),
                DESPITE,
                AS,
                YES,
                Option("--no-look", "ask no server; show what is known"),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=cutover,
    examples=(
        "mailhaul cutover acme --wave Monday",
        'mailhaul cutover acme --wave Monday --go --as "Olga Weiss"',
        'mailhaul cutover acme --wave Monday --done forward --as "Olga Weiss"',
    ),
    exits=EXITS,
)
