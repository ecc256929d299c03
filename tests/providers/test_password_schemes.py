"""Hashes are those of crypt(3): by the specification's own test vectors."""

import pytest
from argon2 import PasswordHasher

from mailhaul.core.text import Secret
from mailhaul.providers.password_schemes import SCHEMES, hashed, sha512_crypt

LONG = "a very much longer text to encrypt.  This one even stretches over morethan one line."
VECTORS = [
    (
        *("saltstring", 5000, "Hello world!"),
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLi"
        "BFdcbYEdFCoEOfaS35inz1",
    ),
    (
        *("saltstringsaltst", 10000, "Hello world!"),
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0"
        "Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
    ),
    (
        *("anotherlongsalts", 1400, LONG),
        "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3Cm"
        "Ls66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
    ),
    (
        *("short", 77777, "we have a short salt string but not a short password"),
        "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeO"
        "xFmtlcGZelFl5CxtgfiAc0",
    ),
    (
        *("roundstoolow", 5000, ""),
        "$6$roundstoolow$.Y3OzyG7K3OeEwaNImFB6n6ufIpc5Sq9jch5xfLb8nDe0p785.IVtI1aiKG2Ol.QekG.Cl"
        "DxMJ0uVRAvY00Yc1",
    ),
]


@pytest.mark.parametrize(("salt", "rounds", "password", "expected"), VECTORS)
def test_a_password_is_hashed_as_specified(
    salt: str, rounds: int, password: str, expected: str
) -> None:
    assert sha512_crypt(password.encode(), salt, rounds) == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_two_hashes_of_a_password_are_alike(scheme: str) -> None:
    one, two = (hashed(Secret("pä ss:\n"), scheme) for _ in range(2))
    assert one != two
    assert one.startswith(f"{{{scheme}}}$")
    assert not set(one) & set(":\r\n ")
    assert "pä ss" not in one


def test_argon_hashes_say_all_that_is_needed_to_check_them() -> None:
    kept = hashed(Secret("secret"), "ARGON2ID").removeprefix("{ARGON2ID}")
    assert PasswordHasher().verify(kept, "secret")
