"""The runbook of a wave: every step of its cutover in order, as data. Whose it is, how it stands,
by when, what proves it, and how it is undone.

Most steps are proven by rows that passes and looks have written; a few nobody can see, and a person
says that they are done (`domain_orders.say_done`). A table, and a function for each row of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, select

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Severity
from mailhaul.core.text import plural
from mailhaul.db import tables
from mailhaul.dns.names import shown
from mailhaul.journey.canary_account import canary_counts
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domains
from mailhaul.journey.gates import Opened, opened
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.questions import Gate, wave_words
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import ENDED, State
from mailhaul.journey.switching import moment, still_old_of, switched_with
from mailhaul.plan.model import Plan, WriterKind

MARGIN = 3600.0
"""Seconds between the last cache's letting go and the cutover: people are late, and servers too."""


class Owner(StrEnum):
    """Who does it."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    BOTH = "both"


class Progress(StrEnum):
    """How a step stands."""

    DONE = "done"
    NOW = "now"
    LATER = "later"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `due` is the moment by which it is to be done, where there is one; `evidence` what
    was seen, for a person; `undo` how it is taken back, or empty. `by_word`: a person says so."""

    key: str
    words: str
    owner: Owner
    state: Progress
    due: float | None = None
    evidence: str = ""
    undo: str = ""
    by_word: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps are judged by."""

    plan: Plan
    at: float
    cutover: float | None
    mailboxes: tuple[MailboxRow, ...]
    zones: tuple[DomainRow, ...]
    """Domains that are switched with this wave, or would be now."""
    old: dict[str, str]
    """Why mail may still come through the old system, by domain."""
    blocking: tuple[str, ...]
    said: dict[str, tuple[str, float]]
    """Steps that a person has said to be done: who, and when."""
    went: Opened | None
    signed: Opened | None
    canaries: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By kind: how many were good, of how many."""

    def reached(self, *states: State) -> int:
        """How many mailboxes are in one of those states, or were before a pause or a failure."""
        return sum((row.resume_state or row.state) in states for row in self.mailboxes)

    @property
    def by_hand(self) -> bool:
        return self.plan.dns is None or self.plan.dns.writer.kind is WriterKind.MANUAL


@dataclass(frozen=True, slots=True)
class _Seen:
    done: bool
    evidence: str = ""
    due: float | None = None
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    words: str
    owner: Owner
    look: Callable[[Facts], _Seen] | None
    """None: nobody can see it, and a person says so."""
    undo: str = ""
    after: tuple[str, ...] = ()
    when: Callable[[Plan], bool] = lambda plan: plan.dns is not None


def runbook(connection: Connection, plan: PlanRow, wave: str, at: float) -> list[Step]:
    """The steps of that wave's cutover. Raises `BadInput` for a wave without mailboxes."""
    facts = _facts(connection, plan, wave, at)
    rows = [row for row in _ROWS if row.when(plan.plan)]
    done: set[str] = set()
    steps = []
    for row in rows:
        word = facts.said.get(row.key)
        if row.look is not None:
            seen = row.look(facts)
        elif word is not None:
            seen = _Seen(True, f"{word[0]} said so at {moment(plan.plan, word[1])}")
        else:
            # What is tidied up afterwards has time.
            seen = _Seen(False, "", None if "sweeps" in row.after else facts.cutover)
        if seen.done:
            done.add(row.key)
            state = Progress.DONE
        elif seen.trouble:
            state = Progress.TROUBLE
        else:
            here = {each.key for each in rows}
            ready = all(each in done for each in row.after if each in here)
            state = Progress.NOW if ready else Progress.LATER
        owner = _owner(row, facts)
        steps.append(
            Step(
                row.key, row.words, owner, state, seen.due, seen.evidence, row.undo,
                row.look is None,
            )
        )  # fmt: skip
    return steps


def check_step(plan: Plan, key: str) -> None:
    """Raises `BadInput` unless a person may say that this step is done."""
    known = [row.key for row in _ROWS if row.look is None and row.when(plan)]
    if key not in known:
        raise BadInput(
            f"“{key}” is no step that a person says is done; there are {', '.join(known)}"
        )


