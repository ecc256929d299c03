"""Where a password or token comes from; never from the command line (docs/secrets.md).

Asked in this order, the first that answers counts: the token command, the password file, the
environment variable, the keyring, the prompt. What is found is made known to the scrubber before
anything else sees it.
"""

import os
import shlex
import stat
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mailhaul.cli.scrub import Scrubber
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable

KEYRING_SERVICE = "mailhaul"
LONGEST = 64 * 1024
TOKEN_DEADLINE = 60.0
TOKEN_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Ways:
    """Where the secret of one mailbox may lie. `title` says which mailbox, to a person."""

    title: str
    variable: str
    file_option: str
    token_option: str
    file: str | None = None
    token_command: str | None = None


def credentials_for(
    endpoint: Endpoint,
    ways: Ways,
    environ: MutableMapping[str, str],
    scrubber: Scrubber,
    warn: Callable[[str], None],
) -> Credentials:
    """What logs in to `endpoint`, before any connection is opened.

    The variable is taken out of `environ`, so that no program started later inherits it. Waits for
    a person at the prompt. Raises `BadInput` when there is nothing, or nothing usable.
    """
    variable = environ.pop(ways.variable, "")
    if endpoint.is_file:
        if ways.file is not None or ways.token_command is not None:
            option = ways.file_option if ways.file is not None else ways.token_option
            raise BadInput(f"{endpoint} needs no password; leave {option} out")
        return Credentials()
    if ways.file is not None and ways.token_command is not None:
        raise BadInput(f"{ways.file_option} and {ways.token_option} exclude each other; give one")
    # With `admin` it is that account's password that opens the mailbox (F7).
    login = replace(endpoint, user=endpoint.options.get("admin") or endpoint.user)
    if ways.token_command is not None:
        words = _command_words(ways)
        return Credentials(token=_token_from(words, ways, login.user, scrubber))
    found = (
        _from_file(ways, warn)
        or variable
        or _from_keyring(login, warn)
        or _from_prompt(login, ways)
    )
    secret = Secret(found)
    scrubber.learn(secret, login.user)
    if "\0" in found or "\r" in found or "\n" in found:
        raise BadInput(
            f"the password for the {ways.title} holds a line end or NUL, which no server takes; "
            "look where it comes from"
        )
    return Credentials(password=secret)


def _from_file(ways: Ways, warn: Callable[[str], None]) -> str:
    """The first line of the password file; empty without one."""
    if ways.file is None:
        return ""
    path = Path(ways.file).expanduser()
    shown = printable(str(path), 200)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(LONGEST + 1)
    except OSError as error:
        raise BadInput(
            f"{ways.file_option}: {shown} can't be read: {error.strerror}; give a file that you "
            "can read"
        ) from error
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        warn(f"{shown} can be read by others on this machine; run chmod 600 {shlex.quote(shown)}")
    if len(raw) > LONGEST:
        raise BadInput(f"{ways.file_option}: {shown} is too long to be a password file")
    try:
        # Editors on Windows put a byte order mark first; no password begins with one.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{ways.file_option}: {shown} is not UTF-8; write it as UTF-8") from error
    password = text.partition("\n")[0].removesuffix("\r")
    if not password:
        raise BadInput(
            f"{ways.file_option}: {shown} is empty; write the password on its first line"
        )
    return password


def _from_keyring(endpoint: Endpoint, warn: Callable[[str], None]) -> str:
    """What the keyring holds for this login; empty when there is none, or no keyring."""
    import keyring  # noqa: PLC0415 - it takes 100 ms, and most runs have a file or a variable
    from keyring.errors import KeyringError, NoKeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(KEYRING_SERVICE, str(endpoint)) or ""
    except NoKeyringError:
        return ""
    except KeyringError as error:
        warn(f"the keyring can't be read: {printable(str(error), 200)}")
        return ""


def _from_prompt(endpoint: Endpoint, ways: Ways) -> str:
    if not sys.stdin.isatty():
        raise BadInput(
            f"no password for the {ways.title} {endpoint}; give {ways.file_option} FILE, set "
            f"{ways.variable}, or store it: keyring set {KEYRING_SERVICE} "
            f"{shlex.quote(str(endpoint))}"
        )
    import getpass  # noqa: PLC0415 - only a person at a terminal needs it

    try:
        answer = getpass.getpass(f"password for the {ways.title} {endpoint}: ")
    except EOFError:
        _end_prompt()
        answer = ""
    except KeyboardInterrupt:
        _end_prompt()
        raise
    if not answer:
        raise BadInput(f"no password was entered for the {ways.title} {endpoint}; try again")
    return answer


def _end_prompt() -> None:
    """After ^C and ^D the terminal still stands behind the prompt."""
    with suppress(OSError), Path("/dev/tty").open("w") as terminal:
        terminal.write("\n")


def _command_words(ways: Ways) -> list[str]:
    import shutil  # noqa: PLC0415 - only token commands need it

    assert ways.token_command is not None
    try:
        words = shlex.split(ways.token_command)
    except ValueError as error:
        raise BadInput(
            f"{ways.token_option}: a quote is not closed; write it as for a shell"
        ) from error
    if not words:
        raise BadInput(f"{ways.token_option} is empty; name a program that prints a token")
    if shutil.which(words[0]) is None:
        raise BadInput(
            f"{ways.token_option}: there is no program {printable(words[0], 120)}; give its path"
        )
    return words


def _token_from(
    words: list[str], ways: Ways, user: str, scrubber: Scrubber
) -> Callable[[], Awaitable[Secret]]:
    """Runs the command at every login, for a token may have expired since the last one (F1)."""
    worked = False

    async def token() -> Secret:
        nonlocal worked
        try:
            secret = await _run(words, ways)
        except Closed as error:
            if not worked:
                raise
            # It did work; what is wrong may pass (an issuer that can't be reached).
            raise RetryLater(str(error), after=TOKEN_PAUSE) from error
        worked = True
        scrubber.learn(secret, user)
        return secret

    return token


async def _run(words: list[str], ways: Ways) -> Secret:
    import asyncio  # noqa: PLC0415 - who gives wrong options shouldn't wait for it

    def failed(why: str) -> Closed:
        return Closed(
            f"{ways.token_option} {why}; run it by hand and see what it prints",
            ClosedReason.CREDENTIALS,
        )

    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise failed(f"can't be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(TOKEN_DEADLINE):
            output, complaint = await process.communicate()
    except TimeoutError as error:
        raise failed(f"has not ended after {TOKEN_DEADLINE:.0f} s") from error
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
