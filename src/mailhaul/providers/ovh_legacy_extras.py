"""What stands beside the accounts of OVHcloud's older MX Plan: read, and as steps."""

import asyncio

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.extras import Extra, Filter, Redirection, Remark, Responder
from mailhaul.providers.ovh_answers import Fields, fields, numbers, texts, written
from mailhaul.providers.ovh_api import Api
from mailhaul.providers.ovh_filters import filter_of, rule_of
from mailhaul.providers.ovh_steps import Field, Queue, Step

Root = tuple[str, ...]
"""The service's path, which ends with its domain."""


async def redirections(api: Api, root: Root, local: str) -> list[Redirection]:
    """A copy is kept where the address is redirected to itself as well."""
    listed = await redirection_rows(api, root, local)
    kept = {row.text("from").casefold() for row in listed if _is_copy(row)}
    return [
        Redirection(row.text("from"), row.text("to"), row.text("from").casefold() in kept)
        for row in listed
        if not _is_copy(row)
    ]


async def redirection_rows(api: Api, root: Root, local: str) -> list[Fields]:
    path = (*root, "redirection")
    query = {"from": _at(root, local)} if local else {}
    listed = texts(await api.get(*path, **query), "redirection")
    found = await asyncio.gather(*(api.get(*path, each) for each in listed))
    rows = [fields(each, "redirection") for each in found]
    return [row for row in rows if not local or same(row.text("from"), _at(root, local))]


async def redirection_ids(api: Api, root: Root, extra: Redirection) -> list[str]:
    """Of the redirection, and of the copy that it alone kept."""
    rows = await redirection_rows(api, root, parts(extra.address).local)
    wanted = [row.text("id") for row in rows if same(row.text("to"), extra.to)]
    others = [row for row in rows if not _is_copy(row) and not same(row.text("to"), extra.to)]
    copies = [] if others else [row.text("id") for row in rows if _is_copy(row)]
    return [*copies, *wanted]


async def responders(api: Api, root: Root, local: str) -> list[Responder]:
    path = (*root, "responder")
    query = {"account": local} if local else {}
    names = texts(await api.get(*path, **query), "responder")
    found = []
    for name in names:
        if local and name.casefold() != local.casefold():
            continue
        row = fields(await api.get(*path, name), "responder")
        begins, ends = row.moment("from"), row.moment("to")
        copy_to = row.text("copyTo") if row.flag("copy") else ""
        address = _at(root, row.text("account") or name)
        found.append(Responder(address, row.text("content"), "", begins, ends, copy_to))
    return found


async def beside(api: Api, root: Root, name: str) -> list[Extra]:
    """Filters and delegations of one account."""
    path = (*root, "account", name)
    found: list[Extra] = []
    for each in texts(await api.get(*path, "filter"), "filter"):
        told = fields(await api.get(*path, "filter", each), "filter")
        listed = numbers(await api.get(*path, "filter", each, "rule"), "rule")
        asked = (api.get(*path, "filter", each, "rule", str(n)) for n in listed)
        rules = [fields(rule, "rule") for rule in await asyncio.gather(*asked)]
        found.append(filter_of(_at(root, name), told, rules))
    for customer in texts(await api.get(*path, "delegation"), "delegation"):
        said = printable(f"the OVHcloud customer {customer} may run it", 200)
        found.append(Remark(_at(root, name), "delegation", said))
    return found


async def extra_steps(
    api: Api, root: Root, extra: Extra, *, adds: bool
) -> list[tuple[Step, Queue]]:
    match extra:
        case Redirection(address, to, copy):
            path: tuple[str, ...] = (*root, "redirection")
            if adds:
                body: dict[str, Field] = {"from": address, "to": to, "localCopy": copy}
                return [(Step("POST", path, body), Queue.REDIRECTION)]
            numbers_ = await redirection_ids(api, root, extra)
            return [(Step("DELETE", (*path, each)), Queue.REDIRECTION) for each in numbers_]
        case Responder(address, text):
            path = (*root, "responder")
            if not adds:
                return [(Step("DELETE", (*path, parts(address).local)), Queue.RESPONDER)]
            answer: dict[str, Field] = {
                "account": parts(address).local,
                "content": text,
                # Without it OVHcloud throws away what it answers.
                "copy": True,
            }
            answer |= {"copyTo": extra.copy_to} if extra.copy_to else {}
            answer |= {} if extra.begins is None else {"from": written(extra.begins)}
            answer |= {} if extra.ends is None else {"to": written(extra.ends)}
            return [(Step("POST", path, answer), Queue.RESPONDER)]
        case Filter(address, name):
            path = (*root, "account", parts(address).local, "filter")
            if not adds:
                return [(Step("DELETE", (*path, name)), Queue.FILTER)]
            rule = rule_of(extra)
            if rule is None:
                return []
            rules: dict[str, Field] = {
                "name": name,
                "action": rule.action,
                "active": rule.active,
                "priority": rule.priority,
                "header": rule.header,
                "operand": rule.operand,
                "value": rule.value,
            }
            rules |= {"actionParam": rule.parameter} if rule.parameter else {}
            return [(Step("POST", path, rules), Queue.FILTER)]
        case _:
            raise BadInput(f"/{'/'.join(root)} has no request for this")


def _at(root: Root, local: str) -> str:
    return local if "@" in local else f"{local}@{root[-1]}"


def _is_copy(row: Fields) -> bool:
    return same(row.text("from"), row.text("to"))
