"""Commands: one command whatever the strings, and nothing that could change a source."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal as Choice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.errors import BadInput
from mailhaul.core.message import Flags
from mailhaul.core.text import Secret
from mailhaul.imap import commands
from mailhaul.imap.commands import (
    AppendMessage,
    Attribute,
    Command,
    Literal,
    ReadCommand,
    Returning,
    StatusAttribute,
    WriteCommand,
    is_flag,
    shown,
)

MOMENT = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


def wire(command: Command) -> bytes:
    """What a connection with LITERAL+ sends for it."""
    written = [b"T1 "]
    for part in command.parts:
        if isinstance(part, bytes):
            written.append(part)
        else:
            octets = b"".join(part.blob.chunks())
            written += [b"{%d+}\r\n" % len(octets), octets]
    return b"".join([*written, b"\r\n"])


def server_reads(octets: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The commands that a server finds in `octets`: the line without the literals, and those.

    Written as a server frames its input (RFC 9051 2.2.1, 4.3), knowing nothing of the writer.
    """
    found = []
    line = b""
    literals: list[bytes] = []
    while octets:
        text, separator, octets = octets.partition(b"\r\n")
        assert separator, "a line without end"
        assert b"\n" not in text and b"\r" not in text and b"\0" not in text
        line += text
        announced = re.search(rb"\{(\d+)\+?\}$", text)
        if announced is None:
            found.append((line, literals))
            line, literals = b"", []
        else:
            size = int(announced[1])
            assert len(octets) >= size
            literals.append(octets[:size])
            octets = octets[size:]
    return found


def message(octets: bytes = b"x", flags: Flags = frozenset()) -> AppendMessage:
    return AppendMessage(flags, MOMENT, Literal(MemoryBlob(octets)))


WRITTEN = [
    (commands.capability(), b"CAPABILITY"),
    (commands.noop(), b"NOOP"),
    (commands.logout(), b"LOGOUT"),
    (commands.starttls(), b"STARTTLS"),
    (commands.namespace(), b"NAMESPACE"),
    (commands.compress(), b"COMPRESS DEFLATE"),
    (commands.unselect(), b"UNSELECT"),
    (commands.id_(), b"ID NIL"),
    (
        commands.id_([("name", "mailhaul"), ("version", '"1"')]),
        b'ID ("name" "mailhaul" "version" "\\"1\\"")',
    ),
    (commands.enable(["QRESYNC", "CONDSTORE"]), b"ENABLE QRESYNC CONDSTORE"),
    (commands.login("a\\b", Secret('c"d')), b'LOGIN "a\\\\b" "c\\"d"'),
    (commands.login("a", Secret("")), b'LOGIN "a" ""'),
    (commands.login("a", Secret("pä")), b'LOGIN "a" {3+}\r\np\xc3\xa4'),
    (commands.authenticate("PLAIN"), b"AUTHENTICATE PLAIN"),
    (commands.authenticate("PLAIN", b"\0a\0b"), b"AUTHENTICATE PLAIN AGEAYg=="),
    (commands.authenticate("EXTERNAL", b""), b"AUTHENTICATE EXTERNAL ="),
    (commands.list_all(), b'LIST "" "*"'),
    (commands.list_all(""), b'LIST "" ""'),
    (
        commands.list_all(
            returning=[Returning.SUBSCRIBED, Returning.SPECIAL_USE],
            status=[StatusAttribute.MESSAGES, StatusAttribute.UIDNEXT],
        ),
        b'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT))',
    ),
    (commands.lsub(), b'LSUB "" "*"'),
    (commands.xlist(), b'XLIST "" "*"'),
    (commands.status("INBOX", [StatusAttribute.SIZE]), b'STATUS "INBOX" (SIZE)'),
    (commands.getacl("user/a@b"), b'GETACL "user/a@b"'),
    (commands.listrights("user/a", "a"), b'LISTRIGHTS "user/a" "a"'),
    (commands.getmetadata("user/*", "/shared/x"), b'GETMETADATA "user/*" ("/shared/x")'),
    (commands.setacl("user/a", "-anyone", "lrs"), b'SETACL "user/a" "-anyone" lrs'),
    (commands.deleteacl("user/a", 'b"c'), b'DELETEACL "user/a" "b\\"c"'),
    (commands.setquota("user/a", 10), b'SETQUOTA "user/a" (STORAGE 10)'),
    (commands.setquota("user/a", None), b'SETQUOTA "user/a" ()'),
    (commands.examine("Entw&APw-rfe"), b'EXAMINE "Entw&APw-rfe"'),
    (commands.examine("a", condstore=True), b'EXAMINE "a" (CONDSTORE)'),
    (commands.examine("a", qresync=(7, 90)), b'EXAMINE "a" (QRESYNC (7 90))'),
    (commands.examine("caf\xe9"), b"EXAMINE {4+}\r\ncaf\xe9"),
    (commands.examine("tab\there"), b"EXAMINE {8+}\r\ntab\there"),
    (commands.examine("a\r\nb {3+}"), b"EXAMINE {9+}\r\na\r\nb {3+}"),
    (commands.examine("x{3+}"), b'EXAMINE "x{3+}"'),
    (
        commands.fetch("1:*", [Attribute.UID, Attribute.SIZE, Attribute.WHOLE]),
        b"UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])",
    ),
    (
        commands.fetch("1,3", [Attribute.FLAGS], changed_since=9, vanished=True),
        b"UID FETCH 1,3 (FLAGS) (CHANGEDSINCE 9 VANISHED)",
    ),
    (
        commands.fetch("1", [Attribute.FLAGS], changed_since=0, vanished=True),
        b"UID FETCH 1 (FLAGS)",
    ),
    (commands.getquotaroot("INBOX"), b'GETQUOTAROOT "INBOX"'),
    (commands.select("a"), b'SELECT "a"'),
    (commands.create("a"), b'CREATE "a"'),
    (commands.create("a", "\\Sent"), b'CREATE "a" (USE (\\Sent))'),
    (commands.subscribe("a"), b'SUBSCRIBE "a"'),
    (commands.unsubscribe("a"), b'UNSUBSCRIBE "a"'),
    (commands.delete("a"), b'DELETE "a"'),
    (commands.rename("a", "b"), b'RENAME "a" "b"'),
    (
        commands.append("a", [message(b"hello", frozenset({"\\seen", "$Forwarded"}))]),
        b'APPEND "a" ($Forwarded \\Seen) " 3-Feb-2024 04:05:06 +0000" {5+}\r\nhello',
    ),
    (
        commands.append(
            "a", [message(b"1"), AppendMessage(frozenset(), None, Literal(MemoryBlob(b"22")))]
        ),
        b'APPEND "a" () " 3-Feb-2024 04:05:06 +0000" {1+}\r\n1 () {2+}\r\n22',
    ),
    (
        commands.store("1:3", "+", frozenset({"\\Deleted"})),
        b"UID STORE 1:3 +FLAGS.SILENT (\\Deleted)",
    ),
    (commands.store("1", "-", frozenset({"a"}), silent=False), b"UID STORE 1 -FLAGS (a)"),
    (commands.uid_expunge("4,6:9"), b"UID EXPUNGE 4,6:9"),
    (commands.proxyauth('a "b"'), b'PROXYAUTH "a \\"b\\""'),
    (commands.uid_move("4,6:9", "a b"), b'UID MOVE 4,6:9 "a b"'),
    (commands.expunge(), b"EXPUNGE"),
]

