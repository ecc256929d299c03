"""A mailbox pair has a second ledger, of the way back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

VIEWS = (
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


def upgrade() -> None:
    on_server = op.get_bind().dialect.name == "postgresql"
    if on_server:
        for name in ("folder", "message", "intent", "meta"):
            op.execute(f"DROP VIEW ledger.{name}")
    with op.batch_alter_table("ledger_folder", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "back",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="of the way back: its source is the new side",
            )
        )
        batch_op.drop_constraint("uq_ledger_folder_mailbox_id_source", type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_ledger_folder_mailbox_id_source_back"), ["mailbox_id", "source", "back"]
        )
    # What stores remember they can find out anew.
    op.drop_table("ledger_meta")
    op.create_table(
        "ledger_meta",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("back", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_ledger_meta_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "name", "back", name=op.f("pk_ledger_meta")),
    )
    if on_server:
        for statement in VIEWS:
            op.execute(statement)
