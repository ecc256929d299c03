"""On which line of a TOML file each key stands. tomllib gives the values, but not their places.

The text has been read by tomllib before: it is known to be well-formed, so that this needs to know
only where strings, comments and brackets begin and end (toml.io/en/v1.0.0).
"""

import re
import tomllib

Place = tuple[str | int, ...]
"""Keys and places in arrays, from the top."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = ('"""', "'''", '"', "'")
_BLANK = " \t\r\n"


def lines_of(text: str) -> dict[Place, int]:
    """The line, from 1, on which each key and each value in an array begins. `text` has been
    accepted by tomllib."""
    return _Scan(text).run()


class _Scan:
    """One walk through a text; `at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Place, int] = {(): 1}
        self.arrays: dict[Place, int] = {}
        """How many tables each array of tables has so far."""

    def run(self) -> dict[Place, int]:
        table: Place = ()
        while self.skip(_BLANK):
            if self.text[self.at] == "[":
                table = self.heading()
            else:
                self.pair(table)
        return self.lines

    def skip(self, blank: str) -> bool:
        """Moves past blanks and comments; false at the end."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in blank:
                self.at += 1
            else:
                return True
        return False

    def heading(self) -> Place:
        """`[a.b]` or `[[a.b]]`: where the keys below it belong."""
        begin = self.at
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        place = self.within(self.key())
        self.skip(" \t")
        self.at += 2 if array else 1
        if array:
            number = self.arrays.get(place, 0)
            self.arrays[place] = number + 1
            self.note(place, begin)
            place = (*place, number)
        self.note(place, begin)
        return place

    def within(self, keys: tuple[str, ...]) -> Place:
        """`keys` from the top; through an array of tables, the last of them is meant."""
        place: Place = ()
        for number, key in enumerate(keys):
            place = (*place, key)
            if number < len(keys) - 1 and place in self.arrays:
                place = (*place, self.arrays[place] - 1)
        return place

    def pair(self, table: Place) -> None:
        """`key = value`."""
        begin = self.at
        place = (*table, *self.key())
        for size in range(len(table) + 1, len(place) + 1):
            self.note(place[:size], begin)
        self.skip(" \t")
        self.at += 1  # the =
        self.skip(" \t")
        self.value(place)

    def key(self) -> tuple[str, ...]:
        """A key, perhaps dotted, perhaps quoted."""
        parts: list[str] = []
        while True:
            self.skip(" \t")
            if self.text[self.at] in "\"'":
                parts.append(str(tomllib.loads(f"x = {self.string()}")["x"]))
            else:
                found = _BARE.match(self.text, self.at)
                assert found is not None
                parts.append(found[0])
                self.at = found.end()
            self.skip(" \t")
            if self.text[self.at : self.at + 1] != ".":
                return tuple(parts)
            self.at += 1

    def value(self, place: Place) -> None:
        first = self.text[self.at]
        if first == "[":
            self.array(place)
        elif first == "{":
            self.inline_table(place)
        elif first in "\"'":
            self.string()
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def array(self, place: Place) -> None:
        self.at += 1
        number = 0
        while self.skip(_BLANK + ",") and self.text[self.at] != "]":
            self.note((*place, number), self.at)
            self.value((*place, number))
            number += 1
        self.at += 1

    def inline_table(self, place: Place) -> None:
        self.at += 1
        while self.skip(_BLANK + ",") and self.text[self.at] != "}":
            self.pair(place)
        self.at += 1

    def string(self) -> str:
        """A string as it is written, with its quotes."""
        begin = self.at
        quote = next(each for each in _STRINGS if self.text.startswith(each, begin))
        self.at += len(quote)
        while not self.text.startswith(quote, self.at):
            # In '…' a backslash is itself.
            self.at += 2 if self.text[self.at] == "\\" and quote[0] == '"' else 1
        self.at += len(quote)
        # Up to two quotes may stand right before the three that end it.
        while len(quote) == 3 and self.text[self.at : self.at + 1] == quote[0]:
            self.at += 1
        return self.text[begin : self.at]

    def note(self, place: Place, at: int) -> None:
        self.lines.setdefault(place, self.text.count("\n", 0, at) + 1)
