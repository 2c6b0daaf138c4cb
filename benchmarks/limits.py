"""Run the IOC in a container with a limit of memory, with many clients, in a capture, with full tables.

    python benchmarks/limits.py 256 clients --ca 20
    python benchmarks/limits.py 768 clients --ca 200 --pva 50
    python benchmarks/limits.py 256 capture --seconds 130 --stall 5 --folder /var/tmp
    python benchmarks/limits.py 768 tables --rounds 3 --readers 2

`.ci/image` builds the image. The kernel counts the anonymous memory of a container, and the cached pages of files that
it writes. It takes cached pages back at the limit, so only anonymous memory can end the IOC. No swap.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from ca import PORTS, use_ports

PREFIX = "BENCH"
use_ports()

_PODMAN = shutil.which("podman") or "podman"
_OPTIONS = (
    *("--network", "host", "--runtime", "runc", "--no-healthcheck", "--ulimit", "nofile=1024:4096"),
    *("--ulimit", "nproc=4096:4096", "--read-only", "--tmpfs", "/tmp:size=16m"),  # noqa: S108 - in the container
)

#: Folders of the memory limits of podman's containers: control groups of version 1 and 2.
_GROUPS = ("/sys/fs/cgroup/memory/libpod_parent/libpod-{}", "/sys/fs/cgroup/machine.slice/libpod-{}.scope")


class Container:
    """A container, and the anonymous memory that it uses.

    Attributes:
        name: name of the container
        pid: process of the IOC
        peak: maximum anonymous memory in MiB, read 50 times a second
    """

    def __init__(self, name: str) -> None:
        self.name, self.peak = name, 0.0
        self.pid = int(self.state()["Pid"])
        number = json.loads(_podman("inspect", name))[0]["Id"]
        self._group = next(path for path in (Path(group.format(number)) for group in _GROUPS) if path.exists())
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def memory(self) -> float:
        """Anonymous memory now, in MiB; 0 after the end of the container."""
        try:
            lines = (self._group / "memory.stat").read_text().splitlines()
        except OSError:
            return 0.0
        used = {key: int(value) for key, value in map(str.split, lines)}
        return used.get("total_rss", used.get("anon", 0)) / 2**20

    def state(self) -> Any:
        return json.loads(_podman("inspect", self.name))[0]["State"]

    def _watch(self) -> None:
        while memory := self.memory:
            self.peak = max(self.peak, memory)
            time.sleep(0.02)


def _podman(*arguments: str) -> str:
    done = subprocess.run(
        [_PODMAN, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout


@contextlib.contextmanager
def container(arguments: argparse.Namespace, *command: str, mounts: tuple[str, ...] = ()) -> Iterator[Container]:
    """Run a command in the image under the limits of the arguments, on loopback; print what became of it."""
    name = f"panda-ioc-limits-{os.getpid()}"
    limit = f"{arguments.mib}m"
    options = [*_OPTIONS, "--memory", limit, "--memory-swap", limit, "--cpus", str(arguments.cpus)]
    options += ["--user", f"{os.getuid()}:0"]
    options += [f"--env={key}={value}" for key, value in PORTS.items()]
    options += [f"--volume={mount}" for mount in mounts]
    _podman("run", "--detach", "--name", name, *options, arguments.image, *command)
    try:
        _wait_until_it_serves(name)
        ioc = Container(name)
        try:
            print(f"at the start: {ioc.memory:.0f} MiB")
            yield ioc
        finally:
            state = ioc.state()
            alive = "runs" if state["Running"] else f"ended with {state['ExitCode']}"
            killed = ", killed by the kernel for its memory" if state["OOMKilled"] else ""
            print(f"at most {ioc.peak:.0f} MiB of {arguments.mib} MiB; the IOC {alive}{killed}", flush=True)
    finally:
        _podman("rm", "--force", "--time", "5", name)


def _wait_until_it_serves(name: str) -> None:
    for _ in range(600):
        if "serving " in _podman("logs", name):
            return
        time.sleep(0.1)
    raise SystemExit("the IOC does not serve")


def clients(arguments: argparse.Namespace) -> None:
    """Connect clients that monitor all PVs, and one more that puts."""
    from control import names
    from load import CrowdError, Measured, crowd, puts

    pvs = names()
    with container(arguments, "panda-ioc", "run", "127.0.0.1", PREFIX) as ioc, contextlib.ExitStack() as stack:
        for kind, count in (("ca", arguments.ca), ("pva", arguments.pva)):
            if count:
                try:
                    crowds = [stack.enter_context(crowd(kind, count, pvs))]
                except CrowdError as error:
                    print(error)
                    return
                print(f"with {count} {kind} clients: {ioc.memory:.0f} MiB")
                told = puts(f"{PREFIX}:PULSE1:PULSES", 300, Measured(ioc.pid), crowds)
                print(f"after 300 puts: {ioc.memory:.0f} MiB, {told['puts a second']:.0f} puts a second", flush=True)
        stack.close()
        time.sleep(12)
        print(f"after they left: {ioc.memory:.0f} MiB")


def tables(arguments: argparse.Namespace) -> None:
    """Put full SEQ tables, each replaced by another, with clients that monitor and read them."""
    from p4p.client.thread import Context

    from tables import table

    rows = [table(262144, seed) for seed in range(2)]
    with container(arguments, "panda-ioc", "run", "127.0.0.1", PREFIX) as ioc:
        readers = [Context("pva", conf=PORTS, useenv=False, nt=False) for _ in range(arguments.readers)]
        names = [f"{PREFIX}:SEQ{number + 1}:TABLE" for number in range(arguments.tables)]
        kept = [reader.monitor(name, lambda _: None) for reader in readers for name in names]
        with Context("pva", conf=PORTS, useenv=False, nt=False) as pva:
            for number in range(arguments.rounds):
                for name in names:
                    try:
                        pva.put(name, {"value": rows[number % 2]}, timeout=60)
                    except TimeoutError:
                        print(f"{name}: no reply")
                        return
                    print(f"{name}: {ioc.memory:.0f} MiB", flush=True)
        time.sleep(12)
        print(f"at rest: {ioc.memory:.0f} MiB; {len(kept)} monitors")
        for reader in readers:
            reader.close()


def capture(arguments: argparse.Namespace) -> None:
    """Capture to a disk that is stuck for some seconds of each minute."""
    import asyncio

    import capture as measured

    here = str(Path(__file__).parent)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        code = [sys.executable, f"{here}/capture_panda.py", str(arguments.rate), str(arguments.seconds)]
        with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as panda:
            try:
                assert panda.stdout
                control, data, expected = panda.stdout.readline().split()
                command = ["python", "/benchmarks/stalling.py", str(arguments.stall), "run", "127.0.0.1", PREFIX]
                command += ["--control-port", control, "--data-port", data]
                mounts = (f"{here}:/benchmarks:ro", f"{folder}:{folder}")
                with container(arguments, *command, mounts=mounts) as ioc:
                    case = measured.measure(arguments, psutil.Process(ioc.pid), Path(folder), int(expected))
                    asyncio.run(case)
            finally:
                panda.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mib", type=int, help="limit of memory in MiB")
    parser.add_argument("case", choices=["clients", "capture", "tables"])
    parser.add_argument("--cpus", type=float, default=0.5, help="limit of CPU in cores")
    parser.add_argument("--image", default="localhost/panda-ioc:ci")
    parser.add_argument("--ca", type=int, default=20, help="clients: of Channel Access")
    parser.add_argument("--pva", type=int, default=0, help="clients: of PV Access")
    parser.add_argument("--rate", type=float, default=60, help="capture: MB/s")
    parser.add_argument("--seconds", type=float, default=130, help="capture: duration")
    parser.add_argument("--stall", type=float, default=5, help="capture: seconds of each minute with a stuck disk")
    parser.add_argument("--raw", action="store_true", help="capture: store integers")
    parser.add_argument("--folder", type=Path, help="capture: folder of the file")
    parser.add_argument("--tables", type=int, default=1, help="tables: number of SEQ tables")
    parser.add_argument("--rounds", type=int, default=3, help="tables: puts to each")
    parser.add_argument("--readers", type=int, default=0, help="tables: PVA clients that monitor all")
    arguments = parser.parse_args()
    cases: dict[str, Callable[[argparse.Namespace], None]] = {"clients": clients, "capture": capture, "tables": tables}
    run = cases[arguments.case]
    if arguments.case == "capture":
        run(arguments)
        return
    with subprocess.Popen([sys.executable, "-m", "panda_ioc", "simulator"], stdout=subprocess.PIPE) as panda:
        try:
            assert panda.stdout
            panda.stdout.readline()
            run(arguments)
        finally:
            panda.terminate()


if __name__ == "__main__":
    main()
