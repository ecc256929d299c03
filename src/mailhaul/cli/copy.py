"""`mailhaul copy`: one pass from a source to a target."""

import errno
import shlex
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.account import (
    Leftovers,
    accounting,
    folder_map,
    grave_matters,
    to_be_carried,
    verdict,
)
from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit, Interrupted, StateFailed
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.pair import state_directory
from mailhaul.cli.progress import Progress, progress_for
from mailhaul.cli.selection import SELECTION, globs_given, maps_given, since_given
from mailhaul.cli.sides import (
    DEBUG,
    JSON,
    PAIR_SECRETS,
    QUIET,
    check_endpoint,
    pair_credentials,
    pair_given,
)
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Key
from mailhaul.core.pair import pair_name
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import (
    Delete,
    Event,
    Fate,
    Finished,
    Mapped,
    Options,
    Settled,
)

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.engine.ledger import Ledger

# ruff: noqa: PLC0415 - what opens sockets, files and databases is imported once the command line
# is known to be good; starting up is measured.

MOST_CONNECTIONS = 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done, known to be good."""

    arguments: Arguments
    surroundings: Surroundings
    options: Options
    source: Endpoint
    target: Endpoint
    credentials: tuple[Credentials, Credentials]
    directory: Path


@dataclass(slots=True)
class _Course:
    """What the pass has told so far, as far as its end needs it."""

    mapped: Mapped | None = None
    finished: Finished | None = None
    accounted: Mapping[FolderPath, int] = field(default_factory=dict)
    """Messages of each folder that the ledger knew what became of, when the pass began."""
    leftovers: Leftovers = field(default_factory=Leftovers)
    told: set[tuple[FolderPath, Key]] = field(default_factory=set)


def copy(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Carries what is new from SOURCE to TARGET and accounts for every message.

    Raises `BadInput` before anything is connected where that can be known, `Closed` when a side
    can't be used, `Interrupted` when asked to stop.
    """
    source, target = pair_given(arguments)
    options = _options(arguments, surroundings)
    check_endpoint(source, "source")
    check_endpoint(target, "target")
    credentials = pair_credentials(arguments, source, target, surroundings)
    if arguments.text("--state") == "":
        raise BadInput("--state is empty; name a directory, or leave it out")
    directory = state_directory(source, target, surroundings.environ, arguments.text("--state"))
    order = _Order(arguments, surroundings, options, source, target, credentials, directory)

    from mailhaul.cli.stopping import run

    return run(lambda stop: _carry(order, stop), surroundings.console, _farewell(arguments))


async def _carry(order: _Order, stop: "Stop") -> Exit:
    import asyncio

    from mailhaul.cli.stopping import closing, follow, loaded
    from mailhaul.core.blob import Spool
    from mailhaul.engine.ledger import Ledger
    from mailhaul.engine.passes import MEANWHILE, run_pass
    from mailhaul.stores.registry import open_source, open_target

    options = order.options
    spool = Spool() if options.dry_run else Spool(_spool_directory(order.directory))
    source = open_source(
        order.source, order.credentials[0], connections=options.connections, spool=spool
    )
    target = open_target(
        order.target, order.credentials[1], connections=options.connections, spool=spool
    )
    loaded()
    course = _Course()

    pair = pair_name(order.source, order.target)
    with (
        _keeping(order.directory),
        Ledger.open(order.directory, pair, read_only=options.dry_run) as ledger,
    ):
        if ledger.folders():
            _load(order)
        else:  # the first pass has the time while the servers let it in
            asyncio.get_running_loop().call_later(MEANWHILE, _load, order)
        progress = _progress(order, ledger)

        def take(event: Event) -> None:
            if isinstance(event, Finished):
                notices = (*source.traffic.notices, *target.traffic.notices)
                event = replace(event, notes=tuple(dict.fromkeys((*event.notes, *notices))))
                course.finished = event
                for earlier in _of_earlier_passes(ledger, event, course.told):
                    course.leftovers.take(earlier)
                    progress.take(earlier, time.monotonic())
            elif isinstance(event, Mapped):
                course.mapped = event
                if options.dry_run:
                    course.accounted = _accounted(ledger)
            elif isinstance(event, Settled):
                course.leftovers.take(event)
                if event.fate is not Fate.SKIPPED:
                    course.told.add((event.folder, event.key))
            progress.take(event, time.monotonic())

        try:
            async with closing(source, target):
                events = run_pass(source, target, ledger, options)
                ended = await follow(events, take, lambda: progress.tick(time.monotonic()), stop)
        finally:
            progress.end()
            _report(order, course)
    if not ended or course.finished is None:
        raise Interrupted(_farewell(order.arguments))
    return Exit.COMPLETE if options.dry_run or course.finished.complete else Exit.INCOMPLETE


