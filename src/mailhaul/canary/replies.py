"""What a mail host's answer means for us: about the recipient, the domain, ourselves, or not yet.

A host says no in one code (550) for reasons that have nothing in common; the enhanced code of RFC
3463 tells them apart where it is given and meant, and the words where it isn't.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What came of one recipient, or of one host."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """This recipient, for good."""
    NO_RELAY = "not its domain"
    """The host doesn't take mail for the domain at all."""
    BARRED = "not from us"
    """It refuses us, or what it takes us for; about the recipient that says nothing."""
    TEMPORARY = "not now"
    """Greylisting, too many at once, trouble of its own: the same may work later."""
    UNCERTAIN = "perhaps taken"
    """The connection broke between the message and its answer."""
    INSECURE = "no TLS as required"
    GARBLED = "the answer makes no sense"
    SILENT = "no answer in time"
    UNREACHABLE = "can't be reached"
    FORBIDDEN = "not asked: its address is not a public one"
    UNFIT = "can't take such an address"
    """The address isn't ASCII, and the host doesn't know SMTPUTF8 (RFC 6531)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: its code and its words, printable."""

    code: int
    words: str

    def __str__(self) -> str:
        return f"{self.code} {self.words}".strip()


_ENHANCED = re.compile(r"\s*#?([245])\.(\d{1,3})\.(\d{1,3})\b")
_UNKNOWN = re.compile(
    r"user unknown|unknown (user|recipient|mailbox|address)|unknown in |no such|not exist"
    r"|(mailbox|user|recipient|address) not found|invalid (recipient|mailbox)|no mailbox",
    re.IGNORECASE,
)
_RELAY = re.compile(r"relay|not (a )?local domain|TenantAttribution|rcpthosts", re.IGNORECASE)
_AGAINST_US = re.compile(
    r"block|black|listed|denylist|spam|reputation|policy|banned|client host|reverse|\bPTR\b|\brDNS"
    r"|\bSPF\b|sender|HELO|EHLO|dynamic",
    re.IGNORECASE,
)


def verdict_of(reply: Reply) -> Verdict:
    """What the answer to RCPT, or to the message itself, says of the recipient."""
    if 200 <= reply.code < 300:
        return Verdict.ACCEPTED
    if 400 <= reply.code < 500:
        return Verdict.TEMPORARY
    if not 500 <= reply.code < 600:
        return Verdict.GARBLED
    if _UNKNOWN.search(reply.words):
        return Verdict.REFUSED
    # Before 5.7.1, which is what Postfix and Exchange give for relaying, too.
    if _RELAY.search(reply.words):
        return Verdict.NO_RELAY
    enhanced = _ENHANCED.match(reply.words)
    subject = enhanced[2] if enhanced else ""
    if subject in ("1", "2", "4"):
        # 5.4.1 is what Exchange Online says of people whom it doesn't know.
        return Verdict.REFUSED
    if subject == "7" or _AGAINST_US.search(reply.words):
        return Verdict.BARRED
    return Verdict.REFUSED


def standing_of(reply: Reply) -> Verdict:
    """What the answer to the greeting, to EHLO or to MAIL says of us: nobody is named there yet."""
    verdict = verdict_of(reply)
    return Verdict.BARRED if verdict in (Verdict.REFUSED, Verdict.NO_RELAY) else verdict
