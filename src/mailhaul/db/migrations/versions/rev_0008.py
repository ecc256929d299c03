"""Canary mail: how far each probe and each message has come."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for column in (
        sa.Column("switched", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "era",
            sa.Double(),
            server_default="0",
            nullable=False,
            comment="since which switch, return",
        ),
        sa.Column("stage", sa.String(length=20), server_default="over", nullable=False),
        sa.Column("step", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "due_at",
            sa.Double(),
            nullable=True,
            comment="when the next thing is done about it; NULL: nothing is",
        ),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "made_at",
            sa.Double(),
            nullable=True,
            comment="by the time of day, whatever the installation's clock says",
        ),
        sa.Column(
            "clear_at",
            sa.Double(),
            nullable=True,
            comment="before that no mail host of the plan is told another name",
        ),
        sa.Column(
            "taken_at", sa.Double(), nullable=True, comment="when a host took it, or may have"
        ),
        sa.Column("verdict", sa.String(length=40), server_default="", nullable=False),
        sa.Column("reached", sa.Text(), server_default="", nullable=False, comment="JSON: host"),
        sa.Column(
            "takes_anyone",
            sa.Boolean(),
            nullable=True,
            comment="whether the host takes an address nobody has",
        ),
        sa.Column("since", sa.Text(), server_default="", nullable=False, comment="JSON: bookmarks"),
        sa.Column("seen", sa.Text(), server_default="", nullable=False, comment="JSON: sightings"),
        sa.Column("reason", sa.Text(), server_default="", nullable=False, comment="why it waits"),
    ):
        op.add_column("canary", column)
    op.drop_index(op.f("ix_canary_mailbox_id"), table_name="canary")
    op.create_index(
        "uq_canary_mailbox_id",
        "canary",
        ["mailbox_id", "via", "kind", "switched", "era"],
        unique=True,
    )
    op.create_index(op.f("ix_canary_due_at"), "canary", ["due_at"], unique=False)
