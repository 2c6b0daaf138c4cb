"""The header of an acquisition, in XML."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from .acquisition import COLUMN_TYPES, FieldCapture, StartData
from .errors import RemoteProtocolError
from .exchange import text

#: What servers say where units were never set.
_NO_UNITS = "(null)"

_INTEGER = re.compile(r"-?[0-9]{1,20}")

#: Whole numbers have 64 bits.
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
        _check_columns(fields)
        start = StartData(
            fields,
            _whole(data, "missed", 0),
            data.get("process", ""),
            _whole(data, "sample_bytes", 0),
            data.get("arm_time", ""),
            data.get("start_time", ""),
            _whole(data, "hw_time_offset_ns", -_LIMIT) if "hw_time_offset_ns" in data.attrib else None,
            data.get("format", "Framed"),
        )
        length = start.dtype.itemsize
    except ET.ParseError as error:
        raise _no_sense(f"it is no XML: {error}", header) from error
    except _BadHeaderError as error:
        raise _no_sense(str(error), header) from error
    if length != start.sample_bytes or not fields:
        raise RemoteProtocolError(
            f"the header of an acquisition has columns of {length} bytes in samples of {start.sample_bytes} bytes"
        )
    return start


class _BadHeaderError(Exception):
    """What is wrong in a header."""


def _no_sense(problem: str, header: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"the header of an acquisition makes no sense ({problem}): {header[:200]!r}")


def _child(element: Element, tag: str) -> Element:
    child = element.find(tag)
    if child is None:
        raise _BadHeaderError(f"there is no <{tag}>")
    return child


def _check_columns(fields: Sequence[FieldCapture]) -> None:
    names: set[str] = set()
    for field in fields:
        if field.column in names:
            raise _BadHeaderError(f"two columns are called {field.column}")
        names.add(field.column)


def _field(element: Element) -> FieldCapture:
    kind = _text(element, "type")
    if kind not in COLUMN_TYPES:
        raise _BadHeaderError(f"unknown column type {kind!r}")
    units = element.get("units", "")
    return FieldCapture(
        _text(element, "name"),
        _text(element, "capture"),
        kind,
        _number(element, "scale"),
        _number(element, "offset"),
        "" if units == _NO_UNITS else units,
    )


def _text(element: Element, attribute: str) -> str:
    value = element.get(attribute)
    if value is None:
        raise _BadHeaderError(f"there is no {attribute} in <{element.tag}>")
    return value


def _whole(element: Element, attribute: str, low: int) -> int:
    value = element.get(attribute, "0")
    if not _INTEGER.fullmatch(value):
        raise _BadHeaderError(f"{attribute} is {value[:40]!r}, not a whole number")
    if not low <= int(value) < _LIMIT:
        raise _BadHeaderError(f"{attribute} is {value}, not from {low} to {_LIMIT - 1}")
    return int(value)


def _number(element: Element, attribute: str) -> float | None:
    value = element.get(attribute)
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        raise _BadHeaderError(f"{attribute} is {value[:40]!r}, not a number") from None
