"""Actions and extras as Hypothesis makes them."""

from typing import get_args

from hypothesis import strategies

from mailhaul.providers.actions import Action
from mailhaul.providers.extras import Extra

EXTRAS: strategies.SearchStrategy[Extra] = strategies.one_of(
    *(strategies.from_type(each) for each in get_args(Extra))
)
ACTIONS: strategies.SearchStrategy[Action] = strategies.one_of(
    *(strategies.from_type(each) for each in get_args(Action))
)
