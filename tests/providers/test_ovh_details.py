"""What only OVHcloud has: its evidence, its records, filters, requests that follow each other."""

import pathlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.dns.expected import Moment, Wanted
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.zone import Edit, Held, ZoneError, nothing
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.providers.actions import (
    Add,
    Configure,
    Create,
    HandOver,
    Lock,
    Release,
    Remove,
    Rename,
    Unlock,
)
from mailhaul.providers.extras import Filter, Redirection, Responder
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.ovh_answers import Fields
from mailhaul.providers.ovh_domains import hosted, recommended
from mailhaul.providers.ovh_filters import Rule, filter_of, rule_of
from mailhaul.providers.paths import Path, route
from mailhaul.providers.provider import Refused, TaskState, Unsupported
from mailhaul.providers.saga import ExtrasRule, Move, Needed, On, Part, steps, undoing
from mailhaul.providers.service import (
    Access,
    AccountState,
    DomainStatus,
    Generation,
    Mode,
    Verb,
)
from tests.journey.house import plan_of
from tests.providers.memory import MemoryHoster
from tests.providers.ovh_house import DOMAIN, OvhHouse, keys, moved_in, ovh_zone
from tests.providers.ovh_simulator import OvhCloud
from tests.providers.ovh_zones import Record
from tests.providers.suite import done, finished
from tests.providers.web_server import web_server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "offer", "generation", "evidence", "creates"),
    [
        ("ovh-domain", "", Generation.LEGACY, "its offer is “MXPLAN 100”", True),
        ("ovh-mxplan", "", Generation.NEW, "server model is “mxplan-1.mail.ovh.net”", False),
        ("ovh-pro", "", None, "its offer is “emailpro”", False),
        ("ovh-exchange", "hosted", None, "its offer is “hosted”", False),
        ("ovh-exchange", "provider", None, "its offer is “provider”", True),
    ],
)
async def test_a_service_shows_by_what_it_is_known(
    kind: str,
    offer: str,
    generation: Generation | None,
    evidence: str,
    creates: bool,
    stack: AsyncExitStack,
) -> None:
    house = await moved_in(stack, kind, offer)
    service = await house.provider.service()
    assert service.generation is generation
    assert any(evidence in line for line in service.evidence)
    assert (Verb.CREATE in service.verbs) is creates
    assert (service.free == 0) is (Verb.CONFIGURE in service.verbs and not creates)


