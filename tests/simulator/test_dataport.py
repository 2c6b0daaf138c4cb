"""The data port of the simulated PandA sends the same bytes as a real one for the same samples."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from panda_ioc.simulator import Server
from panda_ioc.simulator.capture import Acquisition
from panda_ioc.simulator.layout import Item, Layout

#: Bytes that a real server sent; `.raw` and `.scaled` of one name are one acquisition.
RECORDED = Path(__file__).parent / "recorded"

SETUP = {
    "PCAP.BITS0.CAPTURE": "Value",
    "PCAP.BITS2.CAPTURE": "Value",
    "PCAP.TS_TRIG.CAPTURE": "Value",
    "COUNTER1.OUT.CAPTURE": "Value",
    "COUNTER1.OUT.SCALE": "0.5",
    "COUNTER1.OUT.OFFSET": "10",
    "COUNTER1.OUT.UNITS": "mm",
    "COUNTER2.OUT.CAPTURE": "Min Max Mean",
    "COUNTER3.OUT.CAPTURE": "Sum",
    "COUNTER3.OUT.SCALE": "0.001",
    "COUNTER4.OUT.CAPTURE": "Diff",
    "COUNTER4.OUT.SCALE": "2",
    "INENC1.VAL.CAPTURE": "Mean",
    "INENC1.VAL.SCALE": "-0.0001",
    "INENC1.VAL.OFFSET": "5.25",
    "INENC1.VAL.UNITS": "deg",
}

FORMATS = {
    "ascii": "",
    "unframed": "UNFRAMED RAW XML",
    "base64": "BASE64 RAW",
    "text-framed": "FRAMED",
    "text-framed-raw": "FRAMED RAW",
    "bare": "BARE",
}


def set_up(panda: Server) -> None:
    for name, value in SETUP.items():
        field, _, attribute = name.rpartition(".")
        write = panda.panda.fields[field].attributes[attribute].write
        assert write
        write(value)


async def answer(panda: Server, options: str, length: int) -> bytes:
    """Return the first bytes that a client with some options receives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    try:
        writer.write(f"{options}\n".encode())
        return await asyncio.wait_for(reader.readexactly(length), 5)
    finally:
        writer.close()


async def test_all_formats(panda: Server) -> None:
    recorded = {name: (RECORDED / f"other-formats.{name}.bin").read_bytes() for name in FORMATS}
    set_up(panda)
    answers = [asyncio.create_task(answer(panda, options, len(recorded[name]))) for name, options in FORMATS.items()]
    async with asyncio.timeout(5):
        while panda.capture.readers < len(FORMATS):
            await asyncio.wait(answers, timeout=0.01)
    panda.capture.arm()
    assert panda.capture.acquisition
    panda.capture.acquisition.arm_time = "2026-11-22T07:08:24.052049200Z"
    panda.capture.start()
    panda.capture.acquisition.start_time = "2026-11-22T07:08:24.058110656Z"
    samples = np.frombuffer(recorded["bare"], "<u4").reshape(25, -1)
    panda.capture.append(samples)
    panda.capture.end("Ok")
    for name, task in zip(FORMATS, answers, strict=True):
        assert await task == recorded[name], name


async def test_acquisitions_without_a_start(panda: Server) -> None:
    set_up(panda)
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    writer.write(b"FRAMED RAW XML\n")
    assert await asyncio.wait_for(reader.readline(), 5) == b"OK\n"
    panda.capture.arm()
    assert panda.capture.completion == "Busy"
    assert panda.capture.status == "Busy 1 1"
    panda.capture.disarm()
    said = await asyncio.wait_for(reader.readuntil(b"END 0 Disarmed\n"), 5)
    assert said.count(b"<field ") == 11
    assert panda.capture.completion == "Disarmed"
    writer.close()


