"""The values of plan.toml made into a `Plan`, or what is wrong with their names and kinds.

pydantic finds what is wrong; the words are ours. What is wrong is taken out and the rest tried
again, so that the checks across the whole plan can still be made and everything is told at once.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailhaul.plan.mistakes import HIDDEN, Mistake, shown, suggestion
from mailhaul.plan.model import LOADED, Plan
from mailhaul.plan.toml_lines import Place

UNKNOWN = "?"
"""Stands for a name or an endpoint that is missing; the checks pass it over."""

_ROUNDS = 10
_STAND_INS: dict[str, object] = {
    "name": UNKNOWN,
    "url": UNKNOWN,
    "source": {"url": UNKNOWN},
    "target": {"url": UNKNOWN},
}
_A_KIND = "static"
"""Of a provider; checks look at no more of it."""
_MISSING = {
    "name": 'write name = "…"',
    "url": 'write url = "imaps://{address}@host"',
    "source": 'write a table [source] with url = "imaps://{address}@old.example"',
    "target": 'write a table [target] with url = "imaps://{address}@new.example"',
    "start": 'write start = "20:00" and end = "06:00"',
    "end": 'write start = "20:00" and end = "06:00"',
}
_SECRET_WORDS = ("pass", "secret", "token", "pwd")
_MOMENT_CURE = "write a date and a time, like 2026-12-04 20:00:00, without quotes"
_WALL_CURE = 'write a time of day, like "20:00"'


class Lines:
    """Where what stands in plan.toml."""

    def __init__(self, file: str, lines: Mapping[Place, int]) -> None:
        self.file = file
        self._lines = lines

    def line(self, *place: str | int) -> int:
        """The line of `place`, or of the nearest thing around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def mistake(self, place: Place, value: object, text: str, cure: str) -> Mistake:
        """A mistake about the value at `place`; None when there is no value."""
        return Mistake(self.file, self.line(*place), written(place, value), text, cure)


def written(place: Place, value: object) -> str:
    """`key = value` as a person wrote it; what may be a secret is hidden, and so is a table."""
    keys = [part for part in place if isinstance(part, str)]
    name = shown(".".join(keys))
    if value is None:
        return ""
    if any(word in key.lower() for key in keys for word in _SECRET_WORDS):
        return f"{name} = {HIDDEN}"
    if isinstance(value, dict | list):
        return name
    return f"{name} = {shown(value)}"


def shaped(raw: dict[str, Any], lines: Lines) -> tuple[Plan | None, list[Mistake]]:
    """The plan of `raw` (without mailboxes), as far as it can be made, and what is wrong."""
    raw = deepcopy(raw)
    mistakes: list[Mistake] = []
    for _ in range(_ROUNDS):
        try:
            return Plan.model_validate(raw), mistakes
        except ValidationError as error:
            details = error.errors(include_url=False)
        mistakes += [_mistake(detail, lines) for detail in details]
        # From the last, so that the places of those before it still hold.
        for detail in reversed(details):
            _take_out(raw, detail)
    return None, mistakes


def _take_out(raw: dict[str, Any], detail: ErrorDetails) -> None:
    place = _place(detail)
    around: Any = raw
    for part in place[:-1]:
        try:
            around = around[part]
        except (KeyError, IndexError, TypeError):
            return
    last = place[-1]
    if place[-2:] == ("provider", "kind"):
        around["kind"] = _A_KIND
    elif detail["type"] == "missing" and last in _STAND_INS and isinstance(around, dict):
        around[last] = deepcopy(_STAND_INS[str(last)])
    elif detail["type"] == "missing":
        raw.pop(str(place[0]), None)
    elif last in ("name", "url", "source", "target") and last in around:
        around[last] = deepcopy(_STAND_INS[str(last)])
    elif last in ("start", "end"):
        # Hours are whole or not at all.
        raw.pop(str(place[0]), None)
    elif isinstance(around, dict):
        around.pop(last, None)
    elif isinstance(around, list):
        del around[int(last)]


