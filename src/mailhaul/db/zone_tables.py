"""The tables of the switch: domains, what was seen of their zones, what was kept of them before
they were changed, and what people said. `db.tables` names them all."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from mailhaul.db.metadata import METADATA, number

domain = Table(
    "domain",
    METADATA,
    number(),
    Column("plan_id", ForeignKey("plan.id"), nullable=False),
    Column("name", Text, nullable=False, comment="A-labels, lower case"),
    Column("state", String(20), nullable=False),
    Column("resume_state", String(20), comment="where a failure came upon it"),
    Column("generation", Integer, nullable=False, default=0),
    Column("step", Integer, nullable=False, default=0),
    Column("due_at", Double, comment="when it is looked at next; NULL: not by itself"),
    Column("since_at", Double, nullable=False, comment="in this state since"),
    Column("reason", Text, nullable=False, default="", comment="why it waits, for a person"),
    Column("failures", Integer, nullable=False, default=0, comment="temporary ones in a row"),
    Column("wave", Text, comment="with which it went; NULL: it has not"),
    Column("old_mx", Text, comment="JSON: MX as first seen, by which the old way is recognised"),
    Column("looked_at", Double, comment="when the last look ended"),
    Column("mx", String(20), nullable=False, default="", comment="last look: old, new, mixed …"),
    Column("ready", Boolean, nullable=False, default=False, server_default=false()),
    Column("ttl", Integer, comment="the greatest of the records to change, at the zone's servers"),
    Column("lowered_at", Double, comment="since when none is above what the plan wants"),
    Column("cached_until", Double, comment="until when caches may hold longer-lived ones"),
    Column("switched_at", Double, comment="when the new records were written, or seen"),
    Column("released_at", Double, comment="by when every cache has let go of the old ones"),
    Column("settled_at", Double, comment="since when every server asked says new"),
    Column("returned_at", Double, comment="when the old records stood there again"),
    UniqueConstraint("plan_id", "name"),
    Index(None, "due_at"),
    comment="domains of plans with [dns]; each is looked at, switched and returned by itself",
)

look = Table(
    "look",
    METADATA,
    Column("domain_id", ForeignKey("domain.id"), primary_key=True),
    Column("server", Text, primary_key=True, comment="as it is told: host and address"),
    Column("name", Text, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("first_at", Double, primary_key=True, comment="since when it says so"),
    Column("last_at", Double, nullable=False),
    Column("standing", String(20), nullable=False, comment="old, new, mixed or silent"),
    Column("outcome", Text, nullable=False),
    Column("found", Text, nullable=False, comment="canonical JSON: the values"),
    Column("ttl", Integer, comment="seconds left of it, when last seen"),
    Column("authoritative", Boolean, nullable=False, default=False, server_default=false()),
    Index(None, "domain_id", "last_at"),
    comment="what each server said of each record, one row for as long as it says the same",
)

domain_finding = Table(
    "domain_finding",
    METADATA,
    number(),
    Column("domain_id", ForeignKey("domain.id"), nullable=False, index=True),
    Column("code", String(60), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("topic", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("found_at", Double, nullable=False),
    comment="what the last look found",
)

snapshot = Table(
    "snapshot",
    METADATA,
    number(),
    Column("domain_id", ForeignKey("domain.id"), nullable=False, index=True),
    Column("kept_at", Double, nullable=False),
    Column(
        "moment",
        String(10),
        nullable=False,
        default="switch",
        server_default="switch",
        comment="whose share it is: now, switch or end",
    ),
    Column("text", Text, nullable=False, comment="canonical JSON of dns.switch, never changed"),
    Column("written_at", Double, comment="when all of its new records had been written"),
    Column("returned_at", Double, comment="when all of its old records stood there again"),
    comment="the records of a zone as they were before they were changed",
)

canary = Table(
    "canary",
    METADATA,
    number(),
    Column("domain_id", ForeignKey("domain.id"), nullable=False),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False),
    Column("via", String(20), nullable=False, comment="which way it went"),
    Column("kind", String(20), nullable=False, comment="a probe without a message, or a message"),
    Column("token", Text, nullable=False, default="", comment="by which a message is recognised"),
    Column("sent_at", Double, nullable=False),
    Column("deadline_at", Double, comment="when it is given up; NULL: nothing is to arrive"),
    Column("outcome", String(40), nullable=False, comment="empty while it is on its way"),
    Column("said", Text, nullable=False, default="", comment="what the server said, printable"),
    Column("found_at", Double),
    Column("side", String(10), nullable=False, default="", comment="where it was found"),
    Column("removed_at", Double),
    Column("size", BigInteger, nullable=False, default=0),
    Index(None, "domain_id", "via", "kind"),
    Index(None, "mailbox_id"),
    comment="marked messages and probes of plans that want them",
)

override = Table(
    "override",
    METADATA,
    number(),
    Column("plan_id", ForeignKey("plan.id"), nullable=False, index=True),
    Column("wave", Text, nullable=False),
    Column(
        "gate", String(20), nullable=False, comment="which was opened, or `sweeps` ended, early"
    ),
    Column("lacking", Text, nullable=False, comment="what was lacking, in words"),
    Column("why", Text, nullable=False, comment="the reason that was given"),
    Column("given_at", Double, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("login", Text, nullable=False),
    comment="what named persons decided against the evidence; no row is ever changed",
)

step = Table(
    "step",
    METADATA,
    Column("plan_id", ForeignKey("plan.id"), primary_key=True),
    Column("wave", Text, primary_key=True),
    Column("key", String(40), primary_key=True, comment="of journey.runbook"),
    Column("done_at", Double, nullable=False),
    Column("done_by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
    comment="steps of the runbook that a person has said to be done",
)
