"""The tables of accounts that are moved at their providers: a mailbox's one move, its steps, and
which placeholders are spoken for. `db.tables` names them all."""

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
)

from mailhaul.db.metadata import METADATA, number

account_move = Table(
    "account_move",
    METADATA,
    number(),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False, unique=True),
    Column("state", String(20), nullable=False),
    Column("resume_state", String(20), comment="where a failure came upon it"),
    Column("generation", Integer, nullable=False, default=0),
    Column("step", Integer, nullable=False, default=0),
    Column("due_at", Double, comment="when the next thing is done; NULL: not by itself"),
    Column("since_at", Double, nullable=False, comment="in this state since"),
    Column("reason", Text, nullable=False, default="", comment="why it waits, for a person"),
    Column("cause", Text, nullable=False, default="", comment="why it was taken back"),
    Column("failures", Integer, nullable=False, default=0, comment="temporary ones in a row"),
    Column("refused_secret", Text, comment="fingerprint of what a control plane refused"),
    Column("round", Integer, nullable=False, default=0, comment="its generation when agreed to"),
    # what the last look found
    Column("looked_at", Double, comment="when the last look ended"),
    Column(
        "ready", Boolean, nullable=False, default=False, comment="and found nothing that blocks"
    ),
    Column("path", String(20), nullable=False, default="", comment="legacy, new or create"),
    Column("evidence", Text, nullable=False, default="[]", comment="JSON: why that path"),
    Column("temporary", Text, nullable=False, default="", comment="the source's address by then"),
    Column("placeholder", Text, nullable=False, default="", comment="which becomes the account"),
    Column("chosen", Boolean, nullable=False, default=False, comment="by a person"),
    Column("octets", BigInteger, comment="at the source"),
    Column("messages", Integer, comment="at the source"),
    # a person's word
    Column("acknowledged_at", Double),
    Column("acknowledged_by", Text),
    Column("login", Text),
    Column("text", Text, nullable=False, default="", comment="what was agreed to"),
    # what came of it
    Column("source", Text, comment="endpoint before it was moved"),
    Column("source_secret", Text, comment="reference before it was moved"),
    Column("moved_at", Double),
    Column("undone_at", Double),
    Column("nowhere_from", Double, comment="the address was nowhere since, at the earliest"),
    Column("nowhere_until", Double, comment="and until, at the latest"),
    Column("guarded", Boolean, nullable=False, default=False, comment="mail was taken meanwhile"),
    Column("retire_at", Double, comment="from when on its old account may be disabled"),
    Column("retired_by", Text),
    Column("retired_at", Double),
    Index(None, "due_at"),
    comment="accounts that are moved at their providers, each beside its mailbox",
)

account_step = Table(
    "account_step",
    METADATA,
    number(),
    Column("move_id", ForeignKey("account_move.id"), nullable=False),
    Column("round", Integer, nullable=False, comment="the move's"),
    Column("position", Integer, nullable=False),
    Column("part", String(10), nullable=False, comment="move, undo or retire"),
    Column("kind", String(40), nullable=False, comment="what it is for"),
    Column("side", String(10), nullable=False),
    Column("action", Text, nullable=False, default="", comment="JSON of providers.actions_text"),
    Column("inverse", Text, nullable=False, default="", comment="as action; empty: there is none"),
    Column("words", Text, nullable=False, default="", comment="for a person"),
    Column("needs_secret", Boolean, nullable=False, default=False),
    Column(
        "key", Text, nullable=False, unique=True, comment="by which the provider finds it again"
    ),
    Column("state", String(20), nullable=False),
    Column("task", Text, nullable=False, default="", comment="the provider's number for it"),
    Column("said", Text, nullable=False, default="", comment="by the provider, printable"),
    Column("by_person", Boolean, nullable=False, default=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("begun_at", Double, comment="before the provider heard of it"),
    Column("ended_at", Double),
    UniqueConstraint("move_id", "round", "part", "position"),
    comment="what is done about an account, in this order",
)

placeholder = Table(
    "placeholder",
    METADATA,
    Column("service", Text, primary_key=True, comment="kind, place and name of the service"),
    Column("name", Text, primary_key=True),
    Column("move_id", ForeignKey("account_move.id"), nullable=False, unique=True),
    Column("reserved_at", Double, nullable=False),
    comment="placeholders that a move has chosen, of all plans",
)
