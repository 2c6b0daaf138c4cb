"""An IOC while somebody floods it: how long puts and probes take, its CPU, the lines that it logs.

    python benchmarks/floods.py --puts 100
    python benchmarks/floods.py --load 8
    python benchmarks/floods.py --capture --only acquisitions

Three kinds of floods. A data port sends what costs most, as fast as it is read. Slow clients of the HTTP server send a
letter now and then, and come again when they are closed. Connections come as fast as possible, more than the IOC has
file descriptors for (`ulimit -n 256`), and stay idle. `--load` adds so many processes that do nothing but compute;
`--capture` has the IOC write what comes into a file.

The floods come from processes of their own, on the same machine. The PandA is this project's simulator.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import multiprocessing
import multiprocessing.dummy
import os
import random
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ioc.slow_clients import be_slow

from ca import PORTS, use_ports, wait_until_found
from scale import free_ports, running, says

#: Descriptors of an IOC that is flooded with connections, and how many of these come.
LIMIT, CONNECTIONS = 256, 236

HEADER = (
    b"<header>\n<data arm_time='2026-01-01T00:00:00Z' missed='0' process='Raw' format='Framed' sample_bytes='4'/>\n"
    b"<fields>\n<field name='PCAP.BITS0' type='uint32' capture='Value'/>\n</fields>\n</header>\n\n"
)

#: A frame of one sample of 4 bytes.
ONE = struct.pack("<4sI", b"BIN ", 12) + bytes(4)

#: What a data port sends: once, and then again and again.
DATA_FLOODS = {
    "frames of one sample": (b"OK\n" + HEADER, ONE * (2**24 // len(ONE))),
    "empty acquisitions": (b"OK\n", (HEADER + b"END 0 Ok\n") * 40_000),
    "acquisitions of one sample": (b"OK\n", (HEADER + ONE + b"END 1 Ok\n") * 40_000),
    "headers without an end": (b"OK\n", HEADER * 40_000),
    "garbage after OK": (b"OK\n", random.Random(1).randbytes(2**24)),
    "garbage after a header": (b"OK\n" + HEADER, random.Random(2).randbytes(2**24)),
    "garbage at once": (b"", random.Random(3).randbytes(2**24)),
    "one line without an end": (b"OK\n", b"x" * 2**24),
}


@dataclass
class Flood:
    """What is measured.

    Attributes:
        name: of the flood
        start: starts it, given the ports of the IOC; returns what is to be ended
        options: of the IOC
        limited: whether the IOC has few descriptors
    """

    name: str
    start: Callable[["Ports"], "list[multiprocessing.Process]"]
    options: tuple[str, ...] = ()
    limited: bool = False


@dataclass
class Ports:
    """Where everybody listens."""

    http: int
    data: int
    ca: int = int(PORTS["EPICS_CA_SERVER_PORT"])
    pva: int = int(PORTS["EPICS_PVA_SERVER_PORT"])


@dataclass
class Seen:
    """The lines of a log, read by a thread so that no writer waits."""

    lines: list[str] = field(default_factory=list)

    def read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.lines.extend(iter(process.stdout.readline, ""))


def send_data(port: int, begin: bytes, again: bytes) -> None:
    """Serve a data port."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(100)
                connection.sendall(begin)
                while True:
                    connection.sendall(again)


def connect(port: int, count: int) -> None:
    """Connect as fast as possible, and stay."""
    clients = []
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        clients.append(client)
    time.sleep(3600)


def started(function: Callable[..., None], *arguments: Any) -> multiprocessing.Process:
    process = multiprocessing.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def compute() -> None:
    for _ in itertools.count():
        pass


def data_flood(name: str, ports: Ports) -> list[multiprocessing.Process]:
    return [started(send_data, ports.data, *DATA_FLOODS[name])]


def slow_clients(count: int, ports: Ports) -> list[multiprocessing.Process]:
    return [started(be_slow, ports.http, count)]


def connections(which: tuple[str, ...], ports: Ports) -> list[multiprocessing.Process]:
    return [started(connect, getattr(ports, each), CONNECTIONS) for each in which]


def floods() -> list[Flood]:
    some = [Flood("none", lambda _: [])]
    some += [Flood(name, functools.partial(data_flood, name), ("own data port",)) for name in DATA_FLOODS]
    some += [Flood(f"{count} slow HTTP clients", functools.partial(slow_clients, count)) for count in (16, 1000)]
    for which in (("pva",), ("ca",), ("http",), ("pva", "ca", "http")):
        name = f"{CONNECTIONS} connections to {', '.join(which)}"
        some.append(Flood(name, functools.partial(connections, which), limited=True))
    return some


