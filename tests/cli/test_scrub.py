"""Secrets are taken out in every form they may come in."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.cli.scrub import SHORTEST, Scrubber
from mailhaul.core.text import Secret

CANARIES = [
    "hunter2",
    "q\"uo\\te'd",
    "ünïcödé €😀",
    "with blank and %41",
    "ya29.a0Af_token-~+/=",
    "tab\tand\x1bescape",
]


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"',
        repr(secret),
        ascii(secret),
        json.dumps(secret),
        repr(raw),
        quote(secret, safe=""),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"\0anna\0" + raw).decode(),
        base64.b64encode(b"user=anna\x01auth=Bearer " + raw + b"\x01\x01").decode(),
    ]


@pytest.mark.parametrize("secret", CANARIES)
def test_no_form_of_a_secret_is_left(secret: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(secret), "anna")
    for form in forms(secret):
        cleaned = scrubber.clean(f"before {form} after")
        assert "***" in cleaned, form
        assert not any(other.strip("\"'") in cleaned for other in forms(secret)), form


def test_a_secret_inside_another_is_taken_out_with_it() -> None:
    scrubber = Scrubber()
    for secret in ("hunter2", "hunter2-and-more"):
        scrubber.learn(Secret(secret))
    assert scrubber.clean("hunter2-and-more, hunter2") == "***, ***"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret("hunter2"))
    assert scrubber.clean("hunter") == "hunter"


def test_very_short_secrets_would_take_everything_out() -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret("a" * (SHORTEST - 1)))
    assert scrubber.clean("banaaana") == "banaaana"


@given(st.text(min_size=SHORTEST), st.text(), st.text())
def test_any_secret_vanishes_from_any_text(secret: str, before: str, after: str) -> None:
    if "*" in secret:
        return
    scrubber = Scrubber()
    scrubber.learn(Secret(secret))
    assert scrubber.clean(f"{before}\n{secret}\n{after}").count(secret) == 0
