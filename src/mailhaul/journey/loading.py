"""A plan comes into the database, for the first time or changed.

A changed plan adds mailboxes, changes waves, limits, times and references. What a journey has
begun with it keeps: endpoints once something has been carried, the wave once it has gone. Mailboxes
that are no longer listed stay; a person cancels them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.journey.account_rows import MoveRow, load_moves, moves
from mailhaul.journey.domains import hold_domains, load_domains, plan_domains
from mailhaul.journey.events import Record, record
from mailhaul.journey.gates import opened
from mailhaul.journey.plans import PlanState, plan_text
from mailhaul.journey.questions import Gate
from mailhaul.journey.rows import Change, MailboxRow, from_row, move_all
from mailhaul.journey.states import ENDED, UNBEGUN, State, Trigger
from mailhaul.journey.zones import check_expectations
from mailhaul.plan.model import ListedMailbox, Plan
from mailhaul.plan.templates import endpoint_text
from mailhaul.plan.waves import resolved

_LOADING = 0x6D6C
"""Of PostgreSQL's advisory locks, those that loading holds; the second integer is the plan."""

_BEFORE_GO = frozenset(State) - {
    *ENDED,
    *(State.FINAL, State.SWEEPING, State.VERIFYING, State.VERIFIED, State.UNDOING),
    State.RETURNING,
}


@dataclass(slots=True)
class Loaded:
    """What loading did. `changed` and `kept` are sentences: what is new, and what stays as it was
    although the plan says otherwise, and why."""

    plan: int
    new: bool = False
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        return self.new or bool(self.added or self.changed)


def load(
    connection: Connection,
    plan: Plan,
    mailboxes: Sequence[ListedMailbox],
    directory: Path,
    *,
    at: float,
    actor: str,
) -> Loaded:
    """Brings the plan of that name and its mailboxes up to date; nothing is begun by it.

    Each of `mailboxes` has its endpoints and references filled in; `directory` is what relative
    references count from. Raises `BadInput` for a plan of that name that has ended.
    """
    _in_turn(connection, plan.name)
    table = tables.plan
    found = connection.execute(select(table).where(table.c.name == plan.name)).one_or_none()
    values = {
        "text": plan_text(plan),
        "directory": str(directory),
        "webhooks": json.dumps([list(hook.events) for hook in plan.webhooks]),
    }
    if found is None:
        number = connection.execute(
            insert(table)
            .values(name=plan.name, state=PlanState.RUNNING.value, loaded_at=at, **values)
            .returning(table.c.id)
        ).scalar_one()
        loaded = Loaded(number, new=True)
    else:
        if found.state in (PlanState.CANCELLED, PlanState.COMPLETED):
            raise BadInput(
                f"plan {plan.name} is {found.state}; what is still to be moved goes into a plan "
                "of another name"
            )
        loaded = Loaded(found.id)
        loaded.changed += _settings(found.text, values["text"])
        if found.directory != values["directory"]:
            loaded.changed.append("its directory changed")
    hold_domains(connection, loaded.plan)
    _mailboxes(connection, loaded, mailboxes, at, actor)
    addresses = [each.address for each in mailboxes]
    check_expectations(plan, plan_domains(plan, addresses))
    loaded.changed += load_domains(connection, loaded.plan, plan, addresses, at=at)
    loaded.changed += load_moves(connection, loaded.plan, plan, at=at)
    connection.execute(update(table).where(table.c.id == loaded.plan).values(**values))
    if loaded.anything:
        what = Record(
            "loaded",
            actor,
            why="; ".join(loaded.changed)[:1000],
            figures={"added": len(loaded.added), "mailboxes": len(mailboxes)},
        )
        record(connection, loaded.plan, what, at)
    return loaded


def filled_in(plan: Plan, directory: Path) -> list[ListedMailbox]:
    """The plan's mailboxes in its order, each with its own endpoints and references. Raises
    `BadInput` where an address doesn't fit the plan's templates."""
    return [
        ListedMailbox(
            address=each.address,
            wave=each.wave,
            source=endpoint_text(each.source),
            target=endpoint_text(each.target),
            source_secret=each.source_secret,
            target_secret=each.target_secret,
            line=each.line,
        )
        for each in resolved(plan, directory)
    ]


def _in_turn(connection: Connection, name: str) -> None:
    """Who loads a plan while another loads one of that name waits, and then finds it loaded. On a
    file every writer waits for the one before."""
    if connection.dialect.name == "postgresql":
        lock = select(func.pg_advisory_xact_lock(_LOADING, func.hashtext(name)))
        connection.execute(lock)


def _settings(before: str, after: str) -> Iterator[str]:
    """Names of the plan's parts that say something else now."""
    old, new = json.loads(before), json.loads(after)
    for name in new:
        if not _same(old.get(name), new[name]):
            yield f"{name} changed"


