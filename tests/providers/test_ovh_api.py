"""How OVHcloud's API is asked, and what its answers are taken for."""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers.ovh import opened
from mailhaul.providers.ovh_answers import fields, numbers, objects, texts
from mailhaul.providers.ovh_api import Api, Keys, Missing, Refusal, keys, signed
from mailhaul.providers.registry import Settings, open_provider
from tests.providers.memory import Fault, MemoryHoster, MemoryService
from tests.providers.ovh_house import DOMAIN, ORIGIN, api_of, direct
from tests.providers.ovh_house import keys as keys_of
from tests.providers.ovh_simulator import OvhCloud
from tests.providers.web_server import Tally, web_server

KEYS = Keys(
    "7kbG7Bk7S9Nt7ZSV",
    Secret("EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"),
    Secret("MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"),
)


def cloud() -> OvhCloud:
    service = MemoryService("mxplan-1")
    service.domain(DOMAIN)
    service.account(f"ann@{DOMAIN}")
    return OvhCloud(MemoryHoster(service))


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        (
            "GET",
            "/domain/zone/example.test/record?fieldType=MX&subDomain=",
            "",
            "4517179a06c11cf6af45d624445d7a2b37f94fc8",
        ),
        (
            "POST",
            "/email/domain/example.test/redirection",
            '{"from":"a@example.test","to":"\\u00fc@example.org","localCopy":true}',
            "c3fb99f3c4019886dc8ee54fab14ec70333d29d6",
        ),
    ],
)
def test_a_request_is_signed_as_by_ovhclouds_own_client(
    method: str, path: str, body: str, signature: str
) -> None:
    # What python-ovh 1.2.0 sends at that second with these keys.
    headers = signed(KEYS, method, f"https://eu.api.ovh.com/1.0{path}", body, 1457018875)
    assert headers == {
        "X-Ovh-Application": "7kbG7Bk7S9Nt7ZSV",
        "X-Ovh-Consumer": "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1",
        "X-Ovh-Timestamp": "1457018875",
        "X-Ovh-Signature": f"$1${signature}",
    }


@pytest.mark.parametrize("text", ["a b c", "a:b:c", "a\nb\nc\n", "  a  b\tc "])
def test_three_keys_are_read_however_they_are_separated(text: str) -> None:
    found = keys(Secret(text))
    assert (found.application, found.secret.reveal(), found.consumer.reveal()) == ("a", "b", "c")


@pytest.mark.parametrize("text", ["", "a b", "a b c d", "a b c\r\nX-Other: d", "a b ü"])
def test_what_are_no_three_keys_is_never_shown(text: str) -> None:
    with pytest.raises(BadInput) as raised:
        keys(Secret(text))
    assert "consumer key" in str(raised.value)
    assert not text or text not in str(raised.value)


@pytest.mark.parametrize(
    "place", ["http://api.example", "ftp://api.example", "ovh-moon", "https://", "https://a:b@c"]
)
def test_keys_are_sent_nowhere_without_tls(place: str) -> None:
    with pytest.raises(BadInput):
        Api(place, _nobody)


async def _nobody() -> Credentials:
    return Credentials()


async def test_without_a_secret_nothing_is_asked() -> None:
    with pytest.raises(Closed) as raised:
        await Api("", _nobody).get("me")
    assert raised.value.reason is ClosedReason.CREDENTIALS


async def test_time_is_ovhclouds_and_asked_for_again_when_it_is_refused() -> None:
    there = cloud()
    api = api_of(there)
    assert await api.get("me") == {"nichandle": "ab12345-ovh"}
    there.now += 3600
    assert await api.get("me") == {"nichandle": "ab12345-ovh"}


