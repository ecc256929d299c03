"""SCRAM-SHA-256 (RFC 5802, RFC 7677): neither side shows the password, and the server proves that
it knows it. Own code on the standard library; docs/decisions/0010-sasl.md says why.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Callable

from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.text import Secret, printable
from mailhaul.imap.login import Login

FEWEST_ITERATIONS = 4096
"""RFC 7677 4: fewer would let a hostile server try passwords cheaply afterwards."""
MOST_ITERATIONS = 2_000_000
"""Under a second of work; a server that wants more wants to keep us busy (CVE-2026-42256)."""

# What a server may say first; an extension we must understand (`m=`) or nine digits and more of
# rounds make it something else.
_SERVER_FIRST = re.compile(
    rb"r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,8})(?:,.*)?", re.DOTALL
)


class Scram:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: neither side shows the password,
    and the server has to prove that it knows it."""

    __slots__ = ("_expected", "_first", "_gs2", "_nonce", "_proven", "_secret", "failure")

    def __init__(
        self,
        login: Login,
        secret: Secret,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._secret = secret
        self._nonce = nonce()
        self._gs2 = f"n,a={saslname(login.authzid)}," if login.authzid else "n,,"
        self._first = f"n={saslname(_prepared(login.authcid))},r={self._nonce}"
        self._expected: bytes | None = None
        self._proven = False
        self.failure = ""

    def initial(self) -> bytes:
        return (self._gs2 + self._first).encode()

    def respond(self, challenge: bytes) -> bytes:
        if self._proven:
            raise _impostor(f"it goes on with “{printable(challenge, 100)}” after its proof")
        if self._expected is None:
            return self._prove(challenge)
        self._check(challenge)
        return b""

    def finish(self) -> None:
        if not self._proven:
            raise _impostor("it never showed that it knows the password")

    def _prove(self, challenge: bytes) -> bytes:
        match = _SERVER_FIRST.fullmatch(challenge)
        if match is None:
            raise _impostor(f"“{printable(challenge, 100)}” is no SCRAM challenge")
        nonce, salt, iterations = match[1].decode("ascii"), _unbase64(match[2]), int(match[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise _impostor("its nonce does not go on from ours")
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise Closed(
                f"the server wants {iterations} rounds of SCRAM-SHA-256, and mailhaul does "
                f"{FEWEST_ITERATIONS} to {MOST_ITERATIONS}; choose another login with auth=plain",
                ClosedReason.PROTOCOL,
            )
        password = _prepared(self._secret.reveal()).encode()
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        channel = base64.b64encode(self._gs2.encode()).decode("ascii")
        final = f"c={channel},r={nonce}"
        signed = b",".join((self._first.encode(), challenge, final.encode()))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(key ^ mask for key, mask in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._expected = hmac.digest(server_key, signed, "sha256")
        return f"{final},p={base64.b64encode(proof).decode('ascii')}".encode()

    def _check(self, challenge: bytes) -> None:
        kind, _, value = challenge.split(b",")[0].partition(b"=")
        if kind == b"e":
            self.failure = printable(value, 200)
            raise Closed(f"the login was refused: {self.failure}", ClosedReason.CREDENTIALS)
        assert self._expected is not None
        if kind != b"v" or not hmac.compare_digest(_unbase64(value), self._expected):
            raise _impostor("its signature is wrong")
        self._proven = True


def saslname(name: str) -> str:
    """`name` as it stands in a GS2 header or a SCRAM message (RFC 5802 5.1)."""
    return name.replace("=", "=3D").replace(",", "=2C")


def _impostor(fact: str) -> Closed:
    return Closed(
        f"the server is not who it says it is, or its SCRAM-SHA-256 is broken: {fact}; check the "
        "host, or choose another mechanism with auth=plain",
        ClosedReason.PROTOCOL,
    )


def _unbase64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _prepared(text: str) -> str:
    """`text` after SASLprep (RFC 4013 2); as it is where that forbids it: the server decides."""
    if text.isascii():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    forbidden = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    return text if any(test(c) for c in normal for test in forbidden) else normal
