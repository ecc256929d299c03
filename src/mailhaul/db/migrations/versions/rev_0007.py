"""A snapshot of a zone says at which moment of the move its records were written."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Until now only switches were kept.
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "moment",
                sa.String(length=10),
                server_default="switch",
                nullable=False,
                comment="whose share it is: now, switch or end",
            )
        )
