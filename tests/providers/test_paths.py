"""Which path is found, by which evidence, and what keeps an account from going it."""

from dataclasses import replace
from typing import Any

import pytest

from mailhaul.core.finding import Severity
from mailhaul.providers.before import Sight, before, feature_gap
from mailhaul.providers.extras import Filter, Group, Redirection, Responder
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.paths import Path, route
from mailhaul.providers.picking import Picked
from mailhaul.providers.saga import ExtrasRule, Guard, Move
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Contacts,
    Content,
    DomainStatus,
    Generation,
    HostedDomain,
    Service,
    Verb,
)


def service(kind: str, *verbs: Verb, generation: Generation | None = None) -> Service:
    return Service(kind, "it", "Product", frozenset(verbs), generation=generation)


LEGACY = service("ovh-domain", Verb.HAND_OVER, generation=Generation.LEGACY)
NEW = service("ovh-mxplan", Verb.RENAME, Verb.ALIASES, generation=Generation.NEW)
EXCHANGE = service("ovh-exchange", Verb.CONFIGURE, Verb.ALIASES)
PRO = service("ovh-pro", Verb.CONFIGURE, Verb.RENAME)
TENANT = service("microsoft365", Verb.CREATE)
READING = service("static")


@pytest.mark.parametrize(
    ("source", "target", "found", "codes"),
    [
        (LEGACY, EXCHANGE, Path.LEGACY, []),
        (NEW, EXCHANGE, Path.NEW, []),
        (NEW, READING, Path.NONE, []),
        (NEW, TENANT, Path.CREATE, []),
        (LEGACY, TENANT, Path.CREATE, []),
        (None, TENANT, Path.CREATE, []),
        (None, READING, Path.NONE, []),
        (NEW, None, Path.NONE, []),
        (PRO, EXCHANGE, None, ["PATH_UNKNOWN"]),
        (replace(LEGACY, verbs=frozenset()), EXCHANGE, Path.LEGACY, ["PATH_IMPOSSIBLE"]),
        (replace(NEW, verbs=frozenset()), EXCHANGE, Path.NEW, ["PATH_IMPOSSIBLE"]),
    ],
)
def test_services_say_which_path(
    source: Service | None, target: Service | None, found: Path | None, codes: list[str]
) -> None:
    way = route(source, target)
    assert way.path is found
    assert [each.code for each in way.findings] == codes


@pytest.mark.parametrize(
    ("wanted", "source", "target", "codes"),
    [
        (Path.NEW, PRO, EXCHANGE, []),
        (Path.NEW, TENANT, EXCHANGE, ["PATH_IMPOSSIBLE"]),
        (Path.NEW, TENANT, READING, ["PATH_IMPOSSIBLE", "PATH_IMPOSSIBLE"]),
        (Path.LEGACY, NEW, EXCHANGE, ["PATH_IMPOSSIBLE"]),
        (Path.CREATE, None, TENANT, []),
        (Path.CREATE, None, None, ["PATH_IMPOSSIBLE"]),
        (Path.NONE, None, None, []),
    ],
)
def test_what_the_plan_says_goes_where_it_can(
    wanted: Path, source: Service | None, target: Service | None, codes: list[str]
) -> None:
    way = route(source, target, wanted)
    assert way.path is wanted
    assert [each.code for each in way.findings] == codes


def test_the_evidence_is_what_the_services_say() -> None:
    told = replace(NEW, name="mx\x1b[2J", product="MX Plan", evidence=("server model: mxplan-3",))
    assert route(told, EXCHANGE).evidence == (
        "source: mx\\x1b[2J is MX Plan, new generation",
        "source: server model: mxplan-3",
        "target: it is Product",
        "the source is of the new generation, at the target's hoster",
    )


ADDRESS = "ann@x.test"
MOVE = Move(ADDRESS, temporary="ann01@x.test", placeholder="1@configureme.me")
SIGHT = Sight(
    NEW,
    EXCHANGE,
    Account(ADDRESS, AccountState.CONFIGURED, used=5),
    domains=(HostedDomain("x.test", DomainStatus.OK),),
)
ME = Contacts("me", "me", "ME", "other")
FULL = Redirection(ADDRESS, "b@x.test")


def seen(**changed: Any) -> Sight:
    return replace(SIGHT, **changed)


def account(**changed: Any) -> Account:
    return replace(Account(ADDRESS, AccountState.CONFIGURED, used=5), **changed)


def at(status: DomainStatus) -> Sight:
    return seen(domains=(HostedDomain("X.test", status),))


