"""An artificial acquisition, as the bytes of a data port."""

import struct

import numpy as np
import numpy.typing as npt

HEADER = b"""<header>
<data arm_time="2026-11-22T07:08:02.609244246Z" start_time="2026-11-22T07:08:02.611832539Z" missed="0" \
process="Raw" format="Framed" sample_bytes="28" />
<fields>
<field name="PCAP.GATE_DURATION" type="int32" capture="Value" scale="8e-09" offset="0" units="s" />
<field name="PCAP.BITS0" type="uint32" capture="Value" />
<field name="COUNTER1.OUT" type="int32" capture="Value" scale="0.5" offset="10" units="mm" />
<field name="PCAP.TS_TRIG" type="int64" capture="Value" scale="8e-09" offset="0" units="s" />
<field name="INENC1.VAL" type="int64" capture="Mean" scale="-0.0001" offset="5.25" units="(null)" />
</fields>
</header>

"""

DTYPE = np.dtype(
    [
        ("PCAP.GATE_DURATION.Value", "<i4"),
        ("PCAP.BITS0.Value", "<u4"),
        ("COUNTER1.OUT.Value", "<i4"),
        ("PCAP.TS_TRIG.Value", "<i8"),
        ("INENC1.VAL.Mean", "<i8"),
    ]
)


def rows(count: int, first: int = 0) -> npt.NDArray[np.void]:
    """Return samples with their number in each value."""
    data = np.zeros(count, DTYPE)
    numbers = np.arange(first, first + count)
    data["PCAP.GATE_DURATION.Value"] = 125
    data["PCAP.BITS0.Value"] = numbers
    data["COUNTER1.OUT.Value"] = 1000 - numbers
    data["PCAP.TS_TRIG.Value"] = numbers * 12500
    data["INENC1.VAL.Mean"] = numbers * 125
    return data


def frame(data: npt.NDArray[np.void]) -> bytes:
    """Return samples as a frame."""
    return struct.pack("<4sI", b"BIN ", data.nbytes + 8) + data.tobytes()


def acquisition(*frames: npt.NDArray[np.void], reason: str = "Ok") -> bytes:
    """Return a whole acquisition."""
    count = sum(map(len, frames))
    return HEADER + b"".join(map(frame, frames)) + f"END {count} {reason}\n".encode()
