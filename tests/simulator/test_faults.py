"""Faults injected at the ports."""

import asyncio
import gc
import json
import logging
import socket
import time

import pytest
from msgspec.structs import replace

from panda_ioc.client import AsyncioClient, PandaConnectionError
from panda_ioc.protocol import CommandError, FrameData, Get, GetBlockInfo, Identify, Put, ReadyData
from panda_ioc.simulator import Server, load
from panda_ioc.simulator.scenario import Scenario
from panda_ioc.validation import validated


def client_of(panda: Server) -> AsyncioClient:
    return AsyncioClient("127.0.0.1", panda.control_port, panda.data_port)


async def drive(client: AsyncioClient, action: str, **parameters: object) -> None:
    await client.send(Put("*DRIVE", json.dumps({action: parameters})))


async def refused_connection(client: AsyncioClient) -> None:
    """Wait until the connection is closed."""
    with pytest.raises(PandaConnectionError):
        async with asyncio.timeout(5):
            while True:
                await client.send(Get("*IDN"))


async def test_connections_are_cut(panda: Server) -> None:
    async with client_of(panda) as client, client_of(panda) as other:
        await drive(client, "cut", port="control")
        await refused_connection(client)
        await refused_connection(other)
    async with client_of(panda) as client:
        assert (await client.send(Identify())).software == "4.1"


async def test_data_connections_are_cut(panda: Server) -> None:
    async with client_of(panda) as client:
        for line in ("PCAP.TS_TRIG.CAPTURE=Value", "PCAP.ENABLE=ONE", "PCAP.TRIG=CLOCK1.OUT", "CLOCK1.ENABLE=ONE"):
            await client.send(Put(*line.split("=")))
        await client.send(Put("CLOCK1.PERIOD", "0.001"))
        cut = False
        with pytest.raises(PandaConnectionError):
            async with asyncio.timeout(5):
                async for data in client.data(scaled=False):
                    if isinstance(data, ReadyData):
                        await client.send(Put("*PCAP.ARM", ""))
                    elif isinstance(data, FrameData) and not cut:
                        cut = True
                        await drive(client, "cut", port="data")
        assert await client.send(Get("*PCAP.STATUS")) == b"Busy 0 0"


async def test_slow_replies_come_late_and_in_order(panda: Server) -> None:
    async with client_of(panda) as client:
        await drive(client, "slow", seconds=0.2)
        began = time.monotonic()
        answers = await asyncio.gather(*(client.send(Put("BITS.A", value)) for value in "0101"))
        assert answers == [None] * 4
        assert 0.2 <= time.monotonic() - began < 2
        await drive(client, "slow", seconds=0)
        began = time.monotonic()
        await client.send(Get("BITS.A"))
        assert time.monotonic() - began < 0.2


