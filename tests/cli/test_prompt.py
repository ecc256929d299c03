"""The password prompt, at a terminal of its own."""

import os
import pty
import signal
from pathlib import Path

import pytest

from tests.cli.running import command, environment

PROMPT = b"password for the mailbox imaps://a@h.invalid: "
ENDINGS = [
    ("^C", b"\x03", 130, "interrupted"),
    ("^D", b"\x04", 2, "no password was entered"),
    ("nothing", b"\r", 2, "no password was entered"),
]


def at_terminal(words: list[str], home: Path, typed: bytes) -> tuple[int, str]:
    """Runs `mailhaul WORDS`, types that at its prompt, and gives its exit code and what was shown
    behind the prompt."""
    process, terminal = pty.fork()
    if process == 0:  # pragma: no cover - another program from here on
        # Whoever runs the tests in the background has ^C ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        line = command(words)
        os.execve(line[0], line, environment(home))
    shown = b""
    try:
        while chunk := _read(terminal):
            if PROMPT in shown + chunk and PROMPT not in shown:
                os.write(terminal, typed)
            shown += chunk
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.partition(PROMPT)[2].decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when nobody is left at the other end
        return b""


@pytest.mark.parametrize(
    ("typed", "code", "said"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS]
)
def test_what_is_said_after_the_prompt_begins_a_line(
    tmp_path: Path, typed: bytes, code: int, said: str
) -> None:
    ran, behind = at_terminal(["ls", "imaps://a@h.invalid"], tmp_path, typed)
    assert ran == code
    first, *rest = behind.replace("^C", "").splitlines()
    assert first == ""
    assert said in "\n".join(rest)
