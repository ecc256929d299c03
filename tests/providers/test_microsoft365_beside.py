"""What stands beside a mailbox at Microsoft 365, and its domains."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.dns.expected import Moment, Wanted
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Create,
    Detach,
    Remove,
)
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import (
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
)
from mailhaul.providers.microsoft365_rules import marked_up, plain
from mailhaul.providers.provider import TaskState
from mailhaul.providers.service import DomainStatus, Mode
from tests.providers.graph_house import (
    DOMAIN,
    INITIAL,
    GraphHouse,
    graph_house,
    refused,
)
from tests.providers.graph_state import Box, DirectoryGroup, Domain, Json


@pytest.fixture
async def house() -> AsyncIterator[GraphHouse]:
    async with graph_house() as made:
        yield made


def forwarding(name: str, *to: str, **more: object) -> Json:
    """A rule as people make one in Outlook."""
    recipients = [{"emailAddress": {"address": each, "name": each}} for each in to]
    return {
        "id": f"id-{name}",
        "displayName": name,
        "sequence": 1,
        "isEnabled": True,
        "hasError": False,
        "isReadOnly": False,
        "conditions": None,
        "actions": {"forwardTo": recipients, "stopProcessingRules": True},
        **more,
    }


SUBJECT = {"subjectContains": ["plan", "budget"]}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (forwarding("on", "b@x.org"), [Redirection("", "b@x.org", copy=True)]),
        (
            forwarding("two", "b@x.org", "c@x.org"),
            [Redirection("", "b@x.org", copy=True), Redirection("", "c@x.org", copy=True)],
        ),
        (
            forwarding("off", "b@x.org", isEnabled=False),
            [],
        ),
        (
            forwarding("some", "b@x.org", conditions=SUBJECT),
            [
                Filter(
                    "",
                    "some",
                    words="if subject contains plan, budget: forward to b@x.org "
                    "b@x.org; stop processing rules",
                )
            ],
        ),
        (
            forwarding("but", "b@x.org", exceptions=SUBJECT),
            [
                Filter(
                    "",
                    "but",
                    words="if not subject contains plan, budget: forward to b@x.org "
                    "b@x.org; stop processing rules",
                )
            ],
        ),
        (
            forwarding("moved", actions={"moveToFolder": "AAMk=", "markAsRead": True}),
            [Filter("", "moved", words="if any message: move to folder AAMk=; mark as read")],
        ),
        (
            forwarding(
                "gone",
                actions={
                    "redirectTo": [{"emailAddress": {"address": "b@x.org"}}],
                    "permanentDelete": True,
                },
            ),
            [Redirection("", "b@x.org")],
        ),
    ],
    ids=lambda value: value["displayName"] if isinstance(value, dict) else "",
)
async def test_rules_are_told_by_what_they_mean(
    rule: Json, told: list[Extra], house: GraphHouse
) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert box is not None
    box.rules.append(rule)
    expected = [replace(each, address=address) for each in told]
    assert list(await house.provider.extras(address)) == expected
    assert list(await house.provider.extras()) == expected


@pytest.mark.parametrize("others", [(), ("c@x.org",)])
async def test_what_somebody_else_made_is_put_back_to_the_letter(
    others: tuple[str, ...], house: GraphHouse
) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert box is not None
    box.rules.append(forwarding("hers", "b@x.org", *others))
    extra = Redirection(address, "b@x.org", copy=True)
    before = list(await house.provider.extras(address))
    await house.provider.begin(Remove(extra), "one")
    assert extra not in await house.provider.extras(address)
    assert box.rules[0]["displayName"] == "hers"
    await house.provider.begin(Add(extra), "two")
    assert sorted(map(repr, await house.provider.extras(address))) == sorted(map(repr, before))
    assert len(box.rules) == 1 + len(others)


async def test_a_rule_that_nobody_may_change_is_left_alone(house: GraphHouse) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert box is not None
    box.rules.append(forwarding("fixed", "b@x.org", isReadOnly=True))
    extra = Redirection(address, "b@x.org", copy=True)
    assert await refused(house.provider, Remove(extra)) == {"EXTRA_REFUSED"}


HERS = (
    "<html>\r\n<head><style>p {}</style></head><body><p>Away &amp; out</p><p>Ann</p></body></html>"
)


async def test_her_own_auto_reply_is_switched_off_and_on(house: GraphHouse) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert box is not None
    box.replies.update(
        status="alwaysEnabled",
        externalAudience="all",
        internalReplyMessage=HERS,
        externalReplyMessage="<p>Write to Bob</p>",
    )
    before = dict(box.replies)
    found = list(await house.provider.extras(address))
    responder = Responder(address, "Away & out\nAnn")
    assert found == [
        responder,
        Remark(address, "auto-reply", "others outside get: Write to Bob"),
    ]
    await house.provider.begin(Remove(responder), "one")
    assert box.replies["status"] == "disabled"
    assert list(await house.provider.extras(address)) == []
    await house.provider.begin(Add(responder), "two")
    assert box.replies == before


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(1795000000, 1795600000), (None, 1795600000), (1795000000, None)],
)
async def test_auto_replies_have_times(
    begins: int | None, ends: int | None, house: GraphHouse
) -> None:
    extra = Responder(await house.account("ann"), "Away", begins=begins, ends=ends)
    await house.provider.begin(Add(extra), "key")
    assert list(await house.provider.extras(extra.address)) == [extra]


async def test_times_that_can_not_be_read_are_not_guessed(house: GraphHouse) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert box is not None
    times = {"dateTime": "2026-11-22T08:00:00.0000000", "timeZone": "W. Europe Standard Time"}
    box.replies.update(status="scheduled", scheduledStartDateTime=times, scheduledEndDateTime=times)
    (found,) = await house.provider.extras(address)
    assert isinstance(found, Remark)


@pytest.mark.parametrize(
    "extra", [Responder("", "Away", subject="No"), Responder("", "Away", copy_to="b@x.org")]
)
async def test_what_exchange_has_not_got_is_refused(extra: Responder, house: GraphHouse) -> None:
    wanted = replace(extra, address=await house.account("ann"))
    assert await refused(house.provider, Add(wanted)) == {"EXTRA_REFUSED"}


@pytest.mark.parametrize("kind", [Responder, Redirection])
async def test_beside_a_mailbox_that_is_not_there_yet_stands_nothing(
    kind: type, house: GraphHouse
) -> None:
    address = await house.account("ann")
    house.state.users[0].box = None
    assert list(await house.provider.extras(address)) == []
    codes = await refused(house.provider, Add(kind(address, "b@x.org")))
    assert codes == {"ACCOUNT_INPROGRESS"}


@given(st.text(max_size=200))
def test_a_text_in_html_is_read_back_as_it_was(text: str) -> None:
    read = Responder("ann@example.org", plain(marked_up(text)))
    assert same_extra(read, Responder("ann@example.org", text))


@pytest.mark.parametrize("piece", ["<", ">", "\n", " ", "<style", "<style>", "<br", "\n <", "&"])
def test_long_texts_are_read_as_fast_as_others(piece: str) -> None:
    began = time.process_time()
    plain(piece * 100_000)
    assert time.process_time() - began < 2


async def test_groups_contacts_and_shared_mailboxes_are_listed(house: GraphHouse) -> None:
    one, two = await house.account("ann"), await house.account("bob")
    box = house.state.users[1].box
    assert box is not None
    box.purpose = "room"
    house.state.groups.append(DirectoryGroup(f"all@{DOMAIN}", "All", [two, one]))
    house.state.contacts.append({"id": "c1", "displayName": "Zoe", "mail": "zoe@elsewhere.example"})
    assert list(await house.provider.extras()) == [
        Remark(two, "room mailbox", "bob"),
        Group(f"all@{DOMAIN}", (one, two), "All"),
        Remark("zoe@elsewhere.example", "external contact", "Zoe <zoe@elsewhere.example>"),
    ]
    assert list(await house.provider.extras(f"all@{DOMAIN}")) == [
        Group(f"all@{DOMAIN}", (one, two), "All")
    ]
    (obstacle,) = await house.provider.obstacles(f"all@{DOMAIN}")
    assert obstacle.code == "MAILINGLIST_EXIST"


async def test_many_mailboxes_are_asked_in_batches(house: GraphHouse) -> None:
    for number in range(25):
        address = await house.account(f"p{number}")
        box = house.state.users[-1].box
        assert box is not None
        box.rules.append(forwarding("on", f"to-{address}"))
    house.simulator.throttled_in_batch = 7
    found = await house.provider.extras()
    assert len(found) == 25
    assert house.simulator.asked.count("POST /$batch") == 4
    assert house.tally.most <= 4


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda box: box.rules.append(forwarding("on", "b@x.org")), "FORWARD_LOCAL"),
        (lambda box: box.replies.update(status="alwaysEnabled"), "RESPONDER_EXIST"),
        (lambda box: box.rules.append(forwarding("f", conditions=SUBJECT)), "FILTER_EXIST"),
    ],
)
async def test_what_stands_in_the_way(make: object, code: str, house: GraphHouse) -> None:
    address = await house.account("ann")
    box = house.state.users[0].box
    assert isinstance(box, Box)
    assert callable(make)
    make(box)
    assert code in {each.code for each in await house.provider.obstacles(address)}
    assert [each.code for each in await house.provider.obstacles(f"no@{DOMAIN}")] == [
        "ACCOUNT_EMPTY"
    ]


async def test_a_domain_says_what_its_zone_is_to_say(house: GraphHouse) -> None:
    told = {each.name: each for each in await house.provider.domains()}
    expected = told[DOMAIN].expected
    assert expected is not None
    assert expected.mx == (MailHost(0, "example-test.mail.protection.outlook.com"),)
    assert (expected.spf, expected.spf_all) == (("include:spf.protection.outlook.com",), "-all")
    assert expected.records == (
        Wanted(
            "autodiscover",
            f"autodiscover.{DOMAIN}",
            Kind.CNAME,
            ("autodiscover.outlook.com",),
            Moment.SWITCH,
            3600,
        ),
    )


async def test_a_domain_is_attached_once_it_is_proven(house: GraphHouse) -> None:
    task = await house.provider.begin(Attach("new.test"), "key")
    assert task.state is TaskState.DOING
    assert 'new.test. 3600 IN TXT "MS=ms' in task.said
    found = next(each for each in await house.provider.domains() if each.name == "new.test")
    assert found.status is DomainStatus.UNPROVEN
    proof = house.state.domains[-1].proof
    assert found.proof == RecordSet("new.test", Kind.TXT, 3600, (proof,))
    assert found.expected is not None
    assert found.expected.records[0].values == (proof,)
    codes = {f.code for f in (await house.provider.plan(Create("ann@new.test"))).findings}
    assert codes == {"DOMAIN_UNPROVEN"}
    house.state.domains[-1].proven = True
    assert (await house.provider.task(task.id)).state is TaskState.DONE
    assert house.state.domains[-1].services == ["Email"]


@pytest.mark.parametrize(
    ("domain", "status", "mode"),
    [
        (Domain("x.test", True), DomainStatus.CREATING, Mode.AUTHORITATIVE),
        (
            Domain("x.test", True, ["Email", "EmailInternalRelayOnly"]),
            DomainStatus.OK,
            Mode.NON_AUTHORITATIVE,
        ),
        (
            Domain("x.test", True, state={"operation": "ForceDelete", "status": "InProgress"}),
            DomainStatus.DELETING,
            Mode.AUTHORITATIVE,
        ),
        (
            Domain("x.test", True, state={"operation": "Initial", "status": "Failed"}),
            DomainStatus.ERROR,
            Mode.AUTHORITATIVE,
        ),
    ],
    ids=["no mail yet", "relays", "going", "failed"],
)
async def test_where_a_domain_is(
    domain: Domain, status: DomainStatus, mode: Mode, house: GraphHouse
) -> None:
    house.state.domains.append(domain)
    found = next(each for each in await house.provider.domains() if each.name == "x.test")
    assert (found.status, found.mode) == (status, mode)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (Attach("x.test", Mode.NON_AUTHORITATIVE, "mx.old.example"), "EXTRA_REFUSED"),
        (Detach(INITIAL), "DOMAIN_IN_USE"),
        (Attach("elsewhere.test"), "DOMAIN_CLAIMED"),
    ],
)
async def test_what_graph_does_with_no_domain(action: Action, code: str, house: GraphHouse) -> None:
    house.state.claimed.add("elsewhere.test")
    assert await refused(house.provider, action) == {code}