async def test_the_contacts_are_those_of_the_service(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-exchange")
    told = await house.provider.contacts()
    assert (told.me, told.administrator, told.technical) == ("ab12345-ovh", "us-1", "us-1")


async def test_sizes_come_back_in_octets(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-exchange")
    state = house.state.account(f"big@{DOMAIN}", b"x" * 5000)
    state.access = frozenset({Access.POP, Access.SMTP})
    found = await house.provider.account(f"big@{DOMAIN}")
    assert found is not None
    assert (found.quota, found.used) == (5 << 30, 5 * 1024)
    assert found.access == frozenset({Access.POP, Access.SMTP})


async def test_a_password_is_set_before_the_account_has_its_name(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-exchange")
    placeholder, address = await house.placeholder(), f"ann@{DOMAIN}"
    action = Configure(placeholder, address, "Ann")
    lines = (await house.provider.plan(action)).lines
    assert [line.split(" ")[0] for line in lines] == ["POST", "PUT"]
    assert "changePassword" in lines[0]
    task = await house.provider.begin(action, "k", house.secret)
    assert house.state.found(address) is None
    assert (await finished(house, task)).state is TaskState.DONE
    assert house.state.found(address) is not None
    await done(house, Release(address, placeholder))
    # Whoever asks after the old task once more has nothing done by that.
    again = await house.provider.task(task.id)
    assert again.state is TaskState.DONE
    assert house.state.found(address) is None


async def test_a_placeholder_that_somebody_else_configures_meanwhile_ends_in_error(
    stack: AsyncExitStack,
) -> None:
    house = await moved_in(stack, "ovh-exchange")
    placeholder = await house.placeholder()
    action = Configure(placeholder, f"ann@{DOMAIN}")
    task = await house.provider.begin(action, "k", house.secret)
    theirs = house.state.found(placeholder)
    assert theirs is not None
    theirs.address = f"bob@{DOMAIN}"
    over = await finished(house, task)
    assert over.state is TaskState.ERROR
    assert "configured or removed it" in over.said or "another one be picked" in over.said
    assert house.state.found(f"ann@{DOMAIN}") is None


async def test_few_questions_begin_an_action_however_many_accounts_there_are(
    stack: AsyncExitStack,
) -> None:
    house = await moved_in(stack, "ovh-exchange")
    asked = []
    for number in (2, 40):
        for each in range(number):
            house.state.account(f"user{number}.{each}@{DOMAIN}")
        before = house.cloud.asked
        await house.provider.begin(Rename(f"user{number}.0@{DOMAIN}", f"new{number}@{DOMAIN}"), "k")
        asked.append(house.cloud.asked - before)
    # The clock is asked for once.
    assert asked[1] < asked[0] < 30


async def test_a_lock_is_seen_and_leaves_the_name_as_it_was(stack: AsyncExitStack) -> None:
    for kind in ("ovh-domain", "ovh-mxplan"):
        house = await moved_in(stack, kind)
        account = house.state.account(f"ann@{DOMAIN}", name="Ann Example")
        task = await done(house, Lock(account.address))
        assert account.name == "Ann Example (locked by mailhaul)"
        found = await house.provider.account(account.address)
        assert found is not None
        assert (found.state, found.name) == (AccountState.LOCKED, "Ann Example")
        await done(house, Unlock(account.address), secret=Secret("another pass"))
        assert (account.name, account.password) == ("Ann Example", "another pass")
        # Whoever asks after the old task once more has nothing done by that.
        await house.provider.task(task.id)
        assert account.name == "Ann Example"


@pytest.mark.parametrize("kind", ["ovh-domain", "ovh-mxplan"])
@pytest.mark.parametrize(
    "name", ["", "Ann\u200b\tExample", "x" * 300, " Ann  Example ", "Ann \u202e"], ids=ascii
)
async def test_a_lock_gives_the_name_back_to_the_octet(
    kind: str, name: str, stack: AsyncExitStack
) -> None:
    house = await moved_in(stack, kind)
    account = house.state.account(f"ann@{DOMAIN}", name=name)
    await done(house, Lock(account.address))
    assert account.name.startswith(name)
    assert account.name.endswith("(locked by mailhaul)")
    found = await house.provider.account(account.address)
    assert found is not None
    assert found.name == printable(name, 200)
    await done(house, Unlock(account.address), secret=Secret("another pass"))
    assert account.name == name


async def test_what_others_have_done_beside_the_account_is_waited_for(
    stack: AsyncExitStack,
) -> None:
    house = await moved_in(stack, "ovh-domain")
    address = await house.account("ann")
    theirs = Redirection(address, "them@example.org")
    house.state.extras.append(theirs)
    await (await house.another()).begin(Remove(theirs), "theirs")
    ours = Add(Redirection(address, "us@example.org"))
    with pytest.raises(RetryLater, match="waited for"):
        await house.provider.begin(ours, "ours")
    await done(house, Remove(theirs))
    await done(house, ours, "ours")
    assert house.state.extras == [ours.extra]


@pytest.mark.parametrize(
    "password", ["short", "x" * 31, " correct horse", "pässword 123"], ids=ascii
)
async def test_a_password_that_ovhcloud_would_refuse_begins_nothing(
    password: str, stack: AsyncExitStack
) -> None:
    house = await moved_in(stack, "ovh-domain")
    with pytest.raises(Refused) as raised:
        await house.provider.begin(Create(f"ann@{DOMAIN}"), "k", Secret(password))
    assert [each.code for each in raised.value.findings] == ["PASSWORD_UNFIT"]
    assert password not in str(raised.value)


async def test_obstacles_of_a_hand_over_are_ovhclouds(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-domain")
    address = await house.account("ann")
    _, service, placeholder = await house.destination()
    house.state.extras += [
        Redirection(address, "x@example.org", copy=True),
        Responder(address, "away"),
    ]
    action = HandOver(address, service, placeholder)
    told = await house.provider.obstacles(address, action)
    assert {each.code for each in told} == {"FORWARD_LOCAL", "RESPONDER_EXIST"}
    without = await house.provider.obstacles(address)
    assert {each.code for each in without} == {"FORWARD_LOCAL", "RESPONDER_EXIST"}
    assert await house.provider.obstacles(address, replace(action, service="nowhere")) == [
        Obstacle("SERVICE_UNKNOWN", "nowhere")
    ]


def test_a_domain_is_read_with_the_records_that_it_wants() -> None:
    found = Fields(
        "a domain",
        {
            "name": "Example.TEST",
            "state": "ok",
            "domainValidated": False,
            "cnameToCheck": "ab1-check",
            "type": "nonAuthoritative",
            "mxRelay": "mx1.mail.ovh.net",
            "expectedMX": ["mx0.mail.ovh.net", "example.test. 3600 IN MX 5 mx1.mail.ovh.net."],
            "expectedSPF": 'example.test IN TXT "v=spf1 include:mx.ovh.com -all"',
            "expectedAutodiscoverSRV": "_autodiscover._tcp IN SRV 0 0 443 ex5.mail.ovh.net",
        },
    )
    dkim = Fields(
        "dkim",
        {
            "customerRecord": "s1._domainkey.example.test.",
            "targetRecord": "s1.dkim.mail.ovh.net",
            "recordType": "CNAME",
        },
    )
    told = hosted(found, [dkim])
    assert (told.name, told.status, told.mode) == (
        "example.test",
        DomainStatus.UNPROVEN,
        Mode.NON_AUTHORITATIVE,
    )
    assert told.proof == RecordSet("ab1-check.example.test", Kind.CNAME, 3600, ("ovh.com",))
    assert told.expected is not None
    assert told.expected.mx == (MailHost(1, "mx0.mail.ovh.net"), MailHost(5, "mx1.mail.ovh.net"))
    assert (told.expected.spf, told.expected.spf_all) == (("include:mx.ovh.com",), "-all")
    assert told.expected.records == (
        Wanted(
            "autodiscover",
            "_autodiscover._tcp.example.test",
            Kind.SRV,
            ("0 0 443 ex5.mail.ovh.net",),
            Moment.SWITCH,
        ),
        Wanted(
            "DKIM",
            "s1._domainkey.example.test",
            Kind.CNAME,
            ("s1.dkim.mail.ovh.net",),
            Moment.NOW,
        ),
    )


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["expectedSPF", "expectedAutodiscoverSRV", "cnameToCheck", "mxRelay"]),
        st.text(max_size=80),
    ),
    st.lists(st.text(max_size=60), max_size=4),
)
def test_hostile_records_are_left_out_and_break_nothing(
    given_: dict[str, str], mx: list[str]
) -> None:
    told = hosted(Fields("x", {"name": "a.test", "state": "ok", "expectedMX": mx, **given_}))
    assert told.relay == printable(told.relay)
    assert told.expected is not None
    assert all(each.host for each in told.expected.mx)
    rows = [Fields("x", {"fieldType": "MX", "target": each, "subDomain": each}) for each in mx]
    assert recommended("a.test", rows).domain == "a.test"


PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["accept", "delete", "redirect", "account"]),
    st.booleans(),
    st.integers(0, 999),
    PRINTED,
    st.sampled_from(["contains", "noContains"]),
    PRINTED,
)
def test_a_filter_goes_to_sieve_and_comes_back(
    action: str, active: bool, priority: int, header: str, operand: str, value: str
) -> None:
    parameter = {"redirect": "x@example.org", "account": "bob"}.get(action, "")
    shown = Fields(
        "filter",
        {
            "name": "plans",
            "action": action,
            "actionParam": parameter or None,
            "active": active,
            "priority": priority,
        },
    )
    rule = Fields("rule", {"header": header, "operand": operand, "value": value})
    told = filter_of(f"ann@{DOMAIN}", shown, [rule])
    assert rule_of(told) == Rule(action, parameter, active, priority, header, operand, value)


