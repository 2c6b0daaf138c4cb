"""Scripts for pandablocks 0.10 with the stand-in: examples of its public documentation, and its observed behaviour."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Put
from panda_ioc.simulator import Server, load

from ..acquire import capture_counter, samples_on_arm

HERE = Path(__file__).parent
CONVERSATION = HERE / "conversation.py"

#: Runs a script like `python -m panda_ioc.compat.pandablocks`, except for the ports, which are fixed in pandablocks.
LAUNCHER = """
import runpy, sys
import panda_ioc.ports as ports
ports.CONTROL_PORT, ports.DATA_PORT = int(sys.argv[1]), int(sys.argv[2])
del sys.argv[1:3]
runpy.run_module("panda_ioc.compat.pandablocks", run_name="__main__", alter_sys=True)
"""


async def output_of(*command: str | Path, timeout: float = 60) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(timeout):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def run(panda: Server, script: Path, *arguments: str) -> str:
    ports = (str(panda.control_port), str(panda.data_port))
    return await output_of(sys.executable, "-c", LAUNCHER, *ports, script, *arguments)


async def run_text(panda: Server, folder: Path, text: str) -> str:
    script = folder / "script.py"
    script.write_text(text.replace("hostname-or-ip", "127.0.0.1"))
    return await run(panda, script)


@pytest.fixture
def counting_panda(panda: Server) -> Server:
    capture_counter(panda)
    samples_on_arm(panda, 100)
    return panda


async def test_the_blocking_example(counting_panda: Server, tmp_path: Path) -> None:
    said = await run_text(
        counting_panda,
        tmp_path,
        """
from pandablocks.blocking import BlockingClient
from pandablocks.commands import Arm, Get
from pandablocks.responses import EndData, ReadyData

with BlockingClient("hostname-or-ip") as client:
    # Commands sent to Control port
    idn = client.send(Get("*IDN"))
    print(f"Hello {idn}")
    resp1, resp2 = client.send([Get("PULSE1.PULSES"), Get("*CLOCK_FREQ")])
    print(resp1, resp2)
    for data in client.data():
        # Data captured from Data port
        print(f"I got some PCAP data {data}")
        if isinstance(data, ReadyData):
            client.send(Arm())
        if isinstance(data, EndData):
            break
""",
    )
    assert "Hello PandA SW: 4.1" in said
    assert "0 125000000\nI got some PCAP data ReadyData()\nI got some PCAP data StartData(fields=[FieldCapture(" in said
    assert "I got some PCAP data EndData(samples=100, reason=<EndReason.OK: 'Ok'>)" in said


async def test_the_asyncio_example(counting_panda: Server, tmp_path: Path) -> None:
    said = await run_text(
        counting_panda,
        tmp_path,
        """
import asyncio

from pandablocks.asyncio import AsyncioClient
from pandablocks.commands import Arm, Get, Put
from pandablocks.responses import EndData, FrameData, ReadyData


async def main():
    async with AsyncioClient("hostname-or-ip") as client:
        # Control port is now connected
        cmd1, cmd2, cmd3 = Get("*CLOCK_FREQ"), Get("PULSE1.DELAY"), Put("PULSE1.DELAY", "0.5")
        resp1, resp2 = await asyncio.gather(client.send(cmd1), client.send(cmd2))
        resp3 = await client.send(cmd3)
        print(resp1, resp2, resp3, await client.send(cmd2))
        async for data in client.data():
            if isinstance(data, ReadyData):
                await client.send(Arm())
            if isinstance(data, FrameData):
                print(data.data["COUNTER1.OUT.Value"].sum())
            if isinstance(data, EndData):
                break
    # Control and data ports are now disconnected
    print(client.is_connected())


asyncio.run(main())
""",
    )
    assert said.splitlines() == ["125000000 0 None 0.5", "4950.0", "False"]


async def test_load_and_save(panda: Server, tmp_path: Path) -> None:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(Put("PULSE1.DELAY", 0.25))
    said = await run_text(
        panda,
        tmp_path,
        f"""
from pathlib import Path

from pandablocks.blocking import BlockingClient
from pandablocks.commands import Get, GetState, Put, SetState

saved = Path({str(tmp_path)!r}) / "saved"
with BlockingClient("hostname-or-ip") as client:
    saved.write_text("\\n".join(client.send(GetState())) + "\\n")
    client.send([Put("PULSE1.DELAY", "3"), Put("SEQ1.TABLE", ["1", "0", "0", "0"])])
    client.send(SetState(saved.read_text().splitlines()))
    print(client.send([Get("PULSE1.DELAY"), Get("SEQ1.TABLE")]))
    client.send(SetState(["NOPE.X=1", "garbage", "", "PULSE1.DELAY=4"]))
    print(client.send(Get("PULSE1.DELAY")))
""",
    )
    assert said.splitlines() == [
        "['0.25', []]",
        "command ['NOPE.X=1'] failed with ['ERR No such block']",
        "command ['garbage'] failed with ['ERR Unknown command']",
        "command [''] failed with ['ERR Unknown command']",
        "4",
    ]


async def test_the_example_without_sockets(panda: Server, tmp_path: Path) -> None:
    said = await run_text(
        panda,
        tmp_path,
        f"""
import socket as sockets

from pandablocks.commands import CommandException, Get, GetLine
from pandablocks.connections import ControlConnection, NoContextAvailableError

with sockets.create_connection(("hostname-or-ip", {panda.control_port})) as socket:
    cc = ControlConnection()
    socket.sendall(cc.send(Get("*CLOCK_FREQ")) + cc.send(GetLine("NOPE.X")))
    finished = 0
    while finished < 2:
        received = socket.recv(4096)
        to_send = cc.receive_bytes(received)
        socket.sendall(to_send)
        for command, response in cc.responses():
            finished += 1
            print(command, response if isinstance(response, str) else isinstance(response, CommandException))
