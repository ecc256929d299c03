"""The simulator's routes are those that OVHcloud publishes, wherever it publishes them."""

import json
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.providers.ovh_routes import PUBLISHED, PUBLISHED_MODELS, REFERENCE, REFERENCE_MODELS
from tests.providers.ovh_schema import Member, book

DATA = Path(os.environ.get("MAILHAUL_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
FILES = ("ovh-emailmxplan", "ovh-emailpro", "ovh-domain")
BOOK = book(PUBLISHED + REFERENCE, PUBLISHED_MODELS + REFERENCE_MODELS)
OURS = book(PUBLISHED, PUBLISHED_MODELS)


@cache
def published() -> tuple[dict[str, Any], dict[str, Any]]:
    """Paths and models of all files."""
    paths: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for name in FILES:
        file = DATA / f"{name}.openapi.json"
        if not file.exists():
            warnings.warn(f"not compared with OVHcloud's OpenAPI: no {file.name}", stacklevel=1)
            pytest.skip(f"there is no {file.name}; say where by MAILHAUL_DATA")
        found = json.loads(file.read_text())
        paths |= found["paths"]
        models |= found["components"]["schemas"]
    return paths, models


def written(schema: dict[str, Any]) -> str:
    """A schema's type in our notation."""
    null = "?" if schema.get("nullable") else ""
    if "allOf" in schema:
        return written(schema["allOf"][0]) + null
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2] + null
    if schema.get("type") == "array":
        return f"{written(schema['items'])}[]{null}"
    words = {"integer": "long", "number": "double", None: "void"}
    return words.get(schema.get("type"), str(schema.get("type"))) + null


def content(of: dict[str, Any]) -> dict[str, Any]:
    return dict(of.get("content", {}).get("application/json", {}).get("schema", {}))


def test_routes_are_as_they_are_published() -> None:
    paths, _ = published()
    for route in OURS.routes:
        found = paths[route.path][route.method.lower()]
        query = {
            each["name"]: written(each["schema"])
            for each in found.get("parameters", [])
            if each["in"] == "query"
        }
        assert {n: each.type for n, each in route.query.items()}.items() <= query.items(), route
        assert written(content(found["responses"]["200"])) == route.answer, route
        body = content(found.get("requestBody", {}))
        if route.model:
            assert written(body) == route.model, route
        elif route.body is None:
            assert not body.get("properties"), route
        else:
            named = {name: written(each) for name, each in body["properties"].items()}
            assert {n: each.type for n, each in route.body.items()}.items() <= named.items(), route
            required = {name for name, each in route.body.items() if each.required}
            assert required == set(body["required"]), route


def test_models_are_as_they_are_published() -> None:
    _, models = published()
    for name, members in OURS.models.items():
        found = models[name]
        required = found.get("required", [])
        there = {
            field: Member(written(each), field in required, bool(each.get("readOnly")))
            for field, each in found["properties"].items()
        }
        assert members.items() <= there.items(), name
        assert {field for field, each in there.items() if each.required} <= set(members), name


def test_enumerations_are_as_they_are_published() -> None:
    _, models = published()
    for name, words in OURS.words.items():
        assert words <= set(models[name]["enum"]), name


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("string", "a", 1),
        ("long", 1, True),
        ("long?", None, "1"),
        ("boolean", False, 0),
        ("string[]", ["a"], ["a", None]),
        ("datetime", "2026-01-31T10:00:00+00:00", "2026-01-31T10:00:00"),
        ("email.pro.TaskStatusEnum", "done", "finished"),
        ("email.pro.Dkim", {"selectorName": "a"}, {"selector": "a"}),
        ("void", None, {}),
    ],
)
def test_what_does_not_fit_its_type_is_seen(type_: str, good: object, bad: object) -> None:
    assert BOOK.fits(type_, good)
    assert not BOOK.fits(type_, bad)
