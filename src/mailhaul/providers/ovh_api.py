"""OVHcloud's API: one request, signed, and what its answer means.

Two ways in. Keys (application key, application secret, consumer key): each request carries
`$1$` and SHA-1 of secret, consumer key, method, URL, body and time, joined by `+`, the time by
OVHcloud's clock, which is asked once. Or an access token of a service account (OAuth 2). The rules
are those of OVHcloud's own clients; nothing of them is imported (docs/decisions/0092).
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError
from mailhaul.core.text import Secret, printable
from mailhaul.providers.ovh_answers import numbers, wrong
from mailhaul.providers.places import OVH, USUAL_OVH
from mailhaul.providers.web import Answer, Web

_CLOCK_CODES = frozenset({"QUERY_TIME_OUT", "INVALID_TIMESTAMP"})
_KEY_CODES = frozenset({"INVALID_KEY", "INVALID_CREDENTIAL", "NOT_CREDENTIAL", "INVALID_SIGNATURE"})


@dataclass(frozen=True, slots=True)
class Keys:
    """What OVHcloud's page for making keys shows: all three are needed."""

    application: str
    secret: Secret
    consumer: Secret


class Refusal(MailhaulError):
    """OVHcloud refused this one request: it makes no sense there, or not now. `status` is HTTP's,
    `code` OVHcloud's own or empty, `said` its words, printable."""

    def __init__(self, where: str, status: int, code: str, said: str) -> None:
        self.status = status
        self.code = code
        self.said = said
        words = f"status {status}{f' {code}' if code else ''}: {said or 'nothing more is said'}"
        super().__init__(f"OVHcloud refuses {where} with {words}")


class Missing(Refusal):
    """There is no such thing (404)."""


def keys(secret: Secret) -> Keys:
    """The three keys, which a secret holds separated by blanks, colons or line ends. Raises
    `BadInput`."""
    words = secret.reveal().replace(":", " ").split()
    if len(words) != 3 or not all(word.isascii() and word.isalnum() for word in words):
        raise BadInput(
            "the secret for OVHcloud's API must hold three keys of letters and digits, separated "
            "by blanks: application key, application secret, consumer key"
        )
    return Keys(words[0], Secret(words[1]), Secret(words[2]))


class Api:
    """The way to OVHcloud; one for a provider, and no connection before the first request. `place`
    is one of `places.OVH`, an address, or empty for Europe; raises `BadInput` for what is neither.
    `login` is asked at every request; `clock` and `transport` are for tests."""

    def __init__(
        self,
        place: str,
        login: Callable[[], Awaitable[Credentials]],
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._web = Web(OVH.get(place or USUAL_OVH, place), transport=transport)
        self._login = login
        self._clock = clock
        self._skew: float | None = None

    async def get(self, *path: str, **query: str | int) -> object:
        """What the API says of that path, each part of which is one name. Raises `Refusal`,
        `RetryLater` and `Closed`, as all of these do."""
        return await self._ask("GET", path, query, None)

    async def post(self, *path: str, body: Mapping[str, object] | None = None) -> object:
        """Has something done. After `RetryLater` it may have been."""
        return await self._ask("POST", path, {}, body)

    async def put(self, *path: str, body: Mapping[str, object]) -> object:
        """Changes fields, and leaves those alone that `body` doesn't name."""
        return await self._ask("PUT", path, {}, body)

    async def delete(self, *path: str) -> object:
        """Takes something away."""
        return await self._ask("DELETE", path, {}, None)

    async def close(self) -> None:
        """Ends its connections."""
        await self._web.close()

    async def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int],
        body: Mapping[str, object] | None,
    ) -> object:
        where = f"{method} {printable('/' + '/'.join(path), 300)}"
        target = "".join(f"/{_segment(part)}" for part in path)
        if query:
            pairs = (f"{name}={quote(str(value), safe='')}" for name, value in query.items())
            target += f"?{'&'.join(pairs)}"
        answer = await self._once(method, target, body)
        if answer.status == 401 or _said(answer)[0] in _CLOCK_CODES:
            # A token may have ended, or a clock been set: nothing was done, and once more is no
            # more than once.
            self._skew = None
            answer = await self._once(method, target, body)
        return _result(answer, where)

    async def _once(self, method: str, target: str, body: Mapping[str, object] | None) -> Answer:
        credentials = await self._login()
        content = "" if body is None else json.dumps(body, separators=(",", ":"))
        headers = {"Accept": "application/json"}
        if content:
            headers["Content-Type"] = "application/json"
        if credentials.token is not None:
            headers["Authorization"] = f"Bearer {(await credentials.token()).reveal()}"
        elif credentials.password is not None:
            its, url = keys(credentials.password), self._web.origin + target
            headers |= signed(its, method, url, content, int(self._clock() + await self._ahead()))
        else:
            raise Closed("there is no secret for OVHcloud's API", ClosedReason.CREDENTIALS)
        return await self._web.exchange(method, target, headers, content.encode())

    async def _ahead(self) -> float:
        """Seconds by which OVHcloud's clock is ahead of this machine's."""
        if self._skew is None:
            where = "GET /auth/time"
            answer = await self._web.exchange("GET", "/auth/time", {"Accept": "application/json"})
            self._skew = numbers([_result(answer, where)], where)[0] - self._clock()
        return self._skew


