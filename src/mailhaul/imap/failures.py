"""A server's NO, BAD or BYE as the error that says what the caller does next."""

from dataclasses import replace

from mailhaul.core.errors import MailhaulError
from mailhaul.core.text import printable
from mailhaul.imap.codes import Verdict, as_error, judge
from mailhaul.imap.responses import Status


def words(status: Status) -> str:
    """What the server said, for people."""
    code = f"[{printable(status.code, 40)}] " if status.code else ""
    return f"{code}{printable(status.said, 300)}" or printable(status.kind, 10)


def failure(verb: bytes, status: Status, fact: str) -> MailhaulError:
    """The error for a refused command; `fact` begins its sentence."""
    judgement = judge(verb, status)
    return as_error(replace(judgement, reason=f"{fact}: {judgement.reason}"))


def failure_of_many(verb: bytes, status: Status, fact: str) -> MailhaulError | None:
    """The error for a refused command about several messages; None when one of them may be to
    blame, so that its halves should be tried."""
    judgement = judge(verb, status, batch=2)
    if judgement.verdict in (Verdict.HALVE, Verdict.REFUSE_MESSAGE):
        return None
    return as_error(replace(judgement, reason=f"{fact}: {judgement.reason}"))
