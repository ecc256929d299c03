"""Sample mail, the same for the same seed: a believable mailbox, and any number of plain messages.

Everything is written as bytes here: what is odd in it (8-bit headers, no header at all, no
Message-ID, byte-identical twins) has to stay odd, so that no mail library may have a hand in it.
"""

import base64
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS, Flags

MARK = "X-Rehearsal: nobody wants this"
"""A header line of messages that the rehearsal's new server refuses."""

SizeChoice = Callable[[random.Random], int]

FOLDERS: tuple[FolderPath, ...] = (
    INBOX_PATH,
    ("Sent",),
    ("Drafts",),
    ("Archive",),
    ("Archive", "2024"),
    ("Archive", "2025"),
    ("Archive", "2025", "Verträge"),
    ("Projekte",),
    ("Projekte", "Île-de-France"),
    ("Projekte", "Île-de-France", "Devis & Factures"),
    ("Projekte", "Ødegård"),
    ("Покупки",),
    ("日本語",),
    ("日本語", "請求書 📎"),
    ("Πρόσωπα",),
)

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(2024, 1, 2, 8, 0, tzinfo=UTC)
_ZONES = tuple(timezone(timedelta(minutes=minutes)) for minutes in (0, 60, 120, -300, 330))
_PEOPLE = (
    ("Ada Winter", "ada@example.org"),
    ("José Núñez", "jose@example.net"),
    ("Мария Иванова", "maria@example.com"),
    ("山田 太郎", "taro@example.jp"),
    ("Zoë O'Neil", "zoe@example.org"),
    ("The printer", "printer@example.org"),
)
_SUBJECTS = (
    "Minutes of Monday's meeting",
    "Rechnung für März",
    "Re: où en est le devis ?",
    "Отпуск в июле",
    "請求書の件",
    "Photos from the lake",
    "Your order has shipped",
    "A question",
)
_PROSE = (
    "the of mail folder carries every message where nobody looks and still finds it in order "
    "before noon a letter from Lisbon came with two drawings one of a bridge the other of rain "
    "please confirm until Friday that the figures are right we shall then send them on"
)
_WORDS = _PROSE.split()
_KEYWORDS: Flags = frozenset({"$Forwarded"})
_FLAGS: tuple[Flags, ...] = (
    frozenset({"\\Seen"}),
    frozenset({"\\Seen"}),
    frozenset({"\\Seen", "\\Answered"}),
    frozenset({"\\Seen", "\\Flagged"}),
    frozenset({"\\Seen", "$Forwarded"}),
    NO_FLAGS,
)


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """One mail of the sample mailbox, with CRLF line ends."""

    folder: FolderPath
    content: bytes
    flags: Flags
    received: datetime


def sample_mailbox(
    count: int = 500, seed: int = 1, *, keywords: bool = True
) -> list[SampleMessage]:
    """`count` messages over all of `FOLDERS`, each folder in the order in which mail came in.

    Among them: attachments, alternatives, byte-identical twins in one folder, messages without
    Message-ID, with a shared Message-ID, with 8-bit headers, without any header, with a line of
    20,000 octets, with no line end at the end, and without a body. With `keywords` some carry
    `$Forwarded` besides system flags.
    """
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    made: list[SampleMessage] = []
    for number in range(count):
        # Every folder gets some, the inbox and the archive most.
        folder = FOLDERS[number] if number < len(FOLDERS) else _folder(source)
        received = (_EPOCH + timedelta(minutes=37 * number)).astimezone(source.choice(_ZONES))
        twin = made[-1] if made and made[-1].folder == folder and number % 9 == 0 else None
        made.append(
            SampleMessage(
                folder,
                twin.content if twin else _sample(source, number, received),
                source.choice(_FLAGS) - (NO_FLAGS if keywords else _KEYWORDS),
                received,
            )
        )
    return made


