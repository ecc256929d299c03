"""Where plans and journeys are kept, for all commands that look at them or steer them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.options import Arguments, Group, Operand, Option
from mailhaul.cli.plan_files import started_from
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.db.database import Database
    from mailhaul.journey.clock import Clock
    from mailhaul.journey.orders import Selection
    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

DATABASE_VARIABLE = "MAILHAUL_DATABASE"

PLAN = Operand(
    "PLAN",
    "the plan's file, the directory of its plan.toml, or the name of one that was started; unless "
    "told, that of the plan.toml here, or the only one",
    optional=True,
)
WHERE = Group(
    "where plans are kept",
    (
        Option(
            "--state",
            "the directory of everything that mailhaul keeps (unless told ~/.local/state/mailhaul)",
            "DIR",
        ),
        Option(
            "--database",
            "a PostgreSQL database instead of a file there, as postgresql://user@host/name; "
            f"else {DATABASE_VARIABLE} says which",
            "URL",
        ),
    ),
)
CHOSEN = Group(
    "for whom (for all unless told)",
    (
        Option("--mailbox", "only this mailbox (repeatable)", "ADDRESS", repeated=True),
        Option("--wave", "only the mailboxes of this wave (repeatable)", "WAVE", repeated=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Installation:
    """An open database and the clock that goes by it."""

    database: "Database"
    clock: "Clock"
    directory: Path


def home_directory(environ: Mapping[str, str], given: str | None) -> Path:
    """Where everything is kept: `given`, else $XDG_STATE_HOME/mailhaul (~/.local/state/mailhaul).
    Makes nothing."""
    if given is not None:
        return Path(given).expanduser()
    home = environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    root = Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()
    return root / "mailhaul"


@contextmanager
def installation(
    arguments: Arguments, surroundings: Surroundings, *, make: bool = False
) -> Iterator[Installation]:
    """The installation that the command line names, its tables as this mailhaul knows them; with
    `make` it is made if missing. Raises `BadInput` when there is none, or a newer one."""
    from mailhaul.db.database import FILE, open_database
    from mailhaul.db.migrate import migrate
    from mailhaul.journey.clock import installed_clock

    directory = home_directory(surroundings.environ, arguments.text("--state"))
    url = arguments.text("--database") or surroundings.environ.get(DATABASE_VARIABLE) or None
    if url is None and not make and not (directory / FILE).exists():
        raise BadInput(
            f"no plan has been started in {printable(str(directory), 200)}; mailhaul start PLAN "
            "starts one, --state or --database names another place"
        )
    database = open_database(url, directory)
    try:
        migrate(database)
        with database.read() as connection:
            clock = installed_clock(connection)
        yield Installation(database, clock, directory)
    finally:
        database.close()


def plan_meant(connection: "Connection", word: str | None) -> "PlanRow":
    """The loaded plan that PLAN names, by its file or its name; when it is left out that of the
    plan.toml here, else the only one. Raises `BadInput`."""
    from mailhaul.journey.plans import all_plans, plan_named

    file = started_from(word)
    if file is not None:
        return plan_named(connection, name_in(file))
    if word is not None:
        return plan_named(connection, word)
    plans = list(all_plans(connection))
    if len(plans) == 1:
        return plans[0]
    names = ", ".join(printable(plan.name, 60) for plan in plans[:10])
    raise BadInput(f"say which plan: {names}" if plans else "no plan has been started here")


def name_in(file: Path) -> str:
    """The name of the plan in that file. Raises `BadInput`."""
    import tomllib

    word = str(file)
    try:
        name = tomllib.loads(file.read_text(encoding="utf-8")).get("name")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{printable(word, 200)} can't be read as a plan; mailhaul plan check says why"
        ) from error
    if not isinstance(name, str):
        raise BadInput(f"{printable(word, 200)} gives its plan no name; mailhaul plan check helps")
    return name


def selection(arguments: Arguments) -> "Selection":
    """Whom --mailbox and --wave choose."""
    from mailhaul.journey.orders import Selection

    return Selection(arguments.texts("--mailbox"), arguments.texts("--wave"))


def login_name(environ: Mapping[str, str]) -> str:
    """Whose account of which machine gives the order, as `anna@desk`."""
    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        user = environ.get("USER") or environ.get("USERNAME") or "somebody"
    return printable(f"{user}@{os.uname().nodename}", 200)
