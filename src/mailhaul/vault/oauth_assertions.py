"""Assertions: a JWT signed with a private key, in place of a secret (RFC 7523).

A client proves itself by its certificate's key (Microsoft), a service account acts for a person of
its domain (Google's domain-wide delegation, failure-modes F3). Signatures are `cryptography`'s.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret
from mailhaul.vault.oauth import Client
from mailhaul.vault.oauth_issuers import MICROSOFT

CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LASTS = 300
_SERVICE_LASTS = 3600
_SMALLEST_KEY = 2048


def client_assertion(client: Client, token_url: str, now: float) -> str:
    """What proves the client at that endpoint, once (RFC 7523 3). Microsoft wants PS256, and the
    certificate by its SHA-256."""
    pss = token_url.startswith(f"{MICROSOFT}/")
    header = {"alg": "PS256" if pss else "RS256", "typ": "JWT", "x5t#S256": client.key_id}
    claims = {
        "iss": client.id,
        "sub": client.id,
        "aud": token_url,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + _LASTS,
    }
    return _signed(client, header, claims, pss=pss)


def service_assertion(client: Client, token_url: str, scope: str, person: str, now: float) -> str:
    """What asks for a token by which a service account acts for that person
    (developers.google.com/identity/protocols/oauth2/service-account)."""
    header = {"alg": "RS256", "typ": "JWT", "kid": client.key_id}
    claims = {
        "iss": client.id,
        "sub": person,
        "scope": scope,
        "aud": token_url,
        "iat": int(now),
        "exp": int(now) + _SERVICE_LASTS,
    }
    return _signed(client, header, claims, pss=False)


def client_with_certificate(id_: str, pem: bytes) -> Client:
    """The client of that id with the key and the certificate that the PEM text holds. Raises
    `BadInput`, which shows nothing of it."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = _rsa(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadInput(
            "--certificate wants a PEM file with an RSA private key, without a passphrase, and its "
            "certificate; make one: openssl req -x509 -newkey rsa:3072 -nodes -days 365"
        ) from None
    if _public(certificate.public_key()) != _public(key.public_key()):
        raise BadInput(
            "the certificate in the file of --certificate is of another key than the one in it; "
            "put the pair that belongs together there"
        )
    thumbprint = _told(
        hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    )
    return Client(id_, key=_kept(key), key_id=thumbprint)


def service_client(raw: bytes) -> Client:
    """The client that Google's key file of a service account says. Raises `BadInput`, which shows
    nothing of it."""
    try:
        shape = json.loads(raw)
        if shape["type"] != "service_account":
            raise ValueError("another kind of file")
        words = [shape[name] for name in ("client_email", "private_key", "private_key_id")]
        if not all(isinstance(each, str) and each for each in words):
            raise TypeError("not texts")
        key = _rsa(words[1].encode())
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm, RecursionError):
        raise BadInput(
            "--service-account wants the JSON key file that Google's console makes for a service "
            "account"
        ) from None
    # The file names a token endpoint too; it is Google's, and no file sends keys elsewhere.
    return Client(words[0], key=_kept(key), key_id=words[2])


def _rsa(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _SMALLEST_KEY:
        raise TypeError("no RSA key of 2048 bits or more")
    return key


def _kept(key: rsa.RSAPrivateKey) -> Secret:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(pem.decode("ascii"))


def _public(key: object) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey):
        return b""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _signed(
    client: Client, header: Mapping[str, object], claims: Mapping[str, object], *, pss: bool
) -> str:
    """RFC 7515 3.1, compact."""
    try:
        key = _rsa(client.key.reveal().encode() if client.key is not None else b"")
    except (ValueError, TypeError):
        raise Closed(
            "the key that is kept for this login can't be used; log in again",
            ClosedReason.CREDENTIALS,
        ) from None
    text = ".".join(
        _told(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    digest = hashes.SHA256()
    if pss:
        chosen = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        signature = key.sign(text.encode(), chosen, digest)
    else:
        signature = key.sign(text.encode(), padding.PKCS1v15(), digest)
    return f"{text}.{_told(signature)}"


def _told(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
