"""What is asked of the PandA again and again, and how often.

Settings and attributes cost the PandA little and matter to people, so they are asked for often; what
blocks report has to be read from the FPGA, so less often. While people are at work, settings are asked for
three times as often: that shows a change within a hundredth of a second, and costs nothing at night.

After a put everything is asked for at once, so that the put completes with true readbacks. The PandA answers in
order, so this is sent together with the put; puts that are sent together share one such poll.

A field that cannot be read is reported once, in the first full answer, and one that fails later is not reported at
all. So what blocks report is also asked for field by field, one or a few with each poll of READ, all in turn.
"""

import asyncio
import itertools
import logging
import math
from collections.abc import Callable, Mapping, Sequence

from ...client import AsyncioClient, PandaConnectionError
from ...protocol import ChangeGroup, Changes, Expected, PandaError, Poll, Polled
from ...protocol.poll import SETTINGS
from .quiet import Quiet

log = logging.getLogger(__name__)

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

#: Seconds from poll to poll at least while no client is connected: nobody sees how soon a change is shown.
UNWATCHED_BEAT = 0.1

#: Seconds after which it is looked again whether any is.
LOOK_PERIOD = 0.4

#: Seconds from poll to poll at most, though nothing is due: so a PandA that falls silent is noticed.
LONGEST_BEAT = 1.0

#: Seconds in which each field that blocks report is asked for itself; longer where one with each poll is fewer.
ROUND = 30.0

#: Seconds that a poll may take: a PandA that needs longer is as good as gone.
TIMEOUT = 2.0


class Timetable:
    """What is due at each beat.

    Args:
        periods: seconds from one poll of a group to the next; the shortest is the beat, others are rounded
            to whole beats

    Attributes:
        beat: seconds
        everything: asks for all groups
        settings: asks for the settings alone; None if they are not among what is asked most often
    """

    def __init__(self, periods: Mapping[ChangeGroup, float]) -> None:
        self.beat = min([*periods.values(), LONGEST_BEAT])
        self.everything = Poll(tuple(periods))
        self._every = {group: max(1, round(period / self.beat)) for group, period in periods.items()}
        often = tuple(group for group in SETTINGS if self._every.get(group) == 1)
        self.settings = Poll(often) if often else None
        self._polls: dict[tuple[ChangeGroup, ...], Poll] = {}

    def due(self, number: int) -> Poll:
        """What to ask at a beat, counted from 0."""
        groups = tuple(group for group, beats in self._every.items() if number % beats == 0)
        return self._polls.setdefault(groups, Poll(groups))


