"""Compare the CPU and time for some hundred puts of settings over PVA with pandablocks-ioc.

The client puts new values to the settings that both IOCs serve: in parallel, as ophyd-async applies settings, and one
after the other. Each IOC is a separate process, for the same simulated PandA.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import psutil
from p4p.client.asyncio import Context
from p4p.client.raw import RemoteError

from ca import PORTS
from panda_ioc.client import BlockingClient
from panda_ioc.ioc.plan.compat import known_names
from panda_ioc.ioc.plan.model import Block, Model
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.plan.record import Kind, Record
from panda_ioc.protocol import Changes, GetBlockInfo, GetFieldInfo, Identify
from peers import environment

PREFIX = "BENCH"
OURS, PEER = "panda-ioc", "pandablocks-ioc"
AT_ONCE, ONE_BY_ONE = "all in parallel", "one by one"

#: Suffixes of excluded names: they act, or decide which times are valid.
_LEFT_ALONE = (":ARM", ":UNITS")

#: Timeout of a put in s.
TIMEOUT = 60


def settings() -> dict[str, tuple[Any, Any]]:
    """Return two values for each setting that both IOCs serve, by PV name."""
    with BlockingClient("127.0.0.1") as client:
        blocks = client.send(GetBlockInfo())
        fields = {name: client.send(GetFieldInfo(name)) for name in blocks}
        identity = client.send(Identify())
    model = Model(identity, {name: Block(name, info, fields[name]) for name, info in blocks.items()}, Changes())
    known = known_names(model)
    records = [record for record in make_plan(model, PREFIX).records if record.target and record.sources]
    return {
        f"{PREFIX}:{record.name}": values
        for record in records
        if record.name in known and not record.name.endswith(_LEFT_ALONE) and (values := _two_values(record))
    }


def _two_values(record: Record) -> tuple[Any, Any] | None:
    if record.kind in {Kind.AO, Kind.LONGOUT}:
        return ({"value": 1}, {"value": 2 if record.high is None or record.high >= 2 else 0})
    if record.kind.is_choice:
        return ({"value": {"index": 0}}, {"value": {"index": 1}}) if len(record.labels) > 1 else None
    if record.choices_record:
        return ({"value": record.labels[0]}, {"value": record.labels[1]})
    return None


async def _put(pva: Context, name: str, value: Mapping[str, Any]) -> bool:
    """Put a value; return whether it was refused."""
    try:
        await asyncio.wait_for(pva.put(name, value, wait=True), TIMEOUT)
    except RemoteError:
        return True
    return False


async def measure(process: psutil.Process, puts: Mapping[str, tuple[Any, Any]], runs: int) -> dict[str, Any]:
    """Return CPU time and elapsed time in s for both ways, and the number of refused puts."""
    result: dict[str, Any] = {}
    with Context("pva", conf=PORTS, useenv=False, nt=False) as pva:
        await asyncio.gather(*(asyncio.wait_for(pva.get(name), TIMEOUT) for name in puts))
        for way in (AT_ONCE, ONE_BY_ONE):
            spent, took = [], []
            for run in range(runs + 1):  # of which the first connects everything
                values = {name: both[run % 2] for name, both in puts.items()}
                before, start = _cpu(process), time.perf_counter()
                if way == AT_ONCE:
                    refused = await asyncio.gather(*(_put(pva, *put) for put in values.items()))
                else:
                    refused = [await _put(pva, *put) for put in values.items()]
                took.append(time.perf_counter() - start)
                spent.append(_cpu(process) - before)
                await asyncio.sleep(0.5)
            result[f"{way}: CPU (s)"] = statistics.median(spent[1:])
            result[f"{way}: time (s)"] = statistics.median(took[1:])
            result[f"{way}: refused"] = sum(refused)
    return result


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def command(name: str) -> list[str]:
    if name == OURS:
        return [sys.executable, "-m", "panda_ioc", "run", "127.0.0.1", PREFIX]
    peer = environment("pandablocks-ioc-0.11.6", "pandablocks-ioc==0.11.6") / "pandablocks-ioc"
    return [str(peer), "softioc", "127.0.0.1", PREFIX]


def run(name: str, puts: Mapping[str, tuple[Any, Any]], runs: int) -> dict[str, Any]:
    ioc = subprocess.Popen(
        command(name),
        env={**os.environ, **PORTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return asyncio.run(measure(psutil.Process(ioc.pid), puts, runs))
    finally:
        ioc.kill()
        ioc.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true", help="do not measure pandablocks-ioc")
    arguments = parser.parse_args()
    names = [OURS] if arguments.no_peer else [OURS, PEER]
    for name in names:
        command(name)  # install it before anything is timed
    panda = subprocess.Popen([sys.executable, "-m", "panda_ioc", "simulator"], stdout=subprocess.PIPE)
    try:
        assert panda.stdout
        panda.stdout.readline()
        puts = settings()
        results = {name: run(name, puts, arguments.runs) for name in names}
    finally:
        panda.terminate()
        panda.wait()
    print(f"{len(puts)} puts, medians of {arguments.runs} runs")
    print(
        f"{'':24}"
        + "".join(f"{name:>18}" for name in names)
        + ("" if arguments.no_peer else f"{'panda-ioc / peer':>18}")
    )
    for key, ours in results[OURS].items():
        values = [results[name][key] for name in names]
        ratio = f"{ours / values[-1]:14.2f}" if len(names) > 1 and values[-1] and "refused" not in key else ""
        print(f"{key:24}" + "".join(f"{value:18.4g}" for value in values) + ratio)


if __name__ == "__main__":
    main()
