"""The revisions. Each stands as it was released: it never imports `db.tables`."""
