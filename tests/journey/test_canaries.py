"""Canary mail of a plan: who is asked and sent to, when, how fast; what the gate makes of it; where
messages come out; and that nothing is sent twice, whenever whoever sends it is killed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete

from mailhaul.canary.codes import Code
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Act, Via
from mailhaul.core.errors import Busy, Closed, ClosedReason, RetryLater
from mailhaul.core.folder import INBOX_PATH
from mailhaul.db import tables
from mailhaul.journey import canaries
from mailhaul.journey.canary_account import CanaryFigures, canary_figures, canary_shown
from mailhaul.journey.canary_rows import CanaryRow, Stage, canaries_of
from mailhaul.journey.canary_wants import want
from mailhaul.journey.clock import HandClock
from mailhaul.journey.domain_orders import chosen_domains, recall, say_done
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.gates import Shut
from mailhaul.journey.opening import BudgetedOpener
from mailhaul.journey.plans import plan_row
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.plan.model import Budget, Sweeps, System
from tests.journey.house import BEGIN, HOUR, House, plan_of
from tests.journey.played_post import PlayedPost
from tests.journey.played_zones import NEW, PlayedZones
from tests.journey.test_reconciler import shop_of, worked
from tests.servers.postgres import Postgres

DOMAIN = "acme.example"
ANNA = f"anna@{DOMAIN}"
DAY = 24 * HOUR


class KilledError(BaseException):
    """kill -9, as far as a process can do that to itself."""


def house(directory: Path, **more: Any) -> tuple[House, PlayedZones, PlayedPost]:
    """A plan with canary mail. The MX of now leads to the new mailbox, the old host to the old."""
    people = more.pop("people", ("anna",))
    database = more.pop("database", None)
    dns = {"mx": (NEW,), "ttl": "5m", "every": "30m", **more.pop("dns", {})}
    canary = more.pop("canary", {"on": True, "per_minute": 10})
    sweeps = Sweeps.model_validate({"every": "1h", "for": "48h", "until_quiet": 2})
    hand, zones = HandClock(BEGIN), PlayedZones(DOMAIN)
    zones.lower(300)
    post = PlayedPost(lambda: hand.time)
    place = House(
        directory,
        plan_of(dns=dns, canary=canary, sweeps=sweeps, **more),
        people=people,
        database_url=database,
        hand=hand,
        zones=zones,
        post=post,
        domain=DOMAIN,
    )
    post.into = {Via.MX: place.targets, Via.OLD: place.sources, Via.FILTER: place.targets}
    return place, zones, post


async def switched(place: House, zones: PlayedZones) -> None:
    """Gone, and every server says new."""
    await place.drive(hours=2)
    place.open(Gate.GO)
    zones.wrong = lambda moment: zones.spread() if moment == "after writing" else None
    await place.drive(State.SWEEPING)
    assert place.zone().state is DomainState.SWITCHED


def rows(place: House) -> list[CanaryRow]:
    with place.database.begin() as connection:
        return canaries_of(connection, place.number)


def one(place: House, via: Via, act: Act, *, after: bool) -> CanaryRow:
    (found,) = [r for r in rows(place) if (r.via, r.kind, r.era.switched) == (via, act, after)]
    return found


def figures(place: House) -> CanaryFigures:
    with place.database.begin() as connection:
        (found,) = canary_figures(connection, plan_row(connection, place.number))
    return found


def subjects(place: House, side: str = "target", person: str = "anna") -> list[str]:
    """The first lines of what lies there."""
    mailbox = getattr(place, f"{side}s")[person]
    return [each.data.split(b"\r\n")[0].decode() for each in mailbox.messages(INBOX_PATH)]


def canaries_in(place: House, side: str) -> int:
    mailbox = getattr(place, f"{side}s")["anna"]
    return sum(b"Mailhaul-Canary: " in each.data for each in mailbox.messages(INBOX_PATH))


def lacking(place: House) -> tuple[str, ...]:
    try:
        place.open(Gate.GO)
    except Shut as error:
        return error.lacking
    return ()


@pytest.mark.parametrize("canary", [{"on": False}, None], ids=["off", "no section"])
async def test_without_a_word_in_the_plan_nothing_at_all_happens(
    canary: dict[str, Any] | None, tmp_path: Path
) -> None:
    place, zones, post = house(tmp_path, canary=canary)
    await switched(place, zones)
    await place.drive(State.VERIFIED)
    assert (post.asked, post.sent, place.rows("canary")) == ([], [], [])


async def test_before_the_switch_every_address_is_asked_about_and_the_old_host_sent_one(
    tmp_path: Path,
) -> None:
    place, _, post = house(tmp_path, people=("anna", "bob"))
    await place.drive(hours=2)
    everybody = {ANNA, f"bob@{DOMAIN}"}
    asked = {via: {a for _, v, who in post.asked if v is via for a in who} for via in Via}
    assert asked == {Via.NEW: everybody, Via.OLD: everybody, Via.MX: set(), Via.FILTER: set()}
    ((_, via, _),) = post.sent
    assert via is Via.OLD
    found = figures(place)
    assert (found.wanted, found.asked, found.accepted, found.refused) == (2, 2, 2, 0)
    assert (found.sent, found.by_old, found.by_old_at_old) == (0, 1, 1)
    (finding,) = canary_shown(one(place, Via.OLD, Act.SEND, after=False)).findings
    assert finding.code == Code.OLD_HOST_WORKS


async def test_nobody_is_named_faster_than_the_plan_says(tmp_path: Path) -> None:
    people = tuple(f"p{number}" for number in range(25))
    place, _, post = house(tmp_path, people=people)
    await place.drive(hours=3, person="p0")
    named = sorted(
        [(at, len(who) + 1) for at, _, who in post.asked] + [(at, 1) for at, *_ in post.sent]
    )
    assert sum(count for _, count in named) >= 2 * 25 + 1
    for (at, count), (later, _) in pairwise(named):
        assert later - at >= count * 6 - 0.001


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("everybody is known", [Verdict.ACCEPTED], ()),
        ("one is refused", [Verdict.REFUSED], ("the host says",)),
        ("one is put off", [Verdict.TEMPORARY, Verdict.ACCEPTED], ()),
        ("one is put off all the time", [Verdict.TEMPORARY], ()),
        ("one was refused and has been created since", [Verdict.REFUSED, Verdict.ACCEPTED], ()),
    ],
)
async def test_whom_the_new_system_refuses_the_gate_names(
    name: str, said: list[Verdict], expected: tuple[str, ...], tmp_path: Path
) -> None:
    place, _, post = house(tmp_path, people=("anna", "bob"))
    post.verdicts[Via.NEW, ANNA] = said
    await place.drive(hours=2)
    found = lacking(place)
    assert len(found) == len(expected)
    if expected:
        (why,) = found
        assert "550 5.1.1 user unknown" in why
        assert f": new.example (192.0.2.9): {ANNA}" in why
        assert "bob" not in why
        place.open(Gate.GO, despite="she left")
        (override,) = place.rows("override")
        assert (override.given_by, override.why) == ("Kim", "she left")


async def test_who_has_not_been_asked_about_keeps_the_gate_shut(tmp_path: Path) -> None:
    place, _, post = house(tmp_path)

    def away(moment: str) -> None:
        raise RetryLater("no resolver answers")

    post.wrong = away
    await place.drive(hours=2)
    (why,) = lacking(place)
    assert "1 of 1 addresses are still to be asked about at the new system" in why
    post.wrong = lambda moment: None
    await place.drive(hours=2)
    assert lacking(place) == ()


async def test_after_the_switch_a_message_to_each_arrives_and_is_removed(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    await switched(place, zones)
    await place.drive(hours=2)
    assert Counter(via for _, via, _ in post.sent) == {Via.OLD: 2, Via.MX: 1}
    assert canaries_in(place, "target") == 0
    found = figures(place)
    assert found.switched
    assert (found.sent, found.arrived, found.at_old, found.lost, found.under_way) == (1, 1, 0, 0, 0)
    assert found.seconds == (2.0,)
    shown = canary_shown(one(place, Via.MX, Act.SEND, after=True))
    assert [each.code for each in shown.findings] == [Code.CANARY_ARRIVED]
    old = canary_shown(one(place, Via.OLD, Act.SEND, after=True))
    assert [each.code for each in old.findings] == [Code.OLD_HOST_DELIVERS]
    assert (found.by_old, found.by_old_at_old, found.left) == (1, 1, 1)


async def test_nothing_is_sent_by_a_name_that_caches_may_hold_the_old_records_of(
    tmp_path: Path,
) -> None:
    place, zones, post = house(tmp_path)
    await place.drive(hours=2)
    place.open(Gate.GO)
    await place.drive(State.SWEEPING)
    zones.spread()
    zones.views["cache"] = replace(zones.primary, values=("10 mx.old.example",), ttl=86_400)
    begun = place.hand.time
    await place.drive(hours=0.05)
    assert Via.MX not in {via for _, via, _ in post.sent}
    await place.drive(hours=2)
    released = place.zone().released_at
    assert released is not None
    ((at, _, _),) = [each for each in post.sent if each[1] is Via.MX]
    assert at >= min(released, place.zone().settled_at or released)
    assert begun < at


async def test_one_that_comes_out_nowhere_is_told_and_looked_for_until_the_next_day(
    tmp_path: Path,
) -> None:
    place, zones, post = house(tmp_path)
    post.into[Via.MX] = {}
    await switched(place, zones)
    await place.drive(hours=2)
    assert figures(place).lost == 1
    row = one(place, Via.MX, Act.SEND, after=True)
    assert [each.code for each in canary_shown(row).findings] == [Code.CANARY_MISSING]
    assert row.stage is Stage.SOUGHT
    await place.drive(hours=26)
    assert one(place, Via.MX, Act.SEND, after=True).stage is Stage.OVER
    assert Counter(via for _, via, _ in post.sent)[Via.MX] == 1


async def test_what_sweeps_carry_of_it_is_removed_and_the_grade_is_none_the_worse(
    tmp_path: Path,
) -> None:
    """It lies in the old mailbox before and after the switch; nobody takes it out there."""
    place, zones, _ = house(tmp_path)
    await switched(place, zones)
    await place.drive(State.VERIFIED)
    row = place.row()
    assert canaries_in(place, "source") == 2
    assert canaries_in(place, "target") == 0
    assert row.copied == 5, "both were carried, once"
    assert (row.grade, row.reason) == ("perfect", "")
    assert place.rows("difference") == []
    assert sorted(subjects(place)) == sorted(
        each for each in subjects(place, "source") if each.startswith("Subject: anna")
    )


async def test_what_somebody_removed_at_the_target_is_still_told(tmp_path: Path) -> None:
    place, zones, _ = house(tmp_path)
    await switched(place, zones)
    target = place.targets["anna"]
    target.expunge(target.messages(INBOX_PATH)[0].uid, path=INBOX_PATH)
    await place.drive(State.VERIFIED)
    row = place.row()
    assert (row.grade, row.reason) == (
        "good",
        "1 messages no longer there: removed at the target since",
    )


async def test_behind_a_filter_only_the_filter_is_spoken_to(tmp_path: Path) -> None:
    place, _, post = house(tmp_path, dns={"filter": "Example Filter"})
    await place.drive(hours=2)
    assert {via for _, via, _ in post.asked} == {Via.FILTER}
    assert post.sent == []
    place.open(Gate.GO, despite="it is night")
    with place.database.begin() as connection:
        plan = plan_row(connection, place.number)
        say_done(connection, plan, "", "forward", who="Kim", login="kim", at=place.hand.time)
    await place.drive(State.SWEEPING)
    await place.drive(hours=2)
    assert [via for _, via, _ in post.sent] == [Via.FILTER]
    assert figures(place).arrived == 1


async def test_a_domain_that_is_returned_begins_anew(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    await switched(place, zones)
    await place.drive(hours=2)
    asked, sent = len(post.asked), len(post.sent)
    with place.database.begin() as connection:
        plan = plan_row(connection, place.number)
        recall(connection, plan, chosen_domains(connection, plan), who="Kim", at=place.hand.time)
    await place.drive(hours=2)
    assert place.zone().state is DomainState.RETURNED
    assert {via for _, via, _ in post.asked[asked:]} == {Via.NEW, Via.OLD}
    assert [via for _, via, _ in post.sent[sent:]] == [Via.OLD]
    assert not figures(place).switched


async def test_only_addresses_of_the_plans_domains_are_named(tmp_path: Path) -> None:
    place, _, post = house(tmp_path, dns={"domains": ("other.example",)})
    assert place.zones is not None
    await place.drive(hours=2)
    assert (post.asked, post.sent, rows(place)) == ([], [], [])


async def test_greylisting_is_waited_out_and_the_message_goes_once(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    post.verdicts[Via.MX, ANNA] = [Verdict.TEMPORARY, Verdict.TEMPORARY, Verdict.ACCEPTED]
    await switched(place, zones)
    await place.drive(hours=2)
    assert Counter(via for _, via, _ in post.sent)[Via.MX] == 1
    assert figures(place).arrived == 1


async def test_a_host_that_never_takes_it_is_left_alone_after_some_tries(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    post.verdicts[Via.MX, ANNA] = [Verdict.TEMPORARY]
    await switched(place, zones)
    await place.drive(hours=12)
    row = one(place, Via.MX, Act.SEND, after=True)
    assert (row.stage, row.outcome) == (Stage.OVER, "not sent")
    assert [each.code for each in canary_shown(row).findings] == [Code.NOT_NOW]
    assert figures(place).unsent == 1


async def test_while_the_new_mailbox_cant_be_opened_nothing_is_sent_to_it(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    await switched(place, zones)

    def shut(side: str, operation: str, folder: str) -> None:
        if side == "target" and operation == "open":
            raise Closed("the server is away", ClosedReason.UNREACHABLE)

    place.wrong["anna"] = shut
    before = len(post.sent)
    await place.drive(hours=0.3)
    assert len(post.sent) == before
    del place.wrong["anna"]
    await place.drive(hours=2)
    assert figures(place).arrived == 1


async def test_an_old_mailbox_that_is_closed_hides_nothing_of_the_new_one(tmp_path: Path) -> None:
    place, zones, _ = house(tmp_path)
    await switched(place, zones)

    def shut(side: str, operation: str, folder: str) -> None:
        if side == "source" and operation == "open":
            raise Closed("the old server is gone", ClosedReason.UNREACHABLE)

    place.wrong["anna"] = shut
    await place.drive(hours=2)
    assert figures(place).arrived == 1
    assert canaries_in(place, "target") == 0


# kill -9

MOMENTS = ("before", "after")


class Killing:
    """A database that kills whoever uses it the nth time: before the transaction, or after it."""

    def __init__(self, inner: Any, number: int, moment: str) -> None:
        self.inner, self.left, self.moment = inner, number, moment
        self.killed = False

    async def run(self, work: Callable[..., Any]) -> Any:
        self.left -= 1
        if self.left == 0 and self.moment == "before":
            self.killed = True
            raise KilledError
        done = await self.inner.run(work)
        if self.left == 0:
            self.killed = True
            raise KilledError
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def survived(act: Callable[[], Awaitable[None]]) -> None:
    """Goes on after the kill, as another process does."""
    try:
        await act()
    except KilledError:
        await act()


async def gone_through(
    directory: Path, prepare: Callable[[House, PlayedPost], Any], *, later: bool = False
) -> Any:
    """One address from the first probe to its messages' removal, killed as `prepare` has it: from
    the beginning, or `later`, from the switch on."""
    place, zones, post = house(directory)
    killing = None if later else prepare(place, post)
    await survived(lambda: place.drive(hours=1))
    place.open(Gate.GO)
    zones.wrong = lambda moment: zones.spread() if moment == "after writing" else None
    await place.drive(State.SWEEPING)
    if later:
        killing = prepare(place, post)
    await survived(lambda: place.drive(hours=3))
    tokens = [token for _, _, token in post.sent]
    assert len(tokens) == len({*tokens}), "nothing is sent twice"
    # Whoever comes after the kill can't know that one was not sent: it is looked for, and missed.
    messages = {row.token: row for row in rows(place) if row.kind is Act.SEND}
    missed = [row for row in messages.values() if row.outcome == "in neither mailbox"]
    assert len(messages) == 3
    assert {*messages} - {*tokens} == {row.token for row in missed}
    assert len(missed) <= 1
    assert canaries_in(place, "target") == 0
    row = one(place, Via.MX, Act.SEND, after=True)
    assert row in missed or (row.stage, row.outcome) == (Stage.OVER, "arrived")
    assert one(place, Via.NEW, Act.ASK, after=False).verdict == "accepted"
    return killing


def killed_at(moment: str, time: int) -> Callable[[House, PlayedPost], Counter[str]]:
    """By what happens in the talk with a host, the nth time."""

    def prepare(place: House, post: PlayedPost) -> Counter[str]:
        seen: Counter[str] = Counter()

        def kill(now: str) -> None:
            seen[now] += 1
            if now == moment and seen[now] == time:
                raise KilledError

        post.wrong = kill
        return seen

    return prepare


@pytest.mark.parametrize(
    ("moment", "time", "later"),
    [
        ("before asking", 1, False),
        ("before asking", 2, False),
        ("after sending", 1, False),
        ("after sending", 1, True),
    ],
)
async def test_a_kill_while_a_host_is_spoken_to(
    moment: str, time: int, later: bool, tmp_path: Path
) -> None:
    seen = await gone_through(tmp_path, killed_at(moment, time), later=later)
    assert seen[moment] >= time


async def test_what_may_have_been_sent_is_looked_for_and_never_sent_again(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    await switched(place, zones)
    killed_at("before sending", 1)(place, post)
    await survived(lambda: place.drive(hours=4))
    assert [via for _, via, _ in post.sent] == [Via.OLD, Via.OLD]
    row = one(place, Via.MX, Act.SEND, after=True)
    assert (row.outcome, row.verdict) == ("in neither mailbox", "perhaps taken")
    assert canaries_in(place, "target") == 0


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("later", [False, True], ids=["before the switch", "after it"])
async def test_a_kill_at_every_transaction(moment: str, later: bool, tmp_path: Path) -> None:
    """Of canary mail: the others are killed in tests of their own."""
    for number in range(1, 16):

        def prepare(place: House, post: PlayedPost, number: int = number) -> Killing:
            killing = Killing(place.database, number, moment)

            async def tend(means: Any, run: Any) -> Any:
                return await canaries.tend(replace(means, database=killing), run)

            place.tend = tend
            return killing

        killing = await gone_through(tmp_path / str(number), prepare, later=later)
        assert killing.killed


async def test_a_worker_does_it_all_by_itself_and_waits_for_answers(tmp_path: Path) -> None:
    """Reconciler and engine: until people are waited for, and nobody's answer is."""
    place, zones, post = house(tmp_path, people=("anna", "bob"))
    zones.wrong = lambda moment: zones.spread() if moment == "after writing" else None
    await worked(place, shop_of(place))
    assert figures(place).accepted == 2
    assert lacking(place) == ()
    place.means.stopping.clear()
    await worked(place, shop_of(place))
    assert figures(place).arrived == 2
    tokens = [token for _, _, token in post.sent]
    assert len(tokens) == len({*tokens}) == 4
    assert canaries_in(place, "target") == 0
    assert {place.row(each).grade for each in place.people} == {"perfect"}


