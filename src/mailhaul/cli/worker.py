"""`mailhaul worker`: works on whatever has been started, until it is asked to stop."""

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import WHERE, installation
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings

_FAREWELL = "stopped; what was under way goes on with the next worker"


def worker(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Works. Raises `Interrupted` when asked to stop, `Busy` and `BadInput` when it can't begin."""
    from mailhaul.cli.working import work_here  # noqa: PLC0415 - see there

    with installation(arguments, surroundings, make=True) as home:
        where = home.database.engine.url.render_as_string(hide_password=True)
        surroundings.console.show([Line(f"works on {where}; Ctrl-C stops it", Tone.HEADING)])
        work_here(arguments, surroundings, home, farewell=_FAREWELL)
    return Exit.COMPLETE


COMMAND = Command(
    name="worker",
    summary="work on the plans that have been started, until asked to stop",
    story=(
        "Carries the mailboxes of all started plans through their journeys, until it is asked to "
        "stop (Ctrl-C, SIGTERM); what is under way then stops at a message boundary within 20 "
        "seconds and goes on with the next worker."
        "\n\n"
        "On a file there is one worker. On PostgreSQL there may be any number, on any number of "
        "machines; when one dies, the others go on with its mailboxes within half a minute."
    ),
    operands=(),
    groups=(WHERE, Group("output", (DEBUG,))),
    run=worker,
    examples=(
        "mailhaul worker",
        "mailhaul worker --database postgresql://mailhaul@db.example/mailhaul",
    ),
    exits=(Exit.USAGE, Exit.INTERRUPTED),
)
