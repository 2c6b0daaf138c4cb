"""Run one IOC through many faults; print lost, wrong and stuck values, which must be 0, and its memory.

    python soak.py --rounds 100 [--minutes 600] [--seed 1]

In each round the script puts settings and captures samples. At a random moment it kills, restarts or pauses the
simulated PandA, or leaves it running. After each round, every setting must equal that of the PandA, no PV may have a
new alarm, and each successful capture must have all of its samples.
"""

import argparse
import asyncio
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil

from ca import use_ports

PREFIX = "SOAK"
use_ports()

from aioca import DBR_CHAR_STR, FORMAT_TIME, caget, caput, purge_channel_caches  # noqa: E402 - ports come first

from panda_ioc.client import AsyncioClient  # noqa: E402
from panda_ioc.ioc.link.introspection import introspect  # noqa: E402
from panda_ioc.ioc.plan.plan import make_plan  # noqa: E402
from panda_ioc.ioc.plan.record import Access  # noqa: E402
from panda_ioc.protocol import GetLine  # noqa: E402

#: Settings for the puts, and their names on the PandA.
SETTINGS = {f"PULSE{n}:PULSES": f"PULSE{n}.PULSES" for n in range(1, 5)} | {
    f"DIV{n}:DIVISOR": f"DIV{n}.DIVISOR" for n in (1, 2)
}
FAULTS = ("none", "kill", "terminate", "stop")
RATE, SECONDS = 20.0, 1.0


def two_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, other)]


