"""Integers of 128 bits in arrays, as far as a standard deviation needs them.

With n samples of sum S and sum of squares Q, the variance is (n x Q - S x S) / n^2. The two products are
nearly equal, so they must be subtracted before anything is rounded: n x Q has up to 128 bits. A number is four
32-bit words, lowest first, each in a uint64 so that products and carries fit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_MASK = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def variance_numerator(
    count: npt.NDArray[Any], total: npt.NDArray[Any], squares: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """N x Q - S x S, right to 52 bits; NaN where it is negative, which no samples have.

    Corrupt data have it, and sums that PCAP.SHIFT_SUM shortened may.

    Args:
        count: n, shape (rows,), 32 bits, taken as unsigned
        total: S, shape (rows,), signed 64 bits
        squares: Q, shape (rows, 3), words of 32 bits, lowest first
    """
    n = count.astype(np.int64).astype(np.uint64) & _MASK
    words = squares.astype(np.uint64)
    product = _carry([n * words[:, 0], n * words[:, 1], n * words[:, 2], np.zeros_like(n)])
    magnitude = np.abs(total.astype(np.int64)).astype(np.uint64)
    low, high = magnitude & _MASK, magnitude >> _32
    middle = low * high  # counts twice: its halves are added twice, as it may have 64 bits
    square = _carry([low * low, np.zeros_like(n), high * high, np.zeros_like(n)])
    for _ in range(2):
        square = _carry([square[0], square[1] + (middle & _MASK), square[2] + (middle >> _32), square[3]])
    return _difference(product, square)


def _carry(words: list[U64]) -> list[U64]:
    """Bring each word under 32 bits."""
    carried = []
    over = np.zeros_like(words[0])
    for word in words:
        # A word and the carry into it may together overflow: their halves are added apart.
        low = (word & _MASK) + (over & _MASK)
        carried.append(low & _MASK)
        over = (word >> _32) + (over >> _32) + (low >> _32)
    return carried


def _difference(left: list[U64], right: list[U64]) -> npt.NDArray[np.float64]:
    result = np.zeros(len(left[0]), np.float64)
    borrow = np.zeros_like(left[0])
    words = []
    for a, b in zip(left, right, strict=True):
        words.append((a - b - borrow) & _MASK)
        borrow = (a < b + borrow).astype(np.uint64)
    for word in reversed(words):
        result = result * 4294967296.0 + word.astype(np.float64)
    result[borrow.astype(bool)] = np.nan
    return result