def probe(port: int, timeout: float = 10) -> tuple[bool, float]:
    """Ask whether the IOC is alive; return whether it said so within a second, and how long it took."""
    began = time.perf_counter()
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout) as client:
        client.settimeout(timeout)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while received := client.recv(1000):
            answer += received
    took = time.perf_counter() - began
    return answer.startswith(b"HTTP/1.0 200 ") and took < 1, took


@contextlib.contextmanager
def ioc(flood: Flood, prefix: str, ports: Ports) -> Iterator[tuple[psutil.Process, Seen]]:
    """Run an IOC and its PandA."""
    before = ["prlimit", f"--nofile={LIMIT}:{LIMIT}"] if flood.limited else []
    with running("simulator", "--control-port", "0", "--data-port", "0") as panda:
        control, data = re.findall(r"port (\d+)", says(panda, "simulated PandA"))
        data = str(ports.data) if flood.options else data
        options = ("--control-port", control, "--data-port", data, "--http-port", str(ports.http))
        with running("run", "127.0.0.1", prefix, *options, before=before, **PORTS) as process:
            seen = Seen()
            says(process, "serving ")
            reader = multiprocessing.dummy.Process(target=seen.read, args=(process,))
            reader.daemon = True
            reader.start()
            yield psutil.Process(process.pid), seen


async def capture(prefix: str, directory: str) -> None:
    from aioca import DBR_CHAR_STR, caput

    for name, value in (("HDF_DIRECTORY", directory), ("HDF_FILE_NAME", "x.h5")):
        await caput(f"{prefix}:DATA:{name}", value, datatype=DBR_CHAR_STR, wait=True, timeout=10)
    await caput(f"{prefix}:DATA:CAPTURE", 1, wait=True, timeout=10)


async def measure(flood: Flood, number: int, puts: int, directory: str) -> dict[str, float]:
    from aioca import caput  # the port must be known before

    ports = Ports(*free_ports(2))
    prefix = f"FLOOD{number}"
    with ioc(flood, prefix, ports) as (process, seen):
        pv = f"{prefix}:PULSE1:PULSES"
        wait_until_found([pv])
        await caput(pv, 1, wait=True, timeout=30)
        await asyncio.sleep(1)
        lines, used, began = len(seen.lines), process.cpu_times(), time.perf_counter()
        senders = flood.start(ports)
        try:
            times, probes = [], []
            if directory:
                await capture(prefix, directory)
            for value in range(2, puts + 2):
                sent = time.perf_counter()
                await caput(pv, value, wait=True, timeout=60)
                times.append(time.perf_counter() - sent)
                if value % max(puts // 10, 1) == 0:
                    probes.append(await asyncio.to_thread(probe, ports.http))
                await asyncio.sleep(0.1)
            now, seconds = process.cpu_times(), time.perf_counter() - began
        finally:
            for sender in senders:
                sender.kill()
                sender.join()
        return {
            "caput median (ms)": statistics.median(times) * 1e3,
            "caput worst (ms)": max(times) * 1e3,
            "probes": len(probes),
            "probes answered in 1 s": sum(good for good, _ in probes),
            "probe worst (ms)": max(took for _, took in probes) * 1e3,
            "CPU (% of a core)": (now.user + now.system - used.user - used.system) / seconds * 100,
            "lines of log": len(seen.lines) - lines,
            "seconds": seconds,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puts", type=int, default=100, help="puts, 0.1 s apart, during each flood")
    parser.add_argument("--load", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--only", default="", help="floods with this text in their name")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--capture", action="store_true", help="during a capture")
    options = parser.parse_args()
    use_ports()
    beside = [started(compute) for _ in range(options.load)]
    results = {}
    try:
        for number, flood in enumerate(floods()):
            if options.only in flood.name:
                with tempfile.TemporaryDirectory() as folder:
                    directory = folder if options.capture else ""
                    results[flood.name] = asyncio.run(measure(flood, number, options.puts, directory))
                if not options.json:
                    figures = ", ".join(f"{name} {value:.4g}" for name, value in results[flood.name].items())
                    print(f"{flood.name}: {figures}", flush=True)
    finally:
        for process in beside:
            process.kill()
    print(json.dumps(results, indent=2) if options.json else f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