TOLD: list[tuple[str, Path, Move, Sight, list[str]]] = [
    ("nothing is in the way", Path.NEW, MOVE, SIGHT, []),
    ("there is no account", Path.NEW, MOVE, seen(account=None), ["ACCOUNT_EMPTY"]),
    (
        "the account is locked",
        Path.NEW,
        MOVE,
        seen(account=account(state=AccountState.LOCKED)),
        ["ACCOUNT_LOCKED"],
    ),
    (
        "a task is under way",
        Path.NEW,
        MOVE,
        seen(account=account(state=AccountState.BUSY)),
        ["ACCOUNT_INPROGRESS"],
    ),
    (
        "the source is a placeholder",
        Path.NEW,
        MOVE,
        seen(account=account(state=AccountState.PLACEHOLDER)),
        ["ACCOUNT_UNCONFIGURED"],
    ),
    (
        "IMAP is off",
        Path.NEW,
        MOVE,
        seen(account=account(access=frozenset({Access.WEBMAIL}))),
        ["IMAP_OFF"],
    ),
    ("the domain is elsewhere", Path.NEW, MOVE, seen(domains=()), ["DOMAIN_EMPTY"]),
    ("the domain is coming", Path.NEW, MOVE, at(DomainStatus.CREATING), ["DOMAIN_CREATING"]),
    ("whose domain it is", Path.CREATE, MOVE, at(DomainStatus.UNPROVEN), ["DOMAIN_UNPROVEN"]),
    ("the domain failed", Path.CREATE, MOVE, at(DomainStatus.ERROR), ["DOMAIN_FAILED"]),
    ("the domain goes", Path.NEW, MOVE, at(DomainStatus.DELETING), ["DOMAIN_FAILED"]),
    (
        "the address is at the target already",
        Path.NEW,
        MOVE,
        seen(taken=Account(ADDRESS, AccountState.CONFIGURED)),
        ["ADDRESS_TAKEN"],
    ),
    ("nobody guards", Path.NEW, replace(MOVE, guard=Guard.NONE), SIGHT, ["UNGUARDED"]),
    ("a redirection", Path.NEW, replace(MOVE, extras=(FULL,)), SIGHT, ["FORWARD_EXIST"]),
    (
        "a redirection that will be removed",
        Path.NEW,
        replace(MOVE, extras=(FULL, Responder(ADDRESS, "away")), rule=ExtrasRule.CARRY),
        SIGHT,
        [],
    ),
    (
        "a filter is told of, whatever the rule",
        Path.LEGACY,
        replace(MOVE, extras=(Filter(ADDRESS, "f"),), rule=ExtrasRule.REMOVE),
        SIGHT,
        ["FILTER_EXIST"],
    ),
    (
        "a list of that address is nobody's to remove",
        Path.LEGACY,
        replace(MOVE, extras=(Group(ADDRESS),), rule=ExtrasRule.REMOVE),
        SIGHT,
        ["MAILINGLIST_EXIST"],
    ),
    (
        "no placeholder was found",
        Path.NEW,
        replace(MOVE, placeholder=""),
        seen(picked=Picked(None, 0, (finding(Obstacle("NO_FREE_ACCOUNT")),))),
        ["NO_FREE_ACCOUNT"],
    ),
    (
        "no licence is left",
        Path.CREATE,
        replace(MOVE, placeholder=""),
        seen(source=None, target=replace(TENANT, free=0)),
        ["NO_FREE_ACCOUNT"],
    ),
    (
        "what is held doesn't fit",
        Path.CREATE,
        replace(MOVE, placeholder=""),
        seen(target=replace(TENANT, quota=4)),
        ["QUOTA_TOO_SMALL"],
    ),
    (
        "all four roles",
        Path.LEGACY,
        MOVE,
        seen(source_contacts=ME, target_contacts=ME),
        [],
    ),
    (
        "no role",
        Path.LEGACY,
        MOVE,
        seen(
            source_contacts=Contacts("me", "a", "b"),
            target_contacts=Contacts("me", "c", "d"),
        ),
        ["SOURCE_ADMINISTRATOR", "SOURCE_TECHNICAL", "TARGET_ADMINISTRATOR", "TARGET_TECHNICAL"],
    ),
    (
        "one role of the four",
        Path.LEGACY,
        MOVE,
        seen(source_contacts=ME, target_contacts=Contacts("me", "me", "other")),
        ["TARGET_TECHNICAL"],
    ),
    (
        "roles that aren't told",
        Path.LEGACY,
        MOVE,
        seen(source_contacts=ME, target_contacts=Contacts("me", "me")),
        ["CONTACTS_UNTOLD"],
    ),
    ("roles are of the legacy path", Path.NEW, MOVE, seen(source_contacts=Contacts("me")), []),
    ("accounts are left alone", Path.NONE, MOVE, seen(account=None, domains=()), []),
]


@pytest.mark.parametrize(
    ("path", "move", "sight", "codes"),
    [each[1:] for each in TOLD],
    ids=[each[0] for each in TOLD],
)
def test_what_is_in_the_way_is_told_before(
    path: Path, move: Move, sight: Sight, codes: list[str]
) -> None:
    assert [each.code for each in before(path, move, sight)] == codes


def test_what_a_service_can_not_hold_is_told() -> None:
    rich = replace(EXCHANGE, contents=frozenset(Content))
    (told,) = feature_gap(rich, PRO)
    assert told.code == "FEATURE_GAP"
    assert told.severity is Severity.WARNS
    assert told.evidence == "Product has no calendar, contacts, rules, sharing, tasks"
    assert feature_gap(PRO, rich) == ()
