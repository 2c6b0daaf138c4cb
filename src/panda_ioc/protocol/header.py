"""The header of an acquisition, in XML."""

import xml.etree.ElementTree as ET
from xml.etree.ElementTree import Element

from .acquisition import COLUMN_TYPES, FieldCapture, StartData
from .errors import RemoteProtocolError
from .exchange import text

#: What servers say where units were never set.
_NO_UNITS = "(null)"

_LIMIT = 1 << 63


def parse_header(header: bytes) -> StartData:
    """Read a header.

    Raises:
        RemoteProtocolError: it is no XML, or does not say what a header must
    """
    if b"<!" in header or b"<?" in header:
        # A server sends no declarations; those of an attacker could make the parser use any memory.
        raise RemoteProtocolError("the header of an acquisition has declarations in it")
    try:
        root = ET.fromstring(text(header))  # noqa: S314 - without declarations, see above
        data = _child(root, "data")
        fields = tuple(_field(element) for element in _child(root, "fields"))
        start = StartData(
            fields,
            _whole(data.get("missed", "0"), 0),
            data.get("process", ""),
            int(data.get("sample_bytes", "0")),
            data.get("arm_time", ""),
            data.get("start_time", ""),
            _whole(data.attrib["hw_time_offset_ns"], -_LIMIT) if "hw_time_offset_ns" in data.attrib else None,
        )
        length = start.dtype.itemsize
    except (ET.ParseError, ValueError, KeyError) as error:
        raise RemoteProtocolError(f"the header of an acquisition makes no sense ({error}): {header[:200]!r}") from error
    if length != start.sample_bytes or not fields:
        raise RemoteProtocolError(
            f"the header of an acquisition has columns of {length} bytes in samples of {start.sample_bytes} bytes"
        )
    return start


def _child(element: Element, tag: str) -> Element:
    child = element.find(tag)
    if child is None:
        raise ValueError(f"no <{tag}>")
    return child


def _field(element: Element) -> FieldCapture:
    kind = element.attrib["type"]
    if kind not in COLUMN_TYPES:
        raise ValueError(f"unknown column type {kind!r}")
    units = element.get("units", "")
    return FieldCapture(
        element.attrib["name"],
        element.attrib["capture"],
        kind,
        _number(element, "scale"),
        _number(element, "offset"),
        "" if units == _NO_UNITS else units,
    )


def _whole(number: str, low: int) -> int:
    """A number that has a place in 64 bits."""
    value = int(number)
    if not low <= value < _LIMIT:
        raise ValueError(f"{number} is not from {low} to {_LIMIT - 1}")
    return value


def _number(element: Element, attribute: str) -> float | None:
    value = element.get(attribute)
    return None if value is None else float(value)
