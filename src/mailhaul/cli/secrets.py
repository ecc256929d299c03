"""Where a password or token comes from; never from the command line (docs/secrets.md).

Asked in this order, the first that answers counts: the login by OAuth 2, the token command, the
password file, the environment variable, the keyring, the prompt. What is found is made known to the
scrubber before anything else sees it.
"""

import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
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
    oauth_option: str
    file: str | None = None
    token_command: str | None = None
    oauth: str | None = None


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
    given = [
        option
        for option, value in (
            (ways.file_option, ways.file),
            (ways.token_option, ways.token_command),
            (ways.oauth_option, ways.oauth),
        )
        if value is not None
    ]
    if endpoint.is_file:
        if given:
            raise BadInput(f"{endpoint} needs no password; leave {given[0]} out")
        return Credentials()
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} exclude each other; give one")
    # With `admin` it is that account's password that opens the mailbox (F7).
    login = replace(endpoint, user=endpoint.options.get("admin") or endpoint.user)
    if ways.oauth is not None:
        return _from_login(ways.oauth, login.user, environ, scrubber)
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


def _from_login(
    text: str, user: str, environ: Mapping[str, str], scrubber: Scrubber
) -> Credentials:
    """What `mailhaul oauth login` has kept under that name. Raises `Closed`."""
    from mailhaul.vault.oauth_tokens import Tokens, no_login  # noqa: PLC0415 - few log in so
    from mailhaul.vault.references import login_by_token  # noqa: PLC0415
    from mailhaul.vault.usual import usual_vault  # noqa: PLC0415

    name, _, person = text.partition("/")
    vault = usual_vault(environ, _ask_passphrase)
    if vault is None:
        raise no_login(name)
    tokens = Tokens(vault, learn=scrubber.learn)
    return login_by_token(tokens, name, person, lambda secret: scrubber.learn(secret, user))


def _ask_passphrase() -> str:
    if not sys.stdin.isatty():
        return ""
    import getpass  # noqa: PLC0415 - only a person at a terminal needs it

    try:
        return getpass.getpass("the vault's passphrase: ")
    except EOFError:
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
