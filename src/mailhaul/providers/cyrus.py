"""Cyrus IMAP as a control plane: accounts are what its administrators make, rename and lock.

Everything goes by IMAP (RFC 9051, RFC 4314, RFC 9208, RFC 5464), and is done when Cyrus says so.
Cyrus keeps no passwords: programs that the operator names set them (docs/providers/cyrus.md).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    Delete,
    Lock,
    Release,
    Remove,
    Rename,
    Unlock,
)
from mailhaul.providers.actions_text import action_of
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.cyrus_admin import DENIED, Administrator
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Delegation, Extra, Remark, Right
from mailhaul.providers.immediate import (
    Rules,
    carried_out,
    foreseen,
    is_over,
    refusal,
    standing_in_the_way,
)
from mailhaul.providers.journal import Journal
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.plan_values import chosen, domains, known_only, listed
from mailhaul.providers.programs import Program, program, run
from mailhaul.providers.provider import Planned, Task, TaskState, Unsupported, demand
from mailhaul.providers.registry import Settings
from mailhaul.providers.service import (
    Account,
    AccountState,
    Contacts,
    Content,
    DomainStatus,
    HostedDomain,
    Service,
    Verb,
)

VALUES = (
    *("domains", "default_domain", "logins", "placeholders", "contents", "journal"),
    *("password_command", "rename_command", "remove_command"),
)
FIELDS = ("address", "local", "domain")
_FIT = re.compile(r"[A-Za-z0-9._='~$#-]+")
_OPENED = "lrswite"
"""Who has all of these has full access; whoever has fewer is remarked on."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What sets, moves and removes passwords; None: nothing does."""

    password: Program | None
    rename: Program | None
    remove: Program | None


@dataclass(frozen=True, slots=True)
class Naming:
    """How accounts are called at the server. `whole`: by address; else by what stands before the @,
    and `usual` is the domain of all. `usual`: whose accounts are called without their domain."""

    whole: bool
    usual: str

    def mailbox(self, address: str, delimiter: str, below: str = "") -> str:
        """The account's inbox, or with `below` what that matches of its other folders."""
        local, domain = parts(address.lower()).local, parts(address).domain
        name = f"user{delimiter}{local}{delimiter + below if below else ''}"
        return f"{name}@{domain}" if self.whole and domain != self.usual else name

    def address(self, mailbox: str, delimiter: str) -> str | None:
        """Whose inbox it is; None where that can't be an address."""
        local, _, domain = mailbox.removeprefix(f"user{delimiter}").partition("@")
        domain = domain or self.usual
        return f"{local}@{domain}" if local and domain and delimiter not in local else None

    def owner(self, address: str) -> str:
        """What the account is called in rights."""
        local, _, domain = address.lower().partition("@")
        return f"{local}@{domain}" if self.whole and domain != self.usual else local


