"""Programs that an operator names, for what a control plane has no verb for: setting a password,
ending sessions.

No shell is involved: the plan's line is cut into words once, and what is filled in stays inside
its word. A secret goes to standard input and nowhere else.
"""

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable

PATIENCE = 30.0
"""Seconds that a program may take."""
_MOST_SAID = 65536
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "HOME", "TZ")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and its arguments; `{address}` and the like in them are filled in."""

    words: tuple[str, ...]

    def filled(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        """What is run. Raises `BadInput` where something filled in would be read as an option."""
        words = []
        for word in self.words:
            filled = word
            for name, value in fields.items():
                filled = filled.replace("{" + name + "}", value)
            if filled.startswith("-") and not word.startswith("-"):
                raise BadInput(
                    f"“{printable(filled, 100)}” begins with a dash, and {self.words[0]} would take"
                    " it for an option; rename the account"
                )
            words.append(filled)
        return tuple(words)


def program(line: str, fields: Collection[str]) -> Program:
    """The program that the line names, with the fields that it may use. Raises `BadInput`."""
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise BadInput(f"“{printable(line, 200)}” is no command line: {error}") from error
    if not words or not words[0].startswith("/"):
        raise BadInput(
            f"“{printable(line, 200)}” names no program; write its whole path, from / on"
        )
    for word in words:
        known = word
        for name in fields:
            known = known.replace("{" + name + "}", "")
        if "{" in known or "}" in known:
            offered = ", ".join("{" + name + "}" for name in fields)
            raise BadInput(f"“{printable(word, 100)}” can't be filled in; there are {offered}")
    return Program(words)


async def run(
    named: Program,
    fields: Mapping[str, str],
    secret: Secret | None = None,
    *,
    patience: float = PATIENCE,
) -> None:
    """Runs it to its end. Raises `Closed(FORBIDDEN)` where it can't be run or says no, by its last
    line, and `RetryLater` where it takes too long; it is ended then."""
    words = named.filled(fields)
    shown = printable(words[0], 200)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except (OSError, ValueError) as error:
        raise Closed(
            f"{shown} can't be run ({printable(str(error), 200)}); check the provider's settings",
            ClosedReason.FORBIDDEN,
        ) from error
    try:
        async with asyncio.timeout(patience):
            said = await _talked(process, secret)
            status = await process.wait()
    except TimeoutError as error:
        raise RetryLater(
            f"{shown} did not end within {patience:.0f} seconds", after=30.0
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if status:
        told = said.decode("utf-8", "replace").strip()
        lines = told.splitlines()
        last = printable(lines[-1], 200) if lines else f"it ended with {status}"
        # Looked for in what was said, not in what is shown of it: a part is too much already.
        if secret is not None and secret.reveal() and secret.reveal() in told:
            last = f"it ended with {status}"
        raise Closed(f"{shown} failed: {last}; run it by hand to see why", ClosedReason.FORBIDDEN)


async def _talked(process: asyncio.subprocess.Process, secret: Secret | None) -> bytes:
    assert process.stdin is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if secret is not None:
            process.stdin.write(secret.reveal().encode())
            await process.stdin.drain()
        process.stdin.close()
    said = b""
    while piece := await process.stderr.read(4096):
        said = (said + piece)[-_MOST_SAID:]
    return said
