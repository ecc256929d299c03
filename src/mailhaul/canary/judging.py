"""From what hosts said and mailboxes showed to findings and fates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.canary.codes import MEANINGS, Code
from mailhaul.canary.probe import Asked, Probes
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Via
from mailhaul.canary.send import Sent
from mailhaul.canary.smtp import Reached
from mailhaul.canary.watch import Found, Removal, Side
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.folder import Role, shown
from mailhaul.core.text import plural, printable

LATE = 300.0
"""Seconds from when the host took a canary to when it is seen; more is late."""


class Fate(StrEnum):
    """What has become of a canary."""

    ARRIVED = "arrived"
    """In the new mailbox, and only there."""
    AT_OLD = "in the old mailbox"
    AT_BOTH = "in both mailboxes"
    MISSING = "in neither mailbox"
    UNDERWAY = "on its way"
    REFUSED = "refused"
    UNSENT = "not sent"
    """Not for a reason that lies in the address: the same canary may be sent later."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A canary's fate. `seconds` lie between the host's yes and the moment when it was seen: a look
    apart from the truth at most; None: it wasn't seen, or may have been taken earlier than told."""

    sent: Sent
    fate: Fate
    seconds: float | None
    findings: tuple[Finding, ...]


_ABOUT_THE_HOST = {
    Verdict.NO_RELAY: Code.DOMAIN_NOT_TAKEN,
    Verdict.UNREACHABLE: Code.HOST_UNREACHABLE,
    Verdict.SILENT: Code.HOST_SILENT,
    Verdict.GARBLED: Code.HOST_GARBLED,
    Verdict.FORBIDDEN: Code.HOST_FORBIDDEN,
    Verdict.INSECURE: Code.HOST_INSECURE,
    Verdict.BARRED: Code.HOST_BARS_US,
    Verdict.UNFIT: Code.ADDRESS_UNFIT,
    Verdict.TEMPORARY: Code.NOT_NOW,
}
_FOR_GOOD = frozenset({Verdict.REFUSED, Verdict.NO_RELAY})


def judge_probes(probes: Probes) -> tuple[Finding, ...]:
    """Findings about one way before the switch, the addresses of one verdict and words together."""
    return tuple(_of_probes(probes))


def judge_canary(
    sent: Sent, found: Sequence[Found], *, over: bool, switched: bool = True
) -> Judged:
    """What became of it, as far as is known. `found` are all sightings of canaries, on both sides;
    `over`: it is waited for no longer. Before the mail is `switched` the old mailbox is where it
    should come out."""
    own = _copies([each for each in found if each.token == sent.canary.token])
    sides = {each.side for each in own}
    if sent.at is None and not own:
        fate = Fate.REFUSED if _is_final(sent.verdict) else Fate.UNSENT
    elif sides == {Side.OLD, Side.NEW}:
        fate = Fate.AT_BOTH
    elif sides:
        fate = Fate.ARRIVED if Side.NEW in sides else Fate.AT_OLD
    else:
        fate = Fate.MISSING if over else Fate.UNDERWAY
    seconds = None
    if own and sent.at is not None and sent.verdict is Verdict.ACCEPTED:
        seconds = max(0.0, min(each.seen for each in own) - sent.at)
    findings = [
        *_of_reached(sent.reached, sent.canary.via),
        *_of_fate(sent, fate, own, seconds, switched),
    ]
    return Judged(sent, fate, seconds, tuple(findings))


def judge_removal(removal: Removal, at_old: Sequence[Found]) -> tuple[Finding, ...]:
    """What stays behind: `at_old` lies on the side from which nothing is removed."""
    left = [*removal.left, *at_old]
    if not left:
        return ()
    places = ", ".join(dict.fromkeys(f"{each.side} {shown(each.path)}" for each in left))
    troubles = "".join(f"; {each}" for each in removal.troubles)
    return (_finding(Code.CANARY_LEFT, f"{plural(len(left), 'message')} in {places}{troubles}"),)


def _of_probes(probes: Probes) -> Iterator[Finding]:
    yield from _of_reached(probes.reached, probes.via)
    alike: dict[tuple[Verdict, str], list[Asked]] = {}
    for each in probes.answers:
        words = "" if each.verdict is Verdict.ACCEPTED else _anonymous(each)
        alike.setdefault((each.verdict, words), []).append(each)
    for (verdict, words), answers in alike.items():
        who = _listed([each.recipient for each in answers])
        evidence = f"{who}: {words}" if words else who
        if probes.reached is not None:
            evidence = f"{probes.reached}: {evidence}"
        if verdict is Verdict.ACCEPTED:
            if probes.takes_anyone is False:
                yield _finding(Code.RECIPIENTS_KNOWN, evidence)
            else:
                evidence += "" if probes.takes_anyone else "; whether it refuses anyone is unknown"
                yield _finding(Code.TAKES_ANYONE, evidence)
        elif probes.via is Via.OLD and verdict in _FOR_GOOD:
            yield _finding(Code.OLD_HOST_REFUSES, evidence)
        else:
            code = _ABOUT_THE_HOST.get(verdict, Code.RECIPIENT_REFUSED)
            yield _finding(code, evidence, probes.via)


