"""Sending one marked message."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from mailhaul.canary.mark import Canary, marked_message
from mailhaul.canary.pace import Pace
from mailhaul.canary.probe import UNFIT
from mailhaul.canary.replies import Reply, Verdict, standing_of, verdict_of
from mailhaul.canary.routes import Allowance, Route, Via
from mailhaul.canary.smtp import Conversation, Reached, Unheard, conversation
from mailhaul.canary.terms import Terms, domain_of, may_be_sent_to
from mailhaul.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending a canary. `at` is when the host took it, or may have, in seconds since
    1970; None: it did not. `words` are the host's, or say why there are none."""

    canary: Canary
    verdict: Verdict
    words: str
    at: float | None = None
    reached: Reached | None = None

    @property
    def on_its_way(self) -> bool:
        """Whether it is to be looked for."""
        return self.at is not None


def lost_track(canary: Canary) -> Sent:
    """For a canary that was kept before it was sent, by a process that ended before it could keep
    what came of it: it may be on its way."""
    words = "whoever sent it ended before the answer was kept"
    return Sent(canary, Verdict.UNCERTAIN, words, canary.made)


async def send(
    canary: Canary,
    route: Route,
    terms: Terms,
    pace: Pace,
    allowance: Allowance,
    trust: ssl.SSLContext,
    clock: Callable[[], float] = time.time,
) -> Sent:
    """Sends it once. Raises `BadInput` for a recipient to which the plan has not agreed and for a
    way by which nothing is sent, and nothing that a host could cause. What is `TEMPORARY` may be
    sent again, later, the same; what is `UNCERTAIN` may not: that would be two."""
    if not may_be_sent_to(terms, canary.recipient) or domain_of(canary.recipient) != route.domain:
        raise BadInput(f"{canary.recipient} is none of the plan's addresses at {route.domain}")
    if route.via is Via.NEW or route.via is not canary.via:
        raise BadInput(f"nothing is sent by {route.via.words}; it is only asked whom it knows")
    await pace.turn()
    reached: Reached | None = None
    handed_over: float | None = None
    try:
        async with conversation(route, terms, allowance, trust) as talk:
            reached = talk.reached
            refusal = await _announced(talk, canary)
            if refusal is not None:
                return Sent(canary, *refusal, reached=reached)
            handed_over = clock()
            reply = await talk.message(marked_message(canary, terms.sender, talk.speaker))
            verdict = verdict_of(reply)
            taken = clock() if verdict is Verdict.ACCEPTED else None
            return Sent(canary, verdict, str(reply), taken, reached)
    except Unheard as failure:
        verdict = failure.verdict if handed_over is None else Verdict.UNCERTAIN
        return Sent(canary, verdict, str(failure), handed_over, reached or failure.reached)


async def _announced(talk: Conversation, canary: Canary) -> tuple[Verdict, str] | None:
    """Who sends and to whom; what was said when it came to nothing."""
    if not (canary.recipient.isascii() or talk.takes_utf8):
        return Verdict.UNFIT, UNFIT
    reply: Reply = await talk.sender(utf8=not canary.recipient.isascii())
    if reply.code // 100 != 2:
        return standing_of(reply), str(reply)
    reply = await talk.recipient(canary.recipient)
    verdict = verdict_of(reply)
    return None if verdict is Verdict.ACCEPTED else (verdict, str(reply))
