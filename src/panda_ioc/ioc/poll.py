"""What is asked of the PandA again and again, and how often.

Settings and attributes cost the PandA little and matter to people, so they are asked for often; what
blocks report has to be read from the FPGA, so less often. While people are at work, settings are asked for
three times as often: that shows a change within a hundredth of a second, and costs nothing at night.

After a put everything is asked for at once, so that the put completes with true readbacks; puts that end
together share one such poll.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..client import AsyncioClient, PandaConnectionError
from ..protocol import ChangeGroup, Changes, Command, CommandError, PandaError, Request
from ..protocol.changes import parse_changes
from ..protocol.exchange import Conversation
from .status import COMPLETION

#: Seconds from one poll of a group to the next.
PERIODS: Mapping[ChangeGroup, float] = {
    ChangeGroup.CONFIG: 0.04,
    ChangeGroup.ATTR: 0.04,
    ChangeGroup.BITS: 0.12,
    ChangeGroup.POSN: 0.12,
    ChangeGroup.READ: 0.24,
    ChangeGroup.TABLE: 0.24,
    ChangeGroup.METADATA: 0.48,
}

#: For so many seconds after a setting changed or was put, settings are asked for so many times as often.
BUSY_FOR = 10.0
BUSY_POLLS = 3

_SETTINGS = (ChangeGroup.CONFIG, ChangeGroup.ATTR)

#: Beats after which the timetable starts again, at the latest.
_LONGEST_ROUND = 1000

#: Seconds that a poll may take: a PandA that needs longer is as good as gone.
TIMEOUT = 2.0


@dataclass(frozen=True)
class Polled:
    """The answer to a poll: what changed, and whether people changed any of it."""

    changes: Changes
    settings: bool


@dataclass(frozen=True)
class Poll(Command[Polled]):
    """Ask for the changes of some groups in one round trip; with those of bits, why the last acquisition ended."""

    groups: tuple[ChangeGroup, ...]

    @cached_property
    def _requests(self) -> list[Request]:
        requests = [Request(f"*CHANGES{group.value}?") for group in self.groups]
        with_bits = not {ChangeGroup.BITS, ChangeGroup.ALL}.isdisjoint(self.groups)
        return [*requests, Request(f"{COMPLETION}?")] if with_bits else requests

    def conversation(self) -> Conversation[Polled]:
        replies = yield self._requests
        answers = [reply.multiline() for reply in replies[: len(self.groups)]]
        changes = parse_changes([line for answer in answers for line in answer])
        settings = any(answer for group, answer in zip(self.groups, answers, strict=True) if group in _SETTINGS)
        for reply in replies[len(self.groups) :]:
            with contextlib.suppress(CommandError):  # an old server does not know it: then nothing follows it
                changes.values[COMPLETION] = reply.line()
        return Polled(changes, settings)


def timetable(periods: Mapping[ChangeGroup, float]) -> tuple[float, list[Poll]]:
    """Plan the polls of a round.

    Args:
        periods: seconds from one poll of a group to the next; the shortest is the beat, others are rounded
            to whole beats

    Returns:
        seconds of a beat, and what to ask at each beat of a round
    """
    beat = min(periods.values())
    every = {group: max(1, round(period / beat)) for group, period in periods.items()}
    length = min(math.lcm(*every.values()), _LONGEST_ROUND)
    return beat, [
        Poll(tuple(group for group, beats in every.items() if number % beats == 0)) for number in range(length)
    ]


class Poller:
    """Asks the PandA in turn. It is called back by the event loop, which costs half of what a task does.

    Args:
        client: connected
        apply: is given every answer
        periods: how often each group is asked for
    """

    def __init__(
        self, client: AsyncioClient, apply: Callable[[Changes], None], periods: Mapping[ChangeGroup, float] = PERIODS
    ) -> None:
        self._client = client
        self._apply = apply
        self._loop = asyncio.get_running_loop()
        self._beat, self._timetable = timetable(periods)
        self._everything = Poll(tuple(periods))
        self._settings = Poll(_SETTINGS)
        #: Where in the timetable we are, and in which part of a beat; until when people are taken to be busy.
        self._number, self._part, self._busy_until = 0, 0, 0.0
        #: When the poll under way began; None if there is none.
        self._began: float | None = None
        #: Who waits for a poll of everything: the one that is under way, and the next one.
        self._asked: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None
        #: Done when polling is over; the result says why.
        self._over: asyncio.Future[str] = self._loop.create_future()
        #: Seconds that polls took, and how many they were.
        self._spent, self._count = 0.0, 0
        self._timer: asyncio.Handle = self._loop.call_soon(self._on_beat)

    async def run(self) -> str:
        """Wait until the PandA is gone, or answers nonsense; return what happened."""
        try:
            return await asyncio.shield(self._over)
        finally:
            self._end("polling was stopped")

    async def refresh(self) -> None:
        """Wait for the answer to a poll of everything that begins after this call.

        Raises:
            PandaConnectionError: the PandA did not answer
        """
        if self._over.done():
            raise PandaConnectionError("the PandA is gone")
        if self._next is None:
            self._next = self._loop.create_future()
        waiting = self._next
        if self._began is None:
            self._ask_everything()
        await asyncio.shield(waiting)

    def take_duration(self) -> float:
        """The mean duration in seconds of the polls since the last call; 0 if there was none."""
        mean = self._spent / self._count if self._count else 0.0
        self._spent, self._count = 0.0, 0
        return mean

    def _on_beat(self) -> None:
        now = self._loop.time()
        parts = BUSY_POLLS if now < self._busy_until else 1
        self._timer = self._loop.call_at(now + self._beat / parts, self._on_beat)
        if self._began is None:
            self._part = (self._part + 1) % parts
            if self._part:
                self._ask(self._settings)
            else:
                self._ask(self._timetable[self._number])
                self._number = (self._number + 1) % len(self._timetable)
        elif now - self._began > TIMEOUT:
            self._end(f"no answer to a poll within {TIMEOUT:g} s")

    def _ask_everything(self) -> None:
        self._asked, self._next = self._next, None
        self._ask(self._everything)

    def _ask(self, poll: Poll) -> None:
        self._began = self._loop.time()
        try:
            self._client.submit(poll, self._answered)
        except PandaError as error:
            self._end(str(error))

    def _answered(self, answer: Polled | PandaError) -> None:
        if self._over.done() or self._began is None:
            return
        if isinstance(answer, PandaError):
            self._end(str(answer))
            return
        now = self._loop.time()
        self._spent += now - self._began
        self._count += 1
        self._began = None
        if answer.settings:
            self._busy_until = now + BUSY_FOR
        try:
            self._apply(answer.changes)
        except Exception as bug:  # noqa: BLE001 - it is raised again by run()
            self._over.set_exception(bug)
            self._end("")
            return
        if self._asked is not None:
            self._asked.set_result(None)
            self._asked = None
        if self._next is not None:
            self._ask_everything()

    def _end(self, reason: str) -> None:
        """Stop polling; whoever waits for a poll is told why."""
        self._timer.cancel()
        if not self._over.done():
            self._over.set_result(reason)
        for future in (self._asked, self._next):
            if future is not None and not future.done():
                future.set_exception(PandaConnectionError(reason))
                future.exception()  # whoever waits is told; nobody need be
        self._asked = self._next = None
