"""DKIM: the new system's selectors lead to keys that receivers can use."""

import asyncio
import base64
from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import (
    Look,
    evidence,
    found,
    from_wildcard,
    listed,
    tags,
    untold,
)
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind

TOPIC = "DKIM"
BITS_LEAST, BITS_WANTED = 1024, 2048
"""RFC 8301 section 3.2: receivers refuse less than 1024, signers should take 2048."""
ED25519_OCTETS = 32


async def check_dkim(look: Look) -> list[Aspect]:
    """Each selector that is named, and each whose record is known."""
    under = f"_domainkey.{look.domain}"
    names = dict.fromkeys(f"{selector}.{under}" for selector in look.expected.dkim)
    names.update(
        (wanted.name, None)
        for wanted in look.expected.records
        if wanted.name != under and inside(wanted.name, under) and wanted.values
    )
    return list(await asyncio.gather(*(_aspect(look, name) for name in names)))


async def _aspect(look: Look, name: str) -> Aspect:
    answer = await look.ask(name, Kind.TXT)
    return Aspect(
        TOPIC,
        name,
        Kind.TXT,
        expected=("a key",),
        found=answer.values,
        ttl=answer.ttl,
        findings=tuple(_findings(look, answer)),
        write=look.write((name, Kind.TXT), (name, Kind.CNAME)),
    )


def _findings(look: Look, answer: Answer) -> Iterator[Finding]:
    if not answer.told:
        yield untold(answer)
    elif not answer.values:
        yield found("DKIM_ALIAS_DEAD" if answer.aliases else "DKIM_MISSING", evidence(answer))
    elif from_wildcard(look, answer):
        yield found("DKIM_MISSING", f"a wildcard answers; {evidence(answer)}")
    elif len(answer.values) > 1:
        yield found("DKIM_SEVERAL", listed(answer.values))
    else:
        yield from _key_findings(answer.values[0])


def _key_findings(text: str) -> Iterator[Finding]:
    """RFC 6376 section 3.6.1."""
    given = tags(text)
    if given.get("v", "DKIM1") != "DKIM1" or "p" not in given:
        yield found("DKIM_BROKEN", f"no DKIM key: {printable(text, 200)}")
        return
    if not given["p"]:
        yield found("DKIM_REVOKED", printable(text, 200))
        return
    if "y" in given.get("t", "").split(":"):
        yield found("DKIM_TESTING", printable(text, 200))
    try:
        octets = base64.b64decode("".join(given["p"].split()), validate=True)
    except ValueError:
        yield found("DKIM_BROKEN", f"p= is no base64: {printable(text, 200)}")
        return
    algorithm = given.get("k", "rsa")
    if algorithm == "ed25519":
        if len(octets) != ED25519_OCTETS:
            yield found("DKIM_BROKEN", f"an Ed25519 key of {len(octets)} octets")
    elif algorithm == "rsa":
        yield from _rsa_findings(octets)
    else:
        yield found("DKIM_BROKEN", f"nobody knows k={printable(algorithm, 40)}")


def _rsa_findings(octets: bytes) -> Iterator[Finding]:
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        yield found("DKIM_BROKEN", f"{len(octets)} octets that are no RSA key: was it cut short?")
        return
    if not isinstance(key, RSAPublicKey):
        yield found("DKIM_BROKEN", "it says k=rsa, and the key is of another kind")
    elif key.key_size < BITS_LEAST:
        yield found("DKIM_BROKEN", f"{key.key_size} bits: receivers refuse it")
    elif key.key_size < BITS_WANTED:
        yield found("DKIM_SHORT", f"{key.key_size} bits")
