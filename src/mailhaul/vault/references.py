"""References to secrets, as plans hold them: where a secret lies, never the secret itself.

    file:PATH              the file's first line; PATH is relative to the plan's directory
    env:NAME               a variable of the process that logs in
    keyring:SERVICE/USER   the desktop's or the system's keyring
    vault:NAME             mailhaul's own sealed file (`vault.sealed`)
    oauth:NAME             a login by OAuth 2 (`vault.oauth`), or oauth:NAME/PERSON
    command:WORDS          a program that prints an OAuth 2 access token, run at every login

They are resolved at the moment of a login, so that a secret that was changed meanwhile is found.
"""

import asyncio
import hashlib
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth import PREFIX, kept_grant
from mailhaul.vault.oauth_tokens import Tokens, no_login
from mailhaul.vault.places import (
    command_words,
    is_sendable,
    password_in_file,
    password_in_keyring,
    token_of_command,
)
from mailhaul.vault.sealed import Vault

TOKEN_DEADLINE = 60.0
TOKEN_PAUSE = 30.0
_OURS = "MAILHAUL_"
"""Variables of that name are kept from token commands: the vault's key is among them."""
_FORMS = "file:PATH, env:NAME, keyring:SERVICE/USER, vault:NAME, oauth:NAME or command:WORDS"


class Kind(StrEnum):
    """The places a secret can lie in."""

    FILE = "file"
    ENV = "env"
    KEYRING = "keyring"
    VAULT = "vault"
    OAUTH = "oauth"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret lies; `str()` is as it is written in a plan, and safe to show."""

    kind: Kind
    place: str

    def __str__(self) -> str:
        return printable(f"{self.kind.value}:{self.place}", 300)


def parse_reference(text: str) -> Reference:
    """The reference that `text` writes. Raises `BadInput`, which never repeats a text that is no
    reference: it may well be the password itself."""
    kind, colon, place = text.strip().partition(":")
    if not colon or kind not in {each.value for each in Kind}:
        raise BadInput(
            f"what stands there is no reference to a secret (and is not shown); write {_FORMS}, "
            "and never the secret itself"
        )
    reference = Reference(Kind(kind), place.strip())
    if not reference.place:
        raise BadInput(f"{kind}: names nothing; write {_FORMS}")
    if reference.kind is Kind.KEYRING and not all(place.partition("/")):
        raise BadInput(f"{reference} names no user; write keyring:SERVICE/USER")
    if reference.kind is Kind.OAUTH and (place.startswith("/") or place.endswith("/")):
        raise BadInput(
            "that login has no name, or acts for nobody; write oauth:NAME or oauth:NAME/PERSON"
        )
    if reference.kind is Kind.COMMAND:
        try:
            shlex.split(place)
        except ValueError as error:
            raise BadInput("command: a quote is not closed; write it as for a shell") from error
    return reference


async def resolve(
    reference: Reference | str,
    directory: Path,
    environ: Mapping[str, str],
    vault: Vault | None,
    *,
    tokens: Tokens | None = None,
    learn: Callable[[Secret], None] = lambda secret: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Credentials:
    """What the reference leads to now; for a command a token source that runs it at every login,
    for `oauth:` one that `tokens` keeps in time.

    Relative paths count from `directory`. `tokens` are the vault's, for all logins of a process;
    without them each login has its own. `learn` is told every secret before it is used, for the
    scrubber; `warn` what a person should know. Raises `Closed` (credentials) for what is no
    reference, and when there is nothing usable at that place, or not now.
    """
    if isinstance(reference, str):
        try:
            reference = parse_reference(reference)
        except BadInput as error:
            raise Closed(str(error), ClosedReason.CREDENTIALS) from error
    if reference.kind is Kind.COMMAND:
        return Credentials(token=_token_source(reference, directory, environ, learn))
    if reference.kind is Kind.OAUTH:
        if tokens is None and vault is not None:
            tokens = Tokens(vault, learn=learn)
        name, _, person = reference.place.partition("/")
        if tokens is None:
            raise no_login(name)
        return await asyncio.to_thread(login_by_token, tokens, name, person, learn)
    # A keyring may ask a service, and opening a vault takes a moment by design.
    try:
        found = await asyncio.to_thread(_found, reference, directory, environ, vault, warn)
    except BadInput as error:
        raise Closed(str(error), ClosedReason.CREDENTIALS) from error
    secret = Secret(found)
    learn(secret)
    if not is_sendable(found):
        raise Closed(
            f"{reference} holds a line end or NUL, which no server takes; look where it comes from",
            ClosedReason.CREDENTIALS,
        )
    return Credentials(password=secret)


def login_by_token(
    tokens: Tokens, name: str, person: str, learn: Callable[[Secret], None]
) -> Credentials:
    """Whoever logs in gets the token of that moment, and another one if a server refuses it. Opens
    the vault, and raises `Closed` where nobody has logged in under that name."""
    last: Secret | None = None

    async def token() -> Secret:
        nonlocal last
        found = await tokens.token(name, person)
        if last is None or found.reveal() != last.reveal():
            learn(found)
        last = found
        return found

    async def another() -> bool:
        return last is not None and await tokens.another(name, last, person)

    return Credentials(token=token, another=another, mark=_mark(tokens.vault, name))


def fingerprint(credentials: Credentials, salt: bytes) -> str | None:
    """By which it can be told that a secret has changed, without keeping it: equal for equal
    secrets and salts, 32 hexadecimal digits. Slow to make (some 10 ms), so that guessing at it is
    slow as well. None where it can't be known: for tokens, which differ at each login."""
    if credentials.password is None:
        return None
    # RFC 7914; 4 MiB and some 10 ms, for a thousand mailboxes may wait and be looked at a minute.
    octets = credentials.password.reveal().encode(errors="surrogatepass")
    return hashlib.scrypt(octets, salt=salt, n=4096, r=8, p=1, dklen=16).hex()


