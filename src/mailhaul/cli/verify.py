"""`mailhaul verify`: proves from outside that a target holds what its source holds."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit, Interrupted
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.progress import SilentProgress, progress_for
from mailhaul.cli.proof import (
    AsPass,
    Findings,
    grave_findings,
    only_unread,
    proof,
    proof_lines,
)
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
from mailhaul.engine.verdict import Verdict, Verified, VerifyEvent, VerifyOptions

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop

# ruff: noqa: PLC0415 - what opens sockets and files is imported once the command line is good.


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done, known to be good."""

    arguments: Arguments
    surroundings: Surroundings
    options: VerifyOptions
    source: Endpoint
    target: Endpoint
    credentials: tuple[Credentials, Credentials]


def verify(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Compares SOURCE and TARGET and says what TARGET lacks.

    Raises `BadInput`, `Closed`, and `Interrupted` when asked to stop.
    """
    source, target = pair_given(arguments)
    options = VerifyOptions(
        deep=arguments.given("--deep"),
        folders=globs_given(arguments, "--folder"),
        exclude=globs_given(arguments, "--exclude"),
        maps=maps_given(arguments),
        since=since_given(arguments, surroundings.now()),
    )
    for endpoint in (source, target):
        check_endpoint(endpoint, "source")
    credentials = pair_credentials(arguments, source, target, surroundings)
    order = _Order(arguments, surroundings, options, source, target, credentials)

    from mailhaul.cli.stopping import run

    return run(lambda stop: _prove(order, stop), surroundings.console, _FAREWELL)


async def _prove(order: _Order, stop: "Stop") -> Exit:
    from mailhaul.cli.stopping import closing, follow, loaded
    from mailhaul.engine.verify import verify as compare
    from mailhaul.stores.registry import open_source

    console = order.surroundings.console
    as_json, quiet = order.arguments.given("--json"), order.arguments.given("--quiet")
    progress = progress_for(
        console,
        as_json=False,
        quiet=quiet or as_json,
        title=f"{order.source} ≟ {order.target}",
        now=time.monotonic(),
        accounted=dict,
    )
    findings = Findings()
    translation = AsPass(order.options.deep)

    def take(event: VerifyEvent) -> None:
        findings.take(event)
        if as_json and (not quiet or isinstance(event, Verified)):
            for line in proof_lines(event):
                console.json(line)
        if not isinstance(progress, SilentProgress):
            for told in translation.events(event):
                progress.take(told, time.monotonic())

    source = open_source(order.source, order.credentials[0])
    # Opened as a source: whatever is asked of it, it has no verb that writes.
    target = open_source(order.target, order.credentials[1])
    loaded()
    try:
        async with closing(source, target):
            events = compare(source, target, order.options)
            ended = await follow(events, take, lambda: progress.tick(time.monotonic()), stop)
    finally:
        progress.end()
    verdict = findings.verdict
    if not ended or verdict is None:
        raise Interrupted(_FAREWELL)
    if not as_json and quiet:
        console.show(grave_findings(findings, verdict))
    elif not as_json:
        notices = (*source.traffic.notices, *target.traffic.notices)
        console.show(proof(findings, verdict, tuple(notices)))
    return exit_of(verdict)


def exit_of(verdict: Verdict) -> Exit:
    """The exit code that `verdict` calls for."""
    if verdict.equal:
        return Exit.COMPLETE
    if verdict.problems:
        return Exit.USAGE
    return Exit.INCOMPLETE if only_unread(verdict) else Exit.DIFFERENT


_FAREWELL = "interrupted; nothing was changed, and nothing is proven"

COMMAND = Command(
    name="verify",
    summary="prove that a target holds what its source holds",
    story=(
        "Compares TARGET with SOURCE from outside, without what copy has noted down: that every "
        "message is there, with its flags, its received date, in its folder; with --deep also "
        "that every octet is the same. Tells what is missing, altered (by what), doubled or "
        "extra. Changes nothing on either side."
        "\n\n"
        "A copy made with --folder, --exclude, --map or --since is verified with the same. SOURCE "
        "and TARGET are imaps://user@host, imap+starttls://user@host, maildir:PATH, mbox:PATH or "
        "eml:PATH (docs/endpoints.md)."
    ),
    operands=(
        Operand("SOURCE", "the mailbox that was copied"),
        Operand("TARGET", "the mailbox that it was copied to"),
    ),
    groups=(
        Group(
            "how closely",
            (Option("--deep", "read both sides' messages and compare every octet"),),
        ),
        SELECTION,
        PAIR_SECRETS,
        Group("output", (JSON, QUIET, DEBUG)),
    ),
    run=verify,
    examples=(
        "mailhaul verify imaps://anna@old.example imaps://anna%40new.example@mail.new.example",
        "mailhaul verify imaps://anna@old.example maildir:~/Mail --deep",
    ),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.CREDENTIALS,
        Exit.UNREACHABLE,
        Exit.DIFFERENT,
        Exit.INTERRUPTED,
    ),
)