async def come_back(panda: Server, timeout: float = 5.0) -> AsyncioClient:
    """Connect to a server that is restarting."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                client = client_of(panda)
                await client.connect()
            except PandaConnectionError:
                continue
            return client


async def test_a_restart_with_another_device(panda: Server) -> None:
    async with client_of(panda) as client:
        await client.send(Put("BITS.A", "1"))
        before = await client.send(GetBlockInfo())
        await drive(client, "restart", software="9.9", fpga="1.2.3", without=["SEQ", "PGEN"])
        await refused_connection(client)
    client = await come_back(panda)
    try:
        identity = await client.send(Identify())
        assert (identity.software, identity.fpga) == ("9.9", "1.2.3")
        assert set(before) - set(await client.send(GetBlockInfo())) == {"SEQ", "PGEN"}
        assert await client.send(Get("BITS.A")) == b"0"
    finally:
        await client.close()


async def test_a_restart_from_python_plays_the_scenario_again() -> None:
    scenario = Scenario(settings=("BITS.B=1",))
    async with Server(load(), control_port=0, data_port=0, scenario=scenario) as panda:
        ports = panda.control_port, panda.data_port
        first = panda.simulation
        panda.panda.fields["BITS.B"].write("0")
        await panda.restart(replace(panda.panda.spec, software="5.0"))
        assert (panda.control_port, panda.data_port) == ports
        assert panda.simulation is not first
        async with client_of(panda) as client:
            assert (await client.send(Identify())).software == "5.0"
            assert await client.send(Get("BITS.B")) == b"1"


async def test_a_restart_without_a_block_that_the_scenario_sets(caplog: pytest.LogCaptureFixture) -> None:
    scenario = validated(
        {
            "settings": ["BITS.B=1", "SEQ1.TABLE<", "1 0 0 1", "", "SEQ2.REPEATS=5", "BITS.C=1"],
            "steps": [
                {"at": 0, "health": {"field": "SEQ1.HEALTH", "shows": "DMA underrun"}},
                {"at": 0, "level": {"input": "TTLIN1", "high": True}},
            ],
        },
        Scenario,
    )
    async with Server(load(), control_port=0, data_port=0, scenario=scenario) as panda:
        async with client_of(panda) as client:
            await drive(client, "restart", without=["SEQ"])
            await refused_connection(client)
        client = await come_back(panda)
        assert [await client.send(Get(name)) for name in ("BITS.B", "BITS.C")] == [b"1", b"1"]
        async with asyncio.timeout(5):
            while await client.send(Get("TTLIN1.VAL")) != b"1":
                pass
        await client.close()
    assert "restarted PandA refused: SEQ1.TABLE<: No such block" in caplog.text
    assert "restarted PandA refused: SEQ2.REPEATS=5: No such block" in caplog.text
    assert "step health at 0 s: unknown field SEQ1.HEALTH" in caplog.text
    assert "BITS" not in caplog.text


@pytest.mark.parametrize("block", ["SEQ", "PCAP", "INENC"])
async def test_a_copy_of_a_panda_restarts_without_a_block(block: str) -> None:
    """Such a device file has the order of the buses and readings of fields."""
    spec = load()
    readings = {f"{block}1.HEALTH" if spec.blocks[block].count > 1 else f"{block}.HEALTH": "OK"}
    copy = replace(spec, bits=tuple(spec.bus("bit_out")), positions=tuple(spec.bus("pos_out")), readings=readings)
    async with Server(copy, control_port=0, data_port=0) as panda:
        async with client_of(panda) as client:
            await drive(client, "restart", without=[block])
            await refused_connection(client)
        client = await come_back(panda)
        assert block not in await client.send(GetBlockInfo())
        await client.close()


async def test_a_restart_waits_for_a_free_port(panda: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(panda) as client:
        await drive(client, "restart", down=0.5)
        await refused_connection(client)
    with socket.create_server(("127.0.0.1", panda.data_port)):
        async with asyncio.timeout(10):
            while "cannot reopen its ports" not in caplog.text:  # noqa: ASYNC110 - only the log tells
                await asyncio.sleep(0.01)
    await (await come_back(panda)).close()


async def test_data_connections_end_with_a_restart(panda: Server, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    writer.write(b"\n")
    assert await reader.readline() == b"OK\n"
    before = asyncio.all_tasks()
    with caplog.at_level(logging.ERROR):
        await panda.restart()
        left = [task for task in asyncio.all_tasks() & before if "DataPort" in repr(task)]
        gc.collect()
    assert left == []
    assert caplog.text == ""
    assert await reader.read() == b""
    writer.close()


@pytest.mark.long
async def test_a_client_that_does_not_read_cannot_block_a_restart(panda: Server) -> None:
    with socket.create_connection(("127.0.0.1", panda.control_port)) as silent:
        silent.setblocking(False)
        loop = asyncio.get_running_loop()
        line = b"*ECHO " + b"x" * 1000 + b"?\n"
        with pytest.raises(TimeoutError):  # the server stops reading, because its replies are not read
            while True:
                await asyncio.wait_for(loop.sock_sendall(silent, line * 100), 0.5)
        async with asyncio.timeout(5):
            await panda.restart()
            await (await come_back(panda)).close()
            while panda.connections:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0)


async def test_a_stalled_data_port_continues(panda: Server) -> None:
    async with client_of(panda) as client:
        await drive(client, "stall")
        assert not panda.faults.stall.is_set()
        await drive(client, "stall", stalled=False)
        assert panda.faults.stall.is_set()
        await drive(client, "cut", port="data", after=100)
        assert panda.faults.cut == 100


async def test_an_invalid_fault_is_an_error(panda: Server) -> None:
    async with client_of(panda) as client:
        with pytest.raises(CommandError, match="TTLIN77 is not an input"):
            await drive(client, "level", input="TTLIN77", high=True)


async def test_closing_during_a_restart(panda: Server) -> None:
    async with client_of(panda) as client:
        await drive(client, "restart", down=60)
        await refused_connection(client)
    async with asyncio.timeout(5):
        await panda.close()
