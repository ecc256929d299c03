"""Microsoft Graph v1.0 on loopback, for one tenant: takes what the published schema and the
documented limits allow, refuses everything else, and keeps a list of what it refused so.

Judged are paths, properties, types, words, actions and their parameters (by the schema, where it
is there), read-only and required properties, permissions, four at once, twenty in a batch (by the
tables here, from Microsoft's reference). The answers are judged by the same schema.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.providers import graph_answers as answers
from tests.providers.graph_answers import Refusal
from tests.providers.graph_schema import Place, Schema, graph_schema
from tests.providers.graph_state import Box, Json, TenantState, User
from tests.providers.memory import Fault
from tests.providers.web_server import Asked, Told

ROOT = "/v1.0"
TOKEN = "token-for-graph"
AT_ONCE, BATCH = 4, 20
GRANTED = frozenset(
    {
        *("User.ReadWrite.All", "Organization.Read.All", "Domain.ReadWrite.All"),
        *("GroupMember.Read.All", "OrgContact.Read.All"),
        *("Mail.ReadBasic.All", "MailboxSettings.ReadWrite"),
    }
)
"""What docs/providers/microsoft365.md has an administrator grant."""

_USERS = ("User.Read.All", "User.ReadWrite.All")
_DOMAINS = ("Domain.Read.All", "Domain.ReadWrite.All")
_SETTINGS = ("MailboxSettings.Read", "MailboxSettings.ReadWrite")
RIGHTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("GET", r"/organization", ("Organization.Read.All",)),
    ("GET", r"/subscribedSkus", ("Organization.Read.All", "LicenseAssignment.Read.All")),
    ("GET", r"/users(/[^/]+)?", _USERS),
    ("POST|PATCH|DELETE", r"/users(/[^/]+)?", _USERS[1:]),
    ("POST", r"/users/[^/]+/(assignLicense|revokeSignInSessions)", _USERS[1:]),
    ("GET", r"/users/[^/]+/mailboxSettings", _SETTINGS),
    ("PATCH", r"/users/[^/]+/mailboxSettings", _SETTINGS[1:]),
    ("GET", r"/users/[^/]+/mailFolders/inbox/messageRules", _SETTINGS),
    ("POST|PATCH|DELETE", r"/users/[^/]+/mailFolders/inbox/messageRules(/[^/]+)?", _SETTINGS[1:]),
    ("GET", r"/users/[^/]+/mailFolders(/[^/]+(/childFolders)?)?", ("Mail.ReadBasic.All",)),
    ("GET", r"/groups(/[^/]+/members)?", ("GroupMember.Read.All",)),
    ("GET", r"/contacts", ("OrgContact.Read.All",)),
    ("GET", r"/domains(/[^/]+(/[^/]+)?)?", _DOMAINS),
    ("POST|PATCH|DELETE", r"/domains(/[^/]+(/verify)?)?", _DOMAINS[1:]),
    ("POST", r"/\$batch", ()),
]
"""Application permissions, any of which will do, by the reference page of each call."""

READ_ONLY = {
    "user": {
        *("id", "mail", "proxyAddresses", "assignedLicenses", "assignedPlans", "createdDateTime"),
        *("licenseAssignmentStates", "serviceProvisioningErrors", "imAddresses"),
    },
    "messageRule": {"id", "hasError", "isReadOnly"},
    "mailboxSettings": {"userPurpose"},
}
"""`mail` can be written by the reference; who relies on Exchange to set it leaves it alone."""
ONLY = {"POST domain": {"id"}, "PATCH domain": {"isDefault", "supportedServices"}}
REQUIRED = {
    "user": {
        *("accountEnabled", "displayName", "mailNickname", "passwordProfile"),
        "userPrincipalName",
    },
    "domain": {"id"},
    "messageRule": {"displayName", "sequence", "actions"},
}
_QUERY = {"$select", "$filter", "$top", "$expand", "$skiptoken", "includeHiddenFolders"}


@dataclass(slots=True)
class Simulator:
    """One tenant's Graph. `wrong` is everything that was asked or answered against the rules."""

    state: TenantState
    origin: str = ""
    granted: frozenset[str] = GRANTED
    page: int = 3
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    armed: list[Fault] = field(default_factory=list)
    expired: bool = False
    throttled_in_batch: int = 0
    under_way: int = 0
    override: Callable[[Asked], Told] | None = None
    """Answers in its stead: what no Graph would say."""
    schema: Schema | None = field(default_factory=graph_schema)

    async def respond(self, asked: Asked) -> Told:
        """The answer to one request; the web server's function."""
        self.under_way += 1
        try:
            await asyncio.sleep(0)
            return self.override(asked) if self.override else self._whole(asked)
        finally:
            self.under_way -= 1

    def _whole(self, asked: Asked) -> Told:
        if self.under_way > AT_ONCE:
            self.wrong.append(f"{self.under_way} at once")
            return _told(429, _error("ApplicationThrottled", "MailboxConcurrency"))
        if self._meets(Fault.AWAY):
            return Told(503, b"<html>Service Unavailable</html>", {"Retry-After": "7"})
        if self._meets(Fault.THROTTLED):
            error = _error("TooManyRequests", "Too many requests")
            return _told(429, error, {"Retry-After": "11"})
        self.expired = self.expired or self._meets(Fault.EXPIRED)
        if self.expired or asked.headers.get("authorization") != f"Bearer {TOKEN}":
            error = _error("InvalidAuthenticationToken", "Lifetime validation failed")
            return _told(401, error)
        writes = asked.method != "GET" and "$batch" not in asked.target
        if writes and self._meets(Fault.REQUEST_LOST):
            return Told(0, silent=True)
        status, body = self._answer(asked.method, asked.target, asked.body)
        if writes and self._meets(Fault.ANSWER_LOST):
            return Told(0, silent=True)
        return _told(status, body)

    def _meets(self, fault: Fault) -> bool:
        if fault not in self.armed:
            return False
        self.armed.remove(fault)
        return True

    def _answer(self, method: str, target: str, octets: bytes) -> tuple[int, object]:
        parts = urlsplit(target)
        path, query = parts.path.removeprefix(ROOT), dict(parse_qsl(parts.query))
        self.asked.append(f"{method} {path}")
        try:
            if not parts.path.startswith(f"{ROOT}/"):
                raise Refusal(404, "BadRequest", "Invalid version")
            body = json.loads(octets) if octets else None
            if path == "/$batch":
                return 200, self._batch(body or {})
            self._permit(method, path)
            self._judge(method, path, query, body)
            return self._route(method, path, query, body)
        except Refusal as refusal:
            if refusal.strange:
                self.wrong.append(f"{method} {target} {octets[:300]!r}: {refusal.said}")
            return refusal.status, _error(refusal.code, refusal.said)

    def _batch(self, body: Json) -> Json:
        requests = body["requests"]
        assert isinstance(requests, list)
        if not 0 < len(requests) <= BATCH:
            raise Refusal(400, "BadRequest", f"{len(requests)} in a batch", strange=True)
        found: list[Json] = []
        for each in requests:
            if self.throttled_in_batch:
                self.throttled_in_batch -= 1
                throttled = _error("TooManyRequests", "MailboxConcurrency")
                answer: Json = {"status": 429, "headers": {"Retry-After": "0"}, "body": throttled}
            else:
                status, said = self._answer(each["method"], ROOT + each["url"], b"")
                answer = {"status": status, "headers": {}, "body": said}
            found.append({"id": each["id"], **answer})
        # A batch's answers come in any order.
        return {"responses": found[::-1]}

    def _permit(self, method: str, path: str) -> None:
        for methods, pattern, rights in RIGHTS:
            if re.fullmatch(methods, method) and re.fullmatch(pattern, path):
                if not self.granted & set(rights):
                    said = "Insufficient privileges to complete the operation."
                    raise Refusal(403, "Authorization_RequestDenied", said)
                return
        raise Refusal(405, "Request_BadRequest", "no such call in this simulator", strange=True)

    def _judge(self, method: str, path: str, query: dict[str, str], body: object) -> None:
        """By the schema, and by the tables."""
        if method in ("POST", "PATCH") and body is None and not path.endswith(_BARE):
            raise Refusal(400, "BadRequest", "no body", strange=True)
        if self.schema is None:
            return
        place = self.schema.place(path)
        if place is None:
            raise Refusal(400, "BadRequest", f"the schema has no {path}", strange=True)
        wrong = [*self._wrong_query(place, query), *self._wrong_body(method, place, body)]
        if wrong:
            raise Refusal(400, "BadRequest", "; ".join(wrong), strange=True)

    def _wrong_query(self, place: Place, query: dict[str, str]) -> Iterator[str]:
        assert self.schema is not None
        known = self.schema.names(place.kind, derived=place.kind == "directoryObject")
        yield from (f"no option {name}" for name in query if name not in _QUERY)
        for name in query.get("$select", "").split(","):
            if name and name not in known:
                yield f"$select={name}: {place.kind} has none"
        expanded = re.match(r"\w*", query.get("$expand", ""))
        if expanded and expanded[0] and expanded[0] not in known:
            yield f"$expand={expanded[0]}: {place.kind} has none"
        for name in re.findall(r"(\w+)(?: eq |/any)", _without_strings(query.get("$filter", ""))):
            if name not in known and name != "p":
                yield f"$filter: {place.kind} has no {name}"

    def _wrong_body(self, method: str, place: Place, body: object) -> Iterator[str]:
        assert self.schema is not None
        if body is None:
            return
        if place.action is not None:
            parameters = place.action.parameters
            given = body if isinstance(body, dict) else {}
            yield from (f"no parameter {name}" for name in given if name not in parameters)
            for name, kind in parameters.items():
                if name in given:
                    yield from self.schema.wrong(kind, given[name], name)
                elif name not in place.action.optional:
                    yield f"the parameter {name} is missing"
            return
        yield from self.schema.wrong(place.kind, body, place.kind)
        names = set(body) if isinstance(body, dict) else set()
        yield from (f"{name} can't be written" for name in names & READ_ONLY.get(place.kind, set()))
        only = ONLY.get(f"{method} {place.kind}")
        if only is not None:
            yield from (f"{name} can't be written" for name in names - only)
        if method == "POST":
            missing = REQUIRED.get(place.kind, set()) - names
            yield from (f"{name} is missing" for name in missing)

    def _route(
        self, method: str, path: str, query: dict[str, str], body: object
    ) -> tuple[int, object]:
        steps = [unquote(step) for step in path.strip("/").split("/")]
        given: Json = body if isinstance(body, dict) else {}
        one = _pattern(method, steps)
        if one not in ROUTES:
            raise Refusal(405, "Request_BadRequest", f"no such call: {one}", strange=True)
        status, found = ROUTES[one](self, steps, given, query)
        if isinstance(found, list):
            found = self._paged(path, query, found)
        self._check_answer(path, found)
        return status, found

    def _paged(self, path: str, query: dict[str, str], found: list[Json]) -> Json:
        start = int(query.get("$skiptoken", "0"))
        size = min(self.page, int(query.get("$top", "100")))
        page: Json = {"value": found[start : start + size]}
        if start + size < len(found):
            rest = "&".join(f"{k}={v}" for k, v in _quoted(query) if k != "$skiptoken")
            link = f"{self.origin}{ROOT}{path}?$skiptoken={start + size}"
            page["@odata.nextLink"] = f"{link}&{rest}" if rest else link
        return page

    def _check_answer(self, path: str, found: object) -> None:
        place = self.schema.place(path) if self.schema else None
        if not isinstance(found, dict) or place is None or self.schema is None:
            return
        if place.action is not None:
            return
        values = found.get("value") if place.many else [found]
        for each in values if isinstance(values, list) else []:
            wrong = self.schema.wrong(place.kind, each, place.kind)
            self.wrong.extend(f"answered to {path}: {it}" for it in wrong)


