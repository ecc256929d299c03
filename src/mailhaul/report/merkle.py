"""The Merkle tree hash of a list (RFC 6962 2.1): one value that stands for every line and their
order, and from which a single line can be proven without showing the others."""

import hashlib
from collections.abc import Iterable

EMPTY = hashlib.sha256(b"").digest()
_LEAF, _NODE = b"\x00", b"\x01"


def leaf(line: bytes) -> bytes:
    """The hash of one line."""
    return hashlib.sha256(_LEAF + line).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The hash of the whole list, from its lines' hashes; 32 bytes. Memory: one hash a level."""
    # `peaks` are whole subtrees from left to right, each with its number of lines.
    peaks: list[tuple[int, bytes]] = []
    for each in leaves:
        peaks.append((1, each))
        while len(peaks) > 1 and peaks[-1][0] == peaks[-2][0]:
            size, right = peaks.pop()
            _, left = peaks.pop()
            peaks.append((2 * size, _node(left, right)))
    if not peaks:
        return EMPTY
    _, digest = peaks.pop()
    while peaks:
        digest = _node(peaks.pop()[1], digest)
    return digest


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
