"""Polls of the PandA.

After a setting has changed, settings are polled three times as often for a while: further changes then appear within
0.01 s.

After a put, the IOC polls all groups immediately, so the put completes with valid readbacks. The PandA replies in
order, so this poll is sent together with the put; puts that are sent together share one poll.

While nothing changes, the client repeats polls (see `AsyncioClient.repeat`), which costs a fraction of the CPU.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from operator import itemgetter

from ...client import AsyncioClient, PandaConnectionError, Repetition
from ...protocol import ChangeGroup, Changes, Expected, PandaError, Poll, Polled
from .timetable import PERIODS, Timetable
from .unchanged import UnchangedReplies

log = logging.getLogger(__name__)

#: Time in s after a change of a setting in which settings are polled more often; by this factor.
BUSY_FOR = 10.0
BUSY_POLLS = 3

#: Minimum poll period without clients, in s.
UNWATCHED_BEAT = 0.1

#: Period of the check for clients, in s; and maximum duration of a repetition, after which a poll is measured.
WATCH_PERIOD = 2.0

#: Timeout of a poll in s, after which the PandA counts as lost.
TIMEOUT = 2.0


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
        self._fields = fields
        self._timetable = Timetable(periods, fields)
        self._unchanged = UnchangedReplies()
        #: The beat in the timetable, the part of the beat, and the time until which settings are polled more often.
        self._number, self._part, self._busy_until = 0, 0, 0.0
        self._beat = self._timetable.beat
        #: The last poll, its expected reply, and the time when it began; None after its reply.
        self._poll: Poll | None = None
        self._expected: Expected[Polled] | None = None
        self._began: float | None = None
        #: The last polls to repeat, while the client repeats them; and whether the last poll was one of them.
        self._exchanges: list[tuple[Poll, Expected[Polled]]] = []
        self._repetition: Repetition | None = None
        self._repeated = False
        #: Time of the last poll of all groups.
        self._asked_everything = -math.inf
        #: The refresh that waits for the pending poll of all groups, and the one that waits for the next.
        self._asked: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None
        #: Done when polling ends; the result is the reason.
        self._over: asyncio.Future[str] = self._loop.create_future()
        #: Number of polls and the time of the last one; the same at the last `take_statistics`; duration of the last
        #: poll that was not repeated.
        self._count, self._at = 0, self._loop.time()
        self._last_count, self._last_at = self._count, self._at
        self._duration = 0.0
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
        if self._began is not None:
            self._client.collect()
        else:
            self._ask_everything()
        return waiting

    def take_statistics(self) -> tuple[float, float]:
        """Return the mean period of polls since the last call, the duration of a recent one, in s; 0 without polls."""
        count, at = self._count, self._at
        if self._repetition is not None:
            count, at = count + self._repetition.sent, self._repetition.sent_at
        number, elapsed = count - self._last_count, at - self._last_at
        self._last_count, self._last_at = count, at
        return (elapsed / number, self._duration) if number else (0.0, 0.0)

    def _on_beat(self) -> None:
        self._client.collect()  # the last reply of a repetition
        now = self._loop.time()
        if self._began is not None:
            self._await(now)
            return
        if now >= self._check_at:
            self._check_at, self._watched = now + WATCH_PERIOD, self._is_watched()
        parts = BUSY_POLLS if self._timetable.settings and now < self._busy_until else 1
        self._beat = max(self._timetable.beat, 0.0 if self._watched else UNWATCHED_BEAT) / parts
        self._part = (self._part + 1) % parts
        self._set_timer(now + self._beat)
        if self._part and self._timetable.settings:
            if now - self._asked_everything >= self._beat:  # otherwise a put has just polled the settings
                self._ask(self._timetable.settings)
            return
        self._exchanges = self._next_unchanged() if parts == 1 and not self._repeated else []
        if self._exchanges:
            self._repeat()
        else:
            self._repeated = False
            self._ask(self._timetable.due(self._number))
            self._number += 1

    def _await(self, now: float) -> None:
        """Continue to wait for a reply, but not longer than TIMEOUT."""
        limit = (self._repetition.sent_at if self._repetition else self._began or now) + TIMEOUT
        if now >= limit:
            self._end(f"no reply to a poll within {TIMEOUT:g} s")
        else:
            self._set_timer(min(now + self._beat, limit))

    def _set_timer(self, when: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_beat)

    def _next_unchanged(self) -> list[tuple[Poll, Expected[Polled]]]:
        """Return the next polls as far as their replies are known, with these replies."""
        if self._unchanged.acquiring:
            return []  # the end of the acquisition makes the reply shorter, and must not wait for the next poll
        polls = map(self._timetable.due, range(self._number, self._number + int(WATCH_PERIOD / self._beat)))
        exchanges = ((poll, self._unchanged.expected(poll)) for poll in polls)
        return [(poll, expected) for poll, expected in takewhile(itemgetter(1), exchanges) if expected]

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

    def _repeat(self) -> None:
        """Send the next polls as long as they report nothing new."""
        self._repeated, self._began = True, self._loop.time()
        self._poll, self._expected = self._exchanges[0]
        try:
            self._repetition = self._client.repeat(self._exchanges, self._beat, self._answered)
        except PandaError as error:
            self._end(str(error))
            return
        if self._repetition is None:  # only the first was sent
            self._number += 1
        else:
            self._set_timer(self._began + self._beat * len(self._exchanges))

    def _answered(self, answer: Polled | PandaError) -> None:
        if self._over.done() or self._began is None:
            return
        if isinstance(answer, PandaError):
            self._end(str(answer))
            return
        self._count_answered(self._began)
        self._began = None
        if (self._expected is None or answer is not self._expected.response) and not self._take(answer):
            return
        if self._asked is not None:
            self._asked.set_result(None)
            self._asked = None
        if self._next is not None:
            self._ask_everything()

    def _count_answered(self, began: float) -> None:
        repetition, self._repetition = self._repetition, None
        if repetition is None:
            self._count, self._at, self._duration = self._count + 1, began, self._loop.time() - began
        else:
            self._count, self._at = self._count + repetition.sent, repetition.sent_at
            self._number += repetition.sent
            self._poll, self._expected = self._exchanges[repetition.sent - 1]
            self._set_timer(self._loop.time() + self._beat)

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
        self._timetable = Timetable(self._periods, self._fields)

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
