"""OVHcloud's rule for passwords, which holds for every hand-over, and one that nobody knows."""

import secrets

from mailhaul.core.text import Secret

SHORTEST_PASSWORD, LONGEST_PASSWORD = 9, 30
"""Characters: “length : [9;30], no space at begin and end, no accent”."""


def random_password() -> Secret:
    """By that rule, and those of Exchange, which wants three kinds of characters."""
    return Secret(f"Aa1-{secrets.token_urlsafe(18)}")
