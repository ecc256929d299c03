"""A tenant of Microsoft 365, read: people, licences, domains, mailboxes, groups.

Each question names the application permission that it needs, the least that Microsoft documents.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.extras import Group
from mailhaul.providers.fields import Fields
from mailhaul.providers.microsoft365_directory import (
    USER_FIELDS,
    Licence,
    Person,
    mail_licences,
    person,
)
from mailhaul.providers.microsoft365_graph import Call, Graph, GraphRefusal, literal, path

READ_USERS = "User.Read.All"
WRITE_USERS = "User.ReadWrite.All"
READ_ORGANIZATION = "Organization.Read.All"
READ_DOMAINS = "Domain.Read.All"
WRITE_DOMAINS = "Domain.ReadWrite.All"
READ_GROUPS = "GroupMember.Read.All"
READ_CONTACTS = "OrgContact.Read.All"
READ_MAIL = "Mail.ReadBasic.All"
READ_SETTINGS = "MailboxSettings.Read"
WRITE_SETTINGS = "MailboxSettings.ReadWrite"

_SIZE = "LONG 0x0E08"
"""PidTagMessageSizeExtended: the octets in a folder (MS-OXPROPS 2.797)."""
_LOGIN = re.compile(r"[A-Za-z0-9'._!#^~-]{1,64}")
"""Microsoft's reference of `userPrincipalName` (create user)."""
_DEEPEST = 50
_UTC = {"Prefer": 'outlook.timezone="UTC"'}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a mailbox holds; None where Exchange doesn't say."""

    messages: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Organization:
    """The tenant. `location` is the country that licences are assigned for (ISO 3166-1)."""

    id: str
    name: str
    location: str
    technical: str


