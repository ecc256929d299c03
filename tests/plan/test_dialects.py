"""Lists of mailboxes as other tools and Excel write them."""

# ruff: noqa: E501 - tables are read by their columns

import codecs
from pathlib import Path

import pytest

from mailhaul.plan.dialects import Dialect, read_rows
from mailhaul.plan.listing import listed
from mailhaul.plan.load import CSV_CURE
from mailhaul.plan.texts import decoded, read

SOURCE = "imaps://{address}@old.example"
TARGET = "imaps://{address}@new.example"
OMM = (
    '"Source Type(IMAP/Exchange/POP)";Source Server url;Source Login/Mail;Source Password;Destination Type;'
    '"Destination Url(can be leaved empty if hosted by OVH)";Destination Mail;Destination Password;'
    "Source admin mail (delegation);Destination Admin Mail (delegation)\n"
)
# The list, its dialect, and each mailbox: line, address, source, target.
LISTS = [
    (
        "ours",
        "address,wave,source\na@x.example,w,imaps://b@h\n",
        Dialect.OURS,
        [(2, "a@x.example", "imaps://b@h", "")],
    ),
    (
        "ours in other letters",
        "\n Address ; TARGET \n a@x.example ; maildir:/m \n",
        Dialect.OURS,
        [(3, "a@x.example", "", "maildir:/m")],
    ),
    (
        "addresses alone",
        "a@x.example\n\nb@x.example\n",
        Dialect.LIST,
        [(1, "a@x.example", "", ""), (3, "b@x.example", "", "")],
    ),
    (
        "Microsoft",
        "EmailAddress,UserName,Password\na@x.example,a@x.example,\nb@x.example,OLD\\b,\n",
        Dialect.MICROSOFT,
        [(2, "a@x.example", "", ""), (3, "b@x.example", "imaps://OLD%5Cb@old.example", "")],
    ),
    (
        "Microsoft in another order",
        "Password\tUserName\tEmailAddress\nx\ta\ta@x.example\n",
        Dialect.MICROSOFT,
        [(2, "a@x.example", "imaps://a@old.example", "")],
    ),
    (
        "OMM",
        OMM + 'IMAP;old.example;a@x.example;x;IMAP;h.example;a@x.example;y;"";""\n',
        Dialect.OMM,
        [(2, "a@x.example", "", "imaps://a%40x.example@h.example")],
    ),
    (
        "OMM to a service of OVH",
        OMM
        + "IMAP;my.example;b@y.example;x;Exchange;https://ex3.example/ews/exchange.asmx;a@x.example;y;;\n",
        Dialect.OMM,
        [(2, "a@x.example", "imaps://b%40y.example@my.example", "")],
    ),
    (
        "OMM by an administrator",
        OMM + "IMAP;my.example;a@x.example;x;IMAP;;a@x.example;y;root@x.example;boss\n",
        Dialect.OMM,
        [
            (
                2,
                "a@x.example",
                "imaps://a%40x.example@my.example?admin=root%40x.example",
                "imaps://a%40x.example@new.example?admin=boss",
            )
        ],
    ),
    (
        "imapsync",
        "host1;user1;password1;host2;user2;password2;extra\no.example;u1;x;n.example;a@x.example;y;\n",
        Dialect.IMAPSYNC,
        [(2, "a@x.example", "imaps://u1@o.example", "imaps://a%40x.example@n.example")],
    ),
    (
        "imapsync without a heading",
        "# a remark\no.example;a@x.example;x;n.example;u2;y;;\n",
        Dialect.IMAPSYNC,
        [(2, "a@x.example", "imaps://a%40x.example@o.example", "imaps://u2@n.example")],
    ),
    (
        "imapsync with options",
        "192.0.2.1;a@x.example;x;n.example;u2;y;--port1 143 --tls2 --port2=2143 --authuser1 root\n",
        Dialect.IMAPSYNC,
        [
            (
                1,
                "a@x.example",
                "imap+starttls://a%40x.example@192.0.2.1:143?admin=root",
                "imap+starttls://u2@n.example:2143",
            )
        ],
    ),
    (
        "Excel's hint and empty cells",
        "sep=;\naddress;wave;;\na@x.example;w;;\n;;;\n",
        Dialect.OURS,
        [(3, "a@x.example", "", "")],
    ),
    (
        "quoted cells over lines",
        'address,source_secret\n"a@x.example","vault:""a"""\nb@x.example,vault:b\n',
        Dialect.OURS,
        [(2, "a@x.example", "", ""), (3, "b@x.example", "", "")],
    ),
]
IDS = [row[0] for row in LISTS]


