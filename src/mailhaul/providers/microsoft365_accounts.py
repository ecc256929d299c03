"""Accounts at Microsoft 365: made, renamed, locked, deleted.

Made: a person of the directory, and a licence that gives a mailbox, which then takes minutes and
up to a day. Renamed: the name for signing in; Exchange Online follows with the primary address and
keeps the old one as an alias, which Graph can't take away. Locked: signing in is refused and what
was granted is revoked; mail still arrives. Deleted: Microsoft keeps it for thirty days.
"""

import re
import secrets
from collections.abc import Mapping

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.providers.actions import Create, Delete, Lock, Rename, Unlock
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.microsoft365_directory import Person
from mailhaul.providers.microsoft365_domains import status_of
from mailhaul.providers.microsoft365_graph import Call, path
from mailhaul.providers.microsoft365_prepared import (
    CREATE,
    DELETE,
    LOCK,
    RENAME,
    UNLOCK,
    Prepared,
    task_name,
)
from mailhaul.providers.microsoft365_tenant import WRITE_USERS, Tenant, chosen, is_login
from mailhaul.providers.obstacles import DOMAIN_CODES, Obstacle

_LONGEST_DOMAIN = 48
_SHORTEST, _LONGEST = 8, 256
"""Characters of a password (Microsoft Entra password policies), of three kinds at least."""
_KINDS = ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")
_LOCATION = re.compile(r"[A-Z]{2}")


async def create(
    tenant: Tenant, action: Create, secret: Secret | None, values: Mapping[str, str]
) -> Prepared:
    """A person of that name and a licence; without a password nobody signs in until somebody sets
    one. Somebody who is there without a licence gets one and keeps the password."""
    found = await tenant.owner(action.address)
    licences = await tenant.licences()
    notes = _notes(action)
    if found is not None and found.licensed(licences):
        task = task_name(CREATE, found.id)
        if found.mail and await tenant.answers(found.id):
            return Prepared(task, notes=notes, holds=True)
        return Prepared(task, notes=notes)
    if found is not None and found.mail:
        # A shared mailbox needs no licence.
        return Prepared(task_name(CREATE, found.id), notes=notes, holds=True)
    licence = chosen(licences, values)
    location = await _location(tenant, found, values)
    against = [] if licence.free else [Obstacle("NO_LICENCE", f"{licence.name}: none is free")]
    assign = _assign(action.address if found is None else found.id, licence.id)
    if found is not None:
        place = _change(found.id, {"usageLocation": location})
        calls = (assign,) if found.location else (place, assign)
        return Prepared(task_name(CREATE, found.id), calls, tuple(against), notes)
    against += await _address_refusals(tenant, action.address, "")
    if secret is not None and not _fit(secret):
        against.append(
            Obstacle("PASSWORD_UNFIT", "Microsoft wants 8 to 256 characters of three kinds")
        )
    make = _make(action, secret, location, change=values.get("change_password") == "yes")
    return Prepared("", (make, assign), tuple(against), notes)


async def rename(tenant: Tenant, action: Rename) -> Prepared:
    """Changes the name for signing in, which the address follows."""
    parts(action.to)
    found = await tenant.owner(action.address)
    if found is None:
        there = await tenant.owner(action.to)
        if there is not None:
            return Prepared(task_name(RENAME, there.id, action.to), holds=True)
        return Prepared(against=(Obstacle("ACCOUNT_EMPTY", printable(action.address, 200)),))
    task = task_name(RENAME, found.id, action.to)
    if same(action.address, action.to):
        return Prepared(task, holds=True)
    if same(found.login, action.to):
        return Prepared(task)
    against = await _address_refusals(tenant, action.to, found.id)
    call = _change(found.id, {"userPrincipalName": action.to})
    return Prepared(task, (call,), tuple(against))


async def lock(tenant: Tenant, action: Lock | Unlock) -> Prepared:
    """Signing in is refused or allowed again; locking ends what was granted, each time anew."""
    found = await tenant.owner(action.address)
    if found is None:
        return Prepared(against=(Obstacle("ACCOUNT_EMPTY", printable(action.address, 200)),))
    if isinstance(action, Unlock):
        call = _change(found.id, {"accountEnabled": True})
        holds = found.enabled
        return Prepared(task_name(UNLOCK, found.id), () if holds else (call,), holds=holds)
    revoke = Call("POST", path("users", found.id, "revokeSignInSessions"), WRITE_USERS)
    disable = _change(found.id, {"accountEnabled": False})
    calls = (disable, revoke) if found.enabled else (revoke,)
    return Prepared(task_name(LOCK, found.id), calls, holds=not found.enabled)


