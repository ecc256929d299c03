"""`mailhaul complete`: verified mailboxes, and with all of them the plan, are signed off."""

from mailhaul.cli.answering import Answer, open_gate
from mailhaul.cli.approve import AS, YES
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import CHOSEN, PLAN, WHERE, installation, plan_meant, selection
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.ordering import EXITS, OUTPUT, tell
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def complete(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Signs off. Raises `BadInput`, and `Shut` when something is lacking."""
    from mailhaul.journey import orders
    from mailhaul.journey.gates import is_open
    from mailhaul.journey.questions import Gate

    who = arguments.text("--as")
    if not who:
        raise BadInput("a sign-off is given by a person; say who with --as NAME")
    chosen = selection(arguments)
    answer = Answer(who, arguments.given("--yes"), arguments.given("--json"))
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            signed_off = is_open(connection, plan, Gate.SIGN_OFF)
        if (
            chosen.all
            and not signed_off
            and open_gate(home, surroundings, plan, Gate.SIGN_OFF, answer) is None
        ):
            surroundings.console.error("not agreed; nothing was signed off")
            return Exit.INCOMPLETE
        with home.database.begin() as connection:
            result = orders.complete(connection, plan, chosen, who=who, at=home.clock.now())
    tell(arguments, surroundings, plan.name, result, "signed off")
    left = [each for each in result.left if each.why not in _ENDED]
    return Exit.INCOMPLETE if left else Exit.COMPLETE


_ENDED = frozenset({"it is completed", "it is cancelled", "it is rolled back"})

COMMAND = Command(
    name="complete",
    summary="sign off verified mailboxes; with all of them the plan is complete",
    story=(
        "Signs a plan off: every mailbox must be verified, its grade Perfect or Good, or "
        "Investigate and approved (`mailhaul approve --mailbox`). Shows the figures, asks for a "
        "yes and keeps it with your name, the time and the text. With --mailbox or --wave only "
        "those are signed off, without the plan."
    ),
    operands=(PLAN,),
    groups=(Group("who", (AS, YES)), CHOSEN, WHERE, OUTPUT),
    run=complete,
    examples=('mailhaul complete acme --as "Olga Weiss"',),
    exits=EXITS,
)
