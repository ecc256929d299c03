"""What a person writes under [source.provider], [target.provider] and [accounts], and each mistake."""
# ruff: noqa: E501 - tables are read by their columns

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from mailhaul.plan.load import load_plan
from mailhaul.plan.model import ProviderKind
from tests.plan.test_mistakes import mistakes, plan

LAB = 'kind = "lab"\nservice = "s"\nsecret = "env:TOKEN"\n'
TARGET = f"[target.provider]\n{LAB}"
BOTH = f"[source.provider]\n{LAB}{TARGET}"

GOOD = [
    ("a provider alone", TARGET),
    ("accounts that are only created", f'{TARGET}[accounts]\npath = "create"'),
    ("accounts that are moved", f"{BOTH}[accounts]"),
    ("accounts left alone", '[accounts]\npath = "none"'),
    (
        "everything",
        f'[gates]\naccounts = ["Kim"]\n{BOTH}[accounts]\npath = "new"\ntemporary = "-old"\nextras = "carry"\nguard = "alias"\nkeep_temporary = "60d"\nbegin = 2030-01-01 20:00:00\npatience = "2h"\npassword = "file:new/{{address}}"\nsafety_copy = "kept/before"',
    ),
]


@pytest.mark.parametrize(("name", "rest"), GOOD)
def test_sections_that_are_good(name: str, rest: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, plan(rest=rest)) == []


BAD = [
    ("no provider at the target", '[accounts]\npath = "create"', "", "where the accounts are made", "[target.provider]"),
    ("no provider at the source", f"{TARGET}[accounts]", "", "where the accounts are", 'path = "create"'),
    ("a kind nobody knows", f"[target.provider]\n{LAB.replace('lab', 'aol')}", "target.provider.kind = aol", "none of the choices", "ovh-mxplan"),
    ("a provider without a kind", '[target.provider]\nservice = "s"', "", "kind is missing in [target.provider]", ""),
    ("a provider's unknown key", f"{TARGET}servce = 1", "target.provider.servce", "not known", "service"),
    ("a secret in the plan", TARGET.replace("env:TOKEN", "hunter2"), "target.provider.secret = ***", "is it the secret", "file:PATH"),
    ("a secret for each mailbox", TARGET.replace("TOKEN", "{user}"), "target.provider.secret = ***", "one login", "leave"),
    ("a password in the address", f'{TARGET}url = "https://me:hunter2@api.example/"', "target.provider.url", "a password", "file:PATH"),
    ("an address that is none", f'{TARGET}url = "https://[x/"', "target.provider.url", "no web address", "https://"),
    ("a line break in a service's name", '[target.provider]\nkind = "lab"\nservice = "a\\nb"', "target.provider.service", "control characters", "take them out"),
    ("a temporary name with a dot at its end", f'{BOTH}[accounts]\ntemporary = "."', "accounts.temporary", "part of an address", "-old"),
    ("a temporary name that is an address", f'{BOTH}[accounts]\ntemporary = "{{user}}-old@x.example"', "accounts.temporary", "part of an address", "-old"),
    ("a path nobody knows", f'{BOTH}[accounts]\npath = "old"', "accounts.path = old", "none of the choices", "legacy"),
    ("a begin that is past", f"{BOTH}[accounts]\nbegin = 2020-01-01 20:00:00", "accounts.begin", "lies in the past", "leave it out"),
    ("a safety copy outside", f'{BOTH}[accounts]\nsafety_copy = "../x"', "accounts.safety_copy", "no directory", "safety"),
    ("a password in the plan", f'{BOTH}[accounts]\npassword = "hunter2"', "accounts.password = ***", "is it the secret", "file:PATH"),
    ("a gate for nothing", '[gates]\naccounts = ["Kim"]', "gates.accounts", "no such gate", "[accounts]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rest", "value", "fact", "cure"), BAD)
def test_a_mistake_in_them(
    name: str, rest: str, value: str, fact: str, cure: str, tmp_path: Path
) -> None:
    found = mistakes(tmp_path, plan(rest=rest))
    assert len(found) == 1, found
    assert value in found[0].value
    assert fact in found[0].text
    assert cure in found[0].cure
    assert "hunter2" not in str(found[0])


def test_what_is_left_out_and_whose_time_it_is(tmp_path: Path) -> None:
    rest = f"{BOTH}[accounts]\nbegin = 2030-01-01 20:00:00"
    assert mistakes(tmp_path, plan(rest=rest)) == []
    accounts = load_plan(tmp_path / "plan.toml").accounts
    assert accounts is not None
    assert accounts.begin == datetime(2030, 1, 1, 19, tzinfo=UTC)
    assert accounts.keep_temporary == timedelta(days=30)


def test_every_provider_has_a_kind() -> None:
    modules = import_module("mailhaul.providers.registry").MODULES
    assert modules.keys() == {each.value for each in ProviderKind}
