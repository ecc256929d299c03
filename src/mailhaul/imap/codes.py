"""What a refusal means: a server's NO, BAD or BYE to one of a few verdicts on what to do next.

The tables of what servers say are in `refusals` (failure-modes B1 to B17, A5 to A7, A14, F4, F9,
F11). What stands in none gets the verdict of its command.
"""

import re
from dataclasses import dataclass
from functools import cache

from mailhaul.core.errors import (
    Closed,
    ClosedReason,
    FolderFailed,
    MailhaulError,
    RetryLater,
    TooManyConnections,
)
from mailhaul.core.text import printable
from mailhaul.imap.refusals import (
    CODES,
    DEFAULTS,
    DEFINITE,
    HUNG_UP,
    KINDS,
    LONGEST_PAUSE,
    NOTHING_SPECIAL,
    UNKNOWN_CODE,
    WORDS_AFTER,
    WORDS_BEFORE,
    Rule,
    Verdict,
)
from mailhaul.imap.responses import Status

__all__ = ["Judgement", "Verdict", "as_error", "judge"]

_BACKOFF = re.compile(rb"suggested backoff time:\s*(\d{1,12})\s*milliseconds", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict. `reason` is printable: the fact, the server's words, the cure where there is one.
    `after` is seconds; `throttled` says that the server asked for the pause."""

    verdict: Verdict
    reason: str
    after: float = 0.0
    throttled: bool = False


def judge(verb: bytes, status: Status, batch: int = 1) -> Judgement:
    """What `status` (NO, BAD or BYE) to the command `verb` (`b"APPEND"`, `b"UID FETCH"`) means;
    `verb` is empty for a BYE that answers nothing, such as a greeting. `batch` is how many
    messages the command was about.

    Commands that mailhaul can do without (ID, NAMESPACE, ENABLE, COMPRESS, GETQUOTAROOT,
    UNSELECT, SUBSCRIBE) aren't judged: their refusal is passed over.
    """
    kind = KINDS.get(verb, "other")
    rule = _rule(kind, status)
    if status.kind == b"BYE" and rule.verdict is Verdict.REFUSE_MESSAGE:
        rule = HUNG_UP
    verdict = rule.verdict
    if batch > 1 and (verdict is Verdict.REFUSE_MESSAGE or rule is UNKNOWN_CODE):
        verdict = Verdict.HALVE
    return Judgement(verdict, _reason(rule, status), _pause(rule, status), rule.throttled)


def as_error(judgement: Judgement) -> MailhaulError:
    """The error that carries the verdict to whoever acts on it. A message that is refused where no
    single message is concerned fails its folder."""
    reason = judgement.reason
    match judgement.verdict:
        case Verdict.RETRY_NOW | Verdict.RETRY_LATER:
            return RetryLater(reason, after=judgement.after, throttled=judgement.throttled)
        case Verdict.TOO_MANY_CONNECTIONS:
            return TooManyConnections(reason, after=judgement.after, throttled=True)
        case Verdict.CLOSE_FULL:
            return Closed(reason, ClosedReason.FULL)
        case Verdict.CLOSE_CREDENTIALS:
            return Closed(reason, ClosedReason.CREDENTIALS)
        case Verdict.CLOSE_FORBIDDEN:
            return Closed(reason, ClosedReason.FORBIDDEN)
        case Verdict.REFUSE_MESSAGE | Verdict.HALVE | Verdict.STOP_FOLDER:
            return FolderFailed(reason)


def _rule(kind: str, status: Status) -> Rule:
    code = status.code.upper()
    by_code = next((rule for rule in CODES.get(code, ()) if rule.fits(kind, status)), None)
    if by_code is not None and code in DEFINITE:
        return by_code
    return (
        _by_words(WORDS_BEFORE, kind, status)
        or by_code
        or _by_words(WORDS_AFTER, kind, status)
        or _by_kind(kind, status, code)
    )


def _by_words(words: tuple[tuple[str, Rule], ...], kind: str, status: Status) -> Rule | None:
    # The beginning says it; a hostile text of 64 kB would only keep the patterns busy.
    said = (b"%b %b %b" % (status.code, status.arguments, status.text))[:1000]
    for pattern, rule in words:
        if rule.fits(kind, status) and _compiled(pattern).search(said):
            return rule
    return None


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    # Only once something is refused: compiling them all would cost start-up some milliseconds.
    return re.compile(pattern.encode(), re.IGNORECASE)


def _by_kind(kind: str, status: Status, code: bytes) -> Rule:
    if status.kind == b"BYE":
        return HUNG_UP
    if code in NOTHING_SPECIAL or kind == "login":
        return DEFAULTS[kind]
    return UNKNOWN_CODE


def _pause(rule: Rule, status: Status) -> float:
    asked = _BACKOFF.search(status.text)
    if asked is None:
        return rule.after
    return min(max(int(asked[1]) / 1000, 1.0), LONGEST_PAUSE)


def _reason(rule: Rule, status: Status) -> str:
    words = [status.kind]
    if status.code:
        words.append(b"[%b]" % b" ".join(word for word in (status.code, status.arguments) if word))
    if status.said:
        words.append(status.said)
    said = printable(b" ".join(words), 300)
    return f"{rule.fact}: “{said}”" + (f"; {rule.cure}" if rule.cure else "")
