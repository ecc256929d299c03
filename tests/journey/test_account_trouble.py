"""What goes wrong while accounts are moved, and what must hold afterwards: nothing begun where a
person has to act first, everything taken back where a step is refused, no mail lost by a crash."""
# ruff: noqa: E501 - tables are read by their columns

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from mailhaul.db import tables
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.accounts import carry_on
from mailhaul.journey.states import State
from mailhaul.providers.extras import Redirection
from mailhaul.providers.service import AccountState, Contacts, DomainStatus
from tests.journey.account_house import ANNA, DOMAIN, RIGHT, AccountHouse
from tests.journey.house import HOUR
from tests.journey.test_canaries import KilledError, Killing
from tests.providers.memory import Fault

MAIL = ["anna-one", "anna-three", "anna-two"]
Prepare = Callable[[AccountHouse], None]


# before anybody is asked: nothing starts


def wrong_password(place: AccountHouse) -> None:
    place.house.secrets["anna-source"] = "wrong but long"


def short_password(place: AccountHouse) -> None:
    place.house.secrets["anna-source"] = "short"
    account = place.old.found(ANNA)
    assert account is not None
    account.password = "short"


def no_password(place: AccountHouse) -> None:
    with place.house.database.begin() as connection:
        connection.execute(update(tables.mailbox).values(target_secret=""))


def not_ours(role: str, service: str) -> Prepare:
    def prepare(place: AccountHouse) -> None:
        at = place.hoster.service(service)
        at.contacts = replace(Contacts("us-1", "us-1", "us-1", "us-1"), **{role: "them-2"})

    return prepare


def domain_is(status: DomainStatus) -> Prepare:
    def prepare(place: AccountHouse) -> None:
        domain = place.new.has_domain(DOMAIN)
        assert domain is not None
        domain.status = status

    return prepare


def no_domain(place: AccountHouse) -> None:
    place.new.domains.clear()


def no_placeholder(place: AccountHouse) -> None:
    place.new.accounts.clear()


def too_small(place: AccountHouse) -> None:
    for each in place.new.accounts:
        each.quota = 10


def redirected(place: AccountHouse) -> None:
    place.old.extras.append(Redirection(ANNA, "elsewhere@far.example"))


def taken(place: AccountHouse) -> None:
    place.new.account(ANNA)


def no_account(place: AccountHouse) -> None:
    place.old.accounts.clear()


NOTHING_STARTS: list[tuple[str, str, Prepare, str]] = [
    ("a wrong password", "new", wrong_password, "PASSWORD_WRONG"),
    ("a wrong password of a hand-over", "legacy", wrong_password, "PASSWORD_WRONG"),
    ("a password that is too short", "legacy", short_password, "PASSWORD_UNFIT"),
    ("no password for the new account", "new", no_password, "PASSWORD_UNFIT"),
    ("not the source's administrator", "legacy", not_ours("administrator", "old"), "SOURCE_ADMINISTRATOR"),
    ("not the source's technician", "legacy", not_ours("technical", "old"), "SOURCE_TECHNICAL"),
    ("not the target's administrator", "legacy", not_ours("administrator", "new"), "TARGET_ADMINISTRATOR"),
    ("not the target's technician", "legacy", not_ours("technical", "new"), "TARGET_TECHNICAL"),
    ("a domain that is not attached", "new", no_domain, "DOMAIN_EMPTY"),
    ("a domain that is still made", "new", domain_is(DomainStatus.CREATING), "DOMAIN_CREATING"),
    ("a domain that isn't proven", "new", domain_is(DomainStatus.UNPROVEN), "DOMAIN_UNPROVEN"),
    ("no placeholder", "new", no_placeholder, "NO_FREE_ACCOUNT"),
    ("a placeholder that is too small", "new", too_small, "QUOTA_TOO_SMALL"),
    ("a redirection", "new", redirected, "FORWARD_EXIST"),
    ("a redirection of a hand-over", "legacy", redirected, "FORWARD_EXIST"),
    ("an account of that address at the target", "new", taken, "ADDRESS_TAKEN"),
    ("no account at the source", "new", no_account, "ACCOUNT_EMPTY"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "prepare", "code"),
    [row[1:] for row in NOTHING_STARTS],
    ids=[r[0] for r in NOTHING_STARTS],
)
async def test_nothing_starts(path: str, prepare: Prepare, code: str, tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, path)
    prepare(place)
    before = place.everywhere()
    row = await place.looked()
    assert (row.state, row.ready) == (MoveState.WAITING, False)
    assert code in [each.code for each in place.house.rows("finding") if each.severity == "blocks"]
    assert row.reason
    assert place.everywhere() == before
    assert place.old.asked["begin"] == place.new.asked["begin"] == 0
    assert place.house.row().state is State.PLANNED
    assert place.house.rows("placeholder") == []


async def looked_for(place: AccountHouse, hours: float) -> None:
    """All looks of that time."""
    end = place.house.hand.time + hours * HOUR
    while (due := place.move().due_at) is not None and due <= end:
        place.house.hand.time = max(place.house.hand.time, due)
        await place.house.run(place.move())
    place.house.hand.time = end