def _found(
    reference: Reference,
    directory: Path,
    environ: Mapping[str, str],
    vault: Vault | None,
    warn: Callable[[str], None],
) -> str:
    """The secret itself. Raises `BadInput`; waits for files and services."""
    place = reference.place
    match reference.kind:
        case Kind.FILE:
            return password_in_file(directory / Path(place).expanduser(), "file", warn)
        case Kind.ENV:
            if found := environ.get(place, ""):
                return found
            raise BadInput(
                f"{reference}: that variable is not set where this runs; set it there, "
                "or use a file or the vault"
            )
        case Kind.KEYRING:
            service, _, user = place.partition("/")
            problems: list[str] = []
            if found := password_in_keyring(service, user, problems.append):
                return found
            why = "; ".join(problems) or "the keyring holds nothing there"
            raise BadInput(f"{reference}: {why}; store it: keyring set {printable(service)} …")
        case _:
            return _in_vault(reference, vault)


def _mark(vault: Vault, name: str) -> str:
    """That of the login. Raises `Closed`, before anything is connected, where nobody has logged in
    under that name."""
    try:
        grant = kept_grant(vault, name)
    except BadInput as error:
        raise Closed(str(error), ClosedReason.CREDENTIALS) from error
    if grant is None:
        raise no_login(name)
    return grant.mark


def _in_vault(reference: Reference, vault: Vault | None) -> str:
    if vault is None:
        raise BadInput(f"{reference}: there is no vault here; mailhaul vault set makes one")
    if reference.place.startswith(PREFIX):
        raise BadInput(f"{reference} is no password; write {printable(reference.place, 200)}")
    secret = vault.get(reference.place)
    if secret is None:
        raise BadInput(
            f"{reference}: the vault holds nothing of that name; mailhaul vault set puts it there"
        )
    return secret.reveal()


def _token_source(
    reference: Reference,
    directory: Path,
    environ: Mapping[str, str],
    learn: Callable[[Secret], None],
) -> Callable[[], Awaitable[Secret]]:
    """Runs the command at every login, for a token may have expired since the last one (F1)."""
    worked = False
    label = "the token command"
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}

    async def token() -> Secret:
        nonlocal worked
        try:
            words = command_words(reference.place, label)
            secret = await token_of_command(
                words, label, TOKEN_DEADLINE, directory=directory, environ=kept
            )
        except BadInput as error:
            raise Closed(str(error), ClosedReason.CREDENTIALS) from error
        except Closed as error:
            if not worked:
                raise
            # It did work; what is wrong may pass (an issuer that can't be reached).
            raise RetryLater(str(error), after=TOKEN_PAUSE) from error
        worked = True
        learn(secret)
        return secret

    return token
