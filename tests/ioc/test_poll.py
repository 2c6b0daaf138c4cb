"""Polling the simulated PandA."""

import asyncio
from collections.abc import Mapping

import pytest

from panda_ioc.client import AsyncioClient, PandaConnectionError
from panda_ioc.ioc.link.poll import PERIODS, Poller, Timetable
from panda_ioc.protocol import COMPLETION, ChangeGroup, Changes, ForgetChanges, Poll, Put
from panda_ioc.simulator import Server

from ..conftest import Hostile


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
        assert await asyncio.wait_for(Poller(client, lambda _: None).run(), 3) == "no answer to a poll within 2 s"


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
