"""Numbers as a PandA server reads and writes them.

It parses with C's strtoul and strtod, so integers wrap, hexadecimal is accepted and spaces may lead.
"""

import math
import re

_INTEGER = re.compile(r"[ \t]*([+-]?)(0[xX][0-9a-fA-F]+|\d+)")
_FLOAT = re.compile(r"[ \t]*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)")

#: Nanoseconds of a tick of the FPGA clock, and what the units of a time are in seconds.
TICK = 8e-9
TIME_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


class Refused(Exception):  # noqa: N818 - it is what happened, not an error of the program
    """A command that the server answers with `ERR` and this text."""


def parse_integer(text: str) -> int:
    """An integer of any size, in decimal or hexadecimal, with nothing after it."""
    match = _INTEGER.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    value = int(match[2], 0) if match[2][:2].lower() == "0x" else int(match[2])
    return -value if match[1] == "-" else value


def parse_float(text: str) -> float:
    """A number with nothing after it."""
    match = _FLOAT.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    value = float(text)
    if math.isinf(value):
        raise Refused("Number out of range")
    return value


def to_integer(value: float) -> int:
    """The nearest integer, of any size."""
    if not math.isfinite(value):
        raise Refused("Number out of range")
    return round(value)


def wrap_unsigned(value: int) -> int:
    """The low 32 bits."""
    return value & 0xFFFFFFFF


def wrap_signed(value: int) -> int:
    """The low 32 bits in two's complement."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


def format_float(value: float) -> str:
    """Twelve digits: enough for any time in ticks that people set, few enough to hide rounding."""
    return f"{value:.12g}"
