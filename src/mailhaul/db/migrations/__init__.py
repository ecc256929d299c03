"""What brings a database of an earlier mailhaul to `db.tables`, one revision a file, by Alembic."""
