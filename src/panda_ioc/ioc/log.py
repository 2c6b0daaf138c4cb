"""The log: a level for puts, lines that cannot be forged, and how what goes wrong again and again is told.

The level is below INFO, so that a beamline that wants to know who set what can say so.
"""

import logging
import time
from collections.abc import Callable

PUT = 15

logging.addLevelName(PUT, "PUT")

#: Seconds after which a warning that is still true is told again.
_HOUR = 3600.0


class OneLine(logging.Formatter):
    """Shows what is no letter in a message by its code, so that no name that somebody chose makes a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as its base calls it
        """Format the message; a traceback follows in lines of its own."""
        record.message = visible(record.message)
        return super().formatMessage(record)


def visible(text: str) -> str:
    """A text with all that is not to be seen, such as the end of a line, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


class Repeated:
    """Says what goes wrong again and again: when it begins, when it becomes something else, and once an hour.

    Args:
        say: takes a line for the log
        clock: gives seconds
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._text = ""
        self._said = 0.0
        self._times = 0

    def tell(self, text: str) -> None:
        """It went wrong once more."""
        now = self._clock()
        self._times += 1
        if text != self._text:
            self._say(text)
        elif now - self._said >= _HOUR:
            self._say(f"{text} (still so, {self._times} times by now)")
        else:
            return
        self._times = self._times if text == self._text else 1
        self._text, self._said = text, now


class Bounded:
    """Says so many different lines in some time, and then how many were left out.

    Args:
        say: takes a line for the log
        lines, period: how many, in how many seconds
        clock: gives seconds
    """

    def __init__(
        self,
        say: Callable[[str], None],
        lines: int = 20,
        period: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._lines, self._period, self._clock = lines, period, clock
        self._began, self._left_out = clock(), 0
        self._said: set[str] = set()

    def tell(self, text: str) -> None:
        """Say a line, unless it was said in this time, or there were too many."""
        now = self._clock()
        if now - self._began >= self._period:
            if self._left_out:
                self._say(f"{self._left_out} lines like the last ones were left out")
            self._began, self._left_out = now, 0
            self._said.clear()
        if len(self._said) < self._lines and text not in self._said:
            self._said.add(text)
            self._say(text)
        else:
            self._left_out += 1
