"""The JSON Schema of plan.toml, drawn from the models, for editors that check and complete."""

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from mailhaul.plan.durations import PATTERN, duration_text
from mailhaul.plan.model import LOADED, Plan

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DURATIONS = TypeAdapter(timedelta)


def plan_schema() -> dict[str, Any]:
    """The schema. It knows names and kinds of values; what only the whole plan can tell (waves
    without mailboxes, times that are past) is for `mailhaul plan check`."""
    schema = Plan.model_json_schema(by_alias=True)
    for name in LOADED:
        del schema["properties"][name]
    del schema["$defs"]["ListedMailbox"]
    schema = _plain(schema)
    return {"$schema": DRAFT, **schema, "title": "mailhaul plan", "description": _about()}


def _about() -> str:
    return "What moves from where to where, when, and under which rules (docs/plan.md)."


def _plain(value: Any) -> Any:
    """Without what editors trip over: TOML has no null, its times need no offset, and titles that
    only repeat a key."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    choices = value.get("anyOf")
    if choices and {"type": "null"} in choices:
        left = [each for each in choices if each != {"type": "null"}]
        value = {key: each for key, each in value.items() if key not in ("anyOf", "default")}
        value |= left[0] if len(left) == 1 else {"anyOf": left}
    kept = {
        key: each if key == "default" else _plain(each)
        for key, each in value.items()
        if each is not None and not (key == "title" and isinstance(each, str))
    }
    if kept.get("format") in ("duration", "date-time", "time"):
        del kept["format"]
    if "examples" in kept and "90s" in kept["examples"]:
        kept["pattern"] = f"^{PATTERN}$"
        if "default" in kept:
            kept["default"] = duration_text(_DURATIONS.validate_python(kept["default"]))
    return kept
