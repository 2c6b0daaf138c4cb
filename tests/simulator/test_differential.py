"""The comparison with another server finds a difference if and only if there is one."""

from msgspec.structs import replace

from panda_ioc.simulator import Server, load
from panda_ioc.simulator.spec import DeviceSpec

from .differential import compare

COMMANDS = 2000


async def differences(served: DeviceSpec, known: DeviceSpec) -> list[str]:
    async with Server(served, control_port=0, data_port=0, speed=0) as server:
        return await compare("127.0.0.1", server.control_port, known, COMMANDS, seed=5)


async def test_the_simulator_beside_itself() -> None:
    assert await differences(load(), load()) == []


async def test_a_server_with_fewer_ways_to_capture() -> None:
    found = await differences(replace(load(), captures=("Value", "Mean")), load())
    assert found
    assert all("CAPTURE" in line or "*CHANGES" in line for line in found)
