"""Polls of the PandA and their periods.

Settings and attributes cost the PandA little and matter to operators, so their poll period is short. Readings come from
the FPGA, so their period is longer. After a setting has changed, settings are polled three times as often for a while:
further changes then appear within 0.01 s.

After a put, the IOC polls all groups immediately, so the put completes with valid readbacks. The PandA replies in
order, so this poll is sent together with the put; puts that are sent together share one poll.

The PandA reports a field that it cannot read once, in the first complete reply; it does not report a field that fails
later. Therefore the IOC also queries the readings field by field, one or a few with each poll of READ, in turn.
"""

import asyncio
import itertools
import logging
import math
from collections.abc import Callable, Mapping, Sequence

from ...client import AsyncioClient, PandaConnectionError
from ...protocol import ChangeGroup, Changes, Expected, PandaError, Poll, Polled
from ...protocol.poll import SETTINGS
from .unchanged import UnchangedReplies

log = logging.getLogger(__name__)

#: Default poll periods in s.
PERIODS: Mapping[ChangeGroup, float] = {
    ChangeGroup.CONFIG: 0.04,
    ChangeGroup.ATTR: 0.04,
    ChangeGroup.BITS: 0.12,
    ChangeGroup.POSN: 0.12,
    ChangeGroup.READ: 0.24,
    ChangeGroup.TABLE: 0.24,
    ChangeGroup.METADATA: 0.48,
}

#: Time in s after a change of a setting in which settings are polled more often; by this factor.
BUSY_FOR = 10.0
BUSY_POLLS = 3

#: Minimum poll period without clients, in s.
UNWATCHED_BEAT = 0.1

#: Period of the check for clients, in s.
WATCH_PERIOD = 0.4

#: Maximum poll period in s, so that a silent PandA is detected.
MAX_BEAT = 1.0

#: Time in s in which each reading is queried once; longer if this needs less than one query per poll.
FIELDS_PERIOD = 30.0

#: Timeout of a poll in s, after which the PandA counts as lost.
TIMEOUT = 2.0


class Timetable:
    """A timetable of polls.

    Args:
        periods: poll period of each group in s; the shortest is the beat, others are rounded to multiples of it

    Attributes:
        beat: period of the timetable in s
        everything: a poll of all groups
        settings: a poll of the settings; None if their period is longer than the beat
    """

    def __init__(self, periods: Mapping[ChangeGroup, float]) -> None:
        self.beat = min([*periods.values(), MAX_BEAT])
        self.everything = Poll(tuple(periods))
        self._every = {group: max(1, round(period / self.beat)) for group, period in periods.items()}
        often = tuple(group for group in SETTINGS if self._every.get(group) == 1)
        self.settings = Poll(often) if often else None
        self._polls: dict[tuple[ChangeGroup, ...], Poll] = {}

    def due(self, number: int) -> Poll:
        """Return the poll for a beat, counted from 0."""
        groups = tuple(group for group, beats in self._every.items() if number % beats == 0)
        return self._polls.setdefault(groups, Poll(groups))


