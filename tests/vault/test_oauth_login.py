"""The first login: by a browser of this machine, by a code on another screen, by keys."""

import asyncio
import base64
import datetime
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret
from mailhaul.vault.oauth import Client, Flow, Grant, keep_grant
from mailhaul.vault.oauth_answers import missing_scopes
from mailhaul.vault.oauth_assertions import (
    client_assertion,
    client_with_certificate,
    service_client,
)
from mailhaul.vault.oauth_http import USUAL_WIRE
from mailhaul.vault.oauth_issuers import google, microsoft
from mailhaul.vault.oauth_login import (
    Question,
    code_of,
    code_tokens,
    device_code,
    device_tokens,
    question,
)
from mailhaul.vault.oauth_redirect import listening
from mailhaul.vault.oauth_tokens import Tokens
from tests.servers.issuer import Issuer, Reply, error
from tests.vault.granting import NAME, Clock, at, grant_at, vault_in

ELSEWHERE = "http://127.0.0.1:1/"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running
        assert running.protests == []


def fresh(issuer: Issuer, flow: Flow = Flow.BROWSER) -> Grant:
    return replace(grant_at(issuer, flow), refresh=None, scope="mail offline_access")


async def test_a_browser_brings_the_code_and_the_code_brings_tokens(issuer: Issuer) -> None:
    grant = fresh(issuer)
    asked: list[Question] = []

    def knows(target: str) -> bool:
        return bool(asked) and asked[0].state.reveal() in target

    async with listening(knows) as redirect, httpx.AsyncClient() as browser:
        asked.append(question(grant, f"http://127.0.0.1:{redirect.port}/"))
        for stray in ("/favicon.ico", "/?code=forged&state=forged", "/?state="):
            answer = await browser.get(f"http://127.0.0.1:{redirect.port}{stray}")
            assert answer.status_code == 400 and not redirect.answered.done()
        answer = await browser.get(issuer.browse(asked[0].url))
        assert answer.status_code == 200 and "can be closed" in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
        code = code_of(asked[0], grant, await redirect.answered, NAME)
    found = await code_tokens(USUAL_WIRE, grant, asked[0], code, NAME, 0)
    assert found.access.reveal() == issuer.given[0]
    assert found.refresh is not None and issuer.good_refresh(found.refresh.reveal())
    assert found.scope == "mail offline_access"
    # A code is good once.
    with pytest.raises(Closed):
        await code_tokens(USUAL_WIRE, grant, asked[0], code, NAME, 0)


async def test_what_does_not_speak_http_ends_nothing() -> None:
    async with listening(lambda target: True) as redirect:
        for octets in (b"\x16\x03\x01\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"x" * 70_000, b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", redirect.port)
            writer.write(octets)
            writer.write_eof()
            assert not (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert not redirect.answered.done()


async def test_a_port_that_is_taken_is_said() -> None:
    async with listening(lambda target: True) as redirect:
        with pytest.raises(BadInput, match="--port"):
            async with listening(lambda target: True, redirect.port):
                raise AssertionError("both listen")


@pytest.mark.parametrize(
    ("iss", "tells", "fine"),
    [
        (None, True, True),
        (None, False, True),
        ("", False, True),
        ("", True, False),
        ("https://evil.example", True, False),
        ("https://evil.example", False, False),
    ],
    ids=["told", "told unasked", "not told", "kept back", "another", "another, unasked"],
)
async def test_an_answer_of_another_issuer_is_no_answer(
    issuer: Issuer, iss: str | None, tells: bool, fine: bool
) -> None:
    issuer.iss = iss
    grant = fresh(issuer)
    grant = replace(grant, issuer=replace(grant.issuer, tells_itself=tells))
    asked = question(grant, ELSEWHERE)
    target = issuer.browse(asked.url)
    if fine:
        assert code_of(asked, grant, target, NAME).reveal()
    else:
        with pytest.raises(Closed, match="mixes them up"):
            code_of(asked, grant, target, NAME)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda target: target.replace("state=", "state=x"), "no answer to this login"),
        (lambda target: target + "&state=another", "no answer to this login"),
        (lambda target: target.partition("?")[0], "no answer to this login"),
        (lambda target: target + "&code=second", "holds no code"),
        (lambda target: target.replace("code=", "other="), "holds no code"),
    ],
)
async def test_an_answer_that_was_changed_is_none(
    issuer: Issuer, change: Callable[[str], str], said: str
) -> None:
    grant = fresh(issuer)
    asked = question(grant, ELSEWHERE)
    with pytest.raises(Closed, match=said):
        code_of(asked, grant, change(issuer.browse(asked.url)), NAME)


