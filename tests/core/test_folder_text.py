"""Folders as a person writes them."""

from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.folder_text import folder_path, path_text

PATHS = st.lists(st.text(alphabet="ab/\\.\n\u202e ", min_size=1), min_size=1).map(tuple)


def test_a_hostile_folder_name_does_not_reach_the_terminal() -> None:
    assert path_text(("INBOX", "a\x1b[2J\u202e\r")) == "INBOX/a\\x1b[2J\\u202e\\x0d"


@given(PATHS, PATHS)
def test_no_two_paths_are_written_alike(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (path_text(one) == path_text(other)) == (one == other)


@given(st.lists(st.text(alphabet="ab/\\.= ", min_size=1), min_size=1).map(tuple))
def test_what_is_written_is_read_as_the_same_path(path: tuple[str, ...]) -> None:
    assert folder_path(path_text(path)) == path
