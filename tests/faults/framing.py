"""Where an IMAP conversation stands, byte by byte, in both directions: without I/O.

`ClientSide.feed` and `ServerSide.feed` give back what they were fed, cut into steps: the bytes to
forward, and between them the moments at which something could go wrong. Framing knows tags, lines
and literals and nothing else, and shares no code with mailhaul.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

LITERAL = re.compile(rb"~?\{(\d+)([+-]?)\}\r?\n\Z")


class Place(StrEnum):
    """A place in the conversation. The verb beside it is the command's, or for `UNTAGGED_HALF`
    and the `BODY` places the response's; the greeting has the verb `GREETING`."""

    COMMAND = "before the command"
    COMMAND_HALF = "inside the command's line"
    LITERAL = "before the client's literal"
    LITERAL_HALF = "inside the client's literal"
    LITERAL_DONE = "after the literal, before the final CRLF"
    SENT = "after the command's final CRLF, at once"
    UNTAGGED_HALF = "inside an untagged response"
    BODY = "before the server's literal"
    BODY_HALF = "inside the server's literal"
    BODY_DONE = "after the server's literal"
    CONTINUATION = "before a + of the server"
    ANSWER = "before the tagged answer that is there"
    ANSWER_HALF = "inside the tagged answer"
    ANSWERED = "after the tagged answer"


@dataclass(frozen=True, slots=True)
class Moment:
    """A class of protocol events, or one of it as it happens."""

    place: Place
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.place}"


Step = Moment | bytes


@dataclass(slots=True)
class Conversation:
    """What both directions of one connection know together."""

    verbs: dict[bytes, str] = field(default_factory=dict)
    """Tag to verb of every command that is not yet answered."""
    authenticating: bool = False
    """What the client sends belongs to a SASL exchange, not to a command."""
    loads: dict[bytes, int] = field(default_factory=dict)
    """Tag to the number of messages of an APPEND that is not yet answered."""
    waits_for_plus: bytes = b""
    """The tag of the command whose literal waits for the server's `+`."""


class ClientSide:
    """What the client says. `commands` counts verbs, `messages` the literals of APPENDs."""

    def __init__(self, conversation: Conversation) -> None:
        self._shared = conversation
        self._buffer = b""
        self._verb = ""
        self._tag = b""
        self._literal = 0
        self._size = 0
        self.commands: Counter[str] = Counter()
        self.messages = 0

    def feed(self, data: bytes) -> Iterator[Step]:
        """The steps of what has now come whole; a line that hasn't waits for its rest."""
        self._buffer += data
        while self._buffer:
            if self._literal:
                yield from self._literal_steps()
                continue
            end = self._buffer.find(b"\n") + 1
            if not end:
                return
            line, self._buffer = self._buffer[:end], self._buffer[end:]
            yield from self._line_steps(line)

    def refused(self, tag: bytes) -> None:
        """The server answered `tag` instead of taking its literal: none will come."""
        if self._shared.waits_for_plus == tag:
            self._literal = 0
            self._verb = ""
            self._shared.waits_for_plus = b""

    def _literal_steps(self) -> Iterator[Step]:
        self._shared.waits_for_plus = b""
        chunk, self._buffer = self._buffer[: self._literal], self._buffer[self._literal :]
        done = self._size - self._literal
        half = self._size // 2 - done
        self._literal -= len(chunk)
        if 0 <= half < len(chunk):
            yield chunk[:half]
            yield Moment(Place.LITERAL_HALF, self._verb)
            yield chunk[half:]
        else:
            yield chunk

    def _line_steps(self, line: bytes) -> Iterator[Step]:
        after_literal = bool(self._verb)
        if not after_literal:
            # A command that follows a SASL exchange without waiting has a blank in it; base64 none.
            if self._shared.authenticating and b" " not in line.strip():
                yield Moment(Place.COMMAND, "SASL")
                yield line
                yield Moment(Place.SENT, "SASL")
                return
            self._tag, self._verb = _command(line)
            self._shared.verbs[self._tag] = self._verb
            self.commands[self._verb] += 1
            self._shared.authenticating = self._verb == "AUTHENTICATE"
            yield Moment(Place.COMMAND, self._verb)
        found = LITERAL.search(line)
        if after_literal and found is None:
            yield Moment(Place.LITERAL_DONE, self._verb)
            yield line
        else:
            yield from _halves(line, Moment(Place.COMMAND_HALF, self._verb))
        if found is None:
            yield Moment(Place.SENT, self._verb)
            self._verb = ""
            return
        self._size = self._literal = int(found[1])
        if self._verb == "APPEND":
            self.messages += 1
            self._shared.loads[self._tag] = self._shared.loads.get(self._tag, 0) + 1
        if not found[2]:
            self._shared.waits_for_plus = self._tag
        yield Moment(Place.LITERAL, self._verb)