def _place(detail: ErrorDetails) -> Place:
    """Without pydantic's mark for a mapping's key."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _mistake(detail: ErrorDetails, lines: Lines) -> Mistake:
    place = _place(detail)
    if detail["type"] == "missing":
        around = ".".join(str(part) for part in place[:-1] if isinstance(part, str))
        text = f"{place[-1]} is missing" + (f" in [{around}]" if around else "")
        cure = _MISSING.get(str(place[-1]), "add it")
        return Mistake(lines.file, lines.line(*place[:-1]), "", text, cure)
    if detail["type"] == "extra_forbidden":
        # Whatever stands there: it may be a secret under a misspelt name.
        return lines.mistake(place, {}, "this key is not known", _known_cure(place))
    text, cure = _words(detail)
    return lines.mistake(place, detail["input"], text, cure)


def _words(detail: ErrorDetails) -> tuple[str, str]:
    kind = detail["type"]
    context = detail.get("ctx", {})
    for prefix, words in _WORDS:
        if kind.startswith(prefix):
            return words(context)
    if kind == "value_error":
        return _own_words(str(context["error"]))
    return detail["msg"][:1].lower() + detail["msg"][1:], "see docs/plan.md"


def _own_words(said: str) -> tuple[str, str]:
    """Texts of our own validators: a fact with its cure, or one of them."""
    fact, separator, cure = said.partition("; ")
    if separator:
        return fact, cure
    if "time" in said or "date" in said:
        return said, _WALL_CURE if "time of day" in said and "has no" not in said else _MOMENT_CURE
    return "this is no duration" if said.startswith("write") else said, said


def _enum_words(context: Mapping[str, Any]) -> tuple[str, str]:
    return "this is none of the choices", f"write {context['expected']}"


_WORDS: tuple[tuple[str, Callable[[Mapping[str, Any]], tuple[str, str]]], ...] = (
    ("string_too_short", lambda _: ("this is empty", "write something, or leave it out")),
    ("string_too_long", lambda at: ("this is too long", f"at most {at['max_length']} characters")),
    ("string", lambda _: ("this is no text", "put it into quotes")),
    ("int", lambda _: ("this is no whole number", "write digits only, without quotes")),
    ("float", lambda _: ("this is no number", "write it without quotes")),
    ("finite", lambda _: ("this is no number", "write it in digits")),
    ("bool", lambda _: ("this is neither yes nor no", "write true or false, without quotes")),
    ("greater_than_equal", lambda at: ("this is too small", f"write {at['ge']} or more")),
    ("greater_than", lambda at: ("this is too small", f"write more than {at['gt']:g}")),
    ("less_than_equal", lambda at: ("this is too large", f"write {at['le']} or less")),
    ("enum", _enum_words),
    ("datetime", lambda _: ("this is no date and time", _MOMENT_CURE)),
    ("timezone", lambda _: ("this is no date and time", _MOMENT_CURE)),
    ("time", lambda _: ("this is no time of day", _WALL_CURE)),
    ("tuple", lambda _: ("this is no list", 'write it in brackets, like ["one", "two"]')),
    ("dict", lambda _: ("this is no table", "write it as a table")),
    ("model", lambda _: ("this is no table", "write it under a heading in brackets")),
)
"""By pydantic's kinds of errors (docs.pydantic.dev, Validation Errors); the first that fits."""


def _known_cure(place: Place) -> str:
    """What was meant: a key like it here, or the same key of another table."""
    names = [part for part in place if isinstance(part, str)]
    here = _fields(_model_at(names[:-1]))
    meant = suggestion(names[-1], here)
    if meant:
        return meant
    if any(word in names[-1].lower() for word in _SECRET_WORDS):
        return 'a plan names only where secrets lie: write secret = "file:PATH" or the like'
    elsewhere = [table for table, keys in _tables(Plan, "") if names[-1] in keys and table]
    if elsewhere:
        return f"it belongs under [{'] or ['.join(elsewhere)}]"
    if names[-1] in _fields(Plan):
        return "it belongs at the top, before the first table"
    return f"there are {', '.join(here)}" if here else "take it out"


def _model_at(names: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Plan
    for name in names:
        model = _fields(model).get(name)
    return model


def _fields(model: type[BaseModel] | None) -> dict[str, type[BaseModel] | None]:
    """The keys of a table, each with the table that it holds, if it does."""
    if model is None:
        return {}
    return {
        field.alias or name: _inner(field.annotation)
        for name, field in model.model_fields.items()
        if model is not Plan or name not in LOADED
    }


def _inner(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _inner(each))), None)


def _tables(model: type[BaseModel], name: str) -> Iterator[tuple[str, frozenset[str]]]:
    fields = _fields(model)
    yield name, frozenset(fields)
    for key, inner in fields.items():
        if inner is not None:
            yield from _tables(inner, f"{name}.{key}".removeprefix("."))
