"""The schema for editors, and the page that says the same."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from mailhaul.plan.load import load_plan
from mailhaul.plan.model import System
from mailhaul.plan.presets import PRESETS, Side, budget_of, preset_for
from mailhaul.plan.schema import plan_schema

PAGE = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def example() -> tuple[str, str]:
    """The plan and the list that the page shows."""
    found = dict(re.findall(r"^```(toml|csv)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    return found["toml"], found["csv"]


def tables() -> Iterator[tuple[str, dict[str, Any]]]:
    schema = plan_schema()
    yield "Plan", schema
    for name, table in schema["$defs"].items():
        if "properties" in table:
            yield name, table


def rule_for(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rpartition("/")[2]]}
    return schema


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """What an editor would mark: keys, kinds and choices. TOML's times are texts to an editor."""
    rule = rule_for(schema, root)
    kinds = {"object": dict, "array": list, "integer": int, "boolean": bool}
    if isinstance(value, datetime | date | time):
        value = str(value)
    kind = rule.get("type")
    if kind == "string" and not isinstance(value, str):
        yield f"{at}: no text"
    elif kind in kinds and not isinstance(value, kinds[kind]):
        yield f"{at}: no {kind}"
    elif "enum" in rule and value not in rule["enum"]:
        yield f"{at}: none of the choices"
    elif "pattern" in rule and not re.search(rule["pattern"], value):
        yield f"{at}: no match"
    elif isinstance(value, dict):
        known = rule.get("properties", {})
        for key in rule.get("required", []):
            if key not in value:
                yield f"{at}: {key} is missing"
        for key, inner in value.items():
            if key in known:
                yield from faults(inner, known[key], root, f"{at}.{key}")
            elif rule.get("additionalProperties") is False:
                yield f"{at}: {key} is unknown"
    elif isinstance(value, list):
        for inner in value:
            yield from faults(inner, rule["items"], root, at)


def test_the_example_of_the_page_is_a_plan(tmp_path: Path) -> None:
    plan, mailboxes = example()
    (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text(mailboxes, encoding="utf-8")
    loaded = load_plan(tmp_path / "plan.toml", now=NOW)
    assert [wave.name for wave in loaded.waves] == ["pilot", "all"]
    assert len(loaded.mailboxes) == 3


def test_the_example_satisfies_the_schema() -> None:
    schema = plan_schema()
    assert list(faults(tomllib.loads(example()[0]), schema, schema)) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('nam = "x"', "nam is unknown"),
        ("time_zone = 1", ".time_zone: no text"),
        ('[carry]\norder = "newest"', "none of the choices"),
        ('[sweeps]\nevery = "1 hour"', "no match"),
        ("[source]\nconnections_each = 1", "url is missing"),
    ],
)
def test_the_schema_marks_what_is_wrong(line: str, fault: str) -> None:
    schema = plan_schema()
    assert any(fault in each for each in faults(tomllib.loads(line), schema, schema))


def test_the_schema_is_json_and_knows_no_mailboxes() -> None:
    schema = json.loads(json.dumps(plan_schema()))
    assert "mailboxes" not in schema["properties"]
    assert '"null"' not in json.dumps(schema)


@pytest.mark.parametrize(("name", "table"), list(tables()), ids=[name for name, _ in tables()])
def test_every_key_is_explained_in_the_schema_and_on_the_page(
    name: str, table: dict[str, Any]
) -> None:
    for key, rule in table["properties"].items():
        text = " ".join(rule.get("description", "").split())
        assert text, key
        assert re.search(rf"^\| `{key}` \| .*\| {re.escape(text)} \|$", PAGE, re.MULTILINE), key


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_stands_on_the_page_and_holds_to_its_remark(name: str) -> None:
    assert f"| `{name}` | {PRESETS[name].remark} |" in PAGE


@pytest.mark.parametrize(
    ("host", "preset"),
    [
        ("imap.gmail.com", "gmail"),
        ("outlook.office365.com", "exchange-online"),
        ("ssl0.ovh.net", "ovh"),
        ("ex3.mail.ovh.net", "ovh"),
        ("imap.mail.yahoo.com", "yahoo"),
        ("imap.notgmail.com.example", "generic"),
        ("notgmail.com", "generic"),
        ("IMAP.GMAIL.COM.", "gmail"),
    ],
)
def test_a_host_has_its_preset(host: str, preset: str) -> None:
    assert preset_for(host) == preset


BUDGETS: list[tuple[str, dict[str, Any], Side, dict[str, Any]]] = [
    ("nothing said", {}, Side.SOURCE, {"connections": None, "octets_per_day_each": None}),
    ("out of Gmail", {"preset": "gmail"}, Side.SOURCE, {"octets_per_day_each": 2_500_000_000}),
    ("into Gmail", {"preset": "gmail"}, Side.TARGET, {"octets_per_day_each": 500_000_000}),
    (
        "the plan's own figure",
        {"preset": "gmail", "budget": {"octets_per_day_each": 7, "connections": 3}},
        Side.TARGET,
        {"octets_per_day_each": 7, "connections": 3},
    ),
    (
        "one figure leaves the others",
        {"preset": "generic", "budget": {"octets_per_day": 5}},
        Side.SOURCE,
        {"connections": 20, "octets_per_day": 5},
    ),
]


@pytest.mark.parametrize(
    ("system", "side", "figures"), [row[1:] for row in BUDGETS], ids=[row[0] for row in BUDGETS]
)
def test_a_systems_budget(system: dict[str, Any], side: Side, figures: dict[str, Any]) -> None:
    budget = budget_of(System(url="imaps://{address}@h", **system), side)
    assert {name: getattr(budget, name) for name in figures} == figures