async def test_a_token_gets_in_and_a_refused_one_is_asked_for_again() -> None:
    there = cloud()
    there.token = "fresh"
    tokens = iter(["stale", "fresh", "stale", "stale"])

    async def token() -> Secret:
        return Secret(next(tokens))

    async def login() -> Credentials:
        return Credentials(token=token)

    api = Api(f"{ORIGIN}/1.0", login, transport=direct(there))
    assert await api.get("me") == {"nichandle": "ab12345-ovh"}
    with pytest.raises(Closed) as raised:
        await api.get("me")
    assert raised.value.reason is ClosedReason.CREDENTIALS
    assert "stale" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "reason", "said"),
    [
        (lambda it: Secret(f"nobody {it.secret} {it.consumer}"), "credentials", "INVALID_KEY"),
        (lambda it: Secret(f"{it.key} {it.secret} other"), "credentials", "INVALID_CREDENTIAL"),
        (lambda it: Secret(f"{it.key} other {it.consumer}"), "credentials", "INVALID_SIGNATURE"),
    ],
    ids=["another application", "a consumer key that has expired", "a wrong secret"],
)
async def test_keys_that_are_not_good_close_it(
    wrong: Callable[[object], Secret], reason: str, said: str
) -> None:
    there = cloud()
    with pytest.raises(Closed) as raised:
        await api_of(there, wrong(there.application)).get("me")
    assert raised.value.reason == reason
    assert said in str(raised.value)
    assert "make new keys" in str(raised.value)
    assert there.application.secret not in str(raised.value)


async def test_a_call_that_was_not_granted_is_named() -> None:
    there = cloud()
    there.may = lambda method, path: method == "GET"
    with pytest.raises(Closed) as raised:
        await api_of(there).delete("email", "mxplan", "mxplan-1", "account", f"ann@{DOMAIN}")
    assert raised.value.reason is ClosedReason.FORBIDDEN
    assert f"let the keys do DELETE /email/mxplan/mxplan-1/account/ann@{DOMAIN}" in str(
        raised.value
    )


@dataclass(frozen=True)
class Case:
    """An answer, and what it is taken for."""

    name: str
    status: int
    body: bytes
    error: type[MailhaulError]
    said: str


CASES = [
    Case("a pause is asked for", 429, b'{"message": "slow down"}', RetryLater, "pause"),
    Case("the server failed", 500, b"<html>", RetryLater, "500"),
    Case("an answer that is no JSON", 200, b"<html>hello</html>", Closed, "no JSON"),
    Case("JSON without end", 200, b"[" * 200_000, Closed, "no JSON"),
    Case("it leads elsewhere", 302, b"", Closed, "leads elsewhere"),
    Case("no such thing", 404, b'{"message": "This object does not exist"}', Missing, "exist"),
    Case("a conflict", 409, b'{"message": "a task is pending"}', Refusal, "pending"),
    Case("a service that has expired", 460, b'{"message": "expired"}', Closed, "renew"),
    Case("terminal codes in words", 400, b'{"message": "\\u001b[31mred"}', Refusal, "\\x1b[31m"),
    Case("words that are none", 400, b'{"message": {"a": 1}, "errorCode": 7}', Refusal, "7"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_answer_is_taken_for_what_it_is(case: Case) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/1.0/auth/time":
            return httpx.Response(200, stream=httpx.ByteStream(b"1800000000"))
        return httpx.Response(
            case.status, stream=httpx.ByteStream(case.body), headers={"Retry-After": "3"}
        )

    async def login() -> Credentials:
        return Credentials(password=Secret("a b c"))

    api = Api(f"{ORIGIN}/1.0", login, transport=httpx.MockTransport(answer))
    with pytest.raises(case.error) as raised:
        await api.get("me")
    assert case.said in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("part", ["", ".", "..", "a\nb", "a\0b", "\ud800"])
async def test_no_name_climbs_out_of_its_path(part: str) -> None:
    with pytest.raises(BadInput):
        await api_of(cloud()).get("email", "mxplan", part)


@pytest.mark.parametrize("part", ["a/b", "a?b=c", "a#b", "a%2Fb", "ü b", "a&b"])
async def test_a_name_stays_one_part_of_the_path(part: str) -> None:
    there = cloud()
    with pytest.raises(Missing):
        await api_of(there).get("email", "mxplan", "mxplan-1", "account", f"{part}@{DOMAIN}")
    assert there.faults == []


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (("POST", "email/mxplan/mxplan-1/account", {"login": "x"}), "POST /email/mxplan"),
        (("GET", "email/domain/example.test/account/ann/rename", None), "GET /email/domain"),
        (("PUT", f"email/mxplan/mxplan-1/account/ann@{DOMAIN}", {"id": 7}), "id is read only"),
        (("PUT", f"email/mxplan/mxplan-1/account/ann@{DOMAIN}", {"mail": "x"}), "not described"),
        (
            ("POST", f"email/mxplan/mxplan-1/account/ann@{DOMAIN}/alias", {}),
            "alias is missing",
        ),
        (
            ("POST", f"email/mxplan/mxplan-1/account/ann@{DOMAIN}/alias", {"alias": 7}),
            "alias is no string",
        ),
        (("POST", "domain/zone/example.test/record", {"fieldType": "PEAR", "target": "x"}), "PEAR"),
    ],
)
async def test_the_simulator_refuses_what_is_not_published(
    asked: tuple[str, str, dict[str, object] | None], fault: str
) -> None:
    method, path, body = asked
    there = cloud()
    api = api_of(there)
    with pytest.raises(Refusal):
        if method == "GET":
            await api.get(*path.split("/"))
        else:
            send = api.post if method == "POST" else api.put
            await send(*path.split("/"), body=body or {})
    told = " ".join(there.faults).replace("domain.zone.RecordTypeEnum", "PEAR")
    assert fault in told


