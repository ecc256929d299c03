"""The simulator of Graph refuses what Microsoft's schema and reference don't allow, and remembers
it against whoever asked; so that a test which passes there has asked nothing strange."""

import asyncio
import json

import pytest

from mailhaul.core.errors import Closed
from tests.providers import graph_answers
from tests.providers.graph_house import DOMAIN, GraphHouse, graph_house, tenant
from tests.providers.graph_schema import FILE, graph_schema, read_schema
from tests.providers.graph_simulator import GRANTED, ROOT, TOKEN, Simulator
from tests.providers.graph_state import SKU, Json
from tests.providers.web_server import Asked, Told

needs_schema = pytest.mark.skipif(
    graph_schema() is None,
    reason=f"{FILE} is not here (MAILHAUL_DATA); the simulator judges by its own tables alone",
)
USER = {
    "accountEnabled": True,
    "displayName": "Ann",
    "mailNickname": "ann",
    "userPrincipalName": f"ann@{DOMAIN}",
    "passwordProfile": {"password": "Correct-Horse-1"},
}
RULE = {"displayName": "on", "sequence": 1, "actions": {"delete": True}}
RULES = "/users/bob@example.test/mailFolders/inbox/messageRules"
SETTINGS = "/users/bob@example.test/mailboxSettings"


async def said(simulator: Simulator, method: str, path: str, body: object = None) -> Told:
    octets = b"" if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {TOKEN}"}
    return await simulator.respond(Asked(method, ROOT + path, headers, octets))


@pytest.fixture
def simulator() -> Simulator:
    made = Simulator(tenant(), origin="http://127.0.0.1:1")
    made.state.account(f"bob@{DOMAIN}", "Correct-Horse-1")
    return made


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/users", USER, 201),
        ("POST", "/users", {**USER, "usageLocation": "FR"}, 201),
        ("PATCH", "/users/bob@example.test", {"accountEnabled": False}, 204),
        ("GET", "/users?$select=id,mail&$top=5&$filter=mail%20eq%20'bob@example.test'", None, 200),
        ("POST", RULES, RULE, 201),
        ("GET", SETTINGS, None, 200),
        ("POST", "/domains", {"id": "new.test"}, 201),
        ("GET", "/groups", None, 200),
    ],
)
async def test_what_the_schema_has_is_taken(
    method: str, path: str, body: object, status: int, simulator: Simulator
) -> None:
    assert (await said(simulator, method, path, body)).status == status
    assert simulator.wrong == []


@needs_schema
@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("GET", "/people", None, "no such call"),
        ("GET", "/users/bob@example.test/mailboxes", None, "no such call"),
        ("GET", "/domains/example.test/records", None, "the schema has no"),
        ("GET", "/users?$select=id,email", None, "user has none"),
        ("GET", "/users?$filter=emial%20eq%20'x'", None, "no emial"),
        ("GET", "/users?$orderby=mail", None, "no option $orderby"),
        ("GET", "/users/bob@example.test/mailFolders?$expand=sizes", None, "mailFolder has none"),
        ("POST", "/users", {**USER, "aliases": []}, "no such property"),
        ("POST", "/users", {**USER, "accountEnabled": "yes"}, "no Edm.Boolean"),
        ("POST", "/users", {**USER, "passwordProfile": "secret"}, "no object"),
        ("POST", "/users", {**USER, "passwordProfile": {"secret": "x"}}, "no such property"),
        ("POST", "/users", {**USER, "proxyAddresses": ["smtp:a@b"]}, "can't be written"),
        ("POST", "/users", {**USER, "assignedLicenses": []}, "can't be written"),
        (
            "POST",
            "/users",
            {k: v for k, v in USER.items() if k != "mailNickname"},
            "mailNickname is missing",
        ),
        ("PATCH", "/users/bob@example.test", {"mail": "x@example.test"}, "can't be written"),
        (
            "POST",
            "/users/bob@example.test/assignLicense",
            {"addLicenses": [{"skuId": "E3"}], "removeLicenses": []},
            "no Edm.Guid",
        ),
        (
            "POST",
            "/users/bob@example.test/assignLicense",
            {"addLicenses": [{"skuId": SKU}]},
            "removeLicenses is missing",
        ),
        (
            "POST",
            "/users/bob@example.test/assignLicense",
            {"addLicenses": [], "removeLicenses": [], "licence": "x"},
            "no parameter licence",
        ),
        ("POST", RULES, {**RULE, "sequence": "1"}, "no Edm.Int32"),
        ("POST", RULES, {**RULE, "hasError": True}, "can't be written"),
        ("POST", RULES, {**RULE, "actions": {"markImportance": "urgent"}}, "none of"),
        ("POST", RULES, {**RULE, "actions": {"redirectTo": ["a@b"]}}, "no object"),
        (
            "PATCH",
            SETTINGS,
            {"automaticRepliesSetting": {"status": "on"}},
            "none of",
        ),
        ("PATCH", SETTINGS, {"userPurpose": "shared"}, "can't be written"),
        ("POST", "/domains", {"id": "new.test", "isVerified": True}, "can't be written"),
        ("PATCH", "/domains/example.test", {"isVerified": True}, "can't be written"),
        ("PATCH", "/domains/example.test", {"supportedServices": "Email"}, "no list"),
        ("POST", "/users", None, "no body"),
    ],
)
async def test_what_it_has_not_is_refused_and_remembered(
    method: str, path: str, body: object, why: str, simulator: Simulator
) -> None:
    told = await said(simulator, method, path, body)
    assert 400 <= told.status < 500
    assert len(simulator.wrong) == 1
    assert why in simulator.wrong[0]


