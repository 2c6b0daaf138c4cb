"""Copies of a PandA as a device file: the simulator replies as the PandA did."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from panda_ioc.cli.copying import copy
from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import (
    BlockInfo,
    FieldInfo,
    GetBlockInfo,
    GetFieldInfo,
    GetMetadata,
    GetMultiline,
    GetState,
    Identify,
    Identity,
    Put,
    PutTable,
)
from panda_ioc.simulator import Server, Simulation, load
from panda_ioc.simulator.copying import Answers, CannotCopyError, as_text, device_of
from panda_ioc.yamlfile import YamlFileError


async def told(control_port: int, data_port: int) -> dict[str, Any]:
    """Return the whole introspection of a PandA, and its settings."""
    async with AsyncioClient("127.0.0.1", control_port, data_port) as client:
        blocks = await client.send(GetBlockInfo())
        return {
            "blocks": blocks,
            "fields": {block: await client.send(GetFieldInfo(block)) for block in blocks},
            "identity": await client.send(Identify()),
            "metadata": await client.send(GetMetadata()),
            "buses": [await client.send(GetMultiline(name)) for name in ("*BITS", "*POSITIONS", "*CAPTURE.OPTIONS")],
            "state": sorted(await client.send(GetState())),
        }


async def test_a_recorded_pandabox_is_served_from_a_copy(replay_port: int, tmp_path: Path) -> None:
    file = tmp_path / "copy.yaml"
    assert await asyncio.to_thread(copy, "127.0.0.1", replay_port, replay_port, file) == []
    expected = await told(replay_port, replay_port)
    async with Server(load(file), control_port=0, data_port=0) as panda:
        found = await told(panda.control_port, panda.data_port)
    for what, value in expected.items():
        assert found[what] == value, what


async def test_a_copy_has_the_settings_and_runs(panda: Server, tmp_path: Path) -> None:
    file = tmp_path / "copy.yaml"
    async with AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        for line in (
            "PULSE1.WIDTH.UNITS=ms", "PULSE1.WIDTH=1.5", "PULSE1.TRIG=TTLIN1.VAL", "PULSE1.TRIG.DELAY=3",
            "PULSE1.ENABLE=ONE", "COUNTER1.OUT.SCALE=0.5", "LUT1.FUNC=A&B", "*METADATA.LABEL_SEQ1=shutter",
        ):  # fmt: skip
            await client.send(Put(*line.split("=", 1)))
        await client.send(PutTable("SEQ1.TABLE", [1, 0, 5, 5] * 10))
    await asyncio.to_thread(copy, "127.0.0.1", panda.control_port, panda.data_port, file)
    before = await told(panda.control_port, panda.data_port)
    async with Server(load(file), control_port=0, data_port=0, speed=0) as other:
        assert await told(other.control_port, other.data_port) == before
        other.simulation.outside.input("TTLIN1").pulses(1e-6)
        other.simulation.advance(125 * 500)
        assert other.simulation.say("PULSE1.OUT?", "SEQ1.STATE?") == ["OK =1", "OK =WAIT_ENABLE"]


def answers(**changed: Any) -> Answers:
    plain: dict[str, Any] = {
        "identity": Identity("4.1", "0", "test"),
        "blocks": {"PULSE": BlockInfo(2), "ODD": BlockInfo(1)},
        "fields": {
            "PULSE": {"ENABLE": FieldInfo("bit_mux", None), "OUT": FieldInfo("bit_out", None)},
            "ODD": {"NEW": FieldInfo("param", "quaternion"), "OUT": FieldInfo("bit_out", None)},
        },
        "bits": ["PULSE1.OUT", "ODD.OUT", "PULSE2.OUT"],
        "positions": [],
        "captures": ["Value"],
        "metadata": {},
        "state": [],
        "readings": {},
    }
    return Answers(**{**plain, **changed})


def test_fields_of_unknown_types_are_left_out_and_reported(tmp_path: Path) -> None:
    device, left_out = device_of(answers(), "odd")
    assert left_out == ["ODD.NEW (param quaternion)"]
    file = tmp_path / "odd.yaml"
    file.write_text(as_text(device))
    again = load(file)
    assert again == device
    sim = Simulation(again)
    assert sim.say("*BITS?") == ["!PULSE1.OUT", "!ODD.OUT", "!PULSE2.OUT", "."]
    assert sim.say("PULSE1.ENABLE=ODD.OUT", "PULSE1.ENABLE=ONE") == ["OK", "OK"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"bits": ["PULSE1.OUT"]}, "bits must list every bit_out exactly once"),
        ({"bits": ["PULSE1.OUT", "PULSE1.OUT", "PULSE2.OUT"]}, "bits must list every bit_out exactly once"),
        ({"blocks": {"PULSE": BlockInfo(0)}}, "count"),
        ({"blocks": {"not a name": BlockInfo(1)}}, "not a name"),
        ({"captures": ["Median"]}, "captures"),
        ({"state": ["X=1\nY=2"]}, "settings"),
    ],
)
def test_an_inconsistent_panda_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(CannotCopyError, match=says):
        device_of(answers(**changed), "odd")


def test_refused_settings_are_logged_and_the_others_applied(caplog: pytest.LogCaptureFixture) -> None:
    sim = Simulation(replace(load(), settings=("PULSE1.WIDTH=1", "NOPE.X=1", "BITS.A=1")))
    assert "refused some of the settings in its device file: NOPE.X=1: No such block" in caplog.text
    assert sim.say("BITS.A?") == ["OK =1"]


def test_invalid_readings(tmp_path: Path) -> None:
    file = tmp_path / "device.yaml"
    file.write_text("name: x\nblocks: {}\nbits: [A.OUT]\n")
    with pytest.raises(YamlFileError, match="A.OUT"):
        load(file)
