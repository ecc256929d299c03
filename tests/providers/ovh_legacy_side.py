"""The older MX Plan as OVHcloud's simulator has it."""

import hashlib
import json

from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Action,
    Add,
    Create,
    Delete,
    HandOver,
    Remove,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Filter, Redirection, Responder
from mailhaul.providers.obstacles import standing
from mailhaul.providers.provider import OVER
from mailhaul.providers.service import AccountState
from tests.providers import memory_rules
from tests.providers.memory import MemoryAccount, Work
from tests.providers.ovh_works import (
    BOOK,
    FUNCTIONS,
    GIB,
    NEVER,
    Fault,
    Side,
)


class LegacySide(Side):
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
                return self._pop(await self.works.begin(self.state, action, secret))
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
                return self._pop(await self.works.begin(self.state, Delete(account.address)))
            case "POST", ["changePassword"]:
                return self._pop(self.works.password(self.state, account, str(body["password"])))
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
            return self._filter_task(await self.works.begin(self.state, Add(extra)))
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
                return [self._filter_task(await self.works.begin(self.state, Remove(there)))]
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
        target = self.works.hoster.service(names["destination"])
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
                refusals = memory_rules.refusals(self.works.hoster, self.state, action)
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
                return self._pop(await self.works.begin(self.state, action, secret))
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
            return self._special(await self.works.begin(self.state, Add(extra)), "forward")
        if names["id"] not in rows:
            raise Fault(404, "The requested object (id) does not exist")
        its, to = rows[names["id"]]
        if method == "GET":
            return {"from": its.address, "id": names["id"], "to": to}
        if names["id"].endswith("-copy"):
            self.state.extras.remove(its)
            self.state.extras.append(Redirection(its.address, its.to))
            number = self.works.at_once("delete", its.address)
            return self._row(number, its.address, "delete", "forward")
        return self._special(await self.works.begin(self.state, Remove(its)), "forward")

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
            return self._special(await self.works.begin(self.state, Add(extra)), "responder")
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
        return self._special(await self.works.begin(self.state, Remove(its)), "responder")

    def _of_queue(self, queue: str, names: dict[str, str], query: dict[str, object]) -> object:
        works = [
            each
            for each in self.state.works.values()
            if each.state not in OVER and _queue(each.action) == queue
        ]
        if names:
            for each in works:
                if self.works.number(each) == int(names["id"]):
                    if queue == "account":
                        return self._pop(each)
                    if queue == "filter":
                        return self._filter_task(each)
                    return self._special(each, "forward" if queue == "redirection" else queue)
            raise Fault(404, "The requested object (task) does not exist")
        name = str(query.get("name") or query.get("account") or "")
        found = [each for each in works if not name or same(self._at(name), _whose(each.action))]
        numbers = [self.works.number(each) for each in found]
        return list(map(str, numbers)) if queue == "redirection" else numbers

    def _pop(self, work: Work) -> dict[str, object]:
        return {
            "action": FUNCTIONS[type(work.action)],
            "date": NEVER,
            "domain": self.state.name,
            "id": self.works.number(work),
            "name": _whose(work.action).rpartition("@")[0],
        }

    def _special(self, work: Work, type_: str) -> dict[str, object]:
        word = "add" if isinstance(work.action, Add) else "delete"
        return self._row(self.works.number(work), _whose(work.action), word, type_)

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
            "id": self.works.number(work),
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
