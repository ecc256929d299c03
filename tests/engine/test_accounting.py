"""What the accounting says in words."""

import pytest

from mailhaul.core.text import plural
from mailhaul.engine.accounting import Effects, lossy, unaccounted
from mailhaul.engine.outcomes import Tally

WORDS = [
    (0, "0 messages were"),
    (1, "1 message was"),
    (2, "2 messages were"),
    (1500, "1,500 messages were"),
]


@pytest.mark.parametrize(("number", "said"), WORDS)
def test_numbers_and_words_agree(number: int, said: str) -> None:
    assert plural(number, "message was", "messages were") == said


UNACCOUNTED = [
    (1, 0, "the source counts 1 message, of which 0 are accounted for; run again"),
    (2, 1, "the source counts 2 messages, of which 1 is accounted for; run again"),
    (1500, 300, "the source counts 1,500 messages, of which 300 are accounted for; run again"),
]


@pytest.mark.parametrize(("census", "copied", "said"), UNACCOUNTED)
def test_what_does_not_add_up_is_said(census: int, copied: int, said: str) -> None:
    (sentence,) = unaccounted({("A",): Tally(census, copied)}, set())
    assert sentence.startswith(f"“A”: {said}")


def test_lost_flags_are_counted() -> None:
    (sentence,) = lossy([Effects(lost_flags={"$x": 1})])
    assert sentence == "the target does not keep the flag $x: 1 message went without"