REFUSED: list[tuple[str, Callable[[], object]]] = [
    ("a NUL in a folder's name", lambda: commands.examine("a\0b")),
    ("a name that was not encoded", lambda: commands.examine("台北")),
    ("a NUL in a password", lambda: commands.login("a", Secret("b\0"))),
    ("a line end in an atom", lambda: commands.authenticate("PLAIN\r\nT2 NOOP")),
    ("a blank in an atom", lambda: commands.enable(["A B"])),
    ("IMAP4rev2", lambda: commands.enable(["imap4rev2"])),
    ("UTF8=ACCEPT (D22)", lambda: commands.enable(["UTF8=ACCEPT"])),
    ("rights with a blank", lambda: commands.setacl("a", "b", "lr s")),
    ("no rights", lambda: commands.setacl("a", "b", "")),
    ("GETACL of a name with a NUL", lambda: commands.getacl("a\0")),
    ("a set with a command in it", lambda: commands.fetch("1\r\nT2 X", [Attribute.UID])),
    ("no UID", lambda: commands.fetch("", [Attribute.UID])),
    ("UID nought", lambda: commands.uid_expunge("0")),
    ("a set too long for a line (B15)", lambda: commands.fetch("1," * 4000 + "1", [Attribute.UID])),
    ("a fetch of nothing", lambda: commands.fetch("1", [])),
    ("a flag with a blank", lambda: commands.store("1", "+", frozenset({"a b"}))),
    ("\\Recent", lambda: commands.store("1", "+", frozenset({"\\Recent"}))),
    ("\\*", lambda: commands.append("a", [message(flags=frozenset({"\\*"}))])),
    ("an append of nothing", lambda: commands.append("a", [])),
    ("STORE as a reading command", lambda: ReadCommand(b"UID STORE", (b"UID STORE 1 +FLAGS (a)",))),
    ("SELECT as a reading command", lambda: ReadCommand(b"SELECT", (b'SELECT "a"',))),
    ("SEARCH", lambda: ReadCommand(b"UID SEARCH", (b"UID SEARCH ALL",))),
    ("CLOSE", lambda: ReadCommand(b"CLOSE", (b"CLOSE",))),
    ("a writing line under a reading verb", lambda: ReadCommand(b"NOOP", (b"EXPUNGE",))),
    ("a longer verb", lambda: ReadCommand(b"LIST", (b"LISTS",))),
    ("BODY[] without PEEK", lambda: ReadCommand(b"UID FETCH", (b"UID FETCH 1 (BODY[])",))),
    ("RFC822", lambda: ReadCommand(b"UID FETCH", (b"UID FETCH 1 (rfc822)",))),
    ("RFC822.TEXT", lambda: ReadCommand(b"UID FETCH", (b"UID FETCH 1 (RFC822.TEXT)",))),
    ("a second line", lambda: WriteCommand(b"NOOP", (b"NOOP\r\nT2 EXPUNGE",))),
    ("a bare line feed", lambda: WriteCommand(b"NOOP", (b"NOOP \n",))),
    ("a hand-made literal", lambda: WriteCommand(b"DELETE", (b"DELETE {3+}",))),
    ("no parts", lambda: WriteCommand(b"NOOP", ())),
    ("a literal first", lambda: WriteCommand(b"NOOP", (Literal(MemoryBlob(b"NOOP")),))),
]


