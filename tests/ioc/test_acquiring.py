"""ACQUIRE disarms what it armed, and nothing else: replies and ends that arrive in an unusual order."""

import asyncio
from typing import Any, cast

import pytest

from panda_ioc.ioc.link.panda import OutcomeUnknownError, PandaLink
from panda_ioc.ioc.services.data.acquiring import AcquireController
from panda_ioc.ioc.services.data.receiver import Receiver
from panda_ioc.protocol import Arm, Disarm


class Panda:
    """A link and a receiver whose replies and ends are events."""

    lost = ""
    problem = ""  # of an end

    def __init__(self) -> None:
        self.sent: list[type] = []
        self.replied, self.ended, self.flushed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.arm_error: Exception | None = None
        link, receiver = cast("PandaLink", self), cast("Receiver", self)
        self.control = AcquireController(link, receiver, lambda _: None, self.flush)

    def check_connected(self) -> None:
        pass

    async def send(self, command: Any) -> None:
        self.sent.append(type(command))
        if isinstance(command, Disarm):
            await self.replied.wait()
        elif self.arm_error is not None:
            raise self.arm_error

    async def wait_ready(self) -> None:
        pass

    async def flush(self) -> None:
        await self.flushed.wait()

    async def wait_end(self) -> "Panda":
        await self.ended.wait()
        return self


async def test_an_end_that_arrives_before_the_reply_to_disarm() -> None:
    panda = Panda()
    starting = asyncio.create_task(panda.control.start())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(panda.control.stop())
    for _ in range(5):
        await asyncio.sleep(0)
    assert panda.sent == [Arm, Disarm]
    for event in (panda.ended, panda.replied, panda.flushed):
        event.set()
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.gather(starting, stopping)
    await panda.control.stop()
    assert panda.sent == [Arm, Disarm]  # the acquisition has ended: another client's may run


async def test_what_may_be_armed_can_be_stopped() -> None:
    panda = Panda()
    panda.arm_error = OutcomeUnknownError("no reply")
    with pytest.raises(OutcomeUnknownError):
        await panda.control.start()
    panda.replied.set()
    await panda.control.stop()
    assert panda.sent == [Arm, Disarm]
