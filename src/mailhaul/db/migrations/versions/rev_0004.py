"""What stores found the last time is kept beside the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

VIEWS = (
    """CREATE VIEW ledger.meta AS
        SELECT * FROM ledger_meta
        WHERE mailbox_id = current_setting('mailhaul.mailbox')::bigint
        WITH CHECK OPTION""",
    """ALTER VIEW ledger.meta ALTER COLUMN mailbox_id
        SET DEFAULT current_setting('mailhaul.mailbox')::bigint""",
)


def upgrade() -> None:
    op.create_table(
        "ledger_meta",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_ledger_meta_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "name", name=op.f("pk_ledger_meta")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in VIEWS:
            op.execute(statement)
