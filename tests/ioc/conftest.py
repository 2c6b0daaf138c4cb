"""A simulated PandA and its IOC, one of each per test module."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aioca
import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.simulator import DeviceSpec, Server, load

from ..acquire import capture_counter, samples_on_arm
from .datapvs import DataPvs
from .process import Ioc, becomes, running_ioc

#: Capture settings at the start of a test.
CAPTURE_SETTINGS: dict[str, Any] = {
    "HDF_FILE_NAME": "x.h5",
    "CAPTURE_MODE": "FOREVER",
    "NUM_CAPTURE": 0,
    "FLUSH_PERIOD": 0.1,
    "RAW": 0,
    "OVERWRITE": 0,
    "LAZY_OPEN": 0,
    "FILE_TEMPLATE": "",
    "AUTO_INCREMENT": 0,
    "CREATE_DIRECTORY": 0,
    "BITS_TYPE": "uint32",
    "CHUNK_ROWS": 1024,
    "NEXUS": 0,
}


@pytest.fixture(scope="session", autouse=True)
async def close_channels() -> AsyncIterator[None]:
    """End the Channel Access client of this process before its event loop."""
    yield
    aioca.purge_channel_caches()


@pytest.fixture(scope="module")
def device() -> DeviceSpec:
    """The description of the simulated PandA."""
    return load()


@pytest.fixture(scope="module")
async def server(device: DeviceSpec) -> AsyncIterator[Server]:
    """The PandA."""
    async with Server(device, control_port=0, data_port=0) as server:
        yield server


@pytest.fixture(scope="module")
async def ioc(server: Server, ca_ports: Iterator[int], request: pytest.FixtureRequest) -> AsyncIterator[Ioc]:
    """The IOC; its prefix is unique to the module."""
    name = request.module.__name__.rpartition("test_")[2]
    prefix = getattr(request.module, "PREFIX", f"TEST-{name.upper()}")
    async with running_ioc(server.control_port, prefix, ca_ports, "--data-port", str(server.data_port)) as ioc:
        await becomes(ioc.pv("Status"), 2)
        yield ioc


@pytest.fixture
async def other(server: Server) -> AsyncIterator[AsyncioClient]:
    """Another client of the same PandA, such as its web page."""
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        yield client


@pytest.fixture
async def data(ioc: Ioc, server: Server, tmp_path: Path) -> AsyncIterator[DataPvs]:
    """The DATA PVs, with settings to capture a counter and the time to a new directory."""
    pvs = DataPvs(ioc, tmp_path)
    capture_counter(server)
    for name, value in {**CAPTURE_SETTINGS, "HDF_DIRECTORY": str(tmp_path)}.items():
        await pvs.put(name, value)
    yield pvs
    await ioc.pva_put("PCAP:ARM", 0)
    await pvs.put("CAPTURE", 0)
    samples_on_arm(server, 0)
