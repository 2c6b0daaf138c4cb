"""The columns of captured samples, and the scaling of raw samples."""

import math
from pathlib import Path

import numpy as np
import pytest

from panda_ioc.protocol import DataConnection, FrameData, StartData
from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.layout import Item, Layout, layout_of

#: What a real server sent of one acquisition, raw and scaled.
RECORDED = Path(__file__).parent / "recorded"

GATE = Item("PCAP.GATE_DURATION", "Value", "int32", 1, 8e-9, 0.0, "s", only_raw=True)


def columns(*settings: str) -> tuple[list[str], list[str]]:
    """Return the columns of raw and of scaled data with some settings."""
    sim = Simulation(load())
    assert sim.say(*settings) == ["OK"] * len(settings)
    layout = layout_of(sim.panda)
    return [item.column for item in layout.items], list(layout.scaled_dtype.names or ())


def test_a_deviation_adds_the_sum_that_it_needs() -> None:
    raw, scaled = columns(
        "COUNTER1.OUT.CAPTURE=Mean", "COUNTER2.OUT.CAPTURE=Value StdDev", "COUNTER3.OUT.CAPTURE=Mean StdDev"
    )
    assert raw == [
        "PCAP.GATE_DURATION.Value",
        "COUNTER2.OUT.Value",
        "COUNTER1.OUT.Mean",
        "COUNTER2.OUT.Mean",
        "COUNTER2.OUT.StdDev",
        "COUNTER3.OUT.Mean",
        "COUNTER3.OUT.StdDev",
    ]
    assert scaled == [
        "COUNTER2.OUT.Value",
        "COUNTER1.OUT.Mean",
        "COUNTER2.OUT.StdDev",
        "COUNTER3.OUT.Mean",
        "COUNTER3.OUT.StdDev",
    ]


def test_a_gate_duration_that_is_captured_is_not_added() -> None:
    raw, scaled = columns("PCAP.GATE_DURATION.CAPTURE=Value", "COUNTER1.OUT.CAPTURE=StdDev")
    assert raw == ["PCAP.GATE_DURATION.Value", "COUNTER1.OUT.Mean", "COUNTER1.OUT.StdDev"]
    assert scaled == ["PCAP.GATE_DURATION.Value", "COUNTER1.OUT.StdDev"]


def scaled(gate: int, total: int, squares: int) -> tuple[float, float]:
    """Return the mean and deviation of a window, given its gate duration, sum and sum of squares."""
    layout = Layout(
        (GATE, Item("A.B", "Mean", "int64", 2, 2.0, 1.0), Item("A.B", "StdDev", "int96", 3, 2.0, 1.0)),
    )
    words = [squares >> 32 * place & 0xFFFFFFFF for place in range(3)]
    row = np.array([(np.uint32(gate).astype(np.int32), total, words)], layout.raw_dtype)
    ((mean, deviation),) = layout.scale(row).tolist()
    return mean, deviation


def test_the_gate_duration_is_unsigned() -> None:
    gate = 3_000_000_000  # 24 s; negative as int32
    mean, deviation = scaled(gate, 7 * gate, 53 * gate)
    assert mean == pytest.approx(2 * 7 + 1)
    assert deviation == pytest.approx(2 * math.sqrt(53 - 49))


@pytest.mark.parametrize("total", [0, 5, -5])
def test_means_of_no_tick_are_not_numbers(total: int) -> None:
    mean, deviation = scaled(0, total, total * total)
    assert math.isnan(mean)
    assert math.isnan(deviation)


def test_impossible_squares_give_nan() -> None:
    """SHIFT_SUM can truncate them to impossible values."""
    _, deviation = scaled(3, 10, 33)
    assert math.isnan(deviation)


@pytest.mark.parametrize(
    "name", ["mixed-1000-ok", "stddev", "escaped-units", "two-acquisitions", "hardware-time", "value-only-20-ok"]
)
def test_recorded_data(name: str) -> None:
    """Scaled raw samples of a real server equal its scaled samples, to the last bit."""
    starts, frames = {}, {}
    for form in ("raw", "scaled"):
        connection = DataConnection()
        connection.connect(scaled=form == "scaled")
        data = (RECORDED / f"{name}.{form}.bin").read_bytes()
        events = list(connection.receive_bytes(data))
        starts[form] = next(event for event in events if isinstance(event, StartData))
        frames[form] = np.concatenate([event.data for event in events if isinstance(event, FrameData)])
    there = {(field.name, field.capture) for field in starts["scaled"].fields}
    words = {"uint32": 1, "int32": 1, "int64": 2, "int96": 3}
    layout = Layout(
        tuple(
            Item(
                field.name,
                field.capture,
                field.type,
                words[field.type],
                None if field.type == "uint32" else field.scale,
                field.offset or 0.0,
                only_raw=(field.name, field.capture) not in there,
            )
            for field in starts["raw"].fields
        )
    )
    raw = np.frombuffer(frames["raw"].tobytes(), layout.raw_dtype)
    assert layout.scale(raw).tobytes() == frames["scaled"].tobytes()
