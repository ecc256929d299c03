"""Vaults and grants for tests of logins by OAuth 2."""

import base64
from dataclasses import replace
from pathlib import Path

from mailhaul.core.text import Secret
from mailhaul.vault.oauth import Client, Flow, Grant, keep_grant, kept_grant
from mailhaul.vault.oauth import Issuer as At
from mailhaul.vault.oauth_tokens import Tokens
from mailhaul.vault.outer_keys import key_from_text
from mailhaul.vault.sealed import Vault, make_vault
from tests.servers.issuer import Issuer

KEY = key_from_text(base64.b64encode(b"k" * 32).decode(), "key")
NAME = "anna"


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def vault_in(directory: Path) -> Vault:
    """The vault there, as another process would see it; made where there is none."""
    path = directory / "vault.json"
    return Vault(path, lambda: KEY) if path.exists() else make_vault(path, KEY)


def at(issuer: Issuer) -> At:
    url = issuer.url
    return At(
        url,
        issuer.token_url,
        f"{url}/authorize",
        f"{url}/device",
        f"{url}/revoke",
        tells_itself=True,
        basic=issuer.basic_only,
        inside=True,
    )


def grant_at(issuer: Issuer, flow: Flow = Flow.BROWSER) -> Grant:
    """A grant whose access token has ended, and whose refresh token is good."""
    person = flow in (Flow.BROWSER, Flow.DEVICE)
    return Grant(
        flow,
        at(issuer),
        Client(issuer.client, Secret(issuer.secret) if issuer.secret else None),
        "mail",
        refresh=Secret(issuer.first_refresh()) if person else None,
    )


def kept(vault: Vault, name: str = NAME) -> Grant:
    grant = kept_grant(vault, name)
    assert grant is not None
    return grant


def tokens_for(
    issuer: Issuer, directory: Path, clock: Clock | None = None, **changes: object
) -> Tokens:
    """A vault with a grant of that issuer, and who gives its tokens."""
    vault = vault_in(directory)
    keep_grant(vault, NAME, replace(grant_at(issuer), **changes))  # type: ignore[arg-type]
    return Tokens(vault, now=clock or Clock())
