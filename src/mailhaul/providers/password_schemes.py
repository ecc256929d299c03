"""Passwords as Dovecot keeps them: `{SCHEME}hash`, made here, so that none passes through another
program's arguments. Only new ones are made; nobody is let in by what stands here.
"""

import hashlib
import secrets

from argon2 import PasswordHasher

from mailhaul.core.text import Secret

SCHEMES = ("SHA512-CRYPT", "ARGON2ID")
"""The first is understood by every Dovecot; the second where it was built with libsodium."""
_ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS = 5000
"""What is meant where a hash names none (Unix crypt using SHA-256/SHA-512, Drepper 2008)."""
_ORDER = (
    *((0, 21, 42), (22, 43, 1), (44, 2, 23), (3, 24, 45), (25, 46, 4), (47, 5, 26), (6, 27, 48)),
    *((28, 49, 7), (50, 8, 29), (9, 30, 51), (31, 52, 10), (53, 11, 32), (12, 33, 54)),
    *((34, 55, 13), (56, 14, 35), (15, 36, 57), (37, 58, 16), (59, 17, 38), (18, 39, 60)),
    *((40, 61, 19), (62, 20, 41)),
)


def hashed(password: Secret, scheme: str) -> str:
    """The password as that scheme keeps it, with a salt of its own."""
    assert scheme in SCHEMES, scheme
    if scheme == "ARGON2ID":
        # Dovecot's auth process has 256 MB (default_vsz_limit) for all who log in at once.
        hasher = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)
        return f"{{ARGON2ID}}{hasher.hash(password.reveal())}"
    salt = "".join(chr(secrets.choice(_ALPHABET)) for _ in range(16))
    return "{SHA512-CRYPT}" + sha512_crypt(password.reveal().encode(), salt)


def sha512_crypt(password: bytes, salt: str, rounds: int = _ROUNDS) -> str:
    """The hash of crypt(3)'s `$6$` (the numbers are the specification's steps)."""
    salted = salt.encode()
    second = hashlib.sha512(password + salted + password).digest()  # 4-8
    first = hashlib.sha512(password + salted)  # 1-3
    first.update(_stretched(second, len(password)))  # 9-10
    length = len(password)
    while length:  # 11
        first.update(second if length & 1 else password)
        length >>= 1
    digest = first.digest()  # 12
    words = _stretched(hashlib.sha512(password * len(password)).digest(), len(password))  # 13-16
    salts = _stretched(hashlib.sha512(salted * (16 + digest[0])).digest(), len(salted))  # 17-20
    for number in range(rounds):  # 21
        step = hashlib.sha512(words if number & 1 else digest)
        if number % 3:
            step.update(salts)
        if number % 7:
            step.update(words)
        step.update(digest if number & 1 else words)
        digest = step.digest()
    named = "" if rounds == _ROUNDS else f"rounds={rounds}$"
    text = b"".join(_letters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER)
    return f"$6${named}{salt}${(text + _letters(digest[63], 2)).decode()}"


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _letters(value: int, count: int) -> bytes:
    return bytes(_ALPHABET[value >> 6 * place & 63] for place in range(count))
