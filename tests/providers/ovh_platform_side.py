"""The newer platforms as OVHcloud's simulator has them: MX Plan, Email Pro, Exchange."""

from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    Release,
    Remove,
    Rename,
    SetMode,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Alias, Delegation, Group
from mailhaul.providers.provider import OVER, TaskState
from mailhaul.providers.service import Access, AccountState, DomainStatus
from tests.providers.memory import MemoryAccount, MemoryService, Work
from tests.providers.ovh_works import (
    FUNCTIONS,
    GIB,
    MODES,
    NEVER,
    PLACEHOLDERS,
    RIGHTS,
    STATES,
    Fault,
    OvhWorks,
    Side,
)


class PlatformSide(Side):
    """The new MX Plan, Email Pro, Exchange."""

    def __init__(self, works: OvhWorks, state: MemoryService, kind: str, offer: str) -> None:
        super().__init__(works, state)
        self.kind = kind
        self.offer = offer

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
                offer = self.offer or offers[self.kind]
                return {"domain": self.state.name, "hostname": host, "offer": offer}
            case "GET", ["account"]:
                listed = self.state.accounts
                if "id" in query:
                    listed = [each for each in listed if self._id(each) == query["id"]]
                return [each.address for each in listed]
            case "POST", ["account"]:
                action = Create(f"{body['login']}@{body['domain']}", str(body["displayName"] or ""))
                return self._task(
                    await self.works.begin(self.state, action, Secret(str(body["password"])))
                )
            case _, ["account", "{email}", *rest]:
                account = self.account(names["email"])
                return await self._of_account(method, rest, account, names, body)
            case _, ["domain", *rest]:
                return await self._of_domain(method, rest, names, body)
            case "GET", ["task"]:
                return [self.works.number(each) for each in self.state.works.values()]
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
                return self._task(await self.works.begin(self.state, Delete(address)))
            case "POST", ["changePassword"]:
                return self._task(self.works.password(self.state, account, str(body["password"])))
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
                return self._task(await self.works.begin(self.state, action))
            case "DELETE", ["alias", _]:
                action = Remove(self.alias(address, names["alias"]))
                return self._task(await self.works.begin(self.state, action))
            case "GET", [("task" | "tasks")]:
                return [self.works.number(each) for each in self._tasks(account)] + [
                    number
                    for number, (_, whose) in self.works.instant.items()
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
        return self._task(await self.works.begin(self.state, action))

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
            await self.works.begin(self.state, action)
        elif not same(to, account.address):
            gone = to.endswith(f"@{PLACEHOLDERS}")
            action = Release(account.address, to) if gone else Rename(account.address, to)
            await self.works.begin(self.state, action)
        elif "displayName" in body:
            account.name = name
            self.works.at_once("setAccount", account.address)

    async def _of_domain(
        self, method: str, rest: list[str], names: dict[str, str], body: dict[str, object]
    ) -> object:
        if method == "GET" and not rest:
            return [each.name for each in self.state.domains]
        if method == "POST":
            mode = next(mode for mode, word in MODES.items() if word == body["type"])
            action: Action = Attach(str(body["name"]), mode, str(body.get("mxRelay") or ""))
            return self._task(await self.works.begin(self.state, action))
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
                await self.works.begin(self.state, begun[-1] if begun else action)
                return None
            case "DELETE", []:
                return self._task(await self.works.begin(self.state, Detach(there.name)))
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
            return self._task(await self.works.begin(self.state, Add(group)))
        there = self.state.group(names["address"])
        if there is None:
            raise Fault(404, "The requested object (mailingList) does not exist")
        match method, rest[1:]:
            case "GET", []:
                return {"mailingListAddress": there.address, "displayName": there.name}
            case "DELETE", []:
                return self._task(await self.works.begin(self.state, Remove(there)))
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
                number = self.works.at_once("addDistributionGroupMember", there.address)
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
            "taskPendingId": self.works.number(pending[-1]) if pending else 0,
        }

    def _id(self, account: MemoryAccount) -> int:
        return id(account) % 1_000_000_007

    def _tasks(self, account: MemoryAccount) -> list[Work]:
        works = self.state.works.values()
        return [work for work in works if any(each is account for each, _ in work.busy)]

    def _task(self, work: Work) -> dict[str, object]:
        return self._numbered(self.works.number(work))

    def _numbered(self, number: int) -> dict[str, object]:
        if number in self.works.instant:
            function = self.works.instant[number][0]
            return {"function": function, "id": number, "status": "done", "todoDate": NEVER}
        for work in self.state.works.values():
            if self.works.number(work) == number:
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
