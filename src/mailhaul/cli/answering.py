"""A gate is opened: the text is shown, the person answers, the answer is kept."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import Installation, login_name
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.journey.gates import Opened
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.questions import Gate, Question

ROUNDS = 5
"""So often is the text shown again when its figures have changed while it was read."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """How the person answers: by name, and without being asked when `yes` was given. `aside`: the
    text is shown on standard error, for standard output holds JSON."""

    who: str
    yes: bool
    aside: bool


def open_gate(
    home: Installation,
    surroundings: Surroundings,
    plan: "PlanRow",
    gate: "Gate",
    answer: Answer,
    wave: str = "",
    without: Collection[str] = (),
    despite: str = "",
) -> "Opened | None":
    """Shows the text and opens the gate when the answer is yes; None when it is not. `despite` is
    the reason for which a wave goes though DNS speaks against it. Raises
    `BadInput`, and `Shut` when something is lacking, after showing what."""
    from mailhaul.journey import gates  # noqa: PLC0415 - needs the database
    from mailhaul.journey.questions import ask  # noqa: PLC0415

    # Before anybody reads a text that they may not agree to.
    gates.check_name(plan.plan, gate, answer.who)
    with home.database.read() as connection:
        at = home.clock.now()
        question = ask(connection, plan, gate, wave, without, at=at, despite=despite)
    for _ in range(ROUNDS):
        try:
            _show(surroundings, question, answer)
        except gates.Shut:
            if gate.value != "sign off" and not answer.aside:
                tell_nobody_works(home, surroundings)
            raise
        if not answer.yes and not _agreed(surroundings):
            return None
        try:
            with home.database.begin() as connection:
                return gates.open_gate(
                    connection,
                    plan,
                    question,
                    who=answer.who,
                    login=login_name(surroundings.environ),
                    without=without,
                    at=home.clock.now(),
                    despite=despite,
                )
        except gates.TextChanged as changed:
            surroundings.console.tell(str(changed), Tone.WARNING)
            question = changed.question
    raise BadInput("the figures keep changing; pause the plan, or use --yes")


def tell_nobody_works(home: Installation, surroundings: Surroundings) -> None:
    """Says so where nothing goes on by itself, and nobody looks, until somebody lets it."""
    from mailhaul.journey.status import workers  # noqa: PLC0415 - needs the database

    with home.database.read() as connection:
        if not workers(connection):
            text = "no worker runs, so nothing goes on and nobody looks: mailhaul run"
            surroundings.console.tell(text, Tone.WARNING)


def _show(surroundings: Surroundings, question: "Question", answer: Answer) -> None:
    from mailhaul.journey.gates import Shut  # noqa: PLC0415 - needs the database

    lines = question.text.split("\n")
    if answer.aside:
        for text in lines:
            surroundings.console.tell(text)
    else:
        surroundings.console.show([Line(text) for text in lines])
    if question.lacking:
        for lacking in question.lacking[:SHOWN]:
            surroundings.console.tell(lacking, Tone.WARNING)
        more = len(question.lacking) - SHOWN
        if more > 0:
            surroundings.console.tell(f"and {more} more", Tone.WARNING)
        things = plural(len(question.lacking), "thing is", "things are")
        raise Shut(f"the gate “{question.gate}” stays shut: {things} lacking", question.lacking)


def _agreed(surroundings: Surroundings) -> bool:
    """Whether the next line of standard input is a yes."""
    surroundings.console.tell("type yes to agree:")
    return sys.stdin.readline().strip().casefold() == "yes"
