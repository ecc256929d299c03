"""Actions and extras as JSON, to be written down before they are begun, and in words for people.

What was written is read back equal, by whatever version: names of kinds and fields are what they
are called in `actions`, `extras` and `service`, and a renamed one would need its old name here.
"""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, TypeGuard, Union, get_args, get_origin, get_type_hints

from mailhaul.core.errors import BadInput
from mailhaul.core.text import octets, printable
from mailhaul.providers import actions as kinds
from mailhaul.providers.actions import Action
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
)
from mailhaul.providers.service import Mode

LONGEST = 1_000_000
"""Characters of one action; a filter's script is the longest thing in it."""

_ACTIONS: Mapping[str, type] = {each.__name__: each for each in get_args(Action)}
_EXTRAS: Mapping[str, type] = {each.__name__: each for each in get_args(Extra)}


def written(action: Action) -> str:
    """The action in one line of JSON; equal actions are equal texts."""
    return json.dumps(_plain(action), sort_keys=True)


def action_of(text: str) -> Action:
    """The action that was written. Raises `BadInput` for anything else, an unknown kind or field
    too: nothing is begun that isn't understood to the letter."""
    action: Action = _built(_parsed(text), _ACTIONS)
    return action


def written_extra(extra: Extra) -> str:
    """The extra in one line of JSON; equal extras are equal texts."""
    return json.dumps(_plain(extra), sort_keys=True)


def extra_of(text: str) -> Extra:
    """The extra that was written. Raises `BadInput` like `action_of`."""
    extra: Extra = _built(_parsed(text), _EXTRAS)
    return extra


def told(action: Action) -> str:
    """The action as one printable sentence without its full stop, said as a thing to do."""
    match action:
        case kinds.Create(address=address, quota=quota):
            said = f"make the account {address}"
            said += "" if quota is None else f" of {octets(quota)}"
        case kinds.Configure(placeholder=placeholder, address=address):
            said = f"configure {placeholder} as {address}"
        case kinds.Release(address=address, placeholder=placeholder):
            said = f"turn {address} back into the unconfigured account {placeholder}"
        case kinds.Rename(address=address, to=to):
            said = f"rename {address} to {to}"
        case kinds.Lock(address=address):
            said = f"lock {address}"
        case kinds.Unlock(address=address):
            said = f"unlock {address}"
        case kinds.Delete(address=address, empty=empty):
            said = f"delete the account {address}" + (" if it holds no mail" if empty else "")
        case kinds.Add(extra=extra):
            said = f"add {told_extra(extra)}"
        case kinds.Remove(extra=extra):
            said = f"remove {told_extra(extra)}"
        case kinds.Attach(domain=domain, mode=mode, relay=relay):
            said = f"attach the domain {domain}, {_mode(mode, relay)}"
        case kinds.Detach(domain=domain):
            said = f"detach the domain {domain}"
        case kinds.SetMode(domain=domain, mode=mode, relay=relay):
            said = f"make the domain {domain} {_mode(mode, relay)}"
        case kinds.HandOver(address=address, service=service, placeholder=placeholder):
            said = f"have the provider carry {address} into {placeholder} of {service}"
    return printable(said, 500)


def told_extra(extra: Extra) -> str:
    """The extra as a printable noun: the alias a@b of c@d."""
    match extra:
        case Alias(address, alias):
            said = f"the alias {alias} of {address}"
        case Redirection(address, to, copy):
            said = f"the redirection from {address} to {to}" + (", keeping a copy" if copy else "")
        case Responder(address):
            said = f"the auto-reply of {address}"
        case Filter(address, name):
            said = f"the filter “{name}” of {address}"
        case Delegation(address, to, right):
            said = f"{to}'s right “{right.value}” on {address}"
        case Group(address, members):
            said = f"the group {address} of {len(members)}"
        case Remark(address, kind, text):
            said = f"{kind} of {address}: {text}"
    return printable(said, 400)


def _mode(mode: Mode, relay: str) -> str:
    return f"{mode.value}, unknown recipients going on to {relay}" if relay else mode.value


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case None | str() | bool() | int():
            return value
        case tuple():
            return list(value)
        case _:
            found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
            return {"is": type(value).__name__, **found}


def _parsed(text: str) -> object:
    if len(text) > LONGEST:
        raise BadInput(f"an action of {len(text):,} characters can't be one; at most {LONGEST:,}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(text, "is no JSON") from error


def _built(parsed: object, kinds_here: Mapping[str, type]) -> Any:
    """A value of one of these kinds."""
    if not isinstance(parsed, dict):
        raise _unreadable(parsed, "is no object")
    kind = kinds_here.get(str(parsed.get("is")))
    if kind is None:
        raise _unreadable(parsed.get("is"), "is no kind of them that this version knows")
    hints = get_type_hints(kind)
    given = {name: value for name, value in parsed.items() if name != "is"}
    expected: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}
    if unknown := given.keys() - expected.keys():
        raise _unreadable(sorted(unknown), f"is no field of {kind.__name__}")
    for name, each in expected.items():
        if name not in given and each.default is MISSING:
            raise _unreadable(name, f"is missing in {kind.__name__}")
    return kind(**{name: _field(value, hints[name], name) for name, value in given.items()})


def _field(value: object, hint: Any, name: str) -> object:
    if hint == Extra:
        return _built(value, _EXTRAS)
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        if option is types.NoneType and value is None:
            return None
        if option in (str, bool, int) and type(value) is option:
            return value
        if isinstance(option, type) and issubclass(option, StrEnum) and value in list(option):
            return option(str(value))
        if get_origin(option) is tuple and _texts(value):
            return tuple(value)
    raise _unreadable(value, f"can't be “{name}”")


def _texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(type(each) is str for each in value)


def _unreadable(what: object, why: str) -> BadInput:
    return BadInput(
        f"what was written down can't be read: {printable(str(what), 100)} {why}; "
        "was it written by a newer mailhaul?"
    )
