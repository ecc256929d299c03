"""OVHcloud's API over the hoster in memory: answers what `ovh_routes` describes, refuses all else.

Signatures, times and bodies are checked before anything is done, answers before they are sent. What
the published material leaves open is decided here and said so in docs/providers/ovh.md: a task
of the older MX Plan is in its queue until it ends; a redirection that keeps a copy stands there
twice; an account answers by its old name until its task ends.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from mailhaul.core.errors import BadInput, Closed, RetryLater
from mailhaul.providers.provider import Refused
from tests.providers.memory import MemoryHoster
from tests.providers.ovh_legacy_side import LegacySide
from tests.providers.ovh_platform_side import PlatformSide
from tests.providers.ovh_works import BOOK, Fault, OvhWorks
from tests.providers.ovh_zones import Zones
from tests.providers.web_server import Asked, Told


@dataclass(frozen=True)
class Application:
    """Keys that the API knows."""

    key: str = "7kbG7Bk7S9Nt7ZSV"
    secret: str = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"
    consumer: str = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"


@dataclass
class OvhCloud:
    """The API over that hoster. `offers`: what each newer service is sold as. `token` gets in too,
    where there is one; `may` says which calls the keys have been granted."""

    hoster: MemoryHoster
    application: Application = field(default_factory=Application)
    offers: dict[str, str] = field(default_factory=dict)
    token: str = ""
    may: Callable[[str, str], bool] = lambda method, path: True
    now: int = 1_800_000_000
    zones: Zones = field(default_factory=Zones)
    asked: int = 0
    faults: list[str] = field(default_factory=list)
    """What was asked for that isn't described, for tests to look at."""

    def __post_init__(self) -> None:
        self.works = OvhWorks(self.hoster)

    async def respond(self, asked: Asked) -> Told:
        """See `web_server`."""
        self.asked += 1
        path, _, query = asked.target.partition("?")
        try:
            value = await self._respond(asked, path.removeprefix("/1.0"), query)
        except Fault as fault:
            return _told(fault.status, fault.body)
        except Refused as refused:
            said = " ".join(each.code for each in refused.findings)
            return _told(400, {"message": _public(said)})
        except BadInput as error:
            return _told(400, {"message": str(error)})
        except RetryLater as error:
            if "hung up" in str(error):
                return Told(0, silent=True)
            if error.throttled:
                headers = {"Retry-After": f"{error.after:.0f}"}
                return Told(429, b'{"message": "Too many requests"}', headers)
            return _told(503, {"message": "Service unavailable"})
        except Closed:
            said = "This credential is not valid"
            return _told(403, {"message": said, "errorCode": "INVALID_CREDENTIAL"})
        return _told(200, value)

    async def _respond(self, asked: Asked, path: str, query: str) -> object:
        found = BOOK.found(asked.method, path)
        if found is None:
            self.faults.append(f"{asked.method} {path}")
            raise Fault(404, "Got an invalid (or empty) URL")
        route, names = found
        if path != "/auth/time":
            self._admitted(asked, path)
        given = dict(parse_qsl(query, keep_blank_values=True))
        typed: dict[str, object] = {
            name: int(value)
            if name in route.query and route.query[name].type == "long" and value.isdecimal()
            else value
            for name, value in given.items()
        }
        body = json.loads(asked.body) if asked.body else {}
        if not isinstance(body, dict) or (body and route.body is None):
            raise Fault(400, "[body] nothing is described")
        faults = [*BOOK.faults(route.query, typed), *BOOK.faults(route.body or {}, body)]
        if faults:
            self.faults += faults
            raise Fault(400, f"Invalid or missing parameters: {'; '.join(faults)}")
        value = await self._answer(route.method, route.path, names, typed, body)
        assert BOOK.fits(route.answer, value), (route, value)
        return value

    def _admitted(self, asked: Asked, path: str) -> None:
        headers = asked.headers
        if self.token and headers.get("authorization"):
            if headers["authorization"] != f"Bearer {self.token}":
                raise Fault(401, "invalid_token")
            return
        its = self.application
        if headers.get("x-ovh-application") != its.key:
            raise Fault(403, "Invalid application key", "INVALID_KEY")
        if headers.get("x-ovh-consumer") != its.consumer:
            raise Fault(403, "This credential does not exist", "INVALID_CREDENTIAL")
        stamp = headers.get("x-ovh-timestamp", "")
        if not stamp.isdecimal() or abs(int(stamp) - self.now) > 30:
            raise Fault(400, "Query out of time", "QUERY_TIME_OUT")
        url = f"http://{headers['host']}{asked.target}"
        said = "+".join([its.secret, its.consumer, asked.method, url, asked.body.decode(), stamp])
        if headers.get("x-ovh-signature") != "$1$" + hashlib.sha1(said.encode()).hexdigest():
            raise Fault(400, "Invalid signature", "INVALID_SIGNATURE")
        if not self.may(asked.method, path):
            raise Fault(403, "This call has not been granted", "NOT_GRANTED_CALL")

    async def _answer(
        self,
        method: str,
        path: str,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        if path == "/auth/time":
            return self.now
        if path == "/me":
            return {"nichandle": "ab12345-ovh"}
        if path.startswith("/domain/zone"):
            return self.zones.answer(method, path, names, query, body)
        kind = path.split("/")[2]
        name = names["domain" if kind == "domain" else "service"]
        if name not in self.hoster.services:
            raise Fault(404, "The requested object does not exist")
        state = self.hoster.service(name)
        state.guarded(method)
        if kind == "domain":
            tail = path.removeprefix("/email/domain/{domain}")
            return await LegacySide(self.works, state).answer(method, tail, names, query, body)
        tail = path.partition("{service}")[2]
        return await PlatformSide(self.works, state, kind, self.offers.get(name, "")).answer(
            method, tail, names, query, body
        )


def _told(status: int, value: object) -> Told:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Told(status, json.dumps(value).encode(), headers)


def _public(codes: str) -> str:
    """OVHcloud's answers are sentences, not our codes."""
    if "PASSWORD_WRONG" in codes:
        return "The password is not valid"
    return "This object can't be changed so: something is already there, or missing"
