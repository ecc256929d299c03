"""Where keys stand in a TOML file."""

import tomllib

import pytest

from mailhaul.plan.toml_lines import Place, lines_of

CASES: list[tuple[str, str, dict[Place, int]]] = [
    ("nothing", "", {}),
    ("keys", "a = 1\n\n# b = 0\nb = 2", {("a",): 1, ("b",): 4}),
    ("a table", "x=1\n[a.b]\nc = 3", {("x",): 1, ("a", "b"): 2, ("a", "b", "c"): 3}),
    (
        "an array of tables",
        "[[w]]\nn = 1\n[[w]]\nn = 2\n[w.deep]\nx = 0",
        {("w",): 1, ("w", 0): 1, ("w", 0, "n"): 2, ("w", 1, "n"): 4, ("w", 1, "deep", "x"): 6},
    ),
    ("dotted keys", 'a . "b.c".d = 1\n', {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d"): 1}),
    (
        "an array over lines",
        'a = [ # [\n "]",\n\n 2, # ,\n]\nb = 1',
        {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("b",): 6},
    ),
    (
        "inline tables",
        'a = {b = [{c = "}"}], "d" = 2}\ne = 1',
        {("a", "b"): 1, ("a", "b", 0, "c"): 1, ("a", "d"): 1, ("e",): 2},
    ),
    (
        "strings over lines",
        'a = """\nb = "c" \\""" \n"""""\nd = \'\'\'\ne = 1\\\'\'\'\nf = 2',
        {("a",): 1, ("d",): 4, ("f",): 6},
    ),
    ("escapes", 'a = "\\\\"\nb = \'\\\'\nc = "\\"#"\nd = 1', {("b",): 2, ("c",): 3, ("d",): 4}),
    ("dates", "a = 2026-12-04 20:00:00 # x\nb = 07:30:00\r\nc = 1", {("b",): 2, ("c",): 3}),
]


@pytest.mark.parametrize(("text", "lines"), [row[1:] for row in CASES], ids=[r[0] for r in CASES])
def test_every_key_has_its_line(text: str, lines: dict[Place, int]) -> None:
    tomllib.loads(text)
    found = lines_of(text)
    assert {place: found.get(place) for place in lines} == lines


@pytest.mark.parametrize("text", [row[1] for row in CASES], ids=[row[0] for row in CASES])
def test_every_value_that_tomllib_gives_has_a_line_and_none_other(text: str) -> None:
    def places(value: object, place: Place) -> set[Place]:
        inner: list[tuple[str | int, object]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = list(enumerate(value))
        return {place}.union(*(places(each, (*place, key)) for key, each in inner))

    found = set(lines_of(text))
    every = places(tomllib.loads(text), ())
    assert found <= every
    # A table that only its sub-tables name has no line of its own.
    unnamed = every - found
    assert all(any(each[: len(place)] == place for each in found) for place in unnamed)
