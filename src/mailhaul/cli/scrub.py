"""Live secrets are taken out of every text that leaves the program, whoever put them there.

A server may repeat a password in its answer, a traceback may hold one in an exception's text.
Types keep secrets from being shown by us; this is the net below (security.md 8).
"""

import base64
import json
from urllib.parse import quote

from mailhaul.core.text import Secret

SHORTEST = 4
"""Shorter secrets are left alone: taking every `a` out of every line would hide all else."""
MARK = "***"


class Scrubber:
    """Knows the secrets in use, and takes them out of texts."""

    __slots__ = ("_forms",)

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def learn(self, secret: Secret, user: str = "") -> None:
        """From now on `secret` is taken out, also as it stands in quoted strings, JSON, URLs and
        SASL answers (RFC 4616, XOAUTH2) of `user`."""
        value = secret.reveal()
        if len(value) < SHORTEST:
            return
        raw = value.encode(errors="surrogatepass")
        name = user.encode(errors="surrogatepass")
        answers = (
            raw,
            b"\0%s\0%s" % (name, raw),
            b"%s\0%s\0%s" % (name, name, raw),
            b"user=%s\x01auth=Bearer %s\x01\x01" % (name, raw),
        )
        forms = {
            value,
            value.replace("\\", "\\\\").replace('"', '\\"'),
            repr(value)[1:-1],
            ascii(value)[1:-1],
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(raw)[2:-1],
            raw.decode("latin-1"),
            quote(value, safe=""),
            *(base64.b64encode(answer).decode("ascii") for answer in answers),
        }
        # The longest first: a form must not be broken by a shorter one inside it.
        self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` with `***` in place of every secret known."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MARK)
        return text
