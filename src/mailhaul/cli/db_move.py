"""`mailhaul db move`: from files on one machine to PostgreSQL, journeys and all."""

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import DATABASE_VARIABLE, home_directory
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - the databases are imported once the command line is good.

MOVED = ".moved"


def db_move(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Copies the installation into the database, then puts its own file aside. Raises `BadInput`
    and `Busy` when a worker runs."""
    from mailhaul.db.database import FILE, open_database
    from mailhaul.db.migrate import migrate
    from mailhaul.journey.moving import move
    from mailhaul.journey.slots import FileSlot

    url = arguments.text("URL")
    assert url is not None
    directory = home_directory(surroundings.environ, arguments.text("--state"))
    file = directory / FILE
    if not file.exists():
        raise BadInput(
            f"there is no installation in {printable(str(directory), 200)}; name it with --state"
        )
    slot = FileSlot(directory)
    try:
        source = open_database(None, directory)
        target = open_database(url, directory)
        try:
            migrate(source)
            migrate(target)
            moved = move(source, target, directory)
        finally:
            source.close()
            target.close()
        # From now on nobody takes the old rows for the truth.
        file.rename(file.with_name(FILE + MOVED))
    finally:
        slot.release()
    if arguments.given("--json"):
        surroundings.console.json(
            {
                "event": "moved",
                "plans": moved.plans,
                "mailboxes": moved.mailboxes,
                "messages": moved.messages,
            }
        )
        return Exit.COMPLETE
    surroundings.console.show(
        [
            Line(
                f"moved: {plural(moved.plans, 'plan')}, "
                f"{plural(moved.mailboxes, 'mailbox', 'mailboxes')}, the ledgers of "
                f"{plural(moved.messages, 'message')}, and the whole log",
                Tone.GOOD,
            ),
            Line(
                f"from now on give --database or set {DATABASE_VARIABLE}, and start as many "
                "workers as you like: mailhaul worker --database …"
            ),
            Line(f"the old file is kept as {FILE}{MOVED}; what could not be carried stays here"),
        ]
    )
    return Exit.COMPLETE


COMMAND = Command(
    name="db move",
    summary="carry an installation from one machine's files to PostgreSQL",
    story=(
        "Copies plans, journeys, gates, the log with its digests and every ledger into an empty "
        "PostgreSQL database, in one transaction, and puts the old file aside. Nothing is carried "
        "or asked again: the next worker goes on where the last one stopped. No worker may run "
        "meanwhile; stop it first (mailhaul pause, or end its process)."
    ),
    operands=(Operand("URL", "the database, as postgresql://user@host/name"),),
    groups=(
        Group(
            "what is moved",
            (
                Option(
                    "--state",
                    "the installation's directory (unless told ~/.local/state/mailhaul)",
                    "DIR",
                ),
            ),
        ),
        OUTPUT,
    ),
    run=db_move,
    examples=("mailhaul db move postgresql://mailhaul@db.example/mailhaul",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
