"""Designs for trials: a snake scan of any size, and the demo and a beamline from files."""

import binascii
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from panda_ioc.simulator import Scenario, load_scenario
from panda_ioc.simulator.scenario import DEMO
from panda_ioc.validation import validated

BEAMLINE = Path(__file__).with_name("beamline.yaml")

#: Triggers of a row of SEQ.
UP, DOWN = 7, 8

#: Ticks of a point.
HIGH, LOW = 50_000, 5_000

SNAKE = (
    "INENC1.VAL.SCALE=0.001",
    "INENC1.VAL.UNITS=mm",
    "SEQ1.POSA=INENC1.VAL",
    "SEQ1.REPEATS=1",
    "SEQ1.ENABLE=PCAP.ACTIVE",
    "PCAP.ENABLE=SEQ1.ACTIVE",
    "PCAP.TRIG=SEQ1.OUTA",
    "PCAP.TRIG_EDGE=Falling",
    "PCAP.GATE=SEQ1.OUTA",
    "TTLOUT1.VAL=SEQ1.OUTA",
    "PCAP.TS_TRIG.CAPTURE=Value",
    "PCAP.GATE_DURATION.CAPTURE=Value",
    "INENC1.VAL.CAPTURE=Value Min Max Mean",
    "INENC2.VAL.CAPTURE=Value Mean",
)


def positions(lines: int, points: int) -> np.ndarray:
    """Return the positions of a snake scan in counts, shape (lines, points): backwards in odd lines."""
    line = 1000 + 10 * np.arange(points)
    return np.stack([line if number % 2 == 0 else line[::-1] for number in range(lines)])


def snake_table(lines: int, points: int) -> list[str]:
    """Return a SEQ table with a pulse of OUTA at each position, as lines of a design."""
    where = positions(lines, points)
    trigger = np.where(np.arange(lines) % 2 == 0, UP, DOWN)[:, None]
    flags = np.broadcast_to(1 | trigger << 16 | 1 << 20, where.shape)
    rows = np.stack([flags, where, np.full_like(where, HIGH), np.full_like(where, LOW)], axis=-1)
    data = rows.astype("<u4").tobytes()
    coded = (binascii.b2a_base64(data[start : start + 720], newline=False) for start in range(0, len(data), 720))
    return ["SEQ1.TABLE<B", *(line.decode() for line in coded), ""]


def snake(lines: int, points: int) -> tuple[list[str], Scenario, float]:
    """Return the design, scenario and duration of a snake scan."""
    low, high, speed = 500, 1500 + 10 * points, 10_000
    seconds = (high - low) / speed + 0.3
    steps = []
    for line in range(lines):
        start = 0.1 + line * seconds
        turn = {"motor": "INENC1", "to": high if line % 2 == 0 else low, "speed": speed, "acceleration": 20 * speed}
        steps += [
            {"at": start, "move": turn},
            {"at": start + seconds - 0.25, "move": {"motor": "INENC2", "to": 10 * (line + 1), "speed": 1000}},
        ]
    design = [*snake_table(lines, points), *SNAKE]
    return design, validated({"steps": steps}, Scenario), lines * seconds + 0.5


def demo() -> tuple[list[str], Scenario, float]:
    """Return the demo, with the duration of two sweeps."""
    return [], load_scenario(DEMO), 12.0


def beamline() -> tuple[list[str], Scenario, float]:
    """Return a design of more than 25 blocks, with a detector that answers, and a change during the run."""
    scenario = load_scenario(BEAMLINE)
    return list(scenario.settings), replace(scenario, settings=()), 0.03
