"""Reads the notation of `ovh_routes`, and holds requests and answers to it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

_ROUTE = re.compile(r"(\S+) (\S+)((?: \?\S+)*)(?: \{(.*)\})? -> (\S+)")


@dataclass(frozen=True)
class Member:
    """A field of a body or a model, or a parameter."""

    type: str
    required: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Route:
    """One operation. `model`: the body is that model's fields."""

    method: str
    path: str
    query: Mapping[str, Member]
    body: Mapping[str, Member] | None
    model: str
    answer: str


@dataclass(frozen=True)
class Book:
    """All routes, models and enumerations."""

    routes: tuple[Route, ...]
    models: Mapping[str, Mapping[str, Member]]
    words: Mapping[str, frozenset[str]]

    def found(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of that request, and what stands for its names. Plain words go before names."""
        asked = path.split("/")
        for route in self.routes:
            wanted = route.path.split("/")
            if route.method != method or len(wanted) != len(asked):
                continue
            names = {}
            for want, have in zip(wanted, asked, strict=True):
                if want.startswith("{"):
                    names[want.strip("{}")] = unquote(have, errors="strict")
                elif want != have:
                    break
            else:
                return route, names
        return None

    def faults(self, members: Mapping[str, Member], given: Mapping[str, object]) -> Iterator[str]:
        """What is wrong with what was sent."""
        for name, value in given.items():
            member = members.get(name)
            if member is None:
                yield f"{name} is not described"
            elif member.read_only:
                yield f"{name} is read only"
            elif not self.fits(member.type, value):
                yield f"{name} is no {member.type}"
        yield from (
            f"{name} is missing"
            for name, member in members.items()
            if member.required and name not in given
        )

    def fits(self, type_: str, value: object) -> bool:
        """Whether the value is of the type. A model's fields may be left out, not added to."""
        if type_.endswith("?"):
            return value is None or self.fits(type_[:-1], value)
        if type_.endswith("[]"):
            return isinstance(value, list) and all(self.fits(type_[:-2], each) for each in value)
        if type_ in self.words:
            return value in self.words[type_]
        match type_:
            case "void":
                return value is None
            case "string":
                return isinstance(value, str)
            case "boolean":
                return isinstance(value, bool)
            case "long":
                return isinstance(value, int) and not isinstance(value, bool)
            case "double":
                return isinstance(value, int | float) and not isinstance(value, bool)
            case "datetime":
                return isinstance(value, str) and _moment(value)
        members = self.models[type_]
        return isinstance(value, dict) and all(
            name in members and self.fits(members[name].type, each) for name, each in value.items()
        )


def book(routes: str, models: str) -> Book:
    """The texts, read."""
    shapes: dict[str, Mapping[str, Member]] = {}
    words: dict[str, frozenset[str]] = {}
    for line in filter(None, models.splitlines()):
        name, sign, rest = line.split(" ", 2)
        if sign == "=":
            words[name] = frozenset(each.replace("_EXCHANGE", " EXCHANGE") for each in rest.split())
        else:
            shapes[name] = dict(map(_member, rest.split()))
    found = []
    for line in filter(None, routes.splitlines()):
        parsed = _ROUTE.fullmatch(line)
        assert parsed is not None, line
        method, path, query, body, answer = parsed.groups()
        model = body[1:] if body and body.startswith("@") else ""
        members = shapes[model] if model else dict(map(_member, body.split())) if body else None
        asked = dict(_member(each[1:]) for each in query.split())
        found.append(Route(method, path, asked, members, model, answer))
    found.sort(key=lambda route: route.path.count("{"))
    return Book(tuple(found), shapes, words)


def _member(text: str) -> tuple[str, Member]:
    name, _, type_ = text.partition(":")
    return name.rstrip("*!"), Member(type_, "*" in name, "!" in name)


def _moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
