"""Temporary names and unconfigured accounts collide with nobody's, and the choice is repeatable."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailhaul.core.errors import BadInput
from mailhaul.providers.addresses import folded, parts
from mailhaul.providers.extras import Alias, Extra, Group, Redirection
from mailhaul.providers.picking import addresses_taken, pick, pick_all, temporary_address
from mailhaul.providers.service import Account, AccountState

LONG = "x" * 64


@pytest.mark.parametrize(
    ("address", "taken", "suffix", "found"),
    [
        ("john.smith@x.test", [], "", "john.smith01@x.test"),
        ("john.smith@x.test", ["john.smith01@x.test"], "", "john.smith02@x.test"),
        ("john@x.test", [f"john{n:02}@x.test" for n in range(1, 100)], "", "john100@x.test"),
        ("john@x.test", [f"john{n:02}@x.test" for n in range(1, 1000)], "", None),
        ("john@x.test", [], "-old", "john-old@x.test"),
        ("john@x.test", ["john-old@x.test"], "-old", "john-old01@x.test"),
        (f"{LONG}@x.test", [], "-old", f"{LONG[:60]}-old@x.test"),
        (f"{LONG}@x.test", [], "", f"{LONG[:62]}01@x.test"),
        (f"{LONG[:61]}.yy@x.test", [], "", f"{LONG[:61]}01@x.test"),
        ("ü" * 32 + "@x.test", [], "", "ü" * 31 + "01@x.test"),
        ("ü" * 31 + "y@x.test", [], "", "ü" * 31 + "01@x.test"),
    ],
)
def test_a_temporary_name_is_the_first_free_one(
    address: str, taken: list[str], suffix: str, found: str | None
) -> None:
    assert temporary_address(address, set(map(folded, taken)), suffix) == found


@pytest.mark.parametrize(
    ("address", "suffix"), [("john", ""), ("john@x.test", "@y.test"), ("john@x.test", " old")]
)
def test_a_name_that_can_not_be_is_refused(address: str, suffix: str) -> None:
    with pytest.raises(BadInput):
        temporary_address(address, (), suffix)


ATOMS = some.text("abcä.-'/", min_size=1, max_size=64)


@given(ATOMS, some.sets(some.integers(1, 120)))
def test_a_temporary_name_is_an_address_that_nobody_has(local: str, numbers: set[int]) -> None:
    address = f"{local}@x.test"
    try:
        parts(address)
    except BadInput:
        return
    taken = {folded(address)} | {folded(f"{local}{number:02}@x.test") for number in numbers}
    found = temporary_address(address, taken)
    assert found is not None
    assert folded(found) not in taken
    assert parts(found).domain == "x.test"
    assert temporary_address(address, taken) == found


def test_aliases_groups_and_redirections_are_taken_too() -> None:
    accounts = [Account("A@x.test", AccountState.CONFIGURED, aliases=("b@x.test",))]
    extras: list[Extra] = [
        Alias("a@x.test", "C@x.test"),
        Group("d@x.test"),
        Redirection("e@x.test", "elsewhere@y.test"),
    ]
    assert addresses_taken(accounts, extras) == {f"{each}@x.test" for each in "abcde"}


def unconfigured(
    name: str, quota: int | None = None, used: int | None = None, messages: int | None = None
) -> Account:
    address = f"{name}@configureme.me"
    return Account(address, AccountState.PLACEHOLDER, "", quota, used, messages)


USED = Account("ann@x.test", AccountState.CONFIGURED, quota=10)


@pytest.mark.parametrize(
    ("accounts", "size", "reserved", "placeholder", "remaining", "codes"),
    [
        ([USED, unconfigured("b", 10), unconfigured("a", 10)], 10, [], "a", 1, []),
        ([unconfigured("a", 50), unconfigured("b", 10)], 10, [], "b", 1, []),
        ([unconfigured("a", 50), unconfigured("b", 10)], 11, [], "a", 1, []),
        ([unconfigured("a", 10)], 11, [], None, 1, ["QUOTA_TOO_SMALL"]),
        ([USED], 1, [], None, 0, ["NO_FREE_ACCOUNT"]),
        ([unconfigured("a", 9), unconfigured("b", 9)], 1, ["A"], "b", 0, []),
        ([unconfigured("a", 9)], 1, ["a"], None, 0, ["PLACEHOLDER_RESERVED"]),
        ([unconfigured("a", 9)], None, [], "a", 0, ["SIZE_UNKNOWN"]),
        ([unconfigured("a"), unconfigured("b", 9)], 9, [], "b", 1, []),
        ([unconfigured("a")], 9, [], "a", 0, ["SIZE_UNKNOWN"]),
        ([unconfigured("a", 9, messages=1), unconfigured("b", 9)], 1, [], "b", 0, []),
        ([unconfigured("a", 9, used=2 << 20), unconfigured("b", 9, used=9000)], 1, [], "b", 0, []),
        ([unconfigured("a", 9, messages=0, used=2 << 20)], 1, [], "a", 0, []),
        ([unconfigured("a", 9, messages=1)], 1, [], None, 0, ["PLACEHOLDER_FILLED"]),
    ],
)
def test_a_place_is_the_smallest_that_fits(
    accounts: list[Account],
    size: int | None,
    reserved: list[str],
    placeholder: str | None,
    remaining: int,
    codes: list[str],
) -> None:
    others = [f"{each}@configureme.me" for each in reserved]
    found = pick(accounts, size, others)
    assert found == pick(accounts[::-1], size, others)
    assert found.placeholder == (placeholder and f"{placeholder}@configureme.me")
    assert found.remaining == remaining
    assert [each.code for each in found.findings] == codes


def test_the_services_quota_is_that_of_accounts_which_tell_none() -> None:
    assert pick([unconfigured("a")], 9, quota=9).findings == ()
    assert pick([unconfigured("a")], 10, quota=9).placeholder is None


def test_no_small_mailbox_takes_the_only_place_of_a_large_one() -> None:
    picked = pick_all([unconfigured("a", 9)], {"small@x.test": 1, "large@x.test": 9})
    assert picked["large@x.test"].placeholder == "a@configureme.me"
    assert [each.code for each in picked["small@x.test"].findings] == ["PLACEHOLDER_RESERVED"]


@given(
    some.lists(some.integers(1, 9), max_size=6),
    some.lists(some.integers(1, 9), max_size=6),
)
def test_many_choose_so_that_as_many_as_can_find_a_place(
    quotas: list[int], sizes: list[int]
) -> None:
    accounts = [unconfigured(f"p{n}", quota) for n, quota in enumerate(quotas)]
    wanted = {f"a{n}@x.test": size for n, size in enumerate(sizes)}
    picked = pick_all(accounts, wanted)
    assert list(picked) == list(wanted)
    room = {each.address: each.quota or 0 for each in accounts}
    found = {each: p.placeholder for each, p in picked.items() if p.placeholder}
    assert len(set(found.values())) == len(found)
    assert all(room[place] >= wanted[each] for each, place in found.items())
    left = sorted(set(room) - set(found.values()), key=room.__getitem__)
    for each in set(wanted) - set(found):
        assert not left or room[left[-1]] < wanted[each]