class CyrusProvider:
    """A `Provider`. Sizes are of mail alone; how many messages there are is told to nobody but the
    account itself."""

    def __init__(
        self,
        service: str,
        administrator: Administrator,
        journal: Journal,
        *,
        served: Sequence[str],
        naming: Naming,
        placeholders: str,
        contents: frozenset[Content],
        programs: Programs,
    ) -> None:
        self._name = service
        self._administrator = administrator
        self._journal = journal
        self._served = tuple(served)
        self._naming = naming
        self._placeholders = placeholders
        self._contents = contents
        self._programs = programs
        reached = frozenset({*served, placeholders} - {""})
        self._rules = Rules(reached, self._unfit, _left_out)
        self._verbs = frozenset({Verb.CREATE, Verb.RENAME, Verb.LOCK, Verb.DELETE})
        self._verbs |= {Verb.DELEGATIONS}
        if placeholders:
            self._verbs |= {Verb.CONFIGURE}

    async def service(self) -> Service:
        await self._administrator.ready()
        free = None
        if self._placeholders:
            names = await self._inboxes()
            free = sum(self._is_placeholder(each) for each in names)
        return Service(
            "cyrus",
            self._name,
            self._administrator.product or "Cyrus IMAP",
            self._verbs,
            self._contents,
            free=free,
        )

    async def accounts(self) -> Sequence[Account]:
        inboxes = await self._inboxes()
        rights = await self._administrator.rights(list(inboxes.values()))
        found = [
            Account(address, self._state(address, rights[inbox]))
            for address, inbox in inboxes.items()
            if inbox in rights
        ]
        return sorted(found, key=lambda each: each.address)

    async def account(self, address: str) -> Account | None:
        if not self._could_be(address):
            return None
        await self._administrator.ready()
        inbox = self._mailbox(address)
        rights = (await self._administrator.rights([inbox])).get(inbox)
        if rights is None:
            return None
        storage = await self._administrator.storage(inbox)
        used = await self._administrator.size(inbox, self._mailbox(address, "*"))
        return Account(
            address.lower(),
            self._state(address, rights),
            quota=storage.limit,
            used=used if used is not None else storage.used,
            messages=0 if used == 0 else None,
        )

    async def extras(self, address: str = "") -> Sequence[Extra]:
        if address and not self._could_be(address):
            return []
        inboxes = await self._inboxes()
        wanted = {one: box for one, box in inboxes.items() if not address or same(one, address)}
        rights = await self._administrator.rights(list(wanted.values()))
        return [
            extra
            for one, inbox in sorted(wanted.items())
            for extra in self._granted(one, rights.get(inbox, {}))
        ]

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        if action is None:
            return await standing_in_the_way(self, self._rules, address)
        planned = await self.plan(action)
        return [Obstacle(each.code, each.evidence) for each in planned.findings]

    async def domains(self) -> Sequence[HostedDomain]:
        return [HostedDomain(each, DomainStatus.OK) for each in self._served]

    async def contacts(self) -> Contacts:
        return Contacts(self._administrator.name)

    async def zone(self, domain: str) -> ZoneWriter:
        raise Unsupported("a Cyrus holds no zones; change them where they are held")

    async def plan(self, action: Action) -> Planned:
        await self._administrator.ready()
        return await foreseen(self, self._rules, action, self._lines(action))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        demand(self._verbs, action, self._name)

        async def do() -> str:
            return await self._do(action, secret)

        return (await carried_out(self, self._journal, action, key, do)).task()

    async def task(self, number: str) -> Task:
        entry = self._journal.entry(number)
        if not is_over(entry) and await holding(self, action_of(entry.action)) is Holding.HOLDS:
            entry = self._journal.settle(number, TaskState.DONE, "it stands")
        return entry.task()

    async def close(self) -> None:
        await self._administrator.close()

    async def _do(self, action: Action, secret: Secret | None) -> str:
        """Every step leaves what stands already as it is: it may be done for the second time."""
        administrator = self._administrator
        await administrator.ready()
        match action:
            case Create(address=address, quota=quota):
                await self._set_password(address, secret)
                inbox = self._mailbox(address)
                if not await administrator.rights([inbox]):
                    await administrator.create(inbox)
                if quota is not None:
                    await administrator.limit(inbox, quota)
            case Configure(placeholder=old, address=new):
                await self._set_password(new, secret)
                await self._rename(old, new)
            case Rename(address=old, to=new) | Release(address=old, placeholder=new):
                await self._rename(old, new)
                if self._programs.rename is not None:
                    fields = {**_fields(old), "to": new.lower()}
                    await run(self._programs.rename, fields, secret)
            case Lock(address=address):
                inbox = self._mailbox(address)
                # Posting stays: what arrives goes into the inbox, and by subaddress into folders.
                rights = (await administrator.grantable(inbox, "anyone")).replace("p", "")
                await administrator.grant(await self._folders(address), DENIED, rights)
            case Unlock(address=address):
                await administrator.withdraw(await self._folders(address), DENIED)
            case Delete(address=address, empty=empty):
                await self._delete(address, empty=empty)
            case Add(extra=Delegation(address=address, to=to)):
                rights = await administrator.grantable(self._mailbox(address), "anyone")
                rights = rights.replace("a", "")
                await administrator.grant(
                    await self._folders(address), self._naming.owner(to), rights
                )
            case Remove(extra=Delegation(address=address, to=to)):
                await administrator.withdraw(await self._folders(address), self._naming.owner(to))
            case _:
                raise AssertionError("what is not among the verbs was refused before")
        return "done"

    async def _rename(self, old: str, new: str) -> None:
        boxes = await self._administrator.rights([self._mailbox(old), self._mailbox(new)])
        if self._mailbox(old) not in boxes and self._mailbox(new) in boxes:
            return
        await self._administrator.rename(self._mailbox(old), self._mailbox(new))

    async def _delete(self, address: str, *, empty: bool) -> None:
        inbox = self._mailbox(address)
        rights = (await self._administrator.rights([inbox])).get(inbox)
        if rights is not None:
            size = await self._administrator.size(inbox, self._mailbox(address, "*"))
            if empty and size != 0:
                raise refusal("ACCOUNT_NOT_EMPTY", f"mail has come for {address} meanwhile")
            if DENIED in rights:
                await self._administrator.withdraw([inbox], DENIED)
            await self._administrator.delete(inbox)
        if self._programs.remove is not None:
            await run(self._programs.remove, _fields(address))

    async def _set_password(self, address: str, secret: Secret | None) -> None:
        if secret is None:
            return
        if self._programs.password is None:
            raise refusal(
                "PASSWORD_UNFIT",
                "Cyrus keeps no passwords, and no password_command is named for the provider",
            )
        await run(self._programs.password, _fields(address), secret)

    async def _inboxes(self) -> dict[str, str]:
        """The accounts' addresses and inboxes."""
        await self._administrator.ready()
        delimiter = self._administrator.delimiter
        found = {}
        for mailbox in await self._administrator.mailboxes(f"user{delimiter}%"):
            address = self._naming.address(mailbox, delimiter)
            if address is not None and self._could_be(address):
                found[address] = mailbox
        return found

    async def _folders(self, address: str) -> list[str]:
        inbox = self._mailbox(address)
        below = await self._administrator.mailboxes(self._mailbox(address, "*"))
        return [inbox, *(each for each in below if each != inbox)]

    def _mailbox(self, address: str, below: str = "") -> str:
        return self._naming.mailbox(address, self._administrator.delimiter, below)

    def _state(self, address: str, rights: Mapping[str, str]) -> AccountState:
        if DENIED in rights:
            return AccountState.LOCKED
        if self._is_placeholder(address):
            return AccountState.PLACEHOLDER
        return AccountState.CONFIGURED

    def _is_placeholder(self, address: str) -> bool:
        return bool(self._placeholders) and address.endswith("@" + self._placeholders)

    def _granted(self, address: str, rights: Mapping[str, str]) -> list[Extra]:
        """What others than the owner may do."""
        own = {self._naming.owner(address), DENIED, self._administrator.name}
        found: list[Extra] = []
        for identifier, granted in sorted(rights.items()):
            if identifier in own:
                continue
            whole = identifier if "@" in identifier else f"{identifier}@{self._naming.usual}"
            person = self._could_be(whole)
            if person and set(_OPENED) <= set(granted):
                found.append(Delegation(address, whole, Right.FULL))
            else:
                found.append(Remark(address, "access", f"{identifier} has {granted} on the inbox"))
        return found

    def _could_be(self, address: str) -> bool:
        try:
            domain = parts(address).domain
        except BadInput:
            return False
        return not self._unfit(address) and (
            not self._rules.domains or domain in self._rules.domains
        )

    def _unfit(self, address: str) -> str:
        local = address.rpartition("@")[0]
        if not _FIT.fullmatch(local):
            return f"Cyrus can't have a mailbox for {address}"
        if self._administrator.delimiter == "." and "." in local:
            return f"{address} has a dot, which parts folders there; set unixhierarchysep: yes"
        return ""

    def _lines(self, action: Action) -> tuple[str, ...]:
        """What is sent, as far as it can be known before."""
        match action:
            case Create(address=address, quota=quota):
                lines = [f"CREATE {self._shown(address)}"]
                if quota is not None:
                    lines.append(f"SETQUOTA {self._shown(address)} {-(-quota // 1024)} KiB")
            case Configure(placeholder=old, address=new):
                lines = [f"RENAME {self._shown(old)} {self._shown(new)}"]
            case Rename(address=old, to=new) | Release(address=old, placeholder=new):
                lines = [f"RENAME {self._shown(old)} {self._shown(new)}"]
            case Lock(address=address):
                lines = [f"SETACL {self._shown(address)} and all below it: {DENIED}, all but p"]
            case Unlock(address=address):
                lines = [f"DELETEACL {self._shown(address)} and all below it: {DENIED}"]
            case Delete(address=address):
                lines = [f"DELETE {self._shown(address)}"]
            case Add(extra=Delegation(address=address, to=to)):
                lines = [f"SETACL {self._shown(address)} and all below it: {to}, all but a"]
            case Remove(extra=Delegation(address=address, to=to)):
                lines = [f"DELETEACL {self._shown(address)} and all below it: {to}"]
            case _:
                lines = []
        return tuple(lines)

    def _shown(self, address: str) -> str:
        return self._mailbox(address) if self._could_be(address) else "…"


