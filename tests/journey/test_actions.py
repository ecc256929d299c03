"""The plan knows the names of all that the journey tells, and no others."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mailhaul.journey
from mailhaul.journey.account_states import MoveTrigger
from mailhaul.journey.domain_states import DomainTrigger
from mailhaul.journey.states import Trigger
from mailhaul.plan.actions import ACTIONS

NAMED_AT = {"Record": 0, "_tell": 2}
"""Which argument of what makes a record is its action."""


def written_down() -> Iterator[str]:
    """Every action that stands in the code of the journey as a word."""
    for file in Path(mailhaul.journey.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = NAMED_AT.get(node.func.id)
            if place is not None and len(node.args) > place:
                action = node.args[place]
                if isinstance(action, ast.Constant):
                    yield str(action.value)


def test_the_names_are_those_of_the_log() -> None:
    triggers = {trigger.name.lower() for trigger in (*Trigger, *DomainTrigger, *MoveTrigger)}
    assert sorted(ACTIONS) == sorted(triggers | set(written_down()))