def _load(order: _Order) -> None:
    """Imports what only carrying needs."""
    import mailhaul.engine.mirror
    import mailhaul.engine.trips  # noqa: F401 - only to have it loaded
    from mailhaul.cli.stopping import loaded
    from mailhaul.stores.registry import load

    load(order.source)
    load(order.target)
    loaded()


@contextmanager
def _keeping(directory: Path) -> Iterator[None]:
    """A ledger that can't be read or written any more is the fault of its disk (F14), not ours; so
    is a large message that finds no room to wait. Stores name the files that are theirs."""
    import sqlite3

    shown = printable(str(directory), 200)
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StateFailed(
            f"the ledger in {shown} can't be kept ({printable(str(error), 200)}); make room there "
            "or repair it, then run the same command again"
        ) from error
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        raise StateFailed(
            f"a large message finds no room in {shown}, where it waits on its way "
            f"({error.strerror}); make room there, then run the same command again"
        ) from error


def _of_earlier_passes(
    ledger: "Ledger", finished: Finished, told: Set[tuple[FolderPath, Key]]
) -> Iterator[Settled]:
    """What earlier passes could not carry and this one had no reason to try again: whatever makes
    a pass incomplete is listed by it. Those `told` are left out."""
    for row in ledger.folders():
        tally = finished.folders.get(row.source)
        if tally is None or not tally.refused + tally.missing:
            continue
        for each in ledger.left_behind(row):
            if each.source_key is not None and (row.source, each.source_key) not in told:
                yield Settled(row.source, each.source_key, each.fate, each.reason)


def _progress(order: _Order, ledger: "Ledger") -> Progress:
    return progress_for(
        order.surroundings.console,
        as_json=order.arguments.given("--json"),
        quiet=order.arguments.given("--quiet"),
        title=f"{order.source} → {order.target}",
        now=time.monotonic(),
        accounted=lambda: _accounted(ledger),
    )


def _accounted(ledger: "Ledger") -> dict[FolderPath, int]:
    return {path: sum(fates.values()) for path, fates in ledger.fates().items()}


def _report(order: _Order, course: _Course) -> None:
    """What stands at the end of standard output, however the end came."""
    console = order.surroundings.console
    if order.arguments.given("--json") or course.finished is None:
        return
    if order.arguments.given("--quiet"):
        console.show(grave_matters(course.finished, course.leftovers))
    elif order.options.dry_run:
        if course.mapped is not None:
            console.show(folder_map(course.mapped))
            some_only = order.options.since is not None
            console.show(to_be_carried(course.mapped, course.accounted, some_only=some_only))
        console.show([Line(f"note: {note}", Tone.WARNING) for note in course.finished.notes])
    else:
        console.show(accounting(course.finished, course.leftovers))
        arguments = order.arguments
        console.show(verdict(course.finished, _again(arguments), _proof(arguments)))


