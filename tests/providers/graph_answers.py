"""What the Graph simulator answers and does, by Microsoft's reference of each call."""

import re

from tests.providers.graph_state import (
    FOUNDATION,
    FREE_SKU,
    MAIL_PLAN,
    SKU,
    Box,
    DirectoryGroup,
    Domain,
    Json,
    TenantState,
    User,
)

LONGEST_LOGIN = 113
_ANY = re.compile(r"(\w+)/any\(p:p eq '((?:[^']|'')*)'\)")
_EQUAL = re.compile(r"(\w+) eq (?:'((?:[^']|'')*)'|(true|false))")


class Refusal(Exception):
    """Graph says no. `strange`: nobody who knows the schema asks so; the test fails."""

    def __init__(self, status: int, code: str, said: str, *, strange: bool = False) -> None:
        self.status, self.code, self.said, self.strange = status, code, said, strange
        super().__init__(said)


def selected(found: Json, query: dict[str, str]) -> Json:
    """Only the properties that were asked for."""
    wanted = query.get("$select", "")
    return {k: v for k, v in found.items() if k in wanted.split(",")} if wanted else found


def matches(wanted: str, found: Json) -> bool:
    """Whether the object is meant by a filter of `eq`, `any` and `or`."""
    if not wanted:
        return True
    rest = wanted
    for each in (*_ANY.finditer(wanted), *_EQUAL.finditer(_ANY.sub("", wanted))):
        rest = rest.replace(each[0], "", 1)
        value = found.get(each[1])
        sought = (each[2] or "").replace("''", "'")
        if isinstance(value, list):
            if sought in value:
                return True
        elif isinstance(value, bool):
            if each.re is _EQUAL and each[3] == str(value).lower():
                return True
        elif isinstance(value, str) and value.casefold() == sought.casefold():
            return True
    if rest.replace(" or ", "").strip():
        raise Refusal(400, "BadRequest", f"invalid filter: {wanted}", strange=True)
    return False


def organization(state: TenantState) -> Json:
    return {
        "id": "11111111-2222-3333-4444-555555555555",
        "displayName": state.name,
        "countryLetterCode": state.country,
        "technicalNotificationMails": ["post@example.org"],
    }


def subscriptions(state: TenantState) -> list[Json]:
    """One that gives mailboxes, and one that doesn't though Exchange's name is in it."""
    return [
        _subscription(
            SKU, "O365_BUSINESS_PREMIUM", state.bought, state.used, MAIL_PLAN, "STANDARD"
        ),
        _subscription(FREE_SKU, "FLOW_FREE", 10000, 3, FOUNDATION, "FOUNDATION"),
    ]


def _subscription(sku: str, name: str, bought: int, used: int, plan: str, kind: str) -> Json:
    return {
        "id": f"tenant_{sku}",
        "skuId": sku,
        "skuPartNumber": name,
        "capabilityStatus": "Enabled",
        "appliesTo": "User",
        "consumedUnits": used,
        "prepaidUnits": {"enabled": bought, "suspended": 0, "warning": 0},
        "servicePlans": [
            {
                "servicePlanId": plan,
                "servicePlanName": f"EXCHANGE_S_{kind}",
                "provisioningStatus": "Success",
                "appliesTo": "User",
            }
        ],
    }


def user(found: User) -> Json:
    failed = {"skuId": SKU, "state": "Error", "error": found.trouble, "disabledPlans": []}
    return {
        "id": found.id,
        "userPrincipalName": found.login,
        "mail": found.mail or None,
        "displayName": found.name,
        "accountEnabled": found.enabled,
        "userType": "Guest" if found.guest else "Member",
        "usageLocation": found.location or None,
        "proxyAddresses": found.proxies,
        "assignedLicenses": [{"skuId": sku, "disabledPlans": []} for sku in found.licences],
        "licenseAssignmentStates": [failed] if found.trouble else [],
        "serviceProvisioningErrors": [],
    }


def new_user(state: TenantState, body: Json) -> Json:
    login = str(body["userPrincipalName"])
    _check_login(state, login, None)
    profile = body["passwordProfile"]
    assert isinstance(profile, dict)
    password = str(profile.get("password", ""))
    if len(password) < 8:
        said = "The specified password does not comply with password complexity requirements."
        raise Refusal(400, "Request_BadRequest", said)
    made = User(login, str(body["displayName"]), password=password)
    made.enabled, made.location = bool(body["accountEnabled"]), str(body.get("usageLocation", ""))
    made.waits, made.seen = state.ticks, not state.late
    state.users.append(made)
    return user(made)


