"""A data port that floods the IOC with the most expensive data: other clients are still served."""

import asyncio
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from aioca import caget, caput

from panda_ioc.simulator import Server

from .process import Ioc, running_ioc

#: A frame of one sample of 4 bytes, and one of two.
ONE, TWO = (struct.pack("<4sI", b"BIN ", 8 + 4 * count) + bytes(4 * count) for count in (1, 2))

HEADER = (
    b"<header>\n<data arm_time='2026-01-01T00:00:00Z' missed='0' process='Raw' format='Framed' sample_bytes='4'/>\n"
    b"<fields>\n<field name='PCAP.BITS0' type='uint32' capture='Value'/>\n</fields>\n</header>\n\n"
)

#: Acquisitions of one sample of 1000 columns.
WIDE = (
    b"<header>\n<data arm_time='2026-01-01T00:00:00Z' missed='0' process='Raw' format='Framed' sample_bytes='4000'/>\n"
    b"<fields>\n"
    + b"".join(
        b"<field name='COUNTER%d.OUT' type='int32' capture='Value' scale='1' offset='0' units=''/>\n" % number
        for number in range(1000)
    )
    + b"</fields>\n</header>\n\n"
    + struct.pack("<4sI", b"BIN ", 8 + 4000)
    + bytes(4000)
    + b"END 1 Ok\n"
)

FLOODS = {
    "tiny frames": (HEADER, ONE * 100_000),
    "tiny frames of two sizes": (HEADER, (ONE + TWO) * 50_000),
    "empty acquisitions": (b"", (HEADER + b"END 0 Ok\n") * 4000),
    "acquisitions of one sample": (b"", (HEADER + ONE + b"END 1 Ok\n") * 4000),
    "acquisitions of many columns": (b"", WIDE * 10),
}


@contextmanager
def flooding(begin: bytes, again: bytes) -> Iterator[tuple[int, threading.Event]]:
    """A data port that sends the same data repeatedly, as fast as the IOC reads it, from a separate thread."""
    begun, over = threading.Event(), threading.Event()

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(0.5)
                    connection.recv(100)
                    connection.sendall(b"OK\n" + begin)
                    begun.set()
                    left = memoryview(again)
                    while not over.is_set():
                        with suppress(TimeoutError):
                            left = left[connection.send(left) :] or memoryview(again)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], begun
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "flood",
    [
        "tiny frames of two sizes",
        *(pytest.param(flood, marks=pytest.mark.long) for flood in FLOODS if flood != "tiny frames of two sizes"),
    ],
)
async def test_clients_are_served(panda: Server, ca_ports: Iterator[int], flood: str) -> None:
    await _serves(panda, ca_ports, flood, f"TEST-FLOOD-{len(flood)}")


@pytest.mark.long
@pytest.mark.parametrize("flood", FLOODS)
async def test_clients_are_served_in_a_capture(
    panda: Server, ca_ports: Iterator[int], flood: str, tmp_path: Path
) -> None:
    await _serves(panda, ca_ports, flood, f"TEST-FLOODED-{len(flood)}", tmp_path)


async def _serves(
    panda: Server, ca_ports: Iterator[int], flood: str, prefix: str, directory: Path | None = None
) -> None:
    with flooding(*FLOODS[flood]) as (port, begun):
        async with running_ioc(panda.control_port, prefix, ca_ports, "--data-port", str(port)) as ioc:
            assert await asyncio.to_thread(begun.wait, 30)
            if directory is not None:
                await _capture(ioc, str(directory))
            for value in range(1, 11):
                # Usually about 0.05 s; before the fix it was 17 s or more.
                await caput(ioc.pv("PULSE1:PULSES"), value, wait=True, timeout=5)
            assert panda.panda.fields["PULSE1.PULSES"].raw == 10
            assert await caget(ioc.pv("Status"), timeout=5) == 2
            ioc.process.send_signal(signal.SIGTERM)
            assert await ioc.ended(5) == 0


async def _capture(ioc: Ioc, directory: str) -> None:
    await ioc.pva_put("DATA:HDF_DIRECTORY", directory)
    await ioc.pva_put("DATA:HDF_FILE_NAME", "x.h5")
    await ioc.pva_put("DATA:CAPTURE", 1)


async def test_failed_acquisitions_do_not_fill_the_log(panda: Server, ca_ports: Iterator[int]) -> None:
    """Events that were received before the end are still processed, while the PandA cannot be asked any more."""
    with flooding(b"", (HEADER + b"END 0 Data overrun\n") * 4000) as (port, begun):
        async with running_ioc(panda.control_port, "TEST-FAILED", ca_ports, "--data-port", str(port)) as ioc:
            assert await asyncio.to_thread(begun.wait, 30)
            assert await ioc.stop() == 0
            assert len([line for line in ioc.output if "missing samples" in line]) <= 4