@needs_schema
async def test_its_own_answers_are_judged_too(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(state: object) -> Json:
        return {"id": 5, "nickname": "x"}

    monkeypatch.setattr(graph_answers, "organization", odd)
    await said(simulator, "GET", "/organization")
    assert len(simulator.wrong) == 2


@pytest.mark.parametrize(
    ("authorization", "granted", "status"),
    [
        ("", GRANTED, 401),
        ("Bearer other", GRANTED, 401),
        (f"Bearer {TOKEN}", GRANTED - {"User.ReadWrite.All"}, 403),
        (f"Bearer {TOKEN}", GRANTED, 200),
    ],
)
async def test_who_may_not_is_sent_away(
    authorization: str, granted: frozenset[str], status: int, simulator: Simulator
) -> None:
    simulator.granted = granted
    asked = Asked("GET", f"{ROOT}/users", {"authorization": authorization}, b"")
    assert (await simulator.respond(asked)).status == status


async def test_a_fifth_at_once_is_too_many(simulator: Simulator) -> None:
    told = await asyncio.gather(*(said(simulator, "GET", "/users") for _ in range(5)))
    assert sorted(each.status for each in told)[-1] == 429
    assert simulator.wrong == ["5 at once"]


async def test_a_twenty_first_in_a_batch_is_too_many(simulator: Simulator) -> None:
    requests = [{"id": str(n), "method": "GET", "url": "/users"} for n in range(21)]
    assert (await said(simulator, "POST", "/$batch", {"requests": requests})).status == 400
    assert simulator.wrong


async def test_a_house_with_a_wrong_question_does_not_end_well() -> None:
    async def live() -> None:
        async with graph_house() as house:
            house.simulator.wrong.append("asked something strange")

    with pytest.raises(AssertionError):
        await live()


CSDL = b"""<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="microsoft.graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">
 <EnumType Name="size"><Member Name="small"/><Member Name="large"/></EnumType>
 <EntityType Name="entity"><Property Name="id" Type="Edm.String"/></EntityType>
 <EntityType Name="box" BaseType="graph.entity">
  <Property Name="size" Type="graph.size"/><Property Name="notes" Type="Collection(Edm.String)"/>
  <NavigationProperty Name="boxes" Type="Collection(graph.box)"/>
 </EntityType>
 <EntityType Name="crate" BaseType="graph.box">
  <Property Name="nails" Type="Edm.Int32"/><Property Name="made" Type="Edm.DateTimeOffset"/>
 </EntityType>
 <Action Name="seal" IsBound="true"><Parameter Name="it" Type="graph.box"/>
  <Parameter Name="wax" Type="Edm.Boolean" Nullable="false"/></Action>
 <EntityContainer Name="all">
  <EntitySet Name="boxes" EntityType="microsoft.graph.box"/>
 </EntityContainer>
</Schema>
<Schema Namespace="microsoft.graph.other" xmlns="http://docs.oasis-open.org/odata/ns/edm">
 <EntityType Name="ignored"/></Schema>
</edmx:DataServices></edmx:Edmx>"""


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"id": "1", "size": "small", "notes": ["a"]}, 0),
        ({"id": None}, 0),
        ({"size": "huge"}, 1),
        ({"notes": "a"}, 1),
        ({"notes": [1, "b", None]}, 2),
        ({"nails": 3}, 1),
        ({"@odata.type": "#microsoft.graph.crate", "nails": 3}, 0),
        ({"@odata.type": "#microsoft.graph.crate", "nails": True}, 1),
        ({"@odata.type": "#microsoft.graph.crate", "made": "2026-11-22T01:00:00Z"}, 0),
        ({"@odata.type": "#microsoft.graph.crate", "made": "today"}, 1),
        ({"@odata.type": "#microsoft.graph.entity"}, 1),
        ({"boxes": [{"id": "2"}, {"odd": 1}]}, 1),
        ([], 1),
    ],
)
def test_values_are_judged_by_their_type(value: object, wrong: int) -> None:
    assert len(list(read_schema(CSDL).wrong("box", value, "box"))) == wrong


