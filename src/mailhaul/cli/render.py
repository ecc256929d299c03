"""The only module that prints.

Results go to standard output; progress, warnings and errors to standard error, so that a table or
`--json` can be kept in a file while a person watches. Everything written passes the scrubber.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TextIO

from mailhaul.cli.blocks import Block, Json, Line, Tone, laid_out
from mailhaul.cli.scrub import Scrubber

_COLOURS = {
    Tone.HEADING: "\x1b[1m",
    Tone.FAINT: "\x1b[2m",
    Tone.GOOD: "\x1b[32m",
    Tone.WARNING: "\x1b[33m",
    Tone.BAD: "\x1b[31m",
}
_RESET = "\x1b[0m"
_SHOW_CURSOR = "\x1b[?25h"
_STANDARD_OUTPUT = 1
_USUAL_WIDTH = 80
# These hold our own words only; a secret that happens to be one of them is not hidden by it.
_OUR_WORDS = frozenset({"event", "side", "fate", "role"})

_SPELT = str.maketrans(
    {"·": ".", "…": "~", "“": '"', "”": '"', "→": ">", "≟": "?", "✓": "+", "✗": "-", "≥": ">"}
)
"""Signs of ours where a terminal's encoding has none of them, one for one so that columns stay."""


class Console:
    """Standard output and standard error of this process."""

    def __init__(
        self, out: TextIO, err: TextIO, scrubber: Scrubber, environ: Mapping[str, str]
    ) -> None:
        self.out = out
        self.err = err
        self.scrubber = scrubber
        self._environ = environ
        usable = environ.get("TERM", "") not in ("", "dumb")
        # https://no-color.org: set and not empty.
        colourful = usable and not environ.get("NO_COLOR")
        self._plain = {stream: not _shows_all(stream) for stream in (out, err)}
        self.live = usable and err.isatty() and not self._plain[err]
        self._colour = {out: colourful and out.isatty(), err: colourful and err.isatty()}
        self.debug = False
        """Also show what only a developer can use."""
        self.uncover: Callable[[], None] = lambda: None
        """Called before anything is written across a live display, to take it down."""

    @property
    def width(self) -> int:
        """Columns of the terminal, now; COLUMNS overrules it."""
        # As shutil.get_terminal_size has it, which costs 4 ms to import.
        try:
            told = int(self._environ.get("COLUMNS", ""))
        except ValueError:
            told = 0
        if told > 0:
            return told
        try:
            return os.get_terminal_size(_STANDARD_OUTPUT).columns or _USUAL_WIDTH
        except OSError:
            return _USUAL_WIDTH

    def show(self, blocks: Iterable[Block]) -> None:
        """A result, on standard output; a terminal's width is kept to."""
        self.uncover()
        for line in laid_out(blocks, self.width if self.out.isatty() else None):
            self._write(self.out, line)
        self.out.flush()

    def say(self, text: str) -> None:
        """A text that was asked for and that no secret can be in, as it is."""
        self.out.write(text)
        self.out.flush()

    def json(self, line: Mapping[str, Json]) -> None:
        """A result as one line of JSON, on standard output."""
        self.out.write(json.dumps(self._scrubbed(line), ensure_ascii=False) + "\n")
        self.out.flush()

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """A remark, on standard error."""
        self._write(self.err, Line(text, tone))
        self.err.flush()

    def ask(self, question: str, usual: str = "") -> str:
        """What a person types, stripped; `usual` for nothing. Asked on standard error, so that
        results can be kept in a file."""
        self.uncover()
        self.err.write(self.scrubber.clean(f"{question}{f' [{usual}]' if usual else ''}: "))
        self.err.flush()
        return sys.stdin.readline().strip() or usual

    def warn(self, text: str) -> None:
        self.uncover()
        self.tell(f"warning: {text}", Tone.WARNING)

    def error(self, text: str) -> None:
        self.uncover()
        self.tell(f"mailhaul: {text}", Tone.BAD)

    def aside(self, text: str) -> None:
        """For developers only."""
        if self.debug:
            self.uncover()
            self.tell(text, Tone.FAINT)

    def stopping(self) -> None:
        """Says that a first Ctrl-C was understood."""
        self.uncover()
        self.tell("stopping at the next message boundary; Ctrl-C again leaves at once")

    def leave(self) -> None:
        """The last act of a process that ends without unwinding: the terminal as it was. May be
        called from a signal handler."""
        if self.live:
            os.write(self.err.fileno(), _SHOW_CURSOR.encode())

    def clean(self, text: str) -> str:
        return self.scrubber.clean(text)

    def _write(self, stream: TextIO, line: Line) -> None:
        text = self.scrubber.clean(line.text)
        if self._plain[stream]:
            text = text.translate(_SPELT)
        colour = _COLOURS.get(line.tone, "") if self._colour[stream] else ""
        stream.write(f"{colour}{text}{_RESET if colour else ''}\n")

    def _scrubbed(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.scrubber.clean(value)
        if isinstance(value, Mapping):
            return {
                key: inner if key in _OUR_WORDS else self._scrubbed(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._scrubbed(inner) for inner in value]
        return value


def _shows_all(stream: TextIO) -> bool:
    """Whether `stream` can be sent every sign that mailhaul uses; one of no encoding can."""
    try:
        "".join(map(chr, _SPELT)).encode(stream.encoding or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