_BARE = ("/verify", "/revokeSignInSessions")
Route = Callable[[Simulator, list[str], Json, dict[str, str]], tuple[int, object]]


def _pattern(method: str, steps: list[str]) -> str:
    shown = ["*" if number % 2 else step for number, step in enumerate(steps)]
    if len(steps) >= 4 and steps[2] == "mailFolders" and steps[3] == "inbox":
        shown[3] = "inbox"
    return f"{method} {'/'.join(shown)}"


def _user(simulator: Simulator, steps: list[str]) -> User:
    found = simulator.state.user(steps[1])
    if found is None or not found.seen:
        said = f"Resource '{steps[1]}' does not exist"
        raise Refusal(404, "Request_ResourceNotFound", said)
    return found


def _box(simulator: Simulator, steps: list[str]) -> Box:
    found = _user(simulator, steps)
    if found.box is None:
        said = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        raise Refusal(404, "MailboxNotEnabledForRESTAPI", said)
    return found.box


def _rule(simulator: Simulator, steps: list[str]) -> Json:
    for each in _box(simulator, steps).rules:
        if each["id"] == steps[5]:
            return each
    raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def _users(s: Simulator, steps: list[str], body: Json, query: dict[str, str]) -> tuple[int, object]:
    found = [answers.user(each) for each in s.state.users if each.seen]
    wanted = query.get("$filter", "")
    chosen = [each for each in found if answers.matches(wanted, each)]
    return 200, [answers.selected(each, query) for each in chosen]


