"""Leases: a proof lasts from the moment before the question was asked."""

import time

import pytest

from mailhaul.core.lease import Lease, awake

PROOFS: dict[str, tuple[list[float], float, bool]] = {
    "nothing was proven": ([], 0.0, False),
    "just proven": ([10.0], 10.0, True),
    "nearly over": ([10.0], 12.4, True),
    "over": ([10.0], 12.5, False),
    "proven again": ([10.0, 12.0], 14.4, True),
    "an older question is answered later": ([12.0, 10.0], 14.4, True),
    "asked so long ago that the answer tells nothing": ([10.0], 20.0, False),
}


@pytest.mark.parametrize("name", PROOFS)
def test_it_holds_for_a_while_after_what_was_proven(name: str) -> None:
    proofs, now, holds = PROOFS[name]
    lease = Lease(2.5, lambda: now)
    for asked in proofs:
        lease.proven(asked)
    assert lease.holds is holds


def test_what_has_ended_is_not_proven_any_more() -> None:
    lease = Lease(2.5, lambda: 10.0)
    lease.proven(10.0)
    lease.end()
    assert not lease.holds
    lease.proven(10.0)
    assert not lease.holds


def test_its_clock_goes_on_by_itself() -> None:
    before = awake()
    time.sleep(0.05)
    assert 0.05 <= awake() - before < 5