@pytest.mark.parametrize(("text", "dialect", "mailboxes"), [r[1:] for r in LISTS], ids=IDS)
def test_a_list_is_read(
    text: str, dialect: Dialect, mailboxes: list[tuple[int, str, str, str]]
) -> None:
    rows = read_rows(text, "list.csv")
    assert (rows.dialect, rows.mistakes) == (dialect, ())
    found, wrong = listed(rows, "list.csv", SOURCE, TARGET)
    assert wrong == []
    assert [(each.line, each.address, each.source, each.target) for each in found] == mailboxes


ENCODINGS = [
    ("utf-8", b"", "utf-8"),
    ("utf-8 with a mark", codecs.BOM_UTF8, "utf-8"),
    ("utf-16, little end first", codecs.BOM_UTF16_LE, "utf-16-le"),
    ("utf-16, big end first", codecs.BOM_UTF16_BE, "utf-16-be"),
    ("utf-16 without a mark", b"", "utf-16-le"),
    ("utf-16 without a mark, big end first", b"", "utf-16-be"),
]
ENDS = [("LF", "\n"), ("CRLF", "\r\n"), ("CR", "\r")]


@pytest.mark.parametrize("end", [row[1] for row in ENDS], ids=[row[0] for row in ENDS])
@pytest.mark.parametrize(
    ("mark", "codec"), [r[1:] for r in ENCODINGS], ids=[r[0] for r in ENCODINGS]
)
@pytest.mark.parametrize(("text", "dialect", "mailboxes"), [r[1:] for r in LISTS], ids=IDS)
def test_in_every_encoding_it_is_the_same_list(
    text: str,
    dialect: Dialect,
    mailboxes: list[tuple[int, str, str, str]],
    mark: bytes,
    codec: str,
    end: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(mark + text.replace("\n", end).encode(codec))
    read_text, mistakes = read(file, CSV_CURE)
    assert mistakes == []
    rows = read_rows(read_text, "list.csv")
    found, _ = listed(rows, "list.csv", SOURCE, TARGET)
    assert rows.dialect is dialect
    assert [(each.line, each.address, each.source, each.target) for each in found] == mailboxes


def test_letters_of_the_world_come_through() -> None:
    text = "address\njürgen@bücher.example\n李@例え.example\n"
    for _, mark, codec in ENCODINGS:
        assert decoded(mark + text.encode(codec), "list.csv", CSV_CURE) == (text, [])


def test_windows_1252_is_named_by_its_lines_and_not_guessed() -> None:
    raw = "address\nanna@x.example\njürgen@x.example\n€@x.example\n".encode("cp1252")
    _, mistakes = decoded(raw, "list.csv", CSV_CURE)
    assert [(each.line, each.value) for each in mistakes] == [
        (3, "0xfc (“ü” in Windows-1252)"),
        (4, "0x80 (“€” in Windows-1252)"),
    ]
    assert {each.cure for each in mistakes} == {CSV_CURE}
    assert "CSV UTF-8" in CSV_CURE


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (codecs.BOM_UTF16_LE + b"a\0b", "the file is UTF-16, but damaged"),
        (b"address\na\0@x.example\n", "this is no text"),
    ],
)
def test_what_is_no_text(raw: bytes, text: str) -> None:
    assert [each.text for each in decoded(raw, "list.csv", CSV_CURE)[1]] == [text]


def test_passwords_are_secrets_from_the_first_moment_on() -> None:
    rows = read_rows(OMM + "IMAP;h;a@x.example;hunter2;IMAP;g;a@x.example;hunter3;;\n", "l.csv")
    (row,) = rows.with_passwords
    assert row.source.password is not None
    assert row.target.password is not None
    assert row.source.password.reveal() == "hunter2"
    assert row.target.password.reveal() == "hunter3"
    assert "hunter" not in repr(rows)
