"""Where a password or token comes from; never from the command line (docs/secrets.md).

Asked in this order, the first that answers counts: the token command, the password file, the
environment variable, the keyring, the prompt. What is found is made known to the scrubber before
anything else sees it.
"""

import shlex
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mailhaul.cli.scrub import Scrubber
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput, Closed, RetryLater
from mailhaul.core.text import Secret
from mailhaul.vault.places import (
    command_words,
    is_sendable,
    password_in_file,
    password_in_keyring,
    token_of_command,
)

KEYRING_SERVICE = "mailhaul"
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
        words = command_words(ways.token_command, ways.token_option)
        return Credentials(token=_token_from(words, ways, login.user, scrubber))
    found = (
        _from_file(ways, warn)
        or variable
        or password_in_keyring(KEYRING_SERVICE, str(login), warn)
        or _from_prompt(login, ways)
    )
    secret = Secret(found)
    scrubber.learn(secret, login.user)
    if not is_sendable(found):
        raise BadInput(
            f"the password for the {ways.title} holds a line end or NUL, which no server takes; "
            "look where it comes from"
        )
    return Credentials(password=secret)


def _from_file(ways: Ways, warn: Callable[[str], None]) -> str:
    """The first line of the password file; empty without one."""
    if ways.file is None:
        return ""
    return password_in_file(Path(ways.file).expanduser(), ways.file_option, warn)


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


def _token_from(
    words: list[str], ways: Ways, user: str, scrubber: Scrubber
) -> Callable[[], Awaitable[Secret]]:
    """Runs the command at every login, for a token may have expired since the last one (F1)."""
    worked = False

    async def token() -> Secret:
        nonlocal worked
        try:
            secret = await token_of_command(words, ways.token_option, TOKEN_DEADLINE)
        except Closed as error:
            if not worked:
                raise
            # It did work; what is wrong may pass (an issuer that can't be reached).
            raise RetryLater(str(error), after=TOKEN_PAUSE) from error
        worked = True
        scrubber.learn(secret, user)
        return secret

    return token