async def delete(tenant: Tenant, action: Delete) -> Prepared:
    """Deletes the person; the licence is free again."""
    found = await tenant.owner(action.address)
    if found is None:
        return Prepared(holds=True)
    against = []
    if action.empty:
        contents = await tenant.contents(found.id)
        if contents is None and found.licensed(await tenant.licences()):
            against.append(Obstacle("ACCOUNT_INPROGRESS", f"{action.address} isn't there yet"))
        elif contents is not None and contents.messages:
            against.append(
                Obstacle("ACCOUNT_NOT_EMPTY", f"{action.address} holds {contents.messages}")
            )
    return Prepared(task_name(DELETE, found.id), (unmake(found.id),), tuple(against))


def unmake(key: str) -> Call:
    """Deletes the person; Microsoft keeps what there was for thirty days."""
    return Call("DELETE", path("users", key), WRITE_USERS)


async def _address_refusals(tenant: Tenant, address: str, owner: str) -> list[Obstacle]:
    """Why nobody can have that address now; `owner` may have it already."""
    name = parts(address)
    if not is_login(name.local):
        return [Obstacle("ADDRESS_REFUSED", f"{printable(address, 200)} at Microsoft 365")]
    if len(name.domain) > _LONGEST_DOMAIN:
        return [Obstacle("ADDRESS_REFUSED", f"{name.domain} is longer than {_LONGEST_DOMAIN}")]
    domain = await tenant.domain(name.domain)
    if domain is None:
        return [Obstacle("DOMAIN_EMPTY", name.domain)]
    code = DOMAIN_CODES.get(status_of(domain))
    if code is not None:
        return [Obstacle(code, name.domain)]
    others = [each for each in await tenant.holders(address) if each != owner]
    return [Obstacle("ADDRESS_TAKEN", printable(address, 200))] if others else []


def _make(action: Create, secret: Secret | None, location: str, *, change: bool) -> Call:
    local = parts(action.address).local
    password = secret.reveal() if secret is not None else f"{secrets.token_urlsafe(32)}aA1!"
    body = {
        "accountEnabled": True,
        "displayName": (action.name or local)[:256],
        "mailNickname": re.sub(r"[^A-Za-z0-9._-]", "_", local),
        "userPrincipalName": action.address,
        "usageLocation": location,
        "passwordProfile": {"forceChangePasswordNextSignIn": change, "password": password},
    }
    return Call("POST", path("users"), WRITE_USERS, body)


def _assign(key: str, licence: str) -> Call:
    body = {"addLicenses": [{"skuId": licence, "disabledPlans": []}], "removeLicenses": []}
    return Call("POST", path("users", key, "assignLicense"), WRITE_USERS, body)


def _change(key: str, body: Mapping[str, object]) -> Call:
    return Call("PATCH", path("users", key), WRITE_USERS, body)


async def _location(tenant: Tenant, found: Person | None, values: Mapping[str, str]) -> str:
    """The country that the licence is assigned for; without one Microsoft assigns none."""
    location = values.get("location", "").strip().upper()
    location = location or (found.location if found else "")
    location = location or (await tenant.organization()).location
    if not _LOCATION.fullmatch(location):
        raise BadInput(
            f"“{printable(location, 40)}” is no country to assign licences for; write location = "
            '"FR" (two letters, ISO 3166-1) among the provider\'s values'
        )
    return location


def _notes(action: Create) -> tuple[Obstacle, ...]:
    if action.quota is None:
        return ()
    return (Obstacle("FEATURE_GAP", "Graph sets no quota; Set-Mailbox in PowerShell does"),)


def _fit(secret: Secret) -> bool:
    text = secret.reveal()
    kinds = sum(re.search(kind, text) is not None for kind in _KINDS)
    return _SHORTEST <= len(text) <= _LONGEST and kinds >= 3 and text.isprintable()
