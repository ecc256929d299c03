"""Accounts that are moved at their providers: their moves, the steps of each, placeholders."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "account_move",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
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
            comment="when the next thing is done; NULL: not by itself",
        ),
        sa.Column("since_at", sa.Double(), nullable=False, comment="in this state since"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it waits, for a person"),
        sa.Column("cause", sa.Text(), nullable=False, comment="why it was taken back"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="temporary ones in a row"),
        sa.Column(
            "refused_secret",
            sa.Text(),
            nullable=True,
            comment="fingerprint of what a control plane refused",
        ),
        sa.Column("round", sa.Integer(), nullable=False, comment="its generation when agreed to"),
        sa.Column("looked_at", sa.Double(), nullable=True, comment="when the last look ended"),
        sa.Column("ready", sa.Boolean(), nullable=False, comment="and found nothing that blocks"),
        sa.Column("path", sa.String(length=20), nullable=False, comment="legacy, new or create"),
        sa.Column("evidence", sa.Text(), nullable=False, comment="JSON: why that path"),
        sa.Column("temporary", sa.Text(), nullable=False, comment="the source's address by then"),
        sa.Column("placeholder", sa.Text(), nullable=False, comment="which becomes the account"),
        sa.Column("chosen", sa.Boolean(), nullable=False, comment="by a person"),
        sa.Column("octets", sa.BigInteger(), nullable=True, comment="at the source"),
        sa.Column("messages", sa.Integer(), nullable=True, comment="at the source"),
        sa.Column("acknowledged_at", sa.Double(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("login", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False, comment="what was agreed to"),
        sa.Column("source", sa.Text(), nullable=True, comment="endpoint before it was moved"),
        sa.Column(
            "source_secret", sa.Text(), nullable=True, comment="reference before it was moved"
        ),
        sa.Column("moved_at", sa.Double(), nullable=True),
        sa.Column("undone_at", sa.Double(), nullable=True),
        sa.Column(
            "nowhere_from",
            sa.Double(),
            nullable=True,
            comment="the address was nowhere since, at the earliest",
        ),
        sa.Column("nowhere_until", sa.Double(), nullable=True, comment="and until, at the latest"),
        sa.Column("guarded", sa.Boolean(), nullable=False, comment="mail was taken meanwhile"),
        sa.Column(
            "retire_at",
            sa.Double(),
            nullable=True,
            comment="from when on its old account may be disabled",
        ),
        sa.Column("retired_by", sa.Text(), nullable=True),
        sa.Column("retired_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_account_move_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_move")),
        sa.UniqueConstraint("mailbox_id", name=op.f("uq_account_move_mailbox_id")),
        comment="accounts that are moved at their providers, each beside its mailbox",
    )
    op.create_index(op.f("ix_account_move_due_at"), "account_move", ["due_at"], unique=False)
    op.create_table(
        "account_step",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False, comment="the move's"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(length=10), nullable=False, comment="move, undo or retire"),
        sa.Column("kind", sa.String(length=40), nullable=False, comment="what it is for"),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="JSON of providers.actions_text"),
        sa.Column("inverse", sa.Text(), nullable=False, comment="as action; empty: there is none"),
        sa.Column("words", sa.Text(), nullable=False, comment="for a person"),
        sa.Column("needs_secret", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="by which the provider finds it again"),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("task", sa.Text(), nullable=False, comment="the provider's number for it"),
        sa.Column("said", sa.Text(), nullable=False, comment="by the provider, printable"),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column(
            "begun_at", sa.Double(), nullable=True, comment="before the provider heard of it"
        ),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["move_id"], ["account_move.id"], name=op.f("fk_account_step_move_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_step")),
        sa.UniqueConstraint("key", name=op.f("uq_account_step_key")),
        sa.UniqueConstraint(
            "move_id",
            "round",
            "part",
            "position",
            name=op.f("uq_account_step_move_id_round_part_position"),
        ),
        comment="what is done about an account, in this order",
    )
    op.create_table(
        "placeholder",
        sa.Column(
            "service", sa.Text(), nullable=False, comment="kind, place and name of the service"
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reserved_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["move_id"], ["account_move.id"], name=op.f("fk_placeholder_move_id")
        ),
        sa.PrimaryKeyConstraint("service", "name", name=op.f("pk_placeholder")),
        sa.UniqueConstraint("move_id", name=op.f("uq_placeholder_move_id")),
        comment="placeholders that a move has chosen, of all plans",
    )
