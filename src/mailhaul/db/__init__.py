"""The tables of plans and journeys, on SQLite and PostgreSQL with the same statements."""
