"""What came of it, for people and programs: drawn from rows, signed, checkable by strangers."""