def change_user(state: TenantState, found: User, body: Json) -> Json:
    if "userPrincipalName" in body:
        login = str(body["userPrincipalName"])
        _check_login(state, login, found)
        found.login = login
    if "accountEnabled" in body:
        found.enabled = bool(body["accountEnabled"])
    if "usageLocation" in body:
        found.location = str(body["usageLocation"])
    return {}


def _check_login(state: TenantState, login: str, owner: User | None) -> None:
    local, _, name = login.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9'._!#^~-]{1,64}", local) or len(login) > LONGEST_LOGIN:
        said = "Property userPrincipalName is invalid."
        raise Refusal(400, "Request_BadRequest", said, strange=True)
    there = state.domain(name)
    if there is None or not there.verified:
        said = "The domain portion of the userPrincipalName property is invalid."
        raise Refusal(400, "Request_BadRequest", said)
    holder = state.holder(login)
    if holder is not None and holder is not owner:
        same_login = isinstance(holder, User) and holder.login.casefold() == login.casefold()
        name = "userPrincipalName" if same_login else "proxyAddresses"
        said = f"Another object with the same value for property {name} already exists."
        raise Refusal(400, "Request_BadRequest", said)


def assign(state: TenantState, found: User, body: Json) -> None:
    if not found.location:
        said = "License assignment cannot be done for user with invalid usage location."
        raise Refusal(400, "Request_BadRequest", said)
    wanted = body["addLicenses"]
    assert isinstance(wanted, list)
    for each in wanted:
        if each["skuId"] != SKU:
            raise Refusal(400, "Request_BadRequest", f"License {each['skuId']} does not exist")
        if state.used >= state.bought and SKU not in found.licences:
            said = f"Subscription with SKU {SKU} does not have any available licenses."
            raise Refusal(400, "Request_BadRequest", said)
        found.licences = [*{*found.licences, SKU}]
    found.seen = not state.late


def settings(box: Box) -> Json:
    return {"automaticRepliesSetting": dict(box.replies), "userPurpose": box.purpose}


def change_settings(box: Box, body: Json) -> Json:
    given = body.get("automaticRepliesSetting")
    if isinstance(given, dict):
        box.replies.update(given)
        # Exchange writes its own HTML around what it is given.
        for name in ("internalReplyMessage", "externalReplyMessage"):
            if name in given:
                box.replies[name] = str(given[name]).replace("<body>", "\r\n<body>\r\n")
    return settings(box)


def folders(box: Box) -> list[Json]:
    """The inbox holds all but one message, which lies in a folder below it."""
    return [_folder("AQMkADAwinbox", max(0, box.messages - 1), int(box.messages > 0))]


def inner_folders(box: Box) -> list[Json]:
    return [_folder("AQMkADAwinner", min(1, box.messages), 0)]


def _folder(name: str, messages: int, inner: int) -> Json:
    size = {"id": "Long 0xe08", "value": str(messages * 1000)}
    return {
        "id": name,
        "displayName": name,
        "totalItemCount": messages,
        "childFolderCount": inner,
        "singleValueExtendedProperties": [size],
    }


def new_rule(state: TenantState, box: Box, body: Json) -> Json:
    made: Json = {
        "id": f"AQAAAJ{next(state.numbers)}=",
        "hasError": False,
        "isReadOnly": False,
        "conditions": None,
        **body,
    }
    box.rules.append(made)
    return made


def groups(state: TenantState, query: dict[str, str]) -> list[Json]:
    found = [_group(each) for each in state.groups]
    wanted = query.get("$filter", "")
    return [selected(each, query) for each in found if matches(wanted, each)]


def _group(found: DirectoryGroup) -> Json:
    return {
        "id": found.id,
        "mail": found.mail,
        "displayName": found.name,
        "mailEnabled": True,
        "proxyAddresses": [f"SMTP:{found.mail}"],
    }


