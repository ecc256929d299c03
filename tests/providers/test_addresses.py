"""What can be an account's address, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.addresses import LONGEST_LOCAL_PART, folded, parts, same


@pytest.mark.parametrize(
    ("address", "local", "domain"),
    [
        ("john.smith@example.test", "john.smith", "example.test"),
        ("John@EXAMPLE.test.", "John", "example.test"),
        ("o'neil+x@example.test", "o'neil+x", "example.test"),
        ("müller@bücher.example", "müller", "xn--bcher-kva.example"),
        ("a/b%c@example.test", "a/b%c", "example.test"),
    ],
)
def test_an_address_has_two_sides(address: str, local: str, domain: str) -> None:
    found = parts(address)
    assert (found.local, found.domain) == (local, domain)


@pytest.mark.parametrize(
    "address",
    [
        *("", "@", "a", "a@", "@x.test", "a@b@", "a b@x.test", "a\t@x.test", 'a"b@x.test'),
        *("a\r\nb@x.test", "a\0@x.test", ".a@x.test", "a.@x.test", "a..b@x.test", "a\\b@x.test"),
        *(
            "a@x..test",
            "a@x test",
            "a@-x.test",
            "a@x.test\r\n.",
            "a\u202eb@x.test",
            "a\xa0b@x.test",
        ),
        *("a@[192.0.2.1]", "<a@x.test>", "a,b@x.test", "a;b@x.test", "x" * 65 + "@x.test"),
        "ü" * 33 + "@x.test",
    ],
)
def test_what_needs_quoting_or_ends_a_line_is_none(address: str) -> None:
    with pytest.raises(BadInput) as raised:
        parts(address)
    assert printable(str(raised.value)) == str(raised.value)


@given(some.text(max_size=80))
def test_an_address_never_holds_what_ends_something(text: str) -> None:
    try:
        found = parts(text)
    except BadInput:
        return
    assert not set(str(found)) & set('\r\n\0\t "\\<>[](),;:')
    assert len(found.local.encode()) <= LONGEST_LOCAL_PART
    assert parts(str(found)) == found
    assert same(text, str(found))


@given(some.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a@x.test", "A@X.TEST.", True),
        ("a@bücher.example", "a@xn--bcher-kva.example", True),
        ("a@x.test", "b@x.test", False),
        ("", "", True),
        ("no address", "NO ADDRESS", True),
    ],
)
def test_the_same_address_is_recognised(one: str, other: str, alike: bool) -> None:
    assert same(one, other) is alike
