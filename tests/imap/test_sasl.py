"""SASL exchanges against the RFCs' own examples, and against servers that cheat."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret
from mailhaul.imap.login import Login
from mailhaul.imap.sasl import Conversation, Mechanism, choose, conversation
from mailhaul.imap.scram import Scram

PASSWORD = Credentials(password=Secret("pencil"))


async def _token() -> Secret:
    return Secret("ya29.token")


TOKEN = Credentials(token=_token)
BOTH = Credentials(password=Secret("pencil"), token=_token)
NEITHER = Credentials()


def begin(
    mechanism: Mechanism, secret: str = "pencil", user: str = "tim", authzid: str = ""
) -> Conversation:
    return conversation(mechanism, Login(user, authzid), Secret(secret), "imap.example", 993)


# --- Choosing --------------------------------------------------------------------------------

ALL = frozenset(f"AUTH={m}" for m in Mechanism)

CHOSEN = [
    ("inside TLS, one flight", ALL, PASSWORD, None, {}, Mechanism.PLAIN),
    ("in the clear", ALL, PASSWORD, None, {"protected": False}, Mechanism.SCRAM_SHA_256),
    ("a token", ALL, TOKEN, None, {}, Mechanism.XOAUTH2),
    ("a token before a password", ALL, BOTH, None, {}, Mechanism.XOAUTH2),
    ("OAUTHBEARER alone", {"AUTH=OAUTHBEARER"}, TOKEN, None, {}, Mechanism.OAUTHBEARER),
    ("no SASL at all", {"IMAP4REV1"}, PASSWORD, None, {}, Mechanism.LOGIN_COMMAND),
    (
        "LOGINDISABLED, CRAM-MD5 only (F6)",
        {"LOGINDISABLED", "AUTH=CRAM-MD5"},
        PASSWORD,
        None,
        {},
        Mechanism.CRAM_MD5,
    ),
    (
        "LOGINDISABLED, AUTH=LOGIN",
        {"LOGINDISABLED", "AUTH=LOGIN"},
        PASSWORD,
        None,
        {},
        Mechanism.LOGIN,
    ),
    (
        "an authzid, and LOGIN can't",
        {"AUTH=LOGIN", "AUTH=SCRAM-SHA-256"},
        PASSWORD,
        None,
        {"authzid": True},
        Mechanism.SCRAM_SHA_256,
    ),
    ("as wanted", ALL, BOTH, "cram-md5", {}, Mechanism.CRAM_MD5),
    ("the command as wanted", ALL, PASSWORD, "login-command", {}, Mechanism.LOGIN_COMMAND),
]

NOT_CHOSEN = [
    ("nothing to log in with", ALL, NEITHER, None, {}, BadInput, "neither a password nor a token"),
    ("an unknown wish", ALL, PASSWORD, "ntlm", {}, BadInput, "auth=ntlm is unknown"),
    ("a wish for a token", ALL, PASSWORD, "xoauth2", {}, BadInput, "needs an access token"),
    ("a wish for a password", ALL, TOKEN, "plain", {}, BadInput, "needs a password"),
    ("an authzid by LOGIN", ALL, PASSWORD, "login", {"authzid": True}, BadInput, "another's"),
    ("a wish not offered", {"AUTH=LOGIN"}, PASSWORD, "plain", {}, Closed, "does not offer plain"),
    (
        "the command where LOGIN is disabled",
        {"LOGINDISABLED"},
        PASSWORD,
        "login-command",
        {},
        Closed,
        "does not offer",
    ),
    ("LOGINDISABLED and nothing else", {"LOGINDISABLED"}, PASSWORD, None, {}, Closed, "under TLS"),
    (
        "tokens only",
        {"LOGINDISABLED", "AUTH=XOAUTH2"},
        PASSWORD,
        None,
        {},
        Closed,
        "access tokens only",
    ),
    ("no tokens", {"AUTH=PLAIN"}, TOKEN, None, {}, Closed, "takes no access token"),
    ("no authzid", {"AUTH=LOGIN"}, PASSWORD, None, {"authzid": True}, Closed, "by authzid"),
]


@pytest.mark.parametrize(("why", "offers", "has", "wanted", "needs", "mechanism"), CHOSEN)
def test_a_mechanism_is_chosen(
    *,
    why: str,
    offers: frozenset[str],
    has: Credentials,
    wanted: str | None,
    needs: dict[str, bool],
    mechanism: Mechanism,
) -> None:
    assert choose(frozenset(offers), has, wanted, **needs) is mechanism, why


@pytest.mark.parametrize(("why", "offers", "has", "wanted", "needs", "error", "words"), NOT_CHOSEN)
def test_why_no_mechanism_fits_is_said(
    *,
    why: str,
    offers: frozenset[str],
    has: Credentials,
    wanted: str | None,
    needs: dict[str, bool],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        choose(frozenset(offers), has, wanted, **needs)
    assert words in str(caught.value), why
    if isinstance(caught.value, Closed):
        assert caught.value.reason is ClosedReason.CREDENTIALS


# --- Exchanges -------------------------------------------------------------------------------

EXCHANGES: list[tuple[str, Conversation, bytes | None, list[tuple[bytes, bytes]]]] = [
    ("RFC 4616 4", begin(Mechanism.PLAIN, "tanstaaftanstaaf"), b"\0tim\0tanstaaftanstaaf", []),
    (
        "PLAIN with authzid, UTF-8",
        begin(Mechanism.PLAIN, "pässwörd", "ütz", "anna"),
        "anna\0ütz\0pässwörd".encode(),
        [],
    ),
    ("LOGIN", begin(Mechanism.LOGIN), None, [(b"Username:", b"tim"), (b"Password:", b"pencil")]),
    (
        "LOGIN with other prompts",
        begin(Mechanism.LOGIN, "pä"),
        None,
        [(b"User Name\0", b"tim"), (b"", "pä".encode())],
    ),
    (
        "RFC 2195 2",
        begin(Mechanism.CRAM_MD5, "tanstaaftanstaaf"),
        None,
        [
            (
                b"<1896.697170952@postoffice.reston.mci.net>",
                b"tim b913a602c7eda7a495b4e6e7334d3890",
            )
        ],
    ),
    (
        "XOAUTH2, refused: an empty line",
        begin(Mechanism.XOAUTH2, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", "some@e.org"),
        b"user=some@e.org\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01",
        [(b'{"status":"400","schemes":"Bearer"}', b"")],
    ),
    (
        "XOAUTH2 for a shared mailbox",
        begin(Mechanism.XOAUTH2, "t", "app", "shared@e.org"),
        b"user=shared@e.org\x01auth=Bearer t\x01\x01",
        [(b"", b"")],
    ),
    (
        "OAUTHBEARER (RFC 7628 4.1), refused: \\x01",
        begin(Mechanism.OAUTHBEARER, "t", "a,b=c@e.org"),
        b"n,a=a=2Cb=3Dc@e.org,\x01host=imap.example\x01port=993\x01auth=Bearer t\x01\x01",
        [(b'{"status":"invalid_token"}', b"\x01")],
    ),
]


@pytest.mark.parametrize(("why", "exchange", "first", "steps"), EXCHANGES)
def test_an_exchange_goes_by_its_specification_and_no_further(
    why: str,
    exchange: Conversation,
    first: bytes | None,
    steps: list[tuple[bytes, bytes]],
) -> None:
    assert exchange.initial() == first, why
    for challenge, response in steps:
        assert exchange.respond(challenge) == response, why
    with pytest.raises(Closed, match="asks for more"):
        exchange.respond(b"and your mother's name?")


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        (b'{"status":"400","schemes":"Bearer","scope":"https://mail/"}', "status 400"),
        (
            b'{"status":"invalid_token","error_description":"AADSTS70043\\u001b[31m"}',
            "status invalid_token; error_description AADSTS70043\\x1b[31m",
        ),
        (b"no json \x1b[2J", "no json \\x1b[2J"),
        (b"[" * 100_000, "[" * 299 + "…"),
        (b"[]", "[]"),
        (b"", "no reason given"),
    ],
)
def test_why_a_token_was_refused_is_kept_printable(challenge: bytes, words: str) -> None:
    exchange = begin(Mechanism.XOAUTH2, "t")
    exchange.respond(challenge)
    assert exchange.failure == words
    with pytest.raises(Closed, match="the token was refused"):
        exchange.finish()


@pytest.mark.parametrize(
    ("why", "build"),
    [
        ("a NUL in the password", lambda: begin(Mechanism.PLAIN, "a\0b")),
        ("a NUL in the authzid", lambda: begin(Mechanism.PLAIN, authzid="a\0b")),
        ("a token with a line end", lambda: begin(Mechanism.XOAUTH2, "t\n").initial()),
        ("an empty token", lambda: begin(Mechanism.XOAUTH2, "").initial()),
        ("a separator in the user", lambda: begin(Mechanism.XOAUTH2, "t", "a\x01b").initial()),
        ("the LOGIN command", lambda: begin(Mechanism.LOGIN_COMMAND)),
    ],
)
def test_what_can_not_be_sent_is_refused(why: str, build: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        build()


# --- SCRAM -----------------------------------------------------------------------------------

# RFC 7677 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = NONCE + "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = f"r={SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(authzid: str = "") -> Scram:
    return Scram(Login("user", authzid), Secret("pencil"), lambda: NONCE)


def test_scram_goes_by_the_rfcs_example() -> None:
    exchange = scram()
    assert exchange.initial() == f"n,,n=user,r={NONCE}".encode()
    assert exchange.respond(SERVER_FIRST) == (
        f"c=biws,r={SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    )
    assert exchange.respond(SERVER_FINAL) == b""
    exchange.finish()
    with pytest.raises(Closed):
        exchange.respond(SERVER_FINAL)


CHEATS = [
    ("our nonce alone", f"r={NONCE},s=W22Z,i=4096".encode(), "nonce"),
    ("another nonce", b"r=other,s=W22Z,i=4096", "nonce"),
    ("no rounds to speak of", SERVER_FIRST.replace(b"4096", b"1"), "1 rounds"),
    ("rounds for an hour", SERVER_FIRST.replace(b"4096", b"100000000"), "100000000 rounds"),
    ("rounds beyond counting", SERVER_FIRST.replace(b"4096", b"9" * 5000), "no SCRAM challenge"),
    ("rounds below nought", SERVER_FIRST.replace(b"4096", b"-1"), "no SCRAM challenge"),
    ("an extension we must know", b"m=x," + SERVER_FIRST, "no SCRAM challenge"),
    ("a salt that is no base64", f"r={SERVER_NONCE},s=!,i=4096".encode(), "no SCRAM challenge"),
    ("an empty salt", f"r={SERVER_NONCE},s=,i=4096".encode(), "no SCRAM challenge"),
    ("nothing", b"", "no SCRAM challenge"),
]


@pytest.mark.parametrize(("why", "challenge", "words"), CHEATS)
def test_a_server_that_cheats_at_first_gets_no_proof(
    why: str, challenge: bytes, words: str
) -> None:
    exchange = scram()
    exchange.initial()
    with pytest.raises(Closed) as caught:
        exchange.respond(challenge)
    assert words in str(caught.value), why


@pytest.mark.parametrize(
    ("why", "final", "reason"),
    [
        ("a forged signature", b"v=" + base64.b64encode(b"x" * 32), ClosedReason.PROTOCOL),
        ("no base64", b"v=!", ClosedReason.PROTOCOL),
        ("an empty one", b"v=", ClosedReason.PROTOCOL),
        ("nothing", b"", ClosedReason.PROTOCOL),
        ("a refusal", b"e=invalid-proof", ClosedReason.CREDENTIALS),
    ],
)
def test_a_server_that_can_not_prove_itself_is_left(
    why: str, final: bytes, reason: ClosedReason
) -> None:
    exchange = scram()
    exchange.respond(SERVER_FIRST)
    with pytest.raises(Closed) as caught:
        exchange.respond(final)
    assert caught.value.reason is reason, why
    with pytest.raises(Closed, match="never showed"):
        exchange.finish()


def test_an_ok_before_the_proof_is_no_login() -> None:
    exchange = scram()
    exchange.respond(SERVER_FIRST)
    with pytest.raises(Closed, match="never showed that it knows"):
        exchange.finish()


ascii_words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


@given(ascii_words, ascii_words)
def test_a_server_that_knows_the_password_is_convinced(password: str, authzid: str) -> None:
    """The server's side, written from RFC 5802 3 alone."""
    exchange = Scram(Login("a=b,c", authzid), Secret(password))
    gs2, _, bare = exchange.initial().decode().partition(",n=")
    bare = "n=" + bare
    assert bare.startswith("n=a=3Db=2Cc,r=")
    first = f"{bare.partition('r=')[2].join(['r=', 'more'])},s=c2FsdA==,i=4096".encode()
    final = exchange.respond(first)
    without_proof, _, proof = final.rpartition(b",p=")
    assert base64.b64decode(without_proof.split(b",")[0][2:]).decode() == gs2 + ","
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 4096)
    signed = b",".join([bare.encode(), first, without_proof])
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
    assert bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True)) == (
        client_key
    )
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    verifier = base64.b64encode(hmac.digest(server_key, signed, "sha256"))
    assert exchange.respond(b"v=" + verifier) == b""
    exchange.finish()


def test_equal_passwords_in_other_clothes_prove_the_same() -> None:
    """RFC 4013 3: a soft hyphen goes, a Roman nine becomes IX."""
    proofs = set()
    for password in ("IX", "I\u00adX", "\u2168"):
        exchange = Scram(Login("user"), Secret(password), lambda: NONCE)
        proofs.add(exchange.respond(SERVER_FIRST))
    assert len(proofs) == 1


@given(st.sampled_from([m for m in Mechanism if m is not Mechanism.LOGIN_COMMAND]))
def test_an_exchange_never_shows_its_secret(mechanism: Mechanism) -> None:
    exchange = begin(mechanism, "hunter2-secret")
    assert "hunter2" not in repr(exchange) + str(exchange)
