"""The first tables: plans, journeys, ledgers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

VIEWS = (
    """CREATE SCHEMA ledger""",
    """CREATE VIEW ledger.folder AS
        SELECT * FROM ledger_folder
        WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
        WITH CHECK OPTION""",
    """ALTER VIEW ledger.folder ALTER COLUMN mailbox_id
        SET DEFAULT current_setting('mailhaul.mailbox')::bigint""",
    """CREATE VIEW ledger.message AS
        SELECT *, id AS rowid FROM ledger_message
        WHERE folder IN (SELECT id FROM ledger_folder
            WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint)
        WITH CHECK OPTION""",
    """CREATE VIEW ledger.intent AS
        SELECT * FROM ledger_intent
        WHERE folder IN (SELECT id FROM ledger_folder
            WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint)
        WITH CHECK OPTION""",
)


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False, comment="in the plan's time zone"),
        sa.Column("octets", sa.BigInteger(), nullable=False, comment="taken on that day"),
        sa.Column("free_at", sa.Double(), nullable=False, comment="when the next message may go"),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_budget")),
        comment="what all workers together have taken of an endpoint",
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation")),
        comment="what holds for all plans: the clock's settings, the key that signs reports",
    )
    op.create_table(
        "plan",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="the plan as it was loaded, canonical JSON"
        ),
        sa.Column(
            "directory",
            sa.Text(),
            nullable=False,
            comment="what its file references are relative to",
        ),
        sa.Column(
            "state",
            sa.String(length=20),
            nullable=False,
            comment="running, paused, cancelled or completed",
        ),
        sa.Column("webhooks", sa.Text(), nullable=False, comment="JSON: each one's actions"),
        sa.Column("loaded_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("name", name=op.f("uq_plan_name")),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False, comment="host and process id"),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("since_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )
    op.create_table(
        "gate",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wave", sa.Text(), nullable=False, comment="empty: the whole plan"),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False, comment="the account that gave the word"),
        sa.Column("text", sa.Text(), nullable=False, comment="what was agreed to"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_gate_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "wave", "name", name=op.f("pk_gate")),
        comment="opened gates; a closed one has no row, and no row is ever changed",
    )
    op.create_table(
        "mailbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="its place in the plan's list"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("wave", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="endpoint"),
        sa.Column("target", sa.Text(), nullable=False, comment="endpoint"),
        sa.Column("source_secret", sa.Text(), nullable=False, comment="reference"),
        sa.Column("target_secret", sa.Text(), nullable=False, comment="reference"),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column(
            "resume_state",
            sa.String(length=20),
            nullable=True,
            comment="where pause, failure or waiting came upon it",
        ),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column(
            "step", sa.Integer(), nullable=False, comment="runs of this state's phase so far"
        ),
        sa.Column(
            "due_at",
            sa.Double(),
            nullable=True,
            comment="when its phase runs next; NULL: nothing runs by itself",
        ),
        sa.Column("since_at", sa.Double(), nullable=False, comment="in this state since"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it waits, for a person"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="temporary ones in a row"),
        sa.Column(
            "refused_secret",
            sa.Text(),
            nullable=True,
            comment="fingerprint of what a server refused",
        ),
        sa.Column("opened_once", sa.Boolean(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.Column("sweeps", sa.Integer(), nullable=False),
        sa.Column("quiet_sweeps", sa.Integer(), nullable=False, comment="empty ones in a row"),
        sa.Column("census", sa.Integer(), nullable=False),
        sa.Column("copied", sa.Integer(), nullable=False),
        sa.Column("adopted", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False, comment="carried so far"),
        sa.Column(
            "expected_messages", sa.Integer(), nullable=True, comment="what the check counted"
        ),
        sa.Column("expected_octets", sa.BigInteger(), nullable=True),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column(
            "approved_by",
            sa.Text(),
            nullable=True,
            comment="who accepted the grade; NULL again after each verification",
        ),
        sa.Column("approved_at", sa.Double(), nullable=True),
        sa.Column(
            "started_at",
            sa.Double(),
            nullable=True,
            comment="when a person let it begin; NULL: it waits for that",
        ),
        sa.Column(
            "left_out", sa.Boolean(), nullable=False, comment="when its wave's gate was opened"
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_mailbox_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("plan_id", "address", name=op.f("uq_mailbox_plan_id_address")),
    )
    with op.batch_alter_table("mailbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mailbox_due_at"), ["due_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_mailbox_plan_id_state"), ["plan_id", "state"], unique=False
        )

    op.create_table(
        "difference",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_difference_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_difference")),
        comment="what the last verification found",
    )
    with op.batch_alter_table("difference", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_difference_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "event",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False, comment="canonical JSON, as it was hashed"),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_event_mailbox_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_event_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "number", name=op.f("pk_event")),
        comment="append-only; each digest covers the one before",
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "finding",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("found_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_finding_mailbox_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        comment="what the last check found",
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_mailbox_id"), ["mailbox_id"], unique=False)

    op.create_table(
        "folder",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="path joined by “/”, printable"),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("census", sa.Integer(), nullable=False),
        sa.Column("copied", sa.Integer(), nullable=False),
        sa.Column("adopted", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_folder_mailbox_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "source", name=op.f("pk_folder")),
        comment="the accounting after the last pass, folder by folder",
    )
    op.create_table(
        "ledger_folder",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="path, JSON"),
        sa.Column("target", sa.Text(), nullable=False, comment="path, JSON"),
        sa.Column("source_state", sa.Text(), nullable=True),
        sa.Column("source_cursor", sa.Text(), nullable=True),
        sa.Column("source_anchor", sa.Text(), nullable=True),
        sa.Column("target_tail", sa.Text(), nullable=True),
        sa.Column("target_seen", sa.Text(), nullable=True),
        sa.Column("target_anchor", sa.Text(), nullable=True),
        sa.Column("subscribed", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_ledger_folder_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_folder")),
        sa.UniqueConstraint(
            "mailbox_id", "source", name=op.f("uq_ledger_folder_mailbox_id_source")
        ),
    )
    op.create_table(
        "leftover",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fate", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("saved", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_leftover_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", "key", name=op.f("pk_leftover")),
        comment="what was refused or missing, each to be approved by a person",
    )
    op.create_table(
        "passes",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False, comment="empty while it runs"),
        sa.Column("carried", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("census", sa.Integer(), nullable=False),
        sa.Column("waits", sa.JSON(), nullable=False, comment="seconds by cause"),
        sa.Column("unfinished", sa.JSON(), nullable=False, comment="sentences"),
        sa.Column("notes", sa.JSON(), nullable=False, comment="sentences"),
        sa.Column(
            "undo_at", sa.Double(), nullable=True, comment="when a person asked for it to be undone"
        ),
        sa.Column("undone_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_passes_mailbox_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "number", name=op.f("pk_passes")),
    )
    with op.batch_alter_table("passes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passes_began_at"), ["began_at"], unique=False)

    op.create_table(
        "permit",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column(
            "until_at",
            sa.Double(),
            nullable=False,
            comment="by then it is renewed, or its holder dead",
        ),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_permit_mailbox_id")),
        sa.PrimaryKeyConstraint("endpoint", "mailbox_id", name=op.f("pk_permit")),
        comment="connections that may be open now",
    )
    op.create_table(
        "delivery",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the event"),
        sa.Column("webhook", sa.Integer(), nullable=False, comment="its place in the plan"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True, comment="NULL: delivered or given up"),
        sa.Column("done_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id", "number"],
            ["event.plan_id", "event.number"],
            name=op.f("fk_delivery_plan_id_number"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_due_at"), ["due_at"], unique=False)

    op.create_table(
        "ledger_intent",
        sa.Column("folder", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["folder"], ["ledger_folder.id"], name=op.f("fk_ledger_intent_folder")
        ),
    )
    with op.batch_alter_table("ledger_intent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_intent_folder"), ["folder"], unique=False)

    op.create_table(
        "ledger_message",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("folder", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source_key", sa.LargeBinary(), nullable=True),
        sa.Column("target_key", sa.LargeBinary(), nullable=True),
        sa.Column("fate", sa.String(length=10), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=True),
        sa.Column("identity", sa.LargeBinary(), nullable=True),
        sa.Column("named", sa.Integer(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("pass", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["folder"], ["ledger_folder.id"], name=op.f("fk_ledger_message_folder")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_message")),
    )
    with op.batch_alter_table("ledger_message", schema=None) as batch_op:
        batch_op.create_index("ledger_message_source", ["folder", "source_key"], unique=True)
        batch_op.create_index("ledger_message_target", ["folder", "target_key"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for statement in VIEWS:
            op.execute(statement)
