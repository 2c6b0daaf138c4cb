"""Acquisitions as arrays, from the simulated PandA over real sockets, with both clients."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from typing import Any

import numpy as np
import pytest

from panda_ioc.capture.acquisitions import acquisitions, samples
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.samples import Acquisition, IncompleteAcquisitionError, Samples
from panda_ioc.client import AsyncioClient, BlockingClient, PandaConnectionError, PandaTimeoutError
from panda_ioc.protocol import CommandError, EndData, GetLine, Put
from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm

COUNTER, TIME = "COUNTER1.OUT.Value", "PCAP.TS_TRIG.Value"

#: A function that collects the results of one of the two functions with one of the two clients.
Gather = Callable[..., Awaitable[list[Any]]]


async def with_asyncio(panda: Server, function: Any, **arguments: Any) -> list[Any]:
    async with AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        async with aclosing(function(client, **arguments)) as iterator, asyncio.timeout(20):
            return [item async for item in iterator]


async def with_blocking(panda: Server, function: Any, **arguments: Any) -> list[Any]:
    def work() -> list[Any]:
        with BlockingClient("127.0.0.1", panda.control_port, panda.data_port) as client:
            with closing(function(client, **arguments)) as iterator:
                return list(iterator)

    return await asyncio.wait_for(asyncio.to_thread(work), 20)


@pytest.fixture(params=[with_asyncio, with_blocking])
def gather(request: pytest.FixtureRequest) -> Gather:
    chosen: Gather = request.param
    return chosen


@pytest.fixture
async def scaled_panda(panda: Server) -> Server:
    """A PandA that generates 1000 samples after arming; the counter is in mm."""
    capture_counter(panda)
    samples_on_arm(panda, 1000)
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        for name, value in (("SCALE", 0.5), ("OFFSET", 10), ("UNITS", "mm")):
            await client.send(Put(f"COUNTER1.OUT.{name}", value))
    return panda


async def test_acquisitions_in_units(scaled_panda: Server, gather: Gather) -> None:
    first, second = await gather(scaled_panda, acquisitions, arm=True, count=2)
    for acquisition in (first, second):
        assert isinstance(acquisition, Acquisition)
        assert list(acquisition.columns) == [COUNTER, TIME]
        assert np.array_equal(acquisition.columns[COUNTER], np.arange(1000) * 0.5 + 10)
        assert acquisition.units == {COUNTER: "mm", TIME: "s"}
        assert np.array_equal(acquisition.seconds, np.arange(1000) * 125 * 8e-9)
        began = np.datetime64(acquisition.start.start_time.removesuffix("Z"))
        assert acquisition.times.dtype == np.dtype("datetime64[ns]")
        assert np.array_equal(acquisition.times - began, np.arange(1000) * np.timedelta64(1000, "ns"))
        assert acquisition.array.dtype.names == (COUNTER, TIME)
        assert np.array_equal(acquisition.array[COUNTER], acquisition.columns[COUNTER])
        assert (len(acquisition), acquisition.first, acquisition.missed) == (1000, 0, 0)
        assert (acquisition.end, acquisition.error) == (EndData(1000, "Ok"), None)
    assert first.start.start_time < second.start.start_time


async def test_pieces(scaled_panda: Server, gather: Gather) -> None:
    samples_on_arm(scaled_panda, 1_000_000)
    pieces: list[Samples] = await gather(scaled_panda, samples, arm=True, count=2)
    assert len(pieces) > 2
    begins = [place for place, piece in enumerate(pieces) if piece.first == 0]
    assert len(begins) == 2
    for part in (pieces[: begins[1]], pieces[begins[1] :]):
        assert [piece.first for piece in part] == [*np.cumsum([0, *map(len, part)])[:-1].tolist()]
        values = np.concatenate([piece.columns[COUNTER] for piece in part])
        assert np.array_equal(values, np.arange(1_000_000) * 0.5 + 10)
        assert len({id(piece.start) for piece in part}) == 1


async def test_an_end_that_is_not_good_is_raised_with_what_came(scaled_panda: Server, gather: Gather) -> None:
    samples_on_arm(scaled_panda, 1000, "Data overrun")
    with pytest.raises(IncompleteAcquisitionError, match="the acquisition ended with: Data overrun") as caught:
        await gather(scaled_panda, acquisitions, arm=True)
    assert caught.value.acquisition is not None
    assert len(caught.value.acquisition) == 1000
    assert caught.value.acquisition.end == EndData(1000, "Data overrun")
    with pytest.raises(IncompleteAcquisitionError, match="Data overrun"):
        await gather(scaled_panda, samples, arm=True)


async def test_who_wants_also_gets_what_is_incomplete(scaled_panda: Server, gather: Gather) -> None:
    samples_on_arm(scaled_panda, 1000, "Data overrun")
    got = await gather(scaled_panda, acquisitions, arm=True, count=2, strict=False)
    assert [len(acquisition) for acquisition in got] == [1000, 1000]
    assert all("Data overrun" in str(acquisition.error) for acquisition in got)


async def test_a_loss_in_the_middle_is_raised_with_what_came(scaled_panda: Server, gather: Gather) -> None:
    samples_on_arm(scaled_panda, 1000, "")
    with pytest.raises(
        IncompleteAcquisitionError, match="the acquisition was lost: .* sent nothing for 0.3 s"
    ) as caught:
        await gather(scaled_panda, acquisitions, arm=True, timeout=0.3)
    acquisition = caught.value.acquisition
    assert acquisition is not None
    assert (len(acquisition), acquisition.end) == (1000, None)
    assert "was lost" in str(acquisition.error)
    assert isinstance(caught.value.__cause__, PandaTimeoutError)
    assert await completion(scaled_panda) == "Disarmed"


async def test_silence_between_acquisitions_is_no_loss_of_one(scaled_panda: Server, gather: Gather) -> None:
    with pytest.raises(PandaTimeoutError):
        await gather(scaled_panda, acquisitions, timeout=0.1)


async def test_more_than_may_be_held(scaled_panda: Server, gather: Gather) -> None:
    with pytest.raises(CaptureError, match=r"larger than 0.00\d+ MiB: increase max_bytes"):
        await gather(scaled_panda, acquisitions, arm=True, max_bytes=5000)


async def test_who_stops_in_the_middle_disarms(scaled_panda: Server) -> None:
    samples_on_arm(scaled_panda, 1000, "")
    async with AsyncioClient("127.0.0.1", scaled_panda.control_port, scaled_panda.data_port) as client:
        async with aclosing(samples(client, arm=True)) as pieces, asyncio.timeout(10):
            assert len(await anext(pieces)) > 0
            assert await completion(scaled_panda) == "Busy"
        assert await completion(scaled_panda) == "Disarmed"


async def test_a_refusal_to_arm_leaves_the_armed_alone(scaled_panda: Server, gather: Gather) -> None:
    samples_on_arm(scaled_panda, 1000, "")
    scaled_panda.capture.arm()
    with pytest.raises(CommandError, match=r"\*PCAP.ARM="):
        await gather(scaled_panda, acquisitions, arm=True)
    assert await completion(scaled_panda) == "Busy"


async def test_no_time_stamp(panda: Server, gather: Gather) -> None:
    write = panda.panda.fields["COUNTER1.OUT"].attributes["CAPTURE"].write
    assert write
    write("Value")

    def on_arm(*_: object) -> None:
        panda.capture.start()
        panda.capture.end("Ok")

    panda.capture.on_arm = on_arm
    (acquisition,) = await gather(panda, acquisitions, arm=True, count=1)
    assert len(acquisition) == 0
    with pytest.raises(CaptureError, match="set PCAP.TS_TRIG.CAPTURE to Value"):
        _ = acquisition.times


async def test_nobody_there(gather: Gather, panda: Server) -> None:
    await panda.close()
    with pytest.raises(PandaConnectionError):
        await gather(panda, acquisitions)


@pytest.mark.parametrize("count", [0, -1])
def test_a_number_of_acquisitions_that_is_none(count: int) -> None:
    with pytest.raises(CaptureError, match="must be at least 1"):
        acquisitions(BlockingClient("127.0.0.1"), count=count)


async def test_a_slow_consumer_holds_the_panda_back(scaled_panda: Server) -> None:
    """The buffer of the client is limited: the rest waits in the PandA."""
    samples_on_arm(scaled_panda, 8_000_000)
    async with AsyncioClient("127.0.0.1", scaled_panda.control_port, scaled_panda.data_port) as client:
        got = 0
        async with aclosing(samples(client, arm=True, count=1)) as pieces, asyncio.timeout(30):
            async for piece in pieces:
                assert sum(values.nbytes for values in piece.columns.values()) < 64 << 20
                if not got:
                    await asyncio.sleep(0.2)
                got += len(piece)
    assert got == 8_000_000


async def completion(panda: Server) -> str:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        return await client.send(GetLine("*PCAP.COMPLETION"))
