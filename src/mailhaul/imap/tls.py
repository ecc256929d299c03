"""TLS: whom to trust, where plaintext may go, and what to tell a person when it fails.

TLS 1.2 or newer, verified against the system's store, unless the endpoint names its own CA (`ca`:
then that one alone is trusted) or pins the server's certificate (`fingerprint`: then nothing else
counts, be it expired or self-signed). There is no way to switch verification off (failure-modes
A9, A10; security.md 4).
"""

import hashlib
import ipaddress
import re
import ssl
from collections.abc import Iterator

from mailhaul.core.endpoint import Endpoint
from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import printable

_LABEL = re.compile(r"\s*sha-?256(?:\s+fingerprint)?\s*[:=]")  # as openssl writes it
_HEX = re.compile(r"[0-9a-f]{64}")
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")  # OBJECT IDENTIFIER 2.5.29.17
_SEQUENCE, _OCTETS, _BOOLEAN, _DNS_NAME, _ADDRESS = 0x30, 0x04, 0x01, 0x82, 0x87


def client_context(endpoint: Endpoint) -> ssl.SSLContext:
    """The context for a connection to `endpoint`. With `fingerprint` it verifies nothing: call
    `check_pin` after the handshake, before anything is sent. Raises `BadInput` when the CA file or
    the fingerprint is none. Reads the CA file."""
    authority = endpoint.options.get("ca")
    if endpoint.options.get("fingerprint"):
        pinned_fingerprint(endpoint)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority:
        context = _own_authority(authority)
    else:
        context = _system_store()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def pinned_fingerprint(endpoint: Endpoint) -> str | None:
    """The SHA-256 fingerprint that the endpoint pins, as 64 small hex digits; None without one.
    Colons, blanks, capitals and `sha256:` are fine. Raises `BadInput` when it is none."""
    text = endpoint.options.get("fingerprint")
    if not text:
        return None
    digits = re.sub(r"[:\s]", "", _LABEL.sub("", text.lower()))
    if not _HEX.fullmatch(digits):
        raise BadInput(
            f"fingerprint={printable(text, 120)} is no SHA-256 fingerprint, 64 hex digits; read it "
            "off with: openssl x509 -noout -fingerprint -sha256"
        )
    return digits


def check_pin(certificate: bytes | None, endpoint: Endpoint) -> None:
    """Raises `Closed(TLS)` unless `certificate` (the server's own, DER) is the pinned one. Without
    a pin it does nothing."""
    pinned = pinned_fingerprint(endpoint)
    if pinned is None:
        return
    found = fingerprint(certificate or b"")
    if found.replace(":", "").lower() != pinned:
        raise Closed(
            f"{_place(endpoint.host)} shows another certificate than the pinned one: {found}; if "
            "its owner confirms that it was renewed, pin the new one, else somebody is in between",
            ClosedReason.TLS,
        )


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a DER certificate as people compare it: `AB:CD:…`."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its very name: `localhost`, 127.0.0.0/8 or ::1. Names are
    not looked up: what a resolver says is no promise."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def check_plaintext(endpoint: Endpoint) -> str | None:
    """What a person should know about plaintext to `endpoint`: a notice for the summary, or None
    when there is nothing to say. Raises `BadInput` when plaintext isn't allowed there: the scheme
    is `imap`, the host isn't loopback, and `plaintext=yes` wasn't said."""
    answer = endpoint.options.get("plaintext", "no").lower()
    if answer not in ("yes", "no"):
        raise BadInput(f"plaintext={printable(answer, 40)} is neither yes nor no")
    if endpoint.scheme != "imap" or is_loopback(endpoint.host):
        return None
    if answer == "no":
        raise BadInput(
            f"{endpoint} would send the password and all mail readable by anyone on the way; use "
            "imaps:// or imap+starttls://, or allow it with ?plaintext=yes"
        )
    return f"{endpoint}: plaintext was allowed; the password and all mail were readable on the way"


def explain(error: ssl.SSLError, host: str, certificate: bytes | None = None) -> str:
    """Why there is no TLS with `host`, and the cure, in one sentence. `certificate` is what the
    server showed (DER), where it is known: names and fingerprint come from there."""
    place = _place(host)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{place} {_distrust(error, certificate)}"
    reason = (getattr(error, "reason", None) or "").upper().replace(" ", "_")
    for reasons, sentence in _FAILURES:
        if any(part in reason for part in reasons):
            return f"{place} {sentence}"
    return (
        f"{place} does not come to terms about TLS: {printable(reason or str(error), 200)}; check "
        "host and port, and try again"
    )