@pytest.mark.parametrize(
    "script",
    [
        "",
        'redirect "x@example.org";',
        "# OVHcloud: delete, active, priority 1\n"
        'if header :contains "a" "b" {\n    redirect "x@y";\n    stop;\n}\n',
        "# OVHcloud: account, active, priority 1\n"
        'if header :contains "a" "b" {\n    redirect "x@other.test";\n    stop;\n}\n',
    ],
    ids=["nothing", "another's script", "a comment that says another action", "a foreign account"],
)
def test_a_script_that_is_no_filter_of_ovhcloud_is_none(script: str) -> None:
    assert rule_of(Filter(f"ann@{DOMAIN}", "plans", script)) is None


async def test_a_filter_of_several_rules_is_told_in_words(stack: AsyncExitStack) -> None:
    shown = Fields("filter", {"name": "many", "action": "delete", "active": True, "priority": 2})
    rules = [
        Fields("rule", {"header": "From", "operand": "contains", "value": "a"}),
        Fields("rule", {"header": "To", "operand": "contains", "value": "b"}),
    ]
    told = filter_of(f"ann@{DOMAIN}", shown, rules)
    assert told.script == ""
    assert "From contains “a” and To contains “b”" in told.words
    house = await moved_in(stack, "ovh-domain")
    await house.account("ann")
    with pytest.raises(Refused) as raised:
        await house.provider.begin(Add(told), "k")
    assert [each.code for each in raised.value.findings] == ["EXTRA_REFUSED"]


