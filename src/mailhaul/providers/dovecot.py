"""A Dovecot with a passwd-file as a control plane, on the machine where the file and the homes are.

An account is a row; renaming changes the row and leaves the mail where it is, locking is Dovecot's
`nologin`, deleting leaves the mail on disk. With Pigeonhole, redirections, auto-replies and filters
are Sieve scripts in the home (docs/providers/dovecot.md). Dovecot looks at the file once a second.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret, printable
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers import maildir_size, sieve_directory, sieve_script
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
from mailhaul.providers.addresses import same
from mailhaul.providers.dovecot_layout import Layout, gecos, unfit
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Extra, Filter
from mailhaul.providers.immediate import (
    STOOD,
    Rules,
    carried_out,
    foreseen,
    is_over,
    refusal,
    standing_in_the_way,
)
from mailhaul.providers.journal import Entry, Journal
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.passwd_file import Row
from mailhaul.providers.password_schemes import SCHEMES, hashed
from mailhaul.providers.plan_values import chosen, domains, known_only
from mailhaul.providers.programs import Program, program, run
from mailhaul.providers.provider import Planned, Task, TaskState, Unsupported, demand
from mailhaul.providers.registry import Settings
from mailhaul.providers.rewriting import rewrite
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
from mailhaul.providers.sieve_directory import Scripts

VALUES = (
    *("users", "domains", "logins", "placeholders", "homes", "maildir", "scheme", "uid", "gid"),
    *("sieve", "sieve_active", "sieve_check", "kick_command", "quota", "settle", "journal"),
)
SETTLING = 1.1
"""Seconds until every process of Dovecot has seen a new row."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What ends sessions, and what compiles a filter on trial; None: nothing does."""

    kick: Program | None
    check: Program | None


