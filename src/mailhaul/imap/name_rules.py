"""What servers allow in folder names, by what they call themselves (failure-modes E1, E5 to E8).

Known before the first folder is made, so that collisions and refusals show in the plan. What a
server calls itself is a hint: an unknown one gets no rules but its delimiter, and its refusals are
met when they come.
"""

import re
from dataclasses import replace

from mailhaul.core.folder import NameRules

_EXCHANGE_OWN = frozenset(
    {
        "files",
        "calendar",
        "contacts",
        "tasks",
        "notes",
        "journal",
        "sync issues",
        "conversation history",
        "outbox",
    }
)

_RULES: tuple[tuple[re.Pattern[str], NameRules], ...] = (
    (
        # Measured on 2.3.19 with maildir: 255 octets refused, 200 taken; depth 200 refused, 60
        # taken. `/` never stands in a component, whatever the delimiter is, and no name at
        # the top begins with `~`, below a prefix neither.
        re.compile(r"dovecot", re.IGNORECASE),
        NameRules(
            forbidden=frozenset("/"),
            begins_not=frozenset("~"),
            reserved=frozenset({"dbox-mails"}),
            longest_component=200,
            deepest=60,
        ),
    ),
    (
        # Measured on 3.6.1: these characters refused; 300 octets taken, 1,000 refused.
        re.compile(r"cyrus", re.IGNORECASE),
        NameRules(forbidden=frozenset('"\\%{^'), longest_component=300, longest_path=400),
    ),
    (
        re.compile(r"gimap|gmail|google", re.IGNORECASE),
        NameRules(
            forbidden=frozenset("^\"\\'"),
            reserved=frozenset({"[gmail]", "[google mail]"}),
            folds_case=True,
            trims_blanks=True,
        ),
    ),
    (
        re.compile(r"exchange|outlook|office ?365", re.IGNORECASE),
        NameRules(reserved=_EXCHANGE_OWN, folds_case=True, trims_blanks=True),
    ),
)


def name_rules(server: str, delimiter: str | None) -> NameRules:
    """The rules of the server that calls itself `server` (its ID or its greeting; empty when it
    says nothing), with the delimiter it told."""
    rules = next((rules for pattern, rules in _RULES if pattern.search(server)), NameRules())
    return replace(rules, delimiter=delimiter)
