"""LIST attributes and roles."""

import pytest

from mailhaul.core.folder import Role
from mailhaul.imap.commands import create
from mailhaul.imap.special_use import attribute, role_of

ROLES = [
    (["\\HasNoChildren", "\\Sent"], Role.SENT),
    (["\\Drafts"], Role.DRAFTS),
    (["\\Trash"], Role.TRASH),
    (["\\Junk"], Role.JUNK),
    (["\\Spam"], Role.JUNK),
    (["\\Archive"], Role.ARCHIVE),
    (["\\All"], Role.ALL),
    (["\\AllMail"], Role.ALL),
    (["\\Flagged"], Role.FLAGGED),
    (["\\Starred"], Role.FLAGGED),
    (["\\Important"], Role.IMPORTANT),
    (["\\Inbox"], Role.INBOX),
    (["\\TRASH"], Role.TRASH),
    (["\\Trash", "\\Sent"], Role.SENT),
    (["\\HasChildren", "\\Noselect", "\\Subscribed"], None),
    (["Sent"], None),
    ([], None),
]


@pytest.mark.parametrize(("attributes", "role"), ROLES)
def test_attributes_declare_a_role(attributes: list[str], role: Role | None) -> None:
    assert role_of(attributes) is role


@pytest.mark.parametrize("role", Role)
def test_every_role_but_the_inbox_can_be_declared(role: Role) -> None:
    name = attribute(role)
    if role is Role.INBOX:
        assert name is None
    else:
        assert name is not None
        assert role_of([name]) is role
        assert create("x", name).parts == (f'CREATE "x" (USE ({name}))'.encode(),)
