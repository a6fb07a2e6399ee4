"""Bytes that both ends can make up.

No two MiB of them are alike, so a piece that is lost, doubled or moved shows in the sum.
"""

import hashlib
import random

BLOCK = 1 << 20
BASE = random.Random(2).randbytes(BLOCK)


def blocks(count):
    """The first count bytes of the pattern, in pieces of at most BLOCK."""
    number = 0
    while count > 0:
        piece = number.to_bytes(8, "big") + BASE[8:]
        yield piece[:count]
        count -= len(piece)
        number += 1


def digest(count):
    total = hashlib.sha256()
    for piece in blocks(count):
        total.update(piece)
    return total.hexdigest()
