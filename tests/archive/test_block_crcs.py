"""CRCs of blocks: however the bytes came, and whatever range is asked for."""

import random

import pytest
from isal import isal_zlib

from archive.block_crcs import BLOCK, BlockCrcs, blocks_of, crcs_of, fits

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77]


@pytest.mark.parametrize("size", SIZES)
def test_pieces_of_any_length_count_the_same(size: int) -> None:
    data = random.Random(size).randbytes(size)
    expected = b"".join(isal_zlib.crc32(data[at : at + BLOCK]).to_bytes(4, "big") for at in range(0, size, BLOCK))
    assert crcs_of(data) == expected
    for step in (1 + size // 7, BLOCK - 3, BLOCK):
        crcs = BlockCrcs()
        for at in range(0, size, step):
            crcs.add(memoryview(data)[at : at + step])
        assert crcs.packed() == expected


def test_every_changed_bit_of_a_range_is_found() -> None:
    chance = random.Random(3)
    data = chance.randbytes(4 * BLOCK + 1000)
    packed = crcs_of(data)
    for _ in range(200):
        offset = chance.randrange(len(data))
        length = chance.randrange(1, len(data) - offset + 1)
        begin, end = blocks_of(offset, length, len(data))
        assert begin <= offset
        assert end >= offset + length
        assert end - begin < length + 2 * BLOCK
        head, middle, tail = data[begin:offset], data[offset : offset + length], data[offset + length : end]
        assert fits(packed, begin, head, middle, tail)
        wrong = bytearray(middle)
        wrong[chance.randrange(length)] ^= 1 << chance.randrange(8)
        assert not fits(packed, begin, head, bytes(wrong), tail)
