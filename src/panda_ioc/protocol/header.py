"""Parser of acquisition headers, which are XML."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from .acquisition import COLUMN_TYPES, FieldCapture, StartData
from .errors import RemoteProtocolError
from .exchange import text

#: Units in the header if none were set.
_NO_UNITS = "(null)"

_INTEGER = re.compile(r"-?[0-9]{1,20}")

#: Maximum number of columns. A PandA captures up to 64 words. With some thousands of datasets, files take minutes to
#: create, and HDF5 crashes.
MAX_COLUMNS = 1024

#: Integers have 64 bits.
_LIMIT = 1 << 63


def parse_header(header: bytes) -> StartData:
    """Parse an acquisition header.

    Raises:
        RemoteProtocolError: the header is not XML, or a required element is missing or invalid
    """
    if b"<!" in header or b"<?" in header:
        # PandA servers send no declarations. Malicious ones could make the parser use unlimited memory.
        raise RemoteProtocolError("the acquisition header contains XML declarations")
    try:
        root = ET.fromstring(text(header))  # noqa: S314 - without declarations, see above
        data = _child(root, "data")
        columns = _child(root, "fields")
        _check_count(columns)
        fields = tuple(_field(element) for element in columns)
        _check_columns(fields)
        start = StartData(
            fields,
            _integer(data, "missed", 0),
            data.get("process", ""),
            _integer(data, "sample_bytes", 0),
            data.get("arm_time", ""),
            data.get("start_time", ""),
            _integer(data, "hw_time_offset_ns", -_LIMIT) if "hw_time_offset_ns" in data.attrib else None,
            data.get("format", "Framed"),
        )
        length = start.dtype.itemsize
    except ET.ParseError as error:
        raise _invalid(f"not XML: {error}", header) from error
    except _BadHeaderError as error:
        raise _invalid(str(error), header) from error
    if length != start.sample_bytes or not fields:
        raise RemoteProtocolError(
            f"invalid acquisition header: its columns have {length} bytes, its samples {start.sample_bytes} bytes"
        )
    return start


class _BadHeaderError(Exception):
    """An error in a header."""


def _invalid(problem: str, header: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"invalid acquisition header ({problem}): {header[:200]!r}")


def _child(element: Element, tag: str) -> Element:
    child = element.find(tag)
    if child is None:
        raise _BadHeaderError(f"<{tag}> is missing")
    return child


def _check_count(columns: Element) -> None:
    if len(columns) > MAX_COLUMNS:
        raise _BadHeaderError(f"{len(columns)} columns, over {MAX_COLUMNS}")


def _check_columns(fields: Sequence[FieldCapture]) -> None:
    names: set[str] = set()
    for field in fields:
        if field.column in names:
            raise _BadHeaderError(f"duplicate column {field.column}")
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
        raise _BadHeaderError(f"{attribute} is missing in <{element.tag}>")
    return value


def _integer(element: Element, attribute: str, low: int) -> int:
    value = element.get(attribute, "0")
    if not _INTEGER.fullmatch(value):
        raise _BadHeaderError(f"{attribute} is {value[:40]!r}, not an integer")
    if not low <= int(value) < _LIMIT:
        raise _BadHeaderError(f"{attribute} is {value}, not between {low} and {_LIMIT - 1}")
    return int(value)


def _number(element: Element, attribute: str) -> float | None:
    value = element.get(attribute)
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        raise _BadHeaderError(f"{attribute} is {value[:40]!r}, not a number") from None
