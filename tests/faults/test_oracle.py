"""The oracle sees every kind of difference, on real servers too: what it calls exact is exact."""

import random
from collections.abc import Sequence

import pytest

from tests.faults.mailboxes import Person
from tests.faults.oracle import Contents, Copy, Verdict, compare, read_mailbox
from tests.faults.plain import Plain
from tests.servers.process import RunningServer

ONE = Copy("1", 100, frozenset({"\\seen"}))
TWO = Copy("2", 200, frozenset())
SEEN_TWO = Copy("2", 200, frozenset({"\\seen"}))
LATER_TWO = Copy("2", 201, frozenset())


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([ONE, TWO], [ONE, TWO], Verdict()),
        ([], [], Verdict()),
        ([ONE, TWO], [ONE], Verdict(lost=1)),
        ([ONE, TWO], [], Verdict(lost=2)),
        ([ONE, TWO], [ONE, TWO, TWO], Verdict(doubled=1)),
        ([ONE, ONE], [ONE], Verdict(lost=1)),
        ([ONE, TWO], [TWO, ONE], Verdict(disordered=2)),
        ([ONE, TWO], [ONE, SEEN_TWO], Verdict(flags=1)),
        ([ONE, TWO], [ONE, LATER_TWO], Verdict(lost=1, doubled=1)),
    ],
)
def test_each_difference_has_its_name(
    ours: Sequence[Copy], theirs: Sequence[Copy], expected: Verdict
) -> None:
    found = compare({"INBOX": list(ours)}, {"INBOX": list(theirs)})
    assert (found.lost, found.doubled, found.flags, found.disordered) == (
        *(expected.lost, expected.doubled, expected.flags, expected.disordered),
    )
    assert found.exact == (ours == theirs)
    assert bool(found.first) == (ours != theirs)


@pytest.mark.parametrize(
    ("ours", "theirs", "exact"),
    [
        ({"a": [ONE]}, {}, False),
        ({}, {"a": [ONE]}, False),
        ({"a": []}, {}, True),
        ({"a": [ONE], "b": []}, {"a": [], "b": [ONE]}, False),
    ],
)
def test_folders_that_one_side_lacks_count_as_empty(
    ours: Contents, theirs: Contents, exact: bool
) -> None:
    assert compare(ours, theirs).exact is exact


@pytest.mark.parametrize("name", ["dovecot", "cyrus"])
def test_two_mailboxes_filled_alike_are_the_same_and_one_flag_more_is_seen(
    name: str, request: pytest.FixtureRequest
) -> None:
    server: RunningServer = request.getfixturevalue(name)
    read = []
    for _ in range(2):
        account = server.account()
        owner = (server.host, server.port, account.user, account.password)
        Person(*owner, random.Random(5)).fill(30)
        read.append(read_mailbox(*owner))
    assert sum(len(copies) for copies in read[0].values()) >= 30
    assert compare(*read).exact
    with Plain(*owner) as connection:
        connection.command(b"SELECT INBOX")
        connection.command(b"STORE 1 +FLAGS (forgotten)")
    assert compare(read[0], read_mailbox(*owner)).flags == 1
