"""Microsoft Graph's published schema (v1.0 CSDL), read as far as a simulator needs it to judge what
is asked and what is answered.

The schema isn't in this repository: it is looked for in `data/` beside it, or where MAILHAUL_DATA
says. Without it a simulator judges by its own tables alone.
"""

import functools
import gzip
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

FILE = "graph-v1.0-Prod.csdl.gz"
_ROOT = Path(__file__).parents[2]
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_NAMESPACE = "microsoft.graph"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(slots=True)
class Kind:
    """An entity or complex type: its own properties, and those that lead to other entities."""

    base: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """An action bound to a type; parameters with their types, and those that may be left out."""

    bound: str
    parameters: Mapping[str, str]
    optional: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: to a type, maybe many of it, or to an action."""

    kind: str
    many: bool = False
    action: Action | None = None
    open_ended: bool = False
    """It is a property, and no entity."""


@dataclass(slots=True)
class Schema:
    kinds: dict[str, Kind] = field(default_factory=dict)
    words: dict[str, frozenset[str]] = field(default_factory=dict)
    actions: dict[str, list[Action]] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> Place | None:
        """Where the path leads; None where the schema knows no such path."""
        first, *rest = (unquote(step) for step in path.strip("/").split("/"))
        if first not in self.sets:
            return None
        here = Place(self.sets[first], many=True)
        for step in rest:
            following = self._step(here, step)
            if following is None:
                return None
            here = following
        return here

    def _step(self, here: Place, step: str) -> Place | None:
        if here.action is not None:
            return None
        if here.many:
            return Place(here.kind) if step else None
        if (link := self._of(here.kind, step, links=True)) is not None:
            return _placed(link)
        if (typed := self._of(here.kind, step, links=False)) is not None:
            placed = _placed(typed)
            return Place(placed.kind, placed.many, open_ended=True)
        for action in self.actions.get(step, []):
            if action.bound in self.line(here.kind):
                return Place(here.kind, action=action)
        return None

    def line(self, kind: str) -> Iterator[str]:
        """The type and all that it is built on."""
        while kind in self.kinds:
            yield kind
            kind = self.kinds[kind].base

    def _of(self, kind: str, name: str, *, links: bool) -> str | None:
        for each in self.line(kind):
            found = self.kinds[each].links if links else self.kinds[each].properties
            if name in found:
                return found[name]
        return None

    def names(self, kind: str, *, derived: bool = False) -> set[str]:
        """The properties of the type; `derived`: of all built on it too, as a list of directory
        objects has them."""
        kinds = {kind}
        if derived:
            kinds |= {each for each in self.kinds if kind in self.line(each)}
        return {
            name
            for some in kinds
            for each in self.line(some)
            for name in (*self.kinds[each].properties, *self.kinds[each].links)
        }

    def wrong(self, kind: str, value: object, where: str = "") -> Iterator[str]:
        """Everything in the value that the type doesn't allow."""
        if kind.startswith("Collection("):
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for number, each in enumerate(value):
                yield from self.wrong(kind[11:-1], each, f"{where}[{number}]")
        elif kind in self.words:
            if value not in self.words[kind]:
                yield f"{where} is {value!r}, none of {sorted(self.words[kind])}"
        elif kind in self.kinds:
            yield from self._object(kind, value, where)
        elif not _plain(kind, value):
            yield f"{where} is {value!r}, no {kind}"

    def _object(self, kind: str, value: object, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        told = str(value.get("@odata.type", "")).removeprefix("#").removeprefix(f"{_NAMESPACE}.")
        if told and kind not in self.line(told):
            yield f"{where} says it is a {told}, no {kind}"
        kind = told or kind
        for name, each in value.items():
            if name.startswith("@odata."):
                continue
            typed = self._of(kind, name, links=False) or self._of(kind, name, links=True)
            if typed is None:
                yield f"{where}.{name}: {kind} has no such property"
            elif each is not None:
                yield from self.wrong(typed, each, f"{where}.{name}")


def _placed(typed: str) -> Place:
    many = typed.startswith("Collection(")
    return Place(typed[11:-1] if many else typed, many)


def _plain(kind: str, value: object) -> bool:
    match kind:
        case "Edm.Boolean":
            return isinstance(value, bool)
        case "Edm.Int16" | "Edm.Int32" | "Edm.Int64":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Edm.Guid":
            return isinstance(value, str) and _GUID.fullmatch(value) is not None
        case "Edm.DateTimeOffset":
            return isinstance(value, str) and _TIME.fullmatch(value) is not None
        case "Edm.String":
            return isinstance(value, str)
        case _:
            return False


def schema_file() -> Path | None:
    """Where the schema lies; None where there is none."""
    named = os.environ.get("MAILHAUL_DATA")
    place = Path(named) if named else _ROOT.parent / "shared" / "data"
    return place / FILE if (place / FILE).is_file() else None


@functools.cache
def graph_schema() -> Schema | None:
    """The schema; None where it isn't there. Read once a run."""
    file = schema_file()
    return None if file is None else read_schema(gzip.decompress(file.read_bytes()))


def read_schema(text: bytes) -> Schema:
    """The schema that the XML writes; other namespaces than Graph's own are left out."""
    found = Schema()
    for schema in ElementTree.fromstring(text).iter(f"{_EDM}Schema"):
        if schema.get("Namespace") == _NAMESPACE:
            for each in schema:
                _read(found, each)
    return found


def _read(found: Schema, each: ElementTree.Element) -> None:
    tag, name = each.tag.removeprefix(_EDM), each.get("Name", "")
    if tag == "EnumType":
        members = each.findall(f"{_EDM}Member")
        found.words[name] = frozenset(member.get("Name", "") for member in members)
    elif tag in ("EntityType", "ComplexType"):
        found.kinds[name] = Kind(
            _short(each.get("BaseType", "")),
            _typed(each, "Property"),
            _typed(each, "NavigationProperty"),
        )
    elif tag == "Action" and each.get("IsBound") == "true":
        first, *rest = each.findall(f"{_EDM}Parameter")
        parameters = {one.get("Name", ""): _short(one.get("Type", "")) for one in rest}
        optional = frozenset(one.get("Name", "") for one in rest if one.get("Nullable") != "false")
        action = Action(_short(first.get("Type", "")), parameters, optional)
        found.actions.setdefault(name, []).append(action)
    elif tag == "EntityContainer":
        for one in each:
            if one.get("EntityType"):
                found.sets[one.get("Name", "")] = _short(one.get("EntityType", ""))


def _typed(each: ElementTree.Element, tag: str) -> dict[str, str]:
    return {one.get("Name", ""): _short(one.get("Type", "")) for one in each.findall(_EDM + tag)}


def _short(name: str) -> str:
    return name.replace(f"{_NAMESPACE}.", "").replace("graph.", "")
