"""Arithmetic with arrays of 128-bit integers, for the standard deviation.

With n samples of sum S and sum of squares Q, the variance is (n x Q - S x S) / n^2. The two products are nearly equal
and must be subtracted without rounding: n x Q has up to 128 bits. A number is stored as four 32-bit words, lowest
first, each in a uint64 so that products and carries fit.
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
    """Return n x Q - S x S, accurate to 52 bits; NaN if it is negative.

    Negative values occur in corrupt data and possibly with sums that PCAP.SHIFT_SUM shortened.

    Args:
        count: n, (rows,) 32-bit integers, interpreted as unsigned
        total: S, (rows,) int64
        squares: Q, (rows, 3) 32-bit words, lowest first
    """
    n = count.astype(np.int64).astype(np.uint64) & _MASK
    words = squares.astype(np.uint64)
    product = _carry([n * words[:, 0], n * words[:, 1], n * words[:, 2], np.zeros_like(n)])
    magnitude = np.abs(total.astype(np.int64)).astype(np.uint64)
    low, high = magnitude & _MASK, magnitude >> _32
    middle = low * high  # needed twice: added twice, because doubled it may exceed 64 bits
    square = _carry([low * low, np.zeros_like(n), high * high, np.zeros_like(n)])
    for _ in range(2):
        square = _carry([square[0], square[1] + (middle & _MASK), square[2] + (middle >> _32), square[3]])
    return _difference(product, square)


def _carry(words: list[U64]) -> list[U64]:
    """Reduce each word to 32 bits, carrying into the next one."""
    carried = []
    over = np.zeros_like(words[0])
    for word in words:
        # The sum of a word and its carry may overflow, so their halves are added separately.
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
