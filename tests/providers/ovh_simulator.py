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
from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Release,
    Remove,
    Rename,
    SetMode,
    Unlock,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Filter,
    Group,
    Redirection,
    Responder,
    Right,
)
from mailhaul.providers.obstacles import standing
from mailhaul.providers.provider import OVER, Refused, TaskState
from mailhaul.providers.service import Access, AccountState, DomainStatus, Mode
from tests.providers import memory_rules
from tests.providers.memory import MemoryAccount, MemoryHoster, MemoryService, Work
from tests.providers.memory_provider import MemoryProvider, _prepare
from tests.providers.ovh_routes import PUBLISHED, PUBLISHED_MODELS, REFERENCE, REFERENCE_MODELS
from tests.providers.ovh_schema import book
from tests.providers.ovh_zones import Zones
from tests.providers.web_server import Asked, Told

BOOK = book(PUBLISHED + REFERENCE, PUBLISHED_MODELS + REFERENCE_MODELS)
NEVER = "2026-01-01T00:00:00+00:00"
PLACEHOLDERS = "configureme.me"
GIB = 1 << 30

FUNCTIONS: dict[type[Action], str] = {
    Create: "addAccount",
    Configure: "setAccount",
    Release: "setAccount",
    Rename: "setAccount",
    Unlock: "changePassword",
    Delete: "deleteAccount",
    Attach: "addDomain",
    Detach: "deleteDomain",
    SetMode: "setDomain",
    HandOver: "internalMigration",
}
RIGHTS = {
    Right.FULL: ("fullAccess", "FullAccess"),
    Right.SEND_AS: ("sendAs", "SendAs"),
    Right.SEND_ON_BEHALF: ("sendOnBehalfTo", "SendOnBehalfTo"),
}
MODES = {Mode.AUTHORITATIVE: "authoritative", Mode.NON_AUTHORITATIVE: "nonAuthoritative"}
STATES = {DomainStatus.CREATING: "creating", DomainStatus.DELETING: "deleting"}


@dataclass(frozen=True)
class Application:
    """Keys that the API knows."""

    key: str = "7kbG7Bk7S9Nt7ZSV"
    secret: str = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"
    consumer: str = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"


class Fault(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, str] = {"message": message} | ({"errorCode": code} if code else {})


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
    numbers: dict[str, int] = field(default_factory=dict)
    instant: dict[int, tuple[str, str]] = field(default_factory=dict)
    rules: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What was asked for that isn't described, for tests to look at."""

    def __post_init__(self) -> None:
        self.planes = {name: MemoryProvider(self.hoster, name) for name in self.hoster.services}
        self.hoster.finish = self._finish

    async def respond(self, asked: Asked) -> Told:
        """See `web_server`."""
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
            return await _Legacy(self, state).answer(method, tail, names, query, body)
        tail = path.partition("{service}")[2]
        return await _Platform(self, state, kind).answer(method, tail, names, query, body)

    async def begin(
        self, state: MemoryService, action: Action, secret: Secret | None = None
    ) -> Work:
        """Has the action begun, as the hoster does; the same again is another work, and what ended
        badly goes on."""
        turn = 0
        while (known := state.works.get(f"{action}#{turn}")) and known.state is TaskState.DONE:
            turn += 1
        key = f"{action}#{turn}"
        await self.planes[state.name].begin(action, key, secret)
        return state.works[key]

    def password(self, state: MemoryService, account: MemoryAccount, password: str) -> Work:
        """An account gets another password."""
        if account.state is AccountState.BUSY:
            raise Fault(409, "There is already a task on this account")
        key = f"password#{len(state.works)}"
        action = Unlock(account.address)
        work = Work(key, key, action, state.ticks, Secret(password))
        _prepare(state, work)
        work.busy.append((account, account.state))
        account.state = AccountState.BUSY
        state.works[key] = work
        if state.ticks == 0:
            self._finish(state, work)
        return work

    def number(self, work: Work) -> int:
        """What the API calls it."""
        return self.numbers.setdefault(work.id, 1000 + len(self.numbers) + len(self.instant))

    def at_once(self, function: str, address: str) -> int:
        """A task that is over as soon as it is begun."""
        number = 1000 + len(self.numbers) + len(self.instant)
        self.instant[number] = (function, address)
        return number

    def _finish(self, state: MemoryService, work: Work) -> None:
        if not work.id.startswith("password#"):
            memory_rules.finish(self.hoster, state, work)
            return
        for account, before in work.busy:
            account.state = before
            if work.ends is TaskState.DONE and work.secret is not None:
                account.password = work.secret.reveal()
        work.state = work.ends


