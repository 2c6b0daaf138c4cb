"""Captured data from the simulated PandA, over real sockets, with both clients."""

import asyncio
from contextlib import aclosing, closing, suppress

import numpy as np
import pytest

from panda_ioc.client import AsyncioClient, BlockingClient, PandaConnectionError, PandaTimeoutError
from panda_ioc.protocol import Data, EndData, FrameData, ReadyData, StartData
from panda_ioc.simulator import Server

from ..conftest import free_port

COLUMN = "COUNTER1.OUT.Value"


def choose(panda: Server) -> None:
    """Set a counter and a word of bits to be captured."""
    for name in ("COUNTER1.OUT", "PCAP.BITS0"):
        write = panda.panda.fields[name].attributes["CAPTURE"].write
        assert write
        write("Value")


def words(count: int, first: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.uint32]]:
    """Return samples of both: a word of bits, then the counter."""
    numbers = np.arange(first, first + count, dtype=np.uint32)
    return np.stack([numbers * 2, numbers], axis=1)


def numbers(events: list[Data]) -> list[int]:
    frames = [event.data[COLUMN] for event in events if isinstance(event, FrameData)]
    return [int(number) for number in np.concatenate(frames)] if frames else []


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("flush_period", [None, 0.01])
async def test_acquisitions(panda: Server, scaled: bool, flush_period: float | None) -> None:
    choose(panda)
    events: list[Data] = []
    async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(scaled, flush_period)) as data:
        assert isinstance(await anext(data), ReadyData)
        for _ in range(2):
            panda.capture.arm()
            panda.capture.start()
            for first in range(0, 1000, 100):
                panda.capture.append(words(100, first))
            panda.capture.end("Ok")
            async with asyncio.timeout(5):
                async for event in data:
                    events.append(event)
                    if isinstance(event, EndData):
                        break
    assert numbers(events) == [*range(1000), *range(1000)]
    assert [event for event in events if isinstance(event, EndData)] == [EndData(1000, "Ok")] * 2
    starts = [event for event in events if isinstance(event, StartData)]
    assert [start.process for start in starts] == ["Scaled" if scaled else "Raw"] * 2


async def test_a_slow_consumer_holds_the_panda_back(panda: Server) -> None:
    choose(panda)
    async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(False)) as data:
        await anext(data)
        panda.capture.arm()
        panda.capture.start()
        block = words(1 << 18)
        for _ in range(60):  # 120 MiB
            panda.capture.append(block)
        panda.capture.end("Ok")
        assert isinstance(await anext(data), StartData)
        first = await anext(data)
        assert isinstance(first, FrameData)
        seen = len(first.data)
        async for event in data:
            if isinstance(event, EndData):
                break
            assert isinstance(event, FrameData)
            seen += len(event.data)
        assert event == EndData(60 << 18, "Ok")
        assert seen == 60 << 18


async def test_what_came_is_given_before_the_loss(panda: Server) -> None:
    choose(panda)
    panda.faults.cut = 4000
    got: list[Data] = []
    with pytest.raises(PandaConnectionError, match="during an acquisition"):
        async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(False)) as data:
            async with asyncio.timeout(5):
                async for event in data:
                    got.append(event)
                    if isinstance(event, ReadyData):
                        panda.capture.arm()
                        panda.capture.start()
                        panda.capture.append(words(400))
                    elif isinstance(event, FrameData):
                        panda.capture.append(words(400, 400))
    assert numbers(got) == list(range(400))


async def test_the_data_port_is_closed_while_idle(panda: Server) -> None:
    client = AsyncioClient("127.0.0.1", 1, panda.data_port)
    with pytest.raises(PandaConnectionError, match="the server closed the data port"):
        async with aclosing(client.data()) as data, asyncio.timeout(5):
            async for _ in data:
                await panda.close()


async def test_nobody_there() -> None:
    with pytest.raises(PandaConnectionError, match="Connection refused"):
        await anext(AsyncioClient("127.0.0.1", 1, free_port()).data())
    with pytest.raises(PandaConnectionError, match="Connection refused"):
        await asyncio.to_thread(next, BlockingClient("127.0.0.1", 1, free_port()).data())


async def test_closing_in_the_middle_of_an_acquisition_frees_the_server(panda: Server) -> None:
    choose(panda)
    async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(False)) as data:
        await anext(data)
        panda.capture.arm()
        panda.capture.start()
        for _ in range(20):
            panda.capture.append(words(1 << 18))
        await anext(data)
    async with asyncio.timeout(5):
        while panda.data_connections:
            await asyncio.gather(*panda.data_connections, return_exceptions=True)


