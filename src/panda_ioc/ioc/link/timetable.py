"""What to poll when.

Settings and attributes cost the PandA little and matter to operators, so their poll period is short. Readings come from
the FPGA, so their period is longer.

The PandA reports a field that it cannot read once, in the first complete reply; it does not report a field that fails
later. Therefore the IOC also queries the readings field by field, one or a few with each poll of READ, in turn.
"""

import math
from collections.abc import Mapping, Sequence

from ...protocol import ChangeGroup, Poll
from ...protocol.poll import SETTINGS

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

#: Maximum poll period in s, so that a silent PandA is detected.
MAX_BEAT = 1.0

#: Time in s in which each reading is queried once; longer if this needs less than one query per poll.
FIELDS_PERIOD = 30.0


class Timetable:
    """A timetable of polls.

    Args:
        periods: poll period of each group in s; the shortest is the beat, others are rounded to multiples of it
        fields: readings to query one by one, with the polls of READ

    Attributes:
        beat: period of the timetable in s
        everything: a poll of all groups
        settings: a poll of the settings; None if their period is longer than the beat
    """

    def __init__(self, periods: Mapping[ChangeGroup, float], fields: Sequence[str] = ()) -> None:
        self.beat = min([*periods.values(), MAX_BEAT])
        self.everything = Poll(tuple(periods))
        self._every = {group: max(1, round(period / self.beat)) for group, period in periods.items()}
        often = tuple(group for group in SETTINGS if self._every.get(group) == 1)
        self.settings = Poll(often) if often else None
        #: The fields for each poll of READ, in turn.
        number = math.ceil(len(fields) * min(periods.get(ChangeGroup.READ, 0) / FIELDS_PERIOD, 1))
        self._fields = [tuple(fields[i : i + number]) for i in range(0, len(fields), number or 1)] if number else [()]
        #: The multiples of the beat; and the poll for each combination of them that is due and each turn of the fields.
        self._multiples = sorted({*self._every.values()})
        self._polls: dict[tuple[tuple[bool, ...], int], Poll] = {}

    def due(self, number: int) -> Poll:
        """Return the poll for a beat, counted from 0; polls of the same content are the same object."""
        due = tuple([number % beats == 0 for beats in self._multiples])
        turn, rest = divmod(number, self._every.get(ChangeGroup.READ, math.inf))
        key = due, 0 if rest else int(turn) % len(self._fields)
        if key not in self._polls:
            groups = tuple(group for group, beats in self._every.items() if number % beats == 0)
            self._polls[key] = Poll(groups, self._fields[key[1]] if ChangeGroup.READ in groups else ())
        return self._polls[key]
