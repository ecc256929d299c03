"""Microsoft Graph v1.0, as far as this provider needs it: calls, pages, batches, refusals.

Limits that Microsoft documents, and which are kept here: four requests at once for an application
and mailbox, twenty calls in a batch; 429 with Retry-After is handed on as `RetryLater`. Whoever
makes a path quotes what goes into it by `path`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote, urlencode, urlsplit

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import (
    BadInput,
    Closed,
    ClosedReason,
    RetryLater,
)
from mailhaul.core.text import Secret, printable
from mailhaul.providers.fields import Fields, json_fields
from mailhaul.providers.web import Answer, Web, pause

AT_ONCE = 4
BATCH = 20
MOST_PAGES = 10_000
_PATIENCE = 30.0
"""Seconds that a call inside a batch is waited for before the whole batch is put off."""
_MOST_TRIES = 4


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `right` is the application permission that it needs, for who has to grant it."""

    method: str
    path: str
    right: str
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The call for a person, in one line and without secrets."""
        body = "" if self.body is None else " " + json.dumps(_veiled(self.body), ensure_ascii=False)
        return printable(f"{self.method} {self.path}{body}", 2000)


class GraphRefusal(Closed):
    """Graph refused one call, of which nothing was carried out: `status`, its `code`, and what it
    said, printable. Where nobody expected that, the talk makes no sense to either side."""

    def __init__(self, call: str, status: int, code: str, said: str) -> None:
        self.status = status
        self.code = printable(code, 100)
        self.said = printable(said, 500)
        text = f"{call}: {self.said or status} ({self.code or status})"
        super().__init__(text, ClosedReason.PROTOCOL)


def path(*steps: str, **query: str) -> str:
    """A path below Graph's root, each step quoted; `query` holds OData options without `$`."""
    written = "".join(f"/{quote(step, safe='')}" for step in steps)
    if not query:
        return written
    options = {_option(name): value for name, value in query.items()}
    return f"{written}?{urlencode(options, quote_via=quote, safe='$,')}"


def literal(text: str) -> str:
    """The text as a string in an OData filter (OData 4.01 URL conventions, 5.1.1.6.1)."""
    return "'" + text.replace("'", "''") + "'"


