"""Mail hosts for journeys without a network: who knows whom, and where a message comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailhaul.canary.mark import Canary, marked_message
from mailhaul.canary.probe import Asked, Probes
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Via
from mailhaul.canary.send import Sent
from mailhaul.canary.smtp import Reached
from mailhaul.core.folder import INBOX_PATH
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.stores.memory_mailbox import MemoryMailbox

WORDS = {
    Verdict.ACCEPTED: "250 2.1.5 fine",
    Verdict.REFUSED: "550 5.1.1 user unknown",
    Verdict.TEMPORARY: "450 4.2.0 greylisted",
}


@dataclass
class PlayedPost:
    """`verdicts`: what is said of an address by a way, one after the other, the last one for good;
    accepted where there are none. `into`: where a message by a way comes out at once, by person."""

    now: Callable[[], float]
    verdicts: dict[tuple[Via, str], list[Verdict]] = field(default_factory=dict)
    into: dict[Via, dict[str, MemoryMailbox]] = field(default_factory=dict)
    asked: list[tuple[float, Via, tuple[str, ...]]] = field(default_factory=list)
    sent: list[tuple[float, Via, str]] = field(default_factory=list)
    """Every message that a host took: when, by which way, its token."""
    wrong: Callable[[str], None] = field(default=lambda moment: None)
    """Called with `before asking`, `before sending`, `after sending`; may raise."""

    async def ask(
        self, plan: PlanRow, zone: DomainRow, via: Via, recipients: Sequence[str], token: str
    ) -> Probes:
        self.wrong("before asking")
        self.asked.append((self.now(), via, tuple(recipients)))
        answers = []
        for each in recipients:
            verdict = self._verdict(via, each)
            answers.append(Asked(each, verdict, WORDS[verdict]))
        return Probes(via, zone.name, tuple(answers), False, self._reached(via))

    async def send(self, plan: PlanRow, zone: DomainRow, canary: Canary) -> Sent:
        self.wrong("before sending")
        verdict = self._verdict(canary.via, canary.recipient)
        if verdict is not Verdict.ACCEPTED:
            return Sent(canary, verdict, WORDS[verdict], None, self._reached(canary.via))
        self.sent.append((self.now(), canary.via, canary.token))
        mailbox = self.into.get(canary.via, {}).get(canary.recipient.partition("@")[0])
        if mailbox is not None:
            message = marked_message(canary, "", "probe.example.net")
            mailbox.deliver(message, INBOX_PATH, received=datetime.now(UTC))
        self.wrong("after sending")
        return Sent(canary, verdict, WORDS[verdict], self.now(), self._reached(canary.via))

    def _verdict(self, via: Via, address: str) -> Verdict:
        said = self.verdicts.get((via, address), [Verdict.ACCEPTED])
        return said.pop(0) if len(said) > 1 else said[0]

    def _reached(self, via: Via) -> Reached:
        return Reached(f"{via}.example", "192.0.2.9", encrypted=True)
