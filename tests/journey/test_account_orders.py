"""What people order about accounts: the yes, a placeholder, the way back, another try, the end of
old ones; and what is refused, each with why."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.journey import account_orders, orders
from mailhaul.journey.account_going import fail
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import StepState, write_step
from mailhaul.journey.gates import Shut, open_gate
from mailhaul.journey.inventory import Course, inventory
from mailhaul.journey.loading import load
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate, Question, ask
from mailhaul.journey.rows import Stale
from mailhaul.journey.states import State
from mailhaul.journey.turning_back import turn_back
from mailhaul.journey.waits import what_waits
from mailhaul.plan.model import Gates, ListedMailbox, Sweeps
from mailhaul.providers import saga
from mailhaul.providers.extras import Alias, Delegation, Extra, Redirection, Responder, Right
from mailhaul.providers.service import Verb
from tests.journey.account_house import ANNA, DOMAIN, RIGHT, AccountHouse, plan
from tests.journey.house import BEGIN, HOUR, letter
from tests.journey.test_reconciler import shop_of, worked
from tests.providers.memory import Fault
from tests.providers.memory_provider import MemoryProvider
from tests.servers.postgres import Postgres

BOB = f"bob@{DOMAIN}"
DAY = 24 * HOUR
QUICK = Sweeps.model_validate({"every": "1h", "for": "2h", "until_quiet": 1})


def question(place: AccountHouse, *without: str) -> Question:
    house = place.house
    with house.database.begin() as connection:
        row = plan_row(connection, house.number)
        return ask(connection, row, Gate.ACCOUNTS, without=without, at=house.hand.time)


def waits(place: AccountHouse) -> dict[str, int]:
    house = place.house
    with house.database.begin() as connection:
        row = plan_row(connection, house.number)
        return {w.what: w.mailboxes for w in what_waits(connection, row, {}, [], house.hand.time)}


# the yes


async def test_what_a_person_agrees_to_is_said_and_kept(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, gates=Gates(accounts=("Kim",)))
    assert "nobody has looked at it yet" in question(place).lacking[0]
    await place.looked()
    asked = question(place)
    assert asked.lacking == ()
    assert "is called anna01@acme.example from then on" in asked.text
    assert "takes the place of ph0@configureme.me" in asked.text
    assert waits(place)["the gate “accounts”"] == 1
    place.house.open(Gate.ACCOUNTS)
    row = place.move()
    assert (row.state, row.acknowledged_by, row.login) == (MoveState.MOVING, "Kim", "kim")
    assert row.text == asked.text
    (gate,) = place.house.rows("gate")
    assert (gate.name, gate.text) == ("accounts", asked.text)


@pytest.mark.parametrize(
    ("path", "said"), [("legacy", "point of no return"), ("new", "nowhere"), ("create", "stays")]
)
async def test_the_text_says_before_while_and_after(path: str, said: str, tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, path)
    await place.looked()
    text = question(place).text
    assert "Before" in text
    assert said in text


async def test_who_may_not_say_yes_is_refused(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, gates=Gates(accounts=("Olga",)))
    await place.looked()
    with pytest.raises(BadInput, match="may not open"):
        place.house.open(Gate.ACCOUNTS)
    assert place.move().state is MoveState.WAITING


async def test_one_of_many_can_be_moved_first_and_the_rest_another_time(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, people=("anna", "bob"))
    await place.looked()
    house = place.house
    with house.database.begin() as connection:
        asked = question_in(connection, place, BOB)
        at = house.hand.time
        open_gate(
            connection,
            plan_row(connection, house.number),
            asked,
            who="Kim",
            login="kim",
            without=(BOB,),
            at=at,
        )
    assert place.move("anna").state is MoveState.MOVING
    assert place.move("bob").state is MoveState.WAITING
    await place.until(MoveState.MOVED)
    place.house.open(Gate.ACCOUNTS)
    row = await place.until(MoveState.MOVED, person="bob")
    assert row.state is MoveState.MOVED
    assert [each.name for each in house.rows("gate")] == ["accounts", "accounts #2"]


def question_in(connection: Any, place: AccountHouse, *without: str) -> Question:
    row = plan_row(connection, place.house.number)
    return ask(connection, row, Gate.ACCOUNTS, without=without, at=place.house.hand.time)


async def test_with_something_in_the_way_the_gate_stays_shut(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    place.old.extras.append(Responder(ANNA, "I am away"))
    await place.looked()
    with pytest.raises(Shut) as error:
        place.house.open(Gate.ACCOUNTS)
    assert "auto-reply" in error.value.lacking[0]
    assert waits(place)["what is in the way of their accounts"] == 1


async def test_nothing_is_done_before_the_plans_time(tmp_path: Path) -> None:
    begin = datetime.fromtimestamp(BEGIN + DAY / 2, UTC)
    place = AccountHouse(tmp_path, accounts={"begin": begin})
    await place.agreed()
    assert place.move().due_at == BEGIN + DAY / 2
    assert "Nothing is done before" in place.move().text
    await place.until(MoveState.MOVED)
    assert place.steps()[0].begun_at == BEGIN + DAY / 2


async def test_before_its_account_is_moved_nothing_is_carried(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.house.drive(State.READY, hours=2)
    person = place.house.row()
    assert (person.state, person.due_at) == (State.PLANNED, None)
    assert person.reason == "its account is to be moved first"


# placeholders


async def test_a_person_can_choose_the_placeholder(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.looked()
    chosen(place, ANNA, "ph1@configureme.me")
    await place.until()
    assert place.move().ready
    await place.moved()
    assert "ph1@configureme.me" not in place.addresses(place.new)
    assert "ph0@configureme.me" in place.addresses(place.new)


def chosen(place: AccountHouse, address: str, name: str) -> None:
    house = place.house
    with house.database.begin() as connection:
        row = plan_row(connection, house.number)
        account_orders.choose(connection, row, address, name, at=house.hand.time)


async def test_a_placeholder_that_is_none_is_told(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.looked()
    chosen(place, ANNA, "ph9@configureme.me")
    row = await place.until()
    assert not row.ready
    assert "ph9@configureme.me" in row.reason


async def test_no_two_accounts_take_one_placeholder(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, people=("anna", "bob"))
    await place.looked()
    assert place.move("anna").placeholder != place.move("bob").placeholder
    with pytest.raises(Stale):
        chosen(place, BOB, place.move("anna").placeholder)
    await place.agreed()
    for person in ("anna", "bob"):
        assert (await place.until(MoveState.MOVED, person=person)).state is MoveState.MOVED


async def test_two_plans_that_want_one_placeholder_get_two_or_one_waits(tmp_path: Path) -> None:
    """Both stand in one installation; the second finds the first one's choice reserved."""
    place = AccountHouse(tmp_path, people=("anna", "bob"))
    place.new.accounts[:] = place.new.accounts[:1]
    house = place.house
    with house.database.begin() as connection:
        orders.cancel(
            connection,
            plan_row(connection, house.number),
            orders.Selection((BOB,)),
            undo=False,
            at=house.hand.time,
            actor="lee",
        )
        listed = ListedMailbox(
            address=BOB,
            source="imaps://bob@old.example",
            target="imaps://bob@new.example",
            source_secret="env:bob-source",
            target_secret="env:bob-target",
        )
        other = plan().model_copy(update={"name": "another"})
        at = house.hand.time
        number = load(connection, other, [listed], house.directory, at=at, actor="lee").plan
        orders.start(
            connection, plan_row(connection, number), orders.EVERYTHING, at=at, actor="lee"
        )
    first = await place.until()
    assert first.ready
    mine, house.number = house.number, number
    row = place.move("bob")
    await house.run(row)
    second = place.move("bob")
    assert not second.ready
    assert "reserved" in second.reason
    (kept,) = house.rows("placeholder")
    assert kept.move_id == first.id
    house.number = mine


