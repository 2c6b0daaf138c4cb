"""Logging: a level for puts, a formatter that prevents forged lines, and limits for repeated messages.

The level PUT is below INFO: accepted puts are logged only on request, with `--log-level put`.
"""

import logging
import time
from collections.abc import Callable

PUT = 15

logging.addLevelName(PUT, "PUT")

#: Seconds after which a warning that still applies is repeated.
_HOUR = 3600.0


class OneLineFormatter(logging.Formatter):
    """A formatter that escapes non-printable characters, so that text from outside cannot forge log lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in the base class
        """Format the message on one line; a traceback follows on separate lines."""
        record.message = escape_nonprintable(record.message)
        return super().formatMessage(record)


def escape_nonprintable(text: str) -> str:
    """Return text with non-printable characters, such as line breaks, as Python escape sequences."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


class Repeated:
    """A limit for a repeated message: logged when it first occurs, when it changes, and once an hour.

    Args:
        say: function that logs a line
        clock: function that returns the time in seconds
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._text = ""
        self._said = 0.0
        self._times = 0

    def tell(self, text: str) -> None:
        """Log a message, unless it is the same as the last one, less than an hour ago."""
        now = self._clock()
        self._times += 1
        if text != self._text:
            self._say(text)
        elif now - self._said >= _HOUR:
            self._say(f"{text} (repeated {self._times} times)")
        else:
            return
        self._times = self._times if text == self._text else 1
        self._text, self._said = text, now


class Bounded:
    """A rate limit for messages: repeated and excess messages of a period are dropped and counted.

    Args:
        say: function that logs a line
        lines: maximum number of different lines per period
        period: length of a period in seconds
        clock: function that returns the time in seconds
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
        """Log a line, or count it as dropped."""
        now = self._clock()
        if now - self._began >= self._period:
            if self._left_out:
                self._say(f"{self._left_out} repeated or excess lines were not logged")
            self._began, self._left_out = now, 0
            self._said.clear()
        if len(self._said) < self._lines and text not in self._said:
            self._said.add(text)
            self._say(text)
        else:
            self._left_out += 1


_of_clients = Bounded(logging.getLogger(__name__).warning, lines=50)


def warn_of_client(text: str) -> None:
    """Log a warning that a client caused. Excess lines are counted: any client may cause a thousand in a second."""
    _of_clients.tell(text)