@pytest.mark.parametrize(("command", "line"), WRITTEN)
def test_a_command_is_written(command: Command, line: bytes) -> None:
    assert wire(command) == b"T1 " + line + b"\r\n"


@pytest.mark.parametrize(("why", "build"), REFUSED)
def test_what_must_not_be_said_can_not_be_said(why: str, build: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        build()


names = st.text(st.characters(min_codepoint=1, max_codepoint=0xFF)) | st.text('"\\{+}3 \r\nx')
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(names, names)
def test_a_folders_name_never_becomes_a_second_command(name: str, other: str) -> None:
    for command in (
        commands.examine(name, condstore=True),
        commands.status(name, [StatusAttribute.SIZE]),
        commands.list_all(name, returning=[Returning.CHILDREN]),
        commands.create(name, "\\Junk"),
        commands.rename(name, other),
        commands.getquotaroot(name),
    ):
        found = server_reads(wire(command))
        assert len(found) == 1
        assert found[0][0].startswith(b"T1 " + command.verb + b" ")
        raw = name.encode("latin-1")
        quoted = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        assert raw in found[0][1] or b'"' + quoted + b'"' in found[0][0]


@given(texts, texts)
def test_a_password_never_becomes_a_second_command(user: str, password: str) -> None:
    command = commands.login(user, Secret(password))
    assert len(server_reads(wire(command))) == 1
    assert repr(command) == str(command) == shown(command) == "LOGIN ***"


@given(st.text(), st.sampled_from(["+", "-"]))
def test_a_flag_is_said_or_refused(flag: str, mode: Choice["+", "-"]) -> None:
    if is_flag(flag):
        assert len(server_reads(wire(commands.store("1", mode, frozenset({flag}))))) == 1
    else:
        with pytest.raises(BadInput):
            commands.store("1", mode, frozenset({flag}))


@given(names, st.lists(st.tuples(st.binary(), st.booleans()), min_size=1, max_size=4))
def test_message_octets_are_never_read_as_protocol(
    name: str, octets: list[tuple[bytes, bool]]
) -> None:
    messages = [
        AppendMessage(frozenset({"\\Seen"}), MOMENT if dated else None, Literal(MemoryBlob(body)))
        for body, dated in octets
    ]
    found = server_reads(wire(commands.append(name, messages)))
    assert len(found) == 1
    assert found[0][1][-len(octets) :] == [body for body, _ in octets]


@given(texts)
def test_any_initial_response_is_one_line(secret: str) -> None:
    command = commands.authenticate("PLAIN", secret.encode())
    assert len(server_reads(wire(command))) == 1
    assert repr(command) == "AUTHENTICATE ***"


@pytest.mark.parametrize(
    ("flag", "is_one"),
    [
        ("\\Seen", True),
        ("$Forwarded", True),
        ("\\Forwarded", True),
        ("NonJunk", True),
        ("\\Recent", False),
        ("\\recent", False),
        ("\\*", False),
        ("\\", False),
        ("", False),
        ("a b", False),
        ("a]b", False),
        ("a%b", False),
        ("größe", False),
        ("a\\b", False),
        ("{3}", False),
    ],
)
def test_flags_that_can_be_said(flag: str, is_one: bool) -> None:
    assert is_flag(flag) is is_one


def test_a_long_string_goes_as_a_literal() -> None:
    assert isinstance(commands.examine("x" * 1000).parts[-1], bytes)
    assert isinstance(commands.examine("x" * 1001).parts[-1], Literal)


def test_a_trace_shows_lengths_instead_of_messages() -> None:
    command = commands.append("a", [message(b"secret words")])
    assert shown(command).endswith(' +0000" {12}')