class DovecotProvider:
    """A `Provider`."""

    def __init__(
        self,
        service: str,
        layout: Layout,
        journal: Journal,
        *,
        served: Sequence[str],
        placeholders: str,
        scheme: str,
        quota: int | None,
        settling: float,
        programs: Programs,
    ) -> None:
        self._name = service
        self._layout = layout
        self._journal = journal
        self._served = tuple(served)
        self._placeholders = placeholders
        self._scheme = scheme
        self._quota = quota
        self._settling = settling
        self._programs = programs
        self._rules = Rules(layout.domains, unfit, sieve_script.left_out)
        verbs = {Verb.CREATE, Verb.RENAME, Verb.LOCK, Verb.DELETE}
        if placeholders:
            verbs.add(Verb.CONFIGURE)
        if layout.sieve:
            verbs |= {Verb.REDIRECTIONS, Verb.RESPONDERS, Verb.FILTERS}
        self._verbs = frozenset(verbs)

    async def service(self) -> Service:
        told = self._layout.rows()
        free = sum(self._is_placeholder(address) for address, _ in told)
        contents = {Content.MAIL, Content.RULES} if self._layout.sieve else {Content.MAIL}
        return Service(
            "dovecot",
            self._name,
            "Dovecot with a passwd-file",
            self._verbs,
            frozenset(contents),
            evidence=(printable(str(self._layout.users), 200),),
            free=free if self._placeholders else None,
            quota=self._quota,
        )

    async def accounts(self) -> Sequence[Account]:
        told = [self._account(address, each) for address, each in self._layout.rows()]
        return sorted(told, key=lambda each: each.address)

    async def account(self, address: str) -> Account | None:
        found = self._layout.find(address)
        if found is None:
            return None
        told = self._account(*found)
        maildir = self._layout.mail(found[1])
        if maildir is None:
            return told
        with _on_disk(maildir):
            used, messages = maildir_size.measured(maildir)
        return replace(told, used=used, messages=messages)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        if not self._layout.sieve:
            return []
        found = []
        for one, each in sorted(self._layout.rows()):
            if not address or same(one, address):
                scripts = self._layout.scripts(each)
                with _on_disk(scripts.directory):
                    found += sieve_directory.extras(scripts, one)
        return found

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
        raise Unsupported("a Dovecot holds no zones; change them where they are held")

    async def plan(self, action: Action) -> Planned:
        return await foreseen(self, self._rules, action, self._lines(action))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        demand(self._verbs, action, self._name)

        async def do() -> str:
            return await self._do(action, secret)

        return self._task(await carried_out(self, self._journal, action, key, do))

    async def task(self, number: str) -> Task:
        entry = self._journal.entry(number)
        if not is_over(entry) and await holding(self, action_of(entry.action)) is Holding.HOLDS:
            entry = self._journal.settle(number, TaskState.DONE, "it stands")
        return self._task(entry)

    async def close(self) -> None:
        pass

    def _task(self, entry: Entry) -> Task:
        """What is written is done when Dovecot has seen it."""
        fresh = 0 <= time.time() - entry.changed < self._settling
        if entry.state is TaskState.DONE and fresh and entry.said != STOOD:
            return Task(entry.number, TaskState.DOING, "until Dovecot has looked at the file")
        return entry.task()

    async def _do(self, action: Action, secret: Secret | None) -> str:
        """Every step leaves what stands already as it is: it may be done for the second time."""
        match action:
            case Create(address=address, name=name, quota=quota):
                fresh = self._layout.fresh(address, name, quota)
                await self._change(address, lambda old: old or self._with(fresh, secret))
                return "done"
            case Configure(placeholder=old, address=new, name=name):
                await self._move(
                    old, new, lambda each: replace(self._with(each, secret), gecos=gecos(name))
                )
            case Release(address=old, placeholder=new):
                await self._move(old, new, lambda each: replace(each, gecos=""))
                await self._kick(old)
            case Rename(address=old, to=new):
                await self._move(old, new, lambda each: each)
                await self._kick(old)
            case Lock(address=address):
                await self._change(address, lambda each: each and replace(each, extra=each.locked))
                await self._kick(address)
            case Unlock(address=address):
                # The password is what it was: locking hasn't changed it.
                await self._change(
                    address, lambda each: each and replace(each, extra=each.unlocked)
                )
            case Delete(address=address, empty=empty):
                return await self._delete(address, empty=empty)
            case Add(extra=extra):
                await self._check(extra)
                scripts = self._their_scripts(extra)
                with _on_disk(scripts.directory):
                    sieve_directory.add(scripts, extra)
            case Remove(extra=extra):
                if self._layout.find(extra.address) is not None:
                    scripts = self._their_scripts(extra)
                    with _on_disk(scripts.directory):
                        sieve_directory.remove(scripts, extra)
            case _:
                raise AssertionError("what is not among the verbs was refused before")
        return "done"

    async def _delete(self, address: str, *, empty: bool) -> str:
        """The row goes, the mail stays where it is."""
        found = await self.account(address)
        if empty and found is not None and found.messages != 0:
            raise refusal("ACCOUNT_NOT_EMPTY", f"mail has come for {address} meanwhile")
        there = self._layout.find(address)
        await self._change(address, lambda _: None)
        await self._kick(address)
        home = "" if there is None else str(self._layout.home(there[1]))
        return f"its home stays on disk: {printable(home, 300)}" if home else "done"

    async def _change(self, address: str, change: Callable[[Row | None], Row | None]) -> None:
        """The account's row is what `change` makes of it; None: there is none."""

        def changed(lines: Sequence[str]) -> Sequence[str]:
            found = self._layout.find(address)
            return self._layout.changed(lines, address, change(found[1] if found else None))

        await rewrite(self._layout.users, changed)

    async def _move(self, old: str, new: str, change: Callable[[Row], Row]) -> None:
        """The row has the new name, and its home where it was: one write, and no mail is moved."""

        def moved(each: Row | None) -> Row | None:
            if each is None or self._layout.find(new) is not None:
                return each
            home = each.home or str(self._layout.home(each))
            return replace(change(each), user=self._layout.user(new), home=home)

        await self._change(old, moved)

    async def _kick(self, address: str) -> None:
        """Ends the sessions of who is in there."""
        if self._programs.kick is not None:
            local, _, domain = address.lower().partition("@")
            fields = {"address": address.lower(), "local": local, "domain": domain}
            await run(self._programs.kick, {**fields, "user": self._layout.user(address)})

    async def _check(self, extra: Extra) -> None:
        """Whether the filter compiles here; where it doesn't, Pigeonhole would pass it over."""
        if self._programs.check is None or not isinstance(extra, Filter):
            return
        import tempfile  # noqa: PLC0415 - few filters are ever added

        with tempfile.TemporaryDirectory(prefix="mailhaul-") as directory:
            script = Path(directory, "filter.sieve")
            script.write_text(extra.script)  # noqa: ASYNC240 - file calls are made in line
            fields = {"script": str(script), "output": str(script.with_suffix(".svbin"))}
            try:
                await run(self._programs.check, fields)
            except Closed as error:
                raise refusal("EXTRA_REFUSED", f"the filter doesn't compile: {error}") from error

    def _with(self, each: Row, secret: Secret | None) -> Row:
        """The row with that password; a row without any gets one that nobody knows."""
        if secret is None:
            if each.password:
                return each
            secret = Secret(secrets.token_urlsafe(24))
        return replace(each, password=hashed(secret, self._scheme))

    def _is_placeholder(self, address: str) -> bool:
        return bool(self._placeholders) and address.lower().endswith("@" + self._placeholders)

    def _account(self, address: str, each: Row) -> Account:
        if self._is_placeholder(address):
            state = AccountState.PLACEHOLDER
        else:
            state = AccountState.LOCKED if each.is_locked else AccountState.CONFIGURED
        quota = self._quota if each.quota is None else each.quota
        return Account(address, state, printable(each.gecos, 200), quota)

    def _their_scripts(self, extra: Extra) -> Scripts:
        found = self._layout.find(extra.address)
        if found is None:
            raise refusal("ACCOUNT_EMPTY", f"there is no account {extra.address}")
        return self._layout.scripts(found[1])

    def _lines(self, action: Action) -> tuple[str, ...]:
        users = printable(str(self._layout.users), 200)
        match action:
            case Create(address=address):
                line = f"a row for {address} in {users}"
            case Configure(placeholder=old, address=new) | Rename(address=old, to=new):
                line = f"the row of {old} in {users} is called {new}; its home stays"
            case Release(address=old, placeholder=new):
                line = f"the row of {old} in {users} is called {new}; its home stays"
            case Lock(address=address):
                line = f"nologin in the row of {address} in {users}"
            case Unlock(address=address):
                line = f"no nologin in the row of {address} in {users}"
            case Delete(address=address):
                line = f"no row for {address} in {users}; its home stays on disk"
            case Add(extra=extra):
                line = f"{type(extra).__name__.lower()} in the Sieve script of {extra.address}"
            case Remove(extra=extra):
                line = f"no {type(extra).__name__.lower()} in the Sieve scripts of {extra.address}"
            case _:
                return ()
        return (printable(line, 500),)


