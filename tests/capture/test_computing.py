"""Columns computed in a thread: the result does not depend on how the rows are split."""

import contextlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.computing import Computing
from panda_ioc.protocol import FieldCapture, StartData

FIELDS = (
    FieldCapture("PCAP.BITS0", "Value", "uint32"),
    FieldCapture("COUNTER1.OUT", "Value", "int32", 0.5, 3.0),
    FieldCapture("PCAP.TS_TRIG", "Value", "int64", 8e-9, 0.0, "s"),
)
START = StartData(FIELDS, 0, "Raw", 16)
MOST = 150_000

#: More rows than a block, and much fewer.
ROWS = np.random.default_rng(1).integers(0, 255, MOST * 16, np.uint8).view(START.dtype)


@given(
    st.lists(
        st.lists(st.sampled_from((1, 2, 777, 5000, 32768, 40_000)), min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_rows_in_any_pieces(calls: list[list[int]]) -> None:
    """The values of a call do not change while the next call computes."""
    with contextlib.closing(Computing()) as computing:
        computing.set_columns(START.dtype, stored_columns(START), MOST)
        before = None
        first = 0
        for sizes in [*calls, [1]]:
            first = 0 if first + sum(sizes) > MOST else first
            ends = np.cumsum([first, *sizes])
            begun = computing.begin([ROWS[begin:end] for begin, end in zip(ends, ends[1:], strict=False)])
            begun.exception(10)
            if before is not None:
                rows, values = before
                bits, counter, time = values.result()
                np.testing.assert_array_equal(bits, rows["PCAP.BITS0.Value"])
                np.testing.assert_array_equal(counter, rows["COUNTER1.OUT.Value"] * 0.5 + 3)
                np.testing.assert_array_equal(time, rows["PCAP.TS_TRIG.Value"] * 8e-9)
            before = ROWS[first : ends[-1]], begun
            first = int(ends[-1])


def test_rows_that_are_not_side_by_side() -> None:
    with contextlib.closing(Computing()) as computing:
        computing.set_columns(START.dtype, stored_columns(START), MOST)
        bits, *_ = computing.begin([ROWS[::7], ROWS[1:100:3]]).result(10)
    np.testing.assert_array_equal(bits, np.concatenate([ROWS[::7], ROWS[1:100:3]])["PCAP.BITS0.Value"])