@pytest.mark.parametrize("first", [0, 1], ids=["a pass is at it", "a look is at it"])
async def test_a_pass_and_a_look_never_have_one_mailbox_open(first: int, tmp_path: Path) -> None:
    """Else whoever ends first would give back the other's connections."""
    one = System(url="imaps://{user}@old.example", budget=Budget(connections=8))
    place = House(tmp_path, plan_of().model_copy(update={"source": one}))
    with place.database.begin() as connection:
        plan = plan_row(connection, place.number)
    names = ("w1", "w1 aside")
    openers = [BudgetedOpener(place.database, place.hand.clock, name) for name in names]
    async with openers[first].admitted(plan, place.row(), rationed=False):
        with pytest.raises(Busy):
            async with openers[1 - first].admitted(plan, place.row(), rationed=False):
                raise AssertionError("both have it")
        assert len(place.rows("permit")) == 1
    async with openers[1 - first].admitted(plan, place.row(), rationed=False):
        assert len(place.rows("permit")) == 1


async def test_a_message_is_not_sent_while_its_mailbox_is_busy(tmp_path: Path) -> None:
    place, zones, post = house(tmp_path)
    await switched(place, zones)

    def occupied(*whom: Any, **how: Any) -> Any:
        raise Busy("all connections are in use")

    aside: Any = SimpleNamespace(admitted=occupied)
    place.means = replace(place.means, aside=aside)
    before = len(post.sent)
    await place.drive(hours=0.2)
    assert len(post.sent) == before
    place.means = replace(place.means, aside=None)
    await place.drive(hours=1)
    assert figures(place).arrived == 1


async def test_on_a_server_two_who_want_the_same_at_once_make_it_once(
    tmp_path: Path, postgres: Postgres
) -> None:
    place, zones, post = house(tmp_path, database=postgres.database())
    await place.drive(State.SYNCED, hours=0.01)
    with place.database.begin() as connection:
        connection.execute(delete(tables.canary))
    with place.database.begin() as first, ThreadPoolExecutor(1) as pool:
        plan = plan_row(first, place.number)
        made = want(first, plan, place.hand.time)

        def other() -> int:
            with place.database.begin() as second:
                return want(second, plan, place.hand.time)

        late = pool.submit(other)
        await asyncio.sleep(0.3)
        first.commit()
    assert late.result(10) in (0, made)
    assert len(rows(place)) == made == 3
    await switched(place, zones)
    await place.drive(hours=1)
    assert figures(place).arrived == 1
    assert len(post.sent) == 3
