"""ACQUIRE: arms, and waits until the acquisition has ended and can be read. And what PCAP says of an acquisition."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ....protocol import Arm, Disarm, GetLine, PandaError
from ...link.panda import PandaLink
from ...plan.codecs import Refusal
from .receiver import Receiver

log = logging.getLogger(__name__)

#: Seconds that the end of an acquisition may take after it was disarmed.
_STOP_TIMEOUT = 10.0


class Acquiring:
    """One acquisition at a time, for all who ask.

    Args:
        link: the PandA
        receiver: tells when it ends
        show: shows whether one is under way, as 1 or 0
        flush: is awaited at its end: all that came can be read then
    """

    def __init__(
        self,
        link: PandaLink,
        receiver: Receiver,
        show: Callable[[int], None],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._link = link
        self._receiver = receiver
        self._show = show
        self._flush = flush
        self._task: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()  # the PandA has answered to what arms it, or will not

    async def start(self) -> None:
        """Arm, unless that was done already; return when the acquisition has ended.

        Raises:
            Refusal, PandaError: it did not begin, or did not end well
        """
        if self._task is None:
            self._answered = asyncio.Event()
            self._task = asyncio.create_task(self._acquire(self._answered))
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Disarm, if an acquisition is under way, once it is armed; return when it has ended.

        Raises:
            Refusal, PandaError: it does not end
        """
        task = self._task
        if task is not None and not self._link.lost:
            await self._answered.wait()
            if self._task is task:  # and not ended, or another one that somebody has started
                await self._link.send(Disarm())
            _, waiting = await asyncio.wait((task,), timeout=_STOP_TIMEOUT)
            if waiting:
                raise Refusal(
                    f"PCAP was disarmed, and the data port has not ended the acquisition within {_STOP_TIMEOUT:g} s"
                )
        if self._task in {None, task}:
            self._show(0)

    def cancel(self) -> None:
        """Wait for nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _acquire(self, answered: asyncio.Event) -> None:
        try:
            if self._link.lost:
                raise Refusal("there is no connection to the PandA")
            await self._receiver.wait_ready()
            ending = asyncio.ensure_future(self._receiver.wait_end())
            try:
                await self._link.send(Arm())
                self._show(1)
                answered.set()
                end = await ending
            finally:
                ending.cancel()
            if end is None:
                raise Refusal("the data connection was lost")
            await self._flush()
            if end.problem:
                raise Refusal(end.problem)
        finally:
            self._task = None
            answered.set()
            self._show(0)


async def captured_samples(link: PandaLink) -> int | None:
    """Ask how many samples the PandA captured of its acquisition; None if it does not say."""
    try:
        return int(await link.ask(GetLine("*PCAP.CAPTURED")))
    except (PandaError, ValueError) as error:
        log.warning("it is not known how many samples are missing: %s", error)
        return None
