"""TLS against certificates made here, by handshakes in memory."""

import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import printable
from mailhaul.imap import tls

HOST = "mail.example"
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make(
    *,
    names: tuple[str, ...] = (HOST,),
    issuer: Made | None = None,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=1),
    authority: bool = False,
) -> Made:
    """A certificate for `names`, by `issuer` or self-signed, valid from and to, as of now."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {serial}"[:60])])
    alternatives = [
        x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


AUTHORITY = make(names=(), authority=True)
GOOD = make(issuer=AUTHORITY)
SELF_SIGNED = make()
EXPIRED = make(issuer=AUTHORITY, begins=timedelta(days=-9), ends=timedelta(days=-1))
EARLY = make(issuer=AUTHORITY, begins=timedelta(days=1), ends=timedelta(days=9))
OTHER = make(issuer=AUTHORITY, names=("a.example", "*.b.example", "192.0.2.7"))
STRANGER = make(issuer=make(names=(), authority=True))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    return tmp_path


def server_context(directory: Path, made: Made) -> ssl.SSLContext:
    key = made.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "server.pem").write_bytes(made.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST) -> ssl.SSLObject:
    """The client's end after a handshake in memory; raises what the client raises."""
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(downward, upward, server_hostname=host)
    theirs = server.wrap_bio(upward, downward, server_side=True)
    for _ in range(10):
        try:
            ours.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            return ours
        try:
            theirs.do_handshake()
        except ssl.SSLError:
            continue
    raise AssertionError("the handshake came to no end")


def endpoint(**options: str) -> Endpoint:
    return Endpoint("imaps", HOST, 993, "anna", options=options)


# --- Trust -----------------------------------------------------------------------------------


def test_an_own_authority_is_trusted_and_nothing_older_than_tls_1_2(directory: Path) -> None:
    context = tls.client_context(endpoint(ca=str(directory / "ca.pem")))
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    connected = handshake(context, server_context(directory, GOOD))
    assert connected.version() in ("TLSv1.2", "TLSv1.3")


def test_the_system_store_does_not_trust_strangers(directory: Path) -> None:
    context = tls.client_context(endpoint())
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, server_context(directory, GOOD))


def test_a_pin_takes_that_certificate_alone(directory: Path) -> None:
    pinned = endpoint(fingerprint=tls.fingerprint(EXPIRED.der))
    context = tls.client_context(pinned)
    connected = handshake(context, server_context(directory, EXPIRED), "192.0.2.1")
    tls.check_pin(connected.getpeercert(binary_form=True), pinned)
    connected = handshake(context, server_context(directory, GOOD))
    with pytest.raises(Closed, match=tls.fingerprint(GOOD.der)) as caught:
        tls.check_pin(connected.getpeercert(binary_form=True), pinned)
    assert caught.value.reason is ClosedReason.TLS
    with pytest.raises(Closed):
        tls.check_pin(None, pinned)


def test_without_a_pin_there_is_nothing_to_check() -> None:
    tls.check_pin(None, endpoint())


PIN = "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        PIN,
        PIN.upper(),
        ":".join(["AB"] * 32),
        "sha256:" + PIN,
        "SHA256=" + PIN,
        "sha256 Fingerprint=" + PIN,
    ],
)
def test_a_fingerprint_is_read_as_tools_write_it(text: str) -> None:
    assert tls.pinned_fingerprint(endpoint(fingerprint=text)) == PIN


@pytest.mark.parametrize("text", ["ab", PIN[:40], PIN + "ab", "zz" * 32, "sha1:" + PIN])
def test_what_is_no_fingerprint_is_refused_before_connecting(text: str) -> None:
    with pytest.raises(BadInput, match="64 hex digits"):
        tls.client_context(endpoint(fingerprint=text))


@pytest.mark.parametrize(
    ("name", "words"),
    [("none.pem", "can't be read.*; name a PEM file"), ("x.pem", "no PEM.*; name a PEM file")],
)
def test_a_ca_file_that_is_none_is_refused(directory: Path, name: str, words: str) -> None:
    (directory / "x.pem").write_text("not a certificate")
    with pytest.raises(BadInput, match=words):
        tls.client_context(endpoint(ca=str(directory / name)))


# --- Explanations ----------------------------------------------------------------------------


