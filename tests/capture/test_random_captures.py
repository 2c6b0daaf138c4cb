"""Random captures over TCP into files: each value is computed independently, in exact arithmetic.

The test simulates the hardware: it computes the words of samples from the signals during the gate. Both files, raw
and scaled, are written from the same acquisitions.
"""

import math
import random
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from panda_ioc.capture import read_columns
from panda_ioc.capture.acquisition import follow
from panda_ioc.capture.columns import Column, stored_columns
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import ColumnOptions, FileOptions
from panda_ioc.capture.recorder import FilePlan, Recorder
from panda_ioc.capture.selection import First
from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.services.data.datasets import CapturableField, asked_columns, dtype_name, expected_columns
from panda_ioc.protocol import Arm, Data, EndData, FieldCapture, Put
from panda_ioc.simulator import Server
from panda_ioc.simulator.layout import Layout

#: 40 s in ticks of 8 ns.
LONGEST_GATE = 5_000_000_000

POSITIONS = ("COUNTER1.OUT", "COUNTER2.OUT", "INENC1.VAL", "INENC2.VAL", "PGEN1.OUT")
OTHERS = {
    **{f"PCAP.TS_{name}": "timestamp" for name in ("START", "END", "TRIG")},
    "PCAP.GATE_DURATION": "samples",
    **{f"PCAP.BITS{word}": "bits" for word in range(4)},
}
FIELDS = [CapturableField(name, "") for name in POSITIONS] + [CapturableField(*pair) for pair in OTHERS.items()]
CAPTURES = ("Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev")
SCALES = (1, -1, 0.5, 1e-4, 1 / 3, 123456.789, 0, -2.5e-7)
OFFSETS = (0, 0, 10, -5.25, 1e6, 2 / 7)

#: Number of 32-bit words of a value, and whether it is signed.
WORDS = {"Sum": 2, "Mean": 2, "StdDev": 3}


@dataclass
class Plan:
    """The description of a capture.

    Attributes:
        captures: capture options of each field
        scaling: scale and offset of each position
        shift: PCAP.SHIFT_SUM
        arms: number of samples of each acquisition
        samples: the values of each sample by column, as the hardware computes them
    """

    captures: dict[str, str]
    scaling: dict[str, tuple[float, float]]
    shift: int
    arms: list[int]
    samples: list[dict[str, int]] = field(default_factory=list)

    def settings(self) -> Iterator[tuple[str, str]]:
        yield "*CAPTURE", ""
        for name, captures in self.captures.items():
            yield f"{name}.CAPTURE", captures
        for name, (scale, offset) in self.scaling.items():
            yield f"{name}.SCALE", repr(scale)
            yield f"{name}.OFFSET", repr(offset)


def plan(rng: random.Random) -> Plan:
    captures = {}
    for name in rng.sample(POSITIONS, rng.randint(1, 3)):
        captures[name] = " ".join(rng.sample(CAPTURES, rng.randint(1, len(CAPTURES))))
    for name in rng.sample(sorted(OTHERS), rng.randint(0, 4)):
        captures[name] = "Value"
    scaling = {name: (float(rng.choice(SCALES)), float(rng.choice(OFFSETS))) for name in captures if name in POSITIONS}
    arms = [rng.choice((0, 1, 2, 7, 40)) for _ in range(rng.randint(1, 3))]
    return Plan(captures, scaling, rng.choice((0, 0, 0, 1, 8)), arms)


def gate(rng: random.Random) -> list[int]:
    """Return the durations in ticks of the parts of a gate with constant signals: from one tick to 40 s, or none."""
    if rng.random() < 0.05:
        return [0]
    total = min(int(2 ** rng.uniform(0, 32.3)), LONGEST_GATE)
    cuts = sorted(rng.randint(0, total) for _ in range(rng.randint(0, 3)))
    return [end - begin for begin, end in zip([0, *cuts], [*cuts, total], strict=True)]


def sample(rng: random.Random, layout: Layout, shift: int) -> dict[str, int]:
    """Return the value of each column for a gate, before truncation to its width."""
    pieces = gate(rng)
    size = 2 ** rng.randint(1, 31)
    values = {name: [rng.randint(-size, size - 1) for _ in pieces] for name in POSITIONS}
    made = {}
    for item in layout.items:
        if item.name in OTHERS:
            ticks = sum(pieces) >> shift
            made[item.column] = ticks if "GATE" in item.name else rng.randrange(2 ** (32 * item.words - 1))
            continue
        seen = values[item.name]
        sums = sum(value * ticks for value, ticks in zip(seen, pieces, strict=True)) >> shift
        squares = sum(value**2 * ticks for value, ticks in zip(seen, pieces, strict=True)) >> shift
        numbers = {"Value": seen[-1], "Diff": seen[-1] - seen[0], "Sum": sums, "Mean": sums, "StdDev": squares}
        made[item.column] = {**numbers, "Min": min(seen), "Max": max(seen)}[item.capture]
    return made


def words(layout: Layout, made: Mapping[str, int]) -> list[int]:
    """Return the words of a sample in raw data, low word first."""
    return [made[item.column] >> 32 * place & 0xFFFFFFFF for item in layout.items for place in range(item.words)]


def number(column: str, value: int) -> int:
    """Return the value of some words: truncated to its width, with its sign."""
    capture = column.rpartition(".")[2]
    bits = 64 if ".TS_" in column else 32 * WORDS.get(capture, 1)
    value %= 2**bits
    unsigned = ".BITS" in column or ".GATE_DURATION" in column or capture == "StdDev"
    return value if unsigned or value < 2 ** (bits - 1) else value - 2**bits


