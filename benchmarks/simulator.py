"""Measure the simulator: CPU of a chain of blocks in real time, and its maximum number of events per second.

The chain is CLOCK, COUNTER, SEQ and PCAP with 8 columns. An event is a call of a block because an input changed or a
scheduled time was reached. References are a queue of empty events, the maximum for Python, and a block called in every
tick, the cost without an engine.
"""

import argparse
import asyncio
import heapq
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from panda_ioc.simulator import Server, Simulation, load
from panda_ioc.simulator.blocks.counter import Counter

#: Eight columns: time stamps of the trigger and the gate, duration, bits, a count in three ways, and another count.
CHAIN = (
    "CLOCK1.ENABLE=PCAP.ACTIVE",
    "COUNTER1.TRIG=CLOCK1.OUT",
    "COUNTER1.ENABLE=PCAP.ACTIVE",
    "COUNTER2.TRIG=SEQ1.OUTB",
    "COUNTER2.ENABLE=PCAP.ACTIVE",
    "SEQ1.TABLE<",
    # For each clock pulse: BITA=1, output A for 1000 ticks, then B until BITA=0.
    "1179649 0 1000 1",
    "67174401 0 0 1",
    "",
    "SEQ1.BITA=CLOCK1.OUT",
    "SEQ1.ENABLE=PCAP.ACTIVE",
    "PCAP.ENABLE=PCAP.ACTIVE",
    "PCAP.TRIG=SEQ1.OUTA",
    "PCAP.GATE=SEQ1.OUTA",
    "PCAP.TRIG_EDGE=Falling",
    "PCAP.TS_TRIG.CAPTURE=Value",
    "PCAP.TS_START.CAPTURE=Value",
    "PCAP.GATE_DURATION.CAPTURE=Value",
    "PCAP.BITS1.CAPTURE=Value",
    "COUNTER1.OUT.CAPTURE=Value Min Mean",
    "COUNTER2.OUT.CAPTURE=Value",
)


def check(answers: list[str]) -> None:
    wrong = [answer for answer in answers if answer != "OK"]
    if wrong:
        raise SystemExit(f"the simulator said {wrong}")


def free(period: float, seconds: float) -> dict[str, float]:
    """Run as fast as possible without ports; return events and samples per second of CPU."""
    sim = Simulation(load())
    check(sim.say(f"CLOCK1.PERIOD={period}", *CHAIN, "*PCAP.ARM="))
    began, events = time.process_time(), sim.engine.events
    ticks = sim.engine.now
    while time.process_time() - began < seconds:
        sim.advance(125_000, limit=10_000)
    took = time.process_time() - began
    return {
        "events a second": (sim.engine.events - events) / took,
        "samples a second": sim.capture.captured / took,
        "events a sample": (sim.engine.events - events) / sim.capture.captured,
        "times real time": (sim.engine.now - ticks) / 125e6 / took,
    }


async def real_time(period: float, seconds: float) -> dict[str, float]:
    """Run in real time with a data client; return the CPU share."""
    async with Server(load(), control_port=0, data_port=0) as panda:
        check(panda.simulation.say(f"CLOCK1.PERIOD={period}", *CHAIN))
        reader, writer = await asyncio.open_connection("127.0.0.1", panda.data_port)
        writer.write(b"XML FRAMED RAW\n")
        await reader.readline()
        check(panda.simulation.say("*PCAP.ARM="))
        panda.runner.schedule()
        taking = asyncio.create_task(_take(reader))
        before, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, wall = time.process_time() - before, time.monotonic() - began
        samples = panda.capture.captured
        taking.cancel()
        writer.close()
        return {"share of a core": cpu / wall, "samples a second": samples / wall, "seconds lost": panda.runner.lost}


async def _take(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def idle(seconds: float) -> dict[str, float]:
    """Run an idle simulation."""
    async with Server(load(), control_port=0, data_port=0):
        before = time.process_time()
        await asyncio.sleep(seconds)
        return {"share of a core": (time.process_time() - before) / seconds}


def start() -> dict[str, float]:
    load()
    began = time.perf_counter()
    Simulation(load())
    return {"milliseconds": (time.perf_counter() - began) * 1e3}


def bare_queue(seconds: float) -> dict[str, float]:
    """Run a heap of empty events that schedule themselves again."""
    queue = [(tick, tick) for tick in range(5)]
    events = 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        for _ in range(10_000):
            now, number = heapq.heappop(queue)
            heapq.heappush(queue, (now + 5, number))
        events += 10_000
    return {"events a second": events / (time.process_time() - began)}


def every_tick(seconds: float) -> dict[str, float]:
    """Call one block in every tick; return the ticks per second."""
    block = Counter()
    ticks = 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        for now in range(ticks, ticks + 10_000):
            block.tick(now, {})
        ticks += 10_000
    rate = ticks / (time.process_time() - began)
    return {"ticks a second": rate, "times real time, with 5 blocks": rate / 5 / 125e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds = options.seconds
    figures: dict[str, Callable[[], dict[str, float]]] = {
        "start": start,
        "idle": lambda: asyncio.run(idle(seconds)),
        "chain at 1 kHz, real time": lambda: asyncio.run(real_time(1e-3, seconds)),
        "chain at 10 kHz, real time": lambda: asyncio.run(real_time(1e-4, seconds)),
        "chain, as fast as it can": lambda: free(1e-4, seconds),
        "a queue that does nothing": lambda: bare_queue(seconds),
        "a block in every tick": lambda: every_tick(seconds),
    }
    results: dict[str, dict[str, Any]] = {}
    for name, measure in figures.items():
        runs = [measure() for _ in range(options.runs)]
        results[name] = {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        if not options.json:
            shown = ", ".join(f"{figure} {value:.4g}" for figure, value in results[name].items())
            print(f"{name:28} {shown}", flush=True)
    if options.json:
        print(json.dumps({"load": os.getloadavg()[0], **results}, indent=2))


if __name__ == "__main__":
    main()
