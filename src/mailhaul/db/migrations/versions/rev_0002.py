"""Mailboxes can begin with a trial."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "mailbox",
        sa.Column(
            "trial",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="the newest of each folder come first",
        ),
    )
