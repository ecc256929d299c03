"""What stands beside the accounts of OVHcloud's newer platforms: read, and as steps.

Rights name accounts by number there; numbers are looked up. Footers, external contacts, resources,
shared mailboxes and public folders are `Remark`s: mailhaul carries none of them.
"""

import asyncio
from collections.abc import Mapping, Sequence

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Alias, Delegation, Extra, Group, Remark, Right
from mailhaul.providers.ovh_answers import fields, numbers, texts
from mailhaul.providers.ovh_api import Api, Missing
from mailhaul.providers.ovh_steps import Step

RIGHTS: Mapping[Right, tuple[str, str]] = {
    Right.FULL: ("fullAccess", "allowedAccountId"),
    Right.SEND_AS: ("sendAs", "allowAccountId"),
    Right.SEND_ON_BEHALF: ("sendOnBehalfTo", "allowAccountId"),
}
"""Where each right stands, and what the account that gets it is called when it is given."""

_LISTED = {
    "externalContact": "external contact",
    "resourceAccount": "resource account",
    "sharedAccount": "shared mailbox",
    "publicFolder": "public folder",
}
"""What Exchange has lists of, and how people call one."""


async def read_extras(
    api: Api, root: tuple[str, ...], accounts: Sequence[str], address: str, *, exchange: bool
) -> list[Extra]:
    """Aliases and rights of these accounts; without `address` the whole service's lists too, with
    one the group of that address."""
    people = _People(api, root)
    found: list[Extra] = []
    for each in await asyncio.gather(*(_of_account(api, root, people, one) for one in accounts)):
        found += each
    if exchange:
        found += await _groups(api, root, people, address)
    if not address:
        found += await _remarks(api, root, exchange=exchange)
    return found


async def alias_step(root: tuple[str, ...], extra: Alias, *, adds: bool) -> Step:
    """The request that makes the alias, or takes it away."""
    path = (*root, "account", extra.address, "alias")
    return (
        Step("POST", path, {"alias": extra.alias}) if adds else Step("DELETE", (*path, extra.alias))
    )


async def right_step(api: Api, root: tuple[str, ...], extra: Delegation, *, adds: bool) -> Step:
    """The request that gives the right, or takes it away. Raises `BadInput` where nobody of that
    address is on the service."""
    number = await _People(api, root).number(extra.to)
    place, named = RIGHTS[extra.right]
    path = (*root, "account", extra.address, place)
    return Step("POST", path, {named: number}) if adds else Step("DELETE", (*path, str(number)))


async def group_steps(api: Api, root: tuple[str, ...], extra: Group, *, adds: bool) -> list[Step]:
    """What is still to be asked for: the group, and when it is there, its members. Members from
    elsewhere must be external contacts of the service. Raises `BadInput` for those that aren't."""
    path = (*root, "mailingList", extra.address)
    there = await _group(api, root, _People(api, root), extra.address)
    if not adds:
        return [] if there is None else [Step("DELETE", path)]
    if there is None:
        body = {
            "mailingListAddress": extra.address,
            "displayName": extra.name or extra.address,
            "joinRestriction": "closed",
            "departRestriction": "closed",
        }
        return [Step("POST", (*root, "mailingList"), body)]
    steps = []
    people = _People(api, root)
    for member in extra.members:
        if any(same(member, each) for each in there.members):
            continue
        contact = await people.contact(member)
        if contact is not None:
            body_of: Mapping[str, int] = {"memberContactId": contact}
            steps.append(Step("POST", (*path, "member", "contact"), dict(body_of)))
        else:
            number = await people.number(member)
            steps.append(Step("POST", (*path, "member", "account"), {"memberAccountId": number}))
    return steps


class _People:
    """Accounts and contacts by number, each asked for once."""

    def __init__(self, api: Api, root: tuple[str, ...]) -> None:
        self._api = api
        self._root = root
        self._addresses: dict[tuple[str, int], str] = {}

    async def address(self, number: int, kind: str = "account") -> str:
        """Whose number it is; the number itself where nobody has it any more."""
        if (kind, number) not in self._addresses:
            path = (*self._root, kind)
            found = texts(await self._api.get(*path, id=number), "/".join(path))
            self._addresses[kind, number] = found[0] if len(found) == 1 else str(number)
        return self._addresses[kind, number]

    async def number(self, address: str) -> int:
        """The account's number. Raises `BadInput` where there is none."""
        path = (*self._root, "account", address)
        try:
            number = fields(await self._api.get(*path), "/".join(path)).number("id")
        except Missing:
            number = None
        if number is None:
            said = printable(address, 200)
            raise BadInput(f"{said} is no account of this service; make it first, or leave it out")
        return number

    async def contact(self, address: str) -> int | None:
        """The external contact's number."""
        path = (*self._root, "externalContact", address)
        try:
            return fields(await self._api.get(*path), "/".join(path)).number("id")
        except Missing:
            return None


async def _of_account(
    api: Api, root: tuple[str, ...], people: _People, address: str
) -> list[Extra]:
    path = (*root, "account", address)
    aliases = texts(await api.get(*path, "alias"), "/".join(path))
    found: list[Extra] = [Alias(address, each) for each in aliases]
    for right, (place, _) in RIGHTS.items():
        listed = numbers(await api.get(*path, place), "/".join(path))
        found += [Delegation(address, await people.address(each), right) for each in listed]
    return found


async def _groups(api: Api, root: tuple[str, ...], people: _People, address: str) -> list[Extra]:
    path = (*root, "mailingList")
    names = [address] if address else texts(await api.get(*path), "/".join(path))
    found = [await _group(api, root, people, each) for each in names]
    return [each for each in found if each is not None]


async def _group(api: Api, root: tuple[str, ...], people: _People, address: str) -> Group | None:
    path = (*root, "mailingList", address)
    try:
        found = fields(await api.get(*path), "/".join(path))
    except Missing:
        return None
    members = []
    for each, kind in (("account", "account"), ("contact", "externalContact")):
        listed = numbers(await api.get(*path, "member", each), "/".join(path))
        members += [await people.address(number, kind) for number in listed]
    return Group(
        found.text("mailingListAddress") or address,
        tuple(sorted(members)),
        printable(found.text("displayName"), 200),
    )


async def _remarks(api: Api, root: tuple[str, ...], *, exchange: bool) -> list[Extra]:
    found: list[Extra] = []
    for place, kind in _LISTED.items():
        if exchange or place == "externalContact":
            path = (*root, place)
            names = texts(await api.get(*path), "/".join(path))
            found += [Remark(printable(each, 200), kind, printable(each, 200)) for each in names]
    path = (*root, "domain")
    for domain in texts(await api.get(*path), "/".join(path)):
        try:
            footer = fields(await api.get(*path, domain, "disclaimer"), "/".join(path))
        except Missing:
            continue
        if content := footer.text("content"):
            found.append(Remark(domain, "footer", printable(content, 500)))
    return found
