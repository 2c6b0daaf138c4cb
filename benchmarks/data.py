"""Measure reception of captured data and writing to HDF5, compared with pandablocks and bare references.

All cases receive the same bytes over loopback, one after the other, each in a separate process.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_cases import CASES
from peers import environment

HERE = Path(__file__).parent

#: The peer cannot use other ports.
CONTROL_PORT, DATA_PORT = 8888, 8889

#: Pairs of cases for the ratios.
RATIOS = [
    ("ours asyncio", "pandablocks asyncio"),
    ("ours blocking", "pandablocks asyncio"),
    ("stand-in asyncio", "pandablocks asyncio"),
    ("ours asyncio", "bare socket"),
    ("ours blocking", "bare socket"),
    ("ours hdf scaled", "pandablocks hdf"),
    ("stand-in hdf", "pandablocks hdf"),
    ("ours hdf scaled", "bare h5py scaled"),
    ("ours hdf raw", "pandablocks hdf"),
    ("ours hdf raw", "bare h5py raw"),
]


@contextlib.contextmanager
def source(total: int) -> Iterator[None]:
    """Run the data port."""
    command = [sys.executable, str(HERE / "source.py"), str(CONTROL_PORT), str(DATA_PORT), str(total)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not process.stdout or process.stdout.readline() != "ready\n":
                raise SystemExit(f"ports {CONTROL_PORT} and {DATA_PORT} are not free")
            yield
        finally:
            process.terminate()


def measure(name: str, total: int, rows_per_chunk: int) -> dict[str, float]:
    """Run a case; return its rate in MB/s, CPU seconds per gigabyte, and memory in MB."""
    python: list[str | Path] = [sys.executable]
    if name.startswith("pandablocks"):
        python = [environment("pandablocks-0.10.4", "pandablocks==0.10.4", "h5py") / "python"]
    elif name.startswith("stand-in"):
        python += ["-m", "panda_ioc.compat.pandablocks"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*python, HERE / "data_cases.py", name, str(DATA_PORT), str(total), folder, str(rows_per_chunk)],
            check=True,
            stdout=subprocess.PIPE,
            timeout=600,
        )
    cost = json.loads(done.stdout.splitlines()[-1])
    return {"rate": total / cost["seconds"] / 1e6, "cpu": cost["cpu"] / total * 1e9, "memory": cost["megabytes"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--chunk-rows", type=int, default=1024, help="rows of a chunk, for panda-ioc and bare h5py")
    parser.add_argument("--case", action="append", choices=CASES)
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with source(arguments.bytes):
        names = arguments.case or list(CASES)
        # Alternate the cases, so that a temporarily slower machine affects all of them.
        rounds = [
            {name: measure(name, arguments.bytes, arguments.chunk_rows) for name in names}
            for _ in range(arguments.runs)
        ]
        for name in names:
            results[name] = {key: statistics.median(run[name][key] for run in rounds) for key in rounds[0][name]}
            cost = results[name]
            print(
                f"{name:22} {cost['rate']:7.0f} MB/s {cost['cpu']:6.2f} CPU-s/GB {cost['memory']:6.0f} MB", flush=True
            )
    print("\nratios: rate, CPU")
    for ours, other in RATIOS:
        if ours in results and other in results:
            rate = results[ours]["rate"] / results[other]["rate"]
            cpu = results[ours]["cpu"] / results[other]["cpu"]
            print(f"{ours:16} / {other:20} {rate:6.2f} {cpu:6.2f}")


if __name__ == "__main__":
    main()