def _of_reached(reached: Reached | None, via: Via) -> Iterator[Finding]:
    # Of the old host's nobody will want to know any more.
    if reached is not None and reached.distrust and via is not Via.OLD:
        code = Code.TLS_DISTRUSTED if reached.encrypted else Code.NO_TLS
        if not reached.encrypted and reached.distrust.startswith("TLS"):
            code = Code.TLS_DISTRUSTED
        yield _finding(code, f"{reached}: {reached.distrust}")


def _of_fate(
    sent: Sent, fate: Fate, own: Sequence[Found], seconds: float | None, switched: bool
) -> Iterator[Finding]:
    via, who = sent.canary.via, sent.canary.recipient
    by = f"{who} by {sent.reached}" if sent.reached else f"{who} by {via.words}"
    trail = "; ".join(map(_sighting, own))
    if fate is Fate.REFUSED or fate is Fate.UNSENT:
        yield _finding(_unsent(sent), f"{by}: {sent.words}", via)
    elif fate is Fate.MISSING:
        code = Code.OLD_HOST_SWALLOWS if via is Via.OLD and switched else Code.CANARY_MISSING
        yield _finding(code, f"{by}: {sent.words}; its token is {sent.canary.token}", via)
    elif fate is Fate.AT_OLD or fate is Fate.AT_BOTH:
        code = Code.OLD_HOST_DELIVERS if via is Via.OLD else Code.CANARY_AT_OLD
        if via is Via.OLD and not switched:
            code = Code.OLD_HOST_WORKS
        yield _finding(code, f"{by}: {trail}")
    elif fate is Fate.ARRIVED:
        code = Code.OLD_HOST_FORWARDS if via is Via.OLD else Code.CANARY_ARRIVED
        after = "" if seconds is None else f" after {seconds:.0f} s"
        yield _finding(code, f"{by}{after}: {trail}")
    if seconds is not None and seconds > LATE:
        yield _finding(Code.CANARY_LATE, f"{by}: {seconds:.0f} s")
    if any(each.role is Role.JUNK for each in own if each.side is Side.NEW):
        yield _finding(Code.CANARY_IN_JUNK, f"{by}: {trail}")
    if max((sum(other.side is each.side for other in own) for each in own), default=0) > 1:
        yield _finding(Code.CANARY_DOUBLED, f"{by}: {trail}")


def _unsent(sent: Sent) -> Code:
    if sent.canary.via is Via.OLD:
        if sent.verdict in _FOR_GOOD:
            return Code.OLD_HOST_CLOSED
        if sent.verdict is Verdict.UNREACHABLE:
            return Code.OLD_HOST_GONE
    return _ABOUT_THE_HOST.get(sent.verdict, Code.CANARY_REFUSED)


def _is_final(verdict: Verdict) -> bool:
    return verdict in _FOR_GOOD or verdict is Verdict.UNFIT


def _copies(found: Sequence[Found]) -> list[Found]:
    """Each place once; a view of other folders counts only where it is the only place."""
    once = list({(each.side, each.path, each.key): each for each in found}.values())
    real = [each for each in once if not each.is_view]
    seen = {each.side for each in real}
    return real + [each for each in once if each.is_view and each.side not in seen]


def _sighting(found: Found) -> str:
    hops = f", by way of {', '.join(reversed(found.hops))}" if found.hops else ""
    return f"in the {found.side} {shown(found.path)}{hops}"


def _anonymous(asked: Asked) -> str:
    """The host's words without the address, so that equal answers are told once."""
    return asked.words.replace(asked.recipient, "…")


def _listed(recipients: Sequence[str], limit: int = 5) -> str:
    shown_ = ", ".join(printable(each, 120) for each in recipients[:limit])
    more = len(recipients) - limit
    return f"{shown_} and {plural(more, 'other', 'others')}" if more > 0 else shown_


def _finding(code: Code, evidence: str, via: Via | None = None) -> Finding:
    meaning = MEANINGS[code]
    severity = meaning.severity
    if via is Via.OLD and severity is Severity.BLOCKS:
        severity = Severity.WARNS  # the move doesn't stand on what the old host does
    return Finding(code.value, severity, evidence, meaning.remedy)
