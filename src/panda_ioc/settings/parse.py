"""Parser of saved designs, as written by `panda-ioc save`."""

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..protocol import LocalProtocolError, PandaError, Request, SetState

Words = npt.NDArray[np.uint32]

#: Time units in seconds.
TIME_UNITS: Mapping[str, float] = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

#: Length of an FPGA clock tick in seconds.
_TICK = 8e-9


class SettingsError(PandaError):
    """An invalid line in a design; the message has the line and the reason."""


@dataclass(frozen=True)
class Settings:
    """The settings of a PandA.

    Attributes:
        values: values of fields and attributes as text: {"PULSE1.DELAY": "5", "PULSE1.DELAY.UNITS": "ms"}. One-line
            metadata have names starting with `*METADATA.`. Times saved in ticks are converted to their UNITS
        tables: words of each table by name, (n,) uint32: "SEQ1.TABLE"
        texts: lines of multi-line metadata by name: `*METADATA.LAYOUT`
    """

    values: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Words] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def units(self, name: str) -> str:
        """Return the UNITS of a field; "" if not set."""
        return self.values.get(f"{name}.UNITS", "")

    def seconds(self, name: str) -> float | None:
        """Return a time in seconds; None if the field is not a time."""
        factor = TIME_UNITS.get(self.units(name))
        number = as_number(self.values.get(name, ""))
        return None if factor is None or number is None else number * factor

    def shown(self, name: str) -> str:
        """Return a value with its units: "5 ms"."""
        value, units = self.values.get(name, ""), self.units(name)
        return f"{value} {units}" if units and as_number(value) is not None else value


def parse(lines: Sequence[str]) -> Settings:
    """Parse the lines of a design.

    Args:
        lines: lines as returned by `GetState`. If a setting occurs several times, the last one counts

    Raises:
        SettingsError: a line is not a setting, or the data of a table are invalid

    Example:
        >>> settings = parse(["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY=5", "SEQ1.TABLE<", "1", "2", "3", "4", ""])
        >>> settings.shown("PULSE1.DELAY"), settings.tables["SEQ1.TABLE"].tolist()
        ('5 ms', [1, 2, 3, 4])
    """
    values: dict[str, str] = {}
    tables: dict[str, Words] = {}
    texts: dict[str, tuple[str, ...]] = {}
    for request in _requests(lines):
        if request.body is None:
            name, _, value = request.line.partition("=")
            values[name] = value
            continue
        name, _, form = request.line.partition("<")
        if name.startswith("*"):
            texts[name] = tuple(request.body)
            continue
        words = _words(name, form, request.body)
        tables[name] = np.concatenate([tables[name], words]) if form.startswith("<") and name in tables else words
    return Settings(_without_raw(values), tables, texts)


def _without_raw(values: dict[str, str]) -> dict[str, str]:
    """Convert times saved in ticks, such as `PULSE1.DELAY.RAW=5`, to their units."""
    times: dict[str, str] = {}
    for name, text in values.items():
        base = name.removesuffix(".RAW")
        factor = TIME_UNITS.get(values.get(f"{base}.UNITS", "s"))
        ticks = as_number(text)
        if base != name and base.count(".") == 1 and factor is not None and ticks is not None:
            times[base] = f"{ticks * _TICK / factor:.15g}"
    kept = {name: text for name, text in values.items() if name.removesuffix(".RAW") not in times}
    return kept | times


def commands(lines: Sequence[str]) -> list[str]:
    """Return the lines of a design without comments and without empty lines between settings.

    Raises:
        SettingsError: a line is not a setting
    """
    return [
        line
        for request in _requests(lines)
        for line in ((request.line,) if request.body is None else (request.line, *request.body, ""))
    ]


def _requests(lines: Sequence[str]) -> list[Request]:
    try:
        return SetState(lines).requests()
    except LocalProtocolError as error:
        raise SettingsError(str(error)) from error


def as_number(text: str) -> float | None:
    """Convert a number as printed by a PandA; return None for other texts."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _words(name: str, form: str, body: Sequence[str]) -> Words:
    """Decode the data of a table write: base64 if `form` ends with B, otherwise decimal numbers."""
    if form.endswith("B"):
        return _from_base64(name, body)
    words = [word for line in body for word in line.split()]
    wrong = next((word for word in words if not word.removeprefix("-").isdecimal()), None)
    if wrong is not None:
        raise SettingsError(f"table {name}: {wrong[:40]!r} is not a number")
    return np.array([int(word) & 0xFFFFFFFF for word in words], np.uint32)


def _from_base64(name: str, body: Sequence[str]) -> Words:
    try:
        data = b"".join(binascii.a2b_base64(line, strict_mode=True) for line in body)
    except ValueError:
        raise SettingsError(f"table {name}: a line is not valid base64") from None
    if len(data) % 4:
        raise SettingsError(f"table {name}: {len(data)} bytes are not a whole number of 32-bit words")
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