def physical(source: FieldCapture, made: Mapping[str, int]) -> tuple[float, float]:
    """Return the exact value of a column in units, and the permitted deviation of a float64."""
    raw = number(source.column, made[source.column])
    if source.scale is None:
        return raw, 0.0
    scale, offset = Fraction(source.scale), Fraction(source.offset or 0)
    if source.capture not in {"Mean", "StdDev"}:
        return _near(raw * scale, offset)
    ticks = number("PCAP.GATE_DURATION.Value", made["PCAP.GATE_DURATION.Value"])
    if not ticks:
        return math.nan, 0.0
    if source.capture == "Mean":
        return _near(raw * scale / ticks, offset)
    total = number(f"{source.name}.Mean", made[f"{source.name}.Mean"])
    variance = ticks * raw - total * total
    if variance < 0:
        return math.nan, 0.0
    # 60 more binary digits than the integer root.
    return _near(Fraction(math.isqrt(variance << 120), 2**60) / ticks * scale, Fraction(0))


def _near(product: Fraction, offset: Fraction) -> tuple[float, float]:
    return float(product + offset), float(abs(product) + abs(offset)) * 2**-50


async def capture(panda: Server, wanted: Plan, rng: random.Random, folder: Path) -> tuple[list[Column], list[Column]]:
    """Capture to raw.h5 and scaled.h5; return the columns of DATASETS for each."""

    def on_arm(layout: Layout) -> None:
        panda.capture.start()
        rows = [sample(rng, layout, wanted.shift) for _ in range(wanted.arms[len(done)])]
        wanted.samples += rows
        if rows:
            panda.capture.append(np.array([words(layout, made) for made in rows], np.uint32))
        panda.capture.end("Ok")

    done: list[EndData] = []
    panda.capture.on_arm = on_arm
    client = AsyncioClient("127.0.0.1", panda.control_port, panda.data_port)
    async with client:
        for name, value in wanted.settings():
            await client.send(Put(name, value))
        told = {f"{name}.CAPTURE": captures for name, captures in wanted.captures.items()}
        options = ColumnOptions(asked=asked_columns(FIELDS, told.get), bits=rng.choice(("uint32", "float64")))
        raw_options = ColumnOptions(asked=options.asked, raw=True)
        recorders = [
            recorder(folder / "raw.h5", raw_options, len(wanted.arms), rng),
            recorder(folder / "scaled.h5", options, len(wanted.arms), rng),
        ]
        stream: AsyncGenerator[Data, None] = client.data(scaled=False)
        acquisition = None
        async with aclosing(stream):
            await anext(stream)
            while len(done) < len(wanted.arms):
                await client.send(Arm())
                async for data in stream:
                    acquisition = follow(acquisition, data)
                    assert acquisition
                    for one in recorders:
                        one.process(data, acquisition)
                    if isinstance(data, EndData):
                        done.append(data)
                        break
    for one in recorders:
        assert await one.wait_closed(20)
        assert one.progress.error is None
    return expected_columns(FIELDS, told.get, raw_options), expected_columns(FIELDS, told.get, options)


def recorder(path: Path, options: ColumnOptions, arms: int, rng: random.Random) -> Recorder:
    file = FileOptions(rows_per_chunk=rng.choice((1, 5, 1024, 30000)), overwrite=True)
    return Recorder(FilePlan(lambda: HdfFile(path, file), partial(stored_columns, options=options)), First(0, arms))


def check(wanted: Plan, folder: Path, told_raw: list[Column], told_scaled: list[Column]) -> None:
    from_raw = read_columns(folder / "raw.h5")
    with h5py.File(folder / "raw.h5") as raw, h5py.File(folder / "scaled.h5") as scaled:
        for file, told in ((raw, told_raw), (scaled, told_scaled)):
            found = {name: str(item.dtype) for name, item in file.items() if isinstance(item, h5py.Dataset)}
            assert found == {column.name: dtype_name(column) for column in told}
        for name in from_raw:
            numbers = [number(name, made[name]) for made in wanted.samples]
            assert integers(raw[name][:]) == numbers, name
        for name in (column.name for column in told_scaled):
            block_field, _, kind = name.rpartition(".")
            source = FieldCapture(block_field, kind, "", *scaling(raw[name]))
            values = scaled[name][:]
            np.testing.assert_array_equal(values, from_raw[name], err_msg=name)
            for value, made in zip(values.tolist(), wanted.samples, strict=True):
                right, tolerance = physical(source, made)
                assert abs(value - right) <= tolerance or (math.isnan(value) and math.isnan(right)), (name, made)


def scaling(dataset: h5py.Dataset) -> tuple[float | None, float | None]:
    return dataset.attrs.get("scale"), dataset.attrs.get("offset")


def integers(values: npt.NDArray[np.integer]) -> list[int]:
    if values.ndim == 1:
        return list(map(int, values.tolist()))
    return [sum(word << 32 * place for place, word in enumerate(row)) for row in values.tolist()]


@pytest.mark.parametrize("captures", [20, pytest.param(1000, marks=pytest.mark.long)])
async def test_random_captures(panda: Server, tmp_path: Path, captures: int) -> None:
    for seed in range(captures):
        rng = random.Random(seed)
        wanted = plan(rng)
        told = await capture(panda, wanted, rng, tmp_path)
        try:
            check(wanted, tmp_path, *told)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {wanted.captures}, shift {wanted.shift}, arms {wanted.arms}")
            raise