class Poller:
    """A poller of the PandA, driven by callbacks of the event loop, which cost half as much as a task.

    Args:
        client: a connected client
        apply: called with the changes of each reply
        periods: poll period of each group in s
        fields: the readings to query one by one
        is_watched: returns whether any client is connected; otherwise the poll period is at least UNWATCHED_BEAT
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
        #: Whether any client is connected, and the time of the next check.
        self._is_watched = is_watched
        self._watched, self._check_at = True, 0.0
        self._loop = asyncio.get_running_loop()
        self._periods = dict(periods)
        self._timetable = Timetable(periods)
        #: The fields for each poll of READ, in turn; and the polls with them, which are reused.
        number = math.ceil(len(fields) * min(periods.get(ChangeGroup.READ, 0) / FIELDS_PERIOD, 1))
        self._fields = itertools.cycle([tuple(fields[i : i + number]) for i in range(0, len(fields), number or 1)])
        self._polls: dict[tuple[tuple[ChangeGroup, ...], tuple[str, ...]], Poll] = {}
        self._unchanged = UnchangedReplies()
        #: The beat in the timetable, the part of the beat, and the time until which settings are polled more often.
        self._number, self._part, self._busy_until = 0, 0, 0.0
        #: The last poll, its expected reply, and the time when it began; None after its reply.
        self._poll: Poll | None = None
        self._expected: Expected[Polled] | None = None
        self._began: float | None = None
        #: Time of the last poll of all groups.
        self._asked_everything = -math.inf
        #: The refresh that waits for the pending poll of all groups, and the one that waits for the next.
        self._asked: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None
        #: Done when polling ends; the result is the reason.
        self._over: asyncio.Future[str] = self._loop.create_future()
        #: Total duration and number of polls, and the time from which they are counted.
        self._spent, self._count, self._since = 0.0, 0, self._loop.time()
        self._timer: asyncio.Handle = self._loop.call_soon(self._on_beat)

    async def run(self) -> str:
        """Poll until the PandA is lost or sends an invalid reply; return the reason."""
        lost = asyncio.create_task(self._client.wait_lost())
        try:
            await asyncio.wait((self._over, lost), return_when=asyncio.FIRST_COMPLETED)
            return self._over.result() if self._over.done() else lost.result()
        finally:
            self._end(lost.result() if lost.done() else "polling stopped")
            lost.cancel()

    async def refresh(self) -> None:
        """Wait for a poll of all groups that begins after this call.

        Raises:
            PandaConnectionError: the PandA is lost or silent
        """
        await asyncio.shield(self.begin_refresh())

    def begin_refresh(self) -> "asyncio.Future[None]":
        """Begin such a poll, now or after the pending one; await the returned future with `asyncio.shield`."""
        waiting = self._next or self._loop.create_future()
        if self._over.done():
            waiting.set_exception(PandaConnectionError("no connection to the PandA"))
            waiting.exception()  # marked as retrieved: there may be no waiter
            return waiting
        self._next = waiting
        if self._began is None:
            self._ask_everything()
        return waiting

    def take_statistics(self) -> tuple[float, float]:
        """Return mean period and mean duration of the polls since the last call in s; 0 without polls."""
        now = self._loop.time()
        count, spent, elapsed = self._count, self._spent, now - self._since
        self._spent, self._count, self._since = 0.0, 0, now
        return (elapsed / count, spent / count) if count else (0.0, 0.0)

    def _on_beat(self) -> None:
        now = self._loop.time()
        timetable = self._timetable
        parts = BUSY_POLLS if timetable.settings and now < self._busy_until else 1
        if now >= self._check_at:
            self._check_at, self._watched = now + WATCH_PERIOD, self._is_watched()
        beat = timetable.beat if self._watched else max(timetable.beat, UNWATCHED_BEAT)
        following = now + beat / parts
        if self._began is not None:
            limit = self._began + TIMEOUT
            if now >= limit:
                self._end(f"no reply to a poll within {TIMEOUT:g} s")
            else:
                self._timer = self._loop.call_at(min(following, limit), self._on_beat)
            return
        self._timer = self._loop.call_at(following, self._on_beat)
        self._part = (self._part + 1) % parts
        if self._part and timetable.settings:
            if now - self._asked_everything >= beat / parts:  # otherwise a put has just polled the settings
                self._ask(timetable.settings)
        else:
            self._ask(self._with_fields(timetable.due(self._number)))
            self._number += 1

    def _with_fields(self, poll: Poll) -> Poll:
        """Return a poll that also queries the next fields, if it polls READ."""
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
        self._poll, self._expected = poll, self._unchanged.expected(poll)
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
        """Process a reply that may report changes; return whether polling continues."""
        if self._poll is not None:
            self._unchanged.learn(self._poll, answer)
        if answer.settings:
            self._busy_until = self._loop.time() + BUSY_FOR
        if answer.refused:
            self._stop_polling(answer.refused)
        try:
            self._apply(answer.changes)
        except Exception as bug:  # noqa: BLE001 - run() raises it
            self._over.set_exception(bug)
            self._end("")
            return False
        return True

    def _stop_polling(self, refused: Mapping[ChangeGroup, str]) -> None:
        for group, reason in refused.items():
            log.warning(
                "the PandA refuses to report changes of %s, so the IOC does not show them: %r", group.name, reason
            )
            self._periods.pop(group, None)
        self._timetable = Timetable(self._periods)

    def _end(self, reason: str) -> None:
        """Stop polling; pending refreshes fail with the reason."""
        self._timer.cancel()
        if not self._over.done():
            self._over.set_result(reason)
        for future in (self._asked, self._next):
            if future is not None and not future.done():
                future.set_exception(PandaConnectionError(reason))
                future.exception()  # marked as retrieved: there may be no waiter
        self._asked = self._next = None