def messages(
    count: int,
    sizes: SizeChoice,
    seed: int = 1,
    *,
    twins: float = 0.01,
    nameless: float = 0.01,
) -> Iterator[bytes]:
    """`count` plain messages with CRLF line ends, each of the size that `sizes` draws (but no
    smaller than its header). `twins`: share of byte-identical copies of the one before;
    `nameless`: share without Message-ID."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    filler = _filler(source, 1 << 16)
    last = b""
    for number in range(count):
        if last and source.random() < twins:
            yield last
            continue
        sent = _EPOCH + timedelta(seconds=61 * number)
        header = _header(source, number, sent, named=source.random() >= nameless)
        start = b"".join(header) + b"\r\n"
        wanted = max(sizes(source) - len(start), 0)
        last = start + _body(filler, wanted, source)
        yield last


def poison(address: str) -> SampleMessage:
    """A message that a server which was told to refuses, by its `MARK`."""
    text = (
        f"From: <nobody@elsewhere.example>\r\nTo: <{address}>\r\nSubject: Invoice, urgent\r\n"
        f"Message-ID: <poison@rehearsal>\r\n{MARK}\r\n\r\nOpen this at once.\r\n"
    )
    return SampleMessage(INBOX_PATH, text.encode(), NO_FLAGS, _EPOCH)


def between(smallest: int, largest: int) -> SizeChoice:
    """Sizes in octets, evenly from `smallest` to `largest`."""
    return lambda source: source.randint(smallest, largest)


def log_normal(median: int, sigma: float, largest: int) -> SizeChoice:
    """Sizes in octets as in real mailboxes: most small, a few very large, none above `largest`."""
    return lambda source: min(round(median * source.lognormvariate(0, sigma)), largest)


def flag_text(flags: Flags) -> str:
    """`flags` as APPEND and STORE write them."""
    return f"({' '.join(sorted(flags))})"


def _folder(source: random.Random) -> FolderPath:
    weights = (8, 5, 1, 6, 5, 4, 2, 3, 2, 2, 2, 2, 2, 1, 1)
    return source.choices(FOLDERS, weights)[0]


def _sample(source: random.Random, number: int, received: datetime) -> bytes:
    kinds: Sequence[Callable[[random.Random, int, datetime], bytes]] = _ODD_KINDS
    if number % 12 == 7:
        return kinds[number // 12 % len(kinds)](source, number, received)
    if number % 6 == 1:
        return _with_attachment(source, number, received)
    if number % 6 == 2:
        return _alternative(source, number, received)
    return _plain(source, number, received)


def _plain(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=True)
    return b"".join(header) + _TEXT + b"\r\n" + _paragraphs(source)


def _with_attachment(source: random.Random, number: int, received: datetime) -> bytes:
    boundary = b"part-%d-%08x" % (number, source.getrandbits(32))
    attachment = base64.encodebytes(source.randbytes(source.randint(2_000, 40_000)))
    return b"".join(
        [
            *_header(source, number, received, named=True),
            b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary,
            b"--%b\r\n%b\r\n" % (boundary, _TEXT),
            _paragraphs(source),
            b"\r\n--%b\r\nContent-Type: application/pdf\r\n" % boundary,
            b"Content-Disposition: attachment; filename*=UTF-8''%s\r\n" % b"Gr%C3%B6%C3%9Fe.pdf",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            attachment.replace(b"\n", b"\r\n"),
            b"--%b--\r\n" % boundary,
        ]
    )


def _alternative(source: random.Random, number: int, received: datetime) -> bytes:
    boundary = b"=_%d" % number
    text = _paragraphs(source)
    return b"".join(
        [
            *_header(source, number, received, named=True),
            b"MIME-Version: 1.0\r\n",
            b'Content-Type: multipart/alternative;\r\n\tboundary="%b"\r\n\r\n' % boundary,
            b"--%b\r\n%b\r\n%b\r\n" % (boundary, _TEXT, text),
            b"--%b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" % boundary,
            b"<p>%b</p>\r\n--%b--\r\n" % (text.replace(b"\r\n\r\n", b"</p>\r\n<p>"), boundary),
        ]
    )


def _nameless(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=False)
    return b"".join(header) + b"\r\n" + _paragraphs(source)


def _shared_name(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=False)
    return (
        b"".join(header) + b"Message-ID: <always-the-same@example.org>\r\n\r\n" + b"%d\r\n" % number
    )


def _raw_octets(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=True)
    return (
        b"".join(header) + "X-Raum: Küche im Erdgeschoß\r\n".encode("latin-1") + b"\r\n\xff\xfe\r\n"
    )


def _headerless(source: random.Random, number: int, received: datetime) -> bytes:
    return b"\r\nno header at all, number %d\r\n" % number


def _long_line(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=True)
    return b"".join(header) + b"\r\n" + b"x" * 20_000 + b"\r\n"


def _unended(source: random.Random, number: int, received: datetime) -> bytes:
    header = _header(source, number, received, named=True)
    return b"".join(header) + b"\r\nends without a line end"


def _bodiless(source: random.Random, number: int, received: datetime) -> bytes:
    return b"".join(_header(source, number, received, named=True)) + b"\r\n"


_ODD_KINDS = (
    _nameless,
    _shared_name,
    _raw_octets,
    _headerless,
    _long_line,
    _unended,
    _bodiless,
)
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def _header(source: random.Random, number: int, sent: datetime, *, named: bool) -> list[bytes]:
    """Header lines without the empty one that ends them."""
    (name, address), (other, recipient) = source.sample(_PEOPLE, 2)
    lines = [
        f"Received: from relay.example.net (192.0.2.{number % 250}) by mx.example.org;\r\n"
        f"\t{_date(sent)}\r\n",
        f"Date: {_date(sent)}\r\n",
        f"From: {_phrase(name)} <{address}>\r\n",
        f"To: {_phrase(other)} <{recipient}>\r\n",
        f"Subject: {_word(source.choice(_SUBJECTS))} ({number})\r\n",
    ]
    if named:
        lines.append(f"Message-ID: <{number}.{source.getrandbits(48):012x}@example.org>\r\n")
    return [line.encode() for line in lines]


def _phrase(name: str) -> str:
    return f'"{name}"' if name.isascii() else _word(name)


def _word(text: str) -> str:
    """`text` as an encoded word (RFC 2047) where it needs one."""
    if text.isascii():
        return text
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _date(moment: datetime) -> str:
    # strftime would write the names of the days and months in the locale's language.
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day} {month} {moment:%Y %H:%M:%S %z}"


def _paragraphs(source: random.Random) -> bytes:
    return b"\r\n".join(
        _wrapped(source.choices(_WORDS, k=source.randint(20, 120)))
        for _ in range(source.randint(1, 6))
    )


def _wrapped(words: list[str]) -> bytes:
    lines = [" ".join(words[start : start + 11]) for start in range(0, len(words), 11)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _filler(source: random.Random, size: int) -> bytes:
    """Text lines to cut bodies from."""
    text = b""
    while len(text) < size:
        text += _wrapped(source.choices(_WORDS, k=1_000))
    return text


def _body(filler: bytes, size: int, source: random.Random) -> bytes:
    """`size` octets of text, from a place of `filler` that differs from message to message."""
    start = source.randrange(len(filler))
    text = (filler[start:] + filler * (size // len(filler) + 1))[: max(size - 2, 0)]
    # A cut inside CRLF would leave a bare CR behind.
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
