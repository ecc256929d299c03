"""Special use on the wire: LIST attributes to roles and back (RFC 6154, RFC 8457; Gmail's XLIST).

Attributes are read whether or not the server advertises the extension, and in any case.
"""

from collections.abc import Iterable

from mailhaul.core.folder import Role

_ATTRIBUTES = {
    Role.SENT: "\\Sent",
    Role.DRAFTS: "\\Drafts",
    Role.TRASH: "\\Trash",
    Role.JUNK: "\\Junk",
    Role.ARCHIVE: "\\Archive",
    Role.ALL: "\\All",
    Role.FLAGGED: "\\Flagged",
    Role.IMPORTANT: "\\Important",
}
_ROLES = {attribute.lower(): role for role, attribute in _ATTRIBUTES.items()} | {
    "\\inbox": Role.INBOX,  # XLIST, which translates even that name
    "\\spam": Role.JUNK,
    "\\allmail": Role.ALL,
    "\\starred": Role.FLAGGED,
}


def role_of(attributes: Iterable[str]) -> Role | None:
    """The role that a folder's LIST attributes declare; None when they declare none. Of several
    (RFC 6154 2 allows that), the first in the order of `Role`."""
    found = {_ROLES[a.lower()] for a in attributes if a.lower() in _ROLES}
    return next((role for role in Role if role in found), None)


def attribute(role: Role) -> str | None:
    """What CREATE's USE says for `role` (RFC 6154 5); None for the inbox, which is there anyway."""
    return _ATTRIBUTES.get(role)