class Graph:
    """Calls to one tenant. `login` is asked for a token when there is none, and once more when
    Graph won't have it. Every verb raises `RetryLater`, `Closed` and `GraphRefusal`."""

    def __init__(self, web: Web, login: Callable[[], Awaitable[Credentials]]) -> None:
        self._web = web
        self._login = login
        self._token: Secret | None = None
        self._logging_in = asyncio.Lock()
        self._root = urlsplit(web.origin).path

    async def ask(self, call: Call) -> Fields:
        """What it answers; empty where it answers nothing."""
        answer = await self._exchange(call)
        self._judge(call, answer.status, answer.body)
        return json_fields(_name(call.path), answer.body)

    async def every(self, call: Call) -> list[Fields]:
        """All objects of a list, page by page (`@odata.nextLink`)."""
        found: list[Fields] = []
        seen = {call.path}
        while True:
            page = await self.ask(call)
            found.extend(page.each("value"))
            link = page.text("@odata.nextLink")
            if not link:
                return found
            following = self.below_root(link)
            if following in seen or len(seen) >= MOST_PAGES:
                raise Closed(
                    f"Graph's pages of {_name(call.path)} never end; try again later, or ask "
                    "Microsoft's support",
                    ClosedReason.PROTOCOL,
                )
            seen.add(following)
            call = Call(call.method, following, call.right, headers=call.headers)

    async def batch(self, calls: Sequence[Call]) -> list[Fields | GraphRefusal]:
        """What each of these reading calls answers, in their order. Calls that are throttled inside
        a batch (429) are asked again; for long pauses `RetryLater` is raised."""
        found: dict[int, Fields | GraphRefusal] = {}
        waiting = list(range(len(calls)))
        tries = 0
        while waiting:
            batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
            pauses: list[float] = []
            for numbers in batches:
                for number, status, headers, body in await self._batched(numbers, calls):
                    if status == 429 or status >= 500:
                        pauses.append(pause(headers))
                    else:
                        found[number] = self._read(calls[number], status, body)
            waiting = [number for number in waiting if number not in found]
            tries += 1
            if waiting:
                await _wait(max(pauses, default=0.0), tries)
        return [found[number] for number in range(len(calls))]

    async def close(self) -> None:
        """Ends connections."""
        await self._web.close()

    async def _batched(
        self, numbers: Sequence[int], calls: Sequence[Call]
    ) -> list[tuple[int, int, Mapping[str, str], bytes]]:
        requests = []
        for number in numbers:
            call = calls[number]
            assert call.method == "GET", call
            asked: dict[str, object] = {"id": str(number), "method": "GET", "url": call.path}
            if call.headers:
                asked["headers"] = dict(call.headers)
            requests.append(asked)
        whole = Call("POST", "/$batch", calls[numbers[0]].right, {"requests": requests})
        said = await self.ask(whole)
        found: list[tuple[int, int, Mapping[str, str], bytes]] = []
        for each in said.each("responses"):
            name = each.text("id")
            status = each.number("status")
            if not name.isascii() or not name.isdigit() or int(name[:9]) not in numbers:
                continue
            headers = {
                key.lower(): value
                for key, value in each.one("headers").found.items()
                if isinstance(value, str)
            }
            body = json.dumps(each.found.get("body")).encode()
            found.append((int(name), status or 0, headers, b"" if body == b"null" else body))
        return found

    def _read(self, call: Call, status: int, body: bytes) -> Fields | GraphRefusal:
        try:
            self._judge(call, status, body)
        except GraphRefusal as refusal:
            return refusal
        return json_fields(_name(call.path), body)

    async def _exchange(self, call: Call) -> Answer:
        body = b"" if call.body is None else json.dumps(call.body).encode()
        token = await self._proof()
        answer = await self._send(call, body, token)
        if answer.status == 401 and (another := await self._another(token)) is not None:
            answer = await self._send(call, body, another)
        if answer.status == 401:
            raise Closed(
                f"Graph won't have the token ({_said(answer.body) or 401}); log in again by "
                "`mailhaul oauth login` with --scope https://graph.microsoft.com/.default",
                ClosedReason.CREDENTIALS,
            )
        return answer

    async def _send(self, call: Call, body: bytes, token: Secret) -> Answer:
        headers = {"Accept": "application/json", **call.headers}
        headers["Authorization"] = f"Bearer {token.reveal()}"
        if call.method != "GET":
            headers["Content-Type"] = "application/json"
        return await self._web.exchange(call.method, call.path, headers, body)

    async def _proof(self) -> Secret:
        async with self._logging_in:
            if self._token is None:
                self._token = await _token_of(await self._login())
            return self._token

    async def _another(self, refused: Secret) -> Secret | None:
        """Another token than the one that Graph refused; None where there is none. Calls that are
        refused together ask for it once."""
        async with self._logging_in:
            if self._token is refused:
                self._token = None
                credentials = await self._login()
                if credentials.another is not None and not await credentials.another():
                    return None
                self._token = await _token_of(credentials)
            found = self._token
        if found is None or found.reveal() == refused.reveal():
            return None
        return found

    def _judge(self, call: Call, status: int, body: bytes) -> None:
        if 200 <= status < 300:
            return
        try:
            error = _error(json_fields("error", body))
            code, said = error.text("code"), error.text("message")
        except Closed:
            # What stands before Graph answers in HTML; the status is all that it says.
            code, said = "", ""
        name = f"{call.method} {_name(call.path)}"
        if status == 403:
            raise Closed(
                f"Graph forbids {name} ({printable(said or code, 200) or 403}); grant the "
                f"application {call.right} with an administrator's consent "
                "(docs/providers/microsoft365.md)",
                ClosedReason.FORBIDDEN,
            )
        raise GraphRefusal(name, status, code, said)

    def below_root(self, link: str) -> str:
        """The path below Graph's root that a link names. Raises `Closed` where it leads
        elsewhere."""
        root, parts = urlsplit(self._web.origin), urlsplit(link)
        below = parts.path.removeprefix(self._root)
        if (
            (parts.scheme, parts.netloc) != (root.scheme, root.netloc)
            or not parts.path.startswith(f"{self._root}/")
            or ".." in below.split("/")
        ):
            raise Closed(
                f"Graph leads to {printable(link, 200)} for the next page, where the token isn't "
                "sent; correct the control plane's address in the plan",
                ClosedReason.PROTOCOL,
            )
        return f"{below}?{parts.query}" if parts.query else below


async def _wait(seconds: float, tries: int) -> None:
    if seconds > _PATIENCE or tries >= _MOST_TRIES:
        raise RetryLater("Graph asks for a pause inside a batch", after=seconds, throttled=True)
    await asyncio.sleep(seconds)


async def _token_of(credentials: Credentials) -> Secret:
    if credentials.token is None:
        raise BadInput(
            "Microsoft Graph takes access tokens and no password; name one in the plan as "
            'secret = "oauth:NAME" (docs/oauth.md)'
        )
    return await credentials.token()


def _said(body: bytes) -> str:
    """What a refusal says, printable; empty where it is no answer of Graph's."""
    try:
        return printable(_error(json_fields("error", body)).text("message"), 200)
    except Closed:
        return ""


def _option(name: str) -> str:
    return name if name == "includeHiddenFolders" else f"${name}"


def _name(where: str) -> str:
    return printable(where.partition("?")[0], 200)


def _error(answer: Fields) -> Fields:
    return answer.one("error")


def _veiled(value: object) -> object:
    """The body with whatever is named a password left out."""
    if isinstance(value, Mapping):
        return dict(_veiled_pairs(cast("Mapping[str, object]", value)))
    if isinstance(value, list | tuple):
        return [_veiled(each) for each in value]
    return value


def _veiled_pairs(found: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in found.items():
        yield name, "***" if name == "password" else _veiled(value)
