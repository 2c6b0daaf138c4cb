"""Measure memory and idle CPU of many IOCs, each with its own simulated PandA.

    python benchmarks/scale.py --iocs 8 --seconds 30

PSS is resident memory with shared pages, such as libraries, divided among the processes: its sum is the memory of all
of them. The processes use free ports.
"""

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil

#: Seconds between the last start and the measurement; by then the IOCs poll less often.
SETTLE = 15


def free_ports(count: int) -> list[int]:
    """Return ports that are free for TCP and UDP."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                ports.append(tcp.getsockname()[1])
        return ports


def says(process: subprocess.Popen[str], text: str) -> str:
    """Wait until a process writes a line with a text."""
    assert process.stdout
    for line in process.stdout:
        if text in line:
            return line
    raise SystemExit(f"{process.args!r} ended without the output {text!r}")


@contextlib.contextmanager
def running(*arguments: str, before: Sequence[str] = (), **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command `panda-ioc` until the end of the context.

    `before` is the command line of a program that runs it, for example under a limit.
    """
    command = [*before, sys.executable, "-m", "panda_ioc", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, env=environment, text=True, **streams)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def where_it_listens() -> dict[str, str]:
    """Return the environment of an IOC: loopback only, its own ports."""
    ca, pva, broadcast = map(str, free_ports(3))
    return {
        "EPICS_CA_SERVER_PORT": ca,
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVA_SERVER_PORT": pva,
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_BROADCAST_PORT": broadcast,
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    }


@dataclass
class Cost:
    """Return the CPU time in s and the memory in MiB of a process."""

    cpu: float
    rss: float
    pss: float


def cost(process: subprocess.Popen[str]) -> Cost:
    observed = psutil.Process(process.pid)
    used, memory = observed.cpu_times(), observed.memory_full_info()
    return Cost(used.user + used.system, memory.rss / 2**20, memory.pss / 2**20)


def report(kind: str, before: list[Cost], after: list[Cost], seconds: float) -> None:
    print(f"\n{kind:<12}{'CPU, % of a core':>18}{'RSS, MiB':>12}{'PSS, MiB':>12}")
    rows = [((now.cpu - then.cpu) / seconds * 100, now.rss, now.pss) for then, now in zip(before, after, strict=True)]
    for number, row in enumerate(rows, 1):
        print(f"{number:<12}{row[0]:>18.2f}{row[1]:>12.1f}{row[2]:>12.1f}")
    for name, summary in (("median", statistics.median), ("all", sum)):
        cpu, rss, pss = (summary(column) for column in zip(*rows, strict=True))
        print(f"{name:<12}{cpu:>18.2f}{rss:>12.1f}{pss:>12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iocs", type=int, default=8, help="number of IOCs")
    parser.add_argument("--seconds", type=float, default=30, help="duration of the CPU measurement")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        pandas, iocs = [], []
        began = time.perf_counter()
        for number in range(1, arguments.iocs + 1):
            panda = stack.enter_context(running("simulator", "--control-port", "0", "--data-port", "0"))
            control, data = re.findall(r"port (\d+)", says(panda, "simulated PandA"))
            ports = ("--control-port", control, "--data-port", data)
            iocs.append(
                stack.enter_context(running("run", "127.0.0.1", f"SCALE{number}", *ports, **where_it_listens()))
            )
            pandas.append(panda)
        for ioc in iocs:
            says(ioc, "serving ")
        print(f"{len(iocs)} IOCs and their PandAs were ready after {time.perf_counter() - began:.1f} s")
        time.sleep(SETTLE)
        began, before = time.perf_counter(), [cost(process) for process in (*iocs, *pandas)]
        time.sleep(arguments.seconds)
        seconds, after = time.perf_counter() - began, [cost(process) for process in (*iocs, *pandas)]
        count = len(iocs)
        report("IOC", before[:count], after[:count], seconds)
        report("simulator", before[count:], after[count:], seconds)
        loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
        print(f"\n{os.cpu_count()} cores; load average of the machine, including other work: {loads}")


if __name__ == "__main__":
    main()
