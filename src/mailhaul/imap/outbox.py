"""Commands on their way out, in order: as many as may go at once, as few writes as will do.

A literal goes without asking where LITERAL+ or LITERAL- allow it (RFC 7888); else what stands
behind it waits for the server's `+`, and a NO instead of it takes the command back cleanly (B17).
COMPRESS goes out alone, and nothing behind it before its answer is known (RFC 4978 3).
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum

from mailhaul.core.blob import MemoryBlob
from mailhaul.imap.commands import Command
from mailhaul.imap.pending import Pending

COALESCED = 256 * 1024
"""Octets of one write, about."""

_LARGE = 64 * 1024
"""Octets that are written by themselves: to put them together with others means to copy them."""

_LITERAL_MINUS = 4096


class Gate(Enum):
    """Where sending waits."""

    PLUS = 0
    """Until the server says `+`."""
    ALONE = 1
    """Until every command before this one is answered."""
    ANSWERED = 2
    """Until this command is answered."""


Step = bytes | Iterator[bytes] | Gate
"""Octets to send, a large literal piece by piece, or a place to wait."""


class Outbox:
    """What is to be sent. `write` sends; `waits` is called where `+` has to be waited for, `failed`
    when a literal can't be read: half of it may be gone by then. Whether anything may be sent at
    all `may` is asked before each write; `held` if the last answer was no."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        waits: Callable[[], None],
        failed: Callable[[OSError], None],
        may: Callable[[], bool],
    ) -> None:
        self.paused = False
        """The network takes no more for now."""
        self.held = False
        self._may = may
        self._write = write
        self._waits = waits
        self._failed = failed
        self._outgoing: deque[tuple[Pending, deque[Step]]] = deque()
        self._awaits_plus = False

    def add(self, pending: Pending, steps: deque[Step]) -> None:
        """Puts a command behind all others; `pump` sends it."""
        self._outgoing.append((pending, steps))

    def go_on(self) -> bool:
        """The server said `+`; whether a literal was waiting for that."""
        if not self._awaits_plus:
            return False
        self._awaits_plus = False
        self._outgoing[0][1].popleft()
        return True

    def answered(self, pending: Pending) -> bool:
        """A command got its answer; whether others can go out now that could not."""
        if not self._outgoing:
            return False
        first, steps = self._outgoing[0]
        if first is pending and self._awaits_plus:
            # Refused instead of `+`: its remaining octets may not be sent any more (B17). Without
            # such a wait the rest of a literal has to go out, or the server would misread.
            self._awaits_plus = False
            self._outgoing.popleft()
            return True
        if first is pending and steps and steps[0] is Gate.ANSWERED:
            self._outgoing.popleft()
            return True
        return bool(steps) and steps[0] is Gate.ALONE

    def clear(self) -> None:
        """Nothing is sent any more."""
        self._outgoing.clear()
        self.held = False
        self._awaits_plus = False

    def pump(self, oldest: Pending | None) -> None:
        """Writes what may be written, many small pieces as one. `oldest` is the command that has
        waited longest for its answer."""
        pieces: list[bytes] = []
        size = 0
        self.held = False
        while self._outgoing and not self.paused and not self._awaits_plus:
            # Asked again before each write, for a process may be stopped anywhere (0072).
            if not pieces:
                self.held = not self._may()
                if self.held:
                    break
            pending, steps = self._outgoing[0]
            held = False
            while steps:
                step = steps[0]
                if isinstance(step, bytes):
                    steps.popleft()
                    piece = step
                elif isinstance(step, Gate):
                    if step is Gate.ALONE and oldest is pending:
                        steps.popleft()
                        continue
                    if step is Gate.PLUS:
                        self._awaits_plus = True
                        self._waits()
                    held = True
                    break
                else:
                    try:
                        following = next(step, None)
                    except OSError as error:  # the spool can't be read: half a literal is sent
                        self._failed(error)
                        return
                    if following is None:
                        steps.popleft()
                        continue
                    piece = following
                if len(piece) >= _LARGE:
                    if pieces:
                        # These first; then it is asked again.
                        steps.appendleft(piece)
                        size = COALESCED
                    else:
                        self._write(piece)
                    break
                pieces.append(piece)
                size += len(piece)
                if size >= COALESCED:
                    break
            if not steps:
                self._outgoing.popleft()
            if size >= COALESCED:
                self._write(b"".join(pieces))
                pieces, size = [], 0
            if held:
                break
        if pieces:
            self._write(b"".join(pieces))


def steps_of(tag: bytes, command: Command, capabilities: frozenset[str]) -> deque[Step]:
    """What is to be sent of a command, and where to wait."""
    any_size = "LITERAL+" in capabilities
    small = any_size or "LITERAL-" in capabilities
    steps: deque[Step] = deque([tag + b" "])
    for part in command.parts:
        if isinstance(part, bytes):
            steps.append(part)
            continue
        size = part.blob.size
        asks = not (any_size or (small and size <= _LITERAL_MINUS))
        steps.append(b"%b{%d%b}\r\n" % (b"~" if part.binary else b"", size, b"" if asks else b"+"))
        if asks:
            steps.append(Gate.PLUS)
        if isinstance(part.blob, MemoryBlob):
            steps.extend(part.blob.pieces)
        else:
            steps.append(part.blob.chunks())
    steps.append(b"\r\n")
    if command.verb == b"COMPRESS":
        steps.appendleft(Gate.ALONE)
        steps.append(Gate.ANSWERED)
    return steps