def certificate_names(certificate: bytes) -> tuple[str, ...]:
    """The host names and addresses in a DER certificate (RFC 5280 4.2.1.6), printable, at most
    fifty; none when it can't be read. For showing only: never a decision."""
    at = certificate.find(_SUBJECT_ALTERNATIVE_NAME)
    if at < 0:
        return ()
    names: list[str] = []
    for tag, value in _elements(certificate[at + len(_SUBJECT_ALTERNATIVE_NAME) :]):
        if tag == _BOOLEAN:  # critical
            continue
        if tag == _OCTETS:
            for inner, sequence in _elements(value):
                if inner == _SEQUENCE:
                    names += _names(sequence)
        break
    return tuple(names[:50])


_VERIFY_EXPIRED, _VERIFY_NOT_YET = 10, 9
_VERIFY_SELF_SIGNED, _VERIFY_SELF_SIGNED_ROOT = 18, 19
_VERIFY_NO_ISSUER = frozenset({2, 20, 21})
_VERIFY_WRONG_NAME = frozenset({62, 64})
_VERIFY_WEAK = frozenset({66, 67, 68})

_OLD_PROTOCOL = (
    "speaks no TLS 1.2 or newer, which is no protection any more; have its owner switch TLS 1.2 on"
)
_NO_TLS = (
    "does not speak TLS on this port; use imap+starttls:// for port 143, imaps:// for port 993"
)
_FAILURES = (
    (("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH", "HTTP_REQUEST"), _NO_TLS),
    (
        ("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS", "VERSION_TOO_LOW"),
        _OLD_PROTOCOL,
    ),
    (
        ("KEY_TOO_SMALL", "MD_TOO_WEAK", "DH_KEY", "LEGACY_RENEGOTIATION", "BAD_DH"),
        "uses keys or hashes that this machine rejects as too weak; have its owner renew them",
    ),
    (
        ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "NO_CIPHERS"),
        "and this machine have no cipher in common; have its owner switch TLS 1.2 or newer on",
    ),
    (
        ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE"),
        "wants a certificate from us, which mailhaul does not give; use another address of it",
    ),
    (
        ("UNEXPECTED_EOF", "EOF_OCCURRED"),
        "hung up during the TLS handshake; check host and port, and try again",
    ),
)


def _own_authority(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise BadInput(
            f"ca={printable(path, 300)} holds no PEM certificate; name a PEM file that does"
        ) from error
    except OSError as error:
        raise BadInput(
            f"ca={printable(path, 300)} can't be read: {printable(error.strerror or str(error))}; "
            "name a PEM file that this user can read"
        ) from error


def _system_store() -> ssl.SSLContext:
    # Imported here: a pass over files, and `mailhaul --help`, need neither.
    try:
        import truststore  # noqa: PLC0415
    except ImportError:
        return ssl.create_default_context()
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _place(host: str) -> str:
    return printable(host, 200)


def _distrust(error: ssl.SSLCertVerificationError, certificate: bytes | None) -> str:
    pin = "or pin it with ?fingerprint=SHA256"
    if certificate:
        pin = f"or, if its owner confirms it, pin it with ?fingerprint={fingerprint(certificate)}"
    code = error.verify_code
    if code == _VERIFY_EXPIRED:
        return f"shows an expired certificate; have its owner renew it, {pin}"
    if code == _VERIFY_NOT_YET:
        return "shows a certificate that is not valid yet; check this machine's clock"
    if code in _VERIFY_WRONG_NAME:
        names = certificate_names(certificate) if certificate else ()
        stands = f"stands for {', '.join(names)}" if names else "stands for other names"
        return f"shows a certificate that {stands}; use one of its names as host, {pin}"
    if code in (_VERIFY_SELF_SIGNED, _VERIFY_SELF_SIGNED_ROOT):
        own = code == _VERIFY_SELF_SIGNED
        kind = "a self-signed certificate" if own else "a certificate of a private CA"
        return f"shows {kind}; give its CA with ?ca=FILE, {pin}"
    if code in _VERIFY_NO_ISSUER:
        return (
            "shows a certificate whose issuer is unknown here, or leaves out an intermediate one; "
            f"have its owner send the whole chain, give the CA with ?ca=FILE, {pin}"
        )
    if code in _VERIFY_WEAK:
        return f"shows a certificate that is too weak; have its owner renew it, {pin}"
    said = printable(error.verify_message or str(error), 200)
    return f"shows a certificate that can't be verified: {said}; have its owner renew it, {pin}"


def _names(sequence: bytes) -> Iterator[str]:
    for tag, value in _elements(sequence):
        if tag == _DNS_NAME:
            yield printable(value, 100)
        elif tag == _ADDRESS and len(value) in (4, 16):
            yield str(ipaddress.ip_address(value))


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER elements in `der`, until one makes no sense."""
    at = 0
    while at + 2 <= len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 3:
                return
            length = int.from_bytes(der[at : at + octets], "big")
            at += octets
        if at + length > len(der):
            return
        yield tag, der[at : at + length]
        at += length