try:
    cc.receive_bytes(b"OK\\n")
except NoContextAvailableError:
    print("nothing was asked")
""",
    )
    assert said.splitlines() == [
        "Get(field='*CLOCK_FREQ') 125000000",
        "GetLine(field='NOPE.X') True",
        "nothing was asked",
    ]


async def test_the_pipeline_with_a_stage_of_ones_own(counting_panda: Server, tmp_path: Path) -> None:
    said = await run_text(
        counting_panda,
        tmp_path,
        f"""
import asyncio

import h5py
from pandablocks.asyncio import AsyncioClient
from pandablocks.commands import Arm
from pandablocks.hdf import FrameProcessor, HDFWriter, Pipeline, create_pipeline, stop_pipeline, write_hdf_files
from pandablocks.responses import EndData, ReadyData


class Doubled(Pipeline):
    def __init__(self):
        super().__init__()
        self.what_to_do = {{list: lambda arrays: [array * 2 for array in arrays]}}


class Broken(Pipeline):
    def __init__(self):
        super().__init__()
        self.what_to_do = {{list: self.fail}}

    def fail(self, arrays):
        raise ValueError("a mistake")


async def into(client, *stages):
    pipeline = create_pipeline(FrameProcessor(), *stages)
    async for data in client.data(scaled=False, flush_period=0.1):
        pipeline[0].queue.put_nowait(data)
        if isinstance(data, ReadyData):
            await client.send(Arm())
        if isinstance(data, EndData):
            break
    stop_pipeline(pipeline)


async def main():
    folder = {str(tmp_path)!r}
    async with AsyncioClient("hostname-or-ip") as client:
        await write_hdf_files(client, iter([folder + "/1.h5", folder + "/2.h5"]), num=2, arm=True)
        await into(client, Doubled(), HDFWriter(iter([folder + "/3.h5"]), {{"COUNTER1.OUT": {{"Value": "count"}}}}))
        try:
            await into(client, Broken(), HDFWriter(iter([folder + "/4.h5"]), {{}}))
        except ValueError as error:
            print("raised", error)
    for name, column in (("1", "COUNTER1.OUT.Value"), ("2", "COUNTER1.OUT.Value"), ("3", "count")):
        with h5py.File(folder + "/" + name + ".h5") as file:
            print(name, file[column][()].sum(), file.attrs["arm_time"][:2])


asyncio.run(main())
""",
    )
    lines = said.splitlines()
    assert lines[-3:] == ["1 4950.0 20", "2 4950.0 20", "3 9900.0 20"]
    assert "raised a mistake" in lines


async def test_an_overrun(counting_panda: Server, tmp_path: Path) -> None:
    samples_on_arm(counting_panda, 100, "Driver data overrun")
    said = await run_text(
        counting_panda,
        tmp_path,
        f"""
import asyncio

from pandablocks.asyncio import AsyncioClient
from pandablocks.hdf import HDFDataOverrunError, write_hdf_files


async def main():
    async with AsyncioClient("hostname-or-ip") as client:
        try:
            await write_hdf_files(client, iter([{str(tmp_path)!r} + "/1.h5"]), arm=True)
        except HDFDataOverrunError as error:
            print(error)


asyncio.run(main())
""",
    )
    assert said.endswith("1.h5: the acquisition ended with: Driver data overrun\n")


@pytest.mark.long
async def test_a_long_conversation(panda: Server, tmp_path: Path) -> None:
    """The same script as in the comparison below; this test has some results of the other library."""
    said = await run(panda, CONVERSATION, "127.0.0.1", str(tmp_path))
    for line in (
        "Get(field='NOPE.X') -> CommandError Get(field='NOPE.X') raised error:",
        "AssertionError: 'NOPE.X?' -> 'ERR No such block'",
        "Raw(inp=['SEQ1.TABLE<', '1', '1', '0', '0', '']) -> ['OK']",
        "Identify() -> Identification(software='4.1', fpga='0.0.0 00000000 00000000', rootfs='panda-ioc simulator')",
        "list -> ['4', '125000000']",
        "['0', '4294967291', '0', '0', '131072', '3', '0', '0']",
        "TRIGGER list None ['Immediate', 'BITA=1']",
        "TimeoutError True",
    ):
        assert line in said.splitlines(), line


async def test_the_real_library_is_not_replaced_behind_its_back() -> None:
    code = """
import sys, types
sys.modules["pandablocks"] = types.ModuleType("pandablocks")
from panda_ioc.compat.pandablocks import install
try:
    install()
except ImportError as error:
    print(error)
"""
    assert "it is already imported" in await output_of(sys.executable, "-c", code)


@pytest.mark.slow
async def test_the_other_library_says_the_same(tmp_path: Path) -> None:
    """The whole conversation gives the same lines with the real, downloaded pandablocks and with the stand-in."""
    sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
    try:
        from peers import environment
    finally:
        del sys.path[0]
    for port in (8888, 8889):  # the other library has no other names
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is in use")
    peer = environment("pandablocks-0.10.4", "pandablocks==0.10.4", "h5py") / "python"
    said = []
    commands: list[list[str | Path]] = [
        [peer, "-W", "ignore"],
        [sys.executable, "-m", "panda_ioc.compat.pandablocks"],
    ]
    for number, command in enumerate(commands):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Server(load(), control_port=8888, data_port=8889):
            said.append(await output_of(*command, CONVERSATION, "127.0.0.1", str(folder)))
    assert said[0].splitlines() == said[1].splitlines()
