"""`mailhaul doctor`: connects step by step, and says what fails and where the switch is (F8)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Json, Line, Tone
from mailhaul.cli.exits import Exit, exit_for
from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Command, Group, Operand
from mailhaul.cli.sides import (
    DEBUG,
    JSON,
    LONE_SECRETS,
    check_endpoint,
    lone_credentials,
    lone_endpoint,
)
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.switches import login_cures, system_of
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import MailhaulError

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop

# ruff: noqa: PLC0415 - what opens sockets and files is imported once the command line is good.


_EXITS = {"login": Exit.CREDENTIALS, "mailbox": Exit.CREDENTIALS}
"""Steps that fail for what the account may; the others fail on the way to it."""


_REFUSED = "refused the login"
"""What `imap` says when it was the server that did not want user and password."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One step: what was tried, whether it worked, what was seen, and what to do about it."""

    name: str
    ok: bool
    detail: str = ""
    cures: tuple[str, ...] = ()
    exit: Exit = Exit.COMPLETE


def doctor(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Examines ENDPOINT and gives the exit code of the first step that failed."""
    endpoint = lone_endpoint(arguments)
    if not endpoint.is_file:
        check_endpoint(endpoint, "source")
    credentials = lone_credentials(arguments, endpoint, surroundings)

    from mailhaul.cli.stopping import run

    async def work(stop: "Stop") -> Exit:
        return await _examine(arguments, surroundings, endpoint, credentials)

    return run(work, surroundings.console, "interrupted; nothing was changed", grace=0.0)


async def _examine(
    arguments: Arguments, surroundings: Surroundings, endpoint: Endpoint, credentials: Credentials
) -> Exit:
    as_json = arguments.given("--json")
    steps = _path_steps(endpoint) if endpoint.is_file else _server_steps(endpoint, credentials)
    code = Exit.COMPLETE
    if not as_json:
        system = system_of(endpoint.host)
        known = f" ({system.system})" if system is not None else ""
        surroundings.console.show([Line(f"{endpoint}{known}", Tone.HEADING)])
    async for step in steps:
        if not step.ok and code is Exit.COMPLETE:
            code = step.exit
        if as_json:
            surroundings.console.json(step_line(step))
        else:
            surroundings.console.show(step_lines(step))
    if as_json:
        surroundings.console.json(diagnosis_line(code))
    elif code is Exit.COMPLETE:
        surroundings.console.show([Line("all is well; mailhaul ls shows what is there", Tone.GOOD)])
    return code


def step_lines(step: Examined) -> list[Line]:
    """One step for a person."""
    mark, tone = ("✓", Tone.GOOD) if step.ok else ("✗", Tone.BAD)
    detail = f": {step.detail}" if step.detail else ""
    lines = [Line(f"{mark} {step.name}{detail}", tone if not step.ok else Tone.PLAIN)]
    lines += [Line(f"    → {cure}", Tone.WARNING) for cure in step.cures]
    return lines


def step_line(step: Examined) -> dict[str, Json]:
    """One step for `--json`."""
    return {
        "event": "step",
        "name": step.name,
        "ok": step.ok,
        "detail": step.detail,
        "cures": list(step.cures),
    }


def diagnosis_line(code: Exit) -> dict[str, Json]:
    """The end for `--json`."""
    return {"event": "diagnosis", "ok": code is Exit.COMPLETE, "exit": code.value}


async def _server_steps(endpoint: Endpoint, credentials: Credentials) -> AsyncIterator[Examined]:
    from mailhaul.stores.imap_probe import probe

    async for step in probe(endpoint, credentials):
        cures = (step.cure,) if step.cure else ()
        if step.ok:
            yield Examined(step.name, True, step.detail, cures)
            continue
        code = _EXITS.get(step.name, Exit.UNREACHABLE)
        if code is Exit.CREDENTIALS:
            detail = "; ".join(text for text in (step.detail, step.cure) if text)
            # At a system nobody knows general advice only helps when a password was refused.
            known = system_of(endpoint.host) is not None
            general = credentials.password is not None and _REFUSED in step.detail
            where = login_cures(endpoint.host) if known or general else ()
            yield Examined(step.name, False, detail, where, code)
        else:
            yield Examined(step.name, False, step.detail, cures, code)


async def _path_steps(endpoint: Endpoint) -> AsyncIterator[Examined]:
    from mailhaul.stores.registry import check, open_source

    try:
        check(endpoint, "source")
        source = open_source(endpoint)
        await source.open()
        try:
            folders = await source.folders()
        finally:
            await source.close()
    except MailhaulError as error:
        yield Examined("it can be read", False, str(error), exit=exit_for(error))
    else:
        total = sum(folder.count or 0 for folder in folders)
        counted = any(folder.count is not None for folder in folders)
        held = f", {plural(total, 'message')}" if counted else ""
        yield Examined("it can be read", True, f"{plural(len(folders), 'folder')}{held}")
    try:
        check(endpoint, "target")
    except MailhaulError as error:
        yield Examined("it can be written", False, str(error), exit=exit_for(error))
    else:
        yield Examined("it can be written", True)


COMMAND = Command(
    name="doctor",
    summary="connect step by step and say what fails and where the switch is",
    story=(
        "Goes to the mailbox ENDPOINT one step at a time (name, connection, TLS, login, folders) "
        "and says in plain words what fails, and what to switch on or to ask for, and where. "
        "Changes nothing."
        "\n\n"
        "ENDPOINT is imaps://user@host, imap+starttls://user@host, maildir:PATH, mbox:PATH or "
        "eml:PATH (docs/endpoints.md)."
    ),
    operands=(Operand("ENDPOINT", "the mailbox to examine"),),
    groups=(LONE_SECRETS, Group("output", (JSON, DEBUG))),
    run=doctor,
    examples=("mailhaul doctor imaps://anna%40gmail.com@imap.gmail.com",),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.CREDENTIALS,
        Exit.UNREACHABLE,
        Exit.INTERRUPTED,
    ),
)
