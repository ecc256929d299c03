"""RCPT probes: does a mail host take mail for these people? Nothing is sent.

Each connection names a few recipients, takes them back (RSET) and says goodbye. The first one named
is a stranger: a host that accepts that accepts everything, and its yes proves nothing.
"""

import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mailhaul.canary.pace import Pace
from mailhaul.canary.replies import Verdict, standing_of, verdict_of
from mailhaul.canary.routes import Allowance, Route, Via
from mailhaul.canary.smtp import Conversation, Reached, Unheard, conversation
from mailhaul.canary.terms import Terms, domain_of, may_be_sent_to, stranger
from mailhaul.core.errors import BadInput

UNFIT = "the host does not know SMTPUTF8 (RFC 6531)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a host said of one recipient. `words` are its own, or say why there are none."""

    recipient: str
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Probes:
    """What came of asking one way about recipients of one domain; `answers` in their order.

    `takes_anyone`: whether the host also accepted an address that nobody has; None: that could not
    be found out. `reached` is the host that was talked to last.
    """

    via: Via
    domain: str
    answers: tuple[Asked, ...]
    takes_anyone: bool | None = None
    reached: Reached | None = None


async def ask(
    route: Route,
    recipients: Sequence[str],
    terms: Terms,
    pace: Pace,
    allowance: Allowance,
    trust: ssl.SSLContext,
    token: str,
) -> Probes:
    """Asks once about each recipient, all of them of the route's domain; `token` makes the stranger
    one (`mark.new_canary` shows how). Raises `BadInput` for an address to which the plan has not
    agreed, and nothing that a host could cause. What is `TEMPORARY` may be asked again, minutes
    later: greylisting hosts want to be."""
    for each in recipients:
        if not may_be_sent_to(terms, each) or domain_of(each) != route.domain:
            raise BadInput(f"{each} is none of the plan's addresses at {route.domain}")
    nobody = stranger(route.domain, token)
    asking = _Round(terms, pace, [nobody, *dict.fromkeys(recipients)])
    while asking.waiting:
        asking.begin()
        try:
            async with conversation(route, terms, allowance, trust) as talk:
                await asking.batch(talk)
        except Unheard as failure:
            asking.failed(failure)
    nobodys = asking.answers[nobody].verdict
    known = {Verdict.ACCEPTED: True, Verdict.REFUSED: False, Verdict.NO_RELAY: False}
    return Probes(
        route.via,
        route.domain,
        tuple(asking.answers[each] for each in recipients),
        known.get(nobodys),
        asking.reached,
    )


class _Round:
    """Who is still to be asked about, and what was said of the others."""

    def __init__(self, terms: Terms, pace: Pace, recipients: list[str]) -> None:
        self.waiting = recipients
        self.answers: dict[str, Asked] = {}
        self.reached: Reached | None = None
        self._terms = terms
        self._pace = pace
        self._before = 0
        """Answers there were when this connection was begun."""

    def begin(self) -> None:
        """A new connection is made."""
        self._before = len(self.answers)

    async def batch(self, talk: Conversation) -> None:
        """As many as one connection is asked."""
        self.reached = talk.reached
        utf8 = talk.takes_utf8 and not all(map(str.isascii, self.waiting))
        reply = await talk.sender(utf8=utf8)
        if reply.code // 100 != 2:
            self._rest(standing_of(reply), str(reply))
            return
        for recipient in self.waiting[: self._terms.per_connection]:
            if not (recipient.isascii() or talk.takes_utf8):
                self._one(recipient, Verdict.UNFIT, UNFIT)
                continue
            await self._pace.turn()
            reply = await talk.recipient(recipient)
            self._one(recipient, verdict_of(reply), str(reply))
            if talk.over:
                # Who says goodbye at the first question wants no second connection.
                if len(self.answers) == self._before + 1:
                    self._rest(Verdict.TEMPORARY, str(reply))
                return
        with suppress(Unheard):
            await talk.forget()

    def failed(self, failure: Unheard) -> None:
        """A connection that led to nothing stands for all that would follow; else only who was
        being asked about has lost their answer."""
        self.reached = self.reached or failure.reached
        if len(self.answers) > self._before and self.waiting:
            self._one(self.waiting[0], failure.verdict, str(failure))
        else:
            self._rest(failure.verdict, str(failure))

    def _one(self, recipient: str, verdict: Verdict, words: str) -> None:
        self.answers[recipient] = Asked(recipient, verdict, words)
        self.waiting.remove(recipient)

    def _rest(self, verdict: Verdict, words: str) -> None:
        for recipient in self.waiting:
            self.answers[recipient] = Asked(recipient, verdict, words)
        self.waiting = []
