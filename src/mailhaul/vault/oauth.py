"""What mailhaul keeps of an OAuth 2 login: who lets in, as whom, for what, and the tokens.

A grant is one entry of the vault (`oauth:NAME`), so that a refresh token and what it was exchanged
for are replaced together, or not at all. docs/oauth.md; RFC 6749, RFC 9700.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.vault.sealed import Vault

PREFIX = "oauth:"
LONGEST_NAME = 100
FORMAT = "mailhaul grant 1"
RENEWED_AT = 0.8
"""Of a token's life (failure-modes F1): what is left is for an issuer that is away for a while."""
SPARE = 30.0
"""Seconds before its end from which on a token isn't given any more: it has to get there."""
_SET_BACK = 60.0


class Flow(StrEnum):
    """How the first token was come by, and so how the next ones are."""

    BROWSER = "browser"
    DEVICE = "device"
    CLIENT = "client"
    SERVICE = "service account"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who gives tokens, and where it is asked. `inside`: a person has said that it may lie in the
    operator's own network. `basic`: a client's secret goes into a header (RFC 6749 2.3.1)."""

    name: str
    token: str
    authorize: str = ""
    device: str = ""
    revoke: str = ""
    tells_itself: bool = False
    basic: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """Whom the issuer knows mailhaul as. `key` is a private key in PEM, and `key_id` what the
    issuer knows it by: for `Flow.SERVICE` the key's id, else its certificate's SHA-256."""

    id: str
    secret: Secret | None = None
    key: Secret | None = None
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A login that lasts. `account` is who logged in, or is acted for, where that was said. `asked`
    is when (POSIX time) the access token was asked for, and `life` how many seconds it lasts.
    `mark` is another one for each time that somebody logged in, and is no secret."""

    flow: Flow
    issuer: Issuer
    client: Client
    scope: str
    account: str = ""
    refresh: Secret | None = None
    access: Secret | None = None
    asked: float = 0.0
    life: float = 0.0
    mark: str = ""

    def is_fresh(self, now: float) -> bool:
        """Whether its access token is to be used as it is. None is that was asked for in the
        future: the clock was set back, and nobody knows how old it is."""
        if self.access is None or now < self.asked - _SET_BACK:
            return False
        return now < self.asked + RENEWED_AT * self.life

    def is_usable(self, now: float) -> bool:
        """Whether its access token would still be taken if no other can be had."""
        return self.access is not None and now < self.asked + self.life - SPARE


def check_name(name: str) -> None:
    """Raises `BadInput` for what can't name a grant."""
    if not 0 < len(name) <= LONGEST_NAME or "/" in name or not name.isprintable() or " " in name:
        raise BadInput(
            f"“{printable(name, 60)}” can't name a login; a name has 1 to {LONGEST_NAME} printable "
            "characters without blanks and /"
        )


def grant_names(vault: Vault) -> list[str]:
    """Every grant's name, sorted; needs no key. Raises `BadInput`."""
    return [name.removeprefix(PREFIX) for name in vault.names() if name.startswith(PREFIX)]


def kept_grant(vault: Vault, name: str) -> Grant | None:
    """The grant of that name; None when there is none. Raises `BadInput`."""
    secret = vault.get(PREFIX + name)
    return None if secret is None else _read(name, secret)


def keep_grant(vault: Vault, name: str, grant: Grant) -> None:
    """Keeps it durably, in place of an older one: nothing is used before. Raises `BadInput`."""
    check_name(name)
    vault.set(PREFIX + name, Secret(_written(grant)))


def _written(grant: Grant) -> str:
    issuer, client = grant.issuer, grant.client
    shape = {
        "format": FORMAT,
        "flow": grant.flow.value,
        "issuer": {
            "name": issuer.name,
            "token": issuer.token,
            "authorize": issuer.authorize,
            "device": issuer.device,
            "revoke": issuer.revoke,
            "tells itself": issuer.tells_itself,
            "basic": issuer.basic,
            "inside": issuer.inside,
        },
        "client": {
            "id": client.id,
            "secret": _revealed(client.secret),
            "key": _revealed(client.key),
            "key id": client.key_id,
        },
        "scope": grant.scope,
        "account": grant.account,
        "refresh": _revealed(grant.refresh),
        "access": _revealed(grant.access),
        "asked": grant.asked,
        "life": grant.life,
        "mark": grant.mark,
    }
    return json.dumps(shape, separators=(",", ":"))


def _read(name: str, secret: Secret) -> Grant:
    try:
        whole = cast("Mapping[str, object]", json.loads(secret.reveal()))
        if whole["format"] != FORMAT:
            raise ValueError("another format")
        issuer = cast("Mapping[str, object]", whole["issuer"])
        client = cast("Mapping[str, object]", whole["client"])
        return Grant(
            flow=Flow(_words(whole["flow"])),
            issuer=Issuer(
                name=_words(issuer["name"]),
                token=_words(issuer["token"]),
                authorize=_words(issuer["authorize"]),
                device=_words(issuer["device"]),
                revoke=_words(issuer["revoke"]),
                tells_itself=issuer["tells itself"] is True,
                basic=issuer["basic"] is True,
                inside=issuer["inside"] is True,
            ),
            client=Client(
                _words(client["id"]),
                _hidden(client["secret"]),
                _hidden(client["key"]),
                _words(client["key id"]),
            ),
            scope=_words(whole["scope"]),
            account=_words(whole["account"]),
            refresh=_hidden(whole["refresh"]),
            access=_hidden(whole["access"]),
            asked=_number(whole["asked"]),
            life=_number(whole["life"]),
            mark=_words(whole["mark"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Its text would hold tokens: nothing of the cause is kept.
        raise BadInput(
            f"what the vault keeps as {PREFIX}{printable(name, 120)} is no login; run mailhaul "
            f"oauth login {printable(name, 120)}"
        ) from None


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()


def _hidden(value: object) -> Secret | None:
    words = _words(value)
    return Secret(words) if words else None


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    return float(value)
