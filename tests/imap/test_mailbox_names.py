"""Modified UTF-7 both ways, and names that are none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput
from mailhaul.imap.mailbox_names import decode, encode, is_raw_utf8, opaque, shown

# RFC 3501 5.1.3's own examples, and the corners of the grammar.
SPELLINGS = [
    ("INBOX", "INBOX"),
    ("Entwürfe", "Entw&APw-rfe"),
    ("R&D", "R&-D"),
    ("&", "&-"),
    ("&&", "&-&-"),
    ("ä&ö", "&AOQ-&-&APY-"),
    ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("𝄞", "&2DTdHg-"),
    ("tab\there", "tab&AAk-here"),
    ("del\x7f", "del&AH8-"),
    ("100 %", "100 %"),
    ("-ä-", "-&AOQ--"),
    ("", ""),
]

BROKEN = [
    ("what stands for itself is shifted (E4)", "&AGE-"),
    ("a shift that opens nothing", "R&D"),
    ("a shift that never ends", "Entw&APw"),
    ("a shift that holds no base64", "&A!Q-"),
    ("ordinary base64's slash", "&U/BTFw-"),
    ("half a character", "&A-"),
    ("three octets", "&AOQA-"),
    ("bits left over", "&AOR-"),
    ("padding", "&AOQ=-"),
    ("two shifts where one would do", "&AOQ-&APY-"),
    ("a lone high surrogate", "&2DQ-"),
    ("a lone low surrogate", "&3R4-"),
    ("a control character in the clear", "tab\there"),
    ("a line end in the clear", "a\r\nb"),
    ("Latin-1 octets", "Entw\xfcrfe"),
    ("UTF-8 cut short", "Entw\xc3"),
    ("overlong UTF-8", "\xc0\xaf"),
    ("UTF-8 with a control character", "\xc3\xa4\x1b[2J"),
    ("UTF-8 that encodes a surrogate", "\xed\xa0\x80"),
]


@pytest.mark.parametrize(("text", "native"), SPELLINGS)
def test_a_name_has_one_spelling(text: str, native: str) -> None:
    assert encode(text) == native
    assert decode(native) == text


@pytest.mark.parametrize(("why", "native"), BROKEN)
def test_a_broken_name_stays_opaque_and_can_be_shown(why: str, native: str) -> None:
    assert decode(native) is None, why
    name = shown(native)
    assert name.isascii() and name.isprintable() and "%" in name
    assert opaque(name) == native


@pytest.mark.parametrize(("text", "native"), SPELLINGS)
def test_a_sound_name_is_never_taken_for_a_broken_one(text: str, native: str) -> None:
    assert shown(native) == text
    assert opaque(text) is None


def test_composed_and_decomposed_names_stay_apart() -> None:
    assert encode("é") != encode("e\u0301")
    assert decode(encode("e\u0301")) == "e\u0301"


def test_raw_utf8_is_recognised() -> None:
    native = "Entwürfe & mehr".encode().decode("latin-1")
    assert is_raw_utf8(native)
    assert decode(native) == "Entwürfe & mehr"
    assert not is_raw_utf8("Entw&APw-rfe")
    assert not is_raw_utf8("Entw\xfcrfe")


def test_a_name_that_no_server_can_hold_is_refused_with_the_cure() -> None:
    with pytest.raises(BadInput, match="rename the folder"):
        encode("caf\udce9")


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\x00&-\uffff")
def test_every_text_survives_the_wire(text: str) -> None:
    native = encode(text)
    assert native.isascii() and native.isprintable()
    assert decode(native) == text


@given(st.text(st.characters(max_codepoint=0xFF)) | st.text("&-,/AOQ=PYa~\xc3\xa4"))
def test_every_native_name_can_be_shown_and_found_again(native: str) -> None:
    text = decode(native)
    if text is None:
        assert opaque(shown(native)) == native
    elif not is_raw_utf8(native):
        assert encode(text) == native


@given(st.text())
def test_an_escaped_name_is_only_taken_for_one_when_it_is_one(name: str) -> None:
    native = opaque(name)
    assert native is None or shown(native) == name
