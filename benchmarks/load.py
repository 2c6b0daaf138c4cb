"""What clients cost: memory, CPU, puts a second and their latency, with few and with many of them.

    python benchmarks/load.py
    python benchmarks/load.py --ca 200 --pva 50 --bare 1000 --puts 300

One IOC after the other, for the same simulated PandABox: this project's, pandablocks-ioc, and a bare softioc that has
as many records and nothing behind them. First so many connections that ask for nothing, which leave again. Then in
turn, and each beside those before it: one client of Channel Access that monitors all PVs, so many of them, so many of
PV Access; one more puts.
CPU for each put is that of the IOC alone: on two cores, clients and the PandA take their share of the rate.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from ca import PORTS, use_ports, wait_until_found
from control import BARE, OURS, PEER, PREFIX, command, names
from crowd import Circuit

#: Seconds in which an IOC comes to rest.
_SETTLE = 12.0

_BARE_CODE = """
import ctypes, sys, threading
from softioc import asyncio_dispatcher, builder, softioc
from epicscorelibs.ioc import dbCore
for name in sys.stdin.read().split():
    builder.longOut(name, initial_value=1)
builder.LoadDatabase()
ctypes.c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
threading.Event().wait()
"""


class Measured:
    """A process whose memory and CPU are read."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        return self._process.memory_info().rss / 1e6

    @property
    def cpu(self) -> float:
        """Seconds so far."""
        used = self._process.cpu_times()
        return used.user + used.system

    def idle(self, seconds: float) -> float:
        """CPU of an IOC that nobody disturbs, in % of a core."""
        if not seconds:
            return float("nan")
        time.sleep(_SETTLE)
        before = self.cpu
        time.sleep(seconds)
        return (self.cpu - before) / seconds * 100


class CrowdError(Exception):
    """Clients that cannot be made: so many are too many for the IOC, or for the machine."""


class Crowd:
    """A process of `crowd.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def came(self) -> int:
        """How much has come."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def crowd(kind: str, count: int, pvs: list[str]) -> Iterator[Crowd]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(pvs))
        file.flush()
        code = [sys.executable, str(Path(__file__).with_name("crowd.py")), kind, str(count), file.name]
        process = subprocess.Popen(
            code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise CrowdError(f"{count} {kind} clients did not get all first values")
            yield Crowd(process)
        finally:
            process.kill()
            process.wait()


def puts(pv: str, count: int, ioc: Measured, others: list[Crowd]) -> dict[str, float]:
    """Put as fast as one client can that waits for each."""
    circuit = Circuit(int(PORTS["EPICS_CA_SERVER_PORT"]))
    try:
        ((channel, _),) = circuit.create([pv])
        circuit.put(channel, 7)
        time.sleep(1)
        times, before, came = [], ioc.cpu, sum(other.came() for other in others)
        began = time.perf_counter()
        for number in range(count):
            start = time.perf_counter()
            circuit.put(channel, number % 1000 + 10)
            times.append(time.perf_counter() - start)
        elapsed = time.perf_counter() - began
        time.sleep(0.5)
        return {
            "puts a second": count / elapsed,
            "put, median (ms)": statistics.median(times) * 1e3,
            "put, 99 % (ms)": sorted(times)[int(count * 0.99)] * 1e3,
            "CPU of the IOC for a put (ms)": (ioc.cpu - before) / count * 1e3,
            "came for a put (CA bytes, PVA updates)": (sum(other.came() for other in others) - came) / count,
        }
    finally:
        circuit.socket.close()


def measure(name: str, sizes: argparse.Namespace, pvs: list[str]) -> dict[str, Any]:
    """One run of one IOC."""
    code = [sys.executable, "-c", _BARE_CODE] if name == BARE else command(name)
    with subprocess.Popen(
        code, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            if name == BARE:
                assert process.stdin
                process.stdin.write("\n".join(pvs))
                process.stdin.close()
            wait_until_found(pvs)
            return _with_clients(Measured(process.pid), sizes, pvs)
        finally:
            process.kill()


def _with_clients(ioc: Measured, sizes: argparse.Namespace, pvs: list[str]) -> dict[str, Any]:
    pv = f"{PREFIX}:PULSE1:PULSES"
    result: dict[str, Any] = {"CPU idle, no client (%)": ioc.idle(sizes.idle), "memory, no client (MB)": ioc.memory}
    if sizes.bare:
        before = ioc.memory
        with crowd("ca", sizes.bare, []):
            time.sleep(1)
            result[f"{sizes.bare} bare circuits: memory for each (kB)"] = (ioc.memory - before) / sizes.bare * 1e3
    steps = [("1 CA", "ca", 1), (f"{sizes.ca} CA", "ca", sizes.ca), (f"{sizes.pva} PVA more", "pva", sizes.pva)]
    crowds: list[Crowd] = []
    with contextlib.ExitStack() as stack:
        for label, kind, count in steps:
            if not count:
                continue
            before = ioc.memory
            try:
                crowds.append(stack.enter_context(crowd(kind, count, pvs)))
            except CrowdError as error:
                print(f"{label}: {error}", flush=True)
                break
            time.sleep(2)
            told = {"memory (MB)": ioc.memory, "for each (MB)": (ioc.memory - before) / count}
            told |= puts(pv, sizes.puts, ioc, crowds)
            told["CPU idle (%)"] = ioc.idle(sizes.idle)
            result |= {f"{label}: {key}": value for key, value in told.items()}
    return result


def report(results: dict[str, dict[str, Any]]) -> None:
    print(f"\n{'':58}" + "".join(f"{name:>17}" for name in results) + f"{'ours / peer':>14}")
    for key in next(iter(results.values())):
        values = [result.get(key, float("nan")) for result in results.values()]
        ours, peer = results.get(OURS, {}).get(key), results.get(PEER, {}).get(key)
        ratio = f"{ours / peer:.2f}" if ours and peer else "-"
        print(f"{key:58}" + "".join(f"{value:>17.4g}" for value in values) + f"{ratio:>14}")
    print(f"\nload of the machine, all that runs on it: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ca", type=int, default=200, help="clients of Channel Access that monitor all PVs")
    parser.add_argument("--pva", type=int, default=50, help="clients of PV Access that do")
    parser.add_argument("--bare", type=int, default=500, help="circuits without a channel")
    parser.add_argument("--puts", type=int, default=300, help="how many puts are timed at each step")
    parser.add_argument("--idle", type=float, default=10, help="seconds in which idle CPU is measured; 0: it is not")
    parser.add_argument("--only", choices=[OURS, PEER, BARE], action="append", help="measure these, not all three")
    arguments = parser.parse_args()
    use_ports()
    chosen = arguments.only or [OURS, PEER, BARE]
    if PEER in chosen:
        command(PEER)  # install it before anything is timed
    with subprocess.Popen([sys.executable, "-m", "panda_ioc", "simulator"], stdout=subprocess.PIPE) as panda:
        try:
            assert panda.stdout
            panda.stdout.readline()
            pvs = names()
            results = {}
            for name in chosen:
                results[name] = measure(name, arguments, pvs)
                print(json.dumps({name: results[name]}), flush=True)
            report(results)
        finally:
            panda.terminate()


if __name__ == "__main__":
    main()