def signed(its: Keys, method: str, url: str, content: str, now: int) -> dict[str, str]:
    """The headers that say who asks (OVHcloud, “First steps with the API”)."""
    parts = (its.secret.reveal(), its.consumer.reveal(), method, url, content, str(now))
    # What OVHcloud demands; the request itself goes by TLS.
    digest = hashlib.sha1("+".join(parts).encode(), usedforsecurity=False).hexdigest()
    return {
        "X-Ovh-Application": its.application,
        "X-Ovh-Consumer": its.consumer.reveal(),
        "X-Ovh-Timestamp": str(now),
        "X-Ovh-Signature": f"$1${digest}",
    }


def _result(answer: Answer, where: str) -> object:
    """The value, or the error that it is."""
    status = answer.status
    if 200 <= status < 300:
        return _value(answer, where)
    code, said = _said(answer)
    words = f"{where} with {status}{f' {code}' if code else ''}{f': {said}' if said else ''}"
    if status == 401 or code in _KEY_CODES:
        cure = "make new keys (or a new token) at OVHcloud and put them where the secret lies"
        raise Closed(f"OVHcloud refuses {words}; {cure}", ClosedReason.CREDENTIALS)
    if status == 403:
        cure = f"let the keys do {where}, or make new ones that may"
        raise Closed(f"OVHcloud forbids {words}; {cure}", ClosedReason.FORBIDDEN)
    if status == 460:
        text = f"OVHcloud refuses {words}: the service has expired; renew it there"
        raise Closed(text, ClosedReason.FORBIDDEN)
    if status == 404:
        raise Missing(where, status, code, said)
    if 400 <= status < 500:
        raise Refusal(where, status, code, said)
    raise wrong(where, f"status {status}")


def _value(answer: Answer, where: str) -> object:
    if not answer.body.strip():
        return None
    try:
        found: object = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise wrong(where, "it is no JSON") from error
    return found


def _said(answer: Answer) -> tuple[str, str]:
    """OVHcloud's code and words for what went wrong; empty where there are none."""
    if answer.status < 400:
        return "", ""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    code, said = found.get("errorCode"), found.get("message")
    return printable(str(code or ""), 60), printable(str(said or ""), 300)


def _segment(part: str) -> str:
    """A name as one part of a path: nothing in it ends the part or climbs out of it."""
    if part in ("", ".", "..") or any(ord(each) < 32 or ord(each) == 127 for each in part):
        raise BadInput(f"“{printable(part, 100)}” can't be the name of anything at OVHcloud")
    try:
        return quote(part, safe="@")
    except UnicodeEncodeError as error:
        raise BadInput(f"“{printable(part, 100)}” is no text") from error
