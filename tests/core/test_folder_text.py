"""Folders as a person writes them."""

from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.folder_text import WHOLE, folder_path, path_text

PATHS = st.lists(st.text(alphabet="ab/\\.\n\u202e ", min_size=1), min_size=1).map(tuple)


def test_a_hostile_folder_name_does_not_reach_the_terminal() -> None:
    assert path_text(("INBOX", "a\x1b[2J\u202e\r")) == "INBOX/a\\x1b[2J\\u202e\\x0d"


def test_a_folder_name_without_end_does_not_flood_a_screen_and_is_whole_in_a_row() -> None:
    one, other = ("x" * 5000 + "1",), ("x" * 5000 + "2",)
    assert len(path_text(one)) == 300
    assert path_text(one, WHOLE) != path_text(other, WHOLE)


@given(PATHS, PATHS)
def test_no_two_paths_are_written_alike(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (path_text(one, WHOLE) == path_text(other, WHOLE)) == (one == other)


@given(st.lists(st.text(alphabet="ab/\\.= ", min_size=1), min_size=1).map(tuple))
def test_what_is_written_is_read_as_the_same_path(path: tuple[str, ...]) -> None:
    assert folder_path(path_text(path, WHOLE)) == path
