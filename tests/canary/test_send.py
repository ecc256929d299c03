"""One marked message, and what hosts make of it."""

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mailhaul.canary.mark import Canary, new_canary
from mailhaul.canary.pace import Pace
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Via
from mailhaul.canary.send import Sent, lost_track, send
from mailhaul.canary.smtp import trusting
from mailhaul.canary.terms import Encryption, Terms, agreed
from mailhaul.core.errors import BadInput
from tests.canary.scripted import (
    EHLO_TLS,
    HANG_UP,
    Anywhere,
    Nowhere,
    Script,
    host,
    route,
)
from tests.servers.certificates import Certificates, make_certificates

NOW = 1_790_000_000.0
ANN = Canary("ab" * 16, "ann@example.org", Via.MX, NOW)
TERMS = agreed(
    ["ann@example.org", "zoë@example.org"],
    ["example.org"],
    speaker="probe.example.net",
    per_minute=60_000,
    patience=0.5,
    connecting=1.0,
)


async def sent(
    script: Script, canary: Canary = ANN, terms: Terms = TERMS, trust: ssl.SSLContext | None = None
) -> Sent:
    async with host(script):
        return await send(
            canary,
            route(script, via=canary.via),
            terms,
            Pace(60_000),
            Anywhere(),
            trust or trusting(),
            lambda: NOW + 1,
        )


@dataclass(frozen=True)
class Row:
    """What a host answers, and what is made of it."""

    name: str
    says: dict[str, bytes]
    verdict: Verdict
    words: str
    on_its_way: bool = False
    slow: dict[str, float] = field(default_factory=dict)


ROWS = [
    Row("taken", {}, Verdict.ACCEPTED, "250 2.0.0 queued as 4711", on_its_way=True),
    Row(
        "refused at the recipient",
        {"RCPT": b"550 5.1.1 user unknown\r\n"},
        Verdict.REFUSED,
        "550 5.1.1 user unknown",
    ),
    Row("greylisted", {"RCPT": b"451 4.7.1 come back\r\n"}, Verdict.TEMPORARY, "451 4.7.1"),
    Row("no data wanted", {"DATA": b"554 5.5.1 no valid recipients\r\n"}, Verdict.REFUSED, "554"),
    Row("taken for spam", {"message": b"554 5.7.1 spam content\r\n"}, Verdict.BARRED, "554 5.7.1"),
    Row("put off after the message", {"message": b"451 4.3.0 oops\r\n"}, Verdict.TEMPORARY, "451"),
    Row(
        "no answer to the message",
        {"message": HANG_UP},
        Verdict.UNCERTAIN,
        "it hung up",
        on_its_way=True,
    ),
    Row(
        "garbage in answer to the message",
        {"message": b"what?\r\n"},
        Verdict.UNCERTAIN,
        "makes no sense",
        on_its_way=True,
    ),
    Row(
        "no answer before the message",
        {},
        Verdict.SILENT,
        "no answer in time",
        slow={"RCPT": 5.0},
    ),
    Row("hung up before the message", {"MAIL": HANG_UP}, Verdict.UNREACHABLE, "it hung up"),
    Row("we are barred", {"MAIL": b"550 5.7.1 sender denied\r\n"}, Verdict.BARRED, "550 5.7.1"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_what_became_of_it(row: Row) -> None:
    script = Script(row.says, slow=row.slow)
    came = await sent(script)
    assert (came.verdict, came.on_its_way) == (row.verdict, row.on_its_way)
    assert row.words in came.words
    assert came.canary is ANN
    assert came.at == (NOW + 1 if row.on_its_way else None)
    assert script.named() == ([] if "MAIL" in row.says else ["ann@example.org"])


async def test_the_message_goes_over_as_it_was_written() -> None:
    script = Script()
    await sent(script, terms=replace(TERMS, sender="mover@provider.example"))
    assert script.heard[1] == "MAIL FROM:<mover@provider.example>"
    (message,) = script.messages
    header, _, body = message.partition(b"\r\n\r\n")
    assert header.decode().split("\r\n") == [
        "Date: Mon, 21 Sep 2026 14:13:20 +0000",
        "From: mailhaul <mover@provider.example>",
        "To: <ann@example.org>",
        f"Message-ID: <mailhaul-canary.{ANN.token}@probe.example.net>",
        "Subject: test of mail delivery (mailhaul)",
        f"Mailhaul-Canary: {ANN.token}",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
    ]
    assert body.endswith(b"There is nothing to be done.\r\n.\r\n")


async def test_without_a_name_we_are_called_by_our_address() -> None:
    script = Script()
    await sent(script, terms=replace(TERMS, speaker=""))
    assert script.heard[0] == "EHLO [127.0.0.1]"
    assert b"From: mailhaul <postmaster@[127.0.0.1]>\r\n" in script.messages[0]


async def test_an_address_that_is_not_ascii_goes_by_smtputf8_only() -> None:
    zoe = replace(ANN, recipient="zoë@example.org")
    knows = Script({"EHLO": b"250-mx\r\n250 SMTPUTF8\r\n"})
    assert (await sent(knows, zoe)).verdict is Verdict.ACCEPTED
    assert "MAIL FROM:<> SMTPUTF8" in knows.heard
    assert "To: <zoë@example.org>".encode() in knows.messages[0]
    assert (await sent(Script(), zoe)).verdict is Verdict.UNFIT


async def test_messages_keep_to_the_pace_of_everything_else() -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(30, clock=lambda: 0.0, pause=pause)
    script = Script()
    async with host(script):
        for _ in range(2):
            await send(ANN, route(script, via=Via.MX), TERMS, pace, Anywhere(), trusting())
    assert waits == [2.0]


@pytest.mark.parametrize(
    "canary",
    [
        replace(ANN, recipient="eve@example.org"),
        replace(ANN, recipient="ann@example.com"),
        replace(ANN, recipient="mailhaul-nobody-0123456789abcdef@example.org"),
        replace(ANN, via=Via.NEW),
    ],
    ids=["not of the plan", "of another domain", "a stranger", "the new MX before the switch"],
)
async def test_nothing_is_sent_that_was_not_agreed(canary: Canary) -> None:
    script = Script()
    with pytest.raises(BadInput):
        await sent(script, canary)
    assert script.connections == 0


async def test_the_way_is_the_canarys_own() -> None:
    with pytest.raises(BadInput):
        await send(ANN, route(Script(), via=Via.OLD), TERMS, Pace(60), Anywhere(), trusting())


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    script = Script()
    async with host(script):
        came = await send(
            ANN, route(script, via=Via.MX), TERMS, Pace(60_000), Nowhere(), trusting()
        )
    assert (came.verdict, script.connections) == (Verdict.FORBIDDEN, 0)
    assert came.words == (
        "localhost (127.0.0.1) is not connected to: its address is not a public one"
    )


def test_what_was_perhaps_sent_is_looked_for() -> None:
    assert lost_track(ANN).on_its_way
    assert lost_track(ANN).verdict is Verdict.UNCERTAIN


def test_tokens_are_128_bits_of_what_they_are_given() -> None:
    made = new_canary("ann@example.org", Via.MX, NOW, lambda octets: b"\x5a" * octets)
    assert made.token == "5a" * 16
    assert len({new_canary("ann@example.org", Via.MX, NOW).token for _ in range(100)}) == 100


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("mx"))


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("expired"), expired=True)


