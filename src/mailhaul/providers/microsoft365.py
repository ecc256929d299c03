"""Microsoft 365 by Graph v1.0 (docs/providers/microsoft365.md): people with licences are accounts.

What Graph can't do, IMAP for one, full access and forwarding, is a runbook for PowerShell
(`microsoft365_runbook`) that mailhaul writes and never runs. Never run against Microsoft itself:
tested against a simulator that takes only what Microsoft's published schema allows.
"""

import asyncio
from collections.abc import Mapping, Sequence

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers import (
    microsoft365_accounts,
    microsoft365_beside,
    microsoft365_places,
)
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Create,
    Delete,
    Detach,
    Lock,
    Remove,
    Rename,
    Unlock,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Extra, Remark
from mailhaul.providers.microsoft365_directory import Person, account_of
from mailhaul.providers.microsoft365_domains import hosted_domain, status_of
from mailhaul.providers.microsoft365_graph import AT_ONCE, Graph, GraphRefusal
from mailhaul.providers.microsoft365_prepared import (
    ATTACH,
    CREATE,
    DELETE,
    DETACH,
    EXTRA,
    LOCK,
    RENAME,
    STOOD,
    Prepared,
    at_once,
    new_id,
    refusal_of,
    task_name,
    task_parts,
)
from mailhaul.providers.microsoft365_tenant import (
    Tenant,
    chosen,
    rules_of,
    settings_of,
)
from mailhaul.providers.obstacles import Obstacle, finding, standing
from mailhaul.providers.places import GRAPH
from mailhaul.providers.provider import Planned, Refused, Task, TaskState, Unsupported, demand
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
from mailhaul.providers.web import Web

KIND = "microsoft365"
VERBS = frozenset(
    {
        *(Verb.CREATE, Verb.RENAME, Verb.LOCK, Verb.DELETE, Verb.DOMAINS),
        *(Verb.REDIRECTIONS, Verb.RESPONDERS),
    }
)
VALUES = frozenset({"licence", "location", "change_password"})
_WAITS = 5.0
"""Seconds after which the directory shows what was just made, as a rule."""


def open_provider(settings: Settings) -> "Microsoft365":
    """The tenant whose application the login is for. Raises `BadInput` for values that it doesn't
    know and an address that isn't one."""
    for name in settings.values:
        if name not in VALUES:
            raise BadInput(
                f"“{printable(name, 40)}” is no value of Microsoft 365's; there are "
                + ", ".join(sorted(VALUES))
            )
    if settings.values.get("change_password", "no") not in ("yes", "no"):
        raise BadInput(
            f"change_password = “{printable(settings.values['change_password'], 40)}” is neither "
            "yes nor no"
        )
    graph = Graph(Web(settings.url or GRAPH, at_once=AT_ONCE), settings.login)
    return Microsoft365(graph, settings.service, settings.values)


