"""`mailhaul ls`: what a mailbox holds and what its server can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import count, octets
from mailhaul.cli.options import Arguments, Command, Group, Operand
from mailhaul.cli.sides import (
    DEBUG,
    JSON,
    LONE_SECRETS,
    check_endpoint,
    lone_credentials,
    lone_endpoint,
)
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import CursorExpired, FolderFailed
from mailhaul.core.folder import Folder, Role
from mailhaul.core.folder_text import path_text
from mailhaul.core.store import Capabilities, Quota, Source

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop

# ruff: noqa: PLC0415 - what opens sockets and files is imported once the command line is good.

ABILITIES = {
    "CONDSTORE": "tells which flags changed",
    "QRESYNC": "tells what vanished",
    "LIST-STATUS": "tells about all folders at once",
    "UIDPLUS": "tells where a message was stored",
    "MULTIAPPEND": "takes many messages at once",
    "LITERAL+": "takes messages without a pause",
    "SPECIAL-USE": "tells what folders are for",
    "COMPRESS=DEFLATE": "can compress",
    "BINARY": "takes messages with NUL",
    "OBJECTID": "knows messages and folders by id",
    "QUOTA": "tells its quota",
}
"""What of the extensions matters to a migration, in plain words."""


@dataclass(frozen=True, slots=True)
class Row:
    """One folder as it is listed; `guessed` is its role by its name, where the server doesn't say;
    `problem` why it could not be looked into."""

    folder: Folder
    messages: int | None
    octets: int | None
    problem: str = ""
    guessed: Role | None = None

    @property
    def role(self) -> Role | None:
        return self.folder.role or self.guessed


def ls(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Lists ENDPOINT's folders. Raises `BadInput` and `Closed`."""
    endpoint = lone_endpoint(arguments)
    check_endpoint(endpoint, "source")
    credentials = lone_credentials(arguments, endpoint, surroundings)

    from mailhaul.cli.stopping import run

    async def work(stop: "Stop") -> Exit:
        return await _list(arguments, surroundings, endpoint, credentials)

    return run(work, surroundings.console, "interrupted; nothing was changed", grace=0.0)


async def _list(
    arguments: Arguments, surroundings: Surroundings, endpoint: Endpoint, credentials: Credentials
) -> Exit:
    from mailhaul.cli.stopping import closing, loaded
    from mailhaul.engine.folder_roles import find_roles
    from mailhaul.stores.registry import open_source

    source = open_source(endpoint, credentials)
    loaded()
    async with closing(source):
        await source.open()
        folders = await source.folders()
        roles = find_roles(folders, (), source.capabilities.names).holders
        rows = [await _row(source, folder, roles.get(folder.path)) for folder in folders]
    capabilities = source.capabilities
    notices = tuple(dict.fromkeys(source.traffic.notices))
    if arguments.given("--json"):
        for row in rows:
            surroundings.console.json(row_line(row))
        surroundings.console.json(mailbox_line(endpoint, capabilities, rows, notices))
    else:
        surroundings.console.show(listing(endpoint, capabilities, rows, notices))
    return Exit.INCOMPLETE if any(row.problem for row in rows) else Exit.COMPLETE


async def _row(source: Source, folder: Folder, guessed: Role | None) -> Row:
    """Sizes that the store does not know by itself are summed up from a listing."""
    if not folder.selectable or (folder.count is not None and folder.size is not None):
        return Row(folder, folder.count, folder.size, guessed=guessed)
    messages = size = 0
    try:
        async for page in source.changes(folder, None):
            messages += len(page.entries)
            size += sum(entry.size or 0 for entry in page.entries)
    except (FolderFailed, CursorExpired) as error:
        return Row(folder, folder.count, folder.size, str(error), guessed)
    return Row(folder, messages, size, guessed=guessed)


def listing(
    endpoint: Endpoint, capabilities: Capabilities, rows: Sequence[Row], notices: Sequence[str]
) -> list[Block]:
    """What is shown to a person."""
    lines: list[Block] = [Line(f"{endpoint}: {capabilities.server}", Tone.HEADING), Line()]
    cells = [
        (
            path_text(row.folder.path),
            _role(row),
            _number(row.messages) if row.folder.selectable else "",
            _size(row.octets) if row.folder.selectable else "",
            "" if row.folder.selectable else "holds folders only",
        )
        for row in rows
    ]
    foot = (
        "in all",
        "",
        count(sum(row.messages or 0 for row in rows)),
        octets(sum(row.octets or 0 for row in rows)),
        "",
    )
    heading = ("folder", "role", "messages", "size", "")
    lines.append(Table(heading, tuple(cells), frozenset({2, 3}), foot))
    lines += [
        Line(f"{path_text(row.folder.path)}: {row.problem}", Tone.BAD)
        for row in rows
        if row.problem
    ]
    lines += [Line(), *_abilities(capabilities)]
    lines += [Line(f"note: {notice}", Tone.WARNING) for notice in notices]
    return lines


