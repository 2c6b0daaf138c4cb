"""Compare start, memory, idle CPU, puts and changes of panda-ioc with pandablocks-ioc and a bare softioc.

Each run is a separate process with its own Channel Access client.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from ca import PORTS, use_ports, wait_until_found
from panda_ioc.client import BlockingClient
from panda_ioc.ioc.plan.compat import known_names
from panda_ioc.ioc.plan.model import Block, Model
from panda_ioc.protocol import Changes, GetBlockInfo, GetFieldInfo, Identify, Put
from peers import environment

PREFIX = "BENCH"
PEER = "pandablocks-ioc"
BARE = "bare softioc"
OURS = "panda-ioc"

_BARE_CODE = f"""
import ctypes, threading
from softioc import asyncio_dispatcher, builder, softioc
from epicscorelibs.ioc import dbCore
builder.SetDeviceName({PREFIX!r})
builder.longIn("Status", initial_value=1)
builder.LoadDatabase()
ctypes.c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
threading.Event().wait()
"""


def command(name: str) -> list[str]:
    if name == OURS:
        return [sys.executable, "-m", "panda_ioc", "run", "127.0.0.1", PREFIX]
    if name == BARE:
        return [sys.executable, "-c", _BARE_CODE]
    peer = environment("pandablocks-ioc-0.11.6", "pandablocks-ioc==0.11.6") / "pandablocks-ioc"
    return [str(peer), "softioc", "127.0.0.1", PREFIX]


def names() -> list[str]:
    """Return all names that the peer serves for the PandA; panda-ioc serves them too."""
    with BlockingClient("127.0.0.1") as client:
        blocks = client.send(GetBlockInfo())
        fields = {name: client.send(GetFieldInfo(name)) for name in blocks}
        identity = client.send(Identify())
    model = Model(identity, {name: Block(name, info, fields[name]) for name, info in blocks.items()}, Changes())
    return [f"{PREFIX}:{name}" for name in sorted(known_names(model))]


async def measure(name: str) -> dict[str, Any]:
    """Make one run; the import of the client is in this function, so that it searches the right ports."""
    from aioca import caget, camonitor, caput, purge_channel_caches

    pvs = [f"{PREFIX}:Status"] if name == BARE else names()
    began = time.perf_counter()
    ioc = subprocess.Popen(command(name), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_found(pvs)
        found = time.perf_counter() - began
        values = await caget(pvs, timeout=30, throw=False)
        answered = time.perf_counter() - began
        process = psutil.Process(ioc.pid)
        result: dict[str, Any] = {
            "all PVs found (s)": found,
            "and read by a Python client (s)": answered,
            "PVs that answered": sum(value.ok for value in values),
            "memory (MB)": process.memory_info().rss / 1e6,
        }
        if name != BARE:
            await asyncio.sleep(1)
            puts = []
            for number in range(100):
                start = time.perf_counter()
                await caput(f"{PREFIX}:PULSE1:PULSES", number, wait=True, timeout=5)
                puts.append(time.perf_counter() - start)
            result["put with completion, median (ms)"] = statistics.median(puts) * 1e3
        if name == OURS:
            arrived: asyncio.Queue[float] = asyncio.Queue()
            monitor = camonitor(f"{PREFIX}:PULSE2:PULSES", lambda _: arrived.put_nowait(time.perf_counter()))
            await arrived.get()
            delays = []
            with BlockingClient("127.0.0.1") as client:
                for number in range(100):
                    await asyncio.sleep(0.05 + number % 7 * 0.013)  # not in step with the polls
                    start = time.perf_counter()
                    client.send(Put("PULSE2.PULSES", str(number + 1)))
                    delays.append(await asyncio.wait_for(arrived.get(), 5) - start)
            monitor.close()
            result["change to monitor, median (ms)"] = statistics.median(delays) * 1e3
        purge_channel_caches()
        await asyncio.sleep(12)  # until the polls slow down
        used = process.cpu_times()
        await asyncio.sleep(10)
        now = process.cpu_times()
        result["CPU idle (% of a core)"] = (now.user + now.system - used.user - used.system) * 10
    finally:
        ioc.kill()
        ioc.wait()
    return result


def report(results: dict[str, list[dict[str, Any]]]) -> None:
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()
    }
    columns = {OURS: 12, PEER: 18, BARE: 14}
    head = "".join(f"{name:>{width}}" for name, width in columns.items())
    print(f"\n{f'median of {len(results[OURS])} runs':36}{head}{'panda-ioc / peer':>18}")
    for key in medians[OURS]:
        values = {name: medians[name].get(key) for name in columns}
        cells = "".join("-".rjust(w) if values[n] is None else f"{values[n]:>{w}.4g}" for n, w in columns.items())
        ours, peer = values[OURS], values[PEER]
        ratio = f"{ours / peer:.2f}" if ours and peer else "-"
        print(f"{key:36}{cells}{ratio:>18}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=[OURS, PEER, BARE], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        use_ports()
        print(json.dumps(asyncio.run(measure(arguments.one))))
        return
    command(PEER)  # install it before anything is timed
    panda = subprocess.Popen([sys.executable, "-m", "panda_ioc", "simulator"], stdout=subprocess.PIPE)
    try:
        assert panda.stdout
        panda.stdout.readline()
        results: dict[str, list[dict[str, Any]]] = {OURS: [], PEER: [], BARE: []}
        for _ in range(arguments.runs):
            for name, runs in results.items():
                run = subprocess.run(
                    [sys.executable, Path(__file__), "--one", name],
                    check=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **PORTS},
                )
                runs.append(json.loads(run.stdout))
                print(name, {key: round(value, 3) for key, value in runs[-1].items()}, flush=True)
        report(results)
    finally:
        panda.terminate()
        panda.wait()


if __name__ == "__main__":
    main()
