"""Filters of OVHcloud's older MX Plan as Sieve scripts (RFC 5228), and back.

A filter with one rule is said in Sieve, with what Sieve can't say in a comment before it, so that
it acts alike elsewhere and comes back here as it was. More rules, and those by SPF, are told in
words: OVHcloud doesn't say how its rules add up.
"""

import re
from dataclasses import dataclass

from mailhaul.core.text import printable
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Filter
from mailhaul.providers.ovh_answers import Fields


@dataclass(frozen=True, slots=True)
class Rule:
    """What a filter with one rule holds, in OVHcloud's words."""

    action: str
    parameter: str
    active: bool
    priority: int
    header: str
    operand: str
    value: str


_QUOTED = r'"((?:[^"\\\r\n]|\\["\\])*)"'
_SCRIPT = re.compile(
    r"# OVHcloud: (accept|account|delete|redirect), (active|inactive), priority (\d{1,9})\n"
    rf"if (allof \(false, )?(not )?header :contains {_QUOTED} {_QUOTED}\)? \{{\n"
    rf"    (keep|discard|redirect {_QUOTED});\n"
    r"    stop;\n"
    r"\}\n?"
)
_COMMANDS = {"accept": "keep", "delete": "discard"}


def filter_of(address: str, found: Fields, rules: list[Fields]) -> Filter:
    """The filter (email.domain.Filter) with its rules (email.domain.Rule)."""
    name = found.text("name")
    action, parameter = found.text("action"), found.text("actionParam")
    active, priority = found.flag("active"), found.number("priority") or 0
    said = " and ".join(
        f"{each.text('header')} {each.text('operand')} “{each.text('value')}”" for each in rules
    )
    state = "active" if active else "inactive"
    words = printable(f"{action} {parameter} if {said}; {state}, priority {priority}", 500)
    if len(rules) != 1 or rules[0].text("operand") not in ("contains", "noContains"):
        return Filter(address, name, "", words)
    rule = Rule(
        action,
        parameter,
        active,
        priority,
        *(rules[0].text(each) for each in ("header", "operand", "value")),
    )
    return Filter(address, name, _script(rule, address), words)


def rule_of(extra: Filter) -> Rule | None:
    """What OVHcloud is to be told; None for a script that it can't have."""
    found = _SCRIPT.fullmatch("\n".join(extra.script.splitlines()) + "\n")
    if found is None:
        return None
    action, state, priority, never, negated, header, value, command, to = found.groups()
    if (state == "inactive") is not bool(never) or (command in ("keep", "discard")) is not (
        action in _COMMANDS
    ):
        return None
    parameter = _plain(to or "")
    if action == "account":
        local, _, domain = parameter.rpartition("@")
        if not same(f"x@{domain}", f"x@{extra.address.rpartition('@')[2]}"):
            return None
        parameter = local
    return Rule(
        action,
        parameter,
        state == "active",
        int(priority),
        _plain(header),
        "noContains" if negated else "contains",
        _plain(value),
    )


def _script(rule: Rule, address: str) -> str:
    texts = (rule.header, rule.value, rule.parameter)
    if any(not each.isprintable() for each in texts) or rule.action not in (
        *_COMMANDS,
        *("account", "redirect"),
    ):
        return ""
    to = rule.parameter
    if rule.action == "account" and "@" not in to:
        to = f"{to}@{address.rpartition('@')[2]}"
    command = _COMMANDS.get(rule.action) or f"redirect {_string(to)}"
    negated = "not " if rule.operand == "noContains" else ""
    test = f"{negated}header :contains {_string(rule.header)} {_string(rule.value)}"
    if not rule.active:
        test = f"allof (false, {test})"
    state = "active" if rule.active else "inactive"
    return (
        f"# OVHcloud: {rule.action}, {state}, priority {rule.priority}\n"
        f"if {test} {{\n    {command};\n    stop;\n}}\n"
    )


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
