"""`make demo`: a real migration on this machine, with the real command line, in under a minute.

Two embedded servers, a generated mailbox, a first pass, life at the source, a second pass, and
proof. What the folders then hold is counted by other code than mailhaul's own. Returns 0 only
when everything came out as it should.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.cells import set_cell_size

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS
from mailhaul.lab.mail import FOLDERS, SampleMessage, sample_mailbox
from mailhaul.lab.servers import EmbeddedServer, embedded_server
from mailhaul.lab.wire import Content, PlainConnection

WIDEST = 88
COUNT = 500
LATER = 12
FLAGGED: FolderPath = ("Archive",)
READ: FolderPath = ("Projekte",)
SOURCE_USER = "anna"
TARGET_USER = "anna@new.example"
PASSWORDS = ("old-password", "new-password")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the demo's migration."""

    server: EmbeddedServer
    user: str
    password: str

    @property
    def url(self) -> str:
        return self.server.url(self.user)

    def connect(self) -> PlainConnection:
        return PlainConnection(self.server.host, self.server.port, self.user, self.password)


def main() -> int:
    """Runs the demo in this terminal; 0 when all of it came out right, else 1."""
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mailhaul-demo-"))
            source, target = (
                _side(stack, name, user, password)
                for name, user, password in zip(
                    ("old.example", "new.example"),
                    (SOURCE_USER, TARGET_USER),
                    PASSWORDS,
                    strict=True,
                )
            )
            failures = _story(source, target, Path(directory))
    except MailhaulError as error:
        failures = [str(error)]
    for failure in failures:
        _say(f"WRONG: {failure}")
    seconds = time.monotonic() - started
    if failures:
        _say(f"The demo failed ({seconds:.0f} s).")
    else:
        program = os.path.relpath(Path(sys.executable).with_name("mailhaul"))
        _say(f"The demo took {seconds:.0f} s. Now with mail of your own: {program} copy --help")
    return 1 if failures else 0


def _story(source: Side, target: Side, directory: Path) -> list[str]:
    """Tells the story up to its end or its first failure; returns what went wrong."""
    # pymap says that it keeps no keywords, so that mailhaul would send none, and say so.
    sample = sample_mailbox(COUNT, keywords=False)
    size = sum(len(message.content) for message in sample) / 1e6
    with source.connect() as connection:
        for path in FOLDERS:
            if path != INBOX_PATH:
                connection.create(path)
            connection.subscribe(path)
        connection.fill(sample)
    _say(
        f"Two mail servers run on this machine. The old one holds {SOURCE_USER}'s mailbox: "
        f"{len(sample)} messages, {size:.1f} MB, in {len(FOLDERS)} folders, with attachments, "
        "twins, and messages without Message-ID or without any header. The new one holds nothing."
    )
    copy = ["copy", source.url, target.url, "--state", str(directory / "state")]
    if failures := _run(copy, source, target) or differences(source, target, len(sample)):
        return failures

    _live_on(source)
    _say(
        f"Meanwhile, at the old server: {LATER} new messages came in, and {SOURCE_USER} flagged "
        f"all of {_shown(FLAGGED)} and read all of {_shown(READ)}. The same command again carries "
        "just that."
    )
    if failures := _run(copy, source, target):
        return failures

    _say("Is it true? `verify` shares nothing with the copy: it reads both sides and compares.")
    return [
        *_run(["verify", source.url, target.url, "--deep"], source, target),
        *differences(source, target, len(sample) + LATER),
    ]


def _live_on(source: Side) -> None:
    """New mail and flag changes at the source."""
    newest = [
        SampleMessage(
            FOLDERS[number % 2],
            b"Subject: later\r\nMessage-ID: <later-%d@example.org>\r\n\r\nnew\r\n" % number,
            NO_FLAGS,
            datetime(2026, 1, 5, 9, number, tzinfo=UTC),
        )
        for number in range(LATER)
    ]
    with source.connect() as connection:
        connection.fill(newest)
        connection.store(FLAGGED, "1:* +FLAGS (\\Flagged)")
        connection.store(READ, "1:* +FLAGS (\\Seen)")


def differences(source: Side, target: Side, expected: int) -> list[str]:
    """Counts both sides by the lab's own plain connection, shows it, returns what differs."""
    with source.connect() as connection:
        before = {path: connection.content(path) for path in FOLDERS}
    with target.connect() as connection:
        after = {path: connection.content(path) for path in FOLDERS}
    _say("Counted by other code than mailhaul's (the SHA-256 of every message, and its flags):")
    print(f"  {'folder':<46}{'old':>6}{'new':>6}")
    for path in FOLDERS:
        same = "the same" if before[path] == after[path] else "DIFFERENT"
        old, new = len(before[path].messages), len(after[path].messages)
        print(f"  {set_cell_size(_shown(path), 46)}{old:>6}{new:>6}  {same}")
    failures = [
        f"{_shown(path)} is not the same on both sides"
        for path in FOLDERS
        if before[path] != after[path]
    ]
    total = _total(after)
    print(f"  {'together':<46}{_total(before):>6}{total:>6}", flush=True)
    if total != expected:
        failures.append(f"the new server holds {total} messages, and should hold {expected}")
    return failures


def _total(contents: dict[FolderPath, Content]) -> int:
    return sum(len(content.messages) for content in contents.values())


def _run(arguments: Sequence[str], source: Side, target: Side) -> list[str]:
    """Runs the real command line in this terminal; says what went wrong."""
    print(f"\n$ mailhaul {shlex.join(arguments)}\n", flush=True)
    # The passwords go where a script would put them; they are never on a command line.
    finished = subprocess.run(  # noqa: S603 - our own module, our own arguments
        [sys.executable, "-m", "mailhaul.cli", *arguments],
        check=False,
        env={
            **os.environ,
            "MAILHAUL_SOURCE_PASSWORD": source.password,
            "MAILHAUL_TARGET_PASSWORD": target.password,
        },
    )
    if finished.returncode:
        return [f"mailhaul {arguments[0]} ended with exit code {finished.returncode}"]
    return []


def _side(stack: ExitStack, name: str, user: str, password: str) -> Side:
    server = stack.enter_context(embedded_server(name))
    server.add_user(user, password)
    return Side(server, user, password)


def _shown(path: FolderPath) -> str:
    return "/".join(path)


def _say(text: str) -> None:
    width = min(shutil.get_terminal_size().columns, WIDEST)
    print(f"\n{textwrap.fill(text, width, break_on_hyphens=False)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
