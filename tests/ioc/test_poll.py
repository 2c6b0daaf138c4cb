"""Polling the simulated PandA."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from aioca import camonitor

from panda_ioc.client import AsyncioClient, PandaConnectionError, Repetition
from panda_ioc.client.repeating import Exchange
from panda_ioc.ioc.link.poll import UNWATCHED_BEAT, Poller
from panda_ioc.ioc.link.timetable import PERIODS, Timetable
from panda_ioc.protocol import COMPLETION, ChangeGroup, Changes, ForgetChanges, Poll, Put
from panda_ioc.simulator import Server, control
from panda_ioc.simulator.control import ControlPort

from ..conftest import Hostile, free_port
from .process import running_ioc
from .test_http import get


@pytest.mark.parametrize(
    ("periods", "beats"),
    [
        (PERIODS, 1200),
        ({ChangeGroup.CONFIG: 0.007, ChangeGroup.BITS: 0.994, ChangeGroup.READ: 59.36}, 8480 * 2),
        ({ChangeGroup.CONFIG: 60, ChangeGroup.BITS: 2}, 1200),
    ],
)
def test_the_timetable_asks_for_each_group_as_often_as_it_should(
    periods: Mapping[ChangeGroup, float], beats: int
) -> None:
    timetable = Timetable(periods)
    assert timetable.beat == min(*periods.values(), 1)
    polls = [timetable.due(number) for number in range(beats)]
    for group, period in periods.items():
        assert sum(group in poll.groups for poll in polls) == pytest.approx(beats * timetable.beat / period, rel=0.01)
    assert polls[0].groups == tuple(periods)


def test_settings_are_asked_for_more_often_only_where_they_were_to_be_asked_often() -> None:
    settings = Timetable(PERIODS).settings
    assert settings
    assert settings.groups == (ChangeGroup.CONFIG, ChangeGroup.ATTR)
    assert Timetable({**PERIODS, ChangeGroup.CONFIG: 1, ChangeGroup.ATTR: 1}).settings is None


async def test_a_group_that_the_panda_does_not_know_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    answers = b"ERR Unknown changes selection\n!BITS.A=1\n.\nOK =Busy\n"
    polls: asyncio.Queue[Changes] = asyncio.Queue()
    async with Hostile(answers, after=b"COMPLETION?\n") as server:
        async with AsyncioClient("127.0.0.1", server.port) as client:
            poller = Poller(client, polls.put_nowait, {ChangeGroup.TABLE: 0.01, ChangeGroup.CONFIG: 0.01})
            running = asyncio.create_task(poller.run())
            assert (await asyncio.wait_for(polls.get(), 5)).values == {"BITS.A": "1", "*PCAP.COMPLETION": "Busy"}
            assert await asyncio.wait_for(server.heard.get(), 5) == b"*CHANGES.CONFIG?\n"
            running.cancel()
    assert "TABLE" in caplog.text


async def test_refresh_waits_for_a_poll_that_began_after_it(panda: Server) -> None:
    told: dict[str, str] = {}
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(ForgetChanges())
        poller = Poller(client, lambda changes: told.update(changes.values), {ChangeGroup.CONFIG: 50.0})
        running = asyncio.create_task(poller.run())
        for number in range(20):
            await client.send(Put("PULSE1.PULSES", str(number)))
            await poller.refresh()
            assert told == {"PULSE1.PULSES": str(number), COMPLETION: "Ok"}
        running.cancel()


async def test_puts_that_end_together_share_a_poll(panda: Server) -> None:
    polls: list[Changes] = []
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        poller = Poller(client, polls.append, {ChangeGroup.CONFIG: 50.0})
        running = asyncio.create_task(poller.run())
        await asyncio.gather(*(poller.refresh() for _ in range(100)))
        assert len(polls) <= 3
        running.cancel()


async def test_what_ends_polling_is_told_to_all() -> None:
    async with Hostile(b"", after=b"?\n", then="close") as server:
        async with AsyncioClient("127.0.0.1", server.port) as client:
            poller = Poller(client, lambda _: None)
            waiting = asyncio.create_task(poller.refresh())
            assert "the server closed the connection" in await asyncio.wait_for(poller.run(), 5)
            with pytest.raises(PandaConnectionError, match="the server closed the connection"):
                await waiting
            with pytest.raises(PandaConnectionError):
                await poller.refresh()


async def test_a_panda_that_stops_answering_is_noticed() -> None:
    async with Hostile(b"") as server, AsyncioClient("127.0.0.1", server.port) as client:
        assert await asyncio.wait_for(Poller(client, lambda _: None).run(), 3) == "no reply to a poll within 2 s"


async def test_nonsense_ends_polling(panda: Server) -> None:
    async with Hostile(b"!what is this\n.\n" * 20, after=b"?\n") as server:
        async with AsyncioClient("127.0.0.1", server.port) as client:
            assert "what is this" in await asyncio.wait_for(Poller(client, lambda _: None).run(), 5)


async def test_a_mistake_of_ours_is_not_swallowed(panda: Server) -> None:
    def stumble(_: Changes) -> None:
        raise ZeroDivisionError

    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(Poller(client, stumble).run(), 5)


async def test_an_old_server_without_completion() -> None:
    async with Hostile(b".\nERR Unknown command\n", after=b"COMPLETION?\n") as server:
        async with AsyncioClient("127.0.0.1", server.port) as client:
            polled = await client.send(Poll((ChangeGroup.BITS,)))
    assert polled.changes == Changes()


class Polls:
    """A count of the polls that a simulated PandA has received."""

    def __init__(self) -> None:
        self.count = 0
        self._received = asyncio.Event()

    def received(self, data: bytes) -> None:
        self.count += data.count(b"COMPLETION?\n")
        self._received.set()

    async def until(self, more: int) -> None:
        wanted = self.count + more
        async with asyncio.timeout(20):
            while self.count < wanted:
                self._received.clear()
                await self._received.wait()


@pytest.fixture
def polls(panda: Server, monkeypatch: pytest.MonkeyPatch) -> Polls:
    polls, original = Polls(), ControlPort.data_received

    def counted(port: ControlPort, data: bytes) -> None:
        polls.received(data)
        original(port, data)

    monkeypatch.setattr(ControlPort, "data_received", counted)
    return polls


async def test_polls_that_say_nothing_new_are_neither_parsed_nor_applied(
    panda: Server, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    original = Poll.conversation

    def counted(self: Poll) -> Any:
        parsed.append(self)
        return (yield from original(self))

    monkeypatch.setattr(Poll, "conversation", counted)
    monkeypatch.setattr(control, "_TURN", 60.0)  # replies in one piece, also on a busy machine
    applied: asyncio.Queue[Changes] = asyncio.Queue()
    periods = dict.fromkeys(PERIODS, 0.005)
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(ForgetChanges())
        poller = Poller(client, applied.put_nowait, periods, ["SYSTEM.TEMP_PSU", "SYSTEM.TEMP_SFP"])
        running = asyncio.create_task(poller.run())
        await polls.until(20)
        while not applied.empty():
            applied.get_nowait()
        parsed.clear()
        await polls.until(100)
        assert len(parsed) == applied.qsize() == 0
        for number in range(1, 4):
            await client.send(Put("PULSE1.PULSES", str(number)))
            while "PULSE1.PULSES" not in (changes := await asyncio.wait_for(applied.get(), 5)).values:
                pass
            assert changes.values["PULSE1.PULSES"] == str(number)
        running.cancel()


async def test_a_field_in_error_is_read_again_though_it_says_the_same(panda: Server) -> None:
    """A field that a group reported as in error recovers with the reply to its own query."""
    quiet, error = b".\nOK =1\nOK =Ok\n", b"!SYSTEM.A (error)\n.\nOK =1\nOK =Ok\n"
    answers = iter([quiet] * 5 + [error] + [quiet] * 100)
    applied: asyncio.Queue[Changes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            if b"COMPLETION" in line:
                writer.write(next(answers, b""))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        async with AsyncioClient("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            poller = Poller(client, applied.put_nowait, {ChangeGroup.READ: 0.01}, ["SYSTEM.A"])
            running = asyncio.create_task(poller.run())
            told = [await asyncio.wait_for(applied.get(), 5) for _ in range(3)]
            running.cancel()
    assert [(changes.in_error, changes.values["SYSTEM.A"]) for changes in told] == [
        ((), "1"),
        (("SYSTEM.A",), "1"),
        ((), "1"),
    ]


class Repeating(AsyncioClient):
    """A client that notes which replies its repeated polls expect."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.repeated: asyncio.Queue[bytes] = asyncio.Queue()

    def repeat(self, exchanges: Sequence[Exchange], period: float, done: Callable[[Any], None]) -> Repetition | None:
        self.repeated.put_nowait(exchanges[0][1].answer)
        return super().repeat(exchanges, period, done)


