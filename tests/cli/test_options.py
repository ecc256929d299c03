"""What a command line means, and what is said about one that means nothing."""

import pytest

from mailhaul.cli.copy import COMMAND
from mailhaul.cli.main import SUMMARIES, command_named
from mailhaul.cli.options import WIDTH, help_text
from mailhaul.cli.parsing import parse
from mailhaul.core.errors import BadInput

A = "imaps://a@old.example"
B = "imaps://b@new.example"


@pytest.mark.parametrize(
    "words",
    [
        [A, B, "--folder", "X"],
        ["--folder", "X", A, B],
        [A, "--folder", "X", B],
        [A, B, "--folder=X"],
        ["--folder=X", "--", A, B],
    ],
)
def test_options_may_stand_anywhere(words: list[str]) -> None:
    arguments = parse(COMMAND, words)
    assert arguments.text("SOURCE") == A
    assert arguments.text("TARGET") == B
    assert arguments.texts("--folder") == ("X",)


def test_what_is_not_given_has_a_value_that_says_so() -> None:
    arguments = parse(COMMAND, [A, B])
    assert arguments.texts("--folder") == ()
    assert arguments.text("--since") is None
    assert arguments.number("--max-delete", 100) == 100
    assert arguments.given("--json") is False


def test_repeated_options_add_up_in_their_order() -> None:
    arguments = parse(COMMAND, [A, B, "--exclude", "b", "--exclude=a", "--exclude=-x"])
    assert arguments.texts("--exclude") == ("b", "a", "-x")


REFUSED = [
    ("no operand", [], "SOURCE and TARGET are missing; see mailhaul copy --help"),
    ("one operand", [A], "TARGET is missing"),
    ("an empty operand", [A, ""], "TARGET is empty"),
    ("a third operand", [A, B, "imaps://c@x"], "1 word too many, from “imaps://c@x” on"),
    ("a typing error", [A, B, "--folde", "X"], "did you mean --folder?"),
    ("a shortened option", [A, B, "--conn", "2"], "--conn is no option of mailhaul copy"),
    ("an option that is far from any", [A, B, "--zzz"], "see mailhaul copy --help"),
    ("a value missing", [A, B, "--since"], "--since needs a value"),
    ("a switch with a value", [A, B, "--json=yes"], "--json takes no value"),
    ("no number", [A, B, "--connections", "two"], "--connections two: it takes a whole number"),
    ("a number too small", [A, B, "--connections", "0"], "from 1 to 20"),
    ("a number too large", [A, B, "--connections", "21"], "from 1 to 20"),
    ("a negative number", [A, B, "--max-delete=-1"], "≥ 0"),
    ("a word that isn't one of the choices", [A, B, "--delete", "all"], "one of never, mirror"),
    ("an option twice", [A, B, "--since", "1d", "--since", "2d"], "given 2 times"),
    ("control characters", [A, B, "--\x1b[31m"], "--\\x1b[31m is no option"),
]


@pytest.mark.parametrize(
    ("words", "said"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_command_line_that_means_nothing_is_answered_with_the_cure(
    words: list[str], said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        parse(COMMAND, words)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["--password", "hunter2"],
        ["--source-password=hunter2"],
        ["--password1", "hunter2"],
        ["--passwd=hunter2"],
        ["--unknown", "hunter2"],
        ["--json=hunter2"],
    ],
)
def test_what_follows_an_unknown_option_is_never_repeated(words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        parse(COMMAND, [A, B, *words])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_overview_and_the_command_say_the_same(name: str) -> None:
    assert command_named(name).summary == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_help_names_every_option_and_stays_within_its_width(name: str) -> None:
    command = command_named(name)
    text = help_text(command)
    for option in command.options:
        assert f"  {option.name}" in text
    too_wide = [line for line in text.splitlines() if len(line) > WIDTH + 4]
    assert too_wide == []
