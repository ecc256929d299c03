"""From the rows of a file to mailboxes: foreign logins become endpoints, addresses are judged."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from mailhaul.core.endpoint import DEFAULT_PORTS
from mailhaul.core.errors import BadInput
from mailhaul.plan.dialects import COLUMNS, Dialect, Login, Row, Rows
from mailhaul.plan.mistakes import Mistake, shown
from mailhaul.plan.model import ListedMailbox
from mailhaul.plan.templates import filled_url, with_login

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[^\s:/@?#\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_UNSAFE = re.compile(r"[\s\x00-\x20\x7f<>\"(),;:\\\[\]]")
LONGEST_ADDRESS = 254
"""RFC 5321 4.5.3.1.3, without the angle brackets."""


def listed(
    rows: Rows, name: str, source_url: str, target_url: str
) -> tuple[tuple[ListedMailbox, ...], list[Mistake]]:
    """The mailboxes that the rows of the file `name` list, and what is wrong with them. A foreign
    row without a server is one of the plan's systems, reached by that row's login."""
    mistakes: list[Mistake] = []
    found: list[ListedMailbox] = []
    for row in rows.rows:
        wrong = list(_row_mistakes(row, rows.dialect, name))
        mistakes += wrong
        if wrong:
            continue
        source, target = _sides(row)
        cells = {column: row.cells.get(column, "") for column in COLUMNS[1:]}
        if rows.dialect not in (Dialect.OURS, Dialect.LIST):
            cells["source"] = _endpoint(source, source_url, row.address)
            cells["target"] = _endpoint(target, target_url, row.address)
        found.append(ListedMailbox(address=row.address, line=row.line, **cells))
    return tuple(found), mistakes


def address_fault(address: str) -> tuple[str, str] | None:
    """Why `address` is none, and the cure."""
    if not address:
        return "the address is missing", "write one in every row"
    user, at, domain = address.rpartition("@")
    if not at or not user or not domain:
        return "this is no address", "write it as anna@example.org"
    if "@" in user or _UNSAFE.search(address) or ".." in domain or domain.startswith("."):
        return "this is no address", "write it as anna@example.org, without names and brackets"
    if len(address.encode()) > LONGEST_ADDRESS:
        return f"an address has at most {LONGEST_ADDRESS} octets", "write it as anna@example.org"
    return None


def _row_mistakes(row: Row, dialect: Dialect | None, name: str) -> Iterator[Mistake]:
    fault = address_fault(row.address)
    if fault is not None:
        value = f"address {shown(row.address)}" if row.address else ""
        yield Mistake(name, row.line, value, *fault)
    if dialect is Dialect.MICROSOFT and row.extra:
        cure = "leave it out and add ?admin=NAME to the source's url (docs/endpoints.md)"
        yield Mistake(name, row.line, "UserRoot", "mailhaul has no such way in", cure)
    if dialect is Dialect.IMAPSYNC:
        for option in _strange_options(row.extra):
            cure = "take it out; what is carried stands in plan.toml under [carry]"
            yield Mistake(name, row.line, shown(option), "this option is imapsync's own", cure)
    for side, login in (("source", row.source), ("target", row.target)):
        value = f"{side} {shown(login.host)}"
        if login.kind.casefold().startswith("pop"):
            cure = "name its IMAP server instead, for POP shows no folders"
            yield Mistake(name, row.line, f"{side} type {shown(login.kind)}", "this is POP", cure)
        elif login.host and not _is_elsewhere(login) and _HOST.fullmatch(login.host) is None:
            yield Mistake(name, row.line, value, "this is no host", "write its name, or name:port")


def _is_elsewhere(login: Login) -> bool:
    """Exchange is named by the URL of its web service; by IMAP it is what the plan says."""
    web = login.host.lower().startswith("https://")
    return web and login.kind.casefold().startswith("exchange")


def _endpoint(login: Login, template: str, address: str) -> str:
    """What the cell of our own dialect says; empty where the plan's template says the same."""
    if login == Login():
        return ""
    user = login.user or address
    if login.host and not _is_elsewhere(login):
        scheme, _, host = login.host.rpartition("//")
        admin = f"?admin={quote(login.admin, safe='')}" if login.admin else ""
        found = f"{scheme or 'imaps:'}//{quote(user, safe='-._~')}@{host}{admin}"
    else:
        found = with_login(template, user, login.admin)
    try:
        return "" if found == filled_url(template, address) else found
    except BadInput:
        return found


def _sides(row: Row) -> tuple[Login, Login]:
    """Both logins, with what imapsync's options say about them."""
    source, target = row.source, row.target
    options = _options(row.extra)
    sides = []
    for side, login in (("1", source), ("2", target)):
        port = options.get(f"--port{side}", "")
        tls = f"--tls{side}" in options
        scheme = "imap+starttls:" if tls else ""
        if port and not tls and port == str(DEFAULT_PORTS["imap"]):
            scheme = "imap+starttls:"
        host = login.host + (f":{port}" if port and ":" not in login.host else "")
        host = f"{scheme}//{host}" if scheme else host
        sides.append(replace(login, host=host, admin=options.get(f"--authuser{side}", login.admin)))
    return sides[0], sides[1]


_SWITCHES = frozenset(f"--{name}{side}" for name in ("ssl", "tls") for side in "12")
_SETTINGS = frozenset(f"--{name}{side}" for name in ("port", "authuser") for side in "12")


def _options(extra: str) -> dict[str, str]:
    """imapsync's options by name, those that mailhaul knows and others."""
    if not extra.startswith("-"):
        return {}
    try:
        words = shlex.split(extra)
    except ValueError:
        words = extra.split()
    found: dict[str, str] = {}
    while words:
        name, equals, value = words.pop(0).partition("=")
        if not equals and words and not words[0].startswith("-") and name not in _SWITCHES:
            value = words.pop(0)
        found[name] = value
    return found


def _strange_options(extra: str) -> list[str]:
    if extra and not extra.startswith("-"):
        return ["the last cell"]
    return [name for name in _options(extra) if name not in _SWITCHES | _SETTINGS]
