"""Numbers as a PandA server reads and writes them.

It reads with C's strtoull and strtod: integers wrap to the width of their field, octal and hexadecimal are accepted,
spaces may lead; only ASCII digits count. All this was seen in the answers of server 4.1.
"""

import math
import re

#: As strtoull takes it with base 0: hexadecimal, octal, decimal.
_INTEGER = re.compile(r"[ \t\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")

#: As strtod takes it.
_FLOAT = re.compile(
    r"""[ \t\v\f\r]*[+-]?(
        0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(p[+-]?[0-9]+)?
        |([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?
        |inf(inity)?|nan
    )""",
    re.IGNORECASE | re.VERBOSE,
)

#: Ticks of the FPGA clock in a second, seconds of a tick, and what the units of a time are in seconds.
CLOCK = 125_000_000
TICK = 8e-9
TIME_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


class Refused(Exception):  # noqa: N818 - it is what happened, not an error of the program
    """A command that the server answers with `ERR` and this text."""


def parse_integer(text: str) -> int:
    """An integer of less than 65 bits, in decimal, octal or hexadecimal, with nothing after it.

    Raises:
        Refused: it is none
    """
    match = _INTEGER.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    digits = match[2].lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    value = int(digits, base) if len(digits) < _MOST_DIGITS else 1 << 64
    if value >= 1 << 64:
        raise Refused("Number out of range")
    return -value if match[1] == "-" else value


#: More digits than any number below 2**64 has, but for leading zeros.
_MOST_DIGITS = 100


def parse_float(text: str) -> float:
    """A number, which may be hexadecimal or infinite, with nothing after it.

    Raises:
        Refused: it is none, or its exponent is too large
    """
    match = _FLOAT.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    number = match[0].strip().lower()
    try:
        value = float.fromhex(number) if "0x" in number else float(number)
    except OverflowError:
        value = math.inf
    if math.isinf(value) and "inf" not in number:
        raise Refused("Number out of range")
    return value


def to_integer(value: float) -> int:
    """The nearest integer, of any size; of two, the one away from 0.

    Raises:
        Refused: there is none
    """
    if not math.isfinite(value):
        raise Refused("Number out of range")
    nearest = math.floor(abs(value) + 0.5)
    return -nearest if value < 0 else nearest


def wrap_unsigned(value: int) -> int:
    """The low 32 bits."""
    return value & 0xFFFFFFFF


def wrap_signed(value: int) -> int:
    """The low 32 bits in two's complement."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


def format_float(value: float) -> str:
    """A value: 10 significant digits, less than some times in ticks have."""
    return f"{value:.10g}"


def format_scaling(value: float) -> str:
    """A scale or an offset in the header of an acquisition: 12 significant digits."""
    return f"{value:.12g}"