async def test_a_person_who_says_no_is_heard(issuer: Issuer) -> None:
    grant = fresh(issuer)
    asked = question(grant, ELSEWHERE)
    with pytest.raises(Closed, match="said no") as caught:
        code_of(asked, grant, issuer.browse(asked.url, no="access_denied"), NAME)
    assert caught.value.reason is ClosedReason.CREDENTIALS


async def test_whoever_stole_the_code_lacks_the_verifier(issuer: Issuer) -> None:
    grant = fresh(issuer)
    asked = question(grant, ELSEWHERE)
    code = code_of(asked, grant, issuer.browse(asked.url), NAME)
    thief = replace(asked, verifier=Secret("v" * 64))
    with pytest.raises(Closed, match="another verifier"):
        await code_tokens(USUAL_WIRE, grant, thief, code, NAME, 0)


def test_every_request_has_a_state_and_a_verifier_of_its_own(issuer: Issuer) -> None:
    asked = [question(fresh(issuer), ELSEWHERE) for _ in range(20)]
    assert len({each.state.reveal() for each in asked}) == 20
    assert len({each.verifier.reveal() for each in asked}) == 20
    assert all(43 <= len(each.verifier.reveal()) <= 128 for each in asked), "RFC 7636 4.1"


def test_google_is_asked_for_a_refresh_token_and_both_for_the_person() -> None:
    for vendor, more in ((google(), {"access_type": ["offline"]}), (microsoft("common"), {})):
        grant = Grant(Flow.BROWSER, vendor.issuer, Client("id"), vendor.person, "anna@old.example")
        asked = parse_qs(urlsplit(question(grant, ELSEWHERE).url).query)
        assert asked["login_hint"] == ["anna@old.example"]
        assert asked.items() >= more.items()


class Sleeps:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds


@pytest.mark.parametrize(
    ("polls", "slept"),
    [
        ([], [1]),
        (["authorization_pending"] * 3, [1, 1, 1, 1]),
        (["slow_down", "authorization_pending"], [1, 6, 6]),
        (["slow_down", "slow_down"], [1, 6, 11]),
        (["temporarily_unavailable"], [1, 31]),
    ],
)
async def test_a_code_is_polled_for_as_fast_as_the_issuer_allows(
    issuer: Issuer, polls: list[str], slept: list[float]
) -> None:
    grant, sleep = fresh(issuer, Flow.DEVICE), Sleeps()
    code = await device_code(USUAL_WIRE, grant, 0)
    assert (code.place, code.code, code.interval) == (f"{issuer.url}/activate", "BDWP-HQPK", 1)
    issuer.polls.extend(polls)
    found = await device_tokens(USUAL_WIRE, grant, code, NAME, now=sleep.clock, sleep=sleep)
    assert found.access.reveal() == issuer.given[0]
    assert sleep.slept == slept


@pytest.mark.parametrize(
    ("poll", "said"),
    [("expired_token", "in time"), ("access_denied", "said no"), ("invalid_grant", "has ended")],
)
async def test_a_code_that_is_refused_ends_the_login(issuer: Issuer, poll: str, said: str) -> None:
    grant, sleep = fresh(issuer, Flow.DEVICE), Sleeps()
    code = await device_code(USUAL_WIRE, grant, 0)
    issuer.polls.append(poll)
    with pytest.raises(Closed, match=said):
        await device_tokens(USUAL_WIRE, grant, code, NAME, now=sleep.clock, sleep=sleep)


async def test_a_code_that_nobody_enters_comes_to_its_end(issuer: Issuer) -> None:
    grant, sleep = fresh(issuer, Flow.DEVICE), Sleeps()
    code = replace(await device_code(USUAL_WIRE, grant, 0), lasts=5)
    issuer.polls.extend(["authorization_pending"] * 99)
    with pytest.raises(Closed, match="nobody entered the code"):
        await device_tokens(USUAL_WIRE, grant, code, NAME, now=sleep.clock, sleep=sleep)
    assert sleep.slept == [1] * 5


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(200, {}), "no code to be shown"),
        (Reply(200, {"device_code": 1, "user_code": "x", "verification_uri": "y"}), "no code"),
        (
            Reply(
                200,
                {"device_code": "a", "user_code": "b", "verification_uri": "http://evil.example"},
            ),
            "isn't https",
        ),
        (error("invalid_client"), "doesn't take this client"),
    ],
)
async def test_a_code_that_can_not_be_shown_is_none(
    issuer: Issuer, reply: Reply, said: str
) -> None:
    issuer.replies.append(reply)
    with pytest.raises(Closed, match=said):
        await device_code(USUAL_WIRE, fresh(issuer, Flow.DEVICE), 0)


