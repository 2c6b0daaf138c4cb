"""An IOC whose PandA is unreachable at the start, with and without a cached description."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aioca import FORMAT_TIME, caget, caput

from panda_ioc import __version__
from panda_ioc.ioc.process import cache
from panda_ioc.simulator import Server, load

from ..conftest import Hostile, free_port
from .process import becomes, running_ioc

DEVICE = """
name: another
blocks:
  OTHER:
    count: 1
    description: Of another PandA
    fields:
      FIELD: {type: param uint}
"""


async def test_it_waits_and_says_so(ca_ports: Iterator[int]) -> None:
    port = free_port()
    async with running_ioc(port, "TEST-WAIT", ca_ports, ready=f"127.0.0.1:{port}: Connection refused") as ioc:
        async with Server(load(), control_port=port, data_port=0):
            await ioc.wait_for("serving ")
            assert await caget(ioc.pv("PULSE1:PULSES")) == 0
            assert await ioc.stop() == 0


async def test_it_waits_for_one_that_hangs_up(ca_ports: Iterator[int]) -> None:
    async with (
        Hostile(b"", after=b"\n", then="close") as server,
        running_ioc(server.port, "TEST-HANG", ca_ports, ready="retrying until") as ioc,
    ):
        assert await ioc.stop() == 0


async def test_it_serves_what_was_there_last_time(ca_ports: Iterator[int], tmp_path: Path) -> None:
    port = free_port()
    kept = ("--state-dir", str(tmp_path))
    async with Server(load(), control_port=port, data_port=0) as panda:
        panda.panda.fields["PULSE1.PULSES"].write("5")
        async with running_ioc(port, "TEST-KEPT", ca_ports, *kept) as ioc:
            assert await ioc.stop() == 0
    async with running_ioc(port, "TEST-KEPT", ca_ports, *kept) as ioc:
        value = await caget(ioc.pv("PULSE1:PULSES"), format=FORMAT_TIME)
        assert (value, value.severity) == (5, 3)
        assert (await ioc.pva_get("PULSE1:PULSES")).severity == 3
        assert await caget(ioc.pv("Status"), datatype=str) == "DISCONNECTED"
        with pytest.raises(Exception, match="no connection to the PandA"):
            await ioc.pva_put("PULSE1:PULSES", 6)
        async with Server(load(), control_port=port, data_port=0):
            await becomes(ioc.pv("Status"), "CONNECTED", 15, datatype=str)
            await becomes(ioc.pv("PULSE1:PULSES"), 0)
            await caput(ioc.pv("PULSE1:PULSES"), 7, wait=True, timeout=5)
            value = await caget(ioc.pv("PULSE1:PULSES"), format=FORMAT_TIME)
            assert (value, value.severity) == (7, 0)


@pytest.mark.long
async def test_a_silent_one_and_an_unknown_name(ca_ports: Iterator[int], tmp_path: Path) -> None:
    """The IOC serves the cached description."""
    kept = ("--state-dir", str(tmp_path))
    async with Server(load(), control_port=0, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-SILENT", ca_ports, *kept) as ioc:
            await ioc.stop()
    async with Hostile(b"") as server, running_ioc(server.port, "TEST-SILENT", ca_ports, *kept) as ioc:
        assert (await ioc.raw_get("PULSE1:PULSES")).alarm.severity == 3
        assert await ioc.stop() == 0
    async with running_ioc(8888, "TEST-SILENT", ca_ports, *kept, host="no.such.host.invalid") as ioc:
        await ioc.wait_for("cannot reconnect to the PandA: cannot connect to no.such.host.invalid")
        assert (await ioc.raw_get("PULSE1:PULSES")).alarm.severity == 3
        assert await ioc.stop() == 0
    assert sum("cannot reconnect" in line for line in ioc.output) == 1


async def test_another_one_is_there(ca_ports: Iterator[int], tmp_path: Path) -> None:
    port = free_port()
    kept = ("--state-dir", str(tmp_path))
    device = tmp_path / "another.yaml"
    device.write_text(DEVICE)
    async with (
        Server(load(), control_port=port, data_port=0),
        running_ioc(port, "TEST-OTHER", ca_ports, *kept) as ioc,
    ):
        await ioc.stop()
    async with running_ioc(port, "TEST-OTHER", ca_ports, *kept) as ioc:
        async with Server(load(device), control_port=port, data_port=0):
            assert await ioc.ended() == 75
    async with running_ioc(port, "TEST-OTHER", ca_ports, *kept) as ioc:
        # The cache has the description of the last PandA.
        assert (await caget(ioc.pv("OTHER:FIELD"), format=FORMAT_TIME)).severity == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"version": "0.0.0"}',
        "\x00\xff",
        '{"version": 1, "blocks": 3}',
        '{"version": "' + __version__ + '"}',
        "[" * 100_000,
    ],
)
def test_caches_that_make_no_sense(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="latin-1")
    assert cache.read(path) is None
    assert "ignoring" in caplog.text


async def test_a_cache_that_makes_no_sense(ca_ports: Iterator[int], tmp_path: Path) -> None:
    (tmp_path / "TEST-BAD.panda.json").write_text('{"version": 1, "blocks": 3}')
    port = free_port()
    async with running_ioc(port, "TEST-BAD", ca_ports, "--state-dir", str(tmp_path), ready="retrying until") as ioc:
        assert any("ignoring" in line for line in ioc.output)
        assert await ioc.stop() == 0
