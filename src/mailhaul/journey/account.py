"""The accounting of messages, of a folder, a mailbox, a wave or a plan: summed in one way."""

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Account:
    """census = copied + adopted + skipped + refused + missing, once all is done."""

    census: int = 0
    copied: int = 0
    adopted: int = 0
    skipped: int = 0
    refused: int = 0
    missing: int = 0

    @property
    def accounted(self) -> int:
        return self.copied + self.adopted + self.skipped + self.refused + self.missing

    @property
    def adds_up(self) -> bool:
        return self.accounted == self.census


FIGURES = tuple(each.name for each in fields(Account))
"""The names of an account's figures, as the tables have them too."""


def account_of(row: object) -> Account:
    """The account that stands in a row of one of our tables, or in sums over such rows."""
    return Account(*(int(getattr(row, name)) for name in FIGURES))


def total(accounts: Iterable[Account]) -> Account:
    """The sum, figure by figure."""
    every = [*accounts]
    return Account(*(sum(getattr(each, name) for each in every) for name in FIGURES))