def control_plane_expires(place: AccountHouse) -> None:
    place.old.arm(Fault.EXPIRED)


def source_is_away(place: AccountHouse) -> None:
    place.old.arm(Fault.AWAY, Fault.AWAY)


@pytest.mark.parametrize("meanwhile", [None, control_plane_expires, source_is_away])
async def test_a_login_that_the_source_refused_is_not_tried_again(
    meanwhile: Prepare | None, tmp_path: Path
) -> None:
    """Until its secret is another one: servers lock accounts (F4)."""
    place = AccountHouse(tmp_path)
    place.house.secrets["anna-source"] = "wrong-but-long"
    await place.looked()
    await looked_for(place, 1)
    if meanwhile:
        meanwhile(place)
    await looked_for(place, 5)
    assert place.house.logins == ["anna-source: wrong-but-long"]
    assert "has refused this login" in place.move().reason
    assert [row.code for row in place.house.rows("finding")] == ["PASSWORD_WRONG"]
    place.house.secrets["anna-source"] = "another-wrong-one"
    await looked_for(place, 5)
    assert len(place.house.logins) == 2
    place.house.secrets["anna-source"] = RIGHT
    await looked_for(place, 1)
    assert (place.move().ready, place.move().refused_secret) == (True, None)


async def test_of_a_login_that_was_refused_another_endpoint_is_tried(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    place.house.secrets["anna-source"] = "wrong-but-long"
    await place.looked()
    with place.house.database.begin() as connection:
        connection.execute(update(tables.mailbox).values(source="imaps://anna@older.example"))
    await looked_for(place, 5)
    assert len(place.house.logins) == 2


async def test_another_token_is_tried_once_an_hour(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    place.house.secrets["anna-source"] = "wrong-but-long"
    place.house.marks["anna-source"] = "first"
    await place.looked()
    before = len(place.house.logins)
    await looked_for(place, 5)
    assert before == 1
    assert 4 <= len(place.house.logins) - before <= 5
    place.house.marks["anna-source"] = "second"
    await looked_for(place, 0.5)
    assert len(place.house.logins) - before in (5, 6)


# after the yes: what the provider does, and where things stand


@dataclass(frozen=True)
class Row:
    """What goes wrong after a person has agreed, by which path, and how it ends."""

    name: str
    path: str
    prepare: Prepare
    ends: MoveState
    why: str = ""
    settings: dict[str, Any] | None = None


def arm(service: str, *faults: Fault, always: bool = False) -> Prepare:
    return lambda place: place.hoster.service(service).arm(*faults, always=always)


def by_hand(place: AccountHouse) -> None:
    """Somebody configures the placeholder that was chosen for anna."""
    account = place.new.found(place.move().placeholder)
    assert account is not None
    account.address, account.state = f"carl@{DOMAIN}", AccountState.CONFIGURED


def claimed(place: AccountHouse) -> None:
    domain = place.new.has_domain(DOMAIN)
    assert domain is not None
    domain.status = DomainStatus.ERROR


ROWS = [
    Row("nothing", "new", lambda place: None, MoveState.MOVED),
    Row("nothing, by hand-over", "legacy", lambda place: None, MoveState.MOVED),
    Row("nothing, created", "create", lambda place: None, MoveState.MOVED),
    Row("the source is away for a while", "new", arm("old", Fault.AWAY, Fault.AWAY), MoveState.MOVED),
    Row("the target asks for a pause", "new", arm("new", Fault.THROTTLED), MoveState.MOVED),
    Row("the renaming's answer is lost", "new", arm("old", Fault.ANSWER_LOST), MoveState.MOVED),
    Row("the renaming's request is lost", "new", arm("old", Fault.REQUEST_LOST), MoveState.MOVED),
    Row("the configuring's answer is lost", "new", arm("new", Fault.ANSWER_LOST), MoveState.MOVED),
    Row("the hand-over's answer is lost", "legacy", arm("old", Fault.ANSWER_LOST), MoveState.MOVED),
    Row("the renaming fails once", "new", arm("old", Fault.FAILS), MoveState.MOVED),
    Row("the renaming half works once", "new", arm("old", Fault.HALF), MoveState.MOVED),
    Row("the configuring half works once", "new", arm("new", Fault.HALF), MoveState.MOVED),
    Row("the hand-over half works once", "legacy", arm("old", Fault.HALF), MoveState.MOVED),
    Row("support cancels the configuring once", "new", arm("new", Fault.CANCELLED), MoveState.MOVED),
    Row("the renaming fails for good", "new", arm("old", *[Fault.FAILS] * 3), MoveState.UNDONE, "rename anna@acme.example"),
    Row("the configuring fails for good", "new", arm("new", *[Fault.FAILS] * 3), MoveState.UNDONE, "configure ph0"),
    Row("the configuring is refused", "new", arm("new", Fault.REFUSED), MoveState.UNDONE, "configure ph0"),
    Row("the configuring is refused each time", "new", arm("new", Fault.REFUSED, always=True), MoveState.UNDONE, "configure ph0"),
    Row("the renaming is refused", "new", arm("old", Fault.REFUSED), MoveState.UNDONE, "rename anna@acme.example"),
    Row("the hand-over is refused", "legacy", arm("old", Fault.REFUSED), MoveState.UNDONE, "carry anna"),
    Row("the hand-over fails for good", "legacy", arm("old", *[Fault.FAILS] * 3), MoveState.UNDONE, "carry anna"),
    Row("the hand-over half works for good", "legacy", arm("old", *[Fault.HALF] * 3), MoveState.FAILED, "carry anna"),
    Row("the renaming never ends", "new", arm("old", Fault.STALLS), MoveState.FAILED, "has not ended within 1h"),
    Row("the hand-over never ends", "legacy", arm("old", Fault.STALLS), MoveState.FAILED, "has not ended within 1h"),
    Row("the placeholder is configured by hand meanwhile", "new", by_hand, MoveState.UNDONE, "isn't there any more"),
    Row("the domain is claimed elsewhere meanwhile", "new", claimed, MoveState.UNDONE, "acme.example: error"),
]  # fmt: skip


def house(directory: Path, row: Row) -> AccountHouse:
    return AccountHouse(directory, row.path, accounts={"patience": "1h", **(row.settings or {})})


def stands(place: AccountHouse, row: Row, before: dict[str, list[str]]) -> None:
    """What must hold at the end, whoever was killed on the way."""
    move, person = place.move(), place.house.row()
    assert move.state is row.ends, (move.state, move.reason)
    assert row.why in move.reason, move.reason
    match row.ends:
        case MoveState.MOVED:
            assert place.mail(place.new) == MAIL
            assert person.state is State.SYNCED
            assert person.census == person.copied + person.adopted == 3
            assert place.old.found(ANNA) is None or row.path == "create"
        case MoveState.UNDONE:
            assert place.everywhere()["old"] == before["old"]
            assert place.mail(place.old) == MAIL
            assert place.new.found(ANNA) is None
            assert place.house.rows("placeholder") == []
            assert person.state is State.PLANNED
            assert person.source == "imaps://anna@old.example"
        case _:
            assert person.state is State.PLANNED
    kept = sum(
        len(MAIL)
        for service in (place.old, place.new)
        for each in service.accounts
        if each.box.total()
    )
    assert kept >= len(MAIL)


async def through(place: AccountHouse, carry: bool = True) -> None:
    """To the end, from the yes on; the mail is carried too."""
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    if row.state is MoveState.MOVED and carry:
        await place.synced()


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_how_it_ends(row: Row, tmp_path: Path) -> None:
    place = house(tmp_path, row)
    await place.agreed()
    before = place.everywhere()
    row.prepare(place)
    await through(place)
    stands(place, row, before)
    again = place.everywhere()
    await through(place)
    assert place.everywhere() == again, "a second time changes nothing"


KILLED = ["nothing", "nothing, by hand-over", "the configuring is refused each time"]
if os.environ.get("MAILHAUL_SOAK"):
    KILLED += ["nothing, created", "the configuring's answer is lost"]
    KILLED += ["the configuring half works once", "the hand-over's answer is lost"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", KILLED)
async def test_a_kill_at_every_transaction(name: str, moment: str, tmp_path: Path) -> None:
    """Of the account's runs; those of mailboxes are killed in tests of their own."""
    (row,) = [each for each in ROWS if each.name == name]
    number, every = 0, 1 if os.environ.get("MAILHAUL_SOAK") or name != KILLED[2] else 3
    while True:
        number += every
        place = house(tmp_path / str(number), row)
        await place.agreed()
        before = place.everywhere()
        row.prepare(place)
        killing = Killing(place.house.database, number, moment)

        async def tend(means: Any, run: Any, killing: Killing = killing) -> Any:
            return await carry_on(replace(means, database=killing), run)

        place.house.tend = tend
        # What follows is the same whichever transaction it was: now and then it is gone through.
        carry = number % 6 == 1 or not killing.left
        await survived(partial(through, place, carry))
        if carry or row.ends is not MoveState.MOVED:
            stands(place, row, before)
        else:
            assert place.move().state is MoveState.MOVED
            person = place.house.row()
            assert person.due_at == place.house.hand.time
            assert person.source != "imaps://anna@old.example" or row.path == "create"
            gone = [each for each in (place.old.found(ANNA),) if each is not None]
            assert gone == [] or row.path == "create"
            kept = [*place.old.accounts, *place.new.accounts]
            assert sum(each.box.total() == len(MAIL) for each in kept) == 1
        if not killing.killed:
            break
    assert number > 5


async def survived(act: Callable[[], Awaitable[None]]) -> None:
    """Goes on after the kill, as another process does."""
    try:
        await act()
    except KilledError:
        await act()