def _facts(connection: Connection, plan: PlanRow, wave: str, at: float) -> Facts:
    table = tables.mailbox
    rows = tuple(
        from_row(row)
        for row in connection.execute(
            select(table)
            .where(table.c.plan_id == plan.id, table.c.wave == wave)
            .order_by(table.c.position, table.c.id)
        )
    )
    here = tuple(row for row in rows if row.state not in ENDED or row.state is State.COMPLETED)
    if not rows:
        raise BadInput(f"plan {plan.name} has no mailbox in {wave_words(wave)}")
    gates = opened(connection, plan.id)
    would = switched_with(connection, plan, {row.id for row in here}, ())
    zones = tuple(
        each
        for each in domains(connection, plan.id)
        if (each.wave == wave and each.state is not DomainState.WATCHED) or each in would
    )
    cutover = plan.plan.cutover_of(wave)
    steps = tables.step
    said = {
        row.key: (row.done_by, row.done_at)
        for row in connection.execute(
            select(steps).where(steps.c.plan_id == plan.id, steps.c.wave == wave)
        )
    }
    return Facts(
        plan=plan.plan,
        at=at,
        cutover=None if cutover is None else cutover.timestamp(),
        mailboxes=here,
        zones=zones,
        old={each.name: still_old_of(connection, each, at, plan.plan) for each in zones},
        blocking=_blocking(connection, zones),
        said=said,
        went=next((g for g in gates if g.gate is Gate.GO and g.wave == wave), None),
        signed=next((g for g in gates if g.gate is Gate.SIGN_OFF), None),
        canaries=canary_counts(connection, plan, {row.id for row in here}),
    )


def _blocking(connection: Connection, zones: Iterable[DomainRow]) -> tuple[str, ...]:
    table = tables.domain_finding
    rows = connection.execute(
        select(table.c.evidence)
        .where(
            table.c.domain_id.in_([each.id for each in zones]),
            table.c.severity == Severity.BLOCKS.value,
        )
        .order_by(table.c.id)
    )
    return tuple(rows.scalars())


# one function a step


def _records(facts: Facts) -> _Seen:
    if not facts.zones:
        return _Seen(True, "no domain is switched with this wave")
    unseen = [each for each in facts.zones if each.looked_at is None]
    if unseen:
        return _Seen(False, f"nobody has looked at {_names(unseen)} yet", facts.cutover)
    if facts.blocking:
        return _Seen(False, "; ".join(facts.blocking[:5]), facts.cutover, trouble=True)
    return _Seen(True, f"nothing is lacking at {_names(facts.zones)}")


def _ttl(facts: Facts) -> _Seen:
    held = [each for each in facts.zones if each.state is DomainState.WATCHED]
    high = [each for each in held if each.ttl is not None and each.lowered_at is None]
    if high:
        longest = max(each.ttl or 0 for each in high)
        due = None if facts.cutover is None else facts.cutover - longest - MARGIN
        said = ", ".join(f"{shown(each.name)} {each.ttl} s" for each in high)
        return _Seen(False, f"as it is: {said}", due, trouble=due is not None and due < facts.at)
    waiting = [each for each in held if (each.cached_until or 0.0) > facts.at]
    if waiting:
        until = max(each.cached_until or 0.0 for each in waiting)
        said = f"lowered; caches may hold what was until {moment(facts.plan, until)}"
        return _Seen(False, said, facts.cutover)
    unseen = [each for each in held if each.looked_at is None]
    if unseen:
        return _Seen(False, f"nobody has looked at {_names(unseen)} yet", facts.cutover)
    return _Seen(True, "lowered, and caches have let go" if held else "")


def _synced(facts: Facts) -> _Seen:
    count = facts.reached(State.SYNCED, *_SWITCHED)
    of = len(facts.mailboxes)
    return _Seen(count == of, f"{count} of {plural(of, 'mailbox', 'mailboxes')}", facts.cutover)


def _probed(facts: Facts) -> _Seen:
    return _counted(facts, "probe", facts.cutover)


def _go(facts: Facts) -> _Seen:
    if facts.went is None:
        return _Seen(False, "", facts.cutover)
    return _Seen(True, f"{facts.went.by} at {moment(facts.plan, facts.went.at)}")


def _switched(facts: Facts) -> _Seen:
    if facts.went is not None and not facts.zones:
        return _Seen(True, "no domain is switched with this wave")
    failed = [each for each in facts.zones if each.state is DomainState.FAILED]
    if failed:
        said = "; ".join(f"{shown(each.name)}: {each.reason}" for each in failed)
        return _Seen(False, said, facts.cutover, trouble=True)
    early = [
        each
        for each in facts.zones
        if each.state is DomainState.WATCHED and each.mx in ("new", "mixed")
    ]
    if early:
        said = "; ".join(f"{shown(each.name)}: {each.reason}" for each in early)
        return _Seen(False, said, facts.cutover, trouble=True)
    switched = [each for each in facts.zones if each.state is DomainState.SWITCHED]
    waits = [each.reason for each in facts.zones if each.state is DomainState.SWITCHING]
    said = "; ".join(filter(None, waits)) or f"{len(switched)} of {len(facts.zones)}"
    return _Seen(bool(facts.zones) and len(switched) == len(facts.zones), said, facts.cutover)


def _final(facts: Facts) -> _Seen:
    count = facts.reached(*_SWEPT)
    return _Seen(count == len(facts.mailboxes), f"{count} of {len(facts.mailboxes)}")