async def _both(house: OvhHouse) -> tuple[tuple[object, ...], ...]:
    """All accounts of both services, and what stands beside those of the source."""
    accounts = (
        tuple((e.address, e.state, e.name, e.box.total()) for e in service.accounts)
        for service in (house.state, house.cloud.hoster.service("ex"))
    )
    return (*accounts, tuple(house.state.extras))


async def test_the_new_path_goes_to_the_end_and_back(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-mxplan")
    address, temporary = await house.account("ann", messages=3), f"ann01@{DOMAIN}"
    target, _, placeholder = await house.destination()
    mine, theirs = await house.provider.service(), await target.service()
    assert route(mine, theirs).path is Path.NEW
    move = Move(address, "Ann", temporary=temporary, placeholder=placeholder)
    before, all_steps = await _both(house), steps(Path.NEW, move, mine, theirs)
    assert [each.part for each in all_steps] == [
        *(Part.RENAME, Part.GUARD),
        *(Part.ARRIVE, Part.UNGUARD),
    ]
    for each in all_steps:
        provider = house.provider if each.on is On.SOURCE else target
        secret = house.secret if each.needed is Needed.NEW_PASSWORD else None
        task = await provider.begin(each.action, f"k{each.part}", secret)
        assert (await finished(house, task, provider)).state is TaskState.DONE
    assert await house.messages(temporary) == 3
    assert house.cloud.hoster.service("ex").found(address) is not None
    for each in reversed(all_steps):
        back = undoing(each)
        assert back is not None
        provider = house.provider if back.on is On.SOURCE else target
        task = await provider.begin(back.action, f"u{back.part}")
        assert (await finished(house, task, provider)).state is TaskState.DONE
    assert await _both(house) == before


async def test_the_legacy_path_clears_the_way_and_hands_over(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-domain")
    address = await house.account("ann", messages=3)
    house.state.extras.append(Redirection(address, "x@example.org", copy=True))
    target, _, placeholder = await house.destination()
    mine, theirs = await house.provider.service(), await target.service()
    assert route(mine, theirs).path is Path.LEGACY
    extras = tuple(await house.provider.extras(address))
    move = Move(address, placeholder=placeholder, extras=extras, rule=ExtrasRule.REMOVE)
    for each in steps(Path.LEGACY, move, mine, theirs):
        secret = house.secret if each.needed is Needed.SOURCE_PASSWORD else None
        task = await house.provider.begin(each.action, f"k{each.part}", secret)
        assert (await finished(house, task)).state is TaskState.DONE
    assert await house.provider.account(address) is None
    assert (await house.messages(address), house.state.extras) == (3, [])


MX = (DOMAIN, Kind.MX)
OLD = RecordSet(*MX, 300, ("10 mx.old.test", "20 mx.older.test"))
NEW = RecordSet(*MX, 60, ("0 mx.new.test", "1 mx.newer.test"))


async def test_nothing_is_served_before_it_is_all_written() -> None:
    for broken in range(4):
        cloud = OvhCloud(MemoryHoster())
        zone = ovh_zone(cloud, DOMAIN, OLD)
        served = list(cloud.zones.published[DOMAIN])
        cloud.zones.broken = broken
        with pytest.raises(ZoneError) as raised:
            await zone.change([Edit(Held(OLD), Held(NEW))])
        assert cloud.zones.published[DOMAIN] == served
        assert raised.value.code is Code.ZONE_UPDATE_REFUSED
        assert raised.value.written is (False if broken == 0 else None)
        cloud.zones.broken = None
        await zone.change([Edit((await zone.read([MX]))[MX], Held(NEW))])
        assert sorted(each[2] for each in cloud.zones.published[DOMAIN]) == [
            "0 mx.new.test.",
            "1 mx.newer.test.",
        ]


async def test_a_write_whose_answer_is_lost_is_put_back_too() -> None:
    for lost in range(4):
        cloud = OvhCloud(MemoryHoster())
        zone = ovh_zone(cloud, DOMAIN, OLD)
        cloud.zones.lost = lost
        with pytest.raises(ZoneError) as raised:
            await zone.change([Edit(Held(OLD), Held(NEW))])
        assert (raised.value.code, raised.value.written) == (Code.ZONE_UNREACHABLE, False)
        held = cloud.zones.zones[DOMAIN].values()
        assert sorted(each.target for each in held) == ["10 mx.old.test.", "20 mx.older.test."]


async def test_records_of_ovhclouds_own_types_are_texts_and_may_be_unquoted() -> None:
    cloud = OvhCloud(MemoryHoster())
    zone = ovh_zone(cloud, DOMAIN)
    held = cloud.zones.zones[DOMAIN]
    held[1] = Record("SPF", "", '"v=spf1 include:mx.ovh.com ~all"', 600)
    held[2] = Record("TXT", "", "plain words", None)
    held[3] = Record("DKIM", "s1._domainkey", "v=DKIM1; p=" + "A" * 400, None)
    held[4] = Record("CNAME", "mail", "ssl0", None)
    texts = await zone.read([(DOMAIN, Kind.TXT), (f"s1._domainkey.{DOMAIN}", Kind.TXT)])
    assert [each.records.values for each in texts.values()] == [
        ("plain words", "v=spf1 include:mx.ovh.com ~all"),
        ("v=DKIM1; p=" + "A" * 400,),
    ]
    alias = (f"mail.{DOMAIN}", Kind.CNAME)
    assert (await zone.read([alias]))[alias].records == RecordSet(*alias, 3600, (f"ssl0.{DOMAIN}",))


async def test_a_zone_that_is_not_there_is_told_so(stack: AsyncExitStack) -> None:
    house = await moved_in(stack, "ovh-domain")
    assert (await house.provider.zone(f"mail.{DOMAIN}")).zone == DOMAIN
    with pytest.raises(Unsupported):
        await house.provider.zone("elsewhere.test")
    cloud = OvhCloud(MemoryHoster())
    zone = ovh_zone(cloud, DOMAIN)
    del cloud.zones.zones[DOMAIN]
    with pytest.raises(ZoneError) as raised:
        await zone.change([Edit(nothing(MX), Held(NEW))])
    assert (raised.value.code, raised.value.written) == (Code.ZONE_NOT_SERVED, False)


async def test_a_plan_writes_its_zone_at_ovhcloud(tmp_path: pathlib.Path) -> None:
    cloud = OvhCloud(MemoryHoster())
    cloud.zones.zone(DOMAIN, [OLD])
    async with web_server(cloud.respond) as origin:
        writer = {"kind": "ovh", "secret": "env:KEYS", "place": f"{origin}/1.0"}
        plan = plan_of(dns={"mx": ("0 mx.new.test", "1 mx.newer.test"), "writer": writer})
        text = plan.model_dump_json(by_alias=True)
        figures: dict[str, Any] = dict.fromkeys(DomainRow.__dataclass_fields__)
        row = DomainRow(**figures | {"id": 1, "name": DOMAIN, "state": DomainState.WATCHED})

        async def key(reference: str, directory: pathlib.Path) -> Secret:
            assert reference == "env:KEYS"
            return keys(cloud.application)

        zones = WiredZones(key)
        (zone,) = await zones.writers(
            PlanRow(1, "p", text, tmp_path, PlanState.RUNNING, 0.0, None, None), row
        )
        before = (await zone.read([MX]))[MX]
        assert before == Held(OLD)
        await zone.change([Edit(before, Held(NEW))])
    assert sorted(each[2] for each in cloud.zones.published[DOMAIN]) == [
        "0 mx.new.test.",
        "1 mx.newer.test.",
    ]


@pytest.mark.parametrize("number", ["task/1/{", "account/7/{}", "filter/1", "task/-1", "look/1"])
async def test_tickets_that_make_no_sense_are_bad_input(number: str, stack: AsyncExitStack) -> None:
    house: OvhHouse = await moved_in(stack, "ovh-domain")
    with pytest.raises(BadInput):
        await house.provider.task(number)
