"""Measure puts of SEQ tables over PVA, compared with pandablocks-ioc and with bare writing and reading of the words.

Each IOC is a separate process, for the same simulated PandA.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
from p4p.client.thread import Context, RemoteError

from ca import PORTS
from panda_ioc.client import BlockingClient
from panda_ioc.protocol import GetTable, PutTable
from peers import environment

PREFIX = "BENCH"
OURS, PEER, BARE = "panda-ioc", "pandablocks-ioc", "bare client"
TRIGGERS = ("Immediate", "BITA=1", "POSA>=POSITION")


def table(rows: int, seed: int) -> dict[str, Any]:
    """Return a table of random rows."""
    random = np.random.default_rng(seed)
    outputs = [f"out{letter}{phase}" for phase in (1, 2) for letter in "abcdef"]
    return {
        "repeats": random.integers(1, 2**16, rows).astype(np.uint16),
        "trigger": random.choice(TRIGGERS, rows).tolist(),
        "position": random.integers(-(2**31), 2**31, rows).astype(np.int32),
        "time1": random.integers(0, 2**31, rows).astype(np.uint32),
        "time2": random.integers(0, 2**31, rows).astype(np.uint32),
        **{name: random.integers(0, 2, rows, dtype=np.uint8) for name in outputs},
    }


def timed(put: Callable[[int], None], repeats: int) -> float:
    """Return the median duration of a put in ms."""
    took = []
    for number in range(repeats):
        start = time.perf_counter()
        put(number)
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e3


def bare(rows: int, repeats: int) -> float:
    """Write words and read them back without an IOC; return the duration in ms."""
    words = np.random.default_rng(1).integers(0, 2**28, rows * 4, dtype=np.uint32)
    with BlockingClient("127.0.0.1") as client:

        def put(_: int) -> None:
            client.send(PutTable("SEQ1.TABLE", words))
            client.send(GetTable("SEQ1.TABLE"))

        took = timed(put, repeats)
        client.send(PutTable("SEQ1.TABLE", []))
        return took


def over_pva(rows: int, repeats: int) -> tuple[float, int]:
    """Put tables to an IOC; report those that read back differently."""
    tables = [table(rows, seed) for seed in range(2)]
    lost = 0
    with Context("pva", conf=PORTS, useenv=False, nt=False) as pva:
        name = f"{PREFIX}:SEQ1:TABLE"

        def put(number: int) -> None:
            pva.put(name, {"value": tables[number % 2]}, timeout=60)

        took = timed(put, repeats)
        for number in range(repeats):
            put(number)
            back = pva.get(name, timeout=60).value
            lost += not np.array_equal(back.position, tables[number % 2]["position"])
    return took, lost


def measure(command: list[str], sizes: dict[int, int]) -> None:
    ioc = subprocess.Popen(
        command,
        env={**os.environ, **PORTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Context("pva", conf=PORTS, useenv=False, nt=False) as pva:
            pva.get(f"{PREFIX}:SEQ1:TABLE", timeout=30)
        process = psutil.Process(ioc.pid)
        print(f"  memory at the start {process.memory_info().rss / 1e6:.0f} MB")
        for rows, repeats in sizes.items():
            try:
                took, lost = over_pva(rows, repeats)
            except RemoteError as refused:
                print(f"  {rows:7} rows: {refused}")
                continue
            memory = process.memory_info().rss / 1e6
            print(
                f"  {rows:7} rows: {took:7.1f} ms, {lost} of {repeats} not read back, memory {memory:.0f} MB",
                flush=True,
            )
    finally:
        ioc.kill()
        ioc.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="do not measure pandablocks-ioc")
    arguments = parser.parse_args()
    panda = subprocess.Popen([sys.executable, "-m", "panda_ioc", "simulator"], stdout=subprocess.PIPE)
    try:
        assert panda.stdout
        panda.stdout.readline()
        print(BARE)
        for rows, repeats in {100: 50, 4096: 50, 262144: 5}.items():
            print(f"  {rows:7} rows: {bare(rows, repeats):7.1f} ms")
        print(OURS)
        measure([sys.executable, "-m", "panda_ioc", "run", "127.0.0.1", PREFIX], {100: 200, 4096: 50, 262144: 5})
        if not arguments.no_peer:
            peer = environment("pandablocks-ioc-0.11.6", "pandablocks-ioc==0.11.6") / "pandablocks-ioc"
            print(PEER)
            measure([str(peer), "softioc", "127.0.0.1", PREFIX], {100: 200, 4096: 50})
    finally:
        panda.terminate()
        panda.wait()


if __name__ == "__main__":
    main()
