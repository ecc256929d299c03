"""Mail comes to the new account before its move is through: from then on nothing gives it up that
would leave that mail behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret
from mailhaul.journey import orders
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import KEEP, StepState
from mailhaul.providers.actions import Action, Add
from mailhaul.providers.extras import Redirection
from mailhaul.providers.provider import Task
from mailhaul.providers.saga import Part
from mailhaul.providers.service import AccountState, Verb
from tests.journey.account_house import ANNA, DOMAIN, AccountHouse
from tests.journey.house import letter
from tests.providers.memory import Fault
from tests.providers.memory_provider import MemoryProvider

MAIL = ["anna-one", "anna-three", "anna-two"]


def recalled(place: AccountHouse) -> None:
    place.order("undo")


def cancelled(place: AccountHouse) -> None:
    place.house.order(orders.cancel, undo=False)


TURNED: list[tuple[str, Callable[[AccountHouse], None]]] = [
    ("a person takes it back", recalled),
    ("its mailbox is cancelled", cancelled),
]


async def arrived(place: AccountHouse, *mail: str) -> MoveRow:
    """Up to the moment when the address is at the target, and mail has come there."""
    place.old.extras.append(Redirection(ANNA, "far@elsewhere.example", copy=True))
    await place.agreed()
    while not any(step.kind == Part.ARRIVE and step.ended_at for step in place.steps()):
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    for each in mail:
        assert place.hoster.deliver(ANNA, letter(each)) == [ANNA]
    return place.move()


@pytest.mark.parametrize(("name", "turn"), TURNED, ids=[each[0] for each in TURNED])
async def test_mail_that_has_come_meanwhile_stays_where_its_owner_finds_it(
    name: str, turn: Callable[[AccountHouse], None], tmp_path: Path
) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place, "new")
    turn(place)
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.FAILED, row.reason
    assert "1 message has arrived in the new account" in row.reason
    assert place.mail(place.new) == ["new"]


@pytest.mark.parametrize(("name", "turn"), TURNED, ids=[each[0] for each in TURNED])
async def test_where_none_has_come_it_is_taken_back(
    name: str, turn: Callable[[AccountHouse], None], tmp_path: Path
) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place)
    turn(place)
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.mail(place.old) == MAIL
    assert place.new.found(ANNA) is None


async def test_it_goes_on_without_what_the_target_refuses(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place, "new")
    place.new.arm(Fault.REFUSED)
    row = await place.until(MoveState.MOVED, MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.MOVED, row.reason
    assert StepState.LEFT in {each.state for each in place.steps()}
    await place.synced()
    assert place.mail(place.new) == [*MAIL, "new"]
    assert place.old.found(f"anna01@{DOMAIN}") is not None


async def test_a_step_that_the_provider_forbids_is_left_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place, "new")
    while place.steps()[-2].ended_at is None:
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    monkeypatch.setattr(MemoryProvider, "begin", forbidden)
    row = await place.until(MoveState.MOVED, MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.FAILED, row.reason
    assert place.steps()[-1].state is StepState.BEGUN
    place.order("retry", actor="lee", leave=True)
    row = await place.until(MoveState.MOVED, MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.MOVED, row.reason
    assert [each.kind for each in place.steps() if each.state is StepState.LEFT] == [Part.FOLLOW]


async def forbidden(
    self: MemoryProvider, action: Action, key: str, secret: Secret | None = None
) -> Task:
    raise Closed("the token has not that right", ClosedReason.FORBIDDEN)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("new", Part.RENAME),
        ("new", Part.ARRIVE),
        ("create", Part.ARRIVE),
        ("legacy", KEEP),
        ("legacy", Part.HAND_OVER),
    ],
)
async def test_without_its_main_steps_a_move_does_not_go_on(
    path: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = AccountHouse(tmp_path, path)
    await place.agreed()
    while not any(step.kind == kind for step in place.steps()):
        await place.house.run(place.move())
    before = next(each.position for each in place.steps() if each.kind == kind)
    while before and place.steps()[before - 1].ended_at is None:
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    with monkeypatch.context() as patched:
        patched.setattr(MemoryProvider, "begin", forbidden)
        if kind == KEEP:
            place.house.wrong["anna"] = unreadable
        row = await place.until(MoveState.MOVED, MoveState.FAILED, MoveState.UNDONE)
    place.house.wrong.clear()
    assert row.state is MoveState.FAILED, row.reason
    with pytest.raises(BadInput, match="mailhaul accounts retry without --leave"):
        place.order("retry", actor="lee", leave=True)
    assert place.move() == row
    assert StepState.LEFT not in {each.state for each in place.steps()}
    place.order("retry", actor="lee")
    row = await place.until(MoveState.MOVED, MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.MOVED, row.reason


def unreadable(side: str, operation: str, folder: str) -> None:
    if operation == "open":
        raise Closed("it speaks another protocol", ClosedReason.PROTOCOL)


async def test_a_person_has_it_taken_back_once_that_mail_is_elsewhere(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place, "new")
    recalled(place)
    await place.until(MoveState.FAILED, MoveState.UNDONE)
    found = place.new.found(ANNA)
    assert found is not None
    found.box = type(found.box)()
    place.order("undo")
    row = await place.until(MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.mail(place.old) == MAIL


@pytest.mark.parametrize("through", [False, True])
async def test_mail_that_comes_while_it_is_taken_back_is_seen(
    through: bool, tmp_path: Path
) -> None:
    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place)
    if through:
        await place.until(MoveState.MOVED)
    recalled(place)
    while not any(step.part == "undo" for step in place.steps()):
        await place.house.run(place.move())
    assert ANNA in place.hoster.deliver(ANNA, letter("new"))
    row = await place.until(MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.FAILED, row.reason
    assert "take them out by hand" in row.reason
    assert place.mail(place.new) == ["new"]
    found = place.new.found(ANNA)
    assert found is not None
    found.box = type(found.box)()
    place.order("retry", actor="lee")
    row = await place.until(MoveState.FAILED, MoveState.UNDONE)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.mail(place.old) == MAIL


# what was begun, and of which nothing was heard


def configured_by_hand(place: AccountHouse) -> None:
    account = place.new.found(place.move().placeholder)
    assert account is not None
    account.address, account.state = f"carl@{DOMAIN}", AccountState.CONFIGURED


def made_by_hand(place: AccountHouse) -> None:
    place.new.account(ANNA)


def temporary_taken(place: AccountHouse) -> None:
    place.old.account(place.move().temporary)


UNHEARD = [
    ("the placeholder is somebody else's", "new", Part.ARRIVE, configured_by_hand),
    ("somebody makes the address at the target", "new", Part.ARRIVE, made_by_hand),
    ("somebody takes the temporary name", "old", Part.RENAME, temporary_taken),
]


@pytest.mark.parametrize(
    ("name", "service", "part", "meanwhile"), UNHEARD, ids=[each[0] for each in UNHEARD]
)
async def test_what_others_did_after_a_lost_request_is_not_taken_back(
    name: str,
    service: str,
    part: Part,
    meanwhile: Callable[[AccountHouse], None],
    tmp_path: Path,
) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    while not any(step.kind == part for step in place.steps()):
        await place.house.run(place.move())
    while not any(step.kind == part and step.begun_at for step in place.steps()):
        if next(step for step in place.steps() if step.ended_at is None).kind == part:
            place.hoster.service(service).arm(Fault.REQUEST_LOST)
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    meanwhile(place)
    there = place.addresses(place.new)
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.UNDONE, row.reason
    assert place.mail(place.old) == MAIL
    assert place.addresses(place.new) == there


async def test_what_the_provider_can_do_no_more_is_a_refusal(tmp_path: Path) -> None:
    place = AccountHouse(tmp_path)
    await place.agreed()
    while not any(step.kind == Part.RENAME and step.ended_at for step in place.steps()):
        row = place.move()
        place.house.hand.time = max(place.house.hand.time, row.due_at or 0.0)
        await place.house.run(row)
    place.new.verbs -= {Verb.CONFIGURE}
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.UNDONE, row.reason
    assert "can't do this: configure placeholders" in row.reason
    assert place.mail(place.old) == MAIL


async def test_it_goes_on_without_what_a_provider_finds_senseless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = MemoryProvider.begin

    async def begin(
        self: MemoryProvider, action: Action, key: str, secret: Secret | None = None
    ) -> Task:
        if isinstance(action, Add) and isinstance(action.extra, Redirection):
            raise BadInput("nobody of that address is on this service")
        return await began(self, action, key, secret)

    place = AccountHouse(tmp_path, accounts={"extras": "carry"})
    await arrived(place, "new")
    monkeypatch.setattr(MemoryProvider, "begin", begin)
    row = await place.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED)
    assert row.state is MoveState.MOVED, row.reason
    (left,) = [each for each in place.steps() if each.state is StepState.LEFT]
    assert "nobody of that address" in left.said
