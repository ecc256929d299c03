"""The tables. They are the truth about every journey: what the workflow engine forgets, or has
twice, changes nothing here. `migrations/` brings older databases to this page; a test compares.

Moments are seconds since 1970 (UTC) by the installation's clock; texts are printable; JSON columns
hold what only people and reports read, never what a decision needs.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from mailhaul.db import account_tables, zone_tables
from mailhaul.db.metadata import METADATA, NUMBER, number

metadata = METADATA

installation = Table(
    "installation",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    comment="what holds for all plans: the clock's settings, the key that signs reports",
)

plan = Table(
    "plan",
    metadata,
    number(),
    Column("name", Text, nullable=False, unique=True),
    Column("text", Text, nullable=False, comment="the plan as it was loaded, canonical JSON"),
    Column("directory", Text, nullable=False, comment="what its file references are relative to"),
    Column("state", String(20), nullable=False, comment="running, paused, cancelled or completed"),
    Column("webhooks", Text, nullable=False, default="[]", comment="JSON: each one's actions"),
    Column("loaded_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
)

mailbox = Table(
    "mailbox",
    metadata,
    number(),
    Column("plan_id", ForeignKey("plan.id"), nullable=False),
    Column("position", Integer, nullable=False, comment="its place in the plan's list"),
    Column("address", Text, nullable=False),
    Column("wave", Text, nullable=False, default=""),
    Column("source", Text, nullable=False, comment="endpoint"),
    Column("target", Text, nullable=False, comment="endpoint"),
    Column("source_secret", Text, nullable=False, default="", comment="reference"),
    Column("target_secret", Text, nullable=False, default="", comment="reference"),
    # the journey
    Column("state", String(20), nullable=False),
    Column("resume_state", String(20), comment="where pause, failure or waiting came upon it"),
    Column("generation", Integer, nullable=False, default=0),
    Column("epoch", Integer, nullable=False, default=0),
    Column("step", Integer, nullable=False, default=0, comment="runs of this state's phase so far"),
    Column("due_at", Double, comment="when its phase runs next; NULL: nothing runs by itself"),
    Column("since_at", Double, nullable=False, comment="in this state since"),
    Column("reason", Text, nullable=False, default="", comment="why it waits, for a person"),
    Column("failures", Integer, nullable=False, default=0, comment="temporary ones in a row"),
    Column("refused_secret", Text, comment="fingerprint of what a server refused"),
    Column("opened_once", Boolean, nullable=False, default=False),
    # what came of it
    Column("passes", Integer, nullable=False, default=0),
    Column("sweeps", Integer, nullable=False, default=0),
    Column("quiet_sweeps", Integer, nullable=False, default=0, comment="empty ones in a row"),
    Column("census", Integer, nullable=False, default=0),
    Column("copied", Integer, nullable=False, default=0),
    Column("adopted", Integer, nullable=False, default=0),
    Column("skipped", Integer, nullable=False, default=0),
    Column("refused", Integer, nullable=False, default=0),
    Column("missing", Integer, nullable=False, default=0),
    Column("octets", BigInteger, nullable=False, default=0, comment="carried so far"),
    Column("expected_messages", Integer, comment="what the check counted"),
    Column("expected_octets", BigInteger),
    Column("grade", String(20), nullable=False, default=""),
    Column(
        "approved_by", Text, comment="who accepted the grade; NULL again after each verification"
    ),
    Column("approved_at", Double),
    Column("started_at", Double, comment="when a person let it begin; NULL: it waits for that"),
    Column(
        "left_out",
        Boolean,
        nullable=False,
        default=False,
        comment="when its wave's gate was opened",
    ),
    Column(
        "trial",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="the newest of each folder come first",
    ),
    Column(
        "offer_refused",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="a person wants what was refused to be offered again",
    ),
    UniqueConstraint("plan_id", "address"),
    Index(None, "plan_id", "state"),
    Index(None, "due_at"),
)

folder = Table(
    "folder",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("source", Text, primary_key=True, comment="path joined by “/”, printable"),
    Column("target", Text, nullable=False),
    Column("census", Integer, nullable=False),
    Column("copied", Integer, nullable=False),
    Column("adopted", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("missing", Integer, nullable=False),
    comment="the accounting after the last pass, folder by folder",
)

passes = Table(
    "passes",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("began_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", String(20), nullable=False, default="", comment="empty while it runs"),
    Column("carried", Integer, nullable=False, default=0),
    Column("flagged", Integer, nullable=False, default=0),
    Column("removed", Integer, nullable=False, default=0),
    Column("octets", BigInteger, nullable=False, default=0),
    Column("census", Integer, nullable=False, default=0),
    Column("waits", JSON, nullable=False, comment="seconds by cause"),
    Column("unfinished", JSON, nullable=False, comment="sentences"),
    Column("notes", JSON, nullable=False, comment="sentences"),
    Column("undo_at", Double, comment="when a person asked for it to be undone"),
    Column("undone_at", Double),
    Index(None, "began_at"),
)

leftover = Table(
    "leftover",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fate", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("saved", Text, nullable=False, default=""),
    Column("approved_by", Text),
    Column("approved_at", Double),
    comment="what was refused or missing, each to be approved by a person",
)

difference = Table(
    "difference",
    metadata,
    number(),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("folder", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("count", Integer, nullable=False, default=1),
    comment="what the last verification found",
)

finding = Table(
    "finding",
    metadata,
    number(),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False, index=True),
    Column("code", String(40), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("found_at", Double, nullable=False),
    comment="what the last check found",
)

gate = Table(
    "gate",
    metadata,
    Column("plan_id", ForeignKey("plan.id"), primary_key=True),
    Column("wave", Text, primary_key=True, comment="empty: the whole plan"),
    Column("name", String(20), primary_key=True),
    Column("opened_at", Double, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("login", Text, nullable=False, comment="the account that gave the word"),
    Column("text", Text, nullable=False, comment="what was agreed to"),
    comment="opened gates; a closed one has no row, and no row is ever changed",
)

event = Table(
    "event",
    metadata,
    Column("plan_id", ForeignKey("plan.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("mailbox_id", ForeignKey("mailbox.id"), index=True),
    Column("action", String(40), nullable=False),
    Column("why", Text, nullable=False),
    Column("figures", Text, nullable=False, comment="canonical JSON, as it was hashed"),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    comment="append-only; each digest covers the one before",
)

delivery = Table(
    "delivery",
    metadata,
    number(),
    Column("plan_id", NUMBER, nullable=False),
    Column("number", Integer, nullable=False, comment="of the event"),
    Column("webhook", Integer, nullable=False, comment="its place in the plan"),
    Column("tries", Integer, nullable=False, default=0),
    Column("due_at", Double, index=True, comment="NULL: delivered or given up"),
    Column("done_at", Double),
    Column("error", Text, nullable=False, default=""),
    ForeignKeyConstraint(["plan_id", "number"], ["event.plan_id", "event.number"]),
)

budget = Table(
    "budget",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("day", String(10), nullable=False, comment="in the plan's time zone"),
    Column("octets", BigInteger, nullable=False, default=0, comment="taken on that day"),
    Column("free_at", Double, nullable=False, default=0, comment="when the next message may go"),
    comment="what all workers together have taken of an endpoint",
)

permit = Table(
    "permit",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("connections", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("until_at", Double, nullable=False, comment="by then it is renewed, or its holder dead"),
    comment="connections that may be open now",
)

worker = Table(
    "worker",
    metadata,
    Column("name", Text, primary_key=True),
    Column("process", Text, nullable=False, comment="host and process id"),
    Column("version", Text, nullable=False),
    Column("since_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("stopped_at", Double),
)

# The switch of domains (`db.zone_tables`).

domain = zone_tables.domain
look = zone_tables.look
domain_finding = zone_tables.domain_finding
snapshot = zone_tables.snapshot
canary = zone_tables.canary
override = zone_tables.override
step = zone_tables.step

# Accounts that are moved at their providers (`db.account_tables`).

account_move = account_tables.account_move
account_step = account_tables.account_step
placeholder = account_tables.placeholder

# The ledgers of all pairs, where several machines must see them (PostgreSQL). On one machine each
# pair has a file of its own with the same four tables; engine/ledger.py speaks to both.

ledger_folder = Table(
    "ledger_folder",
    metadata,
    number(),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False),
    Column("source", Text, nullable=False, comment="path, JSON"),
    Column("target", Text, nullable=False, comment="path, JSON"),
    Column("source_state", Text),
    Column("source_cursor", Text),
    Column("source_anchor", Text),
    Column("target_tail", Text),
    Column("target_seen", Text),
    Column("target_anchor", Text),
    Column("subscribed", Integer, nullable=False, server_default="0"),
    Column(
        "back",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="of the way back: its source is the new side",
    ),
    UniqueConstraint("mailbox_id", "source", "back"),
)

ledger_message = Table(
    "ledger_message",
    metadata,
    number(),
    Column("folder", ForeignKey("ledger_folder.id"), nullable=False),
    Column("source_key", LargeBinary),
    Column("target_key", LargeBinary),
    Column("fate", String(10), nullable=False),
    Column("flags", Text, nullable=False),
    Column("size", BigInteger),
    Column("received", BigInteger),
    Column("identity", LargeBinary),
    Column("named", Integer),
    Column("digest", LargeBinary),
    Column("reason", Text, nullable=False, default=""),
    Column("pass", Integer, nullable=False, default=0),
    Index("ledger_message_source", "folder", "source_key", unique=True),
    Index("ledger_message_target", "folder", "target_key"),
)

ledger_intent = Table(
    "ledger_intent",
    metadata,
    Column("folder", ForeignKey("ledger_folder.id"), nullable=False, index=True),
    Column("keys", Text, nullable=False),
)

ledger_meta = Table(
    "ledger_meta",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    Column("back", Boolean, primary_key=True, server_default=false()),
)

VIEWS = (
    """CREATE SCHEMA ledger""",
    """CREATE VIEW ledger.folder AS
        SELECT * FROM ledger_folder
        WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
            AND back = current_setting('mailhaul.back')::boolean
        WITH CHECK OPTION""",
    """ALTER VIEW ledger.folder ALTER COLUMN mailbox_id
        SET DEFAULT current_setting('mailhaul.mailbox')::bigint""",
    """ALTER VIEW ledger.folder ALTER COLUMN back
        SET DEFAULT current_setting('mailhaul.back')::boolean""",
    """CREATE VIEW ledger.message AS
        SELECT *, id AS rowid FROM ledger_message
        WHERE folder IN (SELECT id FROM ledger_folder
            WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
                AND back = current_setting('mailhaul.back')::boolean)
        WITH CHECK OPTION""",
    """CREATE VIEW ledger.intent AS
        SELECT * FROM ledger_intent
        WHERE folder IN (SELECT id FROM ledger_folder
            WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
                AND back = current_setting('mailhaul.back')::boolean)
        WITH CHECK OPTION""",
    """CREATE VIEW ledger.meta AS
        SELECT * FROM ledger_meta
        WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
            AND back = current_setting('mailhaul.back')::boolean
        WITH CHECK OPTION""",
    """ALTER VIEW ledger.meta ALTER COLUMN mailbox_id
        SET DEFAULT current_setting('mailhaul.mailbox')::bigint""",
    """ALTER VIEW ledger.meta ALTER COLUMN back
        SET DEFAULT current_setting('mailhaul.back')::boolean""",
)
"""On PostgreSQL: a mailbox's ledger, or that of its way back, under the names that a ledger's file
has (`db.ledger_rows`)."""
