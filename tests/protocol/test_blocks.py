"""Reuse of the memory of frames: soon after the last reference to a frame is gone, and never before."""

import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from panda_ioc.protocol import Data, DataConnection, FrameData, RemoteProtocolError
from panda_ioc.protocol.blocks import BLOCK, BlockPool

from .. import samples

#: Samples of a frame of about 64 KiB, as servers send them.
ROWS = 2340

COLUMN = "COUNTER1.OUT.Value"

#: What a program may keep of a frame. The numbers of the samples are found again with `_numbers`.
KEPT: dict[str, Callable[[FrameData], Any]] = {
    "event": lambda event: event,
    "array": lambda event: event.data,
    "slice": lambda event: event.data[5:-7:3],
    "slice of a slice": lambda event: event.data[100:][:3],
    "sample": lambda event: event.data[17],
    "column": lambda event: event.data[COLUMN],
    "part of a column": lambda event: event.data[COLUMN][::50],
    "columns": lambda event: event.data[[COLUMN, "PCAP.BITS0.Value"]],
    "memoryview": lambda event: event.data.data,
    "bytes in place": lambda event: event.data.view(np.uint8).data[28:56],
    "other array": lambda event: np.asarray(event.data).view(np.recarray),
    "iterator": lambda event: event.data.flat,
    "buffer": lambda event: np.frombuffer(event.data, np.uint8)[56:],
    "ctypes": lambda event: event.data.view(np.uint8).ctypes,
}


def contents(kept: Any) -> bytes:
    """Return the bytes of what was kept of a frame, as they are now."""
    if isinstance(kept, FrameData):
        return kept.data.tobytes()
    if isinstance(kept, np.flatiter):
        return kept.copy().tobytes()
    if hasattr(kept, "data_as"):  # ctypes: its array
        return bytes(kept._arr.tobytes())
    return bytes(np.asarray(kept).tobytes())


def connected() -> DataConnection:
    connection = DataConnection()
    connection.connect(False)
    return connection


def received(connection: DataConnection, data: bytes, read: int = 200_000) -> Iterator[Data]:
    """Receive bytes as a socket does: in reads into the buffer, of up to a size."""
    left = memoryview(data)
    while left:
        buffer = connection.get_buffer()
        count = min(len(buffer), len(left), read)
        buffer[:count] = left[:count]
        left = left[count:]
        yield from connection.buffer_updated(count, limit=64, merge=True)
        while connection.pending:
            yield from connection.parse_pending(limit=64, merge=True)


def frames(count: int, first: int = 0, rows: int = ROWS) -> bytes:
    return b"".join(samples.frame(samples.rows(rows, (first + number) * rows)) for number in range(count))


@pytest.mark.parametrize("kind", KEPT)
def test_what_is_kept_of_a_frame_never_changes(kind: str) -> None:
    """Every 70th frame of 40 MB, so that a block is kept for one frame of it, and others are reused."""
    connection = connected()
    kept: list[tuple[Any, bytes]] = []
    seen = 0
    for event in received(connection, b"OK\n" + samples.HEADER + frames(600)):
        if isinstance(event, FrameData):
            if seen % 70 == 0:
                keeping = KEPT[kind](event)
                kept.append((keeping, contents(keeping)))
            seen += 1
        del event
    assert seen == 600
    assert len(kept) == 9
    assert all(contents(keeping) == before for keeping, before in kept)


def test_memory_is_reused_once_nothing_refers_to_it() -> None:
    pool = BlockPool()
    view, array = pool.take(1)
    view[0] = 7
    kept = array[100:][:4].view("<u4")
    del array
    assert pool.take(1)[0][0] == 0  # fresh memory
    del kept
    assert pool.take(1)[0][0] == 7


def test_random_keeping_and_forgetting_over_acquisitions_sizes_and_errors() -> None:
    generator = random.Random(14)
    kept: dict[int, tuple[Any, bytes]] = {}
    total = 0
    for round_ in range(12):
        connection = connected()
        stream = b"OK\n"
        for _ in range(2):
            rows = generator.choice([1, 30, 500, ROWS, 40_000, 75_000])
            stream += samples.HEADER + frames(min(2000, 1 + 200_000 // rows), round_ * 10, rows) + b"END 0 Ok\n"
        stream += generator.choice([b"", b"garbage\n" * 200, samples.HEADER + b"BIN \1\0\0\0", samples.HEADER[:90]])
        try:
            for event in received(connection, stream, generator.choice([999, 70_000, 1 << 20])):
                if not isinstance(event, FrameData):
                    continue
                total += 1
                keeping = generator.choice(list(KEPT.values()))(event)
                kept[generator.randrange(40)] = keeping, contents(keeping)
        except RemoteProtocolError:
            pass
        del connection
        assert all(contents(keeping) == before for keeping, before in kept.values())
    assert total > 200


def test_frames_may_be_released_in_another_thread() -> None:
    connection = connected()
    expected = iter(range(10**9))
    for event in received(connection, b"OK\n" + samples.HEADER):
        del event
    for part in range(20):
        events = [*received(connection, frames(100, part * 100))]

        def use(events: list[Data]) -> None:
            while events:
                event = events.pop(0)
                assert isinstance(event, FrameData)
                assert event.data["PCAP.BITS0.Value"][0] == next(expected) * ROWS

        thread = threading.Thread(target=use, args=(events,))
        thread.start()
        thread.join()
        assert not events
    assert next(expected) == 2000


def test_few_unused_blocks_are_kept() -> None:
    tracemalloc.start()
    try:
        pool = BlockPool()
        before = tracemalloc.get_traced_memory()[0]
        blocks = [pool.take(1) for _ in range(20)]
        blocks += [pool.take(10 * BLOCK) for _ in range(3)]
        assert tracemalloc.get_traced_memory()[0] - before > 50 * BLOCK
        blocks.clear()
        assert 0 < tracemalloc.get_traced_memory()[0] - before < 4.1 * BLOCK
        del pool
        assert tracemalloc.get_traced_memory()[0] - before < BLOCK
    finally:
        tracemalloc.stop()


def test_a_block_has_the_size_asked_for() -> None:
    pool = BlockPool()
    for size in (1, BLOCK, BLOCK + 1, 5 * BLOCK, 2):
        view, array = pool.take(size)
        assert len(view) == len(array) == max(size, BLOCK)
        view[-1] = 7
        assert array[-1] == 7
        assert not array.flags.writeable