async def test_a_late_client_is_told_what_it_missed(panda: Server) -> None:
    choose(panda)
    panda.capture.buffer_bytes = 800
    panda.capture.arm()
    panda.capture.start()
    for first in range(0, 500, 50):
        panda.capture.append(words(50, first))
    panda.capture.end("Ok")
    panda.capture.arm()
    panda.capture.start()
    for first in range(0, 500, 50):
        panda.capture.append(words(50, first))
    events: list[Data] = []
    async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(False)) as data:
        async for event in data:
            events.append(event)
            if isinstance(event, FrameData) and numbers(events)[-1] == 499:
                panda.capture.end("Ok")
            if isinstance(event, EndData):
                break
    start = next(event for event in events if isinstance(event, StartData))
    assert start.missed == 400
    assert numbers(events) == list(range(400, 500))


async def test_a_silent_panda_is_given_up(panda: Server) -> None:
    events: list[Data] = []
    with pytest.raises(PandaTimeoutError, match=r"sent nothing for 0.1 s"):
        async with aclosing(AsyncioClient("127.0.0.1", 1, panda.data_port).data(timeout=0.1)) as data:
            events.append(await anext(data))
            await anext(data)
    assert events == [ReadyData()]


async def test_time_that_the_consumer_takes_is_no_silence(panda: Server) -> None:
    """Also while frames wait for assembly, or are not consumed."""
    choose(panda)
    data = AsyncioClient("127.0.0.1", 1, panda.data_port).data(False, 10, timeout=0.3)
    seen = []
    async with aclosing(data), asyncio.timeout(10):
        await anext(data)
        panda.capture.arm()
        panda.capture.start()
        await anext(data)
        await asyncio.sleep(0.4)  # a busy consumer
        feeding = asyncio.create_task(anext(data))
        for first in range(0, 80, 10):
            panda.capture.append(words(10, first))
            await asyncio.sleep(0.1)
            assert not feeding.done()
        panda.capture.end("Ok")
        seen.append(await feeding)
        assert numbers(seen) == list(range(80))
        assert await anext(data) == EndData(80, "Ok")
        with pytest.raises(PandaTimeoutError):
            await anext(data)


async def test_blocking(panda: Server) -> None:
    choose(panda)
    loop = asyncio.get_running_loop()

    def acquire() -> None:
        panda.capture.arm()
        panda.capture.start()
        panda.capture.append(words(1000))
        panda.capture.end("Ok")

    def work() -> list[Data]:
        events: list[Data] = []
        with closing(BlockingClient("127.0.0.1", 1, panda.data_port).data(False, timeout=5)) as data:
            for event in data:
                events.append(event)
                if isinstance(event, ReadyData):
                    loop.call_soon_threadsafe(acquire)
                if isinstance(event, EndData):
                    break
        with pytest.raises(PandaTimeoutError, match=r"sent nothing for 0.05 s"):
            for _ in BlockingClient("127.0.0.1", 1, panda.data_port).data(timeout=0.05):
                pass
        return events

    events = await asyncio.wait_for(asyncio.to_thread(work), 20)
    assert numbers(events) == list(range(1000))


async def test_blocking_loses_the_connection(panda: Server) -> None:
    loop = asyncio.get_running_loop()

    def work() -> None:
        data = BlockingClient("127.0.0.1", 1, panda.data_port).data(timeout=5)
        next(data)
        asyncio.run_coroutine_threadsafe(panda.close(), loop).result(5)
        with pytest.raises(PandaConnectionError, match="the server closed the data port"):
            next(data)

    await asyncio.wait_for(asyncio.to_thread(work), 20)


async def test_acquisitions_of_many_columns_do_not_fill_the_memory() -> None:
    """Their description takes more memory than their samples."""
    fields = "".join(f'<field name="C{number}" type="int32" capture="Value" scale="1"/>' for number in range(1000))
    acquisition = (
        f'<header><data process="Raw" sample_bytes="4000"/><fields>{fields}</fields></header>\n\nEND 0 Ok\n'.encode()
    )
    sent, at_rest = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readline()
        writer.write(b"OK\n")
        try:
            async with asyncio.timeout(20) as limit:
                while sent < 500:
                    limit.reschedule(asyncio.get_running_loop().time() + 1)
                    writer.write(acquisition)
                    await writer.drain()
                    sent += 1
        except TimeoutError:
            pass
        at_rest.set()
        with suppress(OSError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with aclosing(AsyncioClient("127.0.0.1", 1, port).data(scaled=False)) as data:
            await anext(data)
            await asyncio.wait_for(at_rest.wait(), 30)
    # 16 MiB are 15 acquisitions; the rest is what sockets buffer. Without a limit there are thousands.
    assert sent < 300