def _assign(
    s: Simulator, steps: list[str], body: Json, query: dict[str, str]
) -> tuple[int, object]:
    user = _user(s, steps)
    answers.assign(s.state, user, body)
    return 200, answers.user(user)


def _revoke(
    s: Simulator, steps: list[str], body: Json, query: dict[str, str]
) -> tuple[int, object]:
    _user(s, steps).revoked += 1
    return 200, {"value": True}


def _patch_rule(
    s: Simulator, steps: list[str], body: Json, query: dict[str, str]
) -> tuple[int, object]:
    rule = _rule(s, steps)
    if rule.get("isReadOnly"):
        raise Refusal(403, "ErrorAccessDenied", "The rule is read-only.")
    rule.update(body)
    return 200, rule


def _delete_rule(
    s: Simulator, steps: list[str], body: Json, query: dict[str, str]
) -> tuple[int, object]:
    _box(s, steps).rules.remove(_rule(s, steps))
    return 204, None


def _delete_user(
    s: Simulator, steps: list[str], body: Json, query: dict[str, str]
) -> tuple[int, object]:
    s.state.users.remove(_user(s, steps))
    return 204, None


ROUTES: dict[str, Route] = {
    "GET organization": lambda s, steps, body, query: (200, [answers.organization(s.state)]),
    "GET subscribedSkus": lambda s, steps, body, query: (200, answers.subscriptions(s.state)),
    "GET users": _users,
    "POST users": lambda s, steps, body, query: (201, answers.new_user(s.state, body)),
    "GET users/*": lambda s, steps, body, query: (
        200,
        answers.selected(answers.user(_user(s, steps)), query),
    ),
    "PATCH users/*": lambda s, steps, body, query: (
        204,
        answers.change_user(s.state, _user(s, steps), body),
    ),
    "DELETE users/*": _delete_user,
    "POST users/*/assignLicense": _assign,
    "POST users/*/revokeSignInSessions": _revoke,
    "GET users/*/mailboxSettings": lambda s, steps, body, query: (
        200,
        answers.settings(_box(s, steps)),
    ),
    "PATCH users/*/mailboxSettings": lambda s, steps, body, query: (
        200,
        answers.change_settings(_box(s, steps), body),
    ),
    "GET users/*/mailFolders": lambda s, steps, body, query: (
        200,
        answers.folders(_box(s, steps)),
    ),
    "GET users/*/mailFolders/inbox": lambda s, steps, body, query: (
        200,
        answers.selected(answers.folders(_box(s, steps))[0], query),
    ),
    "GET users/*/mailFolders/*/childFolders": lambda s, steps, body, query: (
        200,
        answers.inner_folders(_box(s, steps)),
    ),
    "GET users/*/mailFolders/inbox/messageRules": lambda s, steps, body, query: (
        200,
        list(_box(s, steps).rules),
    ),
    "POST users/*/mailFolders/inbox/messageRules": lambda s, steps, body, query: (
        201,
        answers.new_rule(s.state, _box(s, steps), body),
    ),
    "PATCH users/*/mailFolders/inbox/messageRules/*": _patch_rule,
    "DELETE users/*/mailFolders/inbox/messageRules/*": _delete_rule,
    "GET groups": lambda s, steps, body, query: (200, answers.groups(s.state, query)),
    "GET groups/*/members": lambda s, steps, body, query: (
        200,
        answers.members(s.state, steps[1]),
    ),
    "GET contacts": lambda s, steps, body, query: (200, list(s.state.contacts)),
    "GET domains": lambda s, steps, body, query: (
        200,
        [answers.domain(each) for each in s.state.domains],
    ),
    "POST domains": lambda s, steps, body, query: (201, answers.new_domain(s.state, body)),
    "GET domains/*": lambda s, steps, body, query: (
        200,
        answers.domain(answers.known_domain(s.state, steps[1])),
    ),
    "PATCH domains/*": lambda s, steps, body, query: (
        204,
        answers.change_domain(answers.known_domain(s.state, steps[1]), body),
    ),
    "DELETE domains/*": lambda s, steps, body, query: (
        204,
        answers.delete_domain(s.state, steps[1]),
    ),
    "POST domains/*/verify": lambda s, steps, body, query: (
        200,
        answers.verify(answers.known_domain(s.state, steps[1])),
    ),
    "GET domains/*/serviceConfigurationRecords": lambda s, steps, body, query: (
        200,
        answers.records(answers.known_domain(s.state, steps[1])),
    ),
    "GET domains/*/verificationDnsRecords": lambda s, steps, body, query: (
        200,
        answers.proofs(answers.known_domain(s.state, steps[1])),
    ),
    "GET domains/*/domainNameReferences": lambda s, steps, body, query: (
        200,
        answers.references(s.state, steps[1]),
    ),
}


def _quoted(query: dict[str, str]) -> Iterator[tuple[str, str]]:
    from urllib.parse import quote

    for name, value in query.items():
        yield name, quote(value, safe="$,")


def _without_strings(text: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", text)


def _error(code: str, said: str) -> Json:
    return {"error": {"code": code, "message": said}}


def _told(status: int, body: object, headers: dict[str, str] | None = None) -> Told:
    octets = b"" if body is None or status == 204 else json.dumps(body).encode()
    return Told(status, octets, {"Content-Type": "application/json", **(headers or {})})