class ServerSide:
    """What the server says, each line as `rewrite` gives it. `answered` counts the OKs by verb as
    they leave for the client, `acknowledged` the messages of the APPENDs among them."""

    def __init__(
        self,
        conversation: Conversation,
        client: ClientSide,
        rewrite: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._shared = conversation
        self._rewrite = rewrite
        self._client = client
        self._buffer = b""
        self._literal = 0
        self._size = 0
        self._greeted = False
        self._response = ""
        self.answered: Counter[str] = Counter()
        self.acknowledged = 0

    def feed(self, data: bytes) -> Iterator[Step]:
        """As `ClientSide.feed`."""
        self._buffer += data
        while self._buffer:
            if self._literal:
                yield from self._literal_steps()
                continue
            end = self._buffer.find(b"\n") + 1
            if not end:
                return
            line, self._buffer = self._buffer[:end], self._buffer[end:]
            yield from self._line_steps(self._rewrite(line))

    def _literal_steps(self) -> Iterator[Step]:
        chunk, self._buffer = self._buffer[: self._literal], self._buffer[self._literal :]
        done = self._size - self._literal
        half = self._size // 2 - done
        self._literal -= len(chunk)
        if 0 <= half < len(chunk):
            yield chunk[:half]
            yield Moment(Place.BODY_HALF, self._response)
            yield chunk[half:]
        else:
            yield chunk
        if not self._literal:
            yield Moment(Place.BODY_DONE, self._response)

    def _line_steps(self, line: bytes) -> Iterator[Step]:
        found = LITERAL.search(line)
        if found is not None:
            self._size = self._literal = int(found[1])
            if not self._response:
                self._response = _untagged(line)
            yield line
            yield Moment(Place.BODY, self._response)
        elif self._response:
            self._response = ""
            yield line
        elif not self._greeted:
            self._greeted = True
            yield Moment(Place.ANSWER, "GREETING")
            yield from _halves(line, Moment(Place.ANSWER_HALF, "GREETING"))
            yield Moment(Place.ANSWERED, "GREETING")
        elif line.startswith(b"+"):
            yield Moment(Place.CONTINUATION, "SASL" if self._shared.authenticating else "LITERAL")
            yield line
        elif line.startswith(b"* "):
            yield from _halves(line, Moment(Place.UNTAGGED_HALF, _untagged(line)))
        else:
            yield from self._tagged_steps(line)

    def _tagged_steps(self, line: bytes) -> Iterator[Step]:
        tag = line.split(b" ", 1)[0]
        verb = self._shared.verbs.pop(tag, "UNKNOWN")
        self._client.refused(tag)
        if verb == "AUTHENTICATE":
            self._shared.authenticating = False
        yield Moment(Place.ANSWER, verb)
        yield from _halves(line, Moment(Place.ANSWER_HALF, verb))
        load = self._shared.loads.pop(tag, 0)
        if line.split()[1].upper() == b"OK":
            self.answered[verb] += 1
            self.acknowledged += load
        yield Moment(Place.ANSWERED, verb)


def _command(line: bytes) -> tuple[bytes, str]:
    tag, _, rest = line.strip().partition(b" ")
    words = rest.upper().split(b" ", 2)
    verb = words[1] if words[0] == b"UID" and len(words) > 1 else words[0]
    return tag, verb.decode("latin-1")


def _untagged(line: bytes) -> str:
    words = line.strip().upper().split(b" ", 3)
    verb = words[2] if len(words) > 2 and words[1].isdigit() else words[1]
    return verb.decode("latin-1")


def _halves(line: bytes, moment: Moment) -> Iterator[Step]:
    half = len(line) // 2
    yield line[:half]
    yield moment
    yield line[half:]
