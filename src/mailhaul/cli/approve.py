"""`mailhaul approve`: a named person opens a gate, or accepts what could not be carried."""

from typing import TYPE_CHECKING

from mailhaul.cli.answering import Answer, open_gate, tell_nobody_works
from mailhaul.cli.blocks import Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import CHOSEN, PLAN, WHERE, Installation, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import EXITS, OUTPUT, exit_code, tell
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.journey.gates import Opened
    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

GATES = {"objects": "objects", "accounts": "accounts", "go": "go", "sign-off": "sign off"}
AS = Option("--as", "who gives the word; it is kept with the time, the text and the login", "NAME")
DESPITE = Option(
    "--despite",
    "go nonetheless, for this reason; it is kept with what speaks against it",
    "REASON",
)
YES = Option("--yes", "agree without being asked; the text is shown and kept all the same")


def approve(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Opens a gate or approves leftovers. Raises `BadInput`, and `Shut` when a gate can't be opened
    yet."""
    who = arguments.text("--as")
    if not who:
        raise BadInput("an approval is given by a person; say who with --as NAME")
    if arguments.text("--gate") is None:
        if arguments.texts("--without"):
            raise BadInput("--without belongs to --gate go")
        if arguments.text("--despite") is not None:
            raise BadInput("--despite belongs to --gate go")
        return _leftovers(arguments, surroundings, who)
    if arguments.texts("--mailbox") or arguments.texts("--message"):
        raise BadInput("a gate is not opened for single mailboxes or messages; see --without")
    with installation(arguments, surroundings) as home:
        return _gate(arguments, surroundings, home, who)


def _gate(arguments: Arguments, surroundings: Surroundings, home: Installation, who: str) -> Exit:
    from mailhaul.journey.questions import Gate

    gate = Gate(GATES[arguments.text("--gate") or ""])
    with home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
    go = gate is Gate.GO
    wave = wave_meant(arguments, home, plan) if go else "".join(arguments.texts("--wave"))
    despite = arguments.text("--despite") or ""
    if despite and not go:
        raise BadInput("--despite belongs to --gate go")
    as_json = arguments.given("--json")
    answer = Answer(who, arguments.given("--yes"), as_json)
    without = arguments.texts("--without")
    opened = open_gate(home, surroundings, plan, gate, answer, wave, without, despite)
    if opened is None:
        surroundings.console.error("not agreed; the gate stays shut")
        return Exit.INCOMPLETE
    if as_json:
        surroundings.console.json(opened_line(plan.name, opened))
    else:
        text = f"the gate “{opened.gate}” is open, by the word of {opened.by}"
        surroundings.console.show([Line(text, Tone.GOOD)])
        if gate is not Gate.SIGN_OFF:
            tell_nobody_works(home, surroundings)
    return Exit.COMPLETE


def opened_line(plan: str, opened: "Opened") -> dict[str, Json]:
    """The gate for `--json`."""
    return {
        "event": "gate_opened",
        "plan": plan,
        "gate": opened.gate.value,
        "wave": opened.wave,
        "round": opened.round,
        "at": opened.at,
        "by": opened.by,
        "login": opened.login,
        "text": opened.text,
    }


def wave_meant(arguments: Arguments, home: Installation, plan: "PlanRow") -> str:
    """The wave that is to go: the one named, or the only one. Raises `BadInput`."""
    from mailhaul.journey.orders import EVERYTHING, chosen

    given = arguments.texts("--wave")
    if len(given) > 1:
        raise BadInput("one wave goes at a time; name one --wave")
    if given:
        return given[0]
    with home.database.read() as connection:
        waves = list(dict.fromkeys(row.wave for row in chosen(connection, plan, EVERYTHING)))
    if len(waves) == 1:
        return waves[0]
    raise BadInput(f"say which wave goes with --wave: {', '.join(waves)}")


def _leftovers(arguments: Arguments, surroundings: Surroundings, who: str) -> Exit:
    from mailhaul.journey import orders
    from mailhaul.journey.orders import Selection

    chosen = Selection(arguments.texts("--mailbox"), arguments.texts("--wave"))
    keys = arguments.texts("--message") or None
    if chosen.all:
        raise BadInput(
            "say what is approved: --gate objects, accounts, go or sign-off opens a gate; "
            "--mailbox or --wave accepts what was refused or is missing there"
        )
    with installation(arguments, surroundings) as home, home.database.begin() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        result = orders.approve(connection, plan, chosen, who=who, keys=keys, at=home.clock.now())
    tell(arguments, surroundings, plan.name, result, "approved")
    return exit_code(result, chosen)


COMMAND = Command(
    name="approve",
    summary="open a gate, or accept what could not be carried, as a named person",
    story=(
        "With --gate, shows what is to be agreed to, composed from the figures of this moment, and "
        "opens the gate when you type yes. The gates are: objects (the accounts at the target have "
        "been looked at; then copying begins), accounts (they are moved at their providers; see "
        "`mailhaul accounts move`), go (a wave is switched; then the final pass runs) and sign-off "
        "(see also `mailhaul complete`). An opened gate is kept for good with your "
        "name, the time and the text. Nothing opens by itself or by time."
        "\n\n"
        "Without --gate, accepts for the mailboxes named what was refused by the target or is "
        "missing, and with it the grade Investigate of a verified mailbox. `mailhaul status "
        "--mailbox` lists it."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (
                Option(
                    "--gate",
                    "the gate to open: objects, accounts, go or sign-off",
                    "GATE",
                    choices=tuple(GATES),
                ),
                AS,
                Option(
                    "--without",
                    "with --gate go or accounts: this mailbox stays behind, and goes by a yes of "
                    "its own (repeatable)",
                    "ADDRESS",
                    repeated=True,
                ),
                DESPITE,
                Option(
                    "--message",
                    "accept only this message, by its key at the source (repeatable)",
                    "KEY",
                    repeated=True,
                ),
                YES,
            ),
        ),
        CHOSEN,
        WHERE,
        OUTPUT,
    ),
    run=approve,
    examples=(
        'mailhaul approve acme --gate go --wave Monday --as "Olga Weiss"',
        'mailhaul approve acme --mailbox anna@acme.example --as "Olga Weiss"',
    ),
    exits=EXITS,
)
