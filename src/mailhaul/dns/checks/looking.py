"""What every check of a domain has at hand: what is expected, and whom to ask."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.desired import Key, desired, keys, present_of
from mailhaul.dns.diagnosis import finding
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.filters import Suffixes
from mailhaul.dns.names import domain_name
from mailhaul.dns.policy import Fetch
from mailhaul.dns.record_codes import MEANINGS
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.resolver import Resolver

NOTHING_HERE = "mailhaul-no-such-name"
"""A label that nobody has: what answers for it is a wildcard (RFC 4592)."""
ORDER = tuple(Moment)

_UNTOLD = {
    Outcome.SERVFAIL: "ANSWER_FAILED",
    Outcome.REFUSED: "ANSWER_REFUSED",
    Outcome.LAME: "ANSWER_LAME",
    Outcome.TIMEOUT: "NO_ANSWER",
    Outcome.UNREACHABLE: "ANSWER_UNREACHABLE",
    Outcome.MALFORMED: "ANSWER_MALFORMED",
    Outcome.FORBIDDEN: "ANSWER_FORBIDDEN",
}


@dataclass(slots=True)
class Asked:
    """A resolver that is asked every question once, however many topics want to know."""

    resolver: Resolver
    _under_way: dict[Key, asyncio.Task[Answer]] = field(default_factory=dict)

    async def look_up(self, name: str, kind: Kind) -> Answer:
        try:
            name = domain_name(name)
        except BadInput as error:
            # Names come out of other people's records: what can't be one is answered here.
            return Answer(name, kind, Outcome.MALFORMED, said=str(error))
        task = self._under_way.get((name, kind))
        if task is None:
            task = asyncio.create_task(self.resolver.look_up(name, kind))
            self._under_way[name, kind] = task
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is still under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Look:
    """A look at one domain. `moment` is how far the move is: `NOW` before the switch, `SWITCH`
    since it, `END` once the sweeps are over. `writes` are the sets that should be written, by key;
    `wildcard` is what answers for names that nobody made, by kind."""

    expected: Expected
    moment: Moment
    resolver: Resolver
    allowed: Callable[[str], bool]
    filters: Suffixes
    fetch: Fetch | None = None
    writes: Mapping[Key, RecordSet] = field(default_factory=dict)
    wildcard: Mapping[Kind, Answer] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return self.expected.domain

    def due(self, moment: Moment) -> bool:
        """Whether what belongs to that moment should stand by now."""
        return ORDER.index(moment) <= ORDER.index(self.moment)

    def ask(self, name: str, kind: Kind) -> Awaitable[Answer]:
        return self.resolver.look_up(name, kind)

    def write(self, *wanted: Key) -> tuple[RecordSet, ...]:
        """What is to be written of these sets; of a name where something must give way, that
        first."""
        names = {name for name, kind in wanted if (name, kind) in self.writes}
        return tuple(
            records
            for (name, kind), records in self.writes.items()
            if (name, kind) in wanted or (name in names and not records.values)
        )


async def prepared(look: Look) -> Look:
    """The look with what is to be written and with the wildcards of the domain."""
    wanted = keys(look.expected)
    probes = [(f"{NOTHING_HERE}.{look.domain}", kind) for kind in (Kind.A, Kind.MX, Kind.TXT)]
    answers = await asyncio.gather(*(look.ask(*key) for key in (*wanted, *probes)))
    known, probed = answers[: len(wanted)], answers[len(wanted) :]
    return replace(
        look,
        writes=_writes(look, known),
        wildcard={
            each.kind: each for each in probed if each.outcome is Outcome.RECORDS or each.aliases
        },
    )


def _writes(look: Look, answers: list[Answer]) -> dict[Key, RecordSet]:
    """What isn't as it should be; nothing for what nobody has told."""
    untold = {answer.name for answer in answers if not answer.told}
    standing: dict[Key, RecordSet] = {**present_of(answers)}
    expected, before = look.expected, dict(standing)
    # What belongs to the end is not yet to be written by anybody.
    moments = ORDER if look.moment is Moment.END else ORDER[:2]
    for moment in moments:
        try:
            sets = desired(expected, standing, moment)
        except BadInput:
            # The SPF record can't be read, so it is not rewritten; the check of SPF says so.
            expected = replace(expected, spf=(), spf_old=(), spf_all="")
            sets = desired(expected, standing, moment)
        standing.update({each.key: each for each in sets})
    return {
        key: records
        for key, records in sorted(standing.items(), key=lambda pair: bool(pair[1].values))
        if key[0] not in untold and _differ(before.get(key), records)
    }


def _differ(before: RecordSet | None, after: RecordSet) -> bool:
    return set(before.values if before is not None else ()) != set(after.values)


def found(code: str, evidence: str, remedy: str = "") -> Finding:
    """The finding of that code of `record_codes`."""
    return finding(MEANINGS, code, evidence, remedy)


def untold(answer: Answer) -> Finding:
    """The finding that a question was not answered, and how."""
    return found(_UNTOLD[answer.outcome], evidence(answer))


def evidence(answer: Answer) -> str:
    """Which server answered what, and how long it may be remembered."""
    who = str(answer.server) if answer.server is not None else "asked"
    what = f"{printable(answer.name, 253)} {answer.kind}"
    said = listed(answer.values) if answer.outcome is Outcome.RECORDS else answer.outcome.value
    way = f", by way of {printable(', '.join(answer.aliases), 300)}" if answer.aliases else ""
    ttl = f", for {answer.ttl} s" if answer.ttl is not None else ""
    more = f" ({printable(answer.said, 200)})" if answer.said else ""
    return f"{who} for {what}: {said}{way}{ttl}{more}"


def listed(values: tuple[str, ...] | list[str], most: int = 6) -> str:
    """Values for a person."""
    shown = [printable(value, 300) for value in values[:most]]
    more = [f"and {len(values) - most} more"] if len(values) > most else []
    return ", ".join([*shown, *more]) or "nothing"


def from_wildcard(look: Look, answer: Answer) -> bool:
    """Whether the answer is what any name would have got."""
    wild = look.wildcard.get(Kind.A if answer.kind in (Kind.CNAME, Kind.AAAA) else answer.kind)
    if wild is None:
        return False
    if answer.kind is Kind.CNAME:
        return bool(wild.aliases) and answer.values == wild.aliases[:1]
    if wild.aliases or answer.aliases:
        return wild.aliases[:1] == answer.aliases[:1]
    return wild.kind is answer.kind and wild.values == answer.values


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a host's name leads to."""

    four: Answer
    six: Answer

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.four.values, *self.six.values)

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.four.aliases or self.six.aliases

    @property
    def told(self) -> bool:
        """Whether it is known that there are some, or that there are none."""
        return bool(self.values) or (self.four.told and self.six.told)

    @property
    def untold(self) -> Answer:
        return self.six if self.four.told else self.four


async def addresses(look: Look, host: str) -> Addresses:
    """The host's addresses, by A and AAAA."""
    four, six = await asyncio.gather(look.ask(host, Kind.A), look.ask(host, Kind.AAAA))
    return Addresses(four, six)


def tags(text: str) -> dict[str, str]:
    """The tags of a record like `v=DMARC1; p=none` (RFC 6376 section 3.2), names in lower case,
    white space around them gone; what is no tag is under its own text with an empty value."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip().casefold(): value.strip() for name, _, value in pairs}