def open_provider(settings: Settings) -> DovecotProvider:
    """The provider of these settings (docs/providers/dovecot.md). Raises `BadInput`."""
    known_only(settings, VALUES)
    served = domains(settings)
    if not served:
        raise BadInput("the provider dovecot needs domains = “example.org, …”: which are its own")
    whole = chosen(settings, "logins", ("address", "local"), "address") == "address"
    placeholders = next(iter(domains(settings, "placeholders")), "")
    if not whole and (len(served) != 1 or placeholders):
        raise BadInput("with logins = “local” the provider dovecot has one domain and no other")
    users = settings.directory / _needed(settings, "users", "/etc/dovecot/users")
    if not users.is_file():
        raise BadInput(f"there is no passwd-file {printable(str(users), 300)}; name it in users")
    values = settings.values
    sieve = values.get("sieve", "")
    layout = Layout(
        users,
        frozenset({*served, placeholders} - {""}),
        whole,
        _needed(settings, "homes", "/srv/mail/%d/%n"),
        values.get("maildir", ""),
        sieve,
        values.get("sieve_active", "~/.dovecot.sieve") if sieve else "",
        _number(settings, "uid"),
        _number(settings, "gid"),
    )
    return DovecotProvider(
        settings.service,
        layout,
        Journal(settings.directory / values.get("journal", f"{users}.mailhaul")),
        served=served,
        placeholders=placeholders,
        scheme=chosen(settings, "scheme", SCHEMES, SCHEMES[0]),
        quota=int(_number(settings, "quota") or 0) or None,
        settling=_seconds(settings),
        programs=Programs(
            _program(settings, "kick_command", ("address", "local", "domain", "user")),
            _program(settings, "sieve_check", ("script", "output")),
        ),
    )


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """What the disk says is for a person to mend."""
    try:
        yield
    except OSError as error:
        raise Closed(
            f"{printable(str(path), 300)} can't be read or written "
            f"({printable(error.strerror or str(error), 200)}); mailhaul needs to do so as its "
            "owner, or as root",
            ClosedReason.FORBIDDEN,
        ) from error


def _needed(settings: Settings, name: str, example: str) -> str:
    value = settings.values.get(name, "")
    if not value:
        raise BadInput(f"the provider dovecot needs {name}, for one {name} = “{example}”")
    return value


def _number(settings: Settings, name: str) -> str:
    value = settings.values.get(name, "")
    if value and not re.fullmatch("[0-9]{1,18}", value):
        raise BadInput(f"{name} of the provider dovecot is a number, not “{printable(value, 40)}”")
    return value


def _seconds(settings: Settings) -> float:
    value = settings.values.get("settle", "")
    if value and not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value):
        raise BadInput(f"settle is a number of seconds, not “{printable(value, 40)}”")
    return float(value) if value else SETTLING


def _program(settings: Settings, name: str, fields: Iterable[str]) -> Program | None:
    line = settings.values.get(name, "")
    return program(line, tuple(fields)) if line else None
