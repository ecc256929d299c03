"""What is written down of an action is read back equal, and nothing else is read."""

import json

import pytest
from hypothesis import given

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.actions import Action, Add, Attach, Create, HandOver, Rename, inverse
from mailhaul.providers.actions_text import (
    action_of,
    extra_of,
    told,
    told_extra,
    written,
    written_extra,
)
from mailhaul.providers.extras import Delegation, Extra, Group, Right
from mailhaul.providers.service import Mode
from tests.providers.strategies import ACTIONS, EXTRAS


@given(ACTIONS)
def test_an_action_is_read_back_as_it_was_written(action: Action) -> None:
    text = written(action)
    assert action_of(text) == action
    assert type(action_of(text)) is type(action)
    assert "\n" not in text
    assert text.isascii()


@given(EXTRAS)
def test_an_extra_is_read_back_as_it_was_written(extra: Extra) -> None:
    assert extra_of(written_extra(extra)) == extra


@given(ACTIONS)
def test_words_are_printable_whatever_a_server_says(action: Action) -> None:
    assert printable(told(action)) == told(action)
    assert told(action)


@given(EXTRAS)
def test_so_are_words_of_extras(extra: Extra) -> None:
    assert printable(told_extra(extra)) == told_extra(extra)


@given(ACTIONS)
def test_the_way_back_leads_back(action: Action) -> None:
    back = inverse(action)
    if back is None:
        return
    there = inverse(back)
    # What was to be there for a new account (name, quota, password) isn't written down twice.
    assert there is None or type(there) is type(action)


def test_what_is_written_stays_what_it_was_in_older_versions() -> None:
    assert json.loads(written(Rename("a@x", "b@x"))) == {
        "is": "Rename",
        "address": "a@x",
        "to": "b@x",
    }
    group = Add(Group("all@x", ("a@x", "b@x")))
    assert json.loads(written(group)) == {
        "is": "Add",
        "extra": {"is": "Group", "address": "all@x", "members": ["a@x", "b@x"], "name": ""},
    }
    right = Add(Delegation("a@x", "b@x", Right.SEND_AS))
    assert json.loads(written(right))["extra"]["right"] == "send as"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"Rename"',
        "{}",
        '{"is": "Explode", "address": "a@x"}',
        '{"is": "Rename", "address": "a@x"}',
        '{"is": "Rename", "address": "a@x", "to": "b@x", "quickly": true}',
        '{"is": "Rename", "address": "a@x", "to": 5}',
        '{"is": "Create", "address": "a@x", "quota": "5"}',
        '{"is": "Create", "address": "a@x", "quota": true}',
        '{"is": "Delete", "address": "a@x", "empty": 1}',
        '{"is": "Attach", "domain": "x", "mode": "somewhat"}',
        '{"is": "Add", "extra": "alias"}',
        '{"is": "Add", "extra": {"is": "Rename", "address": "a@x", "to": "b@x"}}',
        '{"is": "Add", "extra": {"is": "Group", "address": "a@x", "members": ["b@x", 5]}}',
        '{"is": ["Rename"], "address": "a@x", "to": "b@x"}',
        "[" * 100_000,
        '{"is": "Lock", "address": "' + "x" * 1_000_000 + '"}',
    ],
)
def test_what_is_not_understood_to_the_letter_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as raised:
        action_of(text)
    assert str(raised.value).isprintable()


def test_what_was_left_out_is_as_usual() -> None:
    assert action_of('{"is": "Create", "address": "a@x"}') == Create("a@x")
    assert action_of('{"is": "Attach", "domain": "x"}') == Attach("x", Mode.AUTHORITATIVE)


def test_words_say_what_is_done() -> None:
    assert told(Rename("a@x", "b@x")) == "rename a@x to b@x"
    assert (
        told(HandOver("a@x", "ex", "1@configureme.me"))
        == "have the provider carry a@x into 1@configureme.me of ex"
    )