def _told(status: int, value: object) -> Told:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Told(status, json.dumps(value).encode(), headers)


def _public(codes: str) -> str:
    """OVHcloud's answers are sentences, not our codes."""
    if "PASSWORD_WRONG" in codes:
        return "The password is not valid"
    return "This object can't be changed so: something is already there, or missing"


class _Side:
    """What both kinds of service have."""

    def __init__(self, cloud: OvhCloud, state: MemoryService) -> None:
        self.cloud = cloud
        self.state = state

    def account(self, address: str) -> MemoryAccount:
        found = self.state.found(address)
        if found is None:
            raise Fault(404, "The requested object (email) does not exist")
        return found

    def alias(self, address: str, alias: str) -> Alias:
        for each in self.state.extras:
            if isinstance(each, Alias) and same(each.address, address) and same(each.alias, alias):
                return each
        raise Fault(404, "The requested object (alias) does not exist")

    def under_way(self, account: MemoryAccount) -> list[Work]:
        return [
            work
            for work in self.state.works.values()
            if work.state not in OVER and any(each is account for each, _ in work.busy)
        ]


class _Platform(_Side):
    """The new MX Plan, Email Pro, Exchange."""

    def __init__(self, cloud: OvhCloud, state: MemoryService, kind: str) -> None:
        super().__init__(cloud, state)
        self.kind = kind

    async def answer(
        self,
        method: str,
        tail: str,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        match method, tail.split("/")[1:]:
            case "GET", []:
                offers = {"mxplan": "MXPLAN", "pro": "emailpro", "exchange": "hosted"}
                host = "mxplan-1.mail.ovh.net" if self.kind == "mxplan" else "ex5.mail.ovh.net"
                offer = self.cloud.offers.get(self.state.name, offers[self.kind])
                return {"domain": self.state.name, "hostname": host, "offer": offer}
            case "GET", ["account"]:
                listed = self.state.accounts
                if "id" in query:
                    listed = [each for each in listed if self._id(each) == query["id"]]
                return [each.address for each in listed]
            case "POST", ["account"]:
                action = Create(f"{body['login']}@{body['domain']}", str(body["displayName"] or ""))
                return self._task(
                    await self.cloud.begin(self.state, action, Secret(str(body["password"])))
                )
            case _, ["account", "{email}", *rest]:
                account = self.account(names["email"])
                return await self._of_account(method, rest, account, names, body)
            case _, ["domain", *rest]:
                return await self._of_domain(method, rest, names, body)
            case "GET", ["task"]:
                return [self.cloud.number(each) for each in self.state.works.values()]
            case "GET", ["task", _]:
                return self._numbered(int(names["id"]))
            case "GET", ["serviceInfos"]:
                its = self.state.contacts
                return {
                    "contactAdmin": its.administrator,
                    "contactTech": its.technical,
                    "contactBilling": its.billing,
                }
            case _, ["mailingList", *rest]:
                return await self._of_group(method, rest, names, body)
            case "GET", [_]:
                return []
        raise Fault(404, "The requested object does not exist")

    async def _of_account(
        self,
        method: str,
        rest: list[str],
        account: MemoryAccount,
        names: dict[str, str],
        body: dict[str, object],
    ) -> object:
        address = account.address
        match method, rest:
            case "GET", []:
                return self._shown(account)
            case "PUT", []:
                await self._changed(account, body)
                return None
            case "DELETE", []:
                return self._task(await self.cloud.begin(self.state, Delete(address)))
            case "POST", ["changePassword"]:
                return self._task(self.cloud.password(self.state, account, str(body["password"])))
            case "GET", ["protocol"]:
                ways = account.access or frozenset()
                return {
                    "IMAP": Access.IMAP in ways,
                    "POP": Access.POP in ways,
                    "activeSync": Access.ACTIVESYNC in ways,
                    "webMail": Access.WEBMAIL in ways,
                }
            case "GET", ["alias"]:
                extras = self.state.extras
                found = (each for each in extras if isinstance(each, Alias))
                return [each.alias for each in found if same(each.address, address)]
            case "POST", ["alias"]:
                action: Action = Add(Alias(address, str(body["alias"])))
                return self._task(await self.cloud.begin(self.state, action))
            case "DELETE", ["alias", _]:
                action = Remove(self.alias(address, names["alias"]))
                return self._task(await self.cloud.begin(self.state, action))
            case "GET", [("task" | "tasks")]:
                return [self.cloud.number(each) for each in self._tasks(account)] + [
                    number
                    for number, (_, whose) in self.cloud.instant.items()
                    if same(whose, address)
                ]
            case "GET", [("task" | "tasks"), _]:
                return self._numbered(int(names["id"]))
        right = next(each for each, (place, _) in RIGHTS.items() if place == rest[0])
        held = [
            each
            for each in self.state.extras
            if isinstance(each, Delegation) and same(each.address, address) and each.right is right
        ]
        if method == "GET":
            return [self._id(self.account(each.to)) for each in held]
        number = names.get("allowedAccountId") or next(iter(body.values()))
        people = (each for each in self.state.accounts if self._id(each) == int(str(number)))
        to = next(people, None)
        if to is None:
            raise Fault(404, "The requested object (account) does not exist")
        extra = Delegation(address, to.address, right)
        action = Add(extra) if method == "POST" else Remove(extra)
        return self._task(await self.cloud.begin(self.state, action))

    async def _changed(self, account: MemoryAccount, body: dict[str, object]) -> None:
        local, _, domain = account.address.rpartition("@")
        to = f"{body.get('login', local)}@{body.get('domain', domain)}"
        name = str(body.get("displayName") or "")
        if account.state is AccountState.BUSY:
            raise Fault(409, "There is already a task on this account")
        works = self.state.works.values()
        if account.state is AccountState.PLACEHOLDER:
            # One that got its address and no more goes on where it broke off.
            half = (w.action for w in works if isinstance(w.action, Configure))
            begun = [each for each in half if same(each.address, to)]
            action: Action = Configure(account.address, to, name)
            if same(to, account.address) and begun:
                action = begun[-1]
            await self.cloud.begin(self.state, action)
        elif not same(to, account.address):
            gone = to.endswith(f"@{PLACEHOLDERS}")
            action = Release(account.address, to) if gone else Rename(account.address, to)
            await self.cloud.begin(self.state, action)
        elif "displayName" in body:
            account.name = name
            self.cloud.at_once("setAccount", account.address)

    async def _of_domain(
        self, method: str, rest: list[str], names: dict[str, str], body: dict[str, object]
    ) -> object:
        if method == "GET" and not rest:
            return [each.name for each in self.state.domains]
        if method == "POST":
            mode = next(mode for mode, word in MODES.items() if word == body["type"])
            action: Action = Attach(str(body["name"]), mode, str(body.get("mxRelay") or ""))
            return self._task(await self.cloud.begin(self.state, action))
        there = self.state.has_domain(names["domainName"])
        if there is None:
            raise Fault(404, "The requested object (domain) does not exist")
        match method, rest[1:]:
            case "GET", []:
                return self._domain(there.name)
            case "PUT", []:
                mode = next(mode for mode, word in MODES.items() if word == body["type"])
                relay = str(body.get("mxRelay") or "")
                action = SetMode(there.name, mode, relay, there.mode, there.relay)
                begun = [
                    each.action
                    for each in self.state.works.values()
                    if isinstance(each.action, SetMode) and each.state in OVER
                    if (each.action.mode, each.action.relay) == (mode, relay)
                    if each.state is not TaskState.DONE
                ]
                await self.cloud.begin(self.state, begun[-1] if begun else action)
                return None
            case "DELETE", []:
                return self._task(await self.cloud.begin(self.state, Detach(there.name)))
            case "GET", ["dkim"]:
                return ["ovhex1-selector1"]
            case "GET", ["dkim", _]:
                return {
                    "customerRecord": f"ovhex1-selector1._domainkey.{there.name}",
                    "selectorName": "ovhex1-selector1",
                    "targetRecord": "ovhex1-selector1._domainkey.1.ab.dkim.mail.ovh.net",
                }
        raise Fault(404, "The requested object does not exist")

    def _domain(self, name: str) -> dict[str, object]:
        there = self.state.has_domain(name)
        assert there is not None
        unproven = there.status is DomainStatus.UNPROVEN
        ok = there.status is DomainStatus.OK or unproven
        shown: dict[str, object] = {
            "name": there.name,
            "state": "ok" if ok else STATES.get(there.status, "suspended"),
            "domainValidated": not unproven,
            "cnameToCheck": "abc1-check" if unproven else None,
            "type": MODES[there.mode],
            "mxRelay": there.relay or None,
            "taskPendingId": 0,
            "expectedMX": [f"{name} IN MX 1 mx0.mail.ovh.net", f"{name} IN MX 5 mx1.mail.ovh.net"],
        }
        if self.kind != "mxplan":
            shown["expectedSPF"] = f'{name} IN TXT "v=spf1 include:mx.ovh.com ~all"'
            service = f"_autodiscover._tcp.{name} IN SRV 0 0 443 ex5.mail.ovh.net"
            shown["expectedAutodiscoverSRV"] = service
        return shown

    async def _of_group(
        self, method: str, rest: list[str], names: dict[str, str], body: dict[str, object]
    ) -> object:
        groups = [each for each in self.state.extras if isinstance(each, Group)]
        if not rest and method == "GET":
            return [each.address for each in groups]
        if not rest:
            group = Group(str(body["mailingListAddress"]), (), str(body.get("displayName") or ""))
            return self._task(await self.cloud.begin(self.state, Add(group)))
        there = self.state.group(names["address"])
        if there is None:
            raise Fault(404, "The requested object (mailingList) does not exist")
        match method, rest[1:]:
            case "GET", []:
                return {"mailingListAddress": there.address, "displayName": there.name}
            case "DELETE", []:
                return self._task(await self.cloud.begin(self.state, Remove(there)))
            case "GET", ["member", "account"]:
                return [self._id(self.account(each)) for each in there.members]
            case "GET", ["member", "contact"]:
                return []
            case "POST", ["member", "account"]:
                people = {self._id(each): each.address for each in self.state.accounts}
                member = people.get(int(str(body["memberAccountId"])), "")
                if not member:
                    raise Fault(404, "The requested object (account) does not exist")
                members = tuple(sorted({*there.members, member}))
                self.state.extras.remove(there)
                self.state.extras.append(Group(there.address, members, there.name))
                number = self.cloud.at_once("addDistributionGroupMember", there.address)
                return self._numbered(number)
        raise Fault(404, "The requested object does not exist")

    def _shown(self, account: MemoryAccount) -> dict[str, object]:
        local, _, domain = account.address.rpartition("@")
        pending = self.under_way(account)
        before = next((was for w in pending for each, was in w.busy if each is account), None)
        state = before or account.state
        return {
            "configured": state is not AccountState.PLACEHOLDER,
            "currentUsage": -(-account.used // 1024),
            "displayName": account.name or None,
            "domain": domain,
            "id": self._id(account),
            "login": local,
            "primaryEmailAddress": account.address,
            "quota": (account.quota or 0) // GIB,
            # What ended half done is what OVHcloud calls suspended.
            "state": "suspended" if state is AccountState.LOCKED else "ok",
            "taskPendingId": self.cloud.number(pending[-1]) if pending else 0,
        }

    def _id(self, account: MemoryAccount) -> int:
        return id(account) % 1_000_000_007

    def _tasks(self, account: MemoryAccount) -> list[Work]:
        works = self.state.works.values()
        return [work for work in works if any(each is account for each, _ in work.busy)]

    def _task(self, work: Work) -> dict[str, object]:
        return self._numbered(self.cloud.number(work))

    def _numbered(self, number: int) -> dict[str, object]:
        if number in self.cloud.instant:
            function = self.cloud.instant[number][0]
            return {"function": function, "id": number, "status": "done", "todoDate": NEVER}
        for work in self.state.works.values():
            if self.cloud.number(work) == number:
                return {
                    "function": _function(work.action),
                    "id": number,
                    "status": work.state.value,
                    "todoDate": NEVER,
                    "finishDate": NEVER if work.state in OVER else None,
                }
        raise Fault(404, "The requested object (task) does not exist")


def _function(action: Action) -> str:
    match action:
        case Add(Alias()):
            return "addAlias"
        case Remove(Alias()):
            return "deleteAlias"
        case Add(Delegation(right=right)):
            return f"add{RIGHTS[right][1]}"
        case Remove(Delegation(right=right)):
            return f"delete{RIGHTS[right][1]}"
        case Add():
            return "addDistributionGroup"
        case Remove():
            return "deleteDistributionGroup"
    return FUNCTIONS[type(action)]


class _Legacy(_Side):
    """The older MX Plan."""

    async def answer(
        self,
        method: str,
        tail: str,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        local = names.get("name", "")
        match method, tail.split("/")[1:]:
            case "GET", []:
                return {
                    "allowedAccountSize": [5 * GIB],
                    "domain": self.state.name,
                    "migratedMXPlanServiceName": None,
                    "offer": "MXPLAN 100",
                    "status": "ok",
                }
            case "GET", ["quota"]:
                return {"account": 100}
            case "GET", ["summary"]:
                return {"account": len(self.state.accounts)}
            case "GET", ["serviceInfos"]:
                its = self.state.contacts
                return {
                    "contactAdmin": its.administrator,
                    "contactTech": its.technical,
                    "contactBilling": its.billing,
                }
            case "GET", ["recommendedDNSRecords"]:
                return [
                    {"fieldType": "MX", "subDomain": "", "target": "1 mx1.mail.ovh.net."},
                    {"fieldType": "MX", "subDomain": "", "target": "5 mx2.mail.ovh.net."},
                    {"fieldType": "SPF", "target": '"v=spf1 include:mx.ovh.com ~all"'},
                    {
                        "fieldType": "CNAME",
                        "subDomain": "autoconfig",
                        "target": "mailconfig.ovh.net.",
                    },
                ]
            case "GET", ["account"]:
                return [each.address.rpartition("@")[0] for each in self.state.accounts]
            case "POST", ["account"]:
                action: Action = Create(
                    self._at(str(body["accountName"])), str(body.get("description", ""))
                )
                secret = Secret(str(body["password"]))
                return self._pop(await self.cloud.begin(self.state, action, secret))
            case _, ["account", "{name}", *rest]:
                account = self.account(self._at(local))
                return await self._of_account(method, rest, account, names, query, body)
            case "GET", ["mailingList"]:
                return []
            case _, ["redirection", *rest]:
                return await self._of_redirection(method, rest, names, query, body)
            case _, ["responder", *rest]:
                return await self._of_responder(method, rest, names, body)
            case "GET", ["task", queue, *rest]:
                return self._of_queue(queue, names if rest else {}, query)
        raise Fault(404, "The requested object does not exist")

    async def _of_account(
        self,
        method: str,
        rest: list[str],
        account: MemoryAccount,
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        match method, rest:
            case "GET", []:
                return {
                    "accountName": account.address.rpartition("@")[0],
                    "description": account.name,
                    "domain": self.state.name,
                    "email": account.address,
                    "isBlocked": account.state is AccountState.LOCKED,
                    "size": account.quota or 5 * GIB,
                }
            case "PUT", []:
                account.name = str(body.get("description", account.name))
                return None
            case "DELETE", []:
                return self._pop(await self.cloud.begin(self.state, Delete(account.address)))
            case "POST", ["changePassword"]:
                return self._pop(self.cloud.password(self.state, account, str(body["password"])))
            case "GET", ["usage"]:
                return {"date": NEVER, "emailCount": account.box.total(), "quota": account.used}
            case "GET", ["delegation"]:
                return []
            case _, ["filter", *more]:
                return await self._of_filter(method, more, account.address, names, body)
            case _, ["migrate", *more]:
                return await self._migrate(method, more, account, names, body)
        raise Fault(404, "The requested object does not exist")

    async def _of_filter(
        self,
        method: str,
        rest: list[str],
        address: str,
        names: dict[str, str],
        body: dict[str, object],
    ) -> object:
        extras = self.state.extras
        own = {
            each.name: each
            for each in extras
            if isinstance(each, Filter) and same(each.address, address)
        }
        if method == "GET" and not rest:
            return list(own)
        if method == "POST":
            extra = Filter(address, str(body["name"]), "", json.dumps(body))
            return self._filter_task(await self.cloud.begin(self.state, Add(extra)))
        there = own.get(names["filter"])
        if there is None:
            raise Fault(404, "The requested object (filter) does not exist")
        held = json.loads(there.words)
        match method, rest[1:]:
            case "GET", []:
                wanted = ("action", "actionParam", "active", "name", "priority")
                shown = {name: held.get(name) for name in wanted}
                return shown | {"domain": self.state.name, "pop": address.rpartition("@")[0]}
            case "GET", ["rule"]:
                return [1]
            case "GET", ["rule", _]:
                return {"id": 1} | {name: held[name] for name in ("header", "operand", "value")}
            case "DELETE", []:
                return [self._filter_task(await self.cloud.begin(self.state, Remove(there)))]
        raise Fault(404, "The requested object does not exist")

    async def _migrate(
        self,
        method: str,
        rest: list[str],
        account: MemoryAccount,
        names: dict[str, str],
        body: dict[str, object],
    ) -> object:
        services = self.state.hand_over_to
        if not rest:
            return sorted(services)
        if names["destination"] not in services:
            raise Fault(404, "The requested object (destination) does not exist")
        target = self.cloud.hoster.service(names["destination"])
        free = [e for e in target.accounts if e.state is AccountState.PLACEHOLDER]
        its = target.contacts
        match method, rest[1:]:
            case "GET", []:
                return {
                    "contactAdmin": its.administrator,
                    "contactTech": its.technical,
                    "contactBilling": its.billing,
                    "destinationServiceName": target.name,
                }
            case "GET", ["destinationEmailAddress"]:
                return [each.address for each in free]
        chosen = next((each for each in free if same(each.address, names["address"])), None)
        if chosen is None:
            raise Fault(404, "The requested object (destinationEmailAddress) does not exist")
        action = HandOver(account.address, target.name, chosen.address)
        match method, rest[3:]:
            case "GET", []:
                return {"destinationEmailAddress": chosen.address, "quota": chosen.quota or 0}
            case "GET", ["checkMigrate"]:
                refusals = memory_rules.refusals(self.cloud.hoster, self.state, action)
                known = BOOK.words["email.domain.MigrationCheckCodeEnum"]
                errors = [each for each in refusals if each.code in known]
                told = standing(account.address, self.state.extras)
                warnings = [each for each in told if each.code == "FILTER_EXIST"]
                return {
                    name: [{"code": each.code, "details": each.evidence} for each in found]
                    for name, found in (("error", errors), ("warning", warnings))
                }
            case "POST", ["migrate"]:
                secret = Secret(str(body["password"]))
                return self._pop(await self.cloud.begin(self.state, action, secret))
        raise Fault(404, "The requested object does not exist")

    async def _of_redirection(
        self,
        method: str,
        rest: list[str],
        names: dict[str, str],
        query: dict[str, object],
        body: dict[str, object],
    ) -> object:
        rows: dict[str, tuple[Redirection, str]] = {}
        for each in self.state.extras:
            if isinstance(each, Redirection):
                mark = hashlib.sha1(f"{each.address} {each.to}".encode()).hexdigest()[:12]
                rows[mark] = each, each.to
                if each.copy:
                    rows[f"{mark}-copy"] = each, each.address
        if method == "GET" and not rest:
            asked = str(query.get("from", ""))
            return [n for n, (each, _) in rows.items() if not asked or same(each.address, asked)]
        if method == "POST":
            extra = Redirection(str(body["from"]), str(body["to"]), bool(body["localCopy"]))
            return self._special(await self.cloud.begin(self.state, Add(extra)), "forward")
        if names["id"] not in rows:
            raise Fault(404, "The requested object (id) does not exist")
        its, to = rows[names["id"]]
        if method == "GET":
            return {"from": its.address, "id": names["id"], "to": to}
        if names["id"].endswith("-copy"):
            self.state.extras.remove(its)
            self.state.extras.append(Redirection(its.address, its.to))
            number = self.cloud.at_once("delete", its.address)
            return self._row(number, its.address, "delete", "forward")
        return self._special(await self.cloud.begin(self.state, Remove(its)), "forward")

    async def _of_responder(
        self, method: str, rest: list[str], names: dict[str, str], body: dict[str, object]
    ) -> object:
        own = {
            each.address.rpartition("@")[0]: each
            for each in self.state.extras
            if isinstance(each, Responder)
        }
        if method == "GET" and not rest:
            return list(own)
        if method == "POST":
            extra = Responder(
                self._at(str(body["account"])),
                str(body["content"]),
                copy_to=str(body.get("copyTo", "")),
            )
            if self.state.found(extra.address) is None:
                raise Fault(404, "The requested object (account) does not exist")
            return self._special(await self.cloud.begin(self.state, Add(extra)), "responder")
        its = own.get(names["account"])
        if its is None:
            raise Fault(404, "The requested object (account) does not exist")
        if method == "GET":
            return {
                "account": names["account"],
                "content": its.text,
                "copy": True,
                "copyTo": its.copy_to or None,
                "from": None,
                "to": None,
            }
        return self._special(await self.cloud.begin(self.state, Remove(its)), "responder")

    def _of_queue(self, queue: str, names: dict[str, str], query: dict[str, object]) -> object:
        works = [
            each
            for each in self.state.works.values()
            if each.state not in OVER and _queue(each.action) == queue
        ]
        if names:
            for each in works:
                if self.cloud.number(each) == int(names["id"]):
                    if queue == "account":
                        return self._pop(each)
                    if queue == "filter":
                        return self._filter_task(each)
                    return self._special(each, "forward" if queue == "redirection" else queue)
            raise Fault(404, "The requested object (task) does not exist")
        name = str(query.get("name") or query.get("account") or "")
        found = [each for each in works if not name or same(self._at(name), _whose(each.action))]
        numbers = [self.cloud.number(each) for each in found]
        return list(map(str, numbers)) if queue == "redirection" else numbers

    def _pop(self, work: Work) -> dict[str, object]:
        return {
            "action": FUNCTIONS[type(work.action)],
            "date": NEVER,
            "domain": self.state.name,
            "id": self.cloud.number(work),
            "name": _whose(work.action).rpartition("@")[0],
        }

    def _special(self, work: Work, type_: str) -> dict[str, object]:
        word = "add" if isinstance(work.action, Add) else "delete"
        return self._row(self.cloud.number(work), _whose(work.action), word, type_)

    def _row(self, number: int, address: str, action: str, type_: str) -> dict[str, object]:
        return {
            "account": address.rpartition("@")[0],
            "action": action,
            "date": NEVER,
            "domain": self.state.name,
            "id": number,
            "type": type_,
        }

    def _filter_task(self, work: Work) -> dict[str, object]:
        return {
            "account": _whose(work.action).rpartition("@")[0],
            "action": "add" if isinstance(work.action, Add) else "delete",
            "domain": self.state.name,
            "id": self.cloud.number(work),
            "timestamp": NEVER,
        }

    def _at(self, local: str) -> str:
        return f"{local}@{self.state.name}"


def _queue(action: Action) -> str:
    match action:
        case Add(Redirection()) | Remove(Redirection()):
            return "redirection"
        case Add(Responder()) | Remove(Responder()):
            return "responder"
        case Add() | Remove():
            return "filter"
    return "account"


def _whose(action: Action) -> str:
    if isinstance(action, Add | Remove):
        return action.extra.address
    return str(getattr(action, "address", ""))