def members(state: TenantState, group: str) -> list[Json]:
    found = next(each for each in state.groups if each.id == group)
    told: list[Json] = []
    for address in found.members:
        member = state.holder(address)
        assert isinstance(member, User)
        told.append(
            {
                "@odata.type": "#microsoft.graph.user",
                "id": member.id,
                "mail": member.mail or None,
                "userPrincipalName": member.login,
            }
        )
    return told


def known_domain(state: TenantState, name: str) -> Domain:
    found = state.domain(name)
    if found is None:
        raise Refusal(404, "Request_ResourceNotFound", f"Resource '{name}' does not exist")
    return found


def domain(found: Domain) -> Json:
    return {
        "id": found.name,
        "authenticationType": "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": found.initial,
        "isInitial": found.initial,
        "isRoot": True,
        "isVerified": found.verified,
        "supportedServices": list(found.services),
        "state": found.state,
    }


def new_domain(state: TenantState, body: Json) -> Json:
    name = str(body["id"]).casefold()
    if state.domain(name) or name in state.claimed:
        said = f"A conflicting object with the name {name} already exists."
        raise Refusal(409, "ObjectConflict", said)
    made = Domain(name)
    state.domains.append(made)
    return domain(made)


def change_domain(found: Domain, body: Json) -> Json:
    wanted = body["supportedServices"]
    assert isinstance(wanted, list)
    if not found.verified:
        raise Refusal(400, "Request_BadRequest", "The domain is not verified.", strange=True)
    changed = set(wanted) ^ set(found.services)
    if changed - {"Email", "OfficeCommunicationsOnline", "Yammer"}:
        raise Refusal(400, "Request_BadRequest", f"{changed} can't be changed", strange=True)
    found.services = [str(each) for each in wanted]
    return {}


def delete_domain(state: TenantState, name: str) -> Json:
    found = known_domain(state, name)
    if references(state, name) or found.initial:
        said = "Domain has references to other objects and can't be deleted."
        raise Refusal(400, "Request_BadRequest", said)
    state.domains.remove(found)
    return {}


def references(state: TenantState, name: str) -> list[Json]:
    return [
        {"@odata.type": "#microsoft.graph.user", "id": each.id}
        for each in state.users
        if any(address.endswith(f"@{name}") for address in each.names)
    ]


def verify(found: Domain) -> Json:
    if not found.proven:
        said = "The DNS record for domain verification was not found."
        raise Refusal(400, "Request_BadRequest", said)
    found.verified = True
    return domain(found)


def proofs(found: Domain) -> list[Json]:
    return [
        {
            "@odata.type": "#microsoft.graph.domainDnsTxtRecord",
            **_record("Txt", found.name, None),
            "text": found.proof,
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsMxRecord",
            **_record("Mx", found.name, None),
            "mailExchange": f"{found.proof[3:]}.msv1.invalid",
            "preference": 32767,
        },
    ]


def records(found: Domain) -> list[Json]:
    """What Microsoft wants of a zone, with what it wants for other services than mail."""
    dashed = found.name.replace(".", "-")
    if "Email" not in found.services:
        return []
    return [
        {
            "@odata.type": "#microsoft.graph.domainDnsMxRecord",
            **_record("Mx", found.name, "Email"),
            "mailExchange": f"{dashed}.mail.protection.outlook.com",
            "preference": 0,
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsTxtRecord",
            **_record("Txt", found.name, "Email"),
            "text": "v=spf1 include:spf.protection.outlook.com -all",
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsCnameRecord",
            **_record("CName", f"autodiscover.{found.name}", "Email"),
            "canonicalName": "autodiscover.outlook.com",
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsCnameRecord",
            **_record("CName", f"lyncdiscover.{found.name}", "OfficeCommunicationsOnline"),
            "canonicalName": "webdir.online.lync.com",
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsSrvRecord",
            **_record("Srv", found.name, "OfficeCommunicationsOnline"),
            "nameTarget": "sipdir.online.lync.com",
            "port": 443,
            "priority": 100,
            "protocol": "_tls",
            "service": "_sip",
            "weight": 1,
        },
    ]


def _record(kind: str, label: str, service: str | None) -> Json:
    return {
        "id": f"record-{kind}-{label}",
        "isOptional": False,
        "label": label,
        "recordType": kind,
        "supportedService": service or "None",
        "ttl": 3600,
    }
