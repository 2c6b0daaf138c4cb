"""Receive or store an acquisition in one way, in a separate process, and print its cost as JSON.

python data_cases.py CASE DATA_PORT BYTES FOLDER ROWS_PER_CHUNK
"""

import asyncio
import importlib
import json
import resource
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

CONTROL_PORT, PORT, TOTAL, FOLDER, CHUNK = 0, 0, 0, Path(), 0


def bare_socket() -> None:
    """Read the socket and discard the data."""
    with socket.create_connection(("127.0.0.1", PORT)) as connection:
        connection.sendall(b"XML FRAMED RAW\n")
        buffer = memoryview(bytearray(1 << 20))
        tail = b""
        while b"END " not in tail:
            count = connection.recv_into(buffer)
            tail = tail[-16:] + bytes(buffer[max(0, count - 64) : count])


async def ours_asyncio() -> None:
    from panda_ioc.client import AsyncioClient
    from panda_ioc.protocol import EndData

    async for data in AsyncioClient("127.0.0.1", data_port=PORT).data(scaled=False):
        if isinstance(data, EndData):
            return


def ours_blocking() -> None:
    from panda_ioc.client import BlockingClient
    from panda_ioc.protocol import EndData

    for data in BlockingClient("127.0.0.1", data_port=PORT).data(scaled=False):
        if isinstance(data, EndData):
            return


async def ours_hdf(*, raw: bool) -> None:
    from panda_ioc.capture.acquisition import follow
    from panda_ioc.capture.columns import stored_columns
    from panda_ioc.capture.hdf import HdfFile
    from panda_ioc.capture.options import ColumnOptions, FileOptions
    from panda_ioc.capture.recorder import FilePlan, Recorder
    from panda_ioc.capture.selection import First
    from panda_ioc.client import AsyncioClient

    columns = partial(stored_columns, options=ColumnOptions(raw=raw))
    file = FileOptions(rows_per_chunk=CHUNK)
    recorder = Recorder(FilePlan(lambda: HdfFile(FOLDER / "ours.h5", file), columns), First(0, 1))
    acquisition = None
    async for data in AsyncioClient("127.0.0.1", data_port=PORT).data(scaled=False):
        acquisition = follow(acquisition, data)
        if acquisition is not None:
            recorder.process(data, acquisition)
        if not recorder.capturing:
            break
        if recorder.full:
            await recorder.wait_room()
    await recorder.wait_closed()
    if recorder.progress.error:
        raise recorder.progress.error


async def peer_asyncio() -> None:
    from pandablocks.asyncio import AsyncioClient
    from pandablocks.responses import EndData

    async with AsyncioClient("127.0.0.1") as client:
        async for data in client.data(scaled=False):
            if isinstance(data, EndData):
                return


async def peer_hdf() -> None:
    from pandablocks.asyncio import AsyncioClient
    from pandablocks.hdf import write_hdf_files

    async with AsyncioClient("127.0.0.1") as client:
        await write_hdf_files(client, iter([str(FOLDER / "peer.h5")]), num=1, arm=False, flush_period=1)


def bare_h5py(*, raw: bool) -> None:
    """Write columns from memory to a file with the same chunks, 16384 rows a call, without socket or frames."""
    import h5py
    import numpy as np

    from source import DTYPE, FIELDS

    rows = 16384
    memory = np.random.default_rng(1).integers(0, 255, rows * DTYPE.itemsize, np.uint8).view(DTYPE)
    columns = {
        name: memory[name].copy() if raw or not rest else memory[name] * 0.5 + 10
        for name, (_, _, _, rest) in zip(DTYPE.names or (), FIELDS, strict=True)
    }
    with h5py.File(FOLDER / "bare.h5", "w", libver="latest") as file:
        datasets = [
            (file.create_dataset(name, (0,), values.dtype, maxshape=(None,), chunks=(CHUNK,)), values)
            for name, values in columns.items()
        ]
        for first in range(0, TOTAL // DTYPE.itemsize // rows * rows, rows):
            for dataset, values in datasets:
                dataset.resize(first + rows, axis=0)
                dataset[first:] = values


def plain_file() -> None:
    """Write the bytes to a file unchanged."""
    block = bytes(1 << 20)
    with (FOLDER / "plain").open("wb", buffering=0) as file:
        for _ in range(TOTAL >> 20):
            file.write(block)


CASES: dict[str, Callable[[], object]] = {
    "bare socket": bare_socket,
    "ours asyncio": ours_asyncio,
    "ours blocking": ours_blocking,
    "pandablocks asyncio": peer_asyncio,
    "stand-in asyncio": peer_asyncio,
    "plain file": plain_file,
    "bare h5py scaled": partial(bare_h5py, raw=False),
    "bare h5py raw": partial(bare_h5py, raw=True),
    "ours hdf scaled": partial(ours_hdf, raw=False),
    "ours hdf raw": partial(ours_hdf, raw=True),
    "pandablocks hdf": peer_hdf,
    "stand-in hdf": peer_hdf,
}


_MODULES = {
    "ours": ("panda_ioc.client", "panda_ioc.capture.recorder"),
    "pandablocks": ("pandablocks.asyncio", "pandablocks.hdf"),
    "stand-in": ("pandablocks.asyncio", "pandablocks.hdf"),
    "bare": ("h5py", "source"),
}


def main() -> None:
    global PORT, TOTAL, FOLDER, CHUNK  # noqa: PLW0603 - a script that runs one case
    name, PORT, TOTAL, FOLDER, CHUNK = sys.argv[1], *map(int, sys.argv[2:4]), Path(sys.argv[4]), int(sys.argv[5])
    for module in _MODULES.get(name.split()[0], ()):
        importlib.import_module(module)  # what starting up costs is not what is measured
    case = CASES[name]
    function = case.func if isinstance(case, partial) else case
    began, cpu = time.perf_counter(), time.process_time()
    if asyncio.iscoroutinefunction(function):
        asyncio.run(case())  # type: ignore[arg-type]
    else:
        case()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu": time.process_time() - cpu,
                "megabytes": used.ru_maxrss / 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
