"""Domains, what was seen of their zones, and what people decided about the switch."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "domain",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="A-labels, lower case"),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column(
            "resume_state",
            sa.String(length=20),
            nullable=True,
            comment="where a failure came upon it",
        ),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column(
            "due_at",
            sa.Double(),
            nullable=True,
            comment="when it is looked at next; NULL: not by itself",
        ),
        sa.Column("since_at", sa.Double(), nullable=False, comment="in this state since"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it waits, for a person"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="temporary ones in a row"),
        sa.Column("wave", sa.Text(), nullable=True, comment="with which it went; NULL: it has not"),
        sa.Column(
            "old_mx",
            sa.Text(),
            nullable=True,
            comment="JSON: MX as first seen, by which the old way is recognised",
        ),
        sa.Column("looked_at", sa.Double(), nullable=True, comment="when the last look ended"),
        sa.Column(
            "mx", sa.String(length=20), nullable=False, comment="last look: old, new, mixed …"
        ),
        sa.Column("ready", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "ttl",
            sa.Integer(),
            nullable=True,
            comment="the greatest of the records to change, at the zone's servers",
        ),
        sa.Column(
            "lowered_at",
            sa.Double(),
            nullable=True,
            comment="since when none is above what the plan wants",
        ),
        sa.Column(
            "cached_until",
            sa.Double(),
            nullable=True,
            comment="until when caches may hold longer-lived ones",
        ),
        sa.Column(
            "switched_at",
            sa.Double(),
            nullable=True,
            comment="when the new records were written, or seen",
        ),
        sa.Column(
            "released_at",
            sa.Double(),
            nullable=True,
            comment="by when every cache has let go of the old ones",
        ),
        sa.Column(
            "settled_at",
            sa.Double(),
            nullable=True,
            comment="since when every server asked says new",
        ),
        sa.Column(
            "returned_at",
            sa.Double(),
            nullable=True,
            comment="when the old records stood there again",
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_domain_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain")),
        sa.UniqueConstraint("plan_id", "name", name=op.f("uq_domain_plan_id_name")),
        comment="domains of plans with [dns]; each is looked at, switched and returned by itself",
    )
    op.create_index(op.f("ix_domain_due_at"), "domain", ["due_at"], unique=False)
    op.create_table(
        "override",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wave", sa.Text(), nullable=False),
        sa.Column(
            "gate",
            sa.String(length=20),
            nullable=False,
            comment="which was opened, or `sweeps` ended, early",
        ),
        sa.Column("lacking", sa.Text(), nullable=False, comment="what was lacking, in words"),
        sa.Column("why", sa.Text(), nullable=False, comment="the reason that was given"),
        sa.Column("given_at", sa.Double(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_override_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_override")),
        comment="what named persons decided against the evidence; no row is ever changed",
    )
    op.create_index(op.f("ix_override_plan_id"), "override", ["plan_id"], unique=False)
    op.create_table(
        "step",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wave", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False, comment="of journey.runbook"),
        sa.Column("done_at", sa.Double(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_step_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "wave", "key", name=op.f("pk_step")),
        comment="steps of the runbook that a person has said to be done",
    )
    op.create_table(
        "canary",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("via", sa.String(length=20), nullable=False, comment="which way it went"),
        sa.Column(
            "kind",
            sa.String(length=20),
            nullable=False,
            comment="a probe without a message, or a message",
        ),
        sa.Column("token", sa.Text(), nullable=False, comment="by which a message is recognised"),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column(
            "deadline_at",
            sa.Double(),
            nullable=True,
            comment="when it is given up; NULL: nothing is to arrive",
        ),
        sa.Column(
            "outcome", sa.String(length=40), nullable=False, comment="empty while it is on its way"
        ),
        sa.Column("said", sa.Text(), nullable=False, comment="what the server said, printable"),
        sa.Column("found_at", sa.Double(), nullable=True),
        sa.Column("side", sa.String(length=10), nullable=False, comment="where it was found"),
        sa.Column("removed_at", sa.Double(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_canary_domain_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_canary_mailbox_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canary")),
        comment="marked messages and probes of plans that want them",
    )
    op.create_index(
        op.f("ix_canary_domain_id_via_kind"), "canary", ["domain_id", "via", "kind"], unique=False
    )
    op.create_index(op.f("ix_canary_mailbox_id"), "canary", ["mailbox_id"], unique=False)
    op.create_table(
        "domain_finding",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("found_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_domain_finding_domain_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain_finding")),
        comment="what the last look found",
    )
    op.create_index(
        op.f("ix_domain_finding_domain_id"), "domain_finding", ["domain_id"], unique=False
    )
    op.create_table(
        "look",
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("server", sa.Text(), nullable=False, comment="as it is told: host and address"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False, comment="since when it says so"),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column(
            "standing", sa.String(length=20), nullable=False, comment="old, new, mixed or silent"
        ),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False, comment="canonical JSON: the values"),
        sa.Column("ttl", sa.Integer(), nullable=True, comment="seconds left of it, when last seen"),
        sa.Column("authoritative", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_look_domain_id")),
        sa.PrimaryKeyConstraint(
            "domain_id", "server", "name", "kind", "first_at", name=op.f("pk_look")
        ),
        comment="what each server said of each record, one row for as long as it says the same",
    )
    op.create_index(
        op.f("ix_look_domain_id_last_at"), "look", ["domain_id", "last_at"], unique=False
    )
    op.create_table(
        "snapshot",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kept_at", sa.Double(), nullable=False),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="canonical JSON of dns.switch, never changed"
        ),
        sa.Column(
            "written_at",
            sa.Double(),
            nullable=True,
            comment="when all of its new records had been written",
        ),
        sa.Column(
            "returned_at",
            sa.Double(),
            nullable=True,
            comment="when all of its old records stood there again",
        ),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_snapshot_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
        comment="the records of a zone as they were before they were changed",
    )
    op.create_index(op.f("ix_snapshot_domain_id"), "snapshot", ["domain_id"], unique=False)