def _options(arguments: Arguments, surroundings: Surroundings) -> Options:
    delete = Delete(arguments.text("--delete") or Delete.NEVER)
    if delete is Delete.NEVER and arguments.values["--max-delete"] is not None:
        raise BadInput("--max-delete means something only with --delete mirror; leave it out")
    return Options(
        folders=globs_given(arguments, "--folder"),
        exclude=globs_given(arguments, "--exclude"),
        maps=maps_given(arguments),
        since=since_given(arguments, surroundings.now()),
        delete=delete,
        max_delete=arguments.number("--max-delete", Options().max_delete),
        dry_run=arguments.given("--dry-run"),
        connections=arguments.number("--connections", Options().connections),
        retry_refused=arguments.given("--retry-refused"),
        restore=arguments.given("--restore"),
    )


def _spool_directory(state: Path) -> Path:
    """Where large messages wait, in the `state` directory; both are made when missing."""
    spool = state / "spool"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadInput(
            f"the state directory {printable(str(state), 200)} can't be made or written to: "
            f"{error.strerror}; name another with --state"
        ) from error
    return spool


def _again(arguments: Arguments) -> str:
    return printable(shlex.join(("mailhaul", *arguments.line)), 2000)


def _proof(arguments: Arguments) -> str:
    """The command that verifies what was copied: of the same folders, with the same secrets."""
    words = ["mailhaul", "verify", arguments.text("SOURCE") or "", arguments.text("TARGET") or ""]
    for option in (*SELECTION.options, *PAIR_SECRETS.options):
        value = arguments.values[option.name]
        for word in value if isinstance(value, tuple) else (value,) if value is not None else ():
            words += [option.name, str(word)]
    return printable(shlex.join(words), 2000)


def _farewell(arguments: Arguments) -> str:
    kept = "" if arguments.given("--dry-run") else "; what was carried is kept"
    return f"interrupted{kept}; go on with: {_again(arguments)}"


COMMAND = Command(
    name="copy",
    summary="carry a mailbox into another one; again: what is new since",
    story=(
        "Carries every message of SOURCE into TARGET: bytes, flags, received dates, folders and "
        "subscriptions. Run again it carries what is new, from where it stood, whatever stopped "
        "it. Nothing is ever changed in SOURCE, and what was changed in TARGET since stands."
        "\n\n"
        "SOURCE and TARGET are imaps://user@host, imap+starttls://user@host, maildir:PATH, "
        "mbox:PATH or eml:PATH (docs/endpoints.md)."
    ),
    operands=(
        Operand("SOURCE", "the mailbox to read"),
        Operand("TARGET", "the mailbox to write to"),
    ),
    groups=(
        SELECTION,
        Group(
            "how it is carried",
            (
                Option(
                    "--dry-run",
                    "show which folder would go where, and what is to be carried; write nothing",
                ),
                Option(
                    "--connections",
                    "at most N connections to each side (1 unless told; more help where a server "
                    "is slow to answer, not on a slow line)",
                    "N",
                    lowest=1,
                    highest=MOST_CONNECTIONS,
                ),
                Option(
                    "--delete",
                    "never (unless told), or mirror: what is gone from the source is removed at "
                    "the target, if mailhaul wrote it there",
                    "never|mirror",
                    choices=tuple(Delete),
                ),
                Option(
                    "--max-delete",
                    "with mirror: remove nothing at all if it were more than N (100 unless told)",
                    "N",
                    lowest=0,
                ),
                Option("--retry-refused", "offer the target again what it refused before"),
                Option(
                    "--restore", "carry folders again that were removed at the target meanwhile"
                ),
                Option(
                    "--state",
                    "keep what has been carried in DIR (unless told a directory for this pair "
                    "below ~/.local/state/mailhaul)",
                    "DIR",
                ),
            ),
        ),
        PAIR_SECRETS,
        Group("output", (JSON, QUIET, DEBUG)),
    ),
    run=copy,
    examples=(
        "mailhaul copy imaps://anna@old.example imaps://anna%40new.example@mail.new.example",
        "mailhaul copy imaps://anna@old.example maildir:~/Mail --folder 'Projects/*'",
        "mailhaul copy maildir:~/Mail imaps://anna@new.example --map Sent=Archive/Sent --dry-run",
    ),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.CREDENTIALS,
        Exit.UNREACHABLE,
        Exit.FULL,
        Exit.INTERRUPTED,
    ),
)
