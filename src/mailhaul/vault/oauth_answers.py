"""What a token endpoint answers: tokens, or why not, and what a person is to do about it.

The codes are RFC 6749's (5.2), OpenID Connect's (core 3.1.2.6) and RFC 8628's (3.5); Microsoft's
own numbers (AADSTS…) say more, and are looked at first.
"""

import base64
import json
import re
from dataclasses import dataclass

from mailhaul.core.errors import Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth_http import Answer

UNTOLD_LIFE = 300.0
"""Seconds that a token is believed to last whose life isn't told."""
LONGEST_LIFE = 30 * 86400.0
LONGEST_TOKEN = 24 * 1024
_TOKEN = re.compile(r"[!-~]+")
_CODE = re.compile(r"AADSTS(\d{4,8})")
_LOGIN = "run mailhaul oauth login {name} again"

_LATER = frozenset({"temporarily_unavailable", "server_error", "slow_down"})

_CURES = {
    "invalid_grant": "what was granted has ended, was taken back or was used by another; " + _LOGIN,
    "interaction_required": "the issuer wants to see the person; " + _LOGIN,
    "login_required": "the issuer wants to see the person; " + _LOGIN,
    "consent_required": "a person, or an administrator, has to agree; " + _LOGIN,
    "access_denied": "the person, or an administrator, said no; ask them, then " + _LOGIN,
    "expired_token": "nobody entered the code in time; " + _LOGIN,
    "invalid_client": "the issuer doesn't take this client's id, secret or certificate; look them "
    "up, then " + _LOGIN,
    "unauthorized_client": "this client may not log in this way; allow it at the issuer's, then "
    "run mailhaul oauth check {name}",
    "invalid_scope": "the issuer doesn't know what was asked for; give another --scope to mailhaul "
    "oauth login {name}",
    "unsupported_grant_type": "the issuer doesn't know this way of logging in; choose another with "
    "mailhaul oauth login {name}",
}

_MICROSOFT = {
    "50034": "there is no such account in this tenant; check the address",
    "50057": "the account is switched off; have it switched on",
    "50076": "a second factor is asked for; " + _LOGIN,
    "50079": "a second factor has to be set up; " + _LOGIN,
    "50173": "the password was changed or sessions were ended; " + _LOGIN,
    "53003": "conditional access keeps this login out; ask the tenant's administrator",
    "65001": "nobody has agreed to these permissions; have an administrator grant consent in the "
    "app's API permissions",
    "70043": "the tenant's rules ended the login; " + _LOGIN,
    "700016": "the tenant doesn't know this client id; check --client-id and the tenant",
    "700027": "the certificate isn't the one that was uploaded to the app; upload it",
    "700082": "the refresh token was not used for too long (90 days); " + _LOGIN,
    "700084": "the refresh token came to its end; " + _LOGIN,
    "7000112": "the app is switched off in the tenant; have it switched on",
    "7000215": "the client secret is wrong: its value is asked for, not its id; " + _LOGIN,
    "7000218": "the app isn't allowed to log in without a secret; switch “allow public client "
    "flows” on at its authentication page",
    "7000222": "the client secret has expired; make a new one, then " + _LOGIN,
    "90002": "there is no such tenant; check its name",
    "900023": "there is no such tenant; check its name",
}


@dataclass(frozen=True, slots=True)
class Given:
    """Tokens as they were given. `scope` empty: what was asked for."""

    access: Secret
    life: float
    refresh: Secret | None = None
    scope: str = ""


def given(answer: Answer, name: str, issuer: str) -> Given:
    """The tokens of that answer. `name` is the grant's, for cures, and `issuer` who answers. Raises
    `RetryLater` and `Closed`; no text holds a token."""
    if answer.status != 200:
        raise refusal(answer, name, issuer)
    access, refresh = answer.shape.get("access_token"), answer.shape.get("refresh_token")
    kind = answer.shape.get("token_type")
    if not _is_token(access) or not isinstance(kind, str) or kind.lower() != "bearer":
        raise Closed(
            f"{issuer} answers without a bearer token; is it the right address?",
            ClosedReason.PROTOCOL,
        )
    if refresh is not None and refresh != "" and not _is_token(refresh):
        raise Closed(
            f"{issuer} gives a refresh token that can't be sent back", ClosedReason.PROTOCOL
        )
    scope = answer.shape.get("scope")
    return Given(
        Secret(str(access)),
        _life(answer.shape.get("expires_in")),
        Secret(str(refresh)) if refresh else None,
        scope if isinstance(scope, str) else "",
    )


def refusal(answer: Answer, name: str, issuer: str) -> MailhaulError:
    """The error that an answer other than 200 means."""
    code = error_code(answer)
    said = _said(answer, code)
    busy = answer.status == 429 or code == "slow_down"
    if busy or answer.status >= 500 or code in _LATER:
        pause = answer.after if answer.after is not None else 30.0
        return RetryLater(f"{issuer} gives no token now ({said})", after=pause, throttled=busy)
    number = _CODE.search(_words(answer, "error_description"))
    cure = _MICROSOFT.get(number[1]) if number else None
    cure = cure or _CURES.get(code)
    shown = printable(name, 120)
    if cure is None:
        if not code:
            return Closed(
                f"{issuer} answers with status {answer.status} where a token was asked for; is it "
                "the right address?",
                ClosedReason.PROTOCOL,
            )
        cure = "look at what it says, then " + _LOGIN
    return Closed(
        f"{issuer} gives no token for {shown} ({said}): {cure.format(name=shown)}",
        ClosedReason.CREDENTIALS,
    )


def error_code(answer: Answer) -> str:
    """The answer's error code; empty where it has none."""
    return _words(answer, "error")


def rights_in(token: Secret) -> tuple[str, ...] | None:
    """What Microsoft's kind of token says that it is good for, printable; None: it doesn't say. To
    be shown, and never to be relied on: tokens are for whoever takes them."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    # `tid` is in all of Microsoft's, `roles` in none of an application without consent.
    if not isinstance(claims, dict) or not {"roles", "scp", "tid"} & set(claims):
        return None
    roles, scopes = claims.get("roles"), claims.get("scp")
    found = [each for each in roles if isinstance(each, str)] if isinstance(roles, list) else []
    found += scopes.split() if isinstance(scopes, str) else []
    return tuple(printable(each, 80) for each in found[:50])


def missing_scopes(asked: str, granted: str) -> list[str]:
    """What was asked for and not granted: people can untick boxes. Only what names a right counts,
    and Microsoft names one by several hosts."""
    have = {_right(each) for each in granted.split()}
    unsaid = {"offline_access", "openid", "profile", "email"}
    return [each for each in asked.split() if _right(each) not in have and each not in unsaid]


def _right(scope: str) -> str:
    head, _, tail = scope.rpartition("/")
    return (tail or head).lower()


def _is_token(value: object) -> bool:
    # RFC 6749 appendix A.12, A.17: visible ASCII; a blank would break the headers it goes into.
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_TOKEN
        and _TOKEN.fullmatch(value) is not None
    )


def _life(value: object) -> float:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)  # some issuers write numbers as texts
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        return UNTOLD_LIFE
    return min(float(value), LONGEST_LIFE)


def _said(answer: Answer, code: str) -> str:
    # Microsoft's go on with trace ids over several lines.
    words = _words(answer, "error_description").strip().partition("\n")[0]
    first = words.partition(" Trace ID")[0].strip()
    told = ": ".join(each for each in (code, first) if each)
    return printable(told, 240) or f"status {answer.status}"


def _words(answer: Answer, key: str) -> str:
    value = answer.shape.get(key)
    return value if isinstance(value, str) else ""
