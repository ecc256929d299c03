"""What DNS says, what it should say, whether that has spread, and how a zone is changed."""
