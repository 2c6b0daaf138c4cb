"""Puts over Channel Access: who makes each, and to which field.

EPICS tells that a put begins in the thread that then processes the record, unless a put before it is still under way:
then the record is processed later, in a thread of EPICS' own. It also processes a record that is given a new limit,
which is no put of its value.
"""

import threading
from collections import deque
from dataclasses import dataclass

#: Fields of a record by which its value is put.
_VALUE = {"", "VAL", "PROC"}

#: Makers of puts to one record that may be waiting.
_MOST = 8


def is_value(field: str) -> bool:
    """Whether a put to a field, "" if none is named, is one of the record's value."""
    return field.rstrip("$") in _VALUE


@dataclass(frozen=True)
class _Put:
    pv: str
    field: str
    maker: str


class Puts:
    """What is known of the puts under way. It may be used in any thread."""

    def __init__(self) -> None:
        self._by_thread: dict[int, _Put] = {}
        self._waiting: dict[str, deque[str]] = {}

    def begins(self, pv: str, field: str, maker: str) -> None:
        """A put begins, in this thread."""
        self._by_thread[threading.get_ident()] = _Put(pv, field, maker)
        if is_value(field):
            self._waiting.setdefault(pv, deque(maxlen=_MOST)).append(maker)

    def maker(self, pv: str) -> str | None:
        """Who makes the put for which a record is processed in this thread; None if it is no put of its value.

        Where that cannot be told, as several wait for the one under way, all of them: "alice@a or bob@b".
        """
        put = self._by_thread.get(threading.get_ident())
        if put is None:
            return " or ".join(sorted(set(self._waiting.get(pv, ()))))
        if put.pv != pv:  # by a link from what was put
            return put.maker
        if not is_value(put.field):
            return None
        self._waiting.pop(pv, None)  # those that waited are done
        return put.maker
