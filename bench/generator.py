"""Mailboxes for the benchmark, written straight into a Dovecot Maildir++, the same for one seed.

Messages lie on disk with LF line ends, as a delivery leaves them; `S=` and `W=` in the file names
carry both sizes, so that no server pays for finding them out. Flags stand in the names, keywords
in `dovecot-keywords`, received dates in the files' mtime, and every folder is subscribed.
"""

import base64
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from statistics import NormalDist

FOLDERS: tuple[str, ...] = (
    "INBOX",
    "Sent",
    "Archiv",
    "Archiv/2023",
    "Archiv/2024",
    "Archiv/2024/März",
    "Archiv/2024/März/Übergabe",
    "Projekte",
    "Projekte/München & Köln",
    "Projekte/München & Köln/Angebote",
    "Projekte/Łódź",
    "Projekte/日本",
    "Projekte/日本/東京",
    "Клиенты",
    "Клиенты/Договоры",
    "Ελλάδα",
    "Lists",
    "Lists/Python",
    "Lists/Python/Années",
    "Straße 🛣",
)
KEYWORDS: tuple[str, ...] = ("$Forwarded", "$Label1", "Junk", "NonJunk")
SYSTEM_LETTERS = "FRS"
FIRST_DATE = 1_577_836_800
"""2020-01-01: received dates are drawn from the five years that follow."""
FIVE_YEARS = 5 * 365 * 86_400
LINE = 77
POOL_LINES = 40_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What a mailbox holds: the sizes of its messages, in octets with CRLF, in order."""

    sizes: tuple[int, ...]
    duplicates: float = 0.01
    nameless: float = 0.01


def even_shape(count: int, seed: int = 1, smallest: int = 4096, largest: int = 8192) -> Shape:
    """S1: sizes spread evenly between `smallest` and `largest`."""
    draw = random.Random(seed)
    return Shape(tuple(draw.randint(smallest, largest) for _ in range(count)))


def heavy_shape(count: int, seed: int = 2, median: int = 8192, spread: float = 2.1) -> Shape:
    """S2: log-normal sizes by quantile, so that sum and largest hang on no luck; then shuffled."""
    normal = NormalDist()
    sizes = [
        min(19_000_000, max(600, int(median * exp(spread * normal.inv_cdf((i + 0.5) / count)))))
        for i in range(count)
    ]
    random.Random(seed).shuffle(sizes)
    return Shape(tuple(sizes))


class Writer:
    """Makes messages: the same ones for the same seed, each other than the ones before."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        encoded = base64.b64encode(self._draw.randbytes(POOL_LINES * 57))
        width = LINE - 1
        lines = [encoded[i : i + width] for i in range(0, len(encoded), width)]
        self._pool = b"\n".join(lines) + b"\n"
        self._count = 0
        self._seed = seed

    def message(self, size: int, *, named: bool) -> bytes:
        """A message of about `size` octets (counted with CRLF), with LF line ends."""
        self._count += 1
        draw, number = self._draw, self._count
        name = f"Message-ID: <{self._seed}.{number}.{draw.getrandbits(48):x}@bench.example>\n"
        head = (
            f"Received: from mx{number % 7}.bench.example by mail.bench.example with ESMTPS;\n"
            f"\tWed, {number % 28 + 1:02} Jan 2020 {number % 24:02}:00:00 +0000\n"
            f"From: =?utf-8?Q?J=C3=BCrgen_{number % 97}?= <person{number % 97}@bench.example>\n"
            f"To: someone{number % 13}@bench.example\n"
            f"Subject: message {number} of {self._seed}\n"
            f"Date: Wed, {number % 28 + 1:02} Jan 2020 {number % 24:02}:{number % 60:02}:00 +0000\n"
            f"{name if named else ''}"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            "\n"
        ).encode()
        wanted = max(LINE, size - len(head) - head.count(b"\n"))
        lines = max(1, round(wanted / (LINE + 1)))
        return head + b"".join(self._lines(lines))

    def flags(self) -> str:
        """The letters after `:2,` of a Maildir name: most read, some flagged, few keywords."""
        draw = self._draw
        letters = "S" if draw.random() < 0.7 else ""
        if draw.random() < 0.08:
            letters = "F" + letters
        if draw.random() < 0.1:
            letters = "".join(sorted(letters + "R"))
        if draw.random() < 0.05:
            letters += "abcd"[draw.randrange(len(KEYWORDS))]
        return letters

    def received(self) -> int:
        """Seconds since the epoch."""
        return FIRST_DATE + self._draw.randrange(FIVE_YEARS)

    def chance(self, share: float) -> bool:
        return self._draw.random() < share

    def _lines(self, count: int) -> Iterator[bytes]:
        while count > 0:
            taken = min(count, POOL_LINES // 2)
            start = self._draw.randrange(POOL_LINES - taken + 1) * LINE
            yield self._pool[start : start + taken * LINE]
            count -= taken


def fill(maildir: Path, shape: Shape, seed: int, folders: Sequence[str] = FOLDERS) -> int:
    """Writes the mailbox into `maildir`, which is made; returns octets, counted with CRLF."""
    writer = Writer(seed)
    total = 0
    share = -(-len(shape.sizes) // len(folders))
    for number, folder in enumerate(folders):
        directory = _make_folder(maildir, folder)
        sizes = shape.sizes[number * share : (number + 1) * share]
        total += _fill_folder(directory, writer, shape, sizes)
    names = "".join(f"{_encoded(folder)}\n" for folder in folders)
    (maildir / "subscriptions").write_text(names, "ascii")
    return total


def _fill_folder(directory: Path, writer: Writer, shape: Shape, sizes: Sequence[int]) -> int:
    total = 0
    earlier = b""
    for position, size in enumerate(sizes):
        twin = bool(earlier) and writer.chance(shape.duplicates)
        named = not writer.chance(shape.nameless)
        content = earlier if twin else writer.message(size, named=named)
        if size < 100_000:
            earlier = content
        with_crlf = len(content) + content.count(b"\n")
        base = f"{FIRST_DATE + position}.M{position}P1.bench,S={len(content)},W={with_crlf}"
        path = directory / "cur" / f"{base}:2,{writer.flags()}"
        path.write_bytes(content)
        received = writer.received()
        os.utime(path, (received, received))
        total += with_crlf
    return total


def _make_folder(maildir: Path, folder: str) -> Path:
    """Maildir++ with `.` between the levels; `cur`, `new`, `tmp` and the keyword table."""
    directory = maildir if folder == "INBOX" else maildir / f".{_encoded(folder, '.')}"
    for part in ("cur", "new", "tmp"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    table = "".join(f"{number} {keyword}\n" for number, keyword in enumerate(KEYWORDS))
    (directory / "dovecot-keywords").write_text(table, "ascii")
    return directory


def _encoded(folder: str, delimiter: str = ".") -> str:
    """Modified UTF-7 (RFC 3501 5.1.3), with the bench's own few lines: no code under test."""
    out: list[str] = []
    foreign: list[str] = []

    def shift() -> None:
        if foreign:
            packed = base64.b64encode("".join(foreign).encode("utf-16-be")).rstrip(b"=")
            out.append("&" + packed.decode().replace("/", ",") + "-")
            foreign.clear()

    for character in folder:
        if " " <= character <= "~":
            shift()
            out.append({"&": "&-", "/": delimiter}.get(character, character))
        else:
            foreign.append(character)
    shift()
    return "".join(out)
