"""The picture of a mailbox's journey, drawn from the transition table as Mermaid text.

docs/journey.md holds it; a test compares. What may happen in nearly every state (a pause, refused
credentials, a failure, cancelling, undoing) is drawn once, from all of them together; what leaves a
state as it is is not drawn.
"""

from collections.abc import Iterator

from mailhaul.journey.states import ACTIVE, ENDED, TRANSITIONS, UNDER_WAY, State, Transition

ANYWHERE = "anywhere"
"""The box around states from which the same ways lead."""


def diagram() -> str:
    """Mermaid's text of a state diagram, ending in a line end."""
    lines = ["stateDiagram-v2", f"    [*] --> {_name(State.PLANNED)}"]
    lines.append(f"    state {ANYWHERE} {{")
    within = [state for state in State if state in ACTIVE]
    lines += [f"        {line}" for line in _lines(_between(within))]
    lines += [f"        {_name(state)}" for state in within]
    lines.append("    }")
    lines += [f"    {line}" for line in _lines(_common())]
    lines += [f"    {line}" for line in _lines(_others(within))]
    lines += [f"    {_name(state)} --> [*]" for state in State if state in ENDED]
    lines += [
        f'    state "{state}" as {_name(state)}' for state in State if _name(state) != state.value
    ]
    return "\n".join(lines) + "\n"


def table() -> str:
    """Every transition as a row of a Markdown table, in the order of the states."""
    lines = ["| in | when | then |", "|---|---|---|"]
    order = list(State)
    ways = sorted(TRANSITIONS, key=lambda way: (order.index(way.source), way.trigger))
    for way in ways:
        target = "where it was" if way.target is None else way.target.value
        lines.append(f"| {way.source} | {way.trigger} | {target} |")
    return "\n".join(lines) + "\n"


def _between(within: list[State]) -> Iterator[Transition]:
    return (
        way
        for way in TRANSITIONS
        if way.source in within and way.target in within and way.source is not way.target
    )


def _common() -> Iterator[tuple[str, str, str]]:
    """Ways that lead from every active state to one that is not."""
    for way in TRANSITIONS:
        sources = {
            each.source
            for each in TRANSITIONS
            if (each.trigger, each.target) == (way.trigger, way.target)
        }
        if way.source is State.PLANNED and way.target not in ACTIVE and sources >= ACTIVE:
            assert way.target is not None
            yield ANYWHERE, _name(way.target), way.trigger.value


def _others(within: list[State]) -> Iterator[tuple[str, str, str]]:
    common = {(text, target) for _, target, text in _common()}
    for way in TRANSITIONS:
        target = ANYWHERE if way.target is None else _name(way.target)
        drawn = way.source is way.target or (way.source in within and way.target in within)
        # Cancelling and undoing, which are possible wherever something is under way.
        again = way.source in UNDER_WAY and (way.trigger.value, target) in common
        if not drawn and not again:
            yield _name(way.source), target, way.trigger.value


def _lines(ways: Iterator[Transition] | Iterator[tuple[str, str, str]]) -> list[str]:
    return [
        f"{_name(way.source)} --> {_name(way.target or way.source)} : {way.trigger}"
        if isinstance(way, Transition)
        else f"{way[0]} --> {way[1]} : {way[2]}"
        for way in ways
    ]


def _name(state: State) -> str:
    return state.value.replace(" ", "_")