def row_line(row: Row) -> dict[str, Json]:
    """One folder for `--json`."""
    return {
        "event": "mailbox_folder",
        "folder": list(row.folder.path),
        "role": None if row.role is None else row.role.value,
        "role_declared": row.folder.role is not None,
        "selectable": row.folder.selectable,
        "subscribed": row.folder.subscribed,
        "messages": row.messages,
        "bytes": row.octets,
        "error": row.problem,
    }


def mailbox_line(
    endpoint: Endpoint, capabilities: Capabilities, rows: Sequence[Row], notices: Sequence[str]
) -> dict[str, Json]:
    """The whole mailbox for `--json`; the last line."""
    quota = capabilities.quota or Quota()
    return {
        "event": "mailbox",
        "endpoint": str(endpoint),
        "server": capabilities.server,
        "folders": len(rows),
        "messages": sum(row.messages or 0 for row in rows),
        "bytes": sum(row.octets or 0 for row in rows),
        "quota": {
            "used": quota.used,
            "limit": quota.limit,
            "used_messages": quota.used_messages,
            "limit_messages": quota.limit_messages,
        },
        "append_limit": capabilities.append_limit,
        "keeps_keywords": capabilities.keeps_keywords,
        "keeps_received": capabilities.keeps_received,
        "keeps_subscriptions": capabilities.keeps_subscriptions,
        "extensions": sorted(capabilities.extensions),
        "notices": list(notices),
    }


def _abilities(capabilities: Capabilities) -> list[Line]:
    keeps = [
        ("keywords", capabilities.keeps_keywords),
        ("received dates", capabilities.keeps_received),
        ("subscriptions", capabilities.keeps_subscriptions),
    ]
    kept = ", ".join(name for name, kept in keeps if kept) or "none of these"
    lost = ", ".join(name for name, kept in keeps if not kept)
    rows = [("quota", _quota(capabilities.quota))]
    if capabilities.append_limit is not None:
        rows.append(("largest message", octets(capabilities.append_limit)))
    rows.append(("keeps", kept + (f"; loses {lost}" if lost else "")))
    known = [
        f"{name} ({text})" for name, text in ABILITIES.items() if name in capabilities.extensions
    ]
    width = max(len(name) for name, _ in rows)
    lines = [Line(f"{name:<{width}}  {text}") for name, text in rows]
    if known:
        lines.append(Line(f"{'can':<{width}}  {known[0]}"))
        lines += [Line(f"{'':<{width}}  {text}") for text in known[1:]]
    return lines


def _quota(quota: Quota | None) -> str:
    if quota is None or (quota.used is None and quota.limit is None):
        return "none told"
    used = "?" if quota.used is None else octets(quota.used)
    if not quota.limit:
        return f"{used} used, no limit told"
    share = "" if quota.used is None else f" ({quota.used * 100 // quota.limit} %)"
    text = f"{used} of {octets(quota.limit)} used{share}"
    if quota.limit_messages is not None:
        text += f", {count(quota.used_messages or 0)} of {count(quota.limit_messages)} messages"
    return text


def _role(row: Row) -> str:
    """Parentheses say that only the name tells."""
    if row.role is None:
        return ""
    return row.role.value if row.folder.role is not None else f"({row.role.value})"


def _number(number: int | None) -> str:
    return "?" if number is None else count(number)


def _size(number: int | None) -> str:
    return "?" if number is None else octets(number)


COMMAND = Command(
    name="ls",
    summary="list a mailbox: folders, roles, counts, sizes, quota, abilities",
    story=(
        "Lists the folders of the mailbox ENDPOINT with what they are for, how many messages they "
        "hold and how large they are; its quota; and what its server can do. A role in "
        "parentheses is read from the folder's name. Changes nothing."
        "\n\n"
        "ENDPOINT is imaps://user@host, imap+starttls://user@host, maildir:PATH, mbox:PATH or "
        "eml:PATH (docs/endpoints.md)."
    ),
    operands=(Operand("ENDPOINT", "the mailbox to list"),),
    groups=(LONE_SECRETS, Group("output", (JSON, DEBUG))),
    run=ls,
    examples=(
        "mailhaul ls imaps://anna@old.example",
        "mailhaul ls maildir:~/Mail --json",
    ),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.CREDENTIALS,
        Exit.UNREACHABLE,
        Exit.INTERRUPTED,
    ),
)
