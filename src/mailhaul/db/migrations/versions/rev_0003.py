"""What was refused can be offered again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "mailbox",
        sa.Column(
            "offer_refused",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="a person wants what was refused to be offered again",
        ),
    )