class Panda:
    """A simulated PandA that always uses the same ports."""

    def __init__(self) -> None:
        self.ports = two_ports()
        self.samples = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        script = str(Path(__file__).with_name("capture_panda.py"))
        command = [sys.executable, script, str(RATE), str(SECONDS), *map(str, self.ports)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.samples = int(self._process.stdout.readline().split()[2])

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def end(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(10)


class Soak:
    """All rounds and their findings."""

    def __init__(self, panda: Panda, folder: Path, chance: random.Random) -> None:
        self.panda = panda
        self.found: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._chance = chance
        self._at_start: dict[str, Any] = {}
        self._constant: set[str] = set()

    async def look(self) -> None:
        """Store the state before the first fault; a restarted PandA has this state again."""
        await self._connected()
        async with AsyncioClient("127.0.0.1", *self.panda.ports) as client:
            plan = make_plan(await introspect(client), PREFIX)
        changing = {*SETTINGS, "PCAP:ARM"}
        records = [record for record in plan.records if record.sources]
        self._constant = {plan.pv(record.name) for record in records if record.access is Access.READ_WRITE}
        self._constant -= {plan.pv(name) for name in changing}
        names = [plan.pv(record.name) for record in records]
        self._at_start = dict(zip(names, await caget(names, format=FORMAT_TIME, timeout=20), strict=True))

    async def round(self, number: int) -> None:
        await self._connected()
        await caput(f"{PREFIX}:PCAP:ARM", 0, wait=True, timeout=20)  # end an acquisition of the last round
        await self._capture(number)
        load = asyncio.create_task(self._load())
        armed = asyncio.create_task(caput(f"{PREFIX}:PCAP:ARM", 1, wait=True, timeout=20, throw=False))
        await asyncio.sleep(self._chance.uniform(0, 1.5 * SECONDS))
        fault = self._chance.choice(FAULTS)
        self.counts[fault] += 1
        await self._do(fault)
        load.cancel()
        await asyncio.gather(load, armed, return_exceptions=True)
        await self._connected()
        await self._check_settings()
        await self._check_all()
        await self._check_capture(number, fault)

    async def _connected(self) -> None:
        deadline = time.monotonic() + 40
        while await caget(f"{PREFIX}:Status", timeout=20) != 2:
            if time.monotonic() > deadline:
                self.found["not connected after 40 s"] += 1
                raise SystemExit("the IOC is stuck")
            await asyncio.sleep(0.1)

    async def _capture(self, number: int) -> None:
        text = {"HDF_DIRECTORY": str(self._folder), "HDF_FILE_NAME": f"{number}.h5"}
        for name, value in text.items():
            await caput(f"{PREFIX}:DATA:{name}", value, datatype=DBR_CHAR_STR, wait=True, timeout=20)
        deadline = time.monotonic() + 40
        while True:
            await caput(f"{PREFIX}:DATA:CAPTURE", 1, wait=True, timeout=20)
            if (self._folder / f"{number}.h5").exists():
                return
            # The capture may fail while the IOC detects the loss of the PandA of the last round; it must report this.
            status = str(await caget(f"{PREFIX}:DATA:STATUS", datatype=DBR_CHAR_STR, timeout=20))
            self.counts["captures refused"] += 1
            print(f"round {number}: capture refused: {status}", flush=True)
            if not status.startswith("ERROR") or time.monotonic() > deadline:
                self.found["captures that do not begin"] += 1
                raise SystemExit(f"round {number}: the capture does not start: {status}")
            await asyncio.sleep(0.5)

    async def _load(self) -> None:
        while True:
            puts = (
                caput(f"{PREFIX}:{name}", self._chance.randrange(1, 1000), wait=True, timeout=20, throw=False)
                for name in SETTINGS
            )
            await asyncio.gather(*puts)
            self.counts["puts"] += len(SETTINGS)

    async def _do(self, fault: str) -> None:
        if fault in {"kill", "terminate"}:
            self.panda.end(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
            await asyncio.sleep(self._chance.uniform(0, 2))
            self.panda.start()
        elif fault == "stop":
            self.panda.signal(signal.SIGSTOP)
            await asyncio.sleep(self._chance.uniform(0, 5))
            self.panda.signal(signal.SIGCONT)

    async def _check_settings(self) -> None:
        async with AsyncioClient("127.0.0.1", *self.panda.ports) as client:
            for _ in range(100):  # the IOC may be reconnecting
                wrong = []
                for name, source in SETTINGS.items():
                    value = await caget(f"{PREFIX}:{name}", format=FORMAT_TIME, timeout=20)
                    if value.severity == 3 or float(value) != float(await client.send(GetLine(source))):
                        wrong.append(name)
                if not wrong:
                    return
                await asyncio.sleep(0.1)
            self.found["PVs that are not right"] += len(wrong)

    async def _check_all(self) -> None:
        """Check every PV of the PandA."""
        for _ in range(100):
            values = await caget(list(self._at_start), format=FORMAT_TIME, timeout=20)
            wrong = [value.name for value in values if self._is_wrong(value)]
            if not wrong:
                self.counts["PVs looked at"] += len(values)
                return
            await asyncio.sleep(0.1)
        print(f"changed: {wrong[:10]}", flush=True)
        self.found["PVs that are not as they were"] += len(wrong)

    def _is_wrong(self, value: Any) -> bool:
        before = self._at_start[value.name]
        differs = value.name in self._constant and not np.array_equal(value, before)
        return differs or (value.severity == 3 and before.severity != 3)

    async def _check_capture(self, number: int, fault: str) -> None:
        for _ in range(300):
            if not await caget(f"{PREFIX}:DATA:CAPTURE", timeout=20):
                break
            await asyncio.sleep(0.1)
        else:
            # The acquisition may not have started: the PandA was lost before the arm and returned without loss of data.
            await caput(f"{PREFIX}:DATA:CAPTURE", 0, wait=True, timeout=20)
        status = str(await caget(f"{PREFIX}:DATA:STATUS", datatype=DBR_CHAR_STR, timeout=20))
        path = self._folder / f"{number}.h5"
        with h5py.File(path) as file:
            rows = len(file["COUNTER1.OUT.Value"]) if "COUNTER1.OUT.Value" in file else 0
        told = int(await caget(f"{PREFIX}:DATA:NUM_CAPTURED", timeout=20))
        if rows != told:
            self.found["files with another number of samples than NUM_CAPTURED"] += 1
        if status.startswith("OK") and rows not in {0, self.panda.samples} and fault == "none":
            self.found["samples lost without an error"] += self.panda.samples - rows
        if fault == "none" and rows != self.panda.samples:
            self.found["captures that failed without a fault"] += 1
            print(f"round {number}: {rows} of {self.panda.samples}: {status}")
        self.counts["samples"] += rows
        path.unlink()


async def run(arguments: argparse.Namespace, panda: Panda, ioc: psutil.Process, folder: Path) -> int:
    soak = Soak(panda, folder, random.Random(arguments.seed))
    deadline = time.monotonic() + 60 * arguments.minutes
    memory = []
    await soak.look()
    for number in range(arguments.rounds):
        await soak.round(number)
        memory.append(ioc.memory_info().rss / 1e6)
        if number % 10 == 9:
            print(
                f"round {number + 1}: {dict(soak.counts)}, {memory[-1]:.0f} MB, found: {dict(soak.found)}", flush=True
            )
        if time.monotonic() > deadline:
            break
    print(f"lost, wrong or stuck: {sum(soak.found.values())} {dict(soak.found)}")
    print(f"memory: {memory[len(memory) // 10]:.0f} MB after a tenth, {memory[-1]:.0f} MB at the end")
    purge_channel_caches()
    return sum(soak.found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    panda = Panda()
    with tempfile.TemporaryDirectory() as folder:
        ports = ("--control-port", str(panda.ports[0]), "--data-port", str(panda.ports[1]))
        command = [sys.executable, "-m", "panda_ioc", "run", "127.0.0.1", PREFIX, *ports]
        with (
            Path(folder, "ioc.log").open("w+") as log,
            subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as ioc,
        ):
            try:
                found = asyncio.run(run(arguments, panda, psutil.Process(ioc.pid), Path(folder)))
                if ioc.poll() is not None:
                    found += 1
                    print(f"the IOC exited with code {ioc.returncode}")
            except BaseException:
                log.seek(0)
                print("the last output of the IOC:", *log.readlines()[-40:], sep="\n", end="")
                raise
            finally:
                ioc.terminate()
                panda.end(signal.SIGKILL)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