class Tenant:
    """The reading side. Raises what `Graph` does, `GraphRefusal` only where nothing is found to be
    an answer."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def organization(self) -> Organization:
        """Whose tenant it is."""
        found = await self.graph.every(
            _get(
                path(
                    "organization",
                    select="id,displayName,countryLetterCode,technicalNotificationMails",
                ),
                READ_ORGANIZATION,
            )
        )
        first = found[0] if found else Fields("organization")
        return Organization(
            first.text("id"),
            first.text("displayName"),
            first.text("countryLetterCode"),
            ", ".join(first.texts("technicalNotificationMails")),
        )

    async def licences(self) -> list[Licence]:
        """The subscriptions that give mailboxes."""
        return mail_licences(
            await self.graph.every(_get(path("subscribedSkus"), READ_ORGANIZATION))
        )

    async def people(self) -> list[Person]:
        """Everybody in the directory."""
        found = await self.graph.every(
            _get(path("users", select=USER_FIELDS, top="999"), READ_USERS)
        )
        return [person(each) for each in found]

    async def person(self, key: str) -> Person | None:
        """The person of that id, or name for signing in; None where there is none."""
        call = _get(path("users", key, select=USER_FIELDS), READ_USERS)
        try:
            return person(await self.graph.ask(call))
        except GraphRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def owner(self, address: str) -> Person | None:
        """Whose own address that is, neither alias nor guest; None where it is nobody's. Raises
        `BadInput` for what no address can be."""
        # By its name for signing in a new person is found at once; a filter may lag behind.
        found = await self.person(address) if is_login(parts(address).local) else None
        if found is None or not same(found.address, address):
            text = literal(address)
            call = _get(path("users", filter=f"mail eq {text}", select=USER_FIELDS), READ_USERS)
            people = [person(each) for each in await self.graph.every(call)]
            found = next((each for each in people if not each.guest), None)
        return found if found is not None and same(found.address, address) else None

    async def holders(self, address: str) -> list[str]:
        """The ids of all people and groups that have the address, be it as an alias or to sign in
        with."""
        proxies = [literal(f"{kind}:{address}") for kind in ("smtp", "SMTP")]
        aliases = " or ".join(f"proxyAddresses/any(p:p eq {each})" for each in proxies)
        login = f"userPrincipalName eq {literal(address)}"
        users = _get(path("users", filter=f"{login} or {aliases}", select="id"), READ_USERS)
        groups = _get(path("groups", filter=aliases, select="id"), READ_GROUPS)
        found = await asyncio.gather(self.graph.every(users), self.graph.every(groups))
        return [each.text("id") for some in found for each in some]

    async def domains(self) -> list[Fields]:
        """The domains, as Graph writes them."""
        return await self.graph.every(_get(path("domains"), READ_DOMAINS))

    async def domain(self, name: str) -> Fields | None:
        """That domain; None where the tenant hasn't got it."""
        try:
            return await self.graph.ask(_get(path("domains", name), READ_DOMAINS))
        except GraphRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def records(self, domain: str, which: str) -> list[Fields]:
        """Its `serviceConfigurationRecords` or `verificationDnsRecords`."""
        return await self.graph.every(_get(path("domains", domain, which), READ_DOMAINS))

    async def references(self, domain: str) -> list[Fields]:
        """Who still uses the domain."""
        call = _get(path("domains", domain, "domainNameReferences", select="id"), READ_DOMAINS)
        return await self.graph.every(call)

    async def answers(self, key: str) -> bool:
        """Whether the mailbox of that person is there yet: after a licence is assigned it takes
        minutes, and up to a day."""
        try:
            await self.graph.ask(
                _get(path("users", key, "mailFolders", "inbox", select="id"), READ_MAIL)
            )
        except GraphRefusal as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    async def contents(self, key: str) -> Contents | None:
        """What the mailbox holds in all folders that people see; None while it isn't there."""
        try:
            return await self._contents(("users", key, "mailFolders"), _DEEPEST)
        except GraphRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def _contents(self, steps: tuple[str, ...], deep: int) -> Contents:
        expand = f"singleValueExtendedProperties($filter=id eq {literal(_SIZE)})"
        where = path(*steps, select="id,totalItemCount,childFolderCount", expand=expand, top="100")
        messages, used = 0, 0
        told = True
        for each in await self.graph.every(_get(where, READ_MAIL)):
            messages += each.number("totalItemCount") or 0
            size = next((p.text("value") for p in each.each("singleValueExtendedProperties")), "")
            told = told and size.isascii() and size.isdigit()
            used += int(size[:18]) if told else 0
            if each.number("childFolderCount") and deep:
                below = (*steps[:3], each.text("id"), "childFolders")
                inside = await self._contents(below, deep - 1)
                messages += inside.messages
                told = told and inside.used is not None
                used += inside.used or 0
        return Contents(messages, used if told else None)

    async def rules(self, key: str) -> list[Fields]:
        """The inbox rules of that person."""
        return await self.graph.every(rules_of(key))

    async def replies(self, key: str) -> Fields:
        """The auto-reply of that person."""
        return (await self.graph.ask(settings_of(key))).one("automaticRepliesSetting")

    async def groups(self, address: str = "") -> list[Group]:
        """The groups that mail can be sent to, or the one of that address, with the addresses of
        their members."""
        wanted = f"mail eq {literal(address)}" if address else "mailEnabled eq true"
        call = _get(path("groups", filter=wanted, select="id,mail,displayName"), READ_GROUPS)
        found = [each for each in await self.graph.every(call) if each.text("mail")]
        members = await self.graph.batch([_members(each.text("id")) for each in found])
        groups = []
        for each, told in zip(found, members, strict=True):
            if isinstance(told, GraphRefusal):
                if told.status == 404:
                    continue
                raise told
            addresses = [
                member.text("mail") or member.text("userPrincipalName")
                for member in await self._following(told)
            ]
            there = tuple(sorted(address for address in addresses if address))
            groups.append(Group(each.text("mail"), there, each.text("displayName")))
        return groups

    async def _following(self, first: Fields) -> list[Fields]:
        """The objects of this page and of those after it."""
        found = list(first.each("value"))
        link = first.text("@odata.nextLink")
        if link:
            found += await self.graph.every(_get(self.graph.below_root(link), READ_GROUPS))
        return found

    async def outsiders(self) -> list[Fields]:
        """The contacts outside that the organization's address book lists."""
        where = path("contacts", select="id,mail,displayName")
        return await self.graph.every(_get(where, READ_CONTACTS))


def is_login(local: str) -> bool:
    """Whether Microsoft allows that before the @ of a name for signing in."""
    return _LOGIN.fullmatch(local) is not None and not local.endswith(".")


def rules_of(key: str) -> Call:
    """Asks for the inbox rules."""
    where = path("users", key, "mailFolders", "inbox", "messageRules")
    return _get(where, READ_SETTINGS)


def settings_of(key: str) -> Call:
    """Asks for the mailbox's settings, times in UTC."""
    return Call("GET", path("users", key, "mailboxSettings"), READ_SETTINGS, headers=_UTC)


def chosen(licences: Sequence[Licence], values: Mapping[str, str]) -> Licence:
    """The licence that new accounts get: the one the plan names, by name or id, or the only one.
    Raises `BadInput` where that is none or many."""
    wanted = values.get("licence", "").strip()
    names = ", ".join(licence.name for licence in licences) or "none"
    if wanted:
        for licence in licences:
            if wanted.casefold() in (licence.name.casefold(), licence.id):
                return licence
        raise BadInput(
            f"the tenant has no licence “{printable(wanted, 100)}” that gives mailboxes; it has "
            f"{names}"
        )
    if len(licences) != 1:
        raise BadInput(
            'the plan doesn\'t say which licence new accounts get; write licence = "…" among the '
            f"provider's values; the tenant has {names}"
        )
    return licences[0]


def _members(group: str) -> Call:
    where = path("groups", group, "members", select="id,mail,userPrincipalName", top="999")
    return _get(where, READ_GROUPS)


def _get(where: str, right: str) -> Call:
    return Call("GET", where, right)
