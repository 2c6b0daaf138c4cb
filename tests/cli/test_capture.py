"""`panda-ioc capture` and `plot`, with a simulated PandA over TCP."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from tqdm import tqdm

from panda_ioc.capture import read_columns
from panda_ioc.capture.acquisition import AcquisitionState
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.recorder import FilePlan
from panda_ioc.capture.selection import First, Selected
from panda_ioc.cli.capture import _Files, _ready, _record
from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Data, FrameData, Put
from panda_ioc.simulator import Server
from panda_ioc.simulator.layout import Layout
from panda_ioc.simulator.numbers import Refused

from ..acquire import capture_counter, samples_on_arm
from ..command import panda_ioc
from ..conftest import Hostile, free_port, until


@pytest.fixture
def ports(panda: Server) -> tuple[str, ...]:
    capture_counter(panda)
    return ("127.0.0.1", "--control-port", str(panda.control_port), "--data-port", str(panda.data_port))


def counted(path: Path) -> list[float]:
    with h5py.File(path) as file:
        return [float(value) for value in file["COUNTER1.OUT.Value"][:]]


def count_arms(panda: Server) -> list[object]:
    """A list that gets an item each time that PCAP is armed."""
    arms: list[object] = []
    on_arm = panda.capture.on_arm

    def count(layout: Layout) -> None:
        arms.append(layout)
        on_arm(layout)

    panda.capture.on_arm = count
    return arms


async def test_capture_and_plot(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    samples_on_arm(panda, 5000)
    said = await panda_ioc("capture", *ports, path, "--arm", "--acquisitions", "2")
    assert said.endswith("x.h5: 10000 samples in 2 acquisitions, 0 missed, end reason: Ok\n")
    assert counted(path) == [*map(float, range(5000))] * 2
    await panda_ioc("plot", path, "-o", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    said = await panda_ioc("plot", path, "-c", "NOPE", "-o", tmp_path / "y.png", code=1)
    assert "has no column NOPE; it has COUNTER1.OUT.Value, PCAP.TS_TRIG.Value" in said
    said = await panda_ioc("plot", path, "-o", tmp_path / "nowhere" / "y.png", code=1)
    assert f"cannot write {tmp_path}/nowhere/y.png: No such file or directory" in said
    said = await panda_ioc("plot", tmp_path / "nothing.h5", "-o", tmp_path / "y.png", code=1)
    assert "cannot read" in said
    before = path.read_bytes()
    said = await panda_ioc("capture", *ports, path, "--arm", code=1)
    assert said == f"Error: cannot create {path}: File exists\n"
    assert path.read_bytes() == before


async def test_a_file_for_each_acquisition(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 100)
    path = tmp_path / "scan_%02d-100%%.h5"
    said = await panda_ioc("capture", *ports, path, "--arm", "--acquisitions", "3")
    names = [f"scan_0{number}-100%.h5" for number in (1, 2, 3)]
    assert sorted(made.name for made in tmp_path.iterdir()) == names
    assert all(counted(tmp_path / name) == [*map(float, range(100))] for name in names)
    assert [line.split(": ")[0] for line in said.splitlines() if "samples in 1 acquisition," in line] == [
        str(tmp_path / name) for name in names
    ]
    # The total number of samples; existing files stay, also the earlier complete one.
    said = await panda_ioc("capture", *ports, tmp_path / "n_%d.h5", "--arm", "--samples", "250")
    assert [len(counted(tmp_path / f"n_{number}.h5")) for number in (1, 2, 3)] == [100, 100, 50]
    (tmp_path / "n_1.h5").unlink()
    armed = count_arms(panda)
    said = await panda_ioc("capture", *ports, tmp_path / "n_%d.h5", "--arm", "--acquisitions", "2", code=1)
    assert said.splitlines()[-2:] == [
        f"{tmp_path / 'n_1.h5'}: 100 samples in 1 acquisition, 0 missed, end reason: Ok",
        f"Error: cannot create {tmp_path / 'n_2.h5'}: File exists",
    ]
    assert len(armed) == 1
    assert panda.capture.completion != "Busy"
    assert len(counted(tmp_path / "n_1.h5")) == 100
    said = await panda_ioc("capture", *ports, tmp_path / "n_%d_%d.h5", "--arm", code=1)
    assert "more than one number" in said


async def test_a_file_that_is_replaced(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    """The file stays until its replacement is ready, and readers keep the old one."""
    path = tmp_path / "x.h5"
    samples_on_arm(panda, 100)
    await panda_ioc("capture", *ports, path, "--arm")

    def refuse(_layout: object) -> None:
        raise Refused("Not now")

    panda.capture.on_arm = refuse
    await panda_ioc("capture", *ports, path, "--arm", "--overwrite", code=1)
    assert len(counted(path)) == 100
    panda.capture.end("Disarmed")
    samples_on_arm(panda, 50)
    with h5py.File(path) as reader:
        await panda_ioc("capture", *ports, path, "--arm", "--overwrite")
        assert len(reader["COUNTER1.OUT.Value"]) == 100
    assert len(counted(path)) == 50
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "rows", "dtype"),
    [((), 5000, "float64"), (("--samples", "1234"), 1234, "float64"), (("--raw", "--nexus"), 5000, "int32")],
)
async def test_what_is_captured(
    panda: Server, ports: tuple[str, ...], tmp_path: Path, options: tuple[str, ...], rows: int, dtype: str
) -> None:
    samples_on_arm(panda, 5000)
    await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", *options)
    assert len(counted(tmp_path / "x.h5")) == rows
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["COUNTER1.OUT.Value"].dtype == dtype


@pytest.mark.parametrize(
    ("options", "added"), [((), set()), (("--raw",), {"PCAP.GATE_DURATION.Value", "INENC1.VAL.Mean"})]
)
async def test_a_deviation_alone(
    panda: Server, ports: tuple[str, ...], tmp_path: Path, options: tuple[str, ...], added: set[str]
) -> None:
    """The PandA sends more columns in raw data, which only a raw file needs."""
    gate, path = 2**31 + 8, tmp_path / "x.h5"
    words = {"PCAP.BITS0.Value": [7], "PCAP.GATE_DURATION.Value": [gate], "INENC1.VAL.Mean": [0, 0]}
    words["INENC1.VAL.StdDev"] = [9 * gate & 0xFFFFFFFF, 9 * gate >> 32, 0]

    def on_arm(layout: Layout) -> None:
        panda.capture.start()
        panda.capture.append(np.array([[word for item in layout.items for word in words[item.column]]], np.uint32))
        panda.capture.end("Ok")

    panda.capture.on_arm = on_arm
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        for name, value in {"*CAPTURE": "", "PCAP.BITS0.CAPTURE": "Value", "INENC1.VAL.CAPTURE": "StdDev"}.items():
            await client.send(Put(name, value))
    await panda_ioc("capture", *ports, path, "--arm", "--bits", "float64", "--chunk-rows", "4096", *options)
    values = read_columns(path)
    assert values.keys() == {"PCAP.BITS0.Value", "INENC1.VAL.StdDev"} | added
    assert values["INENC1.VAL.StdDev"].tolist() == [3.0]
    assert values["PCAP.BITS0.Value"].dtype == ("uint32" if options else "float64")
    with h5py.File(path) as file:
        assert file["PCAP.BITS0.Value"].chunks == (4096,)
    await panda_ioc("plot", path, "-o", tmp_path / "x.png")


@pytest.mark.parametrize(
    "compression", [*(pytest.param(name, marks=pytest.mark.long) for name in ("gzip", "lz4")), "zstd"]
)
async def test_a_picture_of_what_is_compressed(
    panda: Server, ports: tuple[str, ...], tmp_path: Path, compression: str
) -> None:
    samples_on_arm(panda, 5000)
    await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", "--compression", compression)
    await panda_ioc("plot", tmp_path / "x.h5", "-o", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000


async def test_the_panda_is_not_left_armed(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 5000, reason="")
    await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", "--samples", "1234")
    assert len(counted(tmp_path / "x.h5")) == 1234
    assert panda.capture.completion == "Disarmed"
    await panda_ioc("capture", *ports, tmp_path / "nothing/x.h5", "--arm", code=1)
    assert panda.capture.completion == "Disarmed"


async def test_what_others_armed_is_left_alone(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 5000, reason="")
    panda.capture.arm()
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", code=1)
    assert "Already" in said or "progress" in said, said
    assert panda.capture.completion == "Busy"


async def test_the_file_is_closed_though_the_panda_cannot_be_disarmed(
    panda: Server, ports: tuple[str, ...], tmp_path: Path
) -> None:
    samples_on_arm(panda, 5000, reason="")

    def refuse() -> None:
        raise Refused("Not now")

    panda.capture.on_disarm = refuse
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", "--samples", "1234", code=1)
    assert "the PandA may still be armed, disarming failed: " in said
    assert "Not now" in said
    assert len(counted(tmp_path / "x.h5")) == 1234


async def test_an_overrun_is_no_success(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 100, "Data overrun")
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", code=1)
    assert "the acquisition ended with: Data overrun" in said
    assert len(counted(tmp_path / "x.h5")) == 100


async def test_samples_that_were_missed_are_no_success(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    """The PandA has only the last samples of an acquisition for a client that connects late."""
    panda.capture.buffer_bytes = 12 * 50
    samples_on_arm(panda, 0, reason="")
    panda.capture.arm()
    for _ in range(10):
        panda.capture.append(np.zeros((10, 3), np.uint32))
    asyncio.get_running_loop().call_later(2, panda.capture.end, "Ok")
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", code=1)
    captured = len(counted(tmp_path / "x.h5"))
    assert 0 < captured < 100
    assert f"Error: {100 - captured} samples taken before the capture are missing: " in said


async def test_where_no_file_can_be(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    armed = count_arms(panda)
    said = await panda_ioc("capture", *ports, tmp_path / "nothing/x.h5", "--arm", code=1)
    assert "nothing/x.h5" in said
    assert not armed


@pytest.mark.parametrize("wrong", ["refuses", "is silent", "is another"])
async def test_a_wrong_data_port_leaves_no_file(
    panda: Server, ports: tuple[str, ...], tmp_path: Path, wrong: str
) -> None:
    async with Hostile(b"") as silent:
        port = {"refuses": free_port(), "is silent": silent.port, "is another": panda.control_port}[wrong]
        said = await panda_ioc("capture", *ports[:-1], str(port), tmp_path / "x.h5", "--arm", code=1)
    assert said.startswith("Error: ")
    assert not (tmp_path / "x.h5").exists()
    assert panda.capture.completion != "Busy"


async def test_what_could_not_be_armed_leaves_no_file(ports: tuple[str, ...], panda: Server, tmp_path: Path) -> None:
    def refuse(_layout: object) -> None:
        raise Refused("Not now")

    panda.capture.on_arm = refuse
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", code=1)
    assert said.startswith("Error: ")
    assert not (tmp_path / "x.h5").exists()


async def test_a_panda_that_goes_away(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 100)
    panda.faults.cut = 500
    said = await panda_ioc("capture", *ports, tmp_path / "x.h5", "--arm", code=1)
    assert "the data port" in said or "lost" in said
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["acquisitions/end_reason"][:].tolist() == [b"Connection lost"]
        assert file.attrs["end_reason"].decode() in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopped_by_hand(panda: Server, ports: tuple[str, ...], tmp_path: Path, number: int) -> None:
    samples_on_arm(panda, 100, reason="")
    path = tmp_path / "x.h5"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "panda_ioc", "capture", *ports, str(path), "--arm"), stdout=asyncio.subprocess.PIPE
    )
    try:
        await until(_has_rows(path), 20)
        process.send_signal(number)
        said, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert said.decode().endswith("100 samples in 1 acquisition, 0 missed, end reason: Capture stopped\n")
    assert process.returncode == 0
    assert panda.capture.completion == "Disarmed"
    assert len(counted(path)) == 100


def _has_rows(path: Path) -> Callable[[], bool]:
    def has_rows() -> bool:
        try:
            with h5py.File(path, swmr=True) as file:
                return len(file["COUNTER1.OUT.Value"]) == 100
        except (OSError, KeyError):
            return False

    return has_rows


class Broken(First):
    """A bug: it cannot process samples."""

    def process(self, data: Data, acquisition: AcquisitionState) -> Iterator[Selected]:
        if isinstance(data, FrameData):
            raise ZeroDivisionError("a bug")
        return super().process(data, acquisition)


async def test_a_bug_is_no_success(panda: Server, ports: tuple[str, ...], tmp_path: Path) -> None:
    samples_on_arm(panda, 100, reason="")
    files = _Files(tmp_path / "x.h5", lambda path: FilePlan(lambda: HdfFile(path)))
    files.begin(0, 1, Broken)
    with tqdm(disable=True) as progress:
        async with AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
            with pytest.raises(ZeroDivisionError):
                await _record(client, await _ready(client), files, progress, arm=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)
    assert [path.name for path, _ in files.made] == ["x.h5"]
    assert panda.capture.completion == "Disarmed"
