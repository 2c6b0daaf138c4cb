"""Archiver hints: the value of `info(archive, ...)` in the database.

The processor of ChannelFinder for the Archiver Appliance reads `METHOD@SECONDS`, which recsync publishes: `monitor`
archives every change, `scan` one value per period.
"""

from .codecs import FloatCodec, ScaledCodec
from .record import Access, Kind, Record
from .status import CONNECTION, PUTS_REFUSED, RECONNECTS

#: Settings and status of the PandA and the IOC: changes are rare, and each one matters.
_EACH_CHANGE = "monitor@1"

#: Positions and the progress of captures: may change with every poll.
_EACH_SECOND = "scan@1"

#: Temperatures and voltages: noisy, and slow.
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
    """Return the archiver hint of a record; "" if it should not be archived."""
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