class Poller:
    """Asks the PandA in turn. It is called back by the event loop, which costs half of what a task does.

    Args:
        client: connected
        apply: is given every answer
        periods: how often each group is asked for
        fields: what is asked for itself as well, in turn
        is_watched: whether anybody is there to see what changes; while nobody is, all is asked for more seldom
    """

    def __init__(
        self,
        client: AsyncioClient,
        apply: Callable[[Changes], None],
        periods: Mapping[ChangeGroup, float] = PERIODS,
        fields: Sequence[str] = (),
        is_watched: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._apply = apply
        #: Whether anybody is there, and when that is looked at again.
        self._is_watched = is_watched
        self._watched, self._look_at = True, 0.0
        self._loop = asyncio.get_running_loop()
        self._periods = dict(periods)
        self._timetable = Timetable(periods)
        #: Those that go with each poll of READ, in turn; and polls with them, as they are asked again and again.
        at_once = math.ceil(len(fields) * min(periods.get(ChangeGroup.READ, 0) / ROUND, 1))
        self._fields = itertools.cycle([tuple(fields[i : i + at_once]) for i in range(0, len(fields), at_once or 1)])
        self._polls: dict[tuple[tuple[ChangeGroup, ...], tuple[str, ...]], Poll] = {}
        self._quiet = Quiet()
        #: Where in the timetable we are, and in which part of a beat; until when people are taken to be busy.
        self._number, self._part, self._busy_until = 0, 0, 0.0
        #: The last poll, its likely answer, and when it began if it is still under way.
        self._poll: Poll | None = None
        self._expected: Expected[Polled] | None = None
        self._began: float | None = None
        #: When everything was asked for last.
        self._asked_everything = -math.inf
        #: Who waits for a poll of everything: the one that is under way, and the next one.
        self._asked: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None
        #: Done when polling is over; the result says why.
        self._over: asyncio.Future[str] = self._loop.create_future()
        #: Seconds that polls took, how many they were, and since when that is counted.
        self._spent, self._count, self._since = 0.0, 0, self._loop.time()
        self._timer: asyncio.Handle = self._loop.call_soon(self._on_beat)

    async def run(self) -> str:
        """Wait until the PandA is gone, or answers nonsense; return what happened."""
        lost = asyncio.create_task(self._client.wait_lost())
        try:
            await asyncio.wait((self._over, lost), return_when=asyncio.FIRST_COMPLETED)
            return self._over.result() if self._over.done() else lost.result()
        finally:
            self._end(lost.result() if lost.done() else "polling was stopped")
            lost.cancel()

    async def refresh(self) -> None:
        """Wait for the answer to a poll of everything that begins after this call.

        Raises:
            PandaConnectionError: the PandA did not answer
        """
        await asyncio.shield(self.begin_refresh())

    def begin_refresh(self) -> "asyncio.Future[None]":
        """Begin such a poll, now or when the one under way is answered; what is returned is to be shielded."""
        waiting = self._next or self._loop.create_future()
        if self._over.done():
            waiting.set_exception(PandaConnectionError("the PandA is gone"))
            waiting.exception()  # whoever waits is told; nobody need be
            return waiting
        self._next = waiting
        if self._began is None:
            self._ask_everything()
        return waiting

    def take_statistics(self) -> tuple[float, float]:
        """Mean seconds, since the last call, from poll to poll and that a poll took; 0 if there was none."""
        now = self._loop.time()
        count, spent, elapsed = self._count, self._spent, now - self._since
        self._spent, self._count, self._since = 0.0, 0, now
        return (elapsed / count, spent / count) if count else (0.0, 0.0)

    def _on_beat(self) -> None:
        now = self._loop.time()
        timetable = self._timetable
        parts = BUSY_POLLS if timetable.settings and now < self._busy_until else 1
        if now >= self._look_at:
            self._look_at, self._watched = now + LOOK_PERIOD, self._is_watched()
        beat = timetable.beat if self._watched else max(timetable.beat, UNWATCHED_BEAT)
        following = now + beat / parts
        if self._began is not None:
            limit = self._began + TIMEOUT
            if now >= limit:
                self._end(f"no answer to a poll within {TIMEOUT:g} s")
            else:
                self._timer = self._loop.call_at(min(following, limit), self._on_beat)
            return
        self._timer = self._loop.call_at(following, self._on_beat)
        self._part = (self._part + 1) % parts
        if self._part and timetable.settings:
            if now - self._asked_everything >= beat / parts:  # else a put has just had settings asked for
                self._ask(timetable.settings)
        else:
            self._ask(self._with_fields(timetable.due(self._number)))
            self._number += 1

    def _with_fields(self, poll: Poll) -> Poll:
        """A poll that asks for the fields, too, whose turn it is."""
        fields = next(self._fields, ()) if ChangeGroup.READ in poll.groups else ()
        if not fields:
            return poll
        key = poll.groups, fields
        if key not in self._polls:
            self._polls[key] = Poll(*key)
        return self._polls[key]

    def _ask_everything(self) -> None:
        self._asked, self._next = self._next, None
        self._asked_everything = self._loop.time()
        self._ask(self._timetable.everything)

    def _ask(self, poll: Poll) -> None:
        self._began = self._loop.time()
        self._poll, self._expected = poll, self._quiet.expected(poll)
        try:
            self._client.submit(poll, self._answered, expected=self._expected)
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
        if (self._expected is None or answer is not self._expected.response) and not self._take(answer):
            return
        if self._asked is not None:
            self._asked.set_result(None)
            self._asked = None
        if self._next is not None:
            self._ask_everything()

    def _take(self, answer: Polled) -> bool:
        """Take an answer that may say something new; return whether polling goes on."""
        if self._poll is not None:
            self._quiet.learn(self._poll, answer)
        if answer.settings:
            self._busy_until = self._loop.time() + BUSY_FOR
        if answer.refused:
            self._leave_out(answer.refused)
        try:
            self._apply(answer.changes)
        except Exception as bug:  # noqa: BLE001 - it is raised again by run()
            self._over.set_exception(bug)
            self._end("")
            return False
        return True

    def _leave_out(self, refused: Mapping[ChangeGroup, str]) -> None:
        for group, said in refused.items():
            log.warning("the PandA does not tell changes of %s, so they are not shown: it says %r", group.name, said)
            self._periods.pop(group, None)
        self._timetable = Timetable(self._periods)

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
