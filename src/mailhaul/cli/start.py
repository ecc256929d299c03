"""`mailhaul start`: a plan, or what has changed in it, is loaded, and its mailboxes begin."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import installation, login_name, plan_meant, selection
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import exit_code, order, result_line, told
from mailhaul.cli.plan_files import started_from
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.journey.loading import Loaded
    from mailhaul.journey.orders import Result

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

SHOWN = 20
BEGINNING = Group(
    "how they begin",
    (
        Option(
            "--trial",
            "carry the ten newest messages of each folder first, so that everything can be looked "
            "at early; the rest follows",
        ),
    ),
)


def start(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Loads and starts. Raises `BadInput` with every mistake of a plan that is wrong."""
    from mailhaul.journey import orders
    from mailhaul.journey.loading import filled_in, load
    from mailhaul.journey.plans import plan_row
    from mailhaul.plan.load import load_plan

    word = arguments.text("PLAN")
    path = started_from(word)
    actor = login_name(surroundings.environ)
    chosen = selection(arguments)
    plan = None if path is None else load_plan(path)
    mailboxes = [] if path is None or plan is None else filled_in(plan, path.parent)
    loaded: Loaded | None = None
    with installation(arguments, surroundings, make=plan is not None) as home:
        at = home.clock.now()
        with home.database.begin() as connection:
            if path is None or plan is None:
                row = plan_meant(connection, word)
            else:
                loaded = load(connection, plan, mailboxes, path.parent, at=at, actor=actor)
                row = plan_row(connection, loaded.plan)
                if loaded.new:
                    # Times that are past are mistakes in a plan that begins now; what is wrong
                    # takes back what was loaded.
                    load_plan(path, now=datetime.fromtimestamp(at, UTC))
            trial = arguments.given("--trial")
            result = orders.start(connection, row, chosen, at=at, actor=actor, trial=trial)
    if arguments.given("--json"):
        surroundings.console.json(started_line(row.name, loaded, result))
    else:
        shown = [] if loaded is None else _loaded(row.name, loaded)
        again = loaded is not None and not loaded.new and not result.done
        # What had been started is no surprise where all are meant, or nothing is new.
        if chosen.all or again:
            result.left.clear()
        surroundings.console.show([*shown, *([] if again else told(result, "started"))])
    return exit_code(result, chosen)


def started_line(plan: str, loaded: "Loaded | None", result: "Result") -> dict[str, Json]:
    """What was loaded and started, for `--json`."""
    return {
        **result_line("start", plan, result),
        "event": "started",
        "added": [] if loaded is None else list(loaded.added),
        "changed": [] if loaded is None else list(loaded.changed),
        "kept": [] if loaded is None else list(loaded.kept),
    }


def _loaded(name: str, loaded: "Loaded") -> list[Block]:
    verb = "loaded" if loaded.new else "brought up to date" if loaded.anything else "unchanged"
    added = plural(len(loaded.added), "new mailbox", "new mailboxes")
    blocks: list[Block] = [Line(f"plan {name}: {verb}, {added}", Tone.HEADING)]
    for texts, tone in ((loaded.changed, Tone.PLAIN), (loaded.kept, Tone.WARNING)):
        blocks += [Line(text, tone) for text in texts[:SHOWN]]
        if len(texts) > SHOWN:
            blocks.append(Line(f"and {len(texts) - SHOWN} more", tone))
    return blocks


COMMAND = order(
    "start",
    "load a plan, or what has changed in it, and let its mailboxes begin",
    "Reads the plan's file and its list of mailboxes, refuses them whole if anything is wrong, and "
    "keeps them; then mailboxes begin with their checks as soon as a worker runs (`mailhaul run` "
    "or `mailhaul worker`). Started again, it takes over what has changed: new mailboxes, waves, "
    "limits and times. What a journey has begun with it keeps, and it says so.",
    start,
    groups=(BEGINNING,),
    examples=(
        "mailhaul start plan.toml",
        "mailhaul start plan.toml --wave Pilot",
    ),
)