async def test_words_of_an_issuer_never_move_the_cursor(issuer: Issuer) -> None:
    issuer.replies.append(
        Reply(
            200,
            {
                "device_code": "a",
                "user_code": "B\x1b[2J",
                "verification_uri": f"{issuer.url}/\u202eevil",
                "expires_in": "soon",
                "interval": -1,
            },
        )
    )
    code = await device_code(USUAL_WIRE, fresh(issuer, Flow.DEVICE), 0)
    assert (code.code + code.place).isprintable()
    assert (code.lasts, code.interval) == (1800, 5)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailhaul")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def key_file(key: rsa.RSAPrivateKey, **changes: object) -> bytes:
    shape = {
        "type": "service_account",
        "client_email": Issuer.client,
        "private_key": pem(key).decode(),
        "private_key_id": "k1",
        "token_uri": "https://evil.example/token",
    }
    return json.dumps(shape | changes).encode()


async def test_an_application_logs_in_by_its_certificate(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    with Issuer(public_key=key.public_key()) as issuer:
        client = client_with_certificate(issuer.client, pem(key) + certificate(key))
        vault = vault_in(tmp_path)
        keep_grant(vault, NAME, Grant(Flow.CLIENT, at(issuer), client, "mail"))
        assert (await Tokens(vault).token(NAME)).reveal() == issuer.given[0]
        issuer.public_key = rsa.generate_private_key(65537, 2048).public_key()
        clock = Clock(time.time() + 3600)
        with pytest.raises(Closed, match="doesn't take this client's"):
            await Tokens(vault, now=clock).token(NAME)
    assert len(client.key_id) == 43, "SHA-256 in base64url"


def test_microsoft_gets_the_signature_that_it_asks_for(key: rsa.RSAPrivateKey) -> None:
    client = client_with_certificate("id", pem(key) + certificate(key))
    url = microsoft("contoso.example").issuer.token
    text, _, signature = client_assertion(client, url, 1_700_000_000).rpartition(".")
    header, claims = (json.loads(decoded(part)) for part in text.split("."))
    assert header == {"alg": "PS256", "typ": "JWT", "x5t#S256": client.key_id}
    assert (claims["aud"], claims["iss"], claims["sub"]) == (url, "id", "id")
    assert claims["exp"] - claims["nbf"] == 300
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    key.public_key().verify(decoded(signature), text.encode(), pss, hashes.SHA256())
    der = x509.load_pem_x509_certificate(certificate(key)).fingerprint(hashes.SHA256())
    assert decoded(client.key_id) == der


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_service_account_acts_for_one_person_at_a_time(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    with Issuer(public_key=key.public_key(), mint=lambda account: f"for-{account}") as issuer:
        vault = vault_in(tmp_path)
        grant = Grant(Flow.SERVICE, at(issuer), service_client(key_file(key)), "mail")
        keep_grant(vault, NAME, grant)
        tokens = Tokens(vault)
        for person in ("anna@x.example", "bob@x.example", "anna@x.example"):
            assert (await tokens.token(NAME, person)).reveal() == f"for-{person}"
        assert issuer.asked["/token"] == 2
        with pytest.raises(Closed, match=r"write oauth:anna/\{address\}"):
            await tokens.token(NAME)
        keep_grant(vault, NAME, replace(grant, account="eve@x.example"))
        assert (await tokens.token(NAME)).reveal() == "for-eve@x.example"
        assert issuer.protests == []


def test_files_that_hold_no_usable_key_are_refused_and_not_shown(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(65537, 2048)
    curve = pem(ec.generate_private_key(ec.SECP256R1()))
    small = rsa.generate_private_key(65537, 1024)
    for wrong in (b"", b"CANARY", pem(key), certificate(key), curve + certificate(key)):
        with pytest.raises(BadInput, match="PEM file") as caught:
            client_with_certificate("id", wrong)
        assert "CANARY" not in str(caught.value) and caught.value.__cause__ is None
    with pytest.raises(BadInput, match="PEM file"):
        client_with_certificate("id", pem(small) + certificate(small))
    with pytest.raises(BadInput, match="another key"):
        client_with_certificate("id", pem(key) + certificate(other))
    for wrong in (
        b"CANARY",
        b"[]",
        key_file(key, type="authorized_user"),
        key_file(key, private_key="CANARY"),
        key_file(key, client_email=1),
    ):
        with pytest.raises(BadInput, match="JSON key file") as caught:
            service_client(wrong)
        assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "granted", "missing"),
    [
        ("https://mail.google.com/", "https://mail.google.com/", []),
        ("https://mail.google.com/", "openid email", ["https://mail.google.com/"]),
        (
            "https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
            "https://outlook.office365.com/IMAP.AccessAsUser.All",
            [],
        ),
        ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send",
         ["https://outlook.office.com/IMAP.AccessAsUser.All"]),
    ],
)  # fmt: skip
def test_a_box_that_was_unticked_is_noticed(asked: str, granted: str, missing: list[str]) -> None:
    assert missing_scopes(asked, granted) == missing
