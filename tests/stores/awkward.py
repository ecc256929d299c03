"""Messages and folder names that mail systems and tools stumble over (failure-modes D1–D10, E2–E8).

Every connector's conformance run carries all of them; what a system alters or refuses is declared
in its `Expectations`, never left out.
"""

from datetime import UTC, datetime, timedelta, timezone

from mailhaul.core.folder import FolderPath

HEADER = (
    b"From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: a test\r\n"
    b"Date: Mon, 01 Jan 2024 10:00:00 +0100\r\nMessage-ID: <%s@example.org>\r\n"
)


def mail(name: str, body: bytes = b"Hello.\r\n", extra: bytes = b"") -> bytes:
    """A plain message called `name`, with `extra` header lines."""
    return HEADER % name.encode() + extra + b"\r\n" + body


def nested_mime(depth: int) -> bytes:
    """A message of `depth` multiparts, one inside the other."""
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )
    closing = b"".join(b"\r\n--b%d--\r\n" % level for level in reversed(range(depth)))
    head = HEADER % b"nested" + b"MIME-Version: 1.0\r\n"
    return head + opening + b"Content-Type: text/plain\r\n\r\ninnermost\r\n" + closing


AWKWARD: dict[str, bytes] = {
    "a plain message": mail("plain"),
    "a body with NUL": mail("nul", b"before\x00after\r\n"),
    "a header with NUL": mail("nulheader", extra=b"X-Odd: before\x00after\r\n"),
    "a bare CR": mail("barecr", b"one\rtwo\r\n"),
    "a bare LF": mail("barelf", b"one\ntwo\r\nthree\r\n"),
    "CR CR LF": mail("crcrlf", b"one\r\r\ntwo\r\r\n"),
    "nothing but LF": mail("lf", b"one\ntwo\n").replace(b"\r\n", b"\n"),
    "a CR at the end": mail("crend", b"one\r"),
    "8-bit octets in the header": mail("eight", extra=b"X-Name: J\xf6rg \xe2\x82\xac\r\n"),
    "8-bit octets in the subject": mail("eightsubject").replace(b"a test", b"Gr\xfc\xdfe"),
    "8-bit octets in the body": mail("body8", b"J\xf6rg \xe2\x82\xac \xff\xfe\r\n"),
    "no header": b"\r\nJust a body.\r\n",
    "text that is no header": b"this is not a header\r\nneither is this\r\n",
    "a header line without a colon": mail("nocolon", extra=b"nonsense without colon\r\n"),
    "a header and no separator": HEADER % b"noseparator",
    "a header cut short": b"From: ada@example.org\r\nSubject: cut",
    "an empty body": mail("emptybody", b""),
    "a line end alone": b"\r\n",
    "one octet": b"x",
    "nothing at all": b"",
    "no final line end": mail("nofinal", b"The last line"),
    "no Message-ID": b"From: ada@example.org\r\nSubject: anonymous\r\n\r\nHello.\r\n",
    "a shared Message-ID": mail("plain", b"Not the plain message.\r\n"),
    "a long line": mail("longline", b"x" * 1_000_000 + b"\r\n"),
    "a long header line": mail("longheader", extra=b"X-Long: " + b"y" * 60_000 + b"\r\n"),
    "deep MIME": nested_mime(200),
    "lines that begin with From": mail("from", b"From me\r\n>From you\r\n>>From all\r\nFrom \r\n"),
    "a From line first": b"From ada Mon Jan  1 10:00:00 2024\r\n" + mail("fromfirst"),
    "a quoted From line first": b">From ada Mon Jan  1 10:00:00 2024\r\n" + mail("quotedfirst"),
    "lines of dots": mail("dots", b".\r\n..\r\n.\r\n"),
    "blank lines around": mail("blanks", b"\r\n\r\nmiddle\r\n\r\n\r\n"),
    "a parenthesis and braces": mail("syntax", b') {10}\r\n* 1 FETCH ("\r\nA1 OK done\r\n'),
}

ODD_NAMES: dict[str, FolderPath] = {
    "an umlaut": ("Entwürfe",),
    "several scripts": ("Été – Лето – 夏 – صيف",),
    "an emoji": ("🎉 Feiern",),
    "decomposed letters": ("Cafe\u0301",),
    "a blank inside": ("My Folder",),
    "blanks around": (" padded ",),
    "two blanks": ("two  blanks",),
    "a dot": ("v1.2",),
    "a leading dot": (".hidden",),
    "a slash": ("and/or",),
    "a backslash": ("back\\slash",),
    "a quote": ('say "hi"',),
    "a percent sign": ("100%",),
    "a star": ("a*b",),
    "an ampersand": ("A&B",),
    "modified UTF-7 as text": ("&AGE-",),
    "a percent code as text": ("%2e%2E",),
    "a caret and braces": ("^a{b}",),
    "a parenthesis": ("hello :(",),
    "two dots": ("..",),
    "two dots and a way out": ("..", "..", "etc"),
    "one dot": (".",),
    "a tilde": ("~root",),
    "a control character": ("bell\x07",),
    "a line end": ("two\r\nlines",),
    "a name of Windows": ("CON",),
    "a name of a Maildir": ("cur",),
    "a name of Thunderbird": ("Mail.sbd",),
    "a long name": ("l" * 200,),
    "a longer name": ("ö" * 150,),
    "below the inbox": ("INBOX", "Projekte"),
    "eight levels": tuple(f"level {number}" for number in range(8)),
}

DATES: dict[str, datetime] = {
    "lately": datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
    "in summer, east": datetime(2019, 7, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=5.5))),
    "long ago": datetime(1995, 12, 24, 18, 0, 0, tzinfo=timezone(timedelta(hours=-8))),
    "of one digit": datetime(2001, 3, 4, 5, 6, 7, tzinfo=UTC),
}
