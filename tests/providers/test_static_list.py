"""The lists of a person: what is written is read back the same, whatever it says."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.providers import static_list
from mailhaul.providers.actions import Action, Add, Configure, Create, Delete, Lock, Remove, Rename
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
    Right,
)
from mailhaul.providers.static_list import ACCOUNTS, EXTRAS, Lists, Sheet, after, sheet

ADDRESSES = st.sampled_from(["ann@b.test", "Bob@b.test", "o'neil+x@c.test", "=1+1@c.test"])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
MOMENTS = st.none() | st.integers(0, 10**12)
SAID: st.SearchStrategy[Extra] = st.one_of(
    st.builds(Redirection, ADDRESSES, ADDRESSES, st.booleans()),
    st.builds(
        Responder, ADDRESSES, TEXTS, TEXTS, MOMENTS, MOMENTS, st.one_of(st.just(""), ADDRESSES)
    ),
    st.builds(Filter, ADDRESSES, TEXTS, TEXTS, TEXTS),
    st.builds(Delegation, ADDRESSES, ADDRESSES, st.sampled_from(Right)),
    st.builds(
        Group, ADDRESSES, st.lists(ADDRESSES, unique=True).map(lambda e: tuple(sorted(e))), TEXTS
    ),
    st.builds(Remark, ADDRESSES, TEXTS, TEXTS),
)


def read(full: Sheet, columns: tuple[str, ...]) -> Sheet:
    """As another process finds it on disk."""
    return sheet(full.text, columns, Path("list.csv"))


@settings(max_examples=30, deadline=None)
@given(st.lists(SAID, max_size=5), st.sampled_from(",;\t"), st.sampled_from(["", "\ufeff"]))
def test_extras_are_read_as_they_were_written(
    extras: list[Extra], delimiter: str, mark: str
) -> None:
    lists = Lists(Sheet(ACCOUNTS), Sheet(EXTRAS, (), delimiter, mark))
    for extra in extras:
        lists = after(lists, Add(extra))
    found = [static_list.extra_of(line) for line in read(lists.extras, EXTRAS).lines]
    assert len(found) <= len(extras)
    for extra in extras:
        assert sum(same_extra(each, extra) for each in found) == 1
    for extra in extras:
        lists = after(lists, Remove(extra))
    assert lists.extras.lines == ()


ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(Create, ADDRESSES, TEXTS, st.none() | st.integers(0, 10**12)),
    st.builds(Rename, ADDRESSES, ADDRESSES),
    st.builds(Configure, ADDRESSES, ADDRESSES, TEXTS),
    st.builds(Lock, ADDRESSES),
    st.builds(Delete, ADDRESSES),
    st.builds(Alias, ADDRESSES, ADDRESSES).map(Add),
    SAID.map(Add),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ACTIONS, max_size=8))
def test_what_is_done_twice_is_done_once_and_nobody_is_listed_twice(
    actions: list[Action],
) -> None:
    lists = Lists(Sheet(ACCOUNTS), Sheet(EXTRAS))
    for action in actions:
        lists = after(lists, action)
        assert after(lists, action) == lists
        lists = Lists(read(lists.accounts, ACCOUNTS), read(lists.extras, EXTRAS))
        addresses = [line["address"].casefold() for line in lists.accounts.lines]
        assert len(set(addresses)) == len(addresses)
        for line in lists.accounts.lines:
            static_list.state(line)
            static_list.number(line, "quota")