async def test_polls_are_not_repeated_during_an_acquisition() -> None:
    """Its end makes the reply shorter, and must not wait for the next poll."""
    completion, answered, applied = b"Busy", asyncio.Event(), asyncio.Queue[Changes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        async for line in reader:
            if b"COMPLETION" in line:
                writer.write(b".\nOK =" + completion + b"\n")
                count += 1
                if count == 10:
                    answered.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        async with Repeating("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            running = asyncio.create_task(Poller(client, applied.put_nowait, {ChangeGroup.BITS: 0.01}).run())
            await asyncio.wait_for(answered.wait(), 5)
            assert client.repeated.empty()
            completion = b"Ok"
            assert await asyncio.wait_for(client.repeated.get(), 5) == b".\nOK =Ok\n"
            running.cancel()
    assert [applied.get_nowait().values[COMPLETION] for _ in range(applied.qsize())] == ["Busy", "Ok"]


async def test_a_slow_panda_whose_replies_come_in_pieces_is_not_lost() -> None:
    values: list[str] = []
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        async for line in reader:
            if b"COMPLETION" in line:
                change = b"" if number % 5 else b"!A.B=%d\n" % number
                for piece in (change[:3], change[3:] + b".", b"\nOK", b" =Ok\n"):
                    writer.write(piece)
                    await asyncio.sleep(0.01)
                number += 1
        writer.close()

    def apply(changes: Changes) -> None:
        if "A.B" in changes.values:
            values.append(changes.values["A.B"])
            if len(values) == 4:
                done.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        async with AsyncioClient("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            running = asyncio.create_task(Poller(client, apply, {ChangeGroup.BITS: 0.01}).run())
            await asyncio.wait_for(done.wait(), 10)
            assert not running.done()
            running.cancel()
    assert values == ["0", "5", "10", "15"]


async def test_all_is_asked_for_more_seldom_while_nobody_is_there(panda: Server, polls: Polls) -> None:
    watched = False
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        loop = asyncio.get_running_loop()
        poller = Poller(client, lambda _: None, {ChangeGroup.CONFIG: 0.001}, is_watched=lambda: watched)
        running = asyncio.create_task(poller.run())
        await polls.until(1)
        before, began = polls.count, loop.time()
        await polls.until(5)
        assert polls.count - before <= 2 + 3 * (loop.time() - began) / UNWATCHED_BEAT  # busy at first: it has news
        watched = True
        async with asyncio.timeout(20):
            sent = 0
            while sent <= 2 * 3 * 0.2 / UNWATCHED_BEAT:
                before = polls.count
                await asyncio.sleep(0.2)
                sent = polls.count - before
        running.cancel()


@pytest.mark.parametrize("over", ["CA", "PVA"])
async def test_an_ioc_asks_more_often_while_a_client_is_there(
    panda: Server, ca_ports: Iterator[int], over: str
) -> None:
    port = free_port()
    async with running_ioc(panda.control_port, f"TEST-WATCHED-{over}", ca_ports, "--http-port", str(port)) as ioc:
        pv, periods = ioc.pv("IOC:POLL_PERIOD"), asyncio.Queue[float]()

        async def told(value: Any) -> None:
            periods.put_nowait(float(value))

        await _until_period(port, lambda seconds: seconds > UNWATCHED_BEAT * 0.9)
        monitor = camonitor(pv, told) if over == "CA" else ioc.pva.monitor(pv, told)
        async with asyncio.timeout(20):
            while await periods.get() > UNWATCHED_BEAT * 0.6e3:
                pass
        monitor.close()
        if over == "PVA":
            ioc.pva.disconnect()
            await _until_period(port, lambda seconds: seconds > UNWATCHED_BEAT * 0.9)


async def _until_period(port: int, holds: Callable[[float], bool]) -> None:
    """Wait for a poll period, which is read from the metrics because EPICS clients would change it."""
    async with asyncio.timeout(20):
        while True:
            _, text = await get(port, "/metrics")
            (seconds,) = re.findall(r"^panda_ioc_poll_period_seconds (\S+)$", text, re.MULTILINE)
            if holds(float(seconds)):
                return
            await asyncio.sleep(0.2)