def _same(old: Any, new: Any) -> bool:
    """An older mailhaul has not written keys that it didn't know; they say nothing then."""
    if isinstance(old, dict) and isinstance(new, dict):
        return not old.keys() - new.keys() and all(
            _same(old[key], new[key]) if key in old else new[key] in (None, "", [], {})
            for key in new
        )
    return bool(old == new)


def _mailboxes(
    connection: Connection,
    loaded: Loaded,
    mailboxes: Sequence[ListedMailbox],
    at: float,
    actor: str,
) -> None:
    table = tables.mailbox
    known = {
        row.address: from_row(row)
        for row in connection.execute(
            select(table)
            .where(table.c.plan_id == loaded.plan)
            .order_by(table.c.position, table.c.id)
            .with_for_update(key_share=True)
        )
    }
    moved = {row.mailbox: row for row in moves(connection, loaded.plan, hold=True)}
    sent = {gate.wave for gate in opened(connection, loaded.plan) if gate.gate is Gate.GO}
    new: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    restarts: list[Change] = []
    for position, listed in enumerate(mailboxes):
        row = known.pop(listed.address, None)
        if row is None:
            loaded.added.append(listed.address)
            new.append(_new(loaded.plan, position, listed, at, listed.wave in sent))
            continue
        values = _changes(loaded, row, listed, sent, moved.get(row.id))
        if values.keys() & {"source", "target"}:
            due = at if row.started_at is not None else None
            restarts.append(Change(row, Trigger.CHANGED, due, values={"failures": 0}))
        if values or row.position != position:
            updates.append({**_as_is(row), **values, "position": position, "number": row.id})
    loaded.kept += [
        f"{address} is no longer listed and goes on; mailhaul cancel --mailbox ends it"
        for address, row in known.items()
        if row.state not in ENDED
    ]
    if new:
        connection.execute(insert(table), new)
    if updates:
        names = updates[0].keys() - {"number"}
        statement = update(table).where(table.c.id == bindparam("number"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), updates)
    move_all(connection, restarts, at=at, actor=actor)


def _new(
    plan: int, position: int, listed: ListedMailbox, at: float, left_out: bool
) -> dict[str, Any]:
    return {
        "plan_id": plan,
        "position": position,
        "address": listed.address,
        "wave": listed.wave,
        "source": listed.source,
        "target": listed.target,
        "source_secret": listed.source_secret,
        "target_secret": listed.target_secret,
        "state": State.PLANNED.value,
        "since_at": at,
        # Nobody has agreed to its going: the wave went without it.
        "left_out": left_out,
    }


def _as_is(row: MailboxRow) -> dict[str, Any]:
    return {
        "wave": row.wave,
        "source": row.source,
        "target": row.target,
        "source_secret": row.source_secret,
        "target_secret": row.target_secret,
        "left_out": row.left_out,
    }


def _changes(
    loaded: Loaded,
    row: MailboxRow,
    listed: ListedMailbox,
    sent: set[str],
    account: MoveRow | None,
) -> dict[str, Any]:
    """The columns that change; what must stay is told in `loaded.kept`."""
    values: dict[str, Any] = {}
    if account is not None and account.source is not None:
        # The plan says where the account was; where it is now is known to its move.
        if listed.source != account.source:
            loaded.kept.append(f"{row.address} keeps its source, for its account has been moved")
        listed = listed.model_copy(update={"source": row.source})
        if listed.source_secret == account.source_secret:
            listed = listed.model_copy(update={"source_secret": row.source_secret})
    if listed.wave != row.wave:
        if (row.resume_state or row.state) in _BEFORE_GO and row.state in _BEFORE_GO:
            values |= {"wave": listed.wave, "left_out": listed.wave in sent}
            loaded.changed.append(f"{row.address} moves to wave “{listed.wave}”")
        else:
            loaded.kept.append(f"{row.address} has gone with wave “{row.wave}” and stays in it")
    if (listed.source, listed.target) != (row.source, row.target):
        if row.passes == 0 and {row.state, row.resume_state or row.state} <= UNBEGUN:
            values |= {"source": listed.source, "target": listed.target}
            loaded.changed.append(f"{row.address} has other endpoints and is checked again")
        else:
            loaded.kept.append(
                f"{row.address} keeps its endpoints, for it is {row.state}; to move between others "
                "cancel it and list it in a plan of another name"
            )
    secrets = {"source_secret": listed.source_secret, "target_secret": listed.target_secret}
    if secrets != {"source_secret": row.source_secret, "target_secret": row.target_secret}:
        values |= secrets
        loaded.changed.append(f"{row.address} has other references to its secrets")
    return values
