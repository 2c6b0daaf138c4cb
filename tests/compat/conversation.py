"""A script for pandablocks 0.10 that prints its results. It runs with that library and with the stand-in.

python conversation.py HOST FOLDER
"""
# ruff: noqa: T201

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pandablocks.asyncio import AsyncioClient
from pandablocks.blocking import BlockingClient
from pandablocks.commands import (
    Append,
    Arm,
    ChangeGroup,
    CommandException,
    Disarm,
    Get,
    GetBlockInfo,
    GetChanges,
    GetFieldInfo,
    GetLine,
    GetMultiline,
    GetPcapBitsLabels,
    GetState,
    Identify,
    Put,
    Raw,
    SetState,
)
from pandablocks.connections import ControlConnection, DataConnection
from pandablocks.hdf import create_default_pipeline, stop_pipeline, write_hdf_files
from pandablocks.responses import EndData, FrameData, ReadyData, StartData
from pandablocks.utils import table_to_words, words_to_table

SETUP = """COUNTER1.OUT.CAPTURE=Value Min Max Mean
COUNTER1.OUT.SCALE=0.5
COUNTER1.OUT.OFFSET=3
COUNTER1.OUT.UNITS=mm
PCAP.BITS0.CAPTURE=Value
PCAP.TS_TRIG.CAPTURE=Value
PCAP.TRIG=CLOCK1.OUT
PCAP.GATE=ONE
PCAP.ENABLE=BITS.OUTA
BITS.A=0
CLOCK1.PERIOD=0.001
COUNTER1.TRIG=CLOCK1.OUT
CLOCK1.ENABLE=ONE
COUNTER1.ENABLE=ONE""".splitlines()

COMMANDS = [
    *(Get("*IDN"), Get("PULSE1.DELAY"), Get("SEQ1.TABLE"), Get("SEQ1.TABLE.FIELDS"), Get("NOPE.X"), Get("PULSE1.NOPE")),
    *(GetLine("PCAP.ACTIVE"), GetLine("NOPE.X"), GetMultiline("*METADATA.*"), GetMultiline("NOPE.X")),
    *(Put("PULSE1.DELAY", 5), Put("PULSE1.DELAY", 0.25), Put("PULSE1.DELAY", "x"), Put("NOPE.X", "1")),
    *(Put("SEQ1.TABLE", ["1", "0", "0", "0"]), Get("SEQ1.TABLE"), Put("SEQ1.TABLE", [])),
    *(Raw(["SEQ1.TABLE?"]), Raw(["PCAP.ACTIVE?"]), Raw(["X"]), Raw(["SEQ1.TABLE<", "1", "1", "0", "0", ""])),
    *(Arm(), Disarm(), Identify(), GetBlockInfo(), GetBlockInfo(skip_description=True), GetPcapBitsLabels()),
    *(GetFieldInfo("PULSE", extended_metadata=False), GetFieldInfo("NOPE")),
    *(GetChanges(ChangeGroup.CONFIG), GetChanges(ChangeGroup.TABLE, True), GetChanges(ChangeGroup.TABLE)),
    *(SetState(["PULSE1.PULSES=3", "SEQ1.TABLE<", "1", "0", "0", "9", ""]), Get("PULSE1.PULSES"), Get("SEQ1.TABLE")),
    *(SetState(["NOPE.X=1", "PULSE1.PULSES=4"]), Get("PULSE1.PULSES"), SetState(["garbage"])),
    *(Append("PGEN1.TABLE", ["1", "2"]), Append("PGEN1.TABLE", ["3"], last=True), Get("PGEN1.TABLE.MODE")),
    *(Put("PGEN1.TABLE", []), Get("PGEN1.TABLE.MODE")),
]


def tell(what: object, make: Callable[[], object]) -> None:
    """Print the result or the error of a function."""
    try:
        print(what, "->", make())
    except CommandException as error:
        print(what, "->", type(error).__name__, error)


def about_start(start: Any) -> tuple[Any, ...]:
    fields = [
        (field.name, str(field.type), field.capture, field.scale, field.offset, field.units) for field in start.fields
    ]
    extra = [(field.has_scale_or_offset, str(field.raw_mode_dataset_dtype)) for field in start.fields]
    return fields, extra, start.missed, start.process, start.format, start.sample_bytes, start.hw_time_offset_ns