async def test_it_is_spoken_to_over_a_real_connection_too() -> None:
    there, tally = cloud(), Tally()
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(web_server(there.respond, tally))

        async def login() -> Credentials:
            return Credentials(password=keys_of(there.application))

        settings = Settings("ovh-mxplan", "mxplan-1", login, url=f"{origin}/1.0/")
        provider = open_provider(settings)
        stack.push_async_callback(provider.close)
        assert [each.address for each in await provider.accounts()] == [f"ann@{DOMAIN}"]
        there.hoster.service("mxplan-1").arm(Fault.THROTTLED)
        with pytest.raises(RetryLater) as raised:
            await provider.accounts()
        assert (raised.value.throttled, raised.value.after) == (True, 7.0)
    assert {each.target for each in tally.asked} >= {"/1.0/auth/time"}
    assert all(there.application.secret not in str(each) for each in tally.asked)


async def test_an_exchange_is_asked_for_in_its_organization() -> None:
    service = MemoryService("hosted-1")
    there = OvhCloud(MemoryHoster(service))
    settings = Settings("ovh-exchange", "hosted-1", _nobody, values={"organization": "acme-1"})
    provider = opened(settings, api_of(there))
    evidence = (await provider.service()).evidence
    assert evidence[0] == "it answers under /email/exchange/acme-1/service/hosted-1"


@pytest.mark.parametrize(
    "kind,values",
    [
        ("ovh-mxplan", {"license": "basic"}),
        ("ovh-exchange", {"license": "gold"}),
        ("ovh-domain", {"colour": "red"}),
    ],
)
def test_values_that_a_kind_does_not_have_are_refused(kind: str, values: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        open_provider(Settings(kind, "example.test", _nobody, values=values))


@pytest.mark.parametrize(
    "read",
    [
        lambda: fields([], "x"),
        lambda: fields({"a": 1}, "x").text("a"),
        lambda: fields({"a": "1"}, "x").flag("a"),
        lambda: fields({"a": True}, "x").number("a"),
        lambda: fields({"a": "9" * 30}, "x").number("a"),
        lambda: fields({"a": 1.5}, "x").number("a"),
        lambda: fields({"a": "yesterday"}, "x").moment("a"),
        lambda: texts({"a": 1}, "x"),
        lambda: texts(["a", 1], "x"),
        lambda: numbers(["a"], "x"),
        lambda: objects([1], "x"),
    ],
)
def test_an_answer_of_another_type_goes_no_further(read: Callable[[], object]) -> None:
    with pytest.raises(Closed) as raised:
        read()
    assert raised.value.reason is ClosedReason.PROTOCOL


def test_a_secret_stands_in_no_shown_request() -> None:
    from mailhaul.providers.ovh_steps import Step

    step = Step("POST", ("email", "x", "changePassword"), {"password": Secret("pw-canary")})
    assert "pw-canary" not in f"{step} {step!r} {json.dumps(str(step))}"
    assert str(step) == "POST /email/x/changePassword {password: ***}"
