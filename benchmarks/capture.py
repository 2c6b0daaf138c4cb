"""Measure an IOC during a capture: lost samples, CPU, memory, and the duration of CA gets of other PVs."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import psutil

from ca import use_ports

PREFIX = "BENCH"
use_ports()

from aioca import DBR_CHAR_STR, caget, caput, purge_channel_caches  # noqa: E402 - the environment comes first

OTHERS = ("PULSE1:WIDTH", "SEQ1:PRESCALE", "CLOCK1:PERIOD", "INENC1:VAL", "BITS:0:VAL", "IOC:UPTIME")


async def put(name: str, value: object, *, text: bool = False) -> None:
    datatype = DBR_CHAR_STR if text else None
    await caput(f"{PREFIX}:DATA:{name}", value, datatype=datatype, wait=True, timeout=20)


async def measure(arguments: argparse.Namespace, ioc: psutil.Process, folder: Path, expected: int) -> None:
    await caget([f"{PREFIX}:{name}" for name in OTHERS], timeout=20)
    await put("HDF_DIRECTORY", str(folder), text=True)
    await put("HDF_FILE_NAME", "x.h5", text=True)
    await put("CAPTURE_MODE", "FIRST_N")
    await put("RAW", int(arguments.raw))
    await put("CAPTURE", 1)
    before, began = ioc.cpu_times(), time.perf_counter()
    await caput(f"{PREFIX}:PCAP:ARM", 1, wait=True, timeout=10)
    latencies: list[float] = []
    memory = polls = waited = 0
    while await caget(f"{PREFIX}:DATA:CAPTURE"):
        for name in OTHERS:
            asked = time.perf_counter()
            await caget(f"{PREFIX}:{name}")
            latencies.append(time.perf_counter() - asked)
        memory = max(memory, ioc.memory_info().rss)
        state = await caget(f"{PREFIX}:DATA:STATUS", datatype=DBR_CHAR_STR)
        polls, waited = polls + 1, waited + state.startswith("Waiting")
        await asyncio.sleep(0.1)
    elapsed = time.perf_counter() - began
    used = ioc.cpu_times()
    cpu = used.user + used.system - before.user - before.system
    status = await caget(f"{PREFIX}:DATA:STATUS", datatype=DBR_CHAR_STR)
    with h5py.File(folder / "x.h5") as file:
        stored = len(file["COUNTER1.OUT.Value"])
    print(f"{elapsed:.0f} s, {expected * 60 / elapsed / 1e6:.1f} MB/s: {status}")
    dropped = await caget(f"{PREFIX}:DATA:DROPPED")
    print(f"DROPPED           {dropped}; waited for the disk in {waited} of {polls} reads of STATUS")
    print(f"samples lost      {expected - stored} of {expected}")
    print(f"CPU of the IOC    {cpu / elapsed * 100:.1f} % of a core")
    print(f"memory of the IOC {memory / 1e6:.0f} MB at most")
    median, worst = np.percentile(latencies, (50, 99)) * 1e3
    print(f"CA gets           {median:.1f} ms median, {worst:.1f} ms 99 %")
    purge_channel_caches()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=60, help="MB/s")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--stall", type=float, default=0, help="seconds of each minute during which the disk is stuck")
    parser.add_argument("--folder", type=Path, help="folder of the file")
    arguments = parser.parse_args()
    panda_command = [
        sys.executable,
        str(Path(__file__).with_name("capture_panda.py")),
        str(arguments.rate),
        str(arguments.seconds),
    ]
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        subprocess.Popen(panda_command, stdout=subprocess.PIPE, text=True) as panda,
    ):
        assert panda.stdout
        control, data, expected = panda.stdout.readline().split()
        stalling = (str(Path(__file__).with_name("stalling.py")), str(arguments.stall))
        command = [sys.executable, *(stalling if arguments.stall else ("-m", "panda_ioc")), "run", "127.0.0.1", PREFIX]
        command += ["--control-port", control, "--data-port", data]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as ioc:
            try:
                asyncio.run(measure(arguments, psutil.Process(ioc.pid), Path(folder), int(expected)))
            finally:
                ioc.terminate()
                panda.terminate()


if __name__ == "__main__":
    main()