@pytest.fixture(scope="module")
def of_others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("others"), names=["mx.example.com"])


def server_side(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@dataclass(frozen=True)
class TlsRow:
    """A host's TLS. `certificates` names a fixture; None: it offers none."""

    name: str
    certificates: str | None
    trusted: bool
    encrypted: bool
    distrust: str
    connections: int = 1
    says: bytes = b"220 go ahead\r\n"


TLS_ROWS = [
    TlsRow("a good certificate", "certificates", True, True, ""),
    TlsRow("of an authority that nobody knows", "certificates", False, True, "certificate", 2),
    TlsRow("out of date", "expired", True, True, "expired", 2),
    TlsRow("of another host", "of_others", True, True, "Hostname mismatch", 2),
    TlsRow("no STARTTLS", None, True, False, "it offers no STARTTLS"),
    TlsRow(
        "STARTTLS offered and refused",
        "certificates",
        True,
        False,
        "TLS fails: 454 4.7.0 no",
        2,
        b"454 4.7.0 no\r\n",
    ),
    TlsRow(
        "no handshake",
        "certificates",
        True,
        False,
        "TLS fails",
        2,
        b"220 go ahead\r\nthis is no handshake at all, whoever may have sent it\r\n" * 2,
    ),
]


@pytest.mark.parametrize("encryption", list(Encryption))
@pytest.mark.parametrize("row", TLS_ROWS, ids=lambda row: row.name)
async def test_tls(row: TlsRow, encryption: Encryption, request: pytest.FixtureRequest) -> None:
    script = Script()
    trust = trusting()
    if row.certificates is not None:
        made = request.getfixturevalue(row.certificates)
        script = Script({"EHLO": EHLO_TLS, "STARTTLS": row.says}, tls=server_side(made))
        if row.says.startswith(b"220 go ahead\r\nthis"):
            script.tls = None
        if row.trusted:
            trust = trusting(str(made.authority))
    came = await sent(script, terms=replace(TERMS, encryption=encryption), trust=trust)
    if encryption is Encryption.REQUIRED and row.distrust:
        assert came.verdict is Verdict.INSECURE
        assert script.messages == []
        assert row.distrust in came.words
        return
    assert came.verdict is Verdict.ACCEPTED, came
    assert came.reached is not None
    assert came.reached.encrypted is row.encrypted
    assert row.distrust in came.reached.distrust
    assert bool(came.reached.distrust) is bool(row.distrust)
    assert script.connections == row.connections


async def test_an_answer_put_in_before_the_handshake_is_no_answer(
    certificates: Certificates,
) -> None:
    """RFC 3207 section 4.2, CVE-2011-0411."""
    put_in = b"220 go ahead\r\n250 evil.example.net\r\n"
    script = Script({"EHLO": EHLO_TLS, "STARTTLS": put_in}, tls=server_side(certificates))
    came = await sent(script, trust=trusting(str(certificates.authority)))
    assert came.verdict is Verdict.ACCEPTED
    assert script.heard.count("EHLO probe.example.net") == 2, "asked again after the handshake"


async def test_what_it_knows_is_asked_again_behind_the_handshake(
    certificates: Certificates,
) -> None:
    knows = b"250-mx\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"
    script = Script({"EHLO": knows}, tls=server_side(certificates))
    zoe = replace(ANN, recipient="zoë@example.org")
    came = await sent(script, zoe, trust=trusting(str(certificates.authority)))
    assert came.verdict is Verdict.ACCEPTED


def test_a_file_that_is_no_authority_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing of the kind")
    for name in ("no.pem", "missing.pem"):
        with pytest.raises(BadInput, match="PEM file"):
            trusting(str(tmp_path / name))
