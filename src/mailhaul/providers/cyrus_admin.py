"""What an administrator asks of a Cyrus IMAP server, as typed questions over one connection.

Names are the administrator's: `user/anna@example.org`, with whatever delimiter the server has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import (
    Closed,
    ClosedReason,
    Disconnected,
    MailhaulError,
    RetryLater,
)
from mailhaul.core.store import Traffic
from mailhaul.core.text import printable
from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.commands import Command
from mailhaul.imap.connect import connect
from mailhaul.imap.failures import failure, words
from mailhaul.imap.responses import Event, Status, Untagged
from mailhaul.imap.syntax import Value, number, text
from mailhaul.providers.immediate import refusal
from mailhaul.providers.provider import Refused

DENIED = "-anyone"
"""Rights that this identifier has are denied to everybody, whatever else is granted (RFC 4314
section 2): what locks an account. The owner's implicit rights go too (seen with Cyrus 3.6)."""
_SIZE = "/shared/vendor/cmu/cyrus-imapd/size"
_AT_ONCE = 500
_SAYS = (
    ("permission denied", ""),
    ("already exists", "ADDRESS_TAKEN"),
    ("does not exist", "ACCOUNT_EMPTY"),
    ("invalid mailbox name", "ADDRESS_REFUSED"),
)
"""Cyrus' words for a refusal, and our code; none: the login may not do it."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A mailbox's quota and what is used of it, in octets; `limit` None: there is none."""

    used: int | None = None
    limit: int | None = None


