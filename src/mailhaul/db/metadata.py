"""What all tables stand on: how constraints are named and rows numbered."""

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself in a column of type INTEGER only."""


def number() -> Column[int]:
    """The column by which rows are numbered."""
    return Column("id", NUMBER, Identity(), primary_key=True)