@pytest.mark.parametrize("options", ["framed", "FRAMED RAW ", " FRAMED", "HTTP/1.1"])
async def test_bad_options(panda: Server, options: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    writer.write(f"{options}\n".encode())
    assert await asyncio.wait_for(reader.read(), 5) == b"ERR Invalid data capture option\n"
    writer.close()


async def test_a_slow_client_gets_a_data_overrun(panda: Server) -> None:
    set_up(panda)
    panda.capture.buffer_bytes = 60 * 100
    panda.faults.stall.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    writer.write(b"FRAMED RAW XML\n")
    panda.faults.stall.set()
    await asyncio.wait_for(reader.readline(), 5)
    panda.capture.arm()
    panda.capture.start()
    await asyncio.wait_for(reader.readuntil(b"</header>\n\n"), 5)
    panda.faults.stall.clear()
    for _ in range(10):
        panda.capture.append(np.zeros((50, 15), np.uint32))
        await asyncio.sleep(0)
    panda.faults.stall.set()
    said = await asyncio.wait_for(reader.readuntil(b"Data overrun\n"), 5)
    assert b"END 50 Data overrun\n" in said
    writer.close()


def test_samples_in_small_batches_are_read_back() -> None:
    layout = Layout((Item("A.B", "Value", "int32", 1),))
    acquisition = Acquisition(layout, buffer_bytes=4 * 1000)
    chance = random.Random(1)
    total = 0
    while total < 5000:
        count = chance.choice([1, 2, 7, 40, 249, 250, 600])
        acquisition.append(np.arange(total, total + count, dtype=np.uint32).reshape(-1, 1))
        total += count
        at = chance.randrange(total + 1)
        found = acquisition.read(at, chance.randrange(1, 2000))
        if at < acquisition.first:
            assert found is None
        else:
            assert found is not None
            assert found[:, 0].tolist() == list(range(at, at + len(found)))
            assert len(found) > 0 or at == total
    assert total - acquisition.first <= 1600


async def ascii_lines(panda: Server, *settings: str, options: str = "ASCII RAW NO_HEADER ONE_SHOT") -> list[str]:
    """Return the bytes of a sample with the words 1, 2, 3 ... with the highest bit set."""
    assert panda.simulation.say(*settings) == ["OK"] * len(settings)
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
    writer.write(f"{options}\n".encode())
    assert await asyncio.wait_for(reader.readline(), 5) == b"OK\n"
    panda.capture.arm()
    assert panda.capture.acquisition
    panda.capture.start()
    words = panda.capture.acquisition.layout.words
    panda.capture.append((np.arange(words, dtype=np.uint32) + 0x80000001).reshape(1, -1))
    panda.capture.end("Ok")
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return said.decode().splitlines()


async def test_raw_text_is_words_in_hexadecimal(panda: Server) -> None:
    lines = await ascii_lines(panda, "COUNTER1.OUT.CAPTURE=StdDev")
    assert lines == [" 80000001 80000002 80000003 80000004 80000005 80000006", "END 1 Ok"]


async def test_options_with_more_than_one_space_between_them(panda: Server) -> None:
    lines = await ascii_lines(panda, "COUNTER1.OUT.CAPTURE=Value", options="ASCII  RAW\tNO_HEADER \t ONE_SHOT")
    assert lines == [" 80000001", "END 1 Ok"]


async def test_a_sample_has_less_than_64_words(panda: Server) -> None:
    """A position captured in all ways has 11 words, plus one for the gate duration."""
    say = panda.simulation.say
    positions = [f"COUNTER{number}.OUT.CAPTURE=Value Diff Sum Min Max Mean StdDev" for number in range(1, 6)]
    times = [f"PCAP.{name}.CAPTURE=Value" for name in ("TS_START", "TS_END", "TS_TRIG")]
    say(*positions, *times, "INENC1.VAL.CAPTURE=Value")
    assert say("*PCAP.ARM=", "*PCAP.DISARM=") == ["OK", "OK"]
    say("INENC2.VAL.CAPTURE=Value")
    assert say("*PCAP.ARM=", "*PCAP.COMPLETION?") == ["ERR Too many captures for PCAP", "OK =Disarmed"]
