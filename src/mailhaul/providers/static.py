"""A provider that is a list and a person: for every hoster whose control plane nobody here speaks.

A CSV says which accounts there are. Whatever is begun is an instruction to a person, and is done
when its sign is seen from outside (`static_watch`) or the person says so (`told`); the list is then
changed accordingly, so that it always says what was last known (docs/providers/static.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers import actions_text, static_list
from mailhaul.providers.actions import Action, Configure, Create
from mailhaul.providers.addresses import same
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Alias, Extra
from mailhaul.providers.immediate import (
    Rules,
    entered,
    foreseen,
    is_over,
    standing_in_the_way,
)
from mailhaul.providers.journal import Entry, Journal
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.plan_values import domains, known_only, listed
from mailhaul.providers.provider import Planned, Task, TaskState, Unsupported, demand
from mailhaul.providers.registry import Settings
from mailhaul.providers.rewriting import read, rewrite
from mailhaul.providers.service import (
    Account,
    AccountState,
    Contacts,
    DomainStatus,
    HostedDomain,
    Service,
    Verb,
)
from mailhaul.providers.static_list import ACCOUNTS, EXTRAS, Lists, Sheet, sheet
from mailhaul.providers.static_watch import MailHost, answers, opens, sign

VALUES = (
    *("accounts", "extras", "domains", "placeholders", "verbs", "product", "panel"),
    *("mx", "imap", "watch_every", "journal"),
)
USUAL = frozenset(
    {
        *(Verb.CREATE, Verb.RENAME, Verb.LOCK, Verb.DELETE, Verb.ALIASES, Verb.REDIRECTIONS),
        *(Verb.RESPONDERS, Verb.FILTERS, Verb.DELEGATIONS, Verb.GROUPS),
    }
)
"""What a person is asked for where the plan doesn't say otherwise; and to configure placeholders,
where it says which domain these have."""
WATCHED_EVERY = 60.0
LONGEST = 100_000
"""Characters of one extra, as JSON."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Where signs are looked for: mail hosts, and the endpoint of an account; and how often, in
    seconds."""

    host: MailHost | None
    imap: str
    every: float


class StaticProvider:
    """A `Provider`."""

    def __init__(
        self,
        service: str,
        product: str,
        panel: str,
        accounts: Path,
        extras: Path,
        journal: Journal,
        *,
        served: Sequence[str],
        placeholders: Sequence[str],
        verbs: frozenset[Verb],
        watch: Watch,
        secrets: dict[str, Secret],
    ) -> None:
        self._name = service
        self._product = product
        self._panel = panel
        self._accounts = accounts
        self._extras = extras
        self._journal = journal
        self._served = tuple(served)
        self._verbs = verbs
        self._watch = watch
        self._rules = Rules(frozenset({*served, *placeholders}), _anybody, _left_out)
        self._secrets = secrets
        """Passwords of accounts that are being made, by task: for the watch."""

    async def service(self) -> Service:
        told = [static_list.state(each) for each in self._lists().accounts.lines]
        free = told.count(AccountState.PLACEHOLDER) if Verb.CONFIGURE in self._verbs else None
        return Service("static", self._name, self._product, self._verbs, free=free)

    async def accounts(self) -> Sequence[Account]:
        lists = self._lists()
        found = [_account(each) for each in lists.accounts.lines]
        return sorted(found, key=lambda each: each.address)

    async def account(self, address: str) -> Account | None:
        found = static_list.find(self._lists(), address)
        return None if found is None else _account(found)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        lists = self._lists()
        found: list[Extra] = []
        for line in lists.accounts.lines:
            found += [Alias(line["address"].strip(), each) for each in static_list.aliases(line)]
        found += [static_list.extra_of(line) for line in lists.extras.lines]
        return [each for each in found if not address or same(each.address, address)]

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        if action is None:
            return await standing_in_the_way(self, self._rules, address)
        planned = await self.plan(action)
        return [Obstacle(each.code, each.evidence) for each in planned.findings]

    async def domains(self) -> Sequence[HostedDomain]:
        return [HostedDomain(each, DomainStatus.OK) for each in self._served]

    async def contacts(self) -> Contacts:
        return Contacts("")

    async def zone(self, domain: str) -> ZoneWriter:
        raise Unsupported("a list holds no zones; change them where they are held")

    async def plan(self, action: Action) -> Planned:
        demand(self._verbs, action, self._name)
        return await foreseen(self, self._rules, action, [self._instruction(action)])

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        demand(self._verbs, action, self._name)
        async with self._journal.alone():
            entry = await entered(self, self._journal, action, key)
            if not is_over(entry) and not entry.said:
                entry = self._journal.settle(
                    entry.number, TaskState.DOING, self._instruction(action)
                )
            made = not is_over(entry) and isinstance(action, Create | Configure)
            if secret is not None and made:
                self._secrets[entry.number] = secret
        return _by_person(entry)

    async def task(self, number: str) -> Task:
        entry = self._journal.entry(number)
        if is_over(entry):
            return _by_person(entry)
        action = actions_text.action_of(entry.action)
        if await holding(self, action) is Holding.HOLDS:
            return await self._done(number, "the list says so")
        if self._journal.is_due(number, self._watch.every) and await self._is_seen(number, action):
            return await self._done(number, "it was seen from outside")
        return _by_person(entry)

    async def told(self, number: str, who: str, *, done: bool = True, said: str = "") -> Task:
        """A person says that the task is done, or that it won't be. The first word on a task
        counts. Raises `BadInput` for a task that was not begun here, and for a word by nobody."""
        if not who.strip():
            raise BadInput("who says so? name the person; the name is kept with the task")
        entry = self._journal.entry(number)
        if is_over(entry):
            return _by_person(entry)
        name = printable(who, 100)
        if not done:
            why = printable(said, 300) or "it can't be done"
            async with self._journal.alone():
                entry = self._journal.settle(number, TaskState.CANCELLED, why, name)
            self._secrets.pop(number, None)
            return _by_person(entry)
        return await self._done(number, printable(said, 300) or f"{name} says so", name)

    async def close(self) -> None:
        """Nothing is open between two questions."""

    async def _done(self, number: str, said: str, who: str = "") -> Task:
        """The list says what was done, before the task says that it is: what a crash leaves out in
        between is found in the list."""
        async with self._journal.alone():
            entry = self._journal.entry(number)
            if not is_over(entry):
                await self._write(actions_text.action_of(entry.action))
                entry = self._journal.settle(number, TaskState.DONE, said, who)
        self._secrets.pop(number, None)
        return _by_person(entry)

    async def _write(self, action: Action) -> None:
        """Both files, what stands beside accounts first: an account that has moved on is the sign
        that all is written."""
        before = self._lists()
        after = static_list.after(before, action)
        if after.extras != before.extras:
            self._extras.touch()
            await rewrite(self._extras, lambda lines: [self._extras_after(lines, before, action)])
        if after.accounts != before.accounts:
            await rewrite(self._accounts, lambda lines: [self._accounts_after(lines, action)])

    def _extras_after(self, lines: Sequence[str], before: Lists, action: Action) -> str:
        beside = sheet("".join(lines), EXTRAS, self._extras)
        return static_list.after(Lists(before.accounts, beside), action).extras.text

    def _accounts_after(self, lines: Sequence[str], action: Action) -> str:
        return static_list.after(self._both("".join(lines), Sheet(EXTRAS)), action).accounts.text

    async def _is_seen(self, number: str, action: Action) -> bool:
        secret = self._secrets.get(number)
        if self._watch.imap and secret is not None and isinstance(action, Create | Configure):
            return await opens(self._watch.imap, action.address, secret)
        wanted = sign(action)
        if self._watch.host is None or wanted is None:
            return False
        return await answers(self._watch.host, wanted)

    def _lists(self) -> Lists:
        beside = Sheet(EXTRAS)
        if self._extras.exists():
            beside = sheet("".join(read(self._extras)), EXTRAS, self._extras)
        return self._both("".join(read(self._accounts)), beside)

    def _both(self, text: str, beside: Sheet) -> Lists:
        accounts = sheet(text, ACCOUNTS, self._accounts)
        for line in accounts.lines:
            if not static_list.is_address(line.get("address", "").strip()):
                raise BadInput(
                    f"“{printable(line.get('address', ''), 100)}” in {self._accounts} is no "
                    "address; write name@domain"
                )
        return Lists(accounts, beside)

    def _instruction(self, action: Action) -> str:
        """What a person does, and how it becomes known."""
        where = f" at {self._panel}" if self._panel else f" at {self._name}"
        said = f"{actions_text.told(action)}{where}"
        if isinstance(action, Create | Configure):
            said += ", with the password that the plan has for it"
        return printable(said, 500)


def open_provider(settings: Settings) -> StaticProvider:
    """The provider of these settings (docs/providers/static.md). Raises `BadInput`."""
    known_only(settings, VALUES)
    values = settings.values
    accounts = settings.directory / values.get("accounts", "accounts.csv")
    if not accounts.is_file():
        raise BadInput(
            f"there is no list of accounts {printable(str(accounts), 300)}; make a CSV whose first "
            f"line is {','.join(ACCOUNTS)}, or name yours in accounts"
        )
    extras = settings.directory / values.get("extras", f"{accounts.stem}-extras.csv")
    served = domains(settings)
    if not served:
        raise BadInput("the provider static needs domains = “example.org, …”: which it has")
    placeholders = domains(settings, "placeholders")
    imap = values.get("imap", "")
    if imap:
        parse_endpoint(imap.replace("%u", "a%40b").replace("%n", "a"))
    return StaticProvider(
        settings.service,
        printable(values.get("product", "a list and a person"), 100),
        printable(values.get("panel", ""), 200),
        accounts,
        extras,
        Journal(settings.directory / values.get("journal", f"{accounts}.mailhaul")),
        served=served,
        placeholders=placeholders,
        verbs=_verbs(listed(settings, "verbs"), with_placeholders=bool(placeholders)),
        watch=Watch(_mail_host(values.get("mx", "")), imap, _seconds(settings)),
        secrets=settings.secrets,
    )


def _verbs(names: Sequence[str], *, with_placeholders: bool) -> frozenset[Verb]:
    possible = USUAL | {Verb.CONFIGURE} if with_placeholders else USUAL
    if not names:
        return possible
    known = {each.value: each for each in possible}
    for name in names:
        if name not in known:
            raise BadInput(
                f"“{printable(name, 60)}” can't be asked of a person; there are "
                f"{', '.join(sorted(known))}"
            )
    return frozenset(known[each] for each in names)


def _mail_host(text: str) -> MailHost | None:
    if not text:
        return None
    found = re.fullmatch(r"\[?([A-Za-z0-9.:-]+?)\]?(?::([0-9]{1,5}))?", text)
    if found is None or not 0 < int(found[2] or 25) < 65536:
        raise BadInput(f"mx is “{printable(text, 100)}”; write host or host:port")
    return MailHost(found[1], int(found[2] or 25))


def _seconds(settings: Settings) -> float:
    value = settings.values.get("watch_every", "")
    if value and not re.fullmatch("[0-9]{1,6}", value):
        raise BadInput(f"watch_every is a number of seconds, not “{printable(value, 40)}”")
    return float(value) if value else WATCHED_EVERY


def _account(line: static_list.Line) -> Account:
    return Account(
        line["address"].strip(),
        static_list.state(line),
        printable(line.get("name", "").strip(), 200),
        static_list.number(line, "quota"),
        static_list.number(line, "used"),
        static_list.number(line, "messages"),
        static_list.aliases(line),
    )


def _by_person(entry: Entry) -> Task:
    return entry.task(by_person=not is_over(entry))


def _left_out(extra: Extra) -> str:
    """What no list can hold: `csv` reads fields of 131,072 characters at most."""
    text = actions_text.written_extra(extra)
    if len(text) > LONGEST:
        return f"{len(text):,} characters are more than a line of the list can hold"
    if "\\u0000" in text:
        return "a NUL can't stand in the list"
    return ""


def _anybody(address: str) -> str:
    return ""