class Administrator:
    """A connection that comes by itself, and again when it has broken. All verbs raise what
    connecting does, `RetryLater`, `Closed` and `Refused`."""

    def __init__(self, endpoint: Endpoint, login: Callable[[], Awaitable[Credentials]]) -> None:
        self._endpoint = endpoint
        self._login = login
        self._session: Session | None = None
        self._connecting = asyncio.Lock()
        self.delimiter = "/"
        self.product = ""

    @property
    def name(self) -> str:
        """Whose rights these are."""
        return self._endpoint.options.get("admin") or self._endpoint.user

    async def ready(self) -> None:
        """Connects, where it isn't."""
        await self._connected()

    async def mailboxes(self, pattern: str) -> list[str]:
        """The names that match (RFC 9051 section 6.3.9)."""
        found = []
        for event in await self._ask(commands.list_all(pattern)):
            values = _values(event, b"LIST")
            name = text(values[2]) if len(values) > 2 else None
            if name:
                found.append(name)
        return found

    async def rights(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Of each mailbox who has which rights; those that have gone are left out."""
        found: dict[str, dict[str, str]] = {}
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for name, rights in zip(
                some, await asyncio.gather(*(self._rights(each) for each in some)), strict=True
            ):
                if rights is not None:
                    found[name] = rights
        return found

    async def grantable(self, name: str, identifier: str) -> str:
        """All rights that the identifier can be given there."""
        for event in await self._ask(commands.listrights(name, identifier)):
            values = _values(event, b"LISTRIGHTS")
            if len(values) > 2:
                told = "".join(text(each) or "" for each in values[2:])
                return "".join(dict.fromkeys(told))
        raise _senseless("LISTRIGHTS")

    async def storage(self, name: str) -> Storage:
        """Its quota; nothing known where none is set."""
        for event in await self._ask(commands.getquotaroot(name)):
            values = _values(event, b"QUOTA")
            resources = values[1] if len(values) > 1 else None
            if isinstance(resources, list):
                for kind, used, limit in zip(
                    resources[::3], resources[1::3], resources[2::3], strict=False
                ):
                    if isinstance(kind, bytes) and kind.upper() == b"STORAGE":
                        return Storage(_octets(used), _octets(limit))
        return Storage()

    async def size(self, *patterns: str) -> int | None:
        """Octets of all messages in the mailboxes that match; None where the server doesn't say."""
        total: int | None = None
        asked = (self._ask_if_there(commands.getmetadata(each, _SIZE)) for each in patterns)
        for events in await asyncio.gather(*asked):
            for event in events:
                values = _values(event, b"METADATA")
                pairs = values[1] if len(values) > 1 else None
                size = number(pairs[1]) if isinstance(pairs, list) and len(pairs) > 1 else None
                if size is not None:
                    total = (total or 0) + size
        return total

    async def create(self, name: str) -> None:
        await self._ask(commands.create(name))

    async def rename(self, name: str, to: str) -> None:
        await self._ask(commands.rename(name, to))

    async def delete(self, name: str) -> None:
        """The mailbox and all below it; takes the right to do so first."""
        await self._ask(commands.setacl(name, self.name, "lxc"))
        await self._ask(commands.delete(name))

    async def grant(self, names: Sequence[str], identifier: str, rights: str) -> None:
        """Exactly these rights on each."""
        await asyncio.gather(
            *(self._ask(commands.setacl(each, identifier, rights)) for each in names)
        )

    async def withdraw(self, names: Sequence[str], identifier: str) -> None:
        """No rights by that identifier on any."""
        await asyncio.gather(*(self._ask(commands.deleteacl(each, identifier)) for each in names))

    async def limit(self, name: str, octets: int) -> None:
        """Its quota, in whole units of 1024 octets."""
        await self._ask(commands.setquota(name, -(-octets // 1024)))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _rights(self, name: str) -> dict[str, str] | None:
        for event in await self._ask_if_there(commands.getacl(name)):
            values = [text(each) or "" for each in _values(event, b"ACL")]
            if values:
                return dict(zip(values[1::2], values[2::2], strict=False))
        return None

    async def _ask_if_there(self, command: Command) -> list[Event]:
        """What it says; nothing where there is no such mailbox."""
        try:
            return await self._ask(command)
        except Refused as error:
            if error.findings[0].code in ("ACCOUNT_EMPTY", "ADDRESS_REFUSED"):
                return []
            raise

    async def _ask(self, command: Command) -> list[Event]:
        session = await self._connected()
        try:
            pending = session.send(command)
            status = await pending.done()
        except OSError as error:
            raise Disconnected(f"the connection to {session.name} broke") from error
        if status.kind != b"OK":
            raise self._error(command, status)
        return pending.events

    def _error(self, command: Command, status: Status) -> MailhaulError:
        verb = command.verb.decode("latin-1")
        if status.kind == b"NO":
            said = status.text.lower()
            for phrase, code in _SAYS:
                if phrase.encode() not in said:
                    continue
                if code:
                    return refusal(code, f"cyrus says to {verb}: {words(status)}")
                return Closed(
                    f"cyrus lets {printable(self.name, 80)} not do {verb}: {words(status)}; name "
                    "it in imapd.conf's admins, and set allowusermoves for RENAME",
                    ClosedReason.FORBIDDEN,
                )
        error = failure(command.verb, status, f"cyrus refuses {verb}")
        if isinstance(error, RetryLater | Closed):
            return error
        return refusal("UNKNOW", f"cyrus says to {verb}: {words(status)}")

    async def _connected(self) -> Session:
        async with self._connecting:
            if self._session is not None and self._session.usable:
                return self._session
            session = await connect(
                self._endpoint,
                await self._login(),
                writable=True,
                spool=Spool(),
                traffic=Traffic(),
                compress=False,
            )
            status = await session.greeting()
            self.product = printable(status.said, 120)
            self.delimiter = await self._delimiter(session)
            self._session = session
            return session

    async def _delimiter(self, session: Session) -> str:
        """As administrators see it, who have no folders of their own and find accounts under
        `user`; for anybody else that would be a name like any other, and CREATE make a folder."""
        pending = session.send(commands.namespace())
        await pending.done()
        for event in pending.events:
            match _values(event, b"NAMESPACE"):
                case [None, [[bytes(prefix), bytes(delimiter), *_], *_], *_] if (
                    prefix == b"user" + delimiter
                ):
                    return delimiter.decode("latin-1")
        await session.close()
        raise Closed(
            f"{printable(self.name, 80)} is no administrator of this Cyrus; name it in "
            "imapd.conf's admins, or log in as one who is",
            ClosedReason.FORBIDDEN,
        )


def _values(event: Event, name: bytes) -> list[Value]:
    if isinstance(event, Untagged) and event.name == name:
        return event.values()
    return []


def _octets(kibibytes: Value) -> int | None:
    told = number(kibibytes)
    return None if told is None else told * 1024


def _senseless(verb: str) -> Closed:
    return Closed(
        f"cyrus answers {verb} with what makes no sense; is it a Cyrus?", ClosedReason.PROTOCOL
    )
