"""Octets become the same events however they are cut, and nothing a server sends can do more than
end the connection."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.core.blob import FileBlob, MemoryBlob, Spool
from mailhaul.core.message import Entry
from mailhaul.imap.reader import Limits, Reader
from mailhaul.imap.responses import Body, Continuation, Event, Fetched, Listing, Status, Untagged
from mailhaul.imap.syntax import ProtocolFault

DATE = b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"'
WHEN = datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7)))
LINE = ("line", 7, frozenset({"\\Seen", "$Junk"}), 120, WHEN)

CASES: dict[str, tuple[bytes, list[object]]] = {
    "a listing line of Dovecot": (
        b"* 1 FETCH (UID 7 FLAGS (\\seen $Junk) " + DATE + b" RFC822.SIZE 120)\r\n",
        [LINE],
    ),
    "a listing line of Cyrus": (
        b"* 1 FETCH (FLAGS (\\Seen $Junk) UID 7 " + DATE + b" RFC822.SIZE 120)\r\n",
        [LINE],
    ),
    "a listing line with MODSEQ": (
        b"* 1 FETCH (UID 7 FLAGS (\\Seen $Junk) " + DATE + b" RFC822.SIZE 120 MODSEQ (9))\r\n",
        [LINE],
    ),
    "a listing line in an order of its own": (
        b"* 1 FETCH (RFC822.SIZE 120 " + DATE + b" FLAGS ($Junk \\Seen) UID 7)\r\n",
        [("fetched", 7, frozenset({"\\Seen", "$Junk"}), 120, WHEN)],
    ),
    "one line too many parentheses": (
        b"* 1 FETCH ((UID 7 FLAGS ($Junk \\Seen) " + DATE + b" RFC822.SIZE 120))\r\n",
        [("fetched", 7, frozenset({"\\Seen", "$Junk"}), 120, WHEN)],
    ),
    "a date that is none": (
        b'* 1 FETCH (UID 7 FLAGS () INTERNALDATE "00-Jan-0000 00:00:00 +0000" RFC822.SIZE 1)\r\n',
        [("line", 7, frozenset(), 1, None)],
    ),
    "a day without its nought": (
        b'* 1 FETCH (UID 7 FLAGS () INTERNALDATE " 7-Jul-1996 02:44:25 +0000" RFC822.SIZE 1)\r\n',
        [("line", 7, frozenset(), 1, datetime(1996, 7, 7, 2, 44, 25, tzinfo=UTC))],
    ),
    "flags alone": (b"* 1 FETCH (UID 7 FLAGS (\\Draft))\r\n", [("flags", 7, {"\\Draft"})]),
    "flags with MODSEQ": (
        b"* 1 FETCH (FLAGS (\\Recent) UID 7 MODSEQ (3))\r\n",
        [("flags", 7, set())],
    ),
    "flags without a UID": (
        b"* 1 FETCH (FLAGS (\\Seen))\r\n",
        [("fetched", None, frozenset({"\\Seen"}), None, None)],
    ),
    "a negative MODSEQ": (
        b"* 1 FETCH (UID 7 MODSEQ (-1))\r\n",
        [("fetched", 7, None, None, None)],
    ),
    "a message": (b"* 1 FETCH (UID 7 BODY[] {5}\r\nab\r\nc)\r\n", [("body", 7, b"ab\r\nc")]),
    "a message that looks like protocol": (
        b"* 1 FETCH (UID 7 BODY[] {23}\r\n)\r\nM1 OK x\r\n* BYE {3}\r\n)\r\n",
        [("body", 7, b")\r\nM1 OK x\r\n* BYE {3}\r\n")],
    ),
    "a message whose UID comes last": (
        b"* 1 FETCH (BODY[] {3}\r\nabc FLAGS (\\Seen) UID 7)\r\n",
        [("body", 7, b"abc")],
    ),
    "a message as literal8": (b"* 1 FETCH (UID 7 BODY[] ~{3}\r\na\0b)\r\n", [("body", 7, b"a\0b")]),
    "a message as a quoted string": (
        b'* 1 FETCH (UID 7 BODY[] "a \\"b\\" c")\r\n',
        [("body", 7, b'a "b" c')],
    ),
    "an empty literal": (b"* 1 FETCH (UID 7 BODY[] {0}\r\n)\r\n", [("body", 7, b"")]),
    "NIL for a message": (b"* 1 FETCH (UID 7 BODY[] NIL)\r\n", [("body", 7, None)]),
    "a header": (
        b"* 1 FETCH (UID 7 BODY[HEADER.FIELDS (DATE FROM)] {6}\r\nDate:1)\r\n",
        [("fetched", 7, None, None, None)],
    ),
    "a tagged answer": (b"M1 OK done\r\n", [("status", b"M1", b"OK", b"", b"", b"done")]),
    "a tagged answer without text": (b"M1 no\r\n", [("status", b"M1", b"NO", b"", b"", b"")]),
    "a code": (
        b"M1 OK [APPENDUID 3 1:2] done\r\n",
        [("status", b"M1", b"OK", b"APPENDUID", b"3 1:2", b"done")],
    ),
    "keywords with brackets in a code": (
        b"* OK [PERMANENTFLAGS (\\Seen a]b \\*)] limited\r\n",
        [("status", None, b"OK", b"PERMANENTFLAGS", b"(\\Seen a]b \\*)", b"limited")],
    ),
    "a text that ends like a literal": (
        b"* OK look at {5}\r\n",
        [("status", None, b"OK", b"", b"", b"look at {5}")],
    ),
    "a bare continuation": (b"+\r\n", [("+", b"")]),
    "a continuation": (b"+ go ahead\r\n", [("+", b"go ahead")]),
    "a folder's name as a literal": (
        b'* LIST (\\Noselect) "/" {5}\r\na (b"\r\n',
        [("untagged", b"LIST", [[b"\\Noselect"], b"/", b'a (b"'])],
    ),
    "a tab in a folder's name": (
        b"* LIST () NIL a\tb\r\n",
        [("untagged", b"LIST", [[], None, b"a\tb"])],
    ),
    "blanks at the end": (
        b"* STATUS x (MESSAGES 3 )  \r\n",
        [("untagged", b"STATUS", [b"x", [b"MESSAGES", b"3"]])],
    ),
    "lines that end in LF alone": (
        b"* 3 EXISTS\nM1 OK\n",
        [
            ("untagged", b"EXISTS", []),
            ("status", b"M1", b"OK", b"", b"", b""),
        ],
    ),
    "an empty line": (b"\r\nM1 OK\r\n", [("status", b"M1", b"OK", b"", b"", b"")]),
    "a refusal that goes on in the next line": (
        b"M1 NO bad name: two\r\nlines\r\nM2 OK\r\n",
        [
            ("status", b"M1", b"NO", b"", b"", b"bad name: two"),
            ("status", b"M2", b"OK", b"", b"", b""),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1, 3, 1_000_000])
def test_the_same_events_however_it_is_cut(name: str, size: int) -> None:
    octets, wanted = CASES[name]
    assert [plain for event in fed(octets, size) for plain in told(event)] == wanted


@pytest.mark.parametrize("name", CASES)
def test_what_follows_is_not_touched(name: str) -> None:
    octets, wanted = CASES[name]
    events = fed(octets + b"* 9 EXISTS\r\nM7 OK after\r\n", 1_000_000)
    plain = [each for event in events for each in told(event)]
    assert plain == [
        *wanted,
        ("untagged", b"EXISTS", []),
        ("status", b"M7", b"OK", b"", b"", b"after"),
    ]


FAULTS: dict[str, bytes] = {
    "a line without end": b"* OK " + b"x" * 70_000,
    "a long line": b"* LIST () NIL " + b"x" * 70_000 + b"\r\n",
    "lists in lists": b"* LIST " + b"(" * 100 + b")" * 100 + b"\r\n",
    "a list left open": b"* 1 FETCH (UID 7 FLAGS (\\Seen)\r\n",
    "a huge string": b"* LIST () NIL {2000000}\r\n",
    "a huge header": b"* 1 FETCH (UID 1 BODY[HEADER] {99999999}\r\n",
    "a message beyond all measure": b"* 1 FETCH (UID 1 BODY[] {99999999999999}\r\n",
    "literals without end": b"* LIST " + b"{0}\r\n " * 1100,
    "a message without a UID": b"* 1 FETCH (BODY[] {1}\r\na)\r\n",
    "a message that is a list": b"* 1 FETCH (UID 1 BODY[] (a))\r\n",
    "a value missing": b"* 1 FETCH (UID 1 FLAGS)\r\n",
    "no list": b"* 1 FETCH 5\r\n",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n",
    "a mail server": b"220 mail.example.org ESMTP\r\n",
    "empty lines for ever": b"\r\n" * 2000,
    "a literal longer than announced": b"* 1 FETCH (UID 1 BODY[] {2}\r\nabcd)\r\n",
    "nothing known": b"* (\r\n",
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_can_not_be_ends_the_connection(name: str) -> None:
    with pytest.raises(ProtocolFault):
        for event in fed(FAULTS[name], 4096):
            if isinstance(event, Untagged):
                event.values()


def test_what_is_announced_takes_no_memory() -> None:
    reader = Reader(Spool(threshold=10**15))
    assert reader.feed(b"* 1 FETCH (UID 1 BODY[] {60000000000}\r\nabc") == []
    assert not reader.idle
    reader.close()
    assert reader.idle


def test_a_long_line_of_vanished_uids_is_allowed() -> None:
    uids = b",".join(b"%d" % uid for uid in range(1, 60_000, 2))
    [event] = fed(b"* VANISHED (EARLIER) " + uids + b"\r\n", 8192)
    assert isinstance(event, Untagged)
    assert event.values() == [[b"EARLIER"], uids]


def test_a_large_message_goes_to_disk() -> None:
    spool = Spool(threshold=1000)
    data = bytes(range(256)) * 40
    octets = b"* 1 FETCH (UID 7 BODY[] {%d}\r\n" % len(data) + data + b")\r\n"
    for size in (1, 777, 1_000_000):
        [event] = fed(octets, size, spool)
        assert isinstance(event, Body)
        assert isinstance(event.blob, FileBlob)
        assert b"".join(event.blob.chunks()) == data
        event.blob.close()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([octets for octets, _ in CASES.values()]),
            st.sampled_from([b"* 1 FETCH (UID 1 ", b"{3}\r\n", b"(", b")", b'"', b"\r\n", b"* "]),
        ),
        max_size=12,
    ),
    st.integers(min_value=1, max_value=50),
)
def test_arbitrary_octets_give_events_or_the_one_error(pieces: list[bytes], size: int) -> None:
    octets = b"".join(pieces)
    try:
        whole = [plain for event in fed(octets, 10**9) for plain in told(event)]
    except ProtocolFault:
        return
    assert [plain for event in fed(octets, size) for plain in told(event)] == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(min_value=1, max_value=40))
def test_a_message_is_kept_to_the_octet(data: bytes, size: int) -> None:
    octets = b"* 1 FETCH (UID 7 BODY[] {%d}\r\n" % len(data) + data + b")\r\n"
    assert [told(event) for event in fed(octets, size)] == [[("body", 7, data)]]


def test_limits_can_be_set() -> None:
    reader = Reader(Spool(), Limits(line=10))
    with pytest.raises(ProtocolFault):
        reader.feed(b"* OK 1234567\r\n")


def fed(octets: bytes, size: int, spool: Spool | None = None) -> list[Event]:
    reader = Reader(spool or Spool())
    events: list[Event] = []
    for at in range(0, len(octets), size):
        events += reader.feed(octets[at : at + size])
    return events


def told(event: Event) -> list[object]:
    """An event as plain values; a listing as one for each line, since lines may be grouped."""
    match event:
        case Listing(entries, True):
            return [("line", *shown(entry)) for entry in entries]
        case Listing(entries, False):
            return [("flags", entry.key, entry.flags) for entry in entries]
        case Body(uid, blob):
            return [("body", uid, None if blob is None else b"".join(blob.chunks()))]
        case Fetched():
            return [("fetched", event.uid, event.flags, event.size, event.received)]
        case Untagged(name):
            return [("untagged", name, in_octets(event.values()))]
        case Status(tag, kind, code, arguments, text):
            return [("status", tag, kind, code, arguments, text)]
        case Continuation(text):
            return [("+", text)]
    raise AssertionError(event)


def in_octets(value: object) -> object:
    """A blob is equal to another with the same octets."""
    if isinstance(value, list):
        return [in_octets(each) for each in value]
    return b"".join(value.chunks()) if isinstance(value, MemoryBlob | FileBlob) else value


def shown(entry: Entry) -> tuple[object, ...]:
    return entry.key, entry.flags, entry.size, entry.received