def test_paths_are_followed_as_the_schema_has_them() -> None:
    schema = read_schema(CSDL)
    found = {path: schema.place(path) for path in ("/boxes", "/boxes/1/boxes", "/boxes/1/seal")}
    assert [each and (each.kind, each.many) for each in found.values()] == [
        ("box", True),
        ("box", True),
        ("box", False),
    ]
    seal = found["/boxes/1/seal"]
    assert seal is not None
    assert seal.action is not None
    assert (dict(seal.action.parameters), seal.action.optional) == (
        {"wax": "Edm.Boolean"},
        frozenset(),
    )
    assert schema.place("/crates") is None
    assert schema.place("/boxes/1/seal/more") is None
    assert schema.place("/boxes/1/lid") is None


# Answers that no Graph gives


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>hello</html>",
        b"[]",
        b'{"value": 5}',
        b'{"value": [5]}',
        b'{"value": [{"id": 5}]}',
        b'{"value": [{"id": "x", "mail": ["a"]}]}',
        b'{"value": [{"id": "x", "proxyAddresses": "smtp:a@b"}]}',
        b'{"value": [{"assignedLicenses": [{"skuId": 1}]}]}',
        b'{"value": [], "@odata.nextLink": "https://evil.example/v1.0/users"}',
        b'{"value": [], "@odata.nextLink": "/v1.0/users"}',
        b'{"value": [], "@odata.nextLink": "SELF/v1.0/users?$select=SAME"}',
        b'{"value": [], "@odata.nextLink": "SELF/v1.0/../admin"}',
        b'{"value": [], "@odata.nextLink": "SELF/admin"}',
        b'{"value": ' + b"[" * 100_000,
        b'\xff\xfe{"value": []}',
    ],
    ids=lambda answer: answer[:60].decode("latin-1"),
)
async def test_answers_that_make_no_sense_close(answer: bytes) -> None:
    async with graph_house() as house:
        _odd(house, answer)
        if answer == b"":
            assert await house.provider.accounts() == []
            return
        with pytest.raises(Closed) as caught:
            await house.provider.accounts()
        assert str(caught.value).isprintable()
        assert len(house.tally.asked) <= 2


def _odd(house: GraphHouse, answer: bytes) -> None:
    """Every list is answered so."""
    simulator = house.simulator

    def whole(asked: Asked) -> Told:
        text = answer.replace(b"SELF", simulator.origin.encode())
        if b"SAME" in text:
            text = text.replace(f"{ROOT}/users?$select=SAME".encode(), asked.target.encode())
        return Told(200, text)

    simulator.override = whole
