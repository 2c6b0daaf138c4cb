"""Puts to ACQUIRE, which arm PCAP and wait for the end, and the sample count of PCAP."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ....protocol import Arm, Disarm, GetLine, PandaError
from ...link.panda import OutcomeUnknownError, PandaLink
from ...log import Bounded
from ...plan.codecs import Refusal
from .receiver import Receiver

log = logging.getLogger(__name__)

#: Time limit for the end of an acquisition after disarming, in s.
_STOP_TIMEOUT = 10.0


class AcquireController:
    """Control of one acquisition at a time; several clients may wait for the same one.

    Args:
        link: the connection to the PandA
        receiver: reports the end of an acquisition
        show: called with 1 when an acquisition starts and with 0 when it ends
        flush: awaited at the end of an acquisition, to write all received samples to the file
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
        self._answered = asyncio.Event()  # set after the reply to Arm or its failure
        #: Whether PCAP was armed here, and its end was not received: it may still run after the data port was lost, or
        #: if the reply to Arm is missing.
        self._armed = False

    async def start(self) -> None:
        """Arm PCAP unless an acquisition is running; return when the acquisition has ended.

        Raises:
            Refusal, PandaError: the acquisition did not start, or ended with an error
        """
        if self._task is None:
            self._answered = asyncio.Event()
            self._task = asyncio.create_task(self._acquire(self._answered))
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Disarm PCAP if it was armed here; return when the acquisition has ended.

        What another client armed continues: a client that restores settings puts 0, too. A stop during a start waits
        until PCAP is armed.

        Raises:
            Refusal, PandaError: disarming failed, or the acquisition does not end
        """
        self._link.check_connected()
        task = self._task
        if task is not None:
            await self._answered.wait()
        if self._armed and self._task in {None, task}:  # no later acquisition
            await self._link.send(Disarm())
            if self._task is None:  # otherwise `_acquire` notes its end, which may have arrived before this reply
                self._armed = False
        if task is not None:
            _, waiting = await asyncio.wait((task,), timeout=_STOP_TIMEOUT)
            if waiting:
                raise Refusal(
                    f"PCAP was disarmed, but the data port did not end the acquisition within {_STOP_TIMEOUT:g} s"
                )

    def cancel(self) -> None:
        """Stop waiting for the acquisition."""
        if self._task is not None:
            self._task.cancel()

    async def _acquire(self, answered: asyncio.Event) -> None:
        try:
            if self._link.lost:
                raise Refusal(f"no connection to the PandA: {self._link.lost}")
            await self._receiver.wait_ready()
            ending = asyncio.ensure_future(self._receiver.wait_end())
            try:
                await self._arm()
                self._show(1)
                answered.set()
                end = await ending
            finally:
                ending.cancel()
            if end is None:
                raise Refusal("the data connection was lost during the acquisition")
            self._armed = False
            await self._flush()
            if end.problem:
                raise Refusal(end.problem)
        finally:
            self._task = None
            answered.set()
            self._show(0)

    async def _arm(self) -> None:
        try:
            await self._link.send(Arm())
        except OutcomeUnknownError:
            self._armed = True
            raise
        self._armed = True


def captured_samples(link: PandaLink) -> Callable[[], Awaitable[int | None]]:
    """Return a function that asks for the number of samples captured in the last acquisition; None if it is unknown."""
    warning = Bounded(log.warning, lines=4, period=60)  # a PandA may fail a thousand acquisitions in a second

    async def ask() -> int | None:
        try:
            return int(await link.ask(GetLine("*PCAP.CAPTURED")))
        except (PandaError, ValueError) as error:
            warning.tell(f"the number of missing samples is unknown, *PCAP.CAPTURED cannot be read: {error}")
            return None

    return ask
