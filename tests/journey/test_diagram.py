"""The page shows the transition table as it is."""

import re
from pathlib import Path

from mailhaul.journey.diagram import ANYWHERE, diagram, table
from mailhaul.journey.states import TRANSITIONS, State

PAGE = (Path(__file__).parents[2] / "docs" / "journey.md").read_text(encoding="utf-8")


def test_the_page_holds_the_picture_and_the_table() -> None:
    assert f"```mermaid\n{diagram()}```\n" in PAGE
    assert f"\n{table()}" in PAGE


def test_the_table_has_every_transition() -> None:
    assert len(table().splitlines()) == len(TRANSITIONS) + 2


def test_the_picture_has_every_state_and_no_other() -> None:
    drawn = set(re.findall(r"^ *(\w+) --> ", diagram(), re.MULTILINE)) - {ANYWHERE}
    drawn |= set(re.findall(r" --> (\w+)", diagram())) - {ANYWHERE}
    assert drawn == {state.value.replace(" ", "_") for state in State}


def test_every_way_that_changes_a_state_is_drawn() -> None:
    for way in TRANSITIONS:
        if way.target is way.source:
            continue
        target = ANYWHERE if way.target is None else way.target.value.replace(" ", "_")
        source = way.source.value.replace(" ", "_")
        ways = [f"{one} --> {target} : {way.trigger}" for one in (source, ANYWHERE)]
        assert any(one in diagram() for one in ways)


def test_every_state_is_explained() -> None:
    explained = PAGE.partition("## States")[2].partition("## Gates")[0]
    cells = re.findall(r"^\| ([a-z, ]+) \|", explained, re.MULTILINE)
    assert {name for cell in cells[1:] for name in cell.split(", ")} == {s.value for s in State}
