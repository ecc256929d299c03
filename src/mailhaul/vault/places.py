"""Reading a secret where it lies: a file, the keyring, a program that prints a token.

The command line (`cli.secrets`) and plans (`vault.references`) read alike. `label` is what a person
called the place (`--password-file`, `file:…`); it leads every error. No error holds a secret.
"""

import os
import shlex
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret, printable

LONGEST = 64 * 1024
"""Octets of a password file; whoever names a larger one means another file."""


def password_in_file(path: Path, label: str, warn: Callable[[str], None]) -> str:
    """The first line of the file, without its line end. Warns when others can read it. Raises
    `BadInput` when there is no file, or no usable first line."""
    shown = printable(str(path), 200)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(LONGEST + 1)
    except OSError as error:
        raise BadInput(
            f"{label}: {shown} can't be read: {error.strerror}; give a file that you can read"
        ) from error
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        warn(f"{shown} can be read by others on this machine; run chmod 600 {shlex.quote(shown)}")
    if len(raw) > LONGEST:
        raise BadInput(f"{label}: {shown} is too long to be a password file")
    try:
        # Editors on Windows put a byte order mark first; no password begins with one.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{label}: {shown} is not UTF-8; write it as UTF-8") from error
    password = text.partition("\n")[0].removesuffix("\r")
    if not password:
        raise BadInput(f"{label}: {shown} is empty; write the password on its first line")
    return password


def password_in_keyring(service: str, user: str, warn: Callable[[str], None]) -> str:
    """What the keyring holds; empty when it holds nothing, or there is no keyring. Warns when
    there is one that can't be read."""
    import keyring  # noqa: PLC0415 - it takes 100 ms, and most runs have a file or a variable
    from keyring.errors import KeyringError, NoKeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(service, user) or ""
    except NoKeyringError:
        return ""
    except KeyringError as error:
        warn(f"the keyring can't be read: {printable(str(error), 200)}")
        return ""


def is_sendable(password: str) -> bool:
    """Whether any server could be told it (RFC 4616 2; a line end would end the command)."""
    return not any(character in password for character in "\0\r\n")


def command_words(command: str, label: str) -> list[str]:
    """The words of a token command, split as a shell does. Raises `BadInput` when they can't be
    run at all."""
    import shutil  # noqa: PLC0415 - only token commands need it

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"{label}: a quote is not closed; write it as for a shell") from error
    if not words:
        raise BadInput(f"{label} is empty; name a program that prints a token")
    if shutil.which(words[0]) is None:
        raise BadInput(f"{label}: there is no program {printable(words[0], 120)}; give its path")
    return words


async def token_of_command(
    words: Sequence[str],
    label: str,
    deadline: float,
    *,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Secret:
    """The token that the program prints within `deadline` seconds. No shell runs it, and nothing
    is on its standard input. Raises `Closed` when it prints none."""
    import asyncio  # noqa: PLC0415 - who gives wrong options shouldn't wait for it

    def failed(why: str) -> Closed:
        return Closed(
            f"{label} {why}; run it by hand and see what it prints", ClosedReason.CREDENTIALS
        )

    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=directory,
            env=environ,
        )
    except OSError as error:
        raise failed(f"can't be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(deadline):
            output, complaint = await process.communicate()
    except TimeoutError as error:
        raise failed(f"has not ended after {deadline:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = complaint.strip().rpartition(b"\n")[2]
        said = f", saying “{printable(last, 200)}”" if last else ""
        raise failed(f"ended with {process.returncode}{said}")
    token = output.strip()
    # RFC 6750 2.1: a token is made of visible ASCII; anything else would be a page of help.
    if not token or not all(0x21 <= octet <= 0x7E for octet in token):
        raise failed("printed no token")
    return Secret(token.decode("ascii"))
