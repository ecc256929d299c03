"""The way back: ordered by a named person, carried until nothing can come any more, then synced."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from mailhaul.cli.installation import Installation
from mailhaul.cli.report import _folders as folders_of
from mailhaul.core.errors import BadInput, Closed, ClosedReason, Disconnected, RetryLater
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.message import NO_FLAGS
from mailhaul.engine.outcomes import Fate
from mailhaul.journey import orders
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.ledgers import read_ledger
from mailhaul.journey.orders import Selection
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.status import status
from mailhaul.journey.turning_back import turn_back
from mailhaul.plan.model import Gates, Sweeps
from tests.journey.house import HOUR, House, letter, plan_of
from tests.journey.played_zones import NEW, OLD, PlayedZones
from tests.servers.postgres import Postgres

SWEEPS = Sweeps(every=timedelta(hours=1), for_=timedelta(hours=5), until_quiet=2)


def house(directory: Path, database_url: str | None = None, **settings: object) -> House:
    settings.setdefault("sweeps", SWEEPS)
    return House(directory, plan_of(**settings), database_url=database_url)


async def switched(found: House) -> House:
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    return found


def arrives(found: House, name: str, *, old: bool = False) -> None:
    mailboxes = found.sources if old else found.targets
    when = datetime.fromtimestamp(found.hand.time, UTC)
    mailboxes["anna"].deliver(letter(name), INBOX_PATH, NO_FLAGS, when)


def subjects(found: House, *, old: bool = False) -> list[str]:
    mailboxes = found.sources if old else found.targets
    data = (each.data for each in mailboxes["anna"].messages(INBOX_PATH))
    return sorted(each.split(b"\r\n")[0].decode().removeprefix("Subject: ") for each in data)


def go_back(found: House, **more: object) -> orders.Result:
    return found.order(turn_back, who="Kim", login="kim", **more)  # type: ignore[no-any-return]


async def test_what_arrived_goes_back_until_nothing_comes_any_more(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "stray", old=True)
    arrives(found, "new one")
    await found.drive(hours=2)
    figures = found.row()
    result = go_back(found)
    assert result.done == ["anna@x"]
    assert "bring back the old ones yourself" in result.remarks[0]
    began = found.hand.time
    await found.drive(hours=1)
    assert subjects(found, old=True) == subjects(found)
    arrives(found, "late one")
    assert "looked for until" in found.row().reason
    await found.drive(State.SYNCED)
    assert timedelta(hours=5) <= timedelta(seconds=found.hand.time - began) < timedelta(hours=7)
    row = found.row()
    assert (row.left_out, row.sweeps, row.quiet_sweeps) == (True, 0, 0)
    assert subjects(found, old=True) == subjects(found)
    # The row's figures are those of the way there, until a pass there has been again.
    assert (row.census, row.copied, row.octets) == (4, figures.copied, figures.octets)
    told = [each for each in found.told() if each.record.action == "turned_back"]
    assert (told[0].record.actor, told[0].record.figures["login"]) == ("Kim", "kim")


async def test_back_again_it_waits_for_a_go_of_its_own(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "one")
    go_back(found)
    await found.drive(State.SYNCED)
    arrives(found, "two", old=True)
    await found.drive(hours=48)
    assert found.row().state is State.SYNCED
    assert (found.row().copied, found.row().adopted, found.row().census) == (4, 1, 5)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    arrives(found, "three")
    go_back(found)
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    assert found.row().grade == "perfect"
    everything = sorted(["one", "two", "three"] * 1 + ["anna-one", "anna-two", "anna-three"])
    assert subjects(found) == subjects(found, old=True) == everything


async def test_a_verified_mailbox_can_return_and_a_completed_one_can_not(tmp_path: Path) -> None:
    found = house(tmp_path)
    found = await switched(found)
    await found.drive(State.VERIFIED)
    arrives(found, "one")
    go_back(found)
    assert (found.row().state, found.row().grade) == (State.RETURNING, "")
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    found.order(orders.complete, who="Kim", selection=Selection(mailboxes=("anna@x",)))
    left = go_back(found).left
    assert [each.why for each in left] == ["it is completed: there is no way back any more"]


async def test_given_twice_and_before_the_switch_it_does_nothing(tmp_path: Path) -> None:
    found = house(tmp_path)
    await found.drive(State.SYNCED)
    assert go_back(found).left[0].why == "it is synced: its mail has not been switched"
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    assert go_back(found).done
    assert go_back(found).left[0].why == "it is on its way back already"


async def test_only_who_may_open_the_gate_may_turn_back(tmp_path: Path) -> None:
    found = house(tmp_path, gates=Gates(go=("Kim",)))
    await found.drive(State.SYNCED)
    found.open(Gate.GO)
    await found.drive(State.SWEEPING)
    with pytest.raises(BadInput, match="may not open"):
        found.order(turn_back, who="Mallory", login="m")
    assert go_back(found).done


async def test_it_is_paused_and_resumed_and_goes_on(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "one")
    found.order(orders.pause, selection=Selection(mailboxes=("anna@x",)))
    assert go_back(found).done, "what was paused after the switch"
    found.order(orders.pause, selection=Selection(mailboxes=("anna@x",)))
    assert go_back(found).left[0].why == "it is on its way back already"
    found.order(orders.resume, selection=Selection(mailboxes=("anna@x",)))
    await found.drive(State.SYNCED)
    assert "one" in subjects(found, old=True)


@pytest.mark.parametrize("error", [Disconnected("cut"), RetryLater("not now", after=5.0)])
async def test_trouble_that_passes_is_waited_for(tmp_path: Path, error: Exception) -> None:
    found = await switched(house(tmp_path))
    for number in range(3):
        arrives(found, f"{number}")
    times = 0

    def wrong(side: str, operation: str, folder: str) -> None:
        nonlocal times
        if (side, operation) == ("source", "after append"):
            times += 1
            if times % 2:
                raise error

    found.wrong["anna"] = wrong
    go_back(found)
    await found.drive(State.SYNCED)
    assert times > 1
    assert subjects(found, old=True) == subjects(found)


async def test_what_stops_it_says_which_side_and_is_tried_again_when_asked(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "one")

    def full(side: str, operation: str, folder: str) -> None:
        if (side, operation) == ("source", "before append"):
            raise Closed("the mailbox is full", ClosedReason.FULL)

    found.wrong["anna"] = full
    go_back(found)
    await found.drive(State.FAILED)
    assert found.row().reason == "source: the mailbox is full"
    found.wrong.clear()
    found.order(orders.retry)
    await found.drive(State.SYNCED)
    assert "one" in subjects(found, old=True)


async def test_credentials_that_the_old_side_refuses_wait_for_others(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "one")
    found.passwords["anna-source"] = "changed"
    go_back(found)
    await found.drive(State.WAITING)
    assert found.row().refused_secret == "source:right"
    found.secrets["anna-source"] = "changed"
    await found.drive(State.SYNCED)
    assert "one" in subjects(found, old=True)


async def test_passes_back_are_of_the_accounting_and_are_not_undone(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    arrives(found, "one")
    go_back(found)
    await found.drive(hours=1)
    passes = [each for each in found.rows("passes") if each.kind == "return"]
    assert (passes[0].carried, passes[0].census, passes[0].outcome) == (1, 4, "complete")
    asked = found.order(orders.request_undo, number=passes[0].number)
    assert "has carried mail back" in asked.left[0].why
    with read_ledger(found.database, found.directory, found.row(), back=True) as back:
        (folder,) = back.folders()
        rows = {each.fate: each for each in back.rows(folder)}
        assert rows[Fate.COPIED].digest is not None
    reported = [
        (each.mailbox, message.fate, message.reason)
        for each in folders_of(cast("Installation", found), [found.row()])
        for message in each.messages
        if each.mailbox.endswith("(way back)")
    ]
    assert reported.count(("anna@x (way back)", "copied", "")) == 1
    assert all(fate == "copied" or why for _, fate, why in reported)
    found.order(orders.cancel, undo=True)
    await found.drive(State.ROLLED_BACK)
    assert subjects(found) == ["one"], "what arrived there by itself stays"
    assert subjects(found, old=True) == ["anna-one", "anna-three", "anna-two", "one"]


async def test_a_worker_that_dies_loses_and_doubles_nothing(tmp_path: Path) -> None:
    found = await switched(house(tmp_path))
    for number in range(4):
        arrives(found, f"{number}")

    class Death(BaseException):
        pass

    appended = 0

    def dies(side: str, operation: str, folder: str) -> None:
        nonlocal appended
        if (side, operation) == ("source", "after append"):
            appended += 1
            if appended == 2:
                raise Death

    found.wrong["anna"] = dies
    go_back(found)
    with pytest.raises(Death):
        await found.drive(State.SYNCED)
    found.wrong.clear()
    await found.drive(State.SYNCED)
    assert subjects(found, old=True) == subjects(found)
    assert sum(each.carried for each in found.rows("passes") if each.kind == "return") >= 3


async def with_records(
    directory: Path, zones: PlayedZones, until: State = State.SWEEPING, **more: Any
) -> House:
    """A plan with [dns] after its switch."""
    sweeps = Sweeps(every=timedelta(hours=1), for_=timedelta(hours=48), until_quiet=2)
    dns = {"mx": (NEW,), "ttl": "5m", "every": "15m"}
    plan = plan_of(dns=dns, sweeps=sweeps)
    found = House(directory, plan, zones=zones, domain=zones.name, **more)
    for person in found.people:
        await found.drive(State.SYNCED, person=person)
    zones.lower(300)
    for hours in (1, 25):
        found.hand.time += hours * HOUR
        await found.run(found.zone())
    found.open(Gate.GO)
    for person in found.people:
        await found.drive(until, person=person)
    zones.spread()
    return found


async def test_the_records_go_back_and_the_passes_end_by_what_the_servers_say(
    tmp_path: Path,
) -> None:
    zones = PlayedZones("acme.example")
    found = await with_records(tmp_path, zones)
    assert zones.primary.values == (NEW,)
    arrives(found, "one")
    said = go_back(found).remarks
    assert said == ["acme.example: its old records are brought back"]
    assert found.zone().state is DomainState.RETURNING
    began = found.hand.time
    await found.drive(State.SYNCED)
    assert zones.primary.values == (OLD,)
    assert found.zone().state is DomainState.RETURNED
    assert subjects(found, old=True) == subjects(found)
    hours = (found.hand.time - began) / HOUR
    assert hours < 5, "the caches had let go long before the sweeps' 48 hours"


async def test_while_a_server_still_says_new_the_passes_go_on(tmp_path: Path) -> None:
    zones = PlayedZones("acme.example")
    found = await with_records(tmp_path, zones)
    lagging = zones.primary

    def behind(moment: str) -> None:
        zones.views["secondary"] = lagging

    zones.wrong = behind
    go_back(found)
    await found.drive(hours=60)
    assert found.row().state is State.RETURNING
    assert "not every server says old of acme.example: secondary" in found.row().reason
    with found.database.begin() as connection:
        stands = status(connection, plan_row(connection, found.number), found.hand.time)
    assert any("the way back goes on: not every server" in each.what for each in stands.waits)
    arrives(found, "late")
    zones.spread()
    await found.drive(State.SYNCED)
    assert "late" in subjects(found, old=True)


async def test_a_switch_that_is_not_made_yet_can_be_turned_back(tmp_path: Path) -> None:
    zones = PlayedZones("acme.example", by_hand=True)
    found = await with_records(tmp_path, zones, until=State.SYNCED)
    assert found.zone().state is DomainState.SWITCHING
    arrives(found, "by one of two records that were written")
    assert go_back(found).done == ["anna@acme.example"]
    await found.drive(State.SYNCED)
    assert found.zone().state is DomainState.RETURNED
    assert found.row().left_out
    assert subjects(found, old=True) == subjects(found)


async def test_who_stays_at_the_new_system_is_told(tmp_path: Path) -> None:
    zones = PlayedZones("acme.example")
    found = await with_records(tmp_path, zones, people=("anna", "bert"))
    result = go_back(found, selection=Selection(mailboxes=("anna@acme.example",)))
    assert result.done == ["anna@acme.example"]
    assert "sweeps go on carrying it" in result.remarks[1]
    await found.drive(State.SYNCED)
    assert found.row("bert").state is State.SWEEPING


async def test_a_dry_run_says_the_same_and_does_nothing(tmp_path: Path) -> None:
    zones = PlayedZones("acme.example")
    found = await with_records(tmp_path, zones)
    told = len(found.told())
    dry = go_back(found, dry=True)
    assert (found.row().state, len(found.told())) == (State.SWEEPING, told)
    assert go_back(found) == dry


async def test_on_postgresql_it_is_the_same(
    tmp_path: Path, postgres: Postgres, record_property: Callable[[str, object], None]
) -> None:
    found = await switched(house(tmp_path, postgres.database()))
    arrives(found, "one")
    go_back(found)
    await found.drive(State.SYNCED)
    arrives(found, "two", old=True)
    found.open(Gate.GO)
    await found.drive(State.VERIFIED)
    assert found.row().grade == "perfect"
    assert subjects(found) == subjects(found, old=True)
    assert (found.row().copied, found.row().adopted) == (4, 1)
