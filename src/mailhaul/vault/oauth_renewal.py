"""Asking an issuer for the next token: by a refresh token, or by who the client is (RFC 6749 4.4
and 6, RFC 7523)."""

from collections.abc import Callable
from dataclasses import replace

from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth import Flow, Grant
from mailhaul.vault.oauth_answers import Given, given, refusal
from mailhaul.vault.oauth_http import Wire, post_form
from mailhaul.vault.oauth_issuers import shown_issuer

SKEW = 120.0
"""Seconds by which clocks may differ before it is said."""


async def renewal(
    wire: Wire,
    grant: Grant,
    name: str,
    now: float,
    *,
    person: str = "",
    learn: Callable[[Secret], None] = lambda secret: None,
) -> Given:
    """Tokens from the issuer by what the grant holds, now; kept nowhere yet. `name` is the grant's,
    `learn` is told every secret before it is sent. Raises `RetryLater` and `Closed`."""
    client, issuer = grant.client, grant.issuer
    form = {"scope": grant.scope} if grant.scope else {}
    match grant.flow:
        case Flow.CLIENT:
            form["grant_type"] = "client_credentials"
        case Flow.SERVICE:
            form = _service_form(grant, name, person or grant.account, now)
        case _:
            if grant.refresh is None:
                raise Closed(
                    f"the issuer gave no refresh token for {printable(name, 120)}, and the token "
                    f"has ended; run mailhaul oauth login {printable(name, 120)} again and ask for "
                    "offline access",
                    ClosedReason.CREDENTIALS,
                )
            learn(grant.refresh)
            form |= {"grant_type": "refresh_token", "refresh_token": grant.refresh.reveal()}
    basic = None
    if grant.flow is not Flow.SERVICE:
        if client.secret is not None:
            learn(client.secret)
        more, basic = client_proof(grant, now)
        form |= more
    answer = await post_form(wire, issuer.token, form, inside=issuer.inside, basic=basic)
    try:
        return given(answer, name, shown_issuer(issuer))
    except Closed as error:
        # An issuer that takes our clock to be wrong often says no more than invalid_grant (F2).
        ahead = now - answer.date if answer.date is not None else 0.0
        if abs(ahead) < SKEW:
            raise
        raise Closed(
            f"{error}; this machine's clock is {abs(ahead) / 60:.0f} minutes "
            f"{'ahead of' if ahead > 0 else 'behind'} the issuer's: set it right first",
            error.reason,
        ) from error


def renewed_grant(grant: Grant, found: Given, asked: float) -> Grant:
    """The grant with those tokens, asked for at that time. Who gives no new refresh token leaves
    the old one (RFC 6749 6)."""
    return replace(
        grant,
        access=found.access,
        refresh=found.refresh or grant.refresh,
        asked=asked,
        life=found.life,
    )


async def take_back(
    wire: Wire, grant: Grant, now: float, *, learn: Callable[[Secret], None] = lambda secret: None
) -> bool:
    """Has the issuer end what was granted (RFC 7009); False where it can't be told, or nothing is
    there to end. Raises `RetryLater` and `Closed`."""
    token, issuer = grant.refresh or grant.access, grant.issuer
    if token is None or not issuer.revoke:
        return False
    learn(token)
    proof, basic = client_proof(grant, now)
    kind = "refresh_token" if grant.refresh is not None else "access_token"
    form = {"token": token.reveal(), "token_type_hint": kind, **proof}
    answer = await post_form(wire, issuer.revoke, form, inside=issuer.inside, basic=basic)
    if answer.status != 200:
        raise refusal(answer, grant.account, shown_issuer(issuer))
    return True


def client_proof(grant: Grant, now: float) -> tuple[dict[str, str], tuple[str, Secret] | None]:
    """How the client shows who it is: fields of the form, or user and secret of a header (RFC 6749
    2.3.1; RFC 7523 2.2). A client without a secret only names itself."""
    client, issuer = grant.client, grant.issuer
    if client.key is not None:
        from mailhaul.vault.oauth_assertions import (  # noqa: PLC0415 - few logins have keys
            CLIENT_ASSERTION,
            client_assertion,
        )

        return {
            "client_id": client.id,
            "client_assertion_type": CLIENT_ASSERTION,
            "client_assertion": client_assertion(client, issuer.token, now),
        }, None
    if client.secret is None:
        return {"client_id": client.id}, None
    if issuer.basic:
        return {}, (client.id, client.secret)
    return {"client_id": client.id, "client_secret": client.secret.reveal()}, None


def _service_form(grant: Grant, name: str, person: str, now: float) -> dict[str, str]:
    if not person:
        shown = printable(name, 120)
        raise Closed(
            f"{shown} is a service account's login, and nobody is named whom it acts for; write "
            f"oauth:{shown}/{{address}}",
            ClosedReason.CREDENTIALS,
        )
    from mailhaul.vault.oauth_assertions import (  # noqa: PLC0415 - few logins have keys
        GRANT_TYPE,
        service_assertion,
    )

    assertion = service_assertion(grant.client, grant.issuer.token, grant.scope, person, now)
    return {"grant_type": GRANT_TYPE, "assertion": assertion}