# the way back


async def test_before_any_mail_has_come_the_account_can_be_taken_back(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    before = place.everywhere()
    await place.moved()
    assert place.order("undo", dry=True).done == [ANNA]
    assert place.move().state is MoveState.MOVED
    assert place.order("undo").done == [ANNA]
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert row.reason == "taken back for Kim"
    assert place.everywhere() == before
    person = place.house.row()
    assert (person.state, person.source) == (State.PLANNED, "imaps://anna@old.example")


async def test_mail_that_would_be_left_behind_keeps_the_account_where_it_is(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path, sweeps=QUICK)
    await place.moved()
    await place.synced()
    box = place.house.targets["anna"]
    box.deliver(letter("new"), received=datetime.fromtimestamp(place.house.hand.time, UTC))
    place.order("undo")
    row = await place.until(MoveState.MOVED)
    assert row.state is MoveState.MOVED
    assert "1 message has arrived in the new account" in row.reason
    assert "mailhaul return" in row.reason
    assert place.house.row().state is State.SYNCED
    place.house.order(turn_back, who="Kim", login="kim")
    await place.house.drive(State.SYNCED, hours=24)
    assert "new" in place.mail(place.old, f"anna01@{DOMAIN}")
    place.order("undo")
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.mail(place.old) == ["anna-one", "anna-three", "anna-two", "new"]
    assert place.house.row().state is State.CANCELLED


async def test_an_account_that_was_made_is_deleted_again_only_when_it_is_empty(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path, "create")
    await place.moved()
    await place.synced()
    place.order("undo")
    row = await place.until(MoveState.MOVED)
    assert "holds 3 messages; what mailhaul carried there is taken out" in row.reason
    place.house.order(orders.cancel, undo=True)
    await place.house.drive(State.ROLLED_BACK, hours=24)
    place.order("undo")
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.addresses(place.new) == []
    assert place.mail(place.old) == ["anna-one", "anna-three", "anna-two"]


async def test_what_was_handed_over_is_never_taken_back(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, "legacy")
    await place.moved()
    (left,) = place.order("undo").left
    assert "nothing takes that back" in left.why
    await place.synced()
    (left,) = place.house.order(turn_back, who="Kim", login="kim").left
    assert "nothing takes that back" in left.why


async def test_while_it_is_moved_a_person_can_take_it_back(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    before = place.everywhere()
    await place.agreed()
    while not any(step.kind == "rename" and step.ended_at for step in place.steps()):
        await place.house.run(place.move())
    place.order("undo")
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.everywhere() == before


async def test_a_mailbox_that_is_cancelled_meanwhile_gets_its_address_back(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    before = place.everywhere()
    await place.agreed()
    while not any(step.kind == "rename" and step.ended_at for step in place.steps()):
        await place.house.run(place.move())
    place.house.order(orders.cancel, undo=False)
    row = await place.until(MoveState.UNDONE)
    assert (row.state, row.reason) == (MoveState.UNDONE, "its mailbox was cancelled")
    assert place.everywhere() == before


async def test_what_has_been_begun_goes_on_in_a_plan_that_is_paused(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    while not any(step.kind == "rename" and step.ended_at for step in place.steps()):
        await place.house.run(place.move())
    place.house.order(orders.pause)
    row = await place.until(MoveState.MOVED)
    assert row.state is MoveState.MOVED
    place.house.order(orders.resume)
    await place.synced()
    assert place.house.row().state is State.SYNCED


async def test_what_has_not_been_begun_waits_while_the_plan_rests(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    place.house.order(orders.pause)
    for _ in range(3):
        row = place.move()
        place.house.hand.time = row.due_at or place.house.hand.time
        await place.house.run(row)
    assert place.old.asked["begin"] == 0
    place.house.order(orders.resume)
    assert (await place.until(MoveState.MOVED)).state is MoveState.MOVED


# trouble, and another try


async def test_a_control_plane_that_no_longer_knows_us_is_not_asked_again_until_that_changes(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path, secret="env:key")
    place.house.secrets["key"] = "expired"
    await place.agreed()
    while not any(step.kind == "rename" and step.ended_at for step in place.steps()):
        await place.house.run(place.move())
    place.new.arm(Fault.EXPIRED, always=True)
    while place.move().refused_secret is None:
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    asked = sum(place.new.asked.values())
    for _ in range(5):
        row = place.move()
        place.house.hand.time = row.due_at or place.house.hand.time
        await place.house.run(row)
    assert sum(place.new.asked.values()) == asked
    row = place.move()
    assert (row.state, row.refused_secret) == (MoveState.MOVING, "target:expired")
    assert "log in anew" in row.reason
    place.new.always.clear()
    place.house.secrets["key"] = "fresh"
    assert (await place.until(MoveState.MOVED)).state is MoveState.MOVED


async def test_a_task_that_never_ended_goes_on_by_a_persons_word(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, accounts={"patience": "1h"})
    place.old.arm(Fault.STALLS)
    row = await place.moved()
    assert row.state is MoveState.FAILED
    assert waits(place)["a person, for their accounts could not be moved"] == 1
    for work in place.old.works.values():
        work.left = 1
    assert place.order("retry", actor="lee").done == [ANNA]
    assert (await place.until(MoveState.MOVED)).state is MoveState.MOVED


async def test_what_was_taken_back_waits_for_another_yes(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.looked()
    place.house.open(Gate.ACCOUNTS)
    place.new.arm(Fault.REFUSED)
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE
    place.order("retry", actor="lee")
    row = await place.until(MoveState.MOVING)
    assert (row.state, row.acknowledged_by) == (MoveState.WAITING, None)
    assert (await place.moved()).state is MoveState.MOVED
    await place.synced()
    assert place.mail(place.new) == ["anna-one", "anna-three", "anna-two"]


@pytest.mark.parametrize(
    ("path", "arrives"), [("legacy", saga.Part.HAND_OVER), ("new", saga.Part.ARRIVE)]
)
async def test_an_extra_that_is_refused_once_the_address_has_arrived_is_left(
    path: str, arrives: saga.Part, tmp_path: Path
) -> None:
    place = AccountHouse(tmp_path, path, accounts={"extras": "carry"})
    place.old.extras.append(Delegation(ANNA, f"bob@{DOMAIN}", Right.SEND_AS))
    await arrived(place, arrives)
    place.new.arm(Fault.REFUSED)
    assert (await place.until(MoveState.MOVED, MoveState.FAILED)).state is MoveState.MOVED
    (*_, last) = place.steps()
    assert (last.state, last.kind) == (StepState.LEFT, saga.Part.FOLLOW)
    assert last.said
    await place.synced()
    # It is nowhere said that it has come along.
    listed = place.house.plan.model_copy(update={"mailboxes": [ListedMailbox(address=ANNA)]})
    service = await MemoryProvider(place.hoster, "new").service()
    moves = [(place.move(), place.steps())]
    found = list(inventory(listed, place.old.extras, service, moves))
    assert [(each.extra, each.course) for each in found] == [
        (Delegation(ANNA, f"bob@{DOMAIN}", Right.SEND_AS), Course.BY_HAND)
    ]
    assert last.said in found[0].why


async def test_an_extra_that_is_half_put_up_can_be_left(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, "legacy", accounts={"extras": "carry"})
    place.old.extras.append(Redirection(ANNA, "far@elsewhere.example", copy=True))
    await arrived(place, saga.Part.HAND_OVER)
    (*_, last) = place.steps()
    row = place.move()
    with place.house.database.begin() as connection:
        write_step(connection, last, state=StepState.BROKEN.value)
        fail(connection, row, "half done", place.house.hand.time)
    place.order("retry", actor="lee", leave=True)
    assert (await place.until(MoveState.MOVED)).state is MoveState.MOVED
    assert [each.state for each in place.steps()][-1] is StepState.LEFT


async def arrived(place: AccountHouse, kind: saga.Part) -> None:
    """Until the step by which the address arrives is over."""
    await place.agreed()
    while not any(step.kind == kind and step.ended_at for step in place.steps()):
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)


async def test_a_server_that_learns_of_a_new_password_late_is_waited_for(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    right = place.house.passwords
    place.house.passwords = {"anna-target": "not yet", "anna01-source": RIGHT, "anna-source": RIGHT}
    before = len(place.house.logins)
    assert (await place.until(MoveState.FAILED)).state is MoveState.FAILED
    row = place.move()
    assert "the password is wrong" in row.reason
    assert len(place.house.logins) - before < 40
    assert place.house.row().state is State.PLANNED, "nobody waits for another password"
    place.order("retry", actor="lee")
    await place.house.run(place.move())
    assert place.move().state is MoveState.MOVING
    place.house.passwords = right
    assert (await place.until(MoveState.MOVED)).state is MoveState.MOVED
    await place.synced()


# what stands beside


@pytest.mark.parametrize("path", ["new", "legacy"])
async def test_what_stands_beside_an_account_is_carried(path: str, tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, path, accounts={"extras": "carry"})
    beside: list[Extra] = [
        Redirection(ANNA, "far@elsewhere.example", copy=True),
        Responder(ANNA, "I am away"),
    ]
    if path == "new":
        beside.append(Alias(ANNA, f"a.weiss@{DOMAIN}"))
    place.old.extras += beside
    row = await place.moved()
    assert row.state is MoveState.MOVED, row.reason
    assert sorted(map(str, place.new.extras)) == sorted(map(str, beside))
    assert place.old.extras == []


async def test_taken_back_all_stands_where_it_was(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    place.old.extras += [
        Redirection(ANNA, "far@elsewhere.example", copy=True),
        Alias(ANNA, f"a.weiss@{DOMAIN}"),
    ]
    before = place.everywhere()
    await place.moved()
    place.order("undo")
    row = await place.until(MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.everywhere() == before


# the window


async def test_how_long_the_address_was_nowhere_is_measured_and_guarded(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    bounced: list[bool] = []
    while place.move().state is MoveState.MOVING:
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
        guarded = any(step.kind == "guard" and step.ended_at for step in place.steps())
        bounced.append(place.hoster.deliver(ANNA, letter(f"at {len(bounced)}")) == [])
        assert not (bounced[-1] and guarded)
    row = place.move()
    assert row.nowhere_from is not None
    assert row.nowhere_until is not None
    assert 0 < row.nowhere_until - row.nowhere_from < 120
    assert row.guarded
    assert any(bounced), "between the renaming and the alias there is nothing that could take it"
    await place.synced()
    arrived = len(bounced) - sum(bounced)
    assert len(place.mail(place.new)) == 3 + arrived


# the end of the old account


async def completed(place: AccountHouse) -> None:
    await place.moved()
    await place.synced()
    place.house.open(Gate.GO)
    await place.house.drive(State.VERIFIED, hours=24 * 10)
    assert place.house.row().state is State.VERIFIED


async def test_the_old_account_is_disabled_after_its_time_and_by_a_named_yes(
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path, accounts={"keep_temporary": "10d"}, sweeps=QUICK)
    await place.moved()
    assert "stays until it is verified" in place.order("retire").left[0].why
    await place.synced()
    place.house.open(Gate.GO)
    await place.house.drive(State.VERIFIED, hours=24 * 10)
    assert "is kept until" in place.order("retire").left[0].why
    place.house.hand.time += 11 * DAY
    assert place.order("retire", dry=True).done == [ANNA]
    assert place.order("retire").done == [ANNA]
    row = await place.until(MoveState.RETIRED)
    assert (row.state, row.retired_by) == (MoveState.RETIRED, "Kim")
    old = place.old.found(f"anna01@{DOMAIN}")
    assert old is not None
    assert old.state == "locked"
    assert "disabled" in place.house.order(turn_back, who="Kim", login="kim").left[0].why


async def test_where_nobody_can_lock_it_a_person_says_that_it_is_done(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, accounts={"keep_temporary": "1h"}, sweeps=QUICK)
    place.old.verbs -= {Verb.LOCK}
    await completed(place)
    place.house.hand.time += DAY
    place.order("retire")
    row = await place.until(MoveState.RETIRED)
    assert row.state is MoveState.FAILED
    place.order("retry", actor="lee")
    await place.until(MoveState.RETIRED)
    assert place.order("retire", by_hand=True).left


# workers


async def test_a_worker_does_it_all_by_itself(tmp_path: Path) -> None:
    """Reconciler and engine: until people are waited for, and nobody's answer is."""
    place = AccountHouse(tmp_path, people=("anna", "bob"))
    await worked(place.house, shop_of(place.house))
    assert [place.move(each).ready for each in ("anna", "bob")] == [True, True]
    place.house.open(Gate.ACCOUNTS)
    place.house.means.stopping.clear()
    await worked(place.house, shop_of(place.house))
    for person in ("anna", "bob"):
        assert place.move(person).state is MoveState.MOVED, place.move(person).reason
        assert place.house.row(person).state is State.SYNCED
        address = f"{person}@{DOMAIN}"
        assert place.mail(place.new, address) == [f"{person}-{n}" for n in ("one", "three", "two")]


async def test_on_a_server_too(tmp_path: Path, postgres: Postgres) -> None:
    place = AccountHouse(tmp_path, people=("anna", "bob"), database=postgres.database())
    await place.agreed()
    await asyncio.gather(
        *(place.until(MoveState.MOVED, person=each) for each in ("anna", "bob")),
    )
    for person in ("anna", "bob"):
        assert place.move(person).state is MoveState.MOVED
    place.order("undo")
    for person in ("anna", "bob"):
        await place.until(MoveState.UNDONE, person=person)
        assert place.move(person).state is MoveState.UNDONE
