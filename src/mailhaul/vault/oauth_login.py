"""Logging in for the first time: by a code on another screen (RFC 8628), or in a browser of this
machine by an authorization code with PKCE (RFC 6749 4.1, RFC 7636, RFC 8252).

Nothing here asks or tells a person anything: what is to be shown is a value.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth import Grant
from mailhaul.vault.oauth_answers import Given, error_code, given, refusal
from mailhaul.vault.oauth_http import Answer, Wire, check_url, post_form
from mailhaul.vault.oauth_issuers import is_same_issuer, shown_issuer
from mailhaul.vault.oauth_renewal import client_proof

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER = 5.0
"""Seconds by which polling slows down when the issuer asks for it (RFC 8628 3.5)."""
_USUAL_INTERVAL = 5.0
_LONGEST_INTERVAL = 60.0
_LONGEST_WAIT = 1800.0


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person is to enter where, within `lasts` seconds. `place` and `code` are printable."""

    place: str
    code: str
    lasts: float
    interval: float
    device: Secret


@dataclass(frozen=True, slots=True)
class Question:
    """One authorization request: the URL that a browser is to open, and what its answer is known
    by."""

    url: str
    redirect: str
    state: Secret
    verifier: Secret


async def device_code(wire: Wire, grant: Grant, now: float) -> DeviceCode:
    """Asks for a code to be shown (RFC 8628 3.1). Raises `Closed` and `RetryLater`."""
    issuer = grant.issuer
    shown = shown_issuer(issuer)
    if not issuer.device:
        raise Closed(f"{shown} has no device flow; leave --device out", ClosedReason.CREDENTIALS)
    proof, basic = client_proof(grant, now)
    form = {"client_id": grant.client.id, "scope": grant.scope, **proof}
    answer = await post_form(wire, issuer.device, form, inside=issuer.inside, basic=basic)
    if answer.status != 200:
        raise refusal(answer, "", shown)
    shape = answer.shape
    device, code = shape.get("device_code"), shape.get("user_code")
    place = shape.get("verification_uri") or shape.get("verification_url")
    if not (isinstance(device, str) and isinstance(code, str) and isinstance(place, str)):
        raise Closed(f"{shown} gives no code to be shown", ClosedReason.PROTOCOL)
    check_url(place, inside=issuer.inside)
    return DeviceCode(
        printable(place, 300),
        printable(code, 60),
        _seconds(shape.get("expires_in"), _LONGEST_WAIT, _LONGEST_WAIT),
        _seconds(shape.get("interval"), _USUAL_INTERVAL, _LONGEST_INTERVAL),
        Secret(device),
    )


async def device_tokens(
    wire: Wire,
    grant: Grant,
    code: DeviceCode,
    name: str,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Given:
    """Waits until the person has entered the code, and gives the tokens. Asks no faster than it
    may, and slower when asked to or when nothing answers (RFC 8628 3.5). Raises `Closed` when it
    was refused or not entered in time."""
    issuer = grant.issuer
    end, interval = now() + code.lasts, code.interval
    proof, basic = client_proof(grant, now())
    form = {"grant_type": DEVICE_GRANT, "device_code": code.device.reveal(), **proof}
    form.setdefault("client_id", grant.client.id)
    while now() + interval <= end:
        await sleep(interval)
        try:
            answer = await post_form(wire, issuer.token, form, inside=issuer.inside, basic=basic)
            if error_code(answer) == "authorization_pending":
                continue
            return given(answer, name, shown_issuer(issuer))
        except RetryLater as error:
            interval += max(SLOWER, min(error.after, 30.0) if not error.throttled else SLOWER)
    raise Closed(
        f"nobody entered the code within {code.lasts / 60:.0f} minutes; run the same command again",
        ClosedReason.CREDENTIALS,
    )


def question(grant: Grant, redirect: str) -> Question:
    """A new authorization request; its answer goes to `redirect`. Raises `Closed` where that issuer
    has no such page."""
    issuer = grant.issuer
    if not issuer.authorize:
        raise Closed(
            f"{shown_issuer(issuer)} has no page to log in at; try --device",
            ClosedReason.CREDENTIALS,
        )
    parts = check_url(issuer.authorize, inside=issuer.inside)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    asked = {
        "response_type": "code",
        "client_id": grant.client.id,
        "redirect_uri": redirect,
        "scope": grant.scope,
        "state": state,
        "code_challenge": challenge.decode("ascii"),
        "code_challenge_method": "S256",
    }
    if grant.account:
        asked["login_hint"] = grant.account
    if parts.hostname == "accounts.google.com":
        # Without these Google gives no refresh token, or only the first time.
        asked |= {"access_type": "offline", "prompt": "consent"}
    joint = "&" if parts.query else "?"
    url = f"{issuer.authorize}{joint}{urlencode(asked)}"
    return Question(url, redirect, Secret(state), Secret(verifier))


def is_answer(asked: Question, target: str) -> bool:
    """Whether what the browser was sent to is the answer to that question: it knows its state."""
    state = _one(target, "state")
    return hmac.compare_digest(state.encode(), asked.state.reveal().encode())


def code_of(asked: Question, grant: Grant, target: str, name: str) -> Secret:
    """The code in what the browser was sent to. Raises `Closed` for an answer to another question,
    by another issuer (RFC 9207 2.4), or that is a no."""
    if not is_answer(asked, target):
        raise Closed(
            "that is no answer to this login: open the address that was shown, and no older one",
            ClosedReason.CREDENTIALS,
        )
    issuer, told = grant.issuer, _one(target, "iss")
    if (told or issuer.tells_itself) and not is_same_issuer(issuer, told):
        raise Closed(
            f"the answer says that it comes from “{printable(told, 120)}”, and "
            f"{printable(issuer.name, 120)} was asked; somebody mixes them up: nothing was kept",
            ClosedReason.CREDENTIALS,
        )
    if error := _one(target, "error"):
        no = {"error": error, "error_description": _one(target, "error_description")}
        raise refusal(Answer(400, no), name, shown_issuer(issuer))
    code = _one(target, "code")
    if not code:
        raise Closed("the answer holds no code; try again", ClosedReason.PROTOCOL)
    return Secret(code)


async def code_tokens(
    wire: Wire, grant: Grant, asked: Question, code: Secret, name: str, now: float
) -> Given:
    """The tokens for that code. Raises `Closed` and `RetryLater`."""
    proof, basic = client_proof(grant, now)
    form = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "redirect_uri": asked.redirect,
        "code_verifier": asked.verifier.reveal(),
        **proof,
    }
    form.setdefault("client_id", grant.client.id)
    issuer = grant.issuer
    answer = await post_form(wire, issuer.token, form, inside=issuer.inside, basic=basic)
    return given(answer, name, shown_issuer(issuer))


def _one(target: str, name: str) -> str:
    """The parameter of that name; empty where there is none or more than one (RFC 6749 3.1)."""
    try:
        found = parse_qs(urlsplit(target).query, max_num_fields=50).get(name, [])
    except ValueError:
        return ""
    return found[0] if len(found) == 1 else ""


def _seconds(value: object, usual: float, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        return usual
    return min(float(value), most)