def commands(host: str) -> None:
    with BlockingClient(host) as client:
        for command in COMMANDS:
            tell(command, partial(client.send, command, timeout=5))
        for block in client.send(GetBlockInfo()):
            print(block, str(client.send(GetFieldInfo(block))).replace("offset=0)", "offset=0.0)"))
        tell("list", lambda: client.send([Get("PULSE1.PULSES"), Get("*CLOCK_FREQ")]))
        tell("refused in a list", lambda: client.send([Get("PULSE1.PULSES"), Put("NOPE.X", "1")]))
    with BlockingClient(host) as client:  # in that library, the state depends on the reported changes
        state = [line for line in client.send(GetState()) if "QUEUED_LINES" not in line]
        print("state", sorted(state))
        client.send(Put("PULSE1.PULSES", "77"))
        client.send(SetState(state))
        tell("after load", lambda: client.send(Get("PULSE1.PULSES")))
        info = client.send(GetFieldInfo("SEQ"))["TABLE"]
        table: dict[str, Any] = {name: np.zeros(2, np.uint8) for name in info.fields}
        table.update(TRIGGER=["Immediate", "BITA=1"], POSITION=np.array([-5, 3], np.int32))
        words = table_to_words(table, info)
        print(words)
        for convert in (False, True):
            for name, values in words_to_table(words, info, convert_enum_indices=convert).items():
                print(name, type(values).__name__, getattr(values, "dtype", None), list(values))
        try:
            for data in client.data(frame_timeout=1):
                print(data)
        except TimeoutError as error:
            print("TimeoutError", isinstance(error, OSError))


async def acquire(client: Any, scaled: bool) -> None:
    """The counter does not change meanwhile: only reproducible results are printed."""
    frames: list[Any] = []
    async for data in client.data(scaled=scaled, flush_period=0.05, frame_timeout=5):
        if isinstance(data, ReadyData):
            await client.send(Arm())
            await client.send(Put("BITS.A", 1))
        elif isinstance(data, StartData):
            print(about_start(data))
            await asyncio.sleep(0.1)
            await client.send(Put("BITS.A", 0))
        elif isinstance(data, FrameData):
            assert data.data.flags.writeable
            frames.append(data)
        elif isinstance(data, EndData):
            print(data.reason, data.samples == sum(len(frame.data) for frame in frames), data.samples > 50)
            print(frames[0].column_names, frames[0].data.dtype)
            break


async def captured(host: str, folder: str) -> None:
    import h5py

    async with AsyncioClient(host) as client:
        print(client.is_connected())
        for line in SETUP:
            await client.send(Put(*line.split("=")))
        for scaled in (True, False):
            await acquire(client, scaled)

        async def pulse(times: int) -> None:
            for _ in range(times):
                await asyncio.sleep(0.3)
                await client.send(Put("BITS.A", 1))
                await asyncio.sleep(0.2)
                await client.send(Put("BITS.A", 0))

        pulsing = asyncio.create_task(pulse(2))
        await write_hdf_files(client, iter([f"{folder}/1.h5", f"{folder}/2.h5"]), num=2, arm=True)
        await pulsing
        pulsing = asyncio.create_task(pulse(1))
        pipeline = create_default_pipeline(iter([f"{folder}/3.h5"]), {"COUNTER1.OUT": {"Min": "lowest"}})
        async for data in client.data(scaled=False, flush_period=0.1):
            if isinstance(data, ReadyData):
                await client.send(Arm())
            pipeline[0].queue.put_nowait(data)
            if isinstance(data, EndData):
                break
        stop_pipeline(pipeline)
        await pulsing
    print(client.is_connected())
    for path in sorted(Path(folder).glob("*.h5")):
        with h5py.File(path) as file:
            sets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            print(
                path.name, {name: item.dtype for name, item in sets.items()}, len({len(item) for item in sets.values()})
            )
            print({"arm_time", "start_time"} <= set(file.attrs), all(len(item) > 100 for item in sets.values()))


def without_sockets() -> None:
    control = ControlConnection()
    print(control.send(Get("A.B")), control.receive_bytes(b"OK =1\n"), list(control.responses()))
    print(control.send(GetLine("A.B")), control.receive_bytes(b"ERR no\n"))
    ((command, response),) = control.responses()
    print(command, type(response).__name__, response)
    print(DataConnection().connect(True), DataConnection().connect(False))


logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
commands(sys.argv[1])
asyncio.run(captured(sys.argv[1], sys.argv[2]))
without_sockets()
