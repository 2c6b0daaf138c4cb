"""Which records an archiver is advised to keep, and how: the value of `info(archive, ...)` in the database.

ChannelFinder's processor for the archiver appliance reads `METHOD@SECONDS`, which recsync brings there: `monitor` keeps
each change, `scan` one value in so many seconds.
"""

from .codecs import FloatCodec, ScaledCodec
from .record import Access, Kind, Record
from .status import CONNECTION, PUTS_REFUSED, RECONNECTS

#: What people set, and what says how the PandA and the IOC are: seldom changes, and each change matters.
_EACH_CHANGE = "monitor@1"

#: Positions, and how a capture goes: may change with every poll.
_EACH_SECOND = "scan@1"

#: Temperatures, voltages: change all the time, and slowly.
_SLOWLY = "scan@10"

_BY_NAME = {
    CONNECTION: _EACH_CHANGE,
    RECONNECTS: _EACH_CHANGE,
    PUTS_REFUSED: _EACH_CHANGE,
    "DATA:CAPTURE": _EACH_CHANGE,
    "DATA:WRITE_STATUS": _EACH_CHANGE,
    "DATA:END_REASON": _EACH_CHANGE,
    "DATA:DROPPED": _EACH_CHANGE,
    "DATA:NUM_CAPTURED": _EACH_SECOND,
    "DATA:BYTE_RATE": _EACH_SECOND,
}


def archive_hint(record: Record) -> str:
    """How a record is to be archived; "" for not at all."""
    if hint := _BY_NAME.get(record.name):
        return hint
    if record.service or record.kind.is_array or record.kind.is_long_text:
        return ""
    if record.target and record.sources:
        return _EACH_CHANGE if record.access is Access.READ_WRITE else ""
    if record.healthy or (record.block == "SYSTEM" and record.constant):
        return _EACH_CHANGE
    if isinstance(record.codec, ScaledCodec):
        return _EACH_SECOND
    return _SLOWLY if record.kind is Kind.AI and isinstance(record.codec, FloatCodec) else ""