class Microsoft365:
    """A `Provider` of one tenant."""

    def __init__(self, graph: Graph, name: str, values: Mapping[str, str]) -> None:
        self._graph = graph
        self._tenant = Tenant(graph)
        self._name = name
        self._values = values

    async def service(self) -> Service:
        """The tenant; `free` are licences of the kind that new accounts get."""
        organization = await self._tenant.organization()
        licences = await self._tenant.licences()
        try:
            free: int | None = chosen(licences, self._values).free
        except BadInput:
            free = None
        names = ", ".join(licence.name for licence in licences)
        return Service(
            kind=KIND,
            name=self._name or organization.name,
            product=f"Microsoft 365 ({names or 'no licence that gives mailboxes'})",
            verbs=VERBS,
            contents=frozenset(Content),
            evidence=(
                f"tenant {printable(organization.name, 100)} ({printable(organization.id, 50)})",
                *(f"{each.name}: {each.used} of {each.bought} in use" for each in licences),
            ),
            free=free,
            fresh=not any(licence.used for licence in licences),
        )

    async def accounts(self) -> Sequence[Account]:
        """As `Provider` has it, without sizes."""
        people, licences = await asyncio.gather(self._tenant.people(), self._tenant.licences())
        found = [account_of(each, licences) for each in people]
        there = [each for each in found if each is not None]
        return sorted(there, key=lambda account: account.address)

    async def account(self, address: str) -> Account | None:
        """As `Provider` has it; BUSY while the mailbox isn't there yet."""
        found = await self._tenant.owner(address)
        if found is None:
            return None
        licences, contents = await asyncio.gather(
            self._tenant.licences(), self._tenant.contents(found.id)
        )
        if contents is None:
            return account_of(found, licences, answers=False)
        return account_of(found, licences, used=contents.used, messages=contents.messages)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        """As `Provider` has it. Groups and filters are listed, and made by the runbook or by hand;
        aliases stand in the account. What is forwarded outside the inbox (`ForwardingSmtpAddress`)
        Graph doesn't tell."""
        if not address:
            return await self._everything()
        found = await self._tenant.owner(address)
        if found is None:
            return await self._tenant.groups(address)
        return await self._beside([found])

    async def _everything(self) -> list[Extra]:
        licences = await self._tenant.licences()
        people = [
            each
            for each in await self._tenant.people()
            if (account := account_of(each, licences)) and account.state is not AccountState.BUSY
        ]
        found: list[Extra] = await self._beside(people)
        found += await self._tenant.groups()
        for each in await self._tenant.outsiders():
            name, mail = each.text("displayName"), each.text("mail")
            found.append(Remark(mail, "external contact", printable(f"{name} <{mail}>")))
        return found

    async def _beside(self, people: Sequence[Person]) -> list[Extra]:
        """Two questions a mailbox, twenty in one request."""
        calls = [call for each in people for call in (rules_of(each.id), settings_of(each.id))]
        answers = await self._graph.batch(calls)
        found: list[Extra] = []
        for number, each in enumerate(people):
            rules, settings = answers[2 * number : 2 * number + 2]
            for answer in (rules, settings):
                if isinstance(answer, GraphRefusal) and answer.status != 404:
                    raise answer
            if isinstance(rules, GraphRefusal) or isinstance(settings, GraphRefusal):
                continue  # No mailbox yet, so there is nothing beside it.
            replies = settings.one("automaticRepliesSetting")
            found += microsoft365_beside.listed(each.address, list(rules.each("value")), replies)
            purpose = settings.text("userPurpose")
            if purpose not in ("", "user", "unknown"):
                found.append(Remark(each.address, f"{printable(purpose, 40)} mailbox", each.name))
        return found

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        """As `Provider` has it."""
        if action is not None:
            prepared = await self._prepared(action, None)
            return () if prepared.holds else prepared.against
        extras = await self.extras(address)
        told = list(standing(address, extras))
        found = await self._tenant.owner(address)
        if found is None:
            return told or [Obstacle("ACCOUNT_EMPTY", printable(address, 200))]
        account = account_of(found, await self._tenant.licences())
        if account is None:
            told.append(Obstacle("ACCOUNT_EMPTY", f"{address} has no licence for a mailbox"))
        elif account.state is AccountState.BUSY or found.trouble:
            told.append(Obstacle("ACCOUNT_INPROGRESS", found.trouble or f"{address} has none yet"))
        if account is not None and account.aliases:
            aliases = ", ".join(account.aliases)
            told.append(Obstacle("ALIAS_EXIST", printable(f"{address}: {aliases}", 300)))
        return told

    async def domains(self) -> Sequence[HostedDomain]:
        """The domains, each with the records that Microsoft wants."""
        found = []
        for each in await self._tenant.domains():
            name, status = each.text("id"), status_of(each)
            if status is DomainStatus.UNPROVEN:
                proofs = await self._tenant.records(name, "verificationDnsRecords")
                found.append(hosted_domain(each, (), proofs))
            else:
                wanted = await self._tenant.records(name, "serviceConfigurationRecords")
                found.append(hosted_domain(each, wanted))
        return found

    async def contacts(self) -> Contacts:
        """Whoever has the token may; who is behind it Graph doesn't tell an application."""
        organization = await self._tenant.organization()
        return Contacts(me=organization.name, technical=organization.technical)

    async def zone(self, domain: str) -> ZoneWriter:
        """Microsoft's zones can't be written by Graph."""
        raise Unsupported(
            f"Microsoft 365 doesn't let anybody write the zone {printable(domain, 253)}; write it "
            "where it is held"
        )

    async def plan(self, action: Action) -> Planned:
        """The calls that would be sent."""
        prepared = await self._prepared(action, None)
        lines = tuple(call.line for call in prepared.calls) or ("nothing is sent",)
        if prepared.holds:
            return Planned(True, lines)
        return Planned(False, lines, tuple(map(finding, (*prepared.against, *prepared.notes))))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        """As `Provider` has it; the key isn't sent, for what an action says is looked up anyway."""
        prepared = await self._prepared(action, secret)
        if prepared.against and not prepared.holds:
            raise Refused(list(map(finding, prepared.against)))
        task = await self._carry_out(prepared)
        if prepared.holds:
            return at_once(task or STOOD, "it stood already")
        return await self.task(task)

    async def _prepared(self, action: Action, secret: Secret | None) -> Prepared:
        demand(VERBS, action, self._name or "Microsoft 365")
        match action:
            case Create():
                return await microsoft365_accounts.create(
                    self._tenant, action, secret, self._values
                )
            case Rename():
                return await microsoft365_accounts.rename(self._tenant, action)
            case Lock() | Unlock():
                return await microsoft365_accounts.lock(self._tenant, action)
            case Delete():
                return await microsoft365_accounts.delete(self._tenant, action)
            case Add() | Remove():
                return await microsoft365_beside.change(self._tenant, action)
            case Attach():
                return await microsoft365_places.attach(self._tenant, action)
            case Detach():
                return await microsoft365_places.detach(self._tenant, action)
            case _:
                raise AssertionError(action)

    async def _carry_out(self, prepared: Prepared) -> str:
        """Sends the calls; the task's name. What a refused licence leaves is taken away; a refusal
        in the middle of anything else is told as it is, for something has changed."""
        made = ""
        for number, call in enumerate(prepared.calls):
            try:
                answer = await self._graph.ask(call)
            except GraphRefusal as refusal:
                if made and refusal.status == 404:
                    raise RetryLater(
                        "the directory doesn't show the new person yet", after=_WAITS
                    ) from refusal
                if made:
                    await self._graph.ask(microsoft365_accounts.unmake(made))
                elif number:
                    raise
                if "userPrincipalName already exists" in refusal.said:
                    # Begun before, and made; the directory shows it late.
                    raise RetryLater(str(refusal), after=_WAITS) from refusal
                raise Refused([finding(refusal_of(call, refusal))]) from refusal
            if not prepared.task:
                made = made or new_id(answer)
        return prepared.task or (task_name(CREATE, made) if made else "")

    async def task(self, number: str) -> Task:
        """As `Provider` has it: looks at what the task is about."""
        kind, *rest = task_parts(number)
        if kind == STOOD:
            return at_once(number)
        about, *rest = rest
        if kind == ATTACH:
            return await microsoft365_places.attached(self._tenant, about)
        if kind == DETACH:
            return await microsoft365_places.detached(self._tenant, about)
        if kind == EXTRA:
            return at_once(number)
        found = await self._tenant.person(about)
        if kind == DELETE:
            return Task(number, TaskState.DONE if found is None else TaskState.DOING)
        if kind == CREATE:
            return await self._made(number, found)
        if found is None:
            return Task(number, TaskState.ERROR, "the person isn't in the directory any more")
        if kind == RENAME:
            done = same(found.address, rest[0])
            said = f"Exchange Online still calls it {printable(found.address, 200)}"
            if done:
                said = printable(f"aliases that it keeps: {', '.join(found.aliases) or 'none'}")
        else:
            done = found.enabled is (kind != LOCK)
            said = ""
        return Task(number, TaskState.DONE if done else TaskState.DOING, said)

    async def _made(self, number: str, found: Person | None) -> Task:
        """What was just made or licensed may be shown late, so that nothing missing is an error."""
        if found is None:
            return Task(number, TaskState.DOING, "the directory doesn't show the person yet")
        if found.trouble:
            return Task(number, TaskState.ERROR, found.trouble)
        if found.mail and await self._tenant.answers(found.id):
            return Task(number, TaskState.DONE)
        return Task(number, TaskState.DOING, "the mailbox isn't there yet; that may take a day")

    async def close(self) -> None:
        """Ends connections."""
        await self._graph.close()
