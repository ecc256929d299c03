"""Whom tokens are asked of, and where they never go."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret
from mailhaul.vault.oauth import (
    Client,
    Flow,
    Grant,
    check_name,
    grant_names,
    keep_grant,
    kept_grant,
)
from mailhaul.vault.oauth import Issuer as At
from mailhaul.vault.oauth_http import USUAL_WIRE, Wire, check_url, is_public, post_form
from mailhaul.vault.oauth_issuers import (
    check_flow,
    discovered,
    google,
    is_same_issuer,
    microsoft,
)
from tests.servers.certificates import make_certificates
from tests.servers.issuer import Issuer, Reply
from tests.vault.granting import vault_in

TENANT = "00000000-1111-2222-3333-444444444444"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


async def test_an_issuer_tells_where_it_is_asked(issuer: Issuer) -> None:
    found = await discovered(USUAL_WIRE, issuer.url, inside=True)
    assert found == At(
        issuer.url,
        issuer.token_url,
        f"{issuer.url}/authorize",
        f"{issuer.url}/device",
        f"{issuer.url}/revoke",
        tells_itself=True,
        inside=True,
    )
    issuer.basic_only = True
    assert (await discovered(USUAL_WIRE, issuer.url, inside=True)).basic


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://login.example"}, "says that it is https://login.example"),
        ({"issuer": None}, "says that it is"),
        ({"token_endpoint": "http://login.example/token"}, "isn't https"),
        ({"token_endpoint": "ftp://127.0.0.1/"}, "isn't https"),
        ({"token_endpoint": 5}, "names no token endpoint"),
        ({"revocation_endpoint": "https://user@login.example/"}, "no address of an issuer"),
        ({"authorization_endpoint": "https://[::1/"}, "no address of an issuer"),
    ],
)
async def test_metadata_that_leads_astray_is_refused(
    issuer: Issuer, changes: dict[str, object], said: str
) -> None:
    issuer.metadata = changes
    with pytest.raises(Closed, match=said) as caught:
        await discovered(USUAL_WIRE, issuer.url, inside=True)
    assert caught.value.reason is ClosedReason.PROTOCOL


async def test_who_has_no_metadata_is_no_issuer(issuer: Issuer) -> None:
    with pytest.raises(Closed, match="says nothing of itself"):
        await discovered(USUAL_WIRE, f"{issuer.url}/other", inside=True)


@pytest.mark.parametrize(
    ("url", "inside", "fine"),
    [
        ("https://login.example/token", False, True),
        ("https://login.example:8443/a?b=c", False, True),
        ("http://login.example/token", False, False),
        ("http://login.example/token", True, False),
        ("http://127.0.0.1/token", False, False),
        ("http://127.0.0.1/token", True, True),
        ("http://[::1]:80/token", True, True),
        ("http://localhost/token", True, False),
        ("https://user:pass@login.example/", False, False),
        ("https://login.example/#fragment", False, False),
        ("https://login.example:0/", False, False),
        ("https://login.example:99999/", False, False),
        ("https:///token", False, False),
        ("file:///etc/passwd", True, False),
        ("", True, False),
    ],
)
def test_tokens_go_over_https_alone(url: str, inside: bool, fine: bool) -> None:
    if fine:
        assert check_url(url, inside=inside)
    else:
        with pytest.raises(Closed):
            check_url(url, inside=inside)


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("20.190.160.1", True),
        ("2603:1026::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:20.190.160.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("2001:0:a00:1::", False),
        ("2001:db8::1", False),
        ("login.example", False),
    ],
)
def test_only_public_addresses_are_gone_to(address: str, fine: bool) -> None:
    assert is_public(address) is fine


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "10.0.0.1"])
async def test_an_issuer_inside_is_gone_to_only_when_a_person_says_so(host: str) -> None:
    with pytest.raises(Closed, match="--inside") as caught:
        await post_form(USUAL_WIRE, f"https://{host}/token", {"a": "b"})
    assert caught.value.reason is ClosedReason.FORBIDDEN


async def test_a_name_that_leads_nowhere_may_be_dns_being_away() -> None:
    with pytest.raises(RetryLater, match="can't be reached"):
        await post_form(USUAL_WIRE, "https://nowhere.invalid/token", {})


async def test_a_certificate_that_is_not_trusted_gets_no_token(tmp_path: Path) -> None:
    import asyncio
    import ssl

    certificates = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/token"
    async with server:
        with pytest.raises(Closed) as caught:
            await post_form(USUAL_WIRE, url, {"a": "b"}, inside=True)
        assert (caught.value.reason, heard) == (ClosedReason.TLS, [])
        trust = ssl.create_default_context(cafile=certificates.authority)
        answer = await post_form(Wire(trust), url, {"a": "b"}, inside=True)
        assert answer.status == 200
        assert b"\r\n\r\na=b" in heard[0] and b"Host: localhost" in heard[0]


def test_microsoft_is_asked_at_the_tenants_own_place() -> None:
    vendor = microsoft("contoso.onmicrosoft.com")
    place = "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0"
    assert vendor.issuer.token == f"{place}/token"
    assert is_same_issuer(vendor.issuer, f"https://login.microsoftonline.com/{TENANT}/v2.0")
    for other in (
        "https://login.microsoftonline.com/x/v2.0",
        f"https://login.microsoftonline.com/{TENANT}/v2.0/",
        f"https://evil.example/{TENANT}/v2.0",
        "",
    ):
        assert not is_same_issuer(vendor.issuer, other)
    own = microsoft(TENANT).issuer
    assert is_same_issuer(own, f"https://login.microsoftonline.com/{TENANT}/v2.0")
    assert not is_same_issuer(own, f"https://login.microsoftonline.com/{TENANT[::-1]}/v2.0")


@pytest.mark.parametrize("tenant", ["", "a/b", "..", "a?b", "a b", "-", "x" * 300, "é"])
def test_what_is_no_tenant_never_comes_into_an_address(tenant: str) -> None:
    with pytest.raises(BadInput, match="no tenant"):
        microsoft(tenant)


@pytest.mark.parametrize(
    ("vendor", "flow", "said"),
    [
        (google(), Flow.DEVICE, "not for mail"),
        (google(), Flow.CLIENT, "--service-account"),
        (microsoft("organizations"), Flow.CLIENT, "name the tenant"),
        (google(), Flow.BROWSER, ""),
        (microsoft("contoso.example"), Flow.CLIENT, ""),
        (microsoft("common"), Flow.DEVICE, ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_flow_that_a_vendor_has_not_got_is_said(vendor: object, flow: Flow, said: str) -> None:
    from mailhaul.vault.oauth_issuers import Vendor

    assert isinstance(vendor, Vendor)
    if said:
        with pytest.raises(BadInput, match=said):
            check_flow(vendor, flow)
    else:
        check_flow(vendor, flow)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 101, "a\n", "a\x1b"])
def test_what_can_not_stand_in_a_reference_names_no_login(name: str) -> None:
    with pytest.raises(BadInput, match="can't name a login"):
        check_name(name)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SECRETS = st.none() | WORDS.filter(bool).map(Secret)


@given(
    st.builds(
        Grant,
        st.sampled_from(Flow),
        st.builds(At, WORDS, WORDS, WORDS, WORDS, WORDS, st.booleans(), st.booleans()),
        st.builds(Client, WORDS, SECRETS, SECRETS, WORDS),
        WORDS,
        WORDS,
        SECRETS,
        SECRETS,
        st.floats(0, 1e12),
        st.floats(0, 1e9),
    )
)
def test_a_grant_comes_out_of_the_vault_as_it_went_in(grant: Grant) -> None:
    from mailhaul.vault.oauth import _read, _written

    again = _read("x", Secret(_written(grant)))
    assert _written(again) == _written(grant)
    assert grant.issuer == again.issuer


def test_what_is_no_grant_is_said_without_showing_it(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    vault.set("password", Secret("x"))
    for text in ("CANARY", "[]", "{}", '{"format":"mailhaul grant 1","flow":"CANARY"}', "[" * 9999):
        vault.set("oauth:odd", Secret(text))
        with pytest.raises(BadInput, match="mailhaul oauth login odd") as caught:
            kept_grant(vault, "odd")
        assert "CANARY" not in str(caught.value) and caught.value.__cause__ is None
    assert kept_grant(vault, "none") is None
    assert grant_names(vault) == ["odd"]
    with pytest.raises(BadInput):
        keep_grant(vault, "a/b", Grant(Flow.CLIENT, At("", ""), Client(""), ""))


def test_no_grant_shows_a_secret() -> None:
    secret = Secret("CANARY")
    client = Client("id", secret, secret)
    assert "CANARY" not in repr(Grant(Flow.CLIENT, At("", ""), client, "", "", secret, secret))


def test_the_simulator_refuses_what_no_issuer_takes() -> None:
    with Issuer() as issuer:
        form = {"content-type": "application/x-www-form-urlencoded"}
        asked: list[tuple[str, bytes, dict[str, str]]] = [
            ("/token", b"{}", {"content-type": "application/json"}),
            ("/token", b"grant_type=refresh_token&grant_type=refresh_token", form),
            ("/token", b"grant_type=refresh_token&password=x", form),
            ("/elsewhere", b"a=b", form),
        ]
        for path, body, headers in asked:
            assert issuer.answer("POST", path, body, headers).status >= 400
        assert len(issuer.protests) == len(asked)
        stranger = b"grant_type=refresh_token&refresh_token=x&client_id=another"
        assert issuer.answer("POST", "/token", stranger, form) == Reply(
            401, {"error": "invalid_client", "error_description": "a wrong secret"}
        )