def open_provider(settings: Settings) -> CyrusProvider:
    """The provider of these settings (docs/providers/cyrus.md). Raises `BadInput`."""
    known_only(settings, VALUES)
    if not settings.url:
        raise BadInput("the provider cyrus needs a url: imaps://administrator@host")
    endpoint = parse_endpoint(settings.url)
    if endpoint.is_file:
        raise BadInput(
            "the url of the provider cyrus is an IMAP server: imaps://administrator@host"
        )
    served = domains(settings)
    whole = chosen(settings, "logins", ("address", "local"), "address") == "address"
    usual = next(iter(domains(settings, "default_domain")), "")
    if not whole:
        if len(served) != 1:
            raise BadInput("with logins = “local” the provider cyrus needs one domain in domains")
        usual = served[0]
    placeholders = next(iter(domains(settings, "placeholders")), "")
    if placeholders and not whole:
        raise BadInput("placeholders have a domain of their own, so that logins must be “address”")
    name = re.sub(r"[^A-Za-z0-9.-]", "_", settings.service)
    journal = settings.values.get("journal", f"providers/cyrus-{name}.sqlite")
    return CyrusProvider(
        settings.service,
        Administrator(endpoint, settings.login),
        Journal(settings.directory / journal),
        served=served,
        naming=Naming(whole, usual),
        placeholders=placeholders,
        contents=_contents(listed(settings, "contents")),
        programs=Programs(
            _program(settings, "password_command", FIELDS),
            _program(settings, "rename_command", (*FIELDS, "to")),
            _program(settings, "remove_command", FIELDS),
        ),
    )


def _program(settings: Settings, name: str, fields: Sequence[str]) -> Program | None:
    line = settings.values.get(name, "")
    return program(line, fields) if line else None


def _contents(names: Sequence[str]) -> frozenset[Content]:
    try:
        return frozenset({Content.MAIL, *map(Content, names)})
    except ValueError as error:
        raise BadInput(f"{error}; contents are of {', '.join(Content)}") from error


def _fields(address: str) -> dict[str, str]:
    local, _, domain = address.lower().partition("@")
    return {"address": address.lower(), "local": local, "domain": domain}


def _left_out(extra: Extra) -> str:
    if isinstance(extra, Delegation) and extra.right is not Right.FULL:
        return f"Cyrus knows no right to “{extra.right}”; who may send is the mail host's business"
    return ""
