"""The lines of a saved design, as `panda-ioc save` writes them, in a form to work with."""

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..protocol import LocalProtocolError, PandaError, Request, SetState

Words = npt.NDArray[np.uint32]

#: Seconds in the units of a time.
TIME_UNITS: Mapping[str, float] = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

#: Seconds of a tick.
_TICK = 8e-9


class SettingsError(PandaError):
    """Lines that are no design; the message says which and why."""


@dataclass(frozen=True)
class Settings:
    """All settings of a PandA.

    Attributes:
        values: by name, as text: {"PULSE1.DELAY": "5", "PULSE1.DELAY.UNITS": "ms"}; names of metadata begin with
            `*METADATA.`. A time that was saved in ticks is here in its units
        tables: the words of each table that was written, (n,) uint32: {"SEQ1.TABLE": ...}
        texts: metadata of several lines, by name: `*METADATA.LAYOUT`
    """

    values: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Words] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def units(self, name: str) -> str:
        """The units of a value; "" if none are set."""
        return self.values.get(f"{name}.UNITS", "")

    def seconds(self, name: str) -> float | None:
        """A time in seconds; None for what is no time."""
        factor = TIME_UNITS.get(self.units(name))
        number = as_number(self.values.get(name, ""))
        return None if factor is None or number is None else number * factor

    def shown(self, name: str) -> str:
        """A value as people read it: with its units."""
        value, units = self.values.get(name, ""), self.units(name)
        return f"{value} {units}" if units and as_number(value) is not None else value


def parse(lines: Sequence[str]) -> Settings:
    """Parse a design.

    Args:
        lines: as `GetState` gives them; of several lines for one setting, the last one counts

    Raises:
        SettingsError: a line is no setting, or the data of a table cannot be read
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
    """The same with times that were saved in ticks, as `PULSE1.DELAY.RAW=5`, in their units."""
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
    """The lines of a design that are commands, without blank lines and comments between them.

    Raises:
        SettingsError: a line is no setting
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
    """A number as a PandA writes it; None for other texts."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _words(name: str, form: str, body: Sequence[str]) -> Words:
    """The words in the lines of a table write: base64 if its form says so, otherwise decimal numbers."""
    if form.endswith("B"):
        return _from_base64(name, body)
    words = [word for line in body for word in line.split()]
    wrong = next((word for word in words if not word.removeprefix("-").isdecimal()), None)
    if wrong is not None:
        raise SettingsError(f"the table {name} has {wrong[:40]!r} in it, which is not a number")
    return np.array([int(word) & 0xFFFFFFFF for word in words], np.uint32)


def _from_base64(name: str, body: Sequence[str]) -> Words:
    try:
        data = b"".join(binascii.a2b_base64(line, strict_mode=True) for line in body)
    except ValueError:
        raise SettingsError(f"the table {name} has a line in it that is not base64") from None
    if len(data) % 4:
        raise SettingsError(f"the table {name} has {len(data)} bytes, which are not whole 32-bit words")
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