def _spread(facts: Facts) -> _Seen:
    old = [each for each in facts.old.values() if each]
    due = max((each.released_at or 0.0 for each in facts.zones), default=0.0)
    return _Seen(not old, "; ".join(old) or "every server asked says new", due or None)


def _arrived(facts: Facts) -> _Seen:
    return _counted(facts, "message", None)


def _sweeps(facts: Facts) -> _Seen:
    swept = [row for row in facts.mailboxes if row.state is State.SWEEPING]
    count = facts.reached(*_QUIET)
    reasons = list(dict.fromkeys(row.reason for row in swept if row.reason))
    said = f"{count} of {len(facts.mailboxes)}"
    return _Seen(count == len(facts.mailboxes), "; ".join([said, *reasons[:3]]))


def _verified(facts: Facts) -> _Seen:
    count = facts.reached(State.VERIFIED, State.COMPLETED)
    grades = {row.grade for row in facts.mailboxes if row.grade}
    said = f"{count} of {len(facts.mailboxes)}" + (
        f": {', '.join(sorted(grades))}" if grades else ""
    )
    return _Seen(count == len(facts.mailboxes), said)


def _signed(facts: Facts) -> _Seen:
    count = facts.reached(State.COMPLETED)
    said = "" if facts.signed is None else f"signed off by {facts.signed.by}"
    return _Seen(count == len(facts.mailboxes), said)


def _counted(facts: Facts, kind: str, due: float | None) -> _Seen:
    good, all_ = facts.canaries.get(kind, (0, 0))
    wanted = len(facts.mailboxes)
    said = f"{good} of {wanted}" + (f", {all_ - good} not" if all_ > good else "")
    return _Seen(good >= wanted, said, due, trouble=all_ > good)


def _owner(row: _Row, facts: Facts) -> Owner:
    """The zone is whoever's writes it."""
    if row.key == "switch" and not facts.by_hand:
        return Owner.PROVIDER
    return row.owner


def _names(zones: Iterable[DomainRow]) -> str:
    return ", ".join(shown(each.name) for each in zones)


def _with_mx(plan: Plan) -> bool:
    return plan.dns is not None and not plan.dns.filter


def _behind_filter(plan: Plan) -> bool:
    return plan.dns is not None and bool(plan.dns.filter)


def _with_canaries(plan: Plan) -> bool:
    return plan.canary is not None and plan.canary.on


def _always(plan: Plan) -> bool:
    return True


_QUIET = (State.VERIFYING, State.VERIFIED, State.COMPLETED)
_SWEPT = (State.SWEEPING, *_QUIET)
_SWITCHED = (State.FINAL, *_SWEPT)
_BACK = "mailhaul return"

_ROWS = (
    _Row("records", "the new system's records stand ahead of the switch: ownership, SPF, DKIM",
         Owner.BOTH, _records, "take them out again"),
    _Row("ttl", "the TTL of the records to change is lowered, and the old one has run out",
         Owner.CUSTOMER, _ttl, "raise it again", when=_with_mx),
    _Row("people", "people know the hour, and what they have to do", Owner.CUSTOMER, None),
    _Row("synced", "everything is copied", Owner.PROVIDER, _synced, "mailhaul cancel --undo",
         when=_always),
    _Row("probe", "the new system knows every address", Owner.PROVIDER, _probed,
         after=("records",), when=_with_canaries),
    _Row("go", "go or no-go", Owner.BOTH, _go, _BACK,
         ("records", "ttl", "people", "synced", "probe"), _always),
    _Row("forward", "the filter in front forwards to the new system", Owner.CUSTOMER, None,
         "let it forward to the old system again", ("go",), _behind_filter),
    _Row("switch", "the zone names the new system: MX, autodiscover", Owner.CUSTOMER, _switched,
         _BACK, ("go", "forward")),
    _Row("final", "what was new until the switch is carried", Owner.PROVIDER, _final, _BACK,
         ("go", "switch"), _always),
    _Row("spread", "every server asked says new, and caches have let go", Owner.PROVIDER, _spread,
         after=("switch",)),
    _Row("arrive", "marked messages arrive at the new system", Owner.PROVIDER, _arrived,
         after=("switch",), when=_with_canaries),
    _Row("clients", "people's programs and phones are set up for the new system", Owner.CUSTOMER,
         None, "set them up for the old system again", ("switch",)),
    _Row("sweeps", "nothing comes through the old system any more", Owner.PROVIDER, _sweeps, _BACK,
         ("final", "spread"), _always),
    _Row("verify", "both sides are compared, and people have looked", Owner.BOTH, _verified,
         after=("sweeps",), when=_always),
    _Row("tidy", "the old system's SPF terms are out and TTLs are raised again", Owner.CUSTOMER,
         None, after=("sweeps",)),
    _Row("complete", "signed off", Owner.BOTH, _signed, after=("verify", "tidy"), when=_always),
)  # fmt: skip
"""Seed order: what is ready before, the night itself, what follows it, and the end."""
