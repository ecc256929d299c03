"""mailhaul carries mailboxes from one mail system to another, exactly and provably."""

__version__ = "0.1.0"
