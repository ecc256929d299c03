"""The one suite that holds every provider to the contract in providers/provider.py.

A provider's own test is a class that inherits `ProviderSuite` and gives one fixture, `house`: the
provider, and the hands that a test needs behind its back. What a provider can't do is not among its
verbs; a test that meets such a verb proves that it is refused. Names of accounts are the suite's
(`fresh`), so that a house may stand on a server that all tests share.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import pytest

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.finding import Severity
from mailhaul.core.text import Secret, printable
from mailhaul.dns.records import Kind
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Lock,
    Remove,
    Rename,
    SetMode,
    inverse,
    verb_of,
)
from mailhaul.providers.addresses import same
from mailhaul.providers.effects import Holding, holding, same_extra
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Responder,
    Right,
)
from mailhaul.providers.obstacles import KNOWN
from mailhaul.providers.provider import (
    OVER,
    Provider,
    Refused,
    Task,
    TaskState,
    Unsupported,
)
from mailhaul.providers.service import AccountState, Content, Mode, Verb
from tests.providers.memory import Fault

PATIENCE = 60
"""So often is a task asked after."""

_NUMBERS = count(1)


def fresh(name: str) -> str:
    """A name that no test has used."""
    return f"{name}{next(_NUMBERS)}"


def safe(text: str) -> bool:
    """Whether a terminal takes no harm."""
    return printable(text, 100_000) == text


class House(Protocol):
    """A provider under test, and what can be done behind its back."""

    provider: Provider
    domain: str
    """Attached to the service, and OK."""
    secret: Secret
    """The password of all accounts that the house makes; fit for new ones."""
    faults: frozenset[Fault]
    """What can be armed here."""

    async def another(self) -> Provider:
        """Another object for the same service, as another process has; closed by the house."""

    async def account(self, local: str, messages: int = 0) -> str:
        """Makes an account of that name in `domain`, holding so many messages; its address."""

    async def placeholder(self) -> str:
        """Makes one. Asked where the service configures placeholders."""

    async def spare_domain(self) -> str:
        """A domain that may be attached. Asked where the service attaches domains."""

    async def destination(self) -> tuple[Provider, str, str]:
        """Where accounts can be handed over: the other service, its name, a placeholder there.
        Asked where the service hands over."""

    async def settle(self) -> None:
        """Some time passes; a person does what tasks tell a person to do."""

    async def messages(self, address: str) -> int:
        """How many messages the account holds, by its own server."""

    async def opens(self, address: str, secret: Secret) -> bool:
        """Whether the password opens the account, by its own server."""

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        """An extra of that kind that this provider can express, where it can't do the suite's;
        else None."""

    def arm(self, fault: Fault) -> None:
        """The fault happens next."""


@dataclass(frozen=True)
class Case:
    """An action that can be done in this house, made from a house."""

    name: str
    verb: Verb
    make: Callable[[House], Awaitable[Action]]


async def _create(house: House) -> Action:
    return Create(f"{fresh('made')}@{house.domain}")


async def _configure(house: House) -> Action:
    return Configure(await house.placeholder(), f"{fresh('set.up')}@{house.domain}", "Ann Example")


async def _rename(house: House) -> Action:
    address = await house.account(fresh("old"), messages=2)
    return Rename(address, f"{fresh('new')}@{house.domain}")


async def _lock(house: House) -> Action:
    return Lock(await house.account(fresh("locked"), messages=1))


async def _delete(house: House) -> Action:
    return Delete(await house.account(fresh("gone")), empty=True)


async def _attach(house: House) -> Action:
    return Attach(await house.spare_domain())


async def _mode(house: House) -> Action:
    there = next(each for each in await house.provider.domains() if each.name == house.domain)
    other = Mode.NON_AUTHORITATIVE
    relay = "relay.example"
    if there.mode is Mode.NON_AUTHORITATIVE:
        other, relay = Mode.AUTHORITATIVE, ""
    return SetMode(house.domain, other, relay, there.mode, there.relay)


async def _hand_over(house: House) -> Action:
    address = await house.account(fresh("handed"), messages=3)
    _, service, placeholder = await house.destination()
    return HandOver(address, service, placeholder)


def _extra(verb: Verb, make: Callable[[str, str], Extra]) -> Callable[[House], Awaitable[Action]]:
    async def made(house: House) -> Action:
        address, other = await house.account(fresh("has")), await house.account(fresh("other"))
        return Add(house.sample(verb, address, other) or make(address, other))

    return made


SCRIPT = 'require ["fileinto"];\nif header :contains "subject" "plan" {\n    fileinto "Plans";\n}\n'

CASES = [
    Case("an account is created", Verb.CREATE, _create),
    Case("a placeholder is configured", Verb.CONFIGURE, _configure),
    Case("an account is renamed", Verb.RENAME, _rename),
    Case("an account is locked", Verb.LOCK, _lock),
    Case("an account is deleted", Verb.DELETE, _delete),
    Case("a domain is attached", Verb.DOMAINS, _attach),
    Case("a domain's mode is set", Verb.RELAY, _mode),
    Case("an account is handed over", Verb.HAND_OVER, _hand_over),
    Case(
        "an alias is added",
        Verb.ALIASES,
        _extra(Verb.ALIASES, lambda address, _: Alias(address, f"{fresh('also')}@{_at(address)}")),
    ),
    Case(
        "a redirection is added",
        Verb.REDIRECTIONS,
        _extra(Verb.REDIRECTIONS, Redirection),
    ),
    Case(
        "a redirection that keeps a copy is added",
        Verb.REDIRECTIONS,
        _extra(Verb.REDIRECTIONS, lambda address, other: Redirection(address, other, copy=True)),
    ),
    Case(
        "an auto-reply is added",
        Verb.RESPONDERS,
        _extra(Verb.RESPONDERS, lambda address, _: Responder(address, "Away.\nBack soon: ü")),
    ),
    Case("a filter is added", Verb.FILTERS, _extra(Verb.FILTERS, lambda a, _: _filter(a))),
    Case(
        "a right is granted",
        Verb.DELEGATIONS,
        _extra(Verb.DELEGATIONS, lambda a, other: Delegation(a, other, Right.FULL)),
    ),
    Case(
        "a group is made",
        Verb.GROUPS,
        _extra(
            Verb.GROUPS,
            lambda a, other: Group(f"{fresh('all')}@{_at(a)}", tuple(sorted((a, other)))),
        ),
    ),
]


def _at(address: str) -> str:
    return address.rpartition("@")[2]


def _filter(address: str) -> Filter:
    return Filter(address, fresh("plans"), SCRIPT)


def _bare(domain: str) -> list[Action]:
    """One action of every verb, of accounts that nobody has."""
    one, two = f"nobody@{domain}", f"noone@{domain}"
    return [
        Create(one),
        Configure(two, one),
        Rename(one, two),
        Lock(one),
        Delete(one),
        HandOver(one, "elsewhere", two),
        Attach("nowhere.example"),
        Detach("nowhere.example"),
        SetMode(domain, Mode.NON_AUTHORITATIVE, "relay.example", Mode.AUTHORITATIVE, ""),
        Add(Alias(one, two)),
        Remove(Redirection(one, two)),
        Add(Responder(one, "away")),
        Add(Filter(one, "plans", SCRIPT)),
        Add(Delegation(one, two, Right.FULL)),
        Add(Group(one, (two,))),
    ]


@dataclass(frozen=True)
class Refusal:
    """An action that is refused with that code."""

    name: str
    verbs: frozenset[Verb]
    make: Callable[[House], Awaitable[Action]]
    code: str


async def _rename_nobody(house: House) -> Action:
    return Rename(f"{fresh('nobody')}@{house.domain}", f"{fresh('new')}@{house.domain}")


async def _rename_onto(house: House) -> Action:
    return Rename(await house.account(fresh("one")), await house.account(fresh("two")))


async def _rename_away(house: House) -> Action:
    return Rename(await house.account(fresh("one")), f"{fresh('two')}@not-here.example")


async def _configure_nothing(house: House) -> Action:
    return Configure(f"{fresh('gone')}@{house.domain}", f"{fresh('ann')}@{house.domain}")


async def _configure_onto(house: House) -> Action:
    return Configure(await house.placeholder(), await house.account(fresh("ann")))


async def _configure_elsewhere(house: House) -> Action:
    return Configure(await house.placeholder(), f"{fresh('ann')}@not-here.example")


async def _create_elsewhere(house: House) -> Action:
    return Create(f"{fresh('ann')}@not-here.example")


async def _create_on_an_alias(house: House) -> Action:
    alias = f"{fresh('alias')}@{house.domain}"
    await done(house, Add(Alias(await house.account(fresh("owner")), alias)))
    return Create(alias)


async def _lock_nobody(house: House) -> Action:
    return Lock(f"{fresh('nobody')}@{house.domain}")


async def _delete_mail(house: House) -> Action:
    return Delete(await house.account(fresh("full"), messages=1), empty=True)


async def _alias_onto(house: House) -> Action:
    return Add(Alias(await house.account(fresh("one")), await house.account(fresh("two"))))


async def _alias_of_nobody(house: House) -> Action:
    return Add(Alias(f"{fresh('nobody')}@{house.domain}", f"{fresh('alias')}@{house.domain}"))


async def _redirect_nobody(house: House) -> Action:
    address = f"{fresh('nobody')}@{house.domain}"
    other = await house.account(fresh("two"))
    extra = house.sample(Verb.REDIRECTIONS, address, other)
    return Add(extra or Redirection(address, other, copy=True))


async def _two_responders(house: House) -> Action:
    address = await house.account(fresh("away"))
    extra = house.sample(Verb.RESPONDERS, address, address) or Responder(address, "Away.")
    assert isinstance(extra, Responder)
    await done(house, Add(extra))
    return Add(replace(extra, text="Somebody else's words."))


async def _mode_of_another_day(house: House) -> Action:
    wanted = await _mode(house)
    assert isinstance(wanted, SetMode)
    return replace(wanted, mode_before=wanted.mode, relay_before="elsewhere.example")


async def _detach_in_use(house: House) -> Action:
    await house.account(fresh("user"))
    return Detach(house.domain)


async def _hand_over_to_nothing(house: House) -> Action:
    wanted = await _hand_over(house)
    assert isinstance(wanted, HandOver)
    return replace(wanted, placeholder=f"{fresh('gone')}@{house.domain}")


def _verbs(*verbs: Verb) -> frozenset[Verb]:
    return frozenset(verbs)


REFUSALS = [
    Refusal("nobody is renamed", _verbs(Verb.RENAME), _rename_nobody, "ACCOUNT_EMPTY"),
    Refusal("renamed to another's name", _verbs(Verb.RENAME), _rename_onto, "ADDRESS_TAKEN"),
    Refusal("renamed to a foreign domain", _verbs(Verb.RENAME), _rename_away, "DOMAIN_EMPTY"),
    Refusal("no such placeholder", _verbs(Verb.CONFIGURE), _configure_nothing, "PLACEHOLDER_GONE"),
    Refusal("configured on another", _verbs(Verb.CONFIGURE), _configure_onto, "ADDRESS_TAKEN"),
    Refusal(
        "configured in a foreign domain",
        _verbs(Verb.CONFIGURE),
        _configure_elsewhere,
        "DOMAIN_EMPTY",
    ),
    Refusal("made in a foreign domain", _verbs(Verb.CREATE), _create_elsewhere, "DOMAIN_EMPTY"),
    Refusal(
        "made of an alias",
        _verbs(Verb.CREATE, Verb.ALIASES),
        _create_on_an_alias,
        "ADDRESS_TAKEN",
    ),
    Refusal("nobody is locked", _verbs(Verb.LOCK), _lock_nobody, "ACCOUNT_EMPTY"),
    Refusal("mail is deleted", _verbs(Verb.DELETE), _delete_mail, "ACCOUNT_NOT_EMPTY"),
    Refusal("an account's alias is an account", _verbs(Verb.ALIASES), _alias_onto, "ADDRESS_TAKEN"),
    Refusal("nobody's alias", _verbs(Verb.ALIASES), _alias_of_nobody, "ACCOUNT_EMPTY"),
    Refusal("nobody's redirection", _verbs(Verb.REDIRECTIONS), _redirect_nobody, "ACCOUNT_EMPTY"),
    Refusal("a second auto-reply", _verbs(Verb.RESPONDERS), _two_responders, "EXTRA_DIFFERS"),
    Refusal(
        "the mode is another by now", _verbs(Verb.RELAY), _mode_of_another_day, "EXTRA_DIFFERS"
    ),
    Refusal("a domain in use", _verbs(Verb.DOMAINS), _detach_in_use, "DOMAIN_IN_USE"),
    Refusal(
        "handed over to nothing", _verbs(Verb.HAND_OVER), _hand_over_to_nothing, "PLACEHOLDER_GONE"
    ),
]

HOSTILE = [
    "",
    "@{}",
    "ann@",
    "ann",
    "ann@{}\r\nDELETE user/bob",
    "ann\n@{}",
    "ann\0@{}",
    'a"nn@{}',
    "a\\nn@{}",
    "a nn@{}",
    "ann@{}@{}",
    "../ann@{}",
    "a/../ann@{}",
    "a/nn@{}",
    "a%nn@{}",
    "a%2F..@{}",
    "a*nn@{}",
    "a?b=c&d@{}",
    "a#b@{}",
    "a:b@{}",
    "'; drop table users; --@{}",
    "$(id)@{}",
    "`id`@{}",
    "ä.nn@{}",
    "a\u202enn@{}",
    "-rf@{}",
    "{{x}}@{}",
    "x" * 65 + "@{}",
]

ODD_TEXTS = [
    'he said "hi"; discard; # \\',
    "one\r\n.\r\ntwo",
    "text:\n.\n;stop;",
    "$(id) `id` %s {0} ${x}",
    "über 'quotes'",
]


@dataclass(frozen=True)
class Snapshot:
    """Everything that a provider tells."""

    accounts: tuple[tuple[str, AccountState, str, int | None, tuple[str, ...]], ...]
    extras: tuple[str, ...]
    domains: tuple[tuple[str, str, Mode, str], ...]

    def without_alias(self, address: str, alias: str) -> "Snapshot":
        """The same, as if that account had no such alias."""
        accounts = (
            (who, state, name, held, tuple(a for a in had if who != address or not same(a, alias)))
            for who, state, name, held, had in self.accounts
        )
        return replace(self, accounts=tuple(accounts))


async def snapshot(provider: Provider) -> Snapshot:
    return Snapshot(
        tuple(
            (a.address, a.state, a.name, a.messages, a.aliases) for a in await provider.accounts()
        ),
        tuple(sorted(map(repr, await provider.extras()))),
        tuple(sorted((d.name, d.status, d.mode, d.relay) for d in await provider.domains())),
    )


async def finished(house: House, task: Task, provider: Provider | None = None) -> Task:
    """The task when it is over."""
    asked = provider or house.provider
    for _ in range(PATIENCE):
        if task.state in OVER:
            return task
        await house.settle()
        task = await asked.task(task.id)
    raise AssertionError(f"{task} never ends")


async def done(house: House, action: Action, key: str = "", secret: Secret | None = None) -> Task:
    """Has it done, to the end."""
    task = await house.provider.begin(action, key or fresh("key"), secret)
    over = await finished(house, task)
    assert over.state is TaskState.DONE, over
    return over


def secret_for(house: House, action: Action) -> Secret | None:
    """What begins it."""
    return house.secret if isinstance(action, Create | Configure | HandOver) else None


async def other_side(house: House, action: Action) -> Provider | None:
    return (await house.destination())[0] if isinstance(action, HandOver) else None


async def supports(house: House, verbs: frozenset[Verb]) -> bool:
    return verbs <= (await house.provider.service()).verbs


async def some_action(house: House) -> Action:
    """One that this provider can do, of those that tell most."""
    verbs = (await house.provider.service()).verbs
    wanted = [Verb.RENAME, Verb.CONFIGURE, Verb.CREATE, Verb.HAND_OVER, Verb.REDIRECTIONS]
    verb = next((each for each in wanted if each in verbs), None)
    case = next(each for each in CASES if (each.verb is verb if verb else each.verb in verbs))
    return await case.make(house)


class ProviderSuite:
    """Inherit, and define the fixture `house`."""

    keeps_old_names = False
    """Whether a renamed account keeps its former address as an alias that nobody can take away
    here. It must be told by `Account.aliases`."""

    async def test_a_service_says_what_it_is(self, house: House) -> None:
        service = await house.provider.service()
        assert service.kind
        assert service.product
        assert Content.MAIL in service.contents
        assert all(map(safe, (service.product, *service.evidence)))
        assert isinstance(service.verbs, frozenset)

    async def test_accounts_are_told_by_address(self, house: House) -> None:
        one, two = await house.account(fresh("b"), messages=2), await house.account(fresh("a"))
        told = await house.provider.accounts()
        addresses = [each.address for each in told]
        assert addresses == sorted(addresses)
        assert {one, two} <= set(addresses)
        found = await house.provider.account(one.upper())
        assert found is not None
        assert (found.address, found.state) == (one, AccountState.CONFIGURED)
        assert found.messages in (2, None)
        assert await house.messages(one) == 2
        assert await house.provider.account(f"{fresh('nobody')}@{house.domain}") is None

    async def test_placeholders_are_told_as_such(self, house: House) -> None:
        if not await supports(house, _verbs(Verb.CONFIGURE)):
            return
        before = (await house.provider.service()).free
        placeholder = await house.placeholder()
        found = await house.provider.account(placeholder)
        assert found is not None
        assert found.state is AccountState.PLACEHOLDER
        assert (await house.provider.service()).free == (before or 0) + 1

    async def test_domains_are_told(self, house: House) -> None:
        told = {each.name: each for each in await house.provider.domains()}
        assert told[house.domain].status == "ok"

    async def test_the_zone_is_written_where_it_is_said_to_be(self, house: House) -> None:
        if await supports(house, _verbs(Verb.ZONES)):
            writer = await house.provider.zone(house.domain)
            assert writer.zone == house.domain
            assert await writer.read([(house.domain, Kind.MX)])
        else:
            with pytest.raises(Unsupported):
                await house.provider.zone(house.domain)

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    async def test_an_action_is_planned_done_and_taken_back(self, case: Case, house: House) -> None:
        if not await supports(house, _verbs(case.verb)):
            return  # the next test is about those
        action = await case.make(house)
        other = await other_side(house, action)
        secret, before = secret_for(house, action), await snapshot(house.provider)
        assert await holding(house.provider, action, other) is Holding.ABSENT
        planned = await house.provider.plan(action)
        assert not planned.holds
        assert planned.lines
        assert all(map(safe, planned.lines))
        assert not [each for each in planned.findings if each.severity is Severity.BLOCKS]
        assert house.secret.reveal() not in str(planned)
        assert await snapshot(house.provider) == before

        over = await done(house, action, secret=secret)
        assert house.secret.reveal() not in over.said
        assert await holding(house.provider, action, other) is Holding.HOLDS
        if isinstance(action, HandOver):
            return
        assert (await house.provider.plan(action)).holds
        again = await house.provider.begin(action, fresh("key"), secret)
        assert again.state is TaskState.DONE

        back = inverse(action)
        if back is None or not await supports(house, frozenset({verb_of(back) or case.verb})):
            return
        assert await holding(house.provider, back) is Holding.ABSENT
        await done(house, back, secret=house.secret)
        assert await holding(house.provider, action) is Holding.ABSENT
        after = await snapshot(house.provider)
        if self.keeps_old_names and isinstance(action, Rename):
            assert after != before
            after = after.without_alias(action.address, action.to)
        assert after == before

    async def test_what_is_no_verb_of_the_service_is_refused(self, house: House) -> None:
        verbs, before = (await house.provider.service()).verbs, await snapshot(house.provider)
        for action in _bare(house.domain):
            if verb_of(action) in verbs:
                continue
            with pytest.raises(Unsupported):
                await house.provider.plan(action)
            with pytest.raises(Unsupported):
                await house.provider.begin(action, fresh("key"))
        assert await snapshot(house.provider) == before

    @pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
    async def test_what_can_not_be_is_refused_and_changes_nothing(
        self, refusal: Refusal, house: House
    ) -> None:
        if not await supports(house, refusal.verbs):
            return
        action = await refusal.make(house)
        before = await snapshot(house.provider)
        planned = await house.provider.plan(action)
        blocking = {each.code for each in planned.findings if each.severity is Severity.BLOCKS}
        assert refusal.code in blocking
        with pytest.raises(Refused) as raised:
            await house.provider.begin(action, fresh("key"), secret_for(house, action))
        assert refusal.code in {each.code for each in raised.value.findings}
        assert all(each.code in KNOWN for each in raised.value.findings)
        await house.settle()
        assert await snapshot(house.provider) == before

    async def test_a_wrong_password_hands_nothing_over(self, house: House) -> None:
        if not await supports(house, _verbs(Verb.HAND_OVER)):
            return
        action = await _hand_over(house)
        before = await snapshot(house.provider)
        with pytest.raises(Refused) as raised:
            await house.provider.begin(action, fresh("key"), Secret("wrong-password"))
        assert "PASSWORD_WRONG" in {each.code for each in raised.value.findings}
        assert "wrong-password" not in str(raised.value)
        assert await snapshot(house.provider) == before

    async def test_mail_goes_where_its_account_goes(self, house: House) -> None:
        for case in CASES:
            if case.verb not in (Verb.RENAME, Verb.HAND_OVER, Verb.LOCK):
                continue
            if not await supports(house, _verbs(case.verb)):
                continue
            action = await case.make(house)
            assert isinstance(action, Rename | HandOver | Lock)
            held = await house.messages(action.address)
            assert held
            await done(house, action, secret=secret_for(house, action))
            now = action.to if isinstance(action, Rename) else action.address
            if isinstance(action, Lock):
                assert not await house.opens(now, house.secret)
                await done(house, inverse(action) or action, secret=house.secret)
            assert await house.messages(now) == held
            assert await house.opens(now, house.secret)

    async def test_an_alias_goes_with_its_account(self, house: House) -> None:
        if not await supports(house, _verbs(Verb.RENAME, Verb.ALIASES)):
            return
        address, new = await house.account(fresh("old")), f"{fresh('new')}@{house.domain}"
        alias = f"{fresh('alias')}@{house.domain}"
        await done(house, Add(Alias(address, alias)))
        await done(house, Rename(address, new))
        assert await holding(house.provider, Add(Alias(new, alias))) is Holding.HOLDS
        # The name that it had is free for the guard: an alias of the account itself.
        await done(house, Add(Alias(new, address)))
        await done(house, Remove(Alias(new, address)))
        await done(house, Rename(new, address))
        assert await holding(house.provider, Add(Alias(address, alias))) is Holding.HOLDS

    async def test_a_new_account_opens_with_its_password_alone(self, house: House) -> None:
        for verb, make in ((Verb.CREATE, _create), (Verb.CONFIGURE, _configure)):
            if await supports(house, _verbs(verb)):
                action = await make(house)
                assert isinstance(action, Create | Configure)
                await done(house, action, secret=house.secret)
                assert await house.opens(action.address, house.secret)
                assert not await house.opens(action.address, Secret("wrong-password"))

    async def test_one_key_begins_one_task_in_whatever_process(self, house: House) -> None:
        action, key = await some_action(house), fresh("key")
        secret = secret_for(house, action)
        first = await house.provider.begin(action, key, secret)
        again = await (await house.another()).begin(action, key, secret)
        assert again.id == first.id or again.state is TaskState.DONE
        assert again.state not in (TaskState.ERROR, TaskState.CANCELLED)
        assert (await finished(house, again, await house.another())).state is TaskState.DONE
        third = await house.provider.begin(action, key, secret)
        assert third.state is TaskState.DONE
        side = await other_side(house, action)
        assert await holding(house.provider, action, side) is Holding.HOLDS

    async def test_a_task_that_nobody_began_is_unknown(self, house: House) -> None:
        for number in ("no-such-task", "999999999", "", "../x", "a\r\nb", "x" * 2000):
            with pytest.raises(BadInput):
                await house.provider.task(number)

    async def test_a_rival_is_not_overwritten_and_one_like_it_is_enough(self, house: House) -> None:
        if not await supports(house, _verbs(Verb.ALIASES)):
            return
        address = await house.account(fresh("owner"))
        alias = Alias(address, f"{fresh('alias')}@{house.domain}")
        await done(house, Add(alias))
        loud = Alias(address.upper(), alias.alias.upper())
        assert (await house.provider.begin(Add(loud), fresh("key"))).state is TaskState.DONE
        found = [each for each in await house.provider.extras(address) if isinstance(each, Alias)]
        assert len(found) == 1
        account = await house.provider.account(address)
        assert account is not None
        assert [same(each, alias.alias) for each in account.aliases] == [True]
        assert await house.provider.account(alias.alias) is None

    async def test_a_hostile_address_ends_nothing(self, house: House) -> None:
        verbs = (await house.provider.service()).verbs
        for pattern in HOSTILE:
            address = pattern.format(house.domain, house.domain)
            before = await snapshot(house.provider)
            await self._reads_safely(house, address)
            if Verb.CREATE in verbs:
                await self._made_or_refused(house, Create(address), before)
            elif Verb.RENAME in verbs:
                ann = await house.account(fresh("ann"))
                before = await snapshot(house.provider)
                await self._made_or_refused(house, Rename(ann, address), before)
            if Verb.ALIASES in verbs and not pattern.startswith("x"):
                ann = await house.account(fresh("ann"))
                before = await snapshot(house.provider)
                await self._made_or_refused(house, Add(Alias(ann, address)), before)

    async def _reads_safely(self, house: House, address: str) -> None:
        try:
            assert await house.provider.account(address) is None
        except BadInput as error:
            assert safe(str(error))

    async def _made_or_refused(self, house: House, action: Action, before: Snapshot) -> None:
        """Carried out to the letter and taken back, or refused; nothing else has changed."""
        try:
            task = await house.provider.begin(action, fresh("key"), secret_for(house, action))
        except (BadInput, Refused) as error:
            assert safe(str(error))
        else:
            assert (await finished(house, task)).state is TaskState.DONE
            assert await holding(house.provider, action) is Holding.HOLDS
            back = inverse(action)
            assert back is not None
            if isinstance(back, Delete) and not await supports(house, _verbs(Verb.DELETE)):
                return
            await done(house, back, secret=house.secret)
        assert await snapshot(house.provider) == before

    @pytest.mark.parametrize("text", ODD_TEXTS)
    async def test_odd_words_come_back_as_they_were(self, text: str, house: House) -> None:
        verbs = (await house.provider.service()).verbs
        address = await house.account(fresh("odd"))
        extras: Sequence[tuple[Verb, Extra]] = (
            (Verb.RESPONDERS, Responder(address, text, subject=text.splitlines()[0])),
            (Verb.FILTERS, Filter(address, text.splitlines()[0], SCRIPT)),
        )
        for verb, extra in extras:
            if verb not in verbs:
                continue
            try:
                await done(house, Add(extra))
            except (Refused, BadInput):
                assert await house.provider.extras(address) == []
                continue
            (found,) = await house.provider.extras(address)
            assert same_extra(found, extra)
            await done(house, Remove(extra))
            assert await house.provider.extras(address) == []

    @pytest.mark.parametrize("fault", [Fault.FAILS, Fault.HALF, Fault.CANCELLED])
    async def test_a_task_that_fails_is_begun_anew_by_its_key(
        self, fault: Fault, house: House
    ) -> None:
        if fault not in house.faults:
            return
        action, key = await some_action(house), fresh("key")
        secret, side = secret_for(house, action), await other_side(house, action)
        house.arm(fault)
        over = await finished(house, await house.provider.begin(action, key, secret))
        assert over.state in (TaskState.ERROR, TaskState.CANCELLED)
        assert safe(over.said)
        expected = Holding.PARTLY if fault is Fault.HALF else Holding.ABSENT
        assert await holding(house.provider, action, side) is expected
        assert (await finished(house, await house.provider.task(over.id))).state is over.state
        anew = await (await house.another()).begin(action, key, secret)
        assert (await finished(house, anew)).state is TaskState.DONE
        assert await holding(house.provider, action, side) is Holding.HOLDS

    @pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST])
    async def test_after_a_lost_answer_the_key_finds_what_was_begun(
        self, fault: Fault, house: House
    ) -> None:
        if fault not in house.faults:
            return
        action, key = await some_action(house), fresh("key")
        secret = secret_for(house, action)
        house.arm(fault)
        with pytest.raises(RetryLater):
            await house.provider.begin(action, key, secret)
        task = await (await house.another()).begin(action, key, secret)
        assert (await finished(house, task)).state is TaskState.DONE
        side = await other_side(house, action)
        assert await holding(house.provider, action, side) is Holding.HOLDS

    async def test_a_task_that_never_ends_says_so(self, house: House) -> None:
        if Fault.STALLS not in house.faults:
            return
        action = await some_action(house)
        house.arm(Fault.STALLS)
        task = await house.provider.begin(action, fresh("key"), secret_for(house, action))
        for _ in range(5):
            await house.settle()
            assert (await house.provider.task(task.id)).state not in OVER
        side = await other_side(house, action)
        assert await holding(house.provider, action, side) in (Holding.UNKNOWN, Holding.ABSENT)

    @pytest.mark.parametrize("fault", [Fault.AWAY, Fault.THROTTLED, Fault.EXPIRED])
    async def test_a_provider_that_does_not_answer_is_told_apart(
        self, fault: Fault, house: House
    ) -> None:
        if fault not in house.faults:
            return
        house.arm(fault)
        with pytest.raises((RetryLater, Closed)) as raised:
            await house.provider.accounts()
        assert safe(str(raised.value))
        if isinstance(raised.value, RetryLater):
            assert fault is not Fault.EXPIRED
            assert raised.value.throttled is (fault is Fault.THROTTLED)
            assert raised.value.after > 0
        else:
            assert fault is Fault.EXPIRED
            assert isinstance(raised.value, Closed)
            assert raised.value.reason is ClosedReason.CREDENTIALS

    async def test_closing_twice_is_fine(self, house: House) -> None:
        other = await house.another()
        await other.service()
        await other.close()
        await other.close()