def with_tls_1_1_only(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def unchanged(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


FAILING: list[tuple[str, Made, Callable[[ssl.SSLContext], ssl.SSLContext], list[str]]] = [
    ("expired", EXPIRED, unchanged, ["expired", "renew it", "?fingerprint="]),
    ("not yet valid", EARLY, unchanged, ["not valid yet", "clock"]),
    ("another's", OTHER, unchanged, ["stands for a.example, *.b.example, 192.0.2.7", "as host"]),
    ("self-signed", SELF_SIGNED, unchanged, ["self-signed", "?ca=FILE", "?fingerprint="]),
    ("an unknown issuer", STRANGER, unchanged, ["issuer is unknown", "whole chain"]),
    ("too old", GOOD, with_tls_1_1_only, ["no TLS 1.2 or newer", "switch TLS 1.2 on"]),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("why", "made", "change", "words"), FAILING)
def test_a_failure_is_explained_with_its_cure(
    directory: Path,
    *,
    why: str,
    made: Made,
    change: Callable[[ssl.SSLContext], ssl.SSLContext],
    words: list[str],
) -> None:
    context = tls.client_context(endpoint(ca=str(directory / "ca.pem")))
    with pytest.raises(ssl.SSLError) as caught:
        handshake(context, change(server_context(directory, made)))
    sentence = tls.explain(caught.value, HOST, made.der)
    assert sentence.startswith(HOST + " "), why
    for word in words:
        assert word in sentence, sentence
    if "?fingerprint=" in words:
        assert tls.fingerprint(made.der) in sentence


def test_a_server_that_speaks_no_tls_is_explained() -> None:
    incoming = ssl.MemoryBIO()
    ours = tls.client_context(endpoint()).wrap_bio(incoming, ssl.MemoryBIO(), server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        ours.do_handshake()
    incoming.write(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        ours.do_handshake()
    assert "imap+starttls://" in tls.explain(caught.value, HOST)


def test_a_server_that_hangs_up_is_explained() -> None:
    incoming = ssl.MemoryBIO()
    incoming.write_eof()
    ours = tls.client_context(endpoint()).wrap_bio(incoming, ssl.MemoryBIO(), server_hostname=HOST)
    with pytest.raises(ssl.SSLError) as caught:
        ours.do_handshake()
    assert "hung up" in tls.explain(caught.value, HOST)


def test_an_unknown_failure_is_shown_printable() -> None:
    sentence = tls.explain(ssl.SSLError(1, "odd \x1b[2J thing"), "h\x1bost")
    assert sentence.isprintable() and "odd" in sentence


def test_a_hostile_certificate_name_is_printable() -> None:
    made = make(names=("x\x1b[31m.example",))
    assert tls.certificate_names(made.der) == ("x\\x1b[31m.example",)


@given(st.binary(), st.integers(0, 2000), st.integers(0, 255))
def test_any_octets_have_names_or_none(tail: bytes, place: int, octet: int) -> None:
    broken = bytearray(OTHER.der)
    broken[place % len(broken)] = octet
    for certificate in (bytes(broken), b"\x06\x03\x55\x1d\x11" + tail, tail):
        assert all(printable(name) == name for name in tls.certificate_names(certificate))


# --- Plaintext -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_known_by_its_name(host: str, answer: bool) -> None:
    assert tls.is_loopback(host) is answer


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("imaps://a@h.example", False),
        ("imap+starttls://a@h.example", False),
        ("imap://a@localhost", False),
        ("imap://a@[::1]:1143", False),
        ("imap://a@h.example?plaintext=yes", True),
    ],
)
def test_allowed_plaintext_is_noticed(text: str, notice: bool) -> None:
    said = tls.check_plaintext(parse_endpoint(text))
    assert (said is not None) is notice
    assert said is None or "h.example" in said


@pytest.mark.parametrize("query", ["", "?plaintext=no", "?plaintext=1"])
def test_plaintext_to_elsewhere_is_refused(query: str) -> None:
    with pytest.raises(BadInput, match="plaintext="):
        tls.check_plaintext(parse_endpoint("imap://a@h.example" + query))


def test_importing_costs_no_truststore() -> None:
    """Start-up time is measured: the store is loaded when a connection wants it."""
    script = "import sys, mailhaul.imap.tls; print('truststore' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout.strip() == b"False"
